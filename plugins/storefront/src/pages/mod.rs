//! The pages: what each asks other contexts, and what it does while one of them is unavailable.
//!
//! Without recommendation or warehouse a page lacks that part; without the catalog the answer is 503. Caches do not
//! keep an incomplete page. Catalog pages never ask `customer` who the visitor is, so they work while it is away: they
//! show `Account` if the visitor has a session cookie.

mod account;
mod album;
mod books;
pub mod cart;
pub mod checkout;
pub mod field;
mod home;
mod listing;
mod note;
pub mod order;
mod pending;
mod problem;
pub mod settings;
pub mod sheet;
pub mod sign;

use askama::Template;

pub use account::account;
pub use album::{album, cover};
pub use books::{invoice, statement};
pub use home::home;
pub use listing::{browse, search};
pub use problem::{Problem, Service, problem, words};

use crate::csrf;
use crate::form::Form;
use crate::reply::{CachePolicy, Kind, Reply};
use crate::seams::{Album, CallError, Level, Request, Seams, accounts};
use crate::visit::Visit;

/// What the layout around every page needs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shell<'a> {
    /// The text in the search field.
    pub words: &'a str,
    /// Copies in the cart.
    pub copies: u32,
    /// The visitor has a session cookie. Whether the session is still valid has not been checked.
    pub signed_in: bool,
    /// It is known that the browser runs no scripts.
    pub scriptless: bool,
}

impl Shell<'_> {
    pub fn of(visit: &Visit<'_>) -> Self {
        Shell {
            words: "",
            copies: visit.cart().copies(),
            signed_in: visit.session.is_some(),
            scriptless: visit.scriptless,
        }
    }
}

/// A customer with a valid session.
#[derive(Debug)]
pub struct Customer<'a> {
    pub token: &'a str,
    pub account: accounts::Account,
}

/// The customer who is signed in. Otherwise the visitor signs in first, and then returns to `next`, an address of ours.
pub fn signed_in<'a>(visit: &Visit<'a>, next: &str, seams: &impl Seams) -> Result<Customer<'a>, Problem> {
    let Some(token) = visit.session else { return Err(Problem::sign_in(next)) };
    match seams.who(token) {
        Ok(Some(account)) => Ok(Customer { token, account }),
        Ok(None) | Err(accounts::Error::SignedOut) => Err(Problem::session_over(next)),
        Err(accounts::Error::Unavailable(_)) => Err(Problem::Unavailable(Service::Accounts)),
        Err(error) => {
            seams.warn(&format!("accounts.who: {error}"));
            Err(Problem::session_over(next))
        }
    }
}

/// The form of a request, if one of our pages sent it, and if it is one that we gave to this visitor.
pub fn sent_form<'a>(request: &'a Request, is_ours: impl FnOnce(&Form<'a>) -> bool) -> Result<Form<'a>, Problem> {
    if !csrf::same_origin(request) {
        return Err(Problem::CrossSite);
    }
    let form = Form::of(request).map_err(Problem::Unreadable)?;
    if is_ours(&form) { Ok(form) } else { Err(Problem::Stale) }
}

/// `/scriptless.svg`: an empty picture that only browsers without scripts load. They then keep no page, because nothing
/// in it could correct the number of records in the cart after going back.
pub fn scriptless(visit: &Visit<'_>) -> Reply {
    let body = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>".into();
    let mut reply = Reply { kind: Kind::Svg, ..Reply::html(CachePolicy::NoStore, body) };
    reply.headers.push(visit.keep_scriptless());
    reply
}

/// Renders into one buffer; `capacity` is the usual size of such a page.
pub fn render(page: &impl Template, capacity: usize) -> String {
    let mut body = String::with_capacity(capacity);
    let rendered = page.render_into(&mut body);
    debug_assert!(rendered.is_ok(), "writing to a string does not fail");
    body
}

/// The stock of albums, in one call; `None` if the warehouse does not answer.
fn levels(albums: &[Album], seams: &impl Seams) -> Option<Vec<Level>> {
    levels_of(&albums.iter().map(|album| album.sku.as_str()).collect::<Vec<_>>(), seams)
}

/// The stock of SKUs, in one call; `None` if the warehouse does not answer.
fn levels_of(skus: &[&str], seams: &impl Seams) -> Option<Vec<Level>> {
    if skus.is_empty() { Some(Vec::new()) } else { seams.levels(skus).ok() }
}

impl From<CallError> for Problem {
    /// For calls to the catalog, without which there is no page.
    fn from(error: CallError) -> Problem {
        match error {
            CallError::Invalid => Problem::Refused,
            CallError::Unavailable => Problem::Unavailable(Service::Catalog),
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;
