//! The pages: what each asks of other contexts, and what it does when one of them is not there.
//!
//! Recommendation or warehouse missing: the page comes without that part. Catalog missing: an honest 503. A page that lacks
//! something is not kept by caches.

mod album;
mod home;
mod listing;
mod problem;

use askama::Template;

pub use album::{album, cover};
pub use home::home;
pub use listing::{browse, search};
pub use problem::{Problem, problem};

use crate::seams::{Album, Level, Seams, Trouble};

/// What the layout around every page needs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shell<'a> {
    /// What stands in the search field.
    pub words: &'a str,
}

/// Renders into one buffer; `capacity` is what such a page usually takes.
fn render(page: &impl Template, capacity: usize) -> String {
    let mut body = String::with_capacity(capacity);
    let rendered = page.render_into(&mut body);
    debug_assert!(rendered.is_ok(), "writing to a string does not fail");
    body
}

/// How many of these albums there are, in one question; `None` when the warehouse does not say.
fn levels(albums: &[Album], seams: &impl Seams) -> Option<Vec<Level>> {
    let skus: Vec<&str> = albums.iter().map(|album| album.sku.as_str()).collect();
    if skus.is_empty() { Some(Vec::new()) } else { seams.levels(&skus).ok() }
}

impl From<Trouble> for Problem {
    /// For the catalog, without which there is no page.
    fn from(trouble: Trouble) -> Problem {
        match trouble {
            Trouble::Refused => Problem::Refused,
            Trouble::Absent => Problem::Closed,
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;
