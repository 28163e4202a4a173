//! The pages: what each asks of other contexts, and what it does when one of them is not there.
//!
//! Recommendation or warehouse missing: the page comes without that part. Catalog missing: an honest 503. A page that lacks
//! something is not kept by caches. The catalogue's pages never ask who the visitor is: they say `Account` to whoever has a session, and
//! so work while `customer` is away.

mod account;
mod album;
mod books;
mod card;
pub mod cart;
pub mod checkout;
pub mod field;
mod home;
mod listing;
mod note;
pub mod order;
mod problem;
pub mod settings;
pub mod sign;

use askama::Template;

pub use account::account;
pub use album::{album, cover};
pub use books::{invoice, statement};
pub use home::home;
pub use listing::{browse, search};
pub use problem::{Away, Problem, problem};

use crate::seams::{Album, Level, Seams, Trouble, accounts};
use crate::visit::Visit;

/// What the layout around every page needs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shell<'a> {
    /// What stands in the search field.
    pub words: &'a str,
    /// In the cart.
    pub copies: u32,
    /// Somebody has signed in; whether that still holds has not been asked.
    pub signed_in: bool,
}

impl Shell<'_> {
    pub fn of(visit: &Visit<'_>) -> Self {
        Shell { words: "", copies: visit.cart().copies(), signed_in: visit.session.is_some() }
    }
}

/// Somebody whom `customer` knows.
#[derive(Debug)]
pub struct Customer<'a> {
    pub token: &'a str,
    pub account: accounts::Account,
}

/// Who is signed in. Nobody: `next` is where signing in leads back to, an address of ours.
pub fn signed_in<'a>(visit: &Visit<'a>, next: &str, seams: &impl Seams) -> Result<Customer<'a>, Problem> {
    let Some(token) = visit.session else { return Err(Problem::sign_in(next)) };
    match seams.who(token) {
        Ok(Some(account)) => Ok(Customer { token, account }),
        Ok(None) | Err(accounts::Error::SignedOut) => Err(Problem::session_over(next)),
        Err(accounts::Error::Unavailable(_)) => Err(Problem::Away(Away::Accounts)),
        Err(error) => {
            seams.warn(&format!("accounts.who: {error}"));
            Err(Problem::session_over(next))
        }
    }
}

/// Renders into one buffer; `capacity` is what such a page usually takes.
pub fn render(page: &impl Template, capacity: usize) -> String {
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
