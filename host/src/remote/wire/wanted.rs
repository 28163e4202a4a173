//! What a request asks for.

use http::{Method, request};
use seam_runtime::remote::{Ask, Head};
use seam_runtime::two_phase::Request;

use super::head::{Fields, unreadable};
use super::outbox;
use super::outcome::Rejection;
use super::step::{self, Step};
use super::{FORM, field};
use super::{total, two_phase};
use crate::remote::config::System;
use crate::remote::totals::TotalAsk;

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Whether both hosts fit each other.
    Greeting,
    Call(Head),
    /// Events of an outbox.
    Events(Ask),
    /// A step of moving a context.
    Step(Step),
    /// A step of a transaction over files of several hosts.
    Transaction(Request),
    /// The amounts of a total.
    Total(TotalAsk),
}

/// Reads what `request`, `greeting`, or `request` of `outbox`, `step`, `two_phase` or `total` has written.
///
/// # Errors
/// What is wrong, and where.
pub fn read(parts: &request::Parts, system: &System) -> Result<Wanted, Rejection> {
    let mut segments = parts.uri.path().split('/').skip(1);
    let form = segments.next().unwrap_or_default();
    if form != FORM {
        return Err(Rejection::Version(format!("this host knows requests of the form `{FORM}`, not `{form}`")));
    }
    let fields = Fields(&parts.headers);
    fields.are_known()?;
    let codec = fields.number(field::CODEC, u64::from(u8::MAX))?;
    if codec != u64::from(system.codec) {
        let own = system.codec;
        return Err(Rejection::Version(format!("this host knows version {own} of the codec, not {codec}")));
    }
    let placement = fields.digest(field::PLACEMENT)?;
    if placement != system.placement {
        return Err(Rejection::placement(&system.placement, &placement));
    }
    let path: Vec<&str> = segments.collect();
    match (&parts.method, path.as_slice()) {
        (&Method::GET, []) => Ok(Wanted::Greeting),
        (&Method::POST, [context, package, interface, function]) => {
            fields.call(context, &format!("{package}/{interface}"), function).map(Wanted::Call)
        }
        (&Method::GET, [outbox::FIRST, publisher, package, interface, kind]) => {
            outbox::read(&fields, publisher, &format!("{package}/{interface}"), kind).map(Wanted::Events)
        }
        (&Method::POST, [step::FIRST, context, name]) => step::read(context, name).map(Wanted::Step),
        (&Method::POST, [two_phase::FIRST, participant, step]) => {
            two_phase::read(&fields, participant, step).map(Wanted::Transaction)
        }
        (&Method::GET, [total::FIRST, context, name]) => total::read(&fields, context, name).map(Wanted::Total),
        (method, _) => {
            let path = parts.uri.path();
            let not = "is neither a greeting nor a call, asks for no events, moves no context, ends no transaction and \
                       compares no total";
            Err(unreadable(format!("`{method} {path}` {not}")))
        }
    }
}
