//! What the operator gets to see of a move.

use serde::{Deserialize, Serialize};

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

/// A context that has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The calls that waited at the end of the pause.
    pub waited: usize,
    /// Why the target does not serve the context yet, if so. It goes on by itself.
    pub late: Option<String>,
}

/// Why a context was not moved. Everything is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
#[error("{message}")]
pub struct Refused {
    pub message: String,
    pub remedy: String,
}

impl Refused {
    pub(super) fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}
