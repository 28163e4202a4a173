//! One record: the movements of its copies, what was changed of it, and forms to restock, count and reprice it, to end
//! its sale and to sell it again.

use askama::Template;

use crate::assets;
use crate::command::Change;
use crate::draft::Draft;
use crate::form::Form;
use crate::key::is_key;
use crate::money::Price;
use crate::pages::{Problem, Service};
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::{Album, Cause, Level, Money, MovementBy, Seams, Tally};

use super::changes;
use super::csv::{Cell, Csv};
use super::desk::{Desk, Section, Shell};
use super::fields::{Field, WAS, plain};
use super::notice::{self, Done, Failed, Notice};
use super::overview::complete;
use super::query::Query;
use super::reply;
use super::view::{Names, When, is_number};

/// Movements on the page, and in a file: the warehouse lists no more.
const HISTORY: u32 = 50;
const FILE_HISTORY: u32 = 200;
/// The bounds of the interfaces.
const RESTOCK_MAX: u32 = 100_000;
const COUNT_MAX: u32 = 10_000_000;
const NOTE_MAX: usize = 200;
pub const PRICE_MAX: u64 = 10_000_000;

/// The values in the page's forms: as they are now, or as they were sent.
#[derive(Default)]
struct Input {
    key: Option<String>,
    copies: Field,
    note: Field,
    counted: Field,
    price: Option<Field>,
}

impl Input {
    fn drafted(draft: &Draft<'_>) -> Input {
        let field = |name| Field::drafted(draft, name);
        Input {
            key: Some(draft.form().raw("key").to_owned()).filter(|key| is_key(key)),
            copies: field("copies"),
            note: field("note"),
            counted: field("counted"),
            price: Some(field("price")).filter(|price| *price != Field::default()),
        }
    }

    fn keep(&self, draft: Draft<'static>) -> Draft<'static> {
        let draft = draft.with("key", self.key.as_deref().unwrap_or_default());
        let fields = [("copies", Some(&self.copies)), ("note", Some(&self.note)), ("counted", Some(&self.counted))];
        let fields = fields.into_iter().chain([("price", self.price.as_ref())]);
        fields.fold(draft, |draft, (name, field)| match field {
            Some(field) => field.keep(name, draft),
            None => draft,
        })
    }
}

#[derive(Template)]
#[template(path = "office/record.html")]
struct RecordPage<'a> {
    shell: Shell<'a>,
    album: &'a Album,
    price_now: Price<'a>,
    /// `None` if the warehouse does not answer.
    level: Option<u32>,
    tally: Option<Tally>,
    history: Option<Vec<Row<'a>>>,
    /// `None` if the catalog does not say.
    changes: Option<Vec<changes::Row<'a>>>,
    key: String,
    copies: Field,
    note: Field,
    counted: Field,
    price: Field,
}

impl RecordPage<'_> {
    fn complete(&self, tally: &Tally) -> bool {
        complete(tally)
    }
}

struct Row<'a> {
    at: When,
    cause: &'static str,
    change: String,
    on_hand: u32,
    reference: &'a str,
    /// The reference is an order's number.
    order: bool,
    /// Empty if no operator was named.
    by: &'a str,
}

/// `GET /office/records/SKU`
pub fn page<S: Seams>(desk: &Desk<'_, S>, sku: &str, query: &Query) -> Result<Reply, Problem> {
    let draft = desk.draft(&format!("/records/{sku}"));
    let notice = Notice::drafted(draft.as_ref()).or(query.done.map(Notice::from));
    show(desk, sku, notice, draft.as_ref().map_or_else(Input::default, Input::drafted), 200)
}

/// `POST /office/records/SKU/CHANGE`
pub fn change<S: Seams>(desk: &Desk<'_, S>, sku: &str, change: Change, form: &Form<'_>) -> Result<Reply, Problem> {
    let mut typed = Input::default();
    let by = desk.account();
    let done = match change {
        Change::Restock => restock(desk, sku, form, &mut typed)?,
        Change::Count => count(desk, sku, form, &mut typed)?,
        Change::Price => reprice(desk, sku, form, &mut typed)?,
        Change::Discontinue => desk.seams().discontinue(sku, by).map(|()| Done::Discontinued).map_err(Failed::from),
        Change::Relist => desk.seams().relist(sku, by).map(|()| Done::Relisted).map_err(Failed::from),
    };
    match done {
        Ok(done) => Ok(desk.done(&format!("/records/{sku}"), done)),
        Err(failed) => {
            if !failed.keep_key {
                typed.key = None;
            }
            let (status, draft) = (failed.status, typed.keep(failed.draft(&format!("/records/{sku}"))));
            Ok(show(desk, sku, Some(failed.into()), typed, status)?.again(draft))
        }
    }
}

fn restock<S: Seams>(
    desk: &Desk<'_, S>,
    sku: &str,
    form: &Form<'_>,
    typed: &mut Input,
) -> Result<Result<Done, Failed>, Problem> {
    let key = form.raw("key");
    if !is_key(key) {
        return Err(Problem::Stale);
    }
    let (copies, number) = Field::number(form, "copies", 1, RESTOCK_MAX);
    typed.copies = copies;
    typed.note = Field::line(form, "note", 0, NOTE_MAX);
    typed.key = Some(key.into());
    if typed.copies.wrong() || typed.note.wrong() {
        return Ok(Err(notice::fields()));
    }
    let restocked = desk.seams().restock(key, sku, number, &typed.note.value, desk.account());
    Ok(restocked.map(|_| Done::Restocked).map_err(Failed::from))
}

