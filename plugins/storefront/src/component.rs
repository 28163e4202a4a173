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

#[cfg(target_arch = "wasm32")]
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
        let filter = albums::Filter {
            genre: filter.genre.map(Into::into),
            artist: filter.artist.map(Into::into),
            decade: filter.decade,
        };
        Ok(albums::browse(&filter, albums::Paging { page, size })?)
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

/// Why somebody is absent, the host has logged already. A refusal means that we ask what the other side's interface forbids.
macro_rules! trouble {
    ($($interface:ident),*) => {
        $(impl From<$interface::Error> for Trouble {
            fn from(error: $interface::Error) -> Trouble {
                match error {
                    $interface::Error::Invalid(why) => {
                        seam_sdk::log::warn(format_args!("{} refused: {why}", stringify!($interface)));
                        Trouble::Refused
                    }
                    $interface::Error::Unavailable(_) => Trouble::Absent,
                }
            }
        })*
    };
}

trouble!(albums, stock, engine);
