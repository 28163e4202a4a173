//! The office's only door: whoever wants to see or do anything here passes `enter`, which asks `customer` whether they are an operator.
//!
//! Invariant: every page and every action takes a [`Desk`], and nothing but `enter` makes one. To others the office does not exist.

use crate::csrf;
use crate::href;
use crate::pages::{Problem, signed_in};
use crate::reply::Reply;
use crate::seams::{Seams, accounts::Account};
use crate::visit::{Visit, new_key};

use super::notice::{Done, Notice};

/// An operator at work.
pub struct Desk<'a, S> {
    seams: &'a S,
    operator: Account,
    token: String,
}

/// What the layout around every page of the office needs.
#[derive(Debug)]
pub struct Shell<'a> {
    pub operator: &'a str,
    pub here: Place,
    pub notice: Option<Notice>,
    /// What every form carries.
    pub token: &'a str,
}

/// Where in the office a page belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Overview,
    Orders,
    Picking,
    Records,
    Books,
}

impl Shell<'_> {
    /// The name of the hidden field.
    pub fn field(&self) -> &'static str {
        csrf::FIELD
    }

    pub fn is(&self, place: Place) -> bool {
        self.here == place
    }
}

/// Lets an operator in. Whoever is not signed in is led back to `next`, a path below `/office`, afterwards.
pub fn enter<'a, S: Seams>(next: &str, visit: &Visit<'_>, seams: &'a S) -> Result<Desk<'a, S>, Problem> {
    let next = if next.is_empty() || href::is_local(next) { next } else { "" };
    let customer = signed_in(visit, &format!("/office{next}"), seams)?;
    match customer.account.operator {
        true => Ok(Desk { seams, operator: customer.account, token: visit.form_token(seams) }),
        false => Err(Problem::NotFound),
    }
}

impl<'a, S: Seams> Desk<'a, S> {
    pub fn seams(&self) -> &'a S {
        self.seams
    }

    pub fn shell(&self, here: Place, notice: Option<Notice>) -> Shell<'_> {
        Shell { operator: &self.operator.name, here, notice, token: &self.token }
    }

    /// A key for the forms of one page.
    pub fn key(&self) -> String {
        new_key(self.seams)
    }

    /// It is done: on to the page that shows so, which can be loaded again without doing it again.
    pub fn done(&self, path: &str, done: Done) -> Reply {
        Reply::see_other(format!("/office{path}?done={}", done.name()))
    }
}
