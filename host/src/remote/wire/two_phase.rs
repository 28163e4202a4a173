//! Steps of a transaction over files of several hosts, as requests: docs/remote-calls.md, "Transactions over several
//! files".

use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use seam_runtime::two_phase::{Reply, Request, Step};
use seam_store::ids::ContextName;
use serde::{Deserialize, Serialize};

use super::head::{Fields, Repeats, common, set, unreadable, uri};
use super::outcome::Rejection;
use super::{FORM, field};
use crate::limits;
use crate::remote::config::System;

/// The segment of the path after the form.
pub const FIRST: &str = "transactions";

const VOTE: &str = "vote";
const COMMIT: &str = "commit";
const ROLL_BACK: &str = "roll-back";
const ASK_DECISION: &str = "ask-decision";
const ASK_PROMISE: &str = "ask-promise";
const JOIN: &str = "join";

/// A time is what SQLite can hold.
const AT_MAX: u64 = i64::MAX as u64;

/// # Errors
/// Which part of it cannot travel.
pub fn request(authority: &Authority, system: &System, asked: &Request) -> Result<http::Request<Bytes>, String> {
    let step = match asked.step {
        Step::Vote { .. } => VOTE,
        Step::Commit => COMMIT,
        Step::RollBack => ROLL_BACK,
        Step::AskDecision => ASK_DECISION,
        Step::AskPromise => ASK_PROMISE,
        Step::Join { .. } => JOIN,
    };
    let path = format!("/{FORM}/{FIRST}/{}/{step}", asked.participant);
    let mut request = http::Request::new(Bytes::new());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = uri(authority, &path).ok_or_else(|| format!("`{path}` cannot be sent as a path"))?;
    let fields = request.headers_mut();
    common(fields, system);
    set(fields, field::TRANSACTION, &asked.transaction, Repeats::Seldom)?;
    set(fields, field::COORDINATOR, &asked.coordinator, Repeats::Often)?;
    set(fields, field::REMAINING, asked.remaining.as_millis(), Repeats::Often)?;
    match &asked.step {
        Step::Vote { at_ms } => set(fields, field::AT, (*at_ms).min(AT_MAX), Repeats::Seldom)?,
        Step::Join { callee } => set(fields, field::CALLEE, callee, Repeats::Often)?,
        _ => {}
    }
    Ok(request)
}

/// Reads what `request` has written.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn read(fields: &Fields<'_>, participant: &str, step: &str) -> Result<Request, Rejection> {
    let invalid = |what: &str, text: &str| unreadable(format!("`{}` is no {what}", text.escape_debug()));
    let (transaction, coordinator) = fields.transaction()?;
    let name = |text: &str| ContextName::parse(text).ok_or_else(|| invalid("name of a context", text));
    let step = match step {
        VOTE => Step::Vote { at_ms: fields.number(field::AT, AT_MAX)? },
        COMMIT => Step::Commit,
        ROLL_BACK => Step::RollBack,
        ASK_DECISION => Step::AskDecision,
        ASK_PROMISE => Step::AskPromise,
        JOIN => Step::Join { callee: name(fields.required(field::CALLEE)?)? },
        other => return Err(invalid("step of a transaction", other)),
    };
    Ok(Request {
        transaction,
        coordinator,
        participant: name(participant)?,
        step,
        remaining: Duration::from_millis(fields.number(field::REMAINING, limits::CALL_TIMEOUT_MS_MAX)?),
    })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Body {
    Promised(Vec<String>),
    Done,
    Committed,
    RolledBack,
    Undecided,
    Waits(bool),
    Joined(u32),
}

/// The bytes of an answer.
pub fn body(reply: &Reply) -> Bytes {
    let body = match reply {
        Reply::Promised(contexts) => Body::Promised(contexts.iter().map(ToString::to_string).collect()),
        Reply::Done => Body::Done,
        Reply::Committed => Body::Committed,
        Reply::RolledBack => Body::RolledBack,
        Reply::Undecided => Body::Undecided,
        Reply::Waits(waits) => Body::Waits(*waits),
        Reply::Joined(before) => Body::Joined(*before),
    };
    serde_json::to_vec(&body).unwrap_or_default().into()
}

/// Reads what `body` has written.
///
/// # Errors
/// Why it is no answer.
pub fn reply(body: &[u8]) -> Result<Reply, String> {
    Ok(match serde_json::from_slice(body).map_err(|error| error.to_string())? {
        Body::Promised(contexts) => {
            let names = contexts.iter().map(|name| ContextName::parse(name).ok_or_else(|| format!("`{name}`")));
            Reply::Promised(names.collect::<Result<_, _>>()?)
        }
        Body::Done => Reply::Done,
        Body::Committed => Reply::Committed,
        Body::RolledBack => Reply::RolledBack,
        Body::Undecided => Reply::Undecided,
        Body::Waits(waits) => Reply::Waits(waits),
        Body::Joined(before) => Reply::Joined(before),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::wanted::{Wanted, read};
    use super::*;

    const SYSTEM: System = System { codec: 1, placement: [7; 32] };

    fn asked(step: Step) -> Request {
        Request {
            transaction: "0123456789abcdef0123456789abcdef".to_owned(),
            coordinator: ContextName::parse("orders@js").unwrap(),
            participant: ContextName::parse("finance").unwrap(),
            step,
            remaining: Duration::from_millis(1_500),
        }
    }

    #[test]
    fn a_step_is_read_as_it_was_written() {
        let join = Step::Join { callee: ContextName::parse("warehouse@js").unwrap() };
        for step in [Step::Vote { at_ms: 7 }, Step::Commit, Step::RollBack, Step::AskDecision, Step::AskPromise, join] {
            let asked = asked(step);
            let request = request(&Authority::from_static("shop:7443"), &SYSTEM, &asked).unwrap();
            assert_eq!(read(&request.into_parts().0, &SYSTEM), Ok(Wanted::Transaction(asked)));
        }
    }

    #[test]
    fn what_is_wrong_in_a_step_is_named() {
        for (name, value, expect) in [
            (field::TRANSACTION, "0123", "`seam-transaction` is `0123`, not 32 hexadecimal digits"),
            (field::TRANSACTION, "", "`seam-transaction` is missing"),
            (field::COORDINATOR, "Orders", "`seam-coordinator` is `Orders`"),
            (field::AT, "-1", "`seam-at-ms` is `-1`"),
            (field::REMAINING, "", "`seam-remaining-ms` is missing"),
        ] {
            let request = request(&Authority::from_static("shop:7443"), &SYSTEM, &asked(Step::Vote { at_ms: 7 }));
            let mut parts = request.unwrap().into_parts().0;
            parts.headers.remove(name);
            if !value.is_empty() {
                parts.headers.insert(name, value.parse().unwrap());
            }
            let found = read(&parts, &SYSTEM).unwrap_err().to_string();
            assert!(found.contains(expect), "{name}: {value}: {found}");
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let promised = ["finance", "warehouse@js"].map(|name| ContextName::parse(name).unwrap()).to_vec();
        for expect in [
            Reply::Promised(promised),
            Reply::Promised(Vec::new()),
            Reply::Done,
            Reply::Committed,
            Reply::RolledBack,
            Reply::Undecided,
            Reply::Waits(true),
            Reply::Joined(7),
        ] {
            assert_eq!(reply(&body(&expect)).unwrap(), expect);
        }
        for other in ["", "{\"promised\":[\"Finance\"]}", "\"maybe\"", "{\"waits\":1}"] {
            assert!(reply(other.as_bytes()).is_err(), "{other}");
        }
    }
}
