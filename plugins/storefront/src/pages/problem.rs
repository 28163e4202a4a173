//! Pages for what does not work: each says what happened and where to go from here.

use askama::Template;

use super::{Shell, render};
use crate::assets;
use crate::params::Bad;
use crate::reply::{Freshness, Reply};

/// Why there is no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    NotFound,
    /// A list that ends before this page.
    PastTheEnd,
    Bad(Bad),
    /// The catalog found the question wrong.
    Refused,
    /// The catalog is not there.
    Closed,
    /// Neither GET nor HEAD.
    Method,
}

/// Seconds after which a visitor may try again: about what replacing a context takes, with a margin.
const RETRY_SECONDS: &str = "5";

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    shell: Shell<'static>,
    status: u16,
    title: &'static str,
    text: &'static str,
}

/// The page about a problem, with its status.
pub fn problem(problem: Problem) -> Reply {
    let (status, title, text) = match problem {
        Problem::NotFound => (404, "Not in our crates", "There is no such page. Perhaps the address has a slip in it."),
        Problem::PastTheEnd => (404, "The crate ends before", "This list does not have that many pages."),
        Problem::Bad(bad) => (400, "That does not read right", bad.text()),
        Problem::Refused => (400, "That does not read right", "We could not make sense of what was asked for."),
        Problem::Closed => (
            503,
            "Back in a moment",
            "The catalogue cannot be reached just now. Nothing is lost; please try again in a few seconds.",
        ),
        Problem::Method => (405, "This page can only be read", "It takes no other kind of request."),
    };
    let page = ProblemPage { shell: Shell::default(), status, title, text };
    let mut reply = Reply { status, ..Reply::html(Freshness::Never, render(&page, 3 * 1024)) };
    if problem == Problem::Closed {
        reply.headers.push(("retry-after", RETRY_SECONDS.into()));
    }
    reply
}
