//! Access to the office: `enter` asks `customer` whether the visitor is an operator.
//!
//! Invariant: every page and every action takes a [`Desk`], and only `enter` makes one.

use crate::csrf;
use crate::draft::Draft;
use crate::href;
use crate::key::new_key;
use crate::pages::{Problem, signed_in};
use crate::reply::Reply;
use crate::seams::{Seams, accounts::Account};
use crate::visit::Visit;

use super::notice::{Done, Notice};

/// An operator who is signed in.
pub struct Desk<'a, S> {
    seams: &'a S,
    visit: &'a Visit<'a>,
    operator: Account,
    token: String,
    /// The token of the operator's session.
    session: String,
}

/// What the layout around every page of the office needs.
#[derive(Debug)]
pub struct Shell<'a> {
    pub operator: &'a str,
    pub here: Section,
    pub notice: Option<Notice>,
    /// What every form carries.
    pub token: &'a str,
}

/// The part of the office that a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
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

    pub fn is(&self, section: Section) -> bool {
        self.here == section
    }
}

/// The desk of an operator. A visitor who is not signed in signs in first, and then returns to `next`, a path below
/// `/office`. For everybody else the page does not exist.
pub fn enter<'a, S: Seams>(next: &str, visit: &'a Visit<'a>, seams: &'a S) -> Result<Desk<'a, S>, Problem> {
    let next = if next.is_empty() || href::is_local(next) { next } else { "" };
    let customer = signed_in(visit, &format!("/office{next}"), seams)?;
    match customer.account.operator {
        true => {
            let session = customer.token.to_owned();
            Ok(Desk { seams, visit, operator: customer.account, token: visit.form_token(seams), session })
        }
        false => Err(Problem::NotFound),
    }
}

impl<'a, S: Seams> Desk<'a, S> {
    pub fn seams(&self) -> &'a S {
        self.seams
    }

    /// The id of the operator's account.
    pub fn account(&self) -> &str {
        &self.operator.id
    }

    pub fn session(&self) -> &str {
        &self.session
    }

    pub fn shell(&self, here: Section, notice: Option<Notice>) -> Shell<'_> {
        Shell { operator: &self.operator.name, here, notice, token: &self.token }
    }

    /// A key for the forms of one page.
    pub fn key(&self) -> String {
        new_key(self.seams)
    }

    /// What was typed into a form that could not be done, if the page at this path below `/office` shows it.
    pub fn draft(&self, path: &str) -> Option<Draft<'a>> {
        self.visit.draft(&format!("/office{path}"))
    }

    /// As [`Desk::draft`], until a form of the office is done.
    pub fn lasting_draft(&self, path: &str) -> Option<Draft<'a>> {
        self.visit.lasting_draft(&format!("/office{path}"))
    }

    /// Redirects to the page that shows the result. Reloading that page does not send the form again.
    pub fn done(&self, path: &str, done: Done) -> Reply {
        let mut reply = Reply::see_other(format!("/office{path}?done={}", done.name()));
        reply.headers.extend(self.visit.forget_draft());
        reply
    }
}
