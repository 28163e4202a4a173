//! Records found by words or SKU, or those that are no longer sold, with price and stock; each links to its page.

use askama::Template;

use crate::assets;
use crate::cart::is_sku;
use crate::href::Encoded;
use crate::meant::Meant;
use crate::money::{Price, Total};
use crate::pages::Problem;
use crate::paging::{PAGE_MAX, PAGE_SIZE};
use crate::params::search_words;
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::{Album, AlbumPage, Filter, Level, Seams};
use crate::time::Date;

use super::csv::{Cell, Csv, ROWS_MAX};
use super::desk::{Desk, Section, Shell};
use super::notice::Notice;
use super::query::Query;
use super::reply;

/// Where the catalog stops counting search results and lists.
const SEARCH_MOST: u32 = 200;
const BROWSE_MOST: u32 = 1000;
/// Records that one call brings into a file: the bounds of the interfaces. The catalog lists no more than 10,000.
const FOUND_PART: u32 = 100;
const GONE_PART: u32 = 500;
const LEVELS_MAX: usize = 500;

#[derive(Template)]
#[template(path = "office/records.html")]
struct RecordsPage<'a> {
    shell: Shell<'a>,
    words: &'a str,
    /// The words whose records are shown, because there are none under `words`.
    instead: Option<&'a str>,
    /// Words that find more.
    better: Option<Link<'a>>,
    /// The list of records that are no longer sold.
    gone: bool,
    csv: String,
    total: Total,
    rows: Vec<Row<'a>>,
    page: u32,
    previous: Option<String>,
    next: Option<String>,
    /// The warehouse does not answer.
    uncounted: bool,
}

/// The list under these words.
struct Link<'a> {
    words: &'a str,
    href: String,
}

struct Row<'a> {
    album: &'a Album,
    price: Price<'a>,
    on_hand: Option<u32>,
}

/// `GET /office/records?q=&page=`, or `?gone=1&after=SKU`
pub fn page<S: Seams>(desk: &Desk<'_, S>, query: &Query) -> Result<Reply, Problem> {
    listed(desk, query, None, 200)
}

fn listed<S: Seams>(desk: &Desk<'_, S>, query: &Query, notice: Option<Notice>, status: u16) -> Result<Reply, Problem> {
    if query.page > PAGE_MAX {
        return Err(Problem::PastTheEnd);
    }
    if query.gone {
        return gone(desk, &query.after, notice, status);
    }
    let words = query.q.as_str();
    let find = |words: &str| found(desk, words, query.page, PAGE_SIZE);
    let meant = match query.page {
        1 => Meant::of(words, find(words)?, desk.seams(), |found| found.total, find)?,
        _ => Meant::literally(find(words)?),
    };
    let Meant { list: found, instead, better } = meant;
    let shown = instead.as_deref().unwrap_or(words);
    if found.albums.is_empty() && query.page > 1 {
        return Err(Problem::PastTheEnd);
    }
    let href = |page: u32| format!("/office/records?q={}&page={page}", Encoded(shown));
    let most = if search_words(shown) > 0 { SEARCH_MOST } else { BROWSE_MOST };
    let list = List {
        words,
        instead: instead.as_deref(),
        better: better.as_deref(),
        gone: false,
        csv: format!("/office/records.csv?q={}", Encoded(shown)),
        total: Total { count: found.total, most },
        page: query.page,
        previous: (query.page > 1).then(|| href(query.page - 1)),
        next: (found.more && query.page < PAGE_MAX).then(|| href(query.page + 1)),
    };
    show(desk, list, &found.albums, notice, status)
}

/// The records that are no longer sold, in the order of their SKUs.
fn gone<S: Seams>(desk: &Desk<'_, S>, after: &str, notice: Option<Notice>, status: u16) -> Result<Reply, Problem> {
    let after = if is_sku(after) { after } else { "" };
    let mut albums = desk.seams().discontinued(after, PAGE_SIZE + 1)?;
    let more = albums.len() > PAGE_SIZE as usize;
    albums.truncate(PAGE_SIZE as usize);
    let last = albums.last().filter(|_| more).map(|album| album.sku.as_str());
    let list = List {
        words: "",
        instead: None,
        better: None,
        gone: true,
        csv: "/office/records.csv?gone=1".into(),
        total: Total { count: u32::try_from(albums.len()).unwrap_or(u32::MAX), most: u32::MAX },
        page: 1,
        previous: (!after.is_empty()).then(|| "/office/records?gone=1".into()),
        next: last.map(|sku| format!("/office/records?gone=1&after={sku}")),
    };
    show(desk, list, &albums, notice, status)
}

/// What the page says of its list.
struct List<'a> {
    words: &'a str,
    instead: Option<&'a str>,
    better: Option<&'a str>,
    gone: bool,
    csv: String,
    total: Total,
    page: u32,
    previous: Option<String>,
    next: Option<String>,
}

