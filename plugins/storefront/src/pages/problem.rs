//! Pages for what does not work: each says what happened and where to go from here.

use askama::Template;

use super::{Shell, render};
use crate::assets;
use crate::form::Unreadable;
use crate::href;
use crate::params::Bad;
use crate::reply::{Freshness, Reply};
use crate::visit::Visit;

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    NotFound,
    /// A list that ends before this page.
    PastTheEnd,
    /// No order with this number, or somebody else's.
    UnknownOrder,
    /// Nothing has been captured for this order, or it is somebody else's.
    NoInvoice,
    Bad(Bad),
    /// The catalog found the question wrong.
    Refused,
    /// The catalog is not there.
    Closed,
    /// Another context without which there is nothing to show.
    Away(Away),
    /// Not with this method, but with these.
    Method(&'static str),
    /// A form that another site's page has sent, as far as we can see.
    Foreign,
    /// A form that we did not give out to this visitor, or long ago.
    Stale,
    Unreadable(Unreadable),
    /// One has to sign in first, and is led back to `next`.
    SignIn {
        next: String,
        /// The session is over: the browser need not keep it.
        over: bool,
    },
}

/// Who is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
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

    /// The context is away, or will be back in a moment.
    fn passes(&self) -> bool {
        matches!(self, Problem::Closed | Problem::Away(_))
    }
}

/// Seconds after which a visitor may try again: about what replacing a context takes, with a margin.
pub const RETRY_SECONDS: &str = "5";

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    shell: Shell<'static>,
    status: u16,
    title: &'static str,
    text: &'static str,
}

/// The page about a problem, with its status.
pub fn problem(problem: Problem, visit: &Visit<'_>) -> Reply {
    let (status, title, text) = match &problem {
        Problem::SignIn { next, over } => {
            let mut reply = Reply::see_other(href::sign_in(next));
            reply.headers.extend(over.then(|| visit.forget_session()));
            return reply;
        }
        Problem::NotFound => (404, "Not in our crates", "There is no such page. Perhaps the address has a slip in it."),
        Problem::PastTheEnd => (404, "The crate ends before", "This list does not have that many pages."),
        Problem::UnknownOrder => {
            (404, "No such order", "Among your orders there is none with this number. Your account lists them all.")
        }
        Problem::NoInvoice => (
            404,
            "No invoice yet",
            "The invoice is written when the records leave us. Among yours there is none for this order.",
        ),
        Problem::Bad(bad) => (400, "That does not read right", bad.text()),
        Problem::Refused => (400, "That does not read right", "We could not make sense of what was asked for."),
        Problem::Closed => (
            503,
            "Back in a moment",
            "The catalogue cannot be reached just now. Nothing is lost; please try again in a few seconds.",
        ),
        Problem::Away(Away::Accounts) => (
            503,
            "Back in a moment",
            "Your account cannot be reached just now, so we cannot tell who you are. Your cart is kept, and all records can \
             be browsed; please try again in a few seconds.",
        ),
        Problem::Away(Away::Orders) => (
            503,
            "Back in a moment",
            "The order desk cannot be reached just now. Nothing is lost; please try again in a few seconds.",
        ),
        Problem::Away(Away::Books) => (
            503,
            "Back in a moment",
            "Our bookkeeping cannot be reached just now. Nothing is lost; please try again in a few seconds.",
        ),
        Problem::Away(Away::Warehouse) => (
            503,
            "Back in a moment",
            "The warehouse cannot be reached just now. Nothing is lost; please try again in a few seconds.",
        ),
        Problem::Method("POST") => (405, "This is the answer to a form", "It cannot be opened on its own."),
        Problem::Method(_) => (405, "This page can only be read", "It takes no other kind of request."),
        Problem::Foreign => (
            403,
            "That did not come from here",
            "Your browser says that this form was sent from another site, so we have done nothing. If that was you, please \
             open our page itself and try again.",
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
        Problem::Unreadable(Unreadable::Bad(Bad::Encoding)) => {
            (400, "That does not read right", "The form is not properly encoded.")
        }
        Problem::Unreadable(Unreadable::Bad(_)) => {
            (400, "That does not read right", "There are control characters in the form.")
        }
    };
    let page = ProblemPage { shell: Shell::of(visit), status, title, text };
    let mut reply = Reply::html(Freshness::Never, render(&page, 3 * 1024)).with_status(status);
    if problem.passes() {
        reply.headers.push(("retry-after", RETRY_SECONDS.into()));
    }
    if let Problem::Method(allowed) = problem {
        reply.headers.push(("allow", allowed.into()));
    }
    reply
}
