//! Ties the pages to the world in `wit/storefront`. Nothing is decided here.

use crate::bindings::exports::seam::host::http_handler::Guest;
use crate::bindings::musiccorp::catalog::albums;
use crate::bindings::musiccorp::recommendation::engine;
use crate::bindings::musiccorp::warehouse::stock;
use crate::seams::{Album, AlbumPage, Facets, Filter, Level, Request, Response, Seams, Suggestion, Trouble};

struct Storefront;

impl Guest for Storefront {
    fn handle(request: Request) -> Response {
        crate::handle(&request, &Wired)
    }
}

crate::bindings::export!(Storefront with_types_in crate::bindings);

/// The contexts that the host has linked.
struct Wired;

impl Seams for Wired {
    fn albums(&self, skus: &[&str]) -> Result<Vec<Album>, Trouble> {
        Ok(albums::get_albums(skus)?)
    }

    fn search(&self, words: &str, page: u32, size: u32) -> Result<AlbumPage, Trouble> {
        Ok(albums::search(words, albums::Paging { page, size })?)
    }

    fn browse(&self, filter: Filter<'_>, page: u32, size: u32) -> Result<AlbumPage, Trouble> {
        let Filter { genre, artist, decade } = filter;
        Ok(albums::browse(albums::Filter { genre, artist, decade }, albums::Paging { page, size })?)
    }

    fn facets(&self) -> Result<Facets, Trouble> {
        Ok(albums::get_facets()?)
    }

    fn levels(&self, skus: &[&str]) -> Result<Vec<Level>, Trouble> {
        Ok(stock::levels(skus)?)
    }

    fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<Suggestion>, Trouble> {
        Ok(engine::suggest(skus, count)?)
    }
}

/// The host has logged the reason already, with the name of the context.
macro_rules! trouble {
    ($($error:ty),*) => {
        $(impl From<$error> for Trouble {
            fn from(error: $error) -> Trouble {
                match error {
                    <$error>::Invalid(_) => Trouble::Refused,
                    <$error>::Unavailable(_) => Trouble::Absent,
                }
            }
        })*
    };
}

trouble!(albums::Error, stock::Error, engine::Error);