fn show<S: Seams>(
    desk: &Desk<'_, S>,
    list: List<'_>,
    albums: &[Album],
    notice: Option<Notice>,
    status: u16,
) -> Result<Reply, Problem> {
    let levels = levels(albums, desk.seams());
    let currencies = Currencies::of(desk.seams());
    let List { words, instead, better, gone, csv, total, page, previous, next } = list;
    let page = RecordsPage {
        shell: desk.shell(Section::Records, notice),
        words,
        instead,
        better: better.map(|words| Link { words, href: format!("/office/records?q={}", Encoded(words)) }),
        gone,
        csv,
        total,
        rows: rows(albums, levels.as_deref(), &currencies),
        page,
        previous,
        next,
        uncounted: levels.is_none(),
    };
    Ok(reply(&page, status))
}

/// `GET /office/records.csv`, with the parameters of the page: the whole list.
pub fn csv<S: Seams>(desk: &Desk<'_, S>, query: &Query) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let Some(albums) = whole(desk, query)? else {
        let text =
            format!("The list has more than {ROWS_MAX} records. Search for an artist or a label, and fetch a part.");
        let query = Query { page: 1, after: String::new(), ..query.clone() };
        return listed(desk, &query, Some(Notice { good: false, text }), 422);
    };
    let currencies = Currencies::of(seams);
    let mut csv =
        Csv::new(&["SKU", "Artist", "Title", "Year", "Genre", "Label", "Price", "Currency", "Sold", "On the shelf"]);
    for albums in albums.chunks(LEVELS_MAX) {
        let levels = levels(albums, seams);
        for Row { album, on_hand, .. } in rows(albums, levels.as_deref(), &currencies) {
            let (_, digits) = currencies.sign(&album.price.currency);
            csv.row(&[
                (&album.sku).into(),
                (&album.artist).into(),
                (&album.title).into(),
                u32::from(album.year).into(),
                (&album.genre).into(),
                (&album.label).into(),
                Cell::Amount(album.price.minor_units.into(), digits),
                (&album.price.currency).into(),
                if album.discontinued { "no" } else { "yes" }.into(),
                on_hand.map_or(Cell::Empty, Cell::from),
            ]);
        }
    }
    Ok(csv.reply(&format!("records-{}", Date(seams.now()))))
}

/// The whole list; none if it is too long for a file.
fn whole<S: Seams>(desk: &Desk<'_, S>, query: &Query) -> Result<Option<Vec<Album>>, Problem> {
    let mut albums: Vec<Album> = Vec::new();
    for page in 1.. {
        let more = if query.gone {
            let after = albums.last().map_or(String::new(), |album| album.sku.clone());
            let found = desk.seams().discontinued(&after, GONE_PART)?;
            let more = found.len() >= GONE_PART as usize;
            albums.extend(found);
            more
        } else {
            let found = found(desk, &query.q, page, FOUND_PART)?;
            albums.extend(found.albums);
            found.more
        };
        if !more {
            return Ok(Some(albums));
        }
        if albums.len() >= ROWS_MAX {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Records on sale that match the words, all without words, and the one with this SKU, sold or not.
fn found<S: Seams>(desk: &Desk<'_, S>, words: &str, page: u32, size: u32) -> Result<AlbumPage, Problem> {
    let seams = desk.seams();
    let mut found = match search_words(words) > 0 {
        true => seams.search(words, page, size)?,
        false => seams.browse(Filter::default(), page, size)?,
    };
    // The catalog's search does not find discontinued records.
    let sku = words.to_ascii_uppercase();
    if page == 1 && is_sku(&sku) && !found.albums.iter().any(|album| album.sku == sku) {
        let exact = seams.albums(&[&sku])?;
        found.total = found.total.saturating_add(u32::from(!exact.is_empty()));
        found.albums.splice(0..0, exact);
    }
    Ok(found)
}

/// The copies of these records, in one call; none while the warehouse does not answer.
fn levels(albums: &[Album], seams: &impl Seams) -> Option<Vec<Level>> {
    let skus: Vec<&str> = albums.iter().map(|album| album.sku.as_str()).collect();
    if skus.is_empty() { Some(Vec::new()) } else { seams.levels(&skus).ok() }
}

fn rows<'a>(albums: &'a [Album], levels: Option<&[Level]>, currencies: &'a Currencies) -> Vec<Row<'a>> {
    let on_hand = |sku: &str| levels?.iter().find(|level| level.sku == sku).map(|level| level.on_hand);
    let row = |album: &'a Album| Row { album, price: currencies.of_album(&album.price), on_hand: on_hand(&album.sku) };
    albums.iter().map(row).collect()
}
