//! Lists of albums: search and browse.
//!
//! Both call the catalog and the warehouse. Browse also calls the catalog for its facets; without them it has no
//! sidebar.

use askama::Template;

use super::{Problem, Shell, levels, render};
use crate::assets;
use crate::href;
use crate::money::{Count, Total};
use crate::paging::{PAGE_MAX, PAGE_SIZE, PageLink, Paging};
use crate::params::{Params, search_words};
use crate::reference::Currencies;
use crate::reply::{CachePolicy, Reply};
use crate::seams::{AlbumPage, Facet, Facets, Filter, Seams};
use crate::view::{Card, cards};
use crate::visit::Visit;

/// Where the catalog stops counting: this number means this many or more.
const SEARCH_MOST: u32 = 200;
const BROWSE_MOST: u32 = 1000;
/// Artists in the sidebar. Visitors find the others by search.
const ARTISTS: usize = 15;

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage<'a> {
    shell: Shell<'a>,
    total: Total,
    cards: Vec<Card<'a>>,
    pages: Option<Pages>,
}

#[derive(Template)]
#[template(path = "browse.html")]
struct BrowsePage<'a> {
    shell: Shell<'a>,
    filter: Filter<'a>,
    chosen: Vec<Choice<'a>>,
    groups: Vec<Group<'a>>,
    total: Total,
    cards: Vec<Card<'a>>,
    pages: Option<Pages>,
    canonical: String,
}

/// A filter that is set, and the address without it.
struct Choice<'a> {
    name: &'a str,
    decade: bool,
    href: String,
}

/// One heading of the sidebar.
struct Group<'a> {
    title: &'static str,
    links: Vec<Link<'a>>,
}

struct Link<'a> {
    href: String,
    name: &'a str,
    /// Shown as `1970s`.
    decade: bool,
    count: Option<Count>,
    here: bool,
}

/// The row of page numbers.
struct Pages {
    page: u32,
    last: u32,
    previous: Option<String>,
    next: Option<String>,
    links: Vec<(PageLink, String)>,
}

/// `/search?q=&page=`
pub fn search(params: &Params<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let words = params.q.as_deref().unwrap_or_default();
    let shell = Shell { words, ..Shell::of(visit) };
    // Punctuation alone finds nothing, so no context is called.
    if search_words(words) == 0 {
        let page = SearchPage { shell, total: Total::default(), cards: Vec::new(), pages: None };
        return Ok(Reply::html(CachePolicy::OneDay, render(&page, 4 * 1024)));
    }
    let number = page_number(params)?;
    let found = seams.search(words, number, PAGE_SIZE)?;
    refuse_past_the_end(&found, number)?;
    let levels = levels(&found.albums, seams);
    let currencies = Currencies::of(seams);
    let page = SearchPage {
        shell,
        total: Total { count: found.total, most: SEARCH_MOST },
        cards: cards(&found.albums, levels.as_deref(), &currencies),
        pages: pages(&found, number, |page| href::search(words, page)),
    };
    Ok(Reply::html(cache(levels.is_some()), render(&page, 24 * 1024)))
}

/// `/browse?genre=&artist=&decade=&page=`
pub fn browse(params: &Params<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let number = page_number(params)?;
    let filter = Filter { genre: params.genre.as_deref(), artist: params.artist.as_deref(), decade: params.decade };
    let found = seams.browse(filter, number, PAGE_SIZE)?;
    refuse_past_the_end(&found, number)?;
    let facets = seams.facets().ok();
    let levels = levels(&found.albums, seams);
    let decade_name = filter.decade.map(|decade| decade.to_string());
    let currencies = Currencies::of(seams);
    let page = BrowsePage {
        shell: Shell::of(visit),
        filter,
        chosen: choices(filter, decade_name.as_deref()),
        groups: facets.as_ref().map(|facets| groups(facets, filter)).unwrap_or_default(),
        total: Total { count: found.total, most: BROWSE_MOST },
        cards: cards(&found.albums, levels.as_deref(), &currencies),
        pages: pages(&found, number, |page| href::browse(&filter, page)),
        canonical: href::browse(&filter, number),
    };
    Ok(Reply::html(cache(facets.is_some() && levels.is_some()), render(&page, 32 * 1024)))
}

