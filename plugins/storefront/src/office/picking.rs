//! The pick list: what to take off the shelves, and which copies go into which parcel. Made for printing.

use std::collections::BTreeMap;

use askama::Template;

use crate::assets;
use crate::pages::{Problem, Service};
use crate::reply::Reply;
use crate::seams::{FulfilmentError, Pick, Seams};

use super::desk::{Desk, Section, Shell};
use super::reply;
use super::view::{Titles, When};

/// Parcels on one sheet: about a morning's work.
const PARCELS: u32 = 50;

#[derive(Template)]
#[template(path = "office/pick.html")]
struct PickPage<'a> {
    shell: Shell<'a>,
    shelves: Vec<Copies<'a>>,
    parcels: Vec<Parcel<'a>>,
    copies: u64,
    /// There are more parcels than these.
    more: bool,
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
    lines: Vec<Copies<'a>>,
}

/// `GET /office/pick`
pub fn page<S: Seams>(desk: &Desk<'_, S>) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let picks = seams.pick_list(PARCELS + 1).map_err(|error| match error {
        FulfilmentError::Unavailable(_) => Problem::Unavailable(Service::Warehouse),
        other => {
            seams.warn(&format!("warehouse refused: {other}"));
            Problem::Refused
        }
    })?;
    let more = picks.len() > PARCELS as usize;
    let picks = picks.get(..PARCELS as usize).unwrap_or(&picks);
    let titles = Titles::of(picks.iter().flat_map(|pick| &pick.lines).map(|line| line.sku.as_str()), seams);
    let shelves = shelves(picks, &titles);
    let parcels = picks
        .iter()
        .map(|pick| Parcel {
            order: &pick.order,
            at: When(pick.at),
            lines: pick.lines.iter().map(|line| named(&line.sku, line.copies.into(), &titles)).collect(),
        })
        .collect();
    let page = PickPage {
        shell: desk.shell(Section::Picking, None),
        copies: shelves.iter().map(|one| one.copies).sum(),
        shelves,
        parcels,
        more,
    };
    Ok(reply(&page, 200))
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
