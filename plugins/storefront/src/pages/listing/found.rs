//! The albums of one page of a list: searched for or filtered, sorted, and if wanted without what is sold out.
//!
//! The catalog hands out pages of a list in its own order. Any other list comes as SKUs, from which this picks the
//! page: the catalog sorts and knows no stock, the warehouse knows the stock and nothing else.

use std::collections::BTreeSet;

use super::{levels, levels_of};
use crate::list_view::ListView;
use crate::paging::PAGE_SIZE;
use crate::seams::{AlbumPage, CallError, Filter, Level, Seams};

/// Albums of a list that is sorted or sifted.
pub const LISTED_MOST: u32 = 1000;
/// SKUs in one call to the warehouse.
const LEVELS_MAX: usize = 500;

/// What a list has.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    Words(&'a str),
    Filter(Filter<'a>),
}

pub struct Found {
    pub page: AlbumPage,
    /// The stock of the page's albums, if the warehouse answers.
    pub levels: Option<Vec<Level>>,
    /// The list is longer than what is sorted.
    pub cut: bool,
    /// What is sold out should be left out, but the warehouse does not say what that is.
    pub unsifted: bool,
}

/// Page `number` of a list.
pub fn found(question: Question<'_>, view: ListView, number: u32, seams: &impl Seams) -> Result<Found, CallError> {
    if view.is_plain() {
        let page = match question {
            Question::Words(words) => seams.search(words, number, PAGE_SIZE)?,
            Question::Filter(filter) => seams.browse(filter, number, PAGE_SIZE)?,
        };
        let levels = levels(&page.albums, seams);
        return Ok(Found { page, levels, cut: false, unsifted: false });
    }
    let (words, filter) = match question {
        Question::Words(words) => (words, Filter::default()),
        Question::Filter(filter) => ("", filter),
    };
    let mut skus = seams.list_skus(words, filter, view.sorting)?;
    let cut = skus.len() as u32 >= LISTED_MOST;
    let sifted = if view.in_stock { there(&skus, seams) } else { None };
    if let Some(there) = &sifted {
        skus.retain(|sku| there.contains(sku.as_str()));
    }
    let unsifted = view.in_stock && sifted.is_none();
    let before = number.saturating_sub(1).saturating_mul(PAGE_SIZE);
    let shown: Vec<&str> = skus.iter().skip(before as usize).take(PAGE_SIZE as usize).map(String::as_str).collect();
    let albums = if shown.is_empty() { Vec::new() } else { seams.albums(&shown)? };
    let levels = levels(&albums, seams);
    let total = skus.len() as u32;
    let more = before.saturating_add(PAGE_SIZE) < total;
    Ok(Found { page: AlbumPage { albums, total, more }, levels, cut, unsifted })
}

/// Those of `skus` that can be sent; `None` if the warehouse does not answer.
fn there(skus: &[String], seams: &impl Seams) -> Option<BTreeSet<String>> {
    let mut there = BTreeSet::new();
    for skus in skus.chunks(LEVELS_MAX) {
        let levels = levels_of(&skus.iter().map(String::as_str).collect::<Vec<_>>(), seams)?;
        there.extend(levels.into_iter().filter(|level| level.on_hand > 0).map(|level| level.sku));
    }
    Some(there)
}
