//! Records found by words or SKU, with price and stock; each links to its page.

use askama::Template;

use crate::assets;
use crate::cart::is_sku;
use crate::href::Encoded;
use crate::money::{Price, Total};
use crate::pages::Problem;
use crate::paging::{PAGE_MAX, PAGE_SIZE};
use crate::params::search_words;
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::{Album, Filter, Level, Seams};

use super::desk::{Desk, Section, Shell};
use super::query::Query;
use super::reply;

/// Where the catalog stops counting search results and lists.
const SEARCH_MOST: u32 = 200;
const BROWSE_MOST: u32 = 1000;

#[derive(Template)]
#[template(path = "office/records.html")]
struct RecordsPage<'a> {
    shell: Shell<'a>,
    words: &'a str,
    total: Total,
    rows: Vec<Row<'a>>,
    page: u32,
    previous: Option<String>,
    next: Option<String>,
    /// The warehouse does not answer.
    uncounted: bool,
}

struct Row<'a> {
    album: &'a Album,
    price: Price<'a>,
    on_hand: Option<u32>,
}

/// `GET /office/records?q=&page=`
pub fn page<S: Seams>(desk: &Desk<'_, S>, query: &Query) -> Result<Reply, Problem> {
    let seams = desk.seams();
    if query.page > PAGE_MAX {
        return Err(Problem::PastTheEnd);
    }
    let words = query.q.as_str();
    let searched = search_words(words) > 0;
    let mut found = match searched {
        true => seams.search(words, query.page, PAGE_SIZE)?,
        false => seams.browse(Filter::default(), query.page, PAGE_SIZE)?,
    };
    // The catalog's search finds neither SKUs nor discontinued records.
    let sku = words.to_ascii_uppercase();
    if query.page == 1 && is_sku(&sku) && !found.albums.iter().any(|album| album.sku == sku) {
        let exact = seams.albums(&[&sku])?;
        found.total = found.total.saturating_add(u32::from(!exact.is_empty()));
        found.albums.splice(0..0, exact);
    }
    if found.albums.is_empty() && query.page > 1 {
        return Err(Problem::PastTheEnd);
    }
    let skus: Vec<&str> = found.albums.iter().map(|album| album.sku.as_str()).collect();
    let levels = if skus.is_empty() { Some(Vec::new()) } else { seams.levels(&skus).ok() };
    let currencies = Currencies::of(seams);
    let href = |page: u32| format!("/office/records?q={}&page={page}", Encoded(words));
    let page = RecordsPage {
        shell: desk.shell(Section::Records, None),
        words,
        total: Total { count: found.total, most: if searched { SEARCH_MOST } else { BROWSE_MOST } },
        rows: rows(&found.albums, levels.as_deref(), &currencies),
        page: query.page,
        previous: (query.page > 1).then(|| href(query.page - 1)),
        next: (found.more && query.page < PAGE_MAX).then(|| href(query.page + 1)),
        uncounted: levels.is_none(),
    };
    Ok(reply(&page, 200))
}

fn rows<'a>(albums: &'a [Album], levels: Option<&[Level]>, currencies: &'a Currencies) -> Vec<Row<'a>> {
    let on_hand = |sku: &str| levels?.iter().find(|level| level.sku == sku).map(|level| level.on_hand);
    let row = |album: &'a Album| Row { album, price: currencies.of_album(&album.price), on_hand: on_hand(&album.sku) };
    albums.iter().map(row).collect()
}
