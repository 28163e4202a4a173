//! The home page: popular albums, and links to genres and decades.
//!
//! It calls recommendation for popular albums (without it, the page shows the newest ones), the catalog for these
//! albums and its facets (without them, no genres and decades), and the warehouse for their stock.

use askama::Template;

use super::listing::decade;
use super::{Problem, Shell, levels_of, render};
use crate::assets;
use crate::cover::Family;
use crate::href;
use crate::list_view::ListView;
use crate::money::Count;
use crate::reference::Currencies;
use crate::reply::{CachePolicy, Reply};
use crate::seams::{Facet, Filter, Seams};
use crate::view::{Card, cards};
use crate::visit::Visit;

/// Albums shown: full rows of 2, 3, 4 and 6.
const SHOWN: u32 = 12;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    shell: Shell<'a>,
    /// The cards are the popular albums, not the newest ones.
    popular: bool,
    cards: Vec<Card<'a>>,
    genres: Vec<CategoryLink<'a>>,
    decades: Vec<CategoryLink<'a>>,
    total: Count,
}

/// A link to a genre or a decade.
struct CategoryLink<'a> {
    href: String,
    name: &'a str,
    count: Count,
    /// The CSS class of its colours.
    family: &'static str,
}

impl HomePage<'_> {
    /// The query that tells the host which clicks come from recommendations.
    fn via(&self) -> &'static str {
        if self.popular { "?via=recommendation" } else { "" }
    }
}

/// `/`
pub fn home(visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let (suggestions, facets) = seam_sdk::together((|| seams.suggest(&[], SHOWN), || seams.facets().ok()));
    let suggestions = suggestions.unwrap_or_default();
    let skus: Vec<&str> = suggestions.iter().map(|suggestion| suggestion.sku.as_str()).collect();
    let (mut albums, mut levels) = (Vec::new(), None);
    if !skus.is_empty() {
        let (found, counted) = seam_sdk::together((|| seams.albums(&skus), || levels_of(&skus, seams)));
        (albums, levels) = (found?, counted);
    }
    albums.retain(|album| !album.discontinued);
    let popular = !albums.is_empty();
    if !popular {
        albums = seams.browse(Filter::default(), 1, SHOWN)?.albums;
        levels = super::levels(&albums, seams);
    }

    let cache =
        if popular && facets.is_some() && levels.is_some() { CachePolicy::HalfMinute } else { CachePolicy::NoStore };
    let (genres, decades) = match &facets {
        Some(facets) => (facets.genres.as_slice(), facets.decades.as_slice()),
        None => (&[][..], &[][..]),
    };
    let currencies = Currencies::of(seams);
    let page = HomePage {
        shell: Shell::of(visit),
        popular,
        cards: cards(&albums, levels.as_deref(), &currencies),
        total: Count(genres.iter().fold(0, |sum, genre| sum.saturating_add(genre.count))),
        genres: genres.iter().map(genre_link).collect(),
        decades: decades.iter().filter_map(decade_link).collect(),
    };
    Ok(Reply::html(cache, render(&page, 16 * 1024)))
}

fn genre_link(facet: &Facet) -> CategoryLink<'_> {
    CategoryLink {
        href: href::browse(&Filter { genre: Some(&facet.name), ..Filter::default() }, ListView::PLAIN, 1),
        name: &facet.name,
        count: Count(facet.count),
        family: Family::of(&facet.name).class(),
    }
}

fn decade_link(facet: &Facet) -> Option<CategoryLink<'_>> {
    let year = decade(facet)?;
    Some(CategoryLink {
        href: href::browse(&Filter { decade: Some(year), ..Filter::default() }, ListView::PLAIN, 1),
        name: facet.name.trim_end_matches('s'),
        count: Count(facet.count),
        family: "",
    })
}
