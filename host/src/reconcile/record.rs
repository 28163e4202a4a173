//! A disagreement, and what becomes of it: settling -> open -> mended, gone or given-up; or accepted.
//!
//! Not here: clocks, files, contexts. Whether it has stood for long enough is decided by who looks.

use seam_store::Acceptance;
use serde::{Deserialize, Serialize};

use crate::limits;

/// What one context says of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    pub context: String,
    pub least: i64,
    pub most: i64,
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.least == self.most {
            true => write!(f, "{} {}", self.context, self.least),
            false => write!(f, "{} {} to {}", self.context, self.least, self.most),
        }
    }
}

/// `orders 0, warehouse 2`
pub fn listed(amounts: &[Amount]) -> String {
    amounts.iter().map(Amount::to_string).collect::<Vec<_>>().join(", ")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has not stood for long enough to be more than work under way. One that ends here leaves no trace.
    Settling,
    /// It has been said. A context is asked to mend it, if the manifest names one.
    Open,
    /// No context mends it: a person has to.
    GivenUp,
    /// An operator has said that it is all right, with these amounts.
    Accepted,
    /// Over: the contexts agree after one of them was asked to mend it.
    Mended,
    /// Over: the contexts agree, by themselves or through a person.
    Gone,
}

impl State {
    pub const ALL: [Self; 6] = [Self::Settling, Self::Open, Self::GivenUp, Self::Accepted, Self::Mended, Self::Gone];
    /// Those in which the contexts disagree.
    pub const STANDING: [Self; 4] = [Self::Settling, Self::Open, Self::GivenUp, Self::Accepted];

    pub fn name(self) -> &'static str {
        match self {
            Self::Settling => "settling",
            Self::Open => "open",
            Self::GivenUp => "given-up",
            Self::Accepted => "accepted",
            Self::Mended => "mended",
            Self::Gone => "gone",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What came of an attempt to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MendAnswer {
    Mended,
    Later(String),
    Refused(String),
    /// No answer: it may have been done.
    Failed(String),
}

impl MendAnswer {
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Mended => ("mended", ""),
            Self::Later(why) => ("later", why),
            Self::Refused(why) => ("refused", why),
            Self::Failed(why) => ("failed", why),
        }
    }

    pub fn from_parts(name: &str, why: String) -> Option<Self> {
        Some(match name {
            "mended" => Self::Mended,
            "later" => Self::Later(why),
            "refused" => Self::Refused(why),
            "failed" => Self::Failed(why),
            _ => return None,
        })
    }
}

impl std::fmt::Display for MendAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, why) = self.parts();
        if why.is_empty() { f.write_str(name) } else { write!(f, "{name}: {why}") }
    }
}

/// Several contexts do not agree on the amount of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    pub total: String,
    pub key: String,
    /// The idempotency key of all attempts to mend it: 32 characters.
    pub id: String,
    pub state: State,
    pub amounts: Vec<Amount>,
    /// All times in milliseconds since 1970, UTC.
    pub first_ms: u64,
    pub last_ms: u64,
    pub said_ms: Option<u64>,
    pub over_ms: Option<u64>,
    /// Attempts to mend it; the last one may have been cut off.
    pub attempts: u32,
    pub asked_ms: Option<u64>,
    /// That of the last attempt; none while it is made, or when the host ended before it came.
    pub answer: Option<MendAnswer>,
    /// The operator who accepted it, and why.
    pub by: Option<String>,
    pub why: String,
}

impl Disagreement {
    /// One that a look has just found; `seen` says what.
    pub fn new(total: &str, key: &str, now_ms: u64) -> Self {
        Self {
            total: total.to_owned(),
            key: key.to_owned(),
            id: format!("{:032x}", rand::random::<u128>()),
            state: State::Settling,
            amounts: Vec::new(),
            first_ms: now_ms,
            last_ms: now_ms,
            said_ms: None,
            over_ms: None,
            attempts: 0,
            asked_ms: None,
            answer: None,
            by: None,
            why: String::new(),
        }
    }

    /// Whether these amounts are another disagreement than this one: an operator has accepted other amounts.
    pub fn is_past(&self, amounts: &[Amount]) -> bool {
        self.state == State::Accepted && self.amounts != amounts
    }

    /// A look has found it; `settled`: it has stood for long enough. Whether an operator must now be told.
    pub fn seen(&mut self, amounts: Vec<Amount>, now_ms: u64, settled: bool) -> bool {
        (self.amounts, self.last_ms) = (amounts, now_ms);
        match self.state {
            State::Settling if settled => {
                (self.state, self.said_ms) = (State::Open, Some(now_ms));
                true
            }
            State::Open if self.attempts >= limits::RECONCILE_TRIES => {
                self.state = State::GivenUp;
                true
            }
            _ => false,
        }
    }

    /// A context is going to be asked to mend it.
    pub fn asked(&mut self, now_ms: u64) {
        self.state = State::Open;
        self.said_ms = self.said_ms.or(Some(now_ms));
        self.attempts = self.attempts.saturating_add(1);
        (self.asked_ms, self.answer) = (Some(now_ms), None);
    }

    /// Whether an operator must now be told.
    pub fn answered(&mut self, answer: MendAnswer) -> bool {
        let refused = matches!(answer, MendAnswer::Refused(_));
        if refused {
            self.state = State::GivenUp;
        }
        self.answer = Some(answer);
        refused
    }

    pub fn accepted(&mut self, who: &str, why: &str) {
        self.state = State::Accepted;
        (self.by, self.why) = (Some(who.to_owned()), why.to_owned());
    }

    /// As the file keeps it of the context that decides which host looks; `None` if it is not accepted.
    pub fn acceptance(&self, now_ms: u64) -> Option<Acceptance> {
        (self.state == State::Accepted).then(|| Acceptance {
            key: self.key.clone(),
            amounts: serde_json::to_string(&self.amounts).unwrap_or_default(),
            by: self.by.clone().unwrap_or_default(),
            why: self.why.clone(),
            at_ms: now_ms,
        })
    }

    /// A look no longer finds it.
    pub fn over(&mut self, now_ms: u64) {
        // An attempt without an answer may have done it.
        let perhaps = matches!(self.answer, None | Some(MendAnswer::Mended | MendAnswer::Failed(_)));
        let mended = self.attempts > 0 && perhaps && self.state != State::Accepted;
        self.state = if mended { State::Mended } else { State::Gone };
        self.over_ms = Some(now_ms);
    }
}
