//! Lists of albums: search and browse.
//!
//! Both call the catalog and the warehouse. Browse also calls the catalog for its facets; without them it has no
//! sidebar. A search that finds next to nothing may have a typing mistake (`meant`).

mod found;

use askama::Template;

use self::found::{Found, LISTED_MOST, Question, found};
use super::{Problem, Shell, levels, levels_of, render};
use crate::assets;
use crate::href;
use crate::list_view::ListView;
use crate::meant::Meant;
use crate::money::{Count, Total};
use crate::paging::{PAGE_MAX, PageLink, Paging};
use crate::params::{Params, WORDS_MAX, search_words};
use crate::reference::Currencies;
use crate::reply::{CachePolicy, Reply};
use crate::seams::{AlbumPage, CallError, Facet, Facets, Filter, Seams, Sorting};
use crate::view::{Card, cards};
use crate::visit::Visit;

/// Where the catalog stops counting: this number means this many or more.
const SEARCH_MOST: u32 = 200;
const BROWSE_MOST: u32 = 1000;
/// Artists in the sidebar. Visitors find the others by search.
const ARTISTS: usize = 15;
/// Genres to go on with after a search that finds nothing.
const WAYS_ON: usize = 8;

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage<'a> {
    shell: Shell<'a>,
    /// The words whose albums are shown, because there are none under those typed.
    instead: Option<String>,
    /// Words that find more, and their address.
    meant: Option<(String, String)>,
    total: Total,
    cards: Vec<Card<'a>>,
    pages: Option<Pages>,
    sorts: Sorts,
    /// Genres to look into when nothing is found.
    ways_on: Vec<Link<'a>>,
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
    sorts: Sorts,
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

/// The row above a list: in which order it is, and what can be left out.
struct Sorts {
    links: Vec<SortLink>,
    /// The same list with what is sold out, or without it.
    stock: String,
    in_stock: bool,
    cut: bool,
    unsifted: bool,
}

struct SortLink {
    href: String,
    name: &'static str,
    here: bool,
}

/// `/search?q=&sort=&stock=&page=`
pub fn search(params: &Params<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let words = params.q.as_deref().unwrap_or_default();
    let view = params.view;
    let shell = Shell { words, ..Shell::of(visit) };
    let number = page_number(params)?;
    let list = if words.is_empty() { nothing() } else { of_words(words, view, number, seams)? };
    let meant = match number {
        1 => Meant::of(words, list, seams, |list| list.page.total, |other| of_words(other, view, 1, seams))?,
        _ => Meant::literally(list),
    };
    let Meant { list, instead, better } = meant;
    let meant = better.map(|other| {
        let href = href::search(&other, view, 1);
        (other, href)
    });
    refuse_past_the_end(&list.page, number)?;
    let shown = instead.as_deref().unwrap_or(words);
    let facets = if list.page.albums.is_empty() && !words.is_empty() { seams.facets().ok() } else { None };
    let currencies = Currencies::of(seams);
    let page = SearchPage {
        shell,
        total: Total { count: list.page.total, most: SEARCH_MOST },
        cards: cards(&list.page.albums, list.levels.as_deref(), &currencies),
        pages: pages(&list.page, number, |page| href::search(shown, view, page)),
        sorts: sorts("Best match", view, &list, |view| href::search(shown, view, 1)),
        ways_on: facets.as_ref().map(ways_on).unwrap_or_default(),
        instead,
        meant,
    };
    let cache = if words.is_empty() { CachePolicy::OneDay } else { cache(list.levels.is_some() && !list.unsifted) };
    Ok(Reply::html(cache, render(&page, 24 * 1024)))
}

/// What is under these words; nothing if they are signs that the catalog cannot look for.
fn of_words(words: &str, view: ListView, number: u32, seams: &impl Seams) -> Result<Found, Problem> {
    let signs = search_words(words) == 0;
    if signs && words.split(' ').count() > WORDS_MAX {
        return Ok(nothing());
    }
    match found(Question::Words(words), view, number, seams) {
        Err(CallError::Invalid) if signs => Ok(nothing()),
        list => Ok(list?),
    }
}

fn nothing() -> Found {
    let page = AlbumPage { albums: Vec::new(), total: 0, more: false };
    Found { page, levels: Some(Vec::new()), cut: false, unsifted: false }
}

fn ways_on(facets: &Facets) -> Vec<Link<'_>> {
    let genres = facets.genres.iter().take(WAYS_ON);
    genres
        .map(|facet| {
            let filter = Filter { genre: Some(&facet.name), ..Filter::default() };
            link(facet, false, filter, ListView::PLAIN, false)
        })
        .collect()
}

