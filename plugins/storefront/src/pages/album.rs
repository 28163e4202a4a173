//! The album page and the covers.
//!
//! The page calls three contexts once each: recommendation for suggested albums, the warehouse for the stock of all of
//! them, then the catalog for the album and those suggested ones that can be sent. Where these live on other hosts, it
//! asks the last two together, the catalog for all suggested albums. The benchmark measures this page.
//! Only if fewer than a row of them are left does the page ask again, for albums of the same genre.

use askama::Template;

use super::{Problem, Service, Shell, levels, levels_of, render};
use crate::assets;
use crate::cover;
use crate::href::Encoded;
use crate::reference::Currencies;
use crate::reply::{CachePolicy, Kind, Reply};
use crate::seams::{Album, CallError, Filter, Level, Seams};
use crate::view::{Card, cards};
use crate::visit::Visit;

/// Albums shown beside this one: one row of 6.
const BESIDE: usize = 6;
/// Suggestions beyond those shown, because some may be sold out.
const SPARE: usize = 4;
/// Albums of the genre to choose from, for the places that suggestions leave empty.
const OF_GENRE: u32 = 24;

#[derive(Template)]
#[template(path = "album.html")]
struct AlbumPage<'a> {
    shell: Shell<'a>,
    card: Card<'a>,
    beside: &'a [Card<'a>],
    /// Of the same genre, for the places that are left.
    same_genre: Vec<Card<'a>>,
}

/// `/albums/{sku}`
pub fn album(sku: &str, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let suggestions = seams.suggest(&[sku], (BESIDE + SPARE) as u32);
    let mut skus = Vec::with_capacity(1 + BESIDE + SPARE);
    skus.push(sku);
    if let Ok(suggestions) = &suggestions {
        skus.extend(suggestions.iter().map(|suggestion| suggestion.sku.as_str()).filter(|&other| other != sku));
    }
    let (levels, albums) = levels_and_albums(sku, skus, seams);
    let mut albums = match albums {
        Ok(albums) => albums,
        // The catalog refuses a SKU that no album can have.
        Err(CallError::Invalid) => return Err(Problem::NotFound),
        Err(CallError::Unavailable) => return Err(Problem::Unavailable(Service::Catalog)),
    };
    // The catalog leaves out unknown albums. If the album itself is unknown, it is not the first.
    albums.retain(|album| !album.discontinued || album.sku == sku);
    albums.truncate(1 + BESIDE);
    let Some(album) = albums.first().filter(|album| album.sku == sku) else { return Err(Problem::NotFound) };
    let whole = levels.is_some() && suggestions.is_ok();
    // A page that lacks a context asks the others for no more.
    let (others, others_levels) =
        if whole && albums.len() <= BESIDE { same_genre(&album.genre, &albums, seams) } else { Default::default() };
    let currencies = Currencies::of(seams);
    let cards = cards(&albums, levels.as_deref(), &currencies);
    let Some((&card, beside)) = cards.split_first() else { return Err(Problem::NotFound) };
    let same_genre = self::cards(&others, Some(&others_levels), &currencies);
    let page = AlbumPage { shell: Shell::of(visit), card, beside, same_genre };
    let cache = if whole { CachePolicy::Revalidate } else { CachePolicy::NoStore };
    Ok(Reply::html(cache, render(&page, 8 * 1024)))
}

/// The stock of all these, of which `sku` is the first, and the albums of those that the page can show.
fn levels_and_albums(
    sku: &str,
    mut skus: Vec<&str>,
    seams: &impl Seams,
) -> (Option<Vec<Level>>, Result<Vec<Album>, CallError>) {
    if seams.together_pays() {
        // A few albums too many cost less than to wait for the levels first.
        let (levels, albums) = seam_sdk::together((|| levels_of(&skus, seams), || seams.albums(&skus)));
        keep_sendable(sku, &mut skus, levels.as_deref());
        let shown = |albums: Vec<Album>| albums.into_iter().filter(|album| skus.contains(&&*album.sku)).collect();
        return (levels, albums.map(shown));
    }
    let levels = levels_of(&skus, seams);
    keep_sendable(sku, &mut skus, levels.as_deref());
    let albums = seams.albums(&skus);
    (levels, albums)
}

fn keep_sendable(sku: &str, skus: &mut Vec<&str>, levels: Option<&[Level]>) {
    let sold_out = |other: &str| levels.iter().copied().flatten().any(|level| level.sku == other && level.on_hand == 0);
    skus.retain(|&other| other == sku || !sold_out(other));
    // One more than is shown: it may be discontinued.
    skus.truncate(1 + BESIDE + 1);
}

/// The newest albums of a genre that can be sent, as many as there are places left beside those `shown`, and their
/// levels; none if a context does not answer.
fn same_genre(genre: &str, shown: &[Album], seams: &impl Seams) -> (Vec<Album>, Vec<Level>) {
    let filter = Filter { genre: Some(genre), ..Filter::default() };
    let Ok(mut found) = seams.browse(filter, 1, OF_GENRE).map(|found| found.albums) else { return Default::default() };
    found.retain(|album| shown.iter().all(|other| other.sku != album.sku));
    let Some(levels) = levels(&found, seams) else { return Default::default() };
    found.retain(|album| levels.iter().any(|level| level.sku == album.sku && level.on_hand > 0));
    found.truncate((1 + BESIDE).saturating_sub(shown.len()));
    (found, levels)
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
    Reply { status, kind: Kind::Svg, cache, headers: Vec::new(), body, draft: None }
}
