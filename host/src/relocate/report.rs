//! What the operator gets to see of a move, before it and after it.

use seam_store::HostFileError;
use serde::{Deserialize, Serialize};

use crate::forecast::Forecast;

/// How far a move is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// The pages of the file that were sent, of so many.
    Copied { pages: u32, of: u32 },
    /// Pages that were changed meanwhile were sent again.
    CaughtUp { pages: u64 },
    /// So many tables have the same rows on both hosts.
    Compared { tables: usize, rows: u64 },
}

/// The parts of a pause, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseParts {
    /// Until no call of the context ran.
    pub drain_us: u64,
    /// Until the last pages were on the target's disk.
    pub rest_us: u64,
    /// The last commit here, which hands the file over.
    pub hand_over_us: u64,
    /// Until the target served the context.
    pub activate_us: u64,
    /// Until calls went there.
    pub switch_us: u64,
}

impl PauseParts {
    /// All of it.
    pub fn total_us(&self) -> u64 {
        self.named().into_iter().map(|(_, us)| us).sum()
    }

    /// Each part with what happens in it.
    pub fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("calls that run end", self.drain_us),
            ("the last pages travel", self.rest_us),
            ("the file is handed over", self.hand_over_us),
            ("the other host serves it", self.activate_us),
            ("calls go there", self.switch_us),
        ]
    }
}

/// What a move would take and cost, by what was measured and recorded before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    pub context: String,
    pub from: String,
    pub to: String,
    /// Every reason for which the move would be refused now.
    pub refused: Vec<Refused>,
    /// A small request to the other host and back; `None` when it cannot be reached.
    pub round_trip: Option<Spread>,
    /// The calls that would cross hosts and do not now.
    pub added: Option<Forecast>,
    /// The calls that cross hosts now and would not then.
    pub saved: Option<Forecast>,
    pub copy: Option<CopyPrediction>,
    pub pause: Option<PausePrediction>,
}

impl Prediction {
    /// Of a move of which nothing is known.
    pub fn empty(context: &str, from: &str, to: &str) -> Self {
        Self {
            context: context.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            refused: Vec::new(),
            round_trip: None,
            added: None,
            saved: None,
            copy: None,
            pause: None,
        }
    }
}

/// Times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    pub median_us: f64,
    pub p99_us: f64,
}

/// From the start of a move to its pause.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyPrediction {
    /// Pages of the file.
    pub pages: u64,
    /// Pages that are sent again, because they are written meanwhile.
    pub again: u64,
    /// Of all messages.
    pub bytes: u64,
    pub copy_ms: u64,
    /// Comparing all tables, a part of `copy_ms`.
    pub compare_ms: u64,
}

/// How long a pause takes, by rehearsals of all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PausePrediction {
    /// The parts of the rehearsal that half of them were shorter than.
    pub median: PauseParts,
    /// One of ten takes longer than this one.
    pub p90: PauseParts,
    /// One of ten is shorter, in microseconds.
    pub p10_us: u64,
    pub rehearsals: usize,
}

impl PausePrediction {
    /// By these rehearsals; `None` without any.
    pub fn of(mut rehearsals: Vec<PauseParts>) -> Option<Self> {
        rehearsals.sort_by_key(PauseParts::total_us);
        let last = rehearsals.len().checked_sub(1)?;
        let at = |q: f64| rehearsals.get((last as f64 * q).round() as usize).copied().unwrap_or_default();
        Some(Self { median: at(0.5), p90: at(0.9), p10_us: at(0.1).total_us(), rehearsals: rehearsals.len() })
    }
}

/// A context that has moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    pub context: String,
    pub from: String,
    pub to: String,
    /// Of the new owner of the file.
    pub token: u64,
    /// Pages of the file that were sent once, and those that were sent again.
    pub pages: u64,
    pub again: u64,
    pub bytes: u64,
    pub tables: usize,
    pub rows: u64,
    /// From the start to the pause.
    pub copy_ms: u64,
    /// For how long no call of the context ran.
    pub pause_us: u64,
    pub parts: PauseParts,
    /// The calls that waited at the end of the pause.
    pub waited: usize,
    /// Why the target does not serve the context yet, if so. It goes on by itself.
    pub late: Option<String>,
    /// What was predicted right before it; `None` if that took too long.
    pub predicted: Option<Box<Prediction>>,
}

/// Why a context was not moved. Everything is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
#[error("{message}")]
pub struct Refused {
    pub message: String,
    pub remedy: String,
}

impl From<HostFileError> for Refused {
    fn from(error: HostFileError) -> Self {
        Self::new(seam_store::chain(&error), error.remedy())
    }
}

impl Refused {
    pub(super) fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_predicted_by_whole_rehearsals_and_says_how_far_they_differ() {
        let pass = |rest_us, activate_us| PauseParts { rest_us, activate_us, ..PauseParts::default() };
        // The slowest of one part is not the slowest of all.
        let passes = (1..=11).map(|n| pass(12_000 - n * 1_000, n * 3_000)).collect();
        let predicted = PausePrediction::of(passes);
        let expect = PausePrediction {
            median: pass(6_000, 18_000),
            p90: pass(2_000, 30_000),
            p10_us: 10_000 + 6_000,
            rehearsals: 11,
        };
        assert_eq!(predicted, Some(expect));
        assert_eq!(PausePrediction::of(Vec::new()), None);
    }
}
