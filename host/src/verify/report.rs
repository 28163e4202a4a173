//! What a verification has found.

use std::collections::BTreeSet;

use seam_store::Error;
use serde::{Deserialize, Serialize};

/// All checks of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// RFC 3339, UTC: all files are as they were at this moment.
    pub at: String,
    /// How long commits waited for it, in ms; 0 of files that no host uses.
    pub held_ms: u64,
    pub verdict: Verdict,
    pub checks: Vec<Check>,
    /// What was looked at, if that is more than one host or backup.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// A host or a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The name of the host, or that of the backup.
    pub name: String,
    pub how: How,
    /// RFC 3339, UTC: its files are as they were at this moment; empty if none was looked at.
    pub at: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    Running,
    Stopped,
    /// A host that is not on this machine, or does not answer.
    Away,
    Backup,
}

/// What follows from all checks together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything was checked, and holds.
    Holds,
    /// At least one invariant is violated.
    Violated,
    /// Nothing is violated as far as it could be checked, and something could not.
    Unchecked,
    /// No invariant that a context declares had a row to look at.
    Nothing,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The context whose file it is; of a total, all that declare it.
    pub contexts: Vec<String>,
    pub kind: CheckKind,
    pub name: String,
    /// What holds.
    pub sentence: String,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckKind {
    /// The host's own check of a file.
    File,
    /// What a context declares of its file.
    Invariant,
    /// What several contexts must agree on.
    Total,
    /// The host's own check of the events between a publisher and a subscriber; its name is the events interface.
    Events,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    Holds {
        /// Of a total: keys that were compared; of events: how many the publisher keeps.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keys: Option<u64>,
    },
    /// Nothing was there to look at, so that nothing is known.
    Empty {
        why: String,
    },
    Violated {
        /// All violations.
        count: u64,
        /// What the values of an example are.
        columns: Vec<String>,
        /// The first few; the first value says what is wrong.
        examples: Vec<Vec<String>>,
        /// What to do; empty when only the context's author knows.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        remedy: String,
    },
    Unchecked {
        why: String,
        remedy: String,
    },
}

impl Outcome {
    /// That of a check which `error` has stopped.
    pub(super) fn unchecked(error: &Error) -> Self {
        let remedy = match error {
            Error::Interrupted(_) => "verify a backup, for which there is more time: `seam verify --backup NAME`",
            Error::Invalid(_) | Error::Denied(_) => {
                "the file may be at another schema than the component: `seam check` says whether the statement fits"
            }
            Error::TooLarge(_) => "have the statement read fewer or shorter values",
            _ => "see the log of the host, and `seam contexts`",
        };
        Self::Unchecked { why: error.to_string(), remedy: remedy.to_owned() }
    }

    /// That of a total whose statement of `context` has ended with `error`.
    pub(super) fn unchecked_side(context: &str, error: &Error) -> Self {
        match Self::unchecked(error) {
            Self::Unchecked { why, remedy } => {
                Self::Unchecked { why: format!("the statement of `{context}`: {why}"), remedy }
            }
            other => other,
        }
    }
}

impl Report {
    pub(super) fn new(at: String, held_ms: u64, checks: Vec<Check>) -> Self {
        let verdict = verdict(&checks);
        Self { at, held_ms, verdict, checks, parts: Vec::new() }
    }

    /// All of these as one. A check that several have made is there once: a violation before what holds, and that
    /// before what one of them could not look at.
    pub fn merged(reports: impl IntoIterator<Item = Self>, parts: Vec<Part>) -> Self {
        let rank = |check: &Check| match check.outcome {
            Outcome::Violated { .. } => 3,
            Outcome::Holds { .. } => 2,
            Outcome::Unchecked { .. } => 1,
            Outcome::Empty { .. } => 0,
        };
        let is_same = |a: &Check, b: &Check| {
            let contexts = |check: &Check| check.contexts.iter().cloned().collect::<BTreeSet<_>>();
            let is_between = matches!(a.kind, CheckKind::Total | CheckKind::Events);
            is_between && a.kind == b.kind && a.name == b.name && contexts(a) == contexts(b)
        };
        let mut merged = Self::new(String::new(), 0, Vec::new());
        for report in reports {
            merged.held_ms = merged.held_ms.max(report.held_ms);
            for check in report.checks {
                match merged.checks.iter_mut().find(|known| is_same(known, &check)) {
                    Some(known) if rank(known) < rank(&check) => *known = check,
                    Some(_) => {}
                    None => merged.checks.push(check),
                }
            }
        }
        merged.at = parts.iter().map(|part| part.at.clone()).max().unwrap_or_default();
        Self { verdict: verdict(&merged.checks), parts, ..merged }
    }

    /// What `host` has is not checked: its contexts with a store, and why.
    pub fn of_away(host: &str, contexts: Vec<String>, why: String, remedy: String) -> Self {
        let check = Check {
            contexts,
            kind: CheckKind::File,
            name: "host-is-here".to_owned(),
            sentence: format!("Host `{host}` runs on this machine, or is stopped and has its files here."),
            outcome: Outcome::Unchecked { why, remedy },
        };
        Self::new(String::new(), 0, vec![check])
    }
}

fn verdict(checks: &[Check]) -> Verdict {
    let any = |is: &dyn Fn(&Check) -> bool| checks.iter().any(is);
    let declared = |check: &Check| matches!(check.kind, CheckKind::Invariant | CheckKind::Total);
    let looked = |check: &Check| declared(check) && matches!(check.outcome, Outcome::Holds { .. });
    if any(&|check| matches!(check.outcome, Outcome::Violated { .. })) {
        Verdict::Violated
    } else if any(&|check| matches!(check.outcome, Outcome::Unchecked { .. })) {
        Verdict::Unchecked
    } else if any(&looked) {
        Verdict::Holds
    } else {
        Verdict::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_as_good_as_the_worst_check_and_never_good_without_one() {
        let holds = || Outcome::Holds { keys: None };
        let empty = || Outcome::Empty { why: "no rows".into() };
        let unchecked = || Outcome::Unchecked { why: "too long".into(), remedy: String::new() };
        let violated =
            || Outcome::Violated { count: 1, columns: Vec::new(), examples: Vec::new(), remedy: String::new() };
        let check = |kind, outcome| Check {
            contexts: vec!["a".into()],
            kind,
            name: "n".into(),
            sentence: "It holds.".into(),
            outcome,
        };
        let (file, own) = (CheckKind::File, CheckKind::Invariant);
        for (checks, expect) in [
            (vec![], Verdict::Nothing),
            (vec![(file, holds())], Verdict::Nothing),
            (vec![(file, holds()), (CheckKind::Events, holds()), (own, empty())], Verdict::Nothing),
            (vec![(file, holds()), (own, empty()), (own, holds())], Verdict::Holds),
            (vec![(own, holds()), (own, unchecked())], Verdict::Unchecked),
            (vec![(file, unchecked())], Verdict::Unchecked),
            (vec![(own, unchecked()), (own, violated()), (own, holds())], Verdict::Violated),
            (vec![(file, violated()), (own, empty())], Verdict::Violated),
        ] {
            let checks: Vec<_> = checks.into_iter().map(|(kind, outcome)| check(kind, outcome)).collect();
            assert_eq!(verdict(&checks), expect, "{checks:?}");
        }
    }
}
