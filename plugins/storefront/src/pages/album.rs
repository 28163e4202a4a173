//! The album page and the covers.
//!
//! The page asks three contexts one question each, in this order: recommendation which albums go with it, the catalog for the album
//! and those, the warehouse for the levels of all of them. It is the page that the benchmark measures.

use askama::Template;

use super::{Problem, Shell, levels, render};
use crate::assets;
use crate::cover;
use crate::href::Encoded;
use crate::reference::Currencies;
use crate::reply::{Freshness, Kind, Reply};
use crate::seams::{Seams, Trouble};
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
        // A SKU that makes no sense to the catalog is nobody's.
        Err(Trouble::Refused) => return Err(Problem::NotFound),
        Err(Trouble::Absent) => return Err(Problem::Closed),
    };
    // The catalog leaves out what it does not know: the album itself then is not the first.
    albums.retain(|album| !album.discontinued || album.sku == sku);
    if albums.first().is_none_or(|album| album.sku != sku) {
        return Err(Problem::NotFound);
    }
    let levels = levels(&albums, seams);
    let currencies = Currencies::of(seams);
    let cards = cards(&albums, levels.as_deref(), &currencies);
    let Some((&card, beside)) = cards.split_first() else { return Err(Problem::NotFound) };
    let page = AlbumPage { shell: Shell::of(visit), card, beside };
    let freshness = if levels.is_some() && suggestions.is_ok() { Freshness::Always } else { Freshness::Never };
    Ok(Reply::html(freshness, render(&page, 8 * 1024)))
}

/// `/covers/{sku}.svg?v=`: always a picture, since it stands in a page; a plain sleeve when there is no album to name.
pub fn cover(sku: &str, version: Option<&str>, seams: &impl Seams) -> Reply {
    let found = seams.albums(&[sku]);
    let album = match &found {
        Ok(albums) => albums.iter().find(|album| album.sku == sku),
        Err(_) => None,
    };
    let (status, freshness, body) = match (album, &found) {
        (Some(album), _) => {
            // Only the address that names this very version may be kept for ever.
            let named = version == Some(cover::version(album).to_string().as_str());
            (200, if named { Freshness::Forever } else { Freshness::Day }, cover::draw(album))
        }
        (None, Ok(_) | Err(Trouble::Refused)) => (404, Freshness::Never, cover::plain_sleeve()),
        (None, Err(Trouble::Absent)) => (503, Freshness::Never, cover::plain_sleeve()),
    };
    Reply { status, kind: Kind::Svg, freshness, headers: Vec::new(), body }
}
