//! The form that adds a record to the catalogue.

use askama::Template;

use crate::assets;
use crate::cart::is_sku;
use crate::form::Form;
use crate::pages::Problem;
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::{Album, CatalogError, Money, Seams};

use super::desk::{Desk, Section, Shell};
use super::fields::Field;
use super::notice::{self, Done, Failed, Notice};
use super::record::PRICE_MAX;
use super::reply;

/// The catalog's bounds, in characters.
const NAME_MAX: usize = 200;
const NOTES_MAX: usize = 2000;
const YEARS: (u32, u32) = (1880, 2100);

#[derive(Template)]
#[template(path = "office/album.html")]
struct AlbumPage<'a> {
    shell: Shell<'a>,
    codes: Vec<&'a str>,
    typed: &'a Input,
}

#[derive(Default)]
struct Input {
    sku: Field,
    artist: Field,
    title: Field,
    year: Field,
    genre: Field,
    label: Field,
    price: Field,
    currency: Field,
    notes: Field,
}

impl Input {
    fn wrong(&self) -> bool {
        let Input { sku, artist, title, year, genre, label, price, currency, notes } = self;
        [sku, artist, title, year, genre, label, price, currency, notes].into_iter().any(Field::wrong)
    }
}

/// `GET /office/records/new`
pub fn page<S: Seams>(desk: &Desk<'_, S>) -> Result<Reply, Problem> {
    show(desk, None, &Input::default(), 200)
}

/// `POST /office/records`
pub fn add<S: Seams>(desk: &Desk<'_, S>, form: &Form<'_>) -> Result<Reply, Problem> {
    let currencies = Currencies::of(desk.seams());
    let (mut typed, album) = read(form, &currencies);
    let failed = match typed.wrong() {
        true => notice::fields(),
        false => match desk.seams().add_album(&album).or_else(|error| known(desk, error, &album)) {
            Ok(()) => return Ok(desk.done(&format!("/records/{}", album.sku), Done::Added)),
            Err(AddError::Taken) => {
                typed.sku.problem = Some("There is another record with this SKU.".into());
                notice::fields()
            }
            Err(AddError::Other(failed)) => failed,
        },
    };
    let status = failed.status;
    show(desk, Some(failed.into()), &typed, status)
}

enum AddError {
    /// Another record has this SKU.
    Taken,
    Other(Failed),
}

/// Finds out whether the catalog refused the record because its SKU is taken: the error is only a sentence. If the SKU
/// belongs to an equal record, the form was sent twice, and the record is there.
fn known<S: Seams>(desk: &Desk<'_, S>, error: CatalogError, album: &Album) -> Result<(), AddError> {
    let found = match error {
        CatalogError::Invalid(_) => desk.seams().albums(&[&album.sku]).unwrap_or_default(),
        CatalogError::Unavailable(_) => Vec::new(),
    };
    let what = |album: &Album| {
        let Album { artist, title, year, genre, label, price, notes, .. } = album.clone();
        (artist, title, year, genre, label, price.minor_units, price.currency, notes)
    };
    match found.first() {
        Some(known) if what(known) == what(album) => Ok(()),
        Some(_) => Err(AddError::Taken),
        None => Err(AddError::Other(error.into())),
    }
}

fn read(form: &Form<'_>, currencies: &Currencies) -> (Input, Album) {
    let name = |field| Field::line(form, field, 1, NAME_MAX);
    let mut sku = Field::of(form.line("sku").to_ascii_uppercase().chars().take(64).collect::<String>());
    if !is_sku(&sku.value) {
        sku.problem = Some("1 to 32 letters, digits and hyphens.".into());
    }
    let mut currency = Field::of(form.line("currency").chars().take(8).collect::<String>());
    if !currencies.codes().any(|code| code == currency.value) {
        currency.problem = Some("One of those offered.".into());
    }
    let (_, digits) = currencies.sign(&currency.value);
    let (price, units) = Field::amount(form, "price", digits, PRICE_MAX);
    let (year, number) = Field::number(form, "year", YEARS.0, YEARS.1);
    let typed = Input {
        sku,
        artist: name("artist"),
        title: name("title"),
        year,
        genre: name("genre"),
        label: name("label"),
        price,
        currency,
        notes: Field::text(form.text("notes"), 0, NOTES_MAX),
    };
    let album = Album {
        sku: typed.sku.value.clone(),
        artist: typed.artist.value.clone(),
        title: typed.title.value.clone(),
        year: u16::try_from(number).unwrap_or_default(),
        genre: typed.genre.value.clone(),
        label: typed.label.value.clone(),
        price: Money { minor_units: u32::try_from(units).unwrap_or_default(), currency: typed.currency.value.clone() },
        notes: typed.notes.value.clone(),
        discontinued: false,
    };
    (typed, album)
}

fn show<S: Seams>(desk: &Desk<'_, S>, notice: Option<Notice>, typed: &Input, status: u16) -> Result<Reply, Problem> {
    let currencies = Currencies::of(desk.seams());
    let page = AlbumPage { shell: desk.shell(Section::Records, notice), codes: currencies.codes().collect(), typed };
    Ok(reply(&page, status))
}
