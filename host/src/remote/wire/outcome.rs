//! What became of a call: its results, its failure, or why it was not accepted.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, response};
use seam_runtime::call::{Failure, RefusalReason};
use seam_runtime::remote::Carried;

use super::field;
use crate::limits;

const ANSWERED: &str = "answered";
const TRAPPED: &str = "trapped";
const TIMED_OUT: &str = "timed-out";
const OVERLOADED: &str = "overloaded";
const ABSENT: &str = "absent";
const REFUSED: &str = "refused";
const MOVED: &str = "moved";

/// All values of `seam-outcome`, and of `seam-rule`.
#[cfg(test)]
pub const NAMES: [&str; 17] = [
    ANSWERED,
    TRAPPED,
    TIMED_OUT,
    OVERLOADED,
    ABSENT,
    REFUSED,
    MOVED,
    "unreadable",
    "version",
    "placement",
    "forbidden",
    "too-large",
    "reentry",
    "too-deep",
    "shadow",
    "transaction-open",
    "not-a-part",
];

const RULES: [(&str, RefusalReason); 5] = [
    ("reentry", RefusalReason::Reentry),
    ("too-deep", RefusalReason::TooDeep),
    ("shadow", RefusalReason::Shadow),
    ("transaction-open", RefusalReason::TransactionOpen),
    ("not-a-part", RefusalReason::NotAPart),
];

/// Why a host does not accept a request. The call was not performed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("{0}")]
    Unreadable(String),
    /// Of the requests, or of the codec.
    #[error("{0}")]
    Version(String),
    #[error("{0}")]
    Placement(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    TooLarge(String),
}

impl Rejection {
    /// `own` and `other`: the digests of this host and of the one that asks.
    pub fn placement(own: &[u8; 32], other: &[u8; 32]) -> Self {
        let short = |digest: &[u8; 32]| hex::encode(digest.get(..8).unwrap_or(digest));
        let (own, other) = (short(own), short(other));
        Self::Placement(format!("this host has the placement {own}, the other one has {other}"))
    }

    /// The value of `seam-outcome`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::Version(_) => "version",
            Self::Placement(_) => "placement",
            Self::Forbidden(_) => "forbidden",
            Self::TooLarge(_) => "too-large",
        }
    }

    fn named(name: &str, why: String) -> Option<Self> {
        let all = [Self::Unreadable, Self::Version, Self::Placement, Self::Forbidden, Self::TooLarge];
        all.into_iter().map(|make| make(why.clone())).find(|rejection| rejection.name() == name)
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unreadable(_) | Self::Version(_) => StatusCode::BAD_REQUEST,
            Self::Placement(_) => StatusCode::CONFLICT,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "a client of your own must follow docs/remote-calls.md",
            Self::Version(_) => "run the same version of `seam` on both hosts",
            Self::Placement(_) => "start both hosts with the same `seam.toml`: hosts, contexts and their imports",
            Self::Forbidden(_) => {
                "let the caller import the interface, or subscribe to it, and name the caller in its host's certificate: \
                 `seam cert host NAME --contexts ...`"
            }
            Self::TooLarge(_) => "pass less in one call: a page of a list, or the parts of a file",
        }
    }
}

pub fn greeted() -> Response<Bytes> {
    respond(StatusCode::NO_CONTENT, ANSWERED, Bytes::new())
}

pub fn rejected(rejection: &Rejection) -> Response<Bytes> {
    respond(rejection.status(), rejection.name(), text(&rejection.to_string()))
}

pub fn carried(carried: Carried) -> Response<Bytes> {
    match carried {
        Ok(results) => respond(StatusCode::OK, ANSWERED, results),
        Err(failure) => failed(&failure),
    }
}

/// The value of `seam-outcome` for a call.
pub fn answered(carried: &Carried) -> &'static str {
    match carried {
        Ok(_) => ANSWERED,
        Err(Failure::Trapped { .. }) => TRAPPED,
        Err(Failure::TimedOut { .. }) => TIMED_OUT,
        Err(Failure::Overloaded { .. }) => OVERLOADED,
        Err(Failure::Absent { .. }) => ABSENT,
        Err(Failure::Refused { .. }) => REFUSED,
        Err(Failure::Moved { .. }) => MOVED,
    }
}

fn failed(failure: &Failure) -> Response<Bytes> {
    let (status, context, why) = match failure {
        Failure::Trapped { context, reason } => (StatusCode::INTERNAL_SERVER_ERROR, context, reason.as_str()),
        Failure::TimedOut { context } => (StatusCode::GATEWAY_TIMEOUT, context, ""),
        Failure::Overloaded { context } => (StatusCode::SERVICE_UNAVAILABLE, context, ""),
        Failure::Absent { context, reason } => (StatusCode::SERVICE_UNAVAILABLE, context, reason.as_str()),
        Failure::Refused { context, .. } => (StatusCode::FORBIDDEN, context, ""),
        Failure::Moved { context, .. } => (StatusCode::MISDIRECTED_REQUEST, context, ""),
    };
    let mut response = respond(status, answered(&Err(failure.clone())), text(why));
    let fields = response.headers_mut();
    if let Ok(context) = HeaderValue::from_str(context) {
        fields.insert(field::CONTEXT, context);
    }
    if let Failure::Refused { reason, .. } = failure
        && let Some((rule, _)) = RULES.iter().find(|(_, of)| of == reason)
    {
        fields.insert(field::RULE, HeaderValue::from_static(rule));
    }
    if let Failure::Moved { host, token, .. } = failure
        && let Ok(host) = HeaderValue::from_str(host)
    {
        fields.insert(field::HOME, host);
        fields.insert(field::TOKEN, HeaderValue::from(*token));
    }
    response
}