/// A count replaces the level, so it counts only for the level that the form was made from. A level that is as counted
/// already needs nothing: the form was sent twice.
fn count<S: Seams>(
    desk: &Desk<'_, S>,
    sku: &str,
    form: &Form<'_>,
    typed: &mut Input,
) -> Result<Result<Done, Failed>, Problem> {
    let was = form.number(WAS).ok_or(Problem::Stale)?;
    let (counted, number) = Field::number(form, "counted", 0, COUNT_MAX);
    typed.counted = counted;
    if typed.counted.wrong() {
        return Ok(Err(notice::fields()));
    }
    match desk.seams().levels(&[sku])?.first().map(|level| level.on_hand) {
        Some(now) if u64::from(now) == was => {}
        Some(now) if now == number => return Ok(Ok(Done::Counted)),
        _ => return Ok(Err(notice::moved_on("The level"))),
    }
    let level = Level { sku: sku.into(), on_hand: number };
    Ok(desk.seams().stocktake(&[level], desk.account()).map(|_| Done::Counted).map_err(Failed::from))
}

fn reprice<S: Seams>(
    desk: &Desk<'_, S>,
    sku: &str,
    form: &Form<'_>,
    typed: &mut Input,
) -> Result<Result<Done, Failed>, Problem> {
    let was = form.number(WAS).ok_or(Problem::Stale)?;
    let album = album(desk, sku)?;
    let currencies = Currencies::of(desk.seams());
    let (_, digits) = currencies.sign(&album.price.currency);
    let (price, units) = Field::amount(form, "price", digits, PRICE_MAX);
    let wrong = price.wrong();
    typed.price = Some(price);
    match u32::try_from(units) {
        // The form was sent twice.
        Ok(minor_units) if !wrong && minor_units == album.price.minor_units => Ok(Ok(Done::Repriced)),
        Ok(_) if !wrong && u64::from(album.price.minor_units) != was => Ok(Err(notice::moved_on("The price"))),
        Ok(minor_units) if !wrong => {
            let price = Money { minor_units, currency: album.price.currency };
            Ok(desk.seams().change_price(sku, &price, desk.account()).map(|()| Done::Repriced).map_err(Failed::from))
        }
        _ => Ok(Err(notice::fields())),
    }
}

/// The record, whether it is sold or not.
pub fn album<S: Seams>(desk: &Desk<'_, S>, sku: &str) -> Result<Album, Problem> {
    desk.seams().albums(&[sku])?.into_iter().find(|album| album.sku == sku).ok_or(Problem::NotFound)
}

fn show<S: Seams>(
    desk: &Desk<'_, S>,
    sku: &str,
    notice: Option<Notice>,
    typed: Input,
    status: u16,
) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let (album, levels, movements, changed, tally) = seam_sdk::together((
        || album(desk, sku),
        || seams.levels(&[sku]).ok(),
        || seams.stock_history(sku, HISTORY).ok(),
        || seams.album_changes(sku, changes::SHOWN).ok(),
        || seams.tally(&[sku]).ok(),
    ));
    let album = album?;
    let currencies = Currencies::of(seams);
    let (_, digits) = currencies.sign(&album.price.currency);
    let level = levels.and_then(|levels| levels.first().map(|level| level.on_hand));
    let movers = movements.iter().flatten().map(|one| one.by.as_str());
    let editors = changed.iter().flatten().map(|one| one.by.as_str());
    let names = Names::of(movers.chain(editors), seams);
    let now = || Field::of(plain(u64::from(album.price.minor_units), digits));
    let page = RecordPage {
        shell: desk.shell(Section::Records, notice),
        price_now: currencies.of_album(&album.price),
        level,
        tally,
        history: movements.as_ref().map(|movements| movements.iter().map(|one| row(one, &names)).collect()),
        changes: changed.as_ref().map(|changed| changes::rows(changed, &names, &currencies)),
        key: typed.key.unwrap_or_else(|| desk.key()),
        copies: typed.copies,
        note: typed.note,
        counted: typed.counted,
        price: typed.price.unwrap_or_else(now),
        album: &album,
    };
    Ok(reply(&page, status))
}

/// `GET /office/records/SKU/movements.csv`: the latest movements of its copies, as many as the warehouse lists.
pub fn csv<S: Seams>(desk: &Desk<'_, S>, sku: &str) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let movements = seams.stock_history(sku, FILE_HISTORY).map_err(|_| Problem::Unavailable(Service::Warehouse))?;
    let names = Names::of(movements.iter().map(|one| one.by.as_str()), seams);
    let mut csv = Csv::new(&["When", "Why", "Change", "On the shelf", "For", "By"]);
    for MovementBy { movement, by } in &movements {
        let (cause, _) = cause(movement.cause);
        csv.row(&[
            Cell::Time(movement.at),
            cause.into(),
            Cell::Change(movement.change.into()),
            movement.on_hand.into(),
            (&movement.reference).into(),
            names.name(by).into(),
        ]);
    }
    Ok(csv.reply(&format!("movements-{sku}")))
}

/// Why the stock changed, and whether an order did it.
fn cause(cause: Cause) -> (&'static str, bool) {
    match cause {
        Cause::Counted => ("Counted", false),
        Cause::Restocked => ("Restocked", false),
        Cause::Reserved => ("Reserved", true),
        Cause::Released => ("Released", true),
        Cause::Returned => ("Returned", true),
    }
}

fn row<'a>(one: &'a MovementBy, names: &'a Names) -> Row<'a> {
    let MovementBy { movement, by } = one;
    let (cause, order) = cause(movement.cause);
    Row {
        at: When(movement.at),
        cause,
        change: format!("{:+}", movement.change).replace('-', "\u{2212}"),
        on_hand: movement.on_hand,
        reference: &movement.reference,
        order: order && is_number(&movement.reference),
        by: names.name(by),
    }
}
