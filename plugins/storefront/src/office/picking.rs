//! The pick list: what to take off the shelves, and which copies go to whom in which parcel. Made for printing.

use std::collections::BTreeMap;

use askama::Template;

use crate::assets;
use crate::pages::sheet::address_lines;
use crate::pages::{Problem, Service};
use crate::reference::Countries;
use crate::reply::Reply;
use crate::seams::desk::Recipient;
use crate::seams::{FulfilmentError, Pick, Seams};
use crate::time::Date;

use super::csv::{Cell, Csv};
use super::desk::{Desk, Section, Shell};
use super::reply;
use super::view::{Titles, When};

/// Parcels on one sheet: about a morning's work.
const PARCELS: u32 = 50;
/// Parcels in a file: the bound of the warehouse, and of `orders` on recipients.
const FILE_PARCELS: u32 = 200;

#[derive(Template)]
#[template(path = "office/pick.html")]
struct PickPage<'a> {
    shell: Shell<'a>,
    shelves: Vec<Copies<'a>>,
    parcels: Vec<Parcel<'a>>,
    copies: u64,
    /// There are more parcels than these.
    more: bool,
    /// `orders` does not answer, so the parcels have no addresses.
    unaddressed: bool,
}

struct Copies<'a> {
    sku: &'a str,
    artist: &'a str,
    title: &'a str,
    copies: u64,
}

struct Parcel<'a> {
    order: &'a str,
    at: When,
    /// The recipient, line by line.
    to: Vec<&'a str>,
    lines: Vec<Copies<'a>>,
}

/// `GET /office/pick`
pub fn page<S: Seams>(desk: &Desk<'_, S>) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let picks = picks(desk, PARCELS + 1)?;
    let more = picks.len() > PARCELS as usize;
    let picks = picks.get(..PARCELS as usize).unwrap_or(&picks);
    let titles = Titles::of(picks.iter().flat_map(|pick| &pick.lines).map(|line| line.sku.as_str()), seams);
    let recipients = recipients(picks, seams);
    let countries = Countries::of(seams);
    let shelves = shelves(picks, &titles);
    let parcels = picks
        .iter()
        .map(|pick| Parcel {
            order: &pick.order,
            at: When(pick.at),
            to: recipient(pick, recipients.as_deref())
                .map_or(Vec::new(), |one| address_lines(&one.address, &countries)),
            lines: pick.lines.iter().map(|line| named(&line.sku, line.copies.into(), &titles)).collect(),
        })
        .collect();
    let page = PickPage {
        shell: desk.shell(Section::Picking, None),
        copies: shelves.iter().map(|one| one.copies).sum(),
        shelves,
        parcels,
        more,
        unaddressed: recipients.is_none(),
    };
    Ok(reply(&page, 200))
}

/// `GET /office/pick.csv`: a row for each record of each parcel. Without addresses there is no file.
pub fn csv<S: Seams>(desk: &Desk<'_, S>) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let picks = picks(desk, FILE_PARCELS)?;
    let titles = Titles::of(picks.iter().flat_map(|pick| &pick.lines).map(|line| line.sku.as_str()), seams);
    let recipients = recipients(&picks, seams).ok_or(Problem::Unavailable(Service::Orders))?;
    let mut csv = Csv::new(&[
        "Order", "Reserved", "Name", "Street", "Extra", "City", "Postcode", "Country", "SKU", "Artist", "Title",
        "Copies",
    ]);
    for pick in &picks {
        let address = recipient(pick, Some(&recipients)).map(|one| &one.address);
        let part = |part: fn(&crate::seams::ordering::Address) -> &String| address.map_or("", |one| part(one).as_str());
        for line in &pick.lines {
            let (artist, title) = titles.artist_and_title(&line.sku);
            csv.row(&[
                (&pick.order).into(),
                Cell::Time(pick.at),
                part(|one| &one.name).into(),
                part(|one| &one.street).into(),
                part(|one| &one.extra).into(),
                part(|one| &one.city).into(),
                part(|one| &one.postcode).into(),
                part(|one| &one.country).into(),
                (&line.sku).into(),
                artist.into(),
                title.into(),
                line.copies.into(),
            ]);
        }
    }
    Ok(csv.reply(&format!("parcels-{}", Date(seams.now()))))
}

fn picks<S: Seams>(desk: &Desk<'_, S>, count: u32) -> Result<Vec<Pick>, Problem> {
    let seams = desk.seams();
    seams.pick_list(count).map_err(|error| match error {
        FulfilmentError::Unavailable(_) => Problem::Unavailable(Service::Warehouse),
        other => {
            seams.warn(&format!("warehouse refused: {other}"));
            Problem::Refused
        }
    })
}

/// Who gets the parcels; none while `orders` does not answer.
fn recipients(picks: &[Pick], seams: &impl Seams) -> Option<Vec<Recipient>> {
    let orders: Vec<&str> = picks.iter().map(|pick| pick.order.as_str()).collect();
    if orders.is_empty() { Some(Vec::new()) } else { seams.recipients(&orders).ok() }
}

fn recipient<'a>(pick: &Pick, recipients: Option<&'a [Recipient]>) -> Option<&'a Recipient> {
    recipients?.iter().find(|one| one.order == pick.order)
}

fn named<'a>(sku: &'a str, copies: u64, titles: &'a Titles) -> Copies<'a> {
    let (artist, title) = titles.artist_and_title(sku);
    Copies { sku, artist, title, copies }
}

/// All copies, in the order of the shelves: by artist, then title.
fn shelves<'a>(picks: &'a [Pick], titles: &'a Titles) -> Vec<Copies<'a>> {
    let mut sums = BTreeMap::<&str, u64>::new();
    for line in picks.iter().flat_map(|pick| &pick.lines) {
        *sums.entry(&line.sku).or_default() += u64::from(line.copies);
    }
    let mut shelves: Vec<Copies<'a>> = sums.into_iter().map(|(sku, copies)| named(sku, copies, titles)).collect();
    shelves.sort_by(|one, other| (one.artist, one.title, one.sku).cmp(&(other.artist, other.title, other.sku)));
    shelves
}