fn cache(whole: bool) -> CachePolicy {
    if whole { CachePolicy::HalfMinute } else { CachePolicy::NoStore }
}

fn page_number(params: &Params<'_>) -> Result<u32, Problem> {
    match params.page.unwrap_or(1) {
        number if number <= PAGE_MAX => Ok(number),
        _ => Err(Problem::PastTheEnd),
    }
}

fn refuse_past_the_end(found: &AlbumPage, number: u32) -> Result<(), Problem> {
    if found.albums.is_empty() && number > 1 { Err(Problem::PastTheEnd) } else { Ok(()) }
}

fn pages(found: &AlbumPage, number: u32, href: impl Fn(u32) -> String) -> Option<Pages> {
    let paging = Paging::new(number, found.total, found.more);
    (paging.last > 1).then(|| Pages {
        page: paging.page,
        last: paging.last,
        previous: paging.previous().map(&href),
        next: paging.next().map(&href),
        links: paging
            .links()
            .into_iter()
            .map(|link| match link {
                PageLink::Page(page) => (link, href(page)),
                PageLink::Current(_) | PageLink::Gap => (link, String::new()),
            })
            .collect(),
    })
}

fn choices<'a>(filter: Filter<'a>, decade: Option<&'a str>) -> Vec<Choice<'a>> {
    let without = [
        (filter.genre, false, Filter { genre: None, ..filter }),
        (filter.artist, false, Filter { artist: None, ..filter }),
        (decade, true, Filter { decade: None, ..filter }),
    ];
    without
        .into_iter()
        .filter_map(|(name, decade, rest)| Some(Choice { name: name?, decade, href: href::browse(&rest, 1) }))
        .collect()
}

/// Facets count the whole catalog, so a combination of them may have no albums. A genre link keeps the decade, a decade
/// link keeps every filter, an artist link keeps none. A count is shown only if it is the count of the linked page.
fn groups<'a>(facets: &'a Facets, filter: Filter<'a>) -> Vec<Group<'a>> {
    let genres = facets.genres.iter().map(|facet| {
        let name = Some(facet.name.as_str());
        link(facet, false, Filter { genre: name, artist: None, ..filter }, filter.genre == name)
    });
    let decades = facets.decades.iter().filter_map(|facet| {
        let year = decade(facet)?;
        Some(link(facet, true, Filter { decade: Some(year), ..filter }, filter.decade == Some(year)))
    });
    let artists = facets.artists.iter().take(ARTISTS).map(|facet| {
        let name = Some(facet.name.as_str());
        link(facet, false, Filter { artist: name, ..Filter::default() }, filter.artist == name)
    });
    let groups = [
        Group { title: "Genre", links: genres.collect() },
        Group { title: "Decade", links: decades.collect() },
        Group { title: "Artist", links: artists.collect() },
    ];
    groups.into_iter().filter(|group| !group.links.is_empty()).collect()
}

fn link<'a>(facet: &'a Facet, decade: bool, target: Filter<'_>, here: bool) -> Link<'a> {
    let name = if decade { facet.name.trim_end_matches('s') } else { &facet.name };
    let parts = [target.genre.is_some(), target.artist.is_some(), target.decade.is_some()];
    let alone = parts.iter().filter(|part| **part).count() == 1;
    Link { href: href::browse(&target, 1), name, decade, count: alone.then_some(Count(facet.count)), here }
}

/// The first year of a decade's facet, `1970` or `1970s`.
pub fn decade(facet: &Facet) -> Option<u16> {
    facet.name.trim_end_matches('s').parse().ok()
}
