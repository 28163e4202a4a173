//! What the storefront asks of other contexts, as a trait, so that pages can be tested without a host.
//!
//! The types are those of the WIT interfaces; the trait says only "it did not work" where the pages make no other difference.

pub use crate::bindings::exports::seam::host::http_handler::{Request, Response};
pub use crate::bindings::musiccorp::catalog::albums::{Album, AlbumPage, Facet, Facets, Money};
pub use crate::bindings::musiccorp::recommendation::engine::Suggestion;
pub use crate::bindings::musiccorp::warehouse::stock::Level;

/// Why a question to another context has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The other side refused the question: what the visitor asked makes no sense to it.
    Refused,
    /// The other side is not there, or not in time. The page goes on without it where it can.
    Absent,
}

/// What to browse by; the fields given must all match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filter<'a> {
    pub genre: Option<&'a str>,
    pub artist: Option<&'a str>,
    pub decade: Option<u16>,
}

/// The other contexts. Pages count from 1.
pub trait Seams {
    /// In the order asked, unknown ones left out.
    fn albums(&self, skus: &[&str]) -> Result<Vec<Album>, Trouble>;
    fn search(&self, words: &str, page: u32, size: u32) -> Result<AlbumPage, Trouble>;
    fn browse(&self, filter: Filter<'_>, page: u32, size: u32) -> Result<AlbumPage, Trouble>;
    fn facets(&self) -> Result<Facets, Trouble>;
    /// In the order asked, one for each.
    fn levels(&self, skus: &[&str]) -> Result<Vec<Level>, Trouble>;
    /// Best first; the popular ones when `skus` is empty.
    fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<Suggestion>, Trouble>;
}
