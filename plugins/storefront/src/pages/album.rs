//! The album page and the covers.
//!
//! The page calls three contexts once each: recommendation for suggested albums, then the catalog for the album and the
//! suggested ones, then the warehouse for the stock of all of them. The benchmark measures this page.

use askama::Template;

use super::{Problem, Service, Shell, levels, render};
use crate::assets;
use crate::cover;
use crate::href::Encoded;
use crate::reference::Currencies;
use crate::reply::{CachePolicy, Kind, Reply};
use crate::seams::{CallError, Seams};
use crate::view::{Card, cards};
use crate::visit::Visit;

/// Albums shown beside this one: one row of 6.
const BESIDE: u32 = 6;

#[derive(Template)]
#[template(path = "album.html")]
struct AlbumPage<'a> {
    shell: Shell<'a>,
    card: Card<'a>,
    beside: &'a [Card<'a>],
}

/// `/albums/{sku}`
pub fn album(sku: &str, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let suggestions = seams.suggest(&[sku], BESIDE);
    let mut skus = Vec::with_capacity(1 + BESIDE as usize);
    skus.push(sku);
    if let Ok(suggestions) = &suggestions {
        skus.extend(suggestions.iter().map(|suggestion| suggestion.sku.as_str()).filter(|&other| other != sku));
    }
    let mut albums = match seams.albums(&skus) {
        Ok(albums) => albums,
        // The catalog refuses a SKU that no album can have.
        Err(CallError::Invalid) => return Err(Problem::NotFound),
        Err(CallError::Unavailable) => return Err(Problem::Unavailable(Service::Catalog)),
    };
    // The catalog leaves out unknown albums. If the album itself is unknown, it is not the first.
    albums.retain(|album| !album.discontinued || album.sku == sku);
    if albums.first().is_none_or(|album| album.sku != sku) {
        return Err(Problem::NotFound);
    }
    let levels = levels(&albums, seams);
    let currencies = Currencies::of(seams);
    let cards = cards(&albums, levels.as_deref(), &currencies);
    let Some((&card, beside)) = cards.split_first() else { return Err(Problem::NotFound) };
    let page = AlbumPage { shell: Shell::of(visit), card, beside };
    let cache = if levels.is_some() && suggestions.is_ok() { CachePolicy::Revalidate } else { CachePolicy::NoStore };
    Ok(Reply::html(cache, render(&page, 8 * 1024)))
}

/// `/covers/{sku}.svg?v=`: always a picture, because pages embed it. An unknown album has a plain sleeve.
pub fn cover(sku: &str, version: Option<&str>, seams: &impl Seams) -> Reply {
    let found = seams.albums(&[sku]);
    let album = match &found {
        Ok(albums) => albums.iter().find(|album| album.sku == sku),
        Err(_) => None,
    };
    let (status, cache, body) = match (album, &found) {
        (Some(album), _) => {
            // Caches may keep only the address with the current version for ever.
            let named = version == Some(cover::version(album).to_string().as_str());
            (200, if named { CachePolicy::Immutable } else { CachePolicy::OneDay }, cover::draw(album))
        }
        (None, Ok(_) | Err(CallError::Invalid)) => (404, CachePolicy::NoStore, cover::plain_sleeve()),
        (None, Err(CallError::Unavailable)) => (503, CachePolicy::NoStore, cover::plain_sleeve()),
    };
    Reply { status, kind: Kind::Svg, cache, headers: Vec::new(), body }
}
