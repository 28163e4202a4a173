//! The form that adds a record to the catalogue, and the one that changes what is said of a record.

use askama::Template;
use xxhash_rust::xxh64::xxh64;

use crate::assets;
use crate::cart::is_sku;
use crate::draft::Draft;
use crate::form::Form;
use crate::pages::Problem;
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::editing::Description;
use crate::seams::{Album, CatalogError, Money, Seams};

use super::desk::{Desk, Section, Shell};
use super::fields::{Field, WAS};
use super::genre;
use super::notice::{self, Done, Failed, Notice};
use super::record::{PRICE_MAX, album};
use super::reply;

/// The catalog's bounds, in characters.
const NAME_MAX: usize = 200;
const NOTES_MAX: usize = 2000;
const YEARS: (u32, u32) = (1880, 2100);

/// The path of the form of a new record, below `/office`.
const NEW: &str = "/records/new";

fn edited(sku: &str) -> String {
    format!("/records/{sku}/edit")
}

#[derive(Template)]
#[template(path = "office/album.html")]
struct AlbumPage<'a> {
    shell: Shell<'a>,
    /// The record that is changed, and the mark of what was said of it when the form was made.
    changed: Option<(&'a str, u64)>,
    codes: Vec<&'a str>,
    genres: &'a [String],
    /// The genre that the operator may confirm as a new one.
    new_genre: Option<&'a str>,
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
    fn of(album: &Album) -> Input {
        Input {
            artist: Field::of(&album.artist),
            title: Field::of(&album.title),
            year: Field::of(album.year.to_string()),
            genre: Field::of(&album.genre),
            label: Field::of(&album.label),
            notes: Field::of(&album.notes),
            ..Input::default()
        }
    }

    fn drafted(draft: &Draft<'_>) -> Input {
        let field = |name| Field::drafted(draft, name);
        Input {
            sku: field("sku"),
            artist: field("artist"),
            title: field("title"),
            year: field("year"),
            genre: field("genre"),
            label: field("label"),
            price: field("price"),
            currency: field("currency"),
            notes: field("notes"),
        }
    }

    fn keep(&self, draft: Draft<'static>) -> Draft<'static> {
        let Input { sku, artist, title, year, genre, label, price, currency, notes } = self;
        let draft = artist.keep("artist", title.keep("title", year.keep("year", sku.keep("sku", draft))));
        let draft = genre.keep("genre", label.keep("label", notes.keep("notes", draft)));
        price.keep("price", currency.keep("currency", draft))
    }

    fn wrong(&self) -> bool {
        let Input { sku, artist, title, year, genre, label, price, currency, notes } = self;
        [sku, artist, title, year, genre, label, price, currency, notes].into_iter().any(Field::wrong)
    }
}

/// `GET /office/records/new`
pub fn page<S: Seams>(desk: &Desk<'_, S>) -> Result<Reply, Problem> {
    let draft = desk.draft(NEW);
    let typed = draft.as_ref().map_or_else(Input::default, Input::drafted);
    show(desk, Notice::drafted(draft.as_ref()), None, &typed, &genre::known(desk.seams()), 200)
}

/// `GET /office/records/SKU/edit`
pub fn edit<S: Seams>(desk: &Desk<'_, S>, sku: &str) -> Result<Reply, Problem> {
    let album = album(desk, sku)?;
    let draft = desk.draft(&edited(sku));
    let was = draft.as_ref().and_then(|draft| draft.form().number(WAS));
    let typed = draft.as_ref().filter(|_| was.is_some()).map_or_else(|| Input::of(&album), Input::drafted);
    let changed = Some((sku, was.unwrap_or_else(|| mark(&said(&album)))));
    show(desk, Notice::drafted(draft.as_ref()), changed, &typed, &genre::known(desk.seams()), 200)
}

/// `POST /office/records`
pub fn add<S: Seams>(desk: &Desk<'_, S>, form: &Form<'_>) -> Result<Reply, Problem> {
    let currencies = Currencies::of(desk.seams());
    let genres = genre::known(desk.seams());
    let (mut typed, description) = read(form, &genres, None);
    let (sku, price) = read_new(form, &currencies, &mut typed);
    let Description { artist, title, year, genre, label, notes } = description;
    let album = Album { sku, artist, title, year, genre, label, price, notes, discontinued: false };
    let failed = match typed.wrong() {
        true => notice::fields(),
        false => match desk.seams().add_album(&album, desk.account()).or_else(|error| known(desk, error, &album)) {
            Ok(()) => return Ok(desk.done(&format!("/records/{}", album.sku), Done::Added)),
            Err(AddError::Taken) => {
                typed.sku.problem = Some("There is another record with this SKU.".into());
                notice::fields()
            }
            Err(AddError::Other(failed)) => failed,
        },
    };
    let (status, draft) = (failed.status, typed.keep(failed.draft(NEW)));
    Ok(show(desk, Some(failed.into()), None, &typed, &genres, status)?.again(draft))
}

/// `POST /office/records/SKU/edit`: counts only for what was said of the record when the form was made.
pub fn describe<S: Seams>(desk: &Desk<'_, S>, sku: &str, form: &Form<'_>) -> Result<Reply, Problem> {
    let was = form.number(WAS).ok_or(Problem::Stale)?;
    let album = album(desk, sku)?;
    let now = said(&album);
    let genres = genre::known(desk.seams());
    let (typed, description) = read(form, &genres, Some(&album.genre));
    let failed = if typed.wrong() {
        notice::fields()
    } else if mark(&description) == mark(&now) {
        // Nothing differs, or the form was sent twice.
        return Ok(desk.done(&format!("/records/{sku}"), Done::Described));
    } else if mark(&now) != was {
        let failed = notice::moved_on("The record");
        let (status, draft) = (failed.status, failed.draft(&edited(sku)));
        let page = show(desk, Some(failed.into()), Some((sku, mark(&now))), &Input::of(&album), &genres, status)?;
        return Ok(page.again(draft));
    } else {
        match desk.seams().describe(sku, &description, desk.account()) {
            Ok(()) => return Ok(desk.done(&format!("/records/{sku}"), Done::Described)),
            Err(error) => error.into(),
        }
    };
    let draft = typed.keep(failed.draft(&edited(sku)).with(WAS, &was.to_string()));
    let status = failed.status;
    Ok(show(desk, Some(failed.into()), Some((sku, was)), &typed, &genres, status)?.again(draft))
}

fn said(album: &Album) -> Description {
    let Album { artist, title, year, genre, label, notes, .. } = album.clone();
    Description { artist, title, year, genre, label, notes }
}

/// The same for the same description, another one for any other.
fn mark(description: &Description) -> u64 {
    let Description { artist, title, year, genre, label, notes } = description;
    // No field has control characters but line ends.
    let all = [artist, title, &year.to_string(), genre, label, notes].map(String::as_str).join("\u{1f}");
    xxh64(all.as_bytes(), 0)
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
    let price = |album: &Album| (album.price.minor_units, album.price.currency.clone());
    match found.first() {
        Some(known) if mark(&said(known)) == mark(&said(album)) && price(known) == price(album) => Ok(()),
        Some(_) => Err(AddError::Taken),
        None => Err(AddError::Other(error.into())),
    }
}

/// What both forms have. `own` is the genre that the record has now.
fn read(form: &Form<'_>, genres: &[String], own: Option<&str>) -> (Input, Description) {
    let name = |field| Field::line(form, field, 1, NAME_MAX);
    let (year, number) = Field::number(form, "year", YEARS.0, YEARS.1);
    let mut genre = name("genre");
    genre::check(&mut genre, genres, own, form);
    let typed = Input {
        artist: name("artist"),
        title: name("title"),
        year,
        genre,
        label: name("label"),
        notes: Field::text(form.text("notes"), 0, NOTES_MAX),
        ..Input::default()
    };
    let description = Description {
        artist: typed.artist.value.clone(),
        title: typed.title.value.clone(),
        year: u16::try_from(number).unwrap_or_default(),
        genre: typed.genre.value.clone(),
        label: typed.label.value.clone(),
        notes: typed.notes.value.clone(),
    };
    (typed, description)
}

/// What only the form of a new record has.
fn read_new(form: &Form<'_>, currencies: &Currencies, typed: &mut Input) -> (String, Money) {
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
    let money = Money { minor_units: u32::try_from(units).unwrap_or_default(), currency: currency.value.clone() };
    let value = sku.value.clone();
    (typed.sku, typed.price, typed.currency) = (sku, price, currency);
    (value, money)
}

fn show<S: Seams>(
    desk: &Desk<'_, S>,
    notice: Option<Notice>,
    changed: Option<(&str, u64)>,
    typed: &Input,
    genres: &[String],
    status: u16,
) -> Result<Reply, Problem> {
    let currencies = Currencies::of(desk.seams());
    let page = AlbumPage {
        shell: desk.shell(Section::Records, notice),
        changed,
        codes: currencies.codes().collect(),
        genres,
        new_genre: (typed.genre.wrong() && !typed.genre.value.is_empty()).then_some(typed.genre.value.as_str()),
        typed,
    };
    Ok(reply(&page, status))
}
