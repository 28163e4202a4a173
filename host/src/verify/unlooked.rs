//! Why nothing is known of a total.

use super::report::Outcome;

/// Why nothing is known of a total, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlooked {
    pub why: String,
    pub remedy: String,
}

impl From<Outcome> for Unlooked {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Unchecked { why, remedy } => Self { why, remedy },
            Outcome::Empty { why } => Self { why, remedy: "`seam contexts` shows why".to_owned() },
            // No check of a total ends with these before it has looked.
            Outcome::Holds { .. } | Outcome::Violated { .. } => Self { why: String::new(), remedy: String::new() },
        }
    }
}

impl From<Unlooked> for Outcome {
    fn from(Unlooked { why, remedy }: Unlooked) -> Self {
        Self::Unchecked { why, remedy }
    }
}
