//! Error pages: each says what happened and what the visitor can do.

use askama::Template;

use super::{Shell, render};
use crate::assets;
use crate::form::Unreadable;
use crate::href;
use crate::params::BadInput;
use crate::reply::{CachePolicy, Reply};
use crate::visit::Visit;

/// Why the request has no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    NotFound,
    /// The list ends before this page.
    PastTheEnd,
    /// No order with this number, or another customer's order.
    UnknownOrder,
    /// Nothing has been captured for this order, or it is another customer's order.
    NoInvoice,
    Input(BadInput),
    /// Another context refused our call as invalid.
    Refused,
    /// A context without which there is nothing to show is away.
    Unavailable(Service),
    /// The page has another method: these.
    Method(&'static str),
    /// The browser does not say that one of our pages sent this form.
    CrossSite,
    /// A form that we did not give to this visitor, or too long ago.
    Stale,
    Unreadable(Unreadable),
    /// The visitor has to sign in first, and then returns to `next`.
    SignIn {
        next: String,
        /// The session is over, so the browser deletes its cookie.
        over: bool,
    },
}

/// What is away, in the visitor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Catalog,
    Accounts,
    Orders,
    Books,
    Warehouse,
}

impl Problem {
    pub fn sign_in(next: &str) -> Problem {
        Problem::SignIn { next: next.into(), over: false }
    }

    pub fn session_over(next: &str) -> Problem {
        Problem::SignIn { next: next.into(), over: true }
    }

    /// The header that says when to try again, or with which method.
    pub fn headers(&self) -> Option<(&'static str, String)> {
        match self {
            Problem::Unavailable(_) => Some(("retry-after", RETRY_SECONDS.into())),
            Problem::Method(allowed) => Some(("allow", (*allowed).into())),
            _ => None,
        }
    }
}

/// Seconds after which a visitor may try again: about as long as replacing a context takes, with a margin.
pub const RETRY_SECONDS: &str = "5";

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    shell: Shell<'static>,
    status: u16,
    title: &'static str,
    text: &'static str,
}

/// What a problem's page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    pub status: u16,
    pub title: &'static str,
    pub text: &'static str,
}

/// The page of a problem, with its status.
pub fn problem(problem: Problem, visit: &Visit<'_>) -> Reply {
    if let Problem::SignIn { next, over } = &problem {
        let mut reply = Reply::see_other(href::sign_in(next));
        reply.headers.extend(over.then(|| visit.forget_session()));
        return reply;
    }
    let Words { status, title, text } = words(&problem);
    let page = ProblemPage { shell: Shell::of(visit), status, title, text };
    let mut reply = Reply::html(CachePolicy::NoStore, render(&page, 3 * 1024)).with_status(status);
    reply.headers.extend(problem.headers());
    reply
}

pub fn words(problem: &Problem) -> Words {
    let (status, title, text) = match problem {
        Problem::SignIn { .. } => (401, "Please sign in", "This page belongs to a person who is signed in."),
        Problem::NotFound => {
            (404, "Not in our crates", "There is no such page. Perhaps there is a mistake in the address.")
        }
        Problem::PastTheEnd => (404, "The list ends earlier", "This list does not have that many pages."),
        Problem::UnknownOrder => {
            (404, "No such order", "Among your orders there is none with this number. Your account lists them all.")
        }
        Problem::NoInvoice => (
            404,
            "No invoice yet",
            "The invoice is written when the records leave us. Among yours there is none for this order.",
        ),
        Problem::Input(bad) => (400, "That does not read right", bad.text()),
        Problem::Refused => (400, "That does not read right", "We could not make sense of what was asked for."),
        Problem::Unavailable(Service::Catalog) => (
            503,
            "Back in a moment",
            "The catalogue cannot be reached just now. Nothing is lost; please try again in a few seconds.",
        ),
        Problem::Unavailable(Service::Accounts) => (
            503,
            "Back in a moment",
            "Your account cannot be reached just now, so we cannot tell who you are. Your cart is kept, and all \
             records can be browsed; please try again in a few seconds.",
        ),
        Problem::Unavailable(Service::Orders) => (
            503,
            "Back in a moment",
            "The order desk cannot be reached just now. Nothing is lost; please try again in a few seconds.",
        ),
        Problem::Unavailable(Service::Books) => (
            503,
            "Back in a moment",
            "Our bookkeeping cannot be reached just now. Nothing is lost; please try again in a few seconds.",
        ),
        Problem::Unavailable(Service::Warehouse) => (
            503,
            "Back in a moment",
            "The warehouse cannot be reached just now. Nothing is lost; please try again in a few seconds.",
        ),
        Problem::Method("POST") => (405, "This is the answer to a form", "It cannot be opened on its own."),
        Problem::Method(_) => (405, "This page can only be read", "It takes no other kind of request."),
        Problem::CrossSite => (
            403,
            "That did not come from here",
            "Your browser says that this form was sent from another site, so we have done nothing. If that was you, \
             please open our page itself and try again.",
        ),
        Problem::Stale => (
            403,
            "This form has grown old",
            "Nothing was done. You may have signed in or out since the page was opened, or your browser does not keep \
             cookies. Please go back, load the page again, and send it once more.",
        ),
        Problem::Unreadable(Unreadable::MediaType) => {
            (415, "That is not a form", "Only what a form of ours sends can be read here.")
        }
        Problem::Unreadable(Unreadable::TooLarge) => {
            (413, "That is too much", "The form has more in it than any of ours could.")
        }
        Problem::Unreadable(Unreadable::Input(BadInput::Encoding)) => {
            (400, "That does not read right", "The form is not properly encoded.")
        }
        Problem::Unreadable(Unreadable::Input(_)) => {
            (400, "That does not read right", "There are control characters in the form.")
        }
    };
    Words { status, title, text }
}