fn respond(status: StatusCode, outcome: &'static str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(field::OUTCOME, HeaderValue::from_static(outcome));
    response
}

/// The start of the text, as far as it may travel.
fn text(why: &str) -> Bytes {
    let end = why.floor_char_boundary(limits::REMOTE_REASON_BYTES_MAX);
    Bytes::copy_from_slice(why.get(..end).unwrap_or_default().as_bytes())
}

/// What a response says of a call, before its body is read.
#[derive(Debug, PartialEq, Eq)]
pub struct Answered {
    status: StatusCode,
    outcome: String,
    context: Option<String>,
    rule: Option<String>,
    home: Option<(String, u64)>,
}

impl Answered {
    pub fn read(parts: &response::Parts) -> Self {
        let text = |name| one(&parts.headers, name).map(str::to_owned);
        let outcome = text(field::OUTCOME).unwrap_or_default();
        let token = text(field::TOKEN).and_then(|token| token.parse().ok());
        let home = text(field::HOME).zip(token);
        Self { status: parts.status, outcome, context: text(field::CONTEXT), rule: text(field::RULE), home }
    }

    /// Whether the body has the results.
    pub fn has_results(&self) -> bool {
        self.outcome == ANSWERED && self.status.is_success()
    }

    /// How many bytes the body may have.
    pub fn body_bytes_max(&self) -> usize {
        if self.has_results() { limits::SEAM_MESSAGE_BYTES_MAX } else { limits::REMOTE_REASON_BYTES_MAX }
    }

    /// The outcome of the call of `context` at `host`, with the body's bytes; or why the host did not accept it.
    ///
    /// # Errors
    /// The rejection. It has no case in `Failure`: the caller cannot do anything about it.
    pub fn carried(self, context: &str, host: &str, body: Bytes) -> Result<Carried, Rejection> {
        if self.has_results() {
            return Ok(Ok(body));
        }
        let why = String::from_utf8_lossy(&body).into_owned();
        let context = self.context.unwrap_or_else(|| context.to_owned());
        let rule = |rule: String| RULES.iter().find(|(name, _)| *name == rule).map(|(_, reason)| *reason);
        if let (MOVED, Some((host, token))) = (self.outcome.as_str(), self.home) {
            return Ok(Err(Failure::Moved { context, host, token }));
        }
        let failure = match (self.outcome.as_str(), self.rule.and_then(rule)) {
            (TRAPPED, _) => Failure::Trapped { context, reason: why },
            (TIMED_OUT, _) => Failure::TimedOut { context },
            (OVERLOADED, _) => Failure::Overloaded { context },
            (ABSENT, _) => Failure::Absent { context, reason: why },
            (REFUSED, Some(reason)) => Failure::Refused { context, reason },
            (other, _) => match Rejection::named(other, why) {
                Some(rejection) => return Err(rejection),
                None => {
                    let reason = format!("host `{host}` answers in a form that this host does not know");
                    Failure::Absent { context, reason }
                }
            },
        };
        Ok(Err(failure))
    }
}

fn one<'h>(fields: &'h HeaderMap, name: &str) -> Option<&'h str> {
    const BYTES_MAX: usize = 256;
    fields.get(name)?.to_str().ok().filter(|value| value.len() <= BYTES_MAX)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn travelled(response: Response<Bytes>) -> Result<Carried, Rejection> {
        let (parts, body) = response.into_parts();
        let answered = Answered::read(&parts);
        assert!(body.len() <= answered.body_bytes_max());
        answered.carried("finance", "books", body)
    }

    #[test]
    fn each_outcome_is_the_same_at_the_caller() {
        let context = || "finance@js".to_owned();
        let mut outcomes: Vec<Carried> = vec![
            Ok(Bytes::from_static(b"results")),
            Ok(Bytes::new()),
            Err(Failure::Trapped { context: context(), reason: "unreachable \u{e9}".to_owned() }),
            Err(Failure::TimedOut { context: context() }),
            Err(Failure::Overloaded { context: context() }),
            Err(Failure::Absent { context: context(), reason: "it drains".to_owned() }),
            Err(Failure::Moved { context: context(), host: "records".to_owned(), token: 7 }),
        ];
        outcomes.extend(RULES.map(|(_, reason)| Err(Failure::Refused { context: context(), reason })));
        for outcome in outcomes {
            let expect = format!("{outcome:?}");
            assert_eq!(format!("{:?}", travelled(carried(outcome)).unwrap()), expect);
        }
    }

    #[test]
    fn a_rejection_keeps_its_kind_and_its_text() {
        let why = || "because".to_owned();
        for rejection in [
            Rejection::Unreadable(why()),
            Rejection::Version(why()),
            Rejection::Placement(why()),
            Rejection::Forbidden(why()),
            Rejection::TooLarge(why()),
        ] {
            assert_eq!(travelled(rejected(&rejection)).unwrap_err(), rejection);
        }
    }

    #[test]
    fn long_reasons_are_cut_between_characters_and_unknown_answers_are_absence() {
        let reason = "\u{e9}".repeat(limits::REMOTE_REASON_BYTES_MAX);
        let cut = travelled(failed(&Failure::Absent { context: "finance".to_owned(), reason })).unwrap().unwrap_err();
        let Failure::Absent { reason, .. } = cut else { unreachable!("{cut}") };
        assert_eq!(reason.len(), limits::REMOTE_REASON_BYTES_MAX);
        for response in [Response::new(Bytes::new()), respond(StatusCode::OK, "later", Bytes::new())] {
            let found = travelled(response).unwrap().unwrap_err();
            assert!(found.to_string().contains("host `books` answers in a form"), "{found}");
        }
    }
}