/// `/browse?genre=&artist=&decade=&sort=&stock=&page=`
pub fn browse(params: &Params<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let number = page_number(params)?;
    // By year is the catalog's own order.
    let sorting = if params.view.sorting == Sorting::Newest { Sorting::Best } else { params.view.sorting };
    let view = ListView { sorting, ..params.view };
    let filter = Filter { genre: params.genre.as_deref(), artist: params.artist.as_deref(), decade: params.decade };
    let there = || {
        let list = found(Question::Filter(filter), view, number, seams)?;
        refuse_past_the_end(&list.page, number).map(|()| list)
    };
    let facets = || seams.facets().ok();
    let (list, facets) = match seams.together_pays() {
        true => seam_sdk::together((there, facets)),
        // A page that does not exist needs no facets.
        false => (Ok(there()?), facets()),
    };
    let list = list?;
    let decade_name = filter.decade.map(|decade| decade.to_string());
    let currencies = Currencies::of(seams);
    let page = BrowsePage {
        shell: Shell::of(visit),
        filter,
        chosen: choices(filter, decade_name.as_deref(), view),
        groups: facets.as_ref().map(|facets| groups(facets, filter, view)).unwrap_or_default(),
        total: Total { count: list.page.total, most: if view.is_plain() { BROWSE_MOST } else { LISTED_MOST } },
        cards: cards(&list.page.albums, list.levels.as_deref(), &currencies),
        pages: pages(&list.page, number, |page| href::browse(&filter, view, page)),
        sorts: sorts("Newest", view, &list, |view| href::browse(&filter, view, 1)),
        canonical: href::browse(&filter, ListView::PLAIN, if view.is_plain() { number } else { 1 }),
    };
    let whole = facets.is_some() && list.levels.is_some() && !list.unsifted;
    Ok(Reply::html(cache(whole), render(&page, 32 * 1024)))
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

/// `best` is the name of the catalog's own order; `href` is the list's address in another view.
fn sorts(best: &'static str, view: ListView, list: &Found, href: impl Fn(ListView) -> String) -> Sorts {
    let all = [
        (Sorting::Best, best),
        (Sorting::Newest, "Newest"),
        (Sorting::Cheapest, "Price, low to high"),
        (Sorting::Dearest, "Price, high to low"),
        (Sorting::Artist, "Artist"),
    ];
    let other = all.into_iter().filter(|(sorting, name)| *sorting == Sorting::Best || *name != best);
    let link =
        |(sorting, name)| SortLink { href: href(ListView { sorting, ..view }), name, here: sorting == view.sorting };
    Sorts {
        links: other.map(link).collect(),
        stock: href(ListView { in_stock: !view.in_stock, ..view }),
        in_stock: view.in_stock,
        cut: list.cut,
        unsifted: list.unsifted,
    }
}

fn choices<'a>(filter: Filter<'a>, decade: Option<&'a str>, view: ListView) -> Vec<Choice<'a>> {
    let without = [
        (filter.genre, false, Filter { genre: None, ..filter }),
        (filter.artist, false, Filter { artist: None, ..filter }),
        (decade, true, Filter { decade: None, ..filter }),
    ];
    without
        .into_iter()
        .filter_map(|(name, decade, rest)| Some(Choice { name: name?, decade, href: href::browse(&rest, view, 1) }))
        .collect()
}

/// Facets count the whole catalog, so a combination of them may have no albums. A genre link keeps the decade, a decade
/// link keeps every filter, an artist link keeps none; all keep the view. A count is shown only if it is the count of
/// the linked page.
fn groups<'a>(facets: &'a Facets, filter: Filter<'a>, view: ListView) -> Vec<Group<'a>> {
    let genres = facets.genres.iter().map(|facet| {
        let name = Some(facet.name.as_str());
        link(facet, false, Filter { genre: name, artist: None, ..filter }, view, filter.genre == name)
    });
    let decades = facets.decades.iter().filter_map(|facet| {
        let year = decade(facet)?;
        Some(link(facet, true, Filter { decade: Some(year), ..filter }, view, filter.decade == Some(year)))
    });
    let artists = facets.artists.iter().take(ARTISTS).map(|facet| {
        let name = Some(facet.name.as_str());
        link(facet, false, Filter { artist: name, ..Filter::default() }, view, filter.artist == name)
    });
    let groups = [
        Group { title: "Genre", links: genres.collect() },
        Group { title: "Decade", links: decades.collect() },
        Group { title: "Artist", links: artists.collect() },
    ];
    groups.into_iter().filter(|group| !group.links.is_empty()).collect()
}

fn link<'a>(facet: &'a Facet, decade: bool, target: Filter<'_>, view: ListView, here: bool) -> Link<'a> {
    let name = if decade { facet.name.trim_end_matches('s') } else { &facet.name };
    let parts = [target.genre.is_some(), target.artist.is_some(), target.decade.is_some()];
    let alone = !view.in_stock && parts.iter().filter(|part| **part).count() == 1;
    Link { href: href::browse(&target, view, 1), name, decade, count: alone.then_some(Count(facet.count)), here }
}

/// The first year of a decade's facet, `1970` or `1970s`.
pub fn decade(facet: &Facet) -> Option<u16> {
    facet.name.trim_end_matches('s').parse().ok()
}
