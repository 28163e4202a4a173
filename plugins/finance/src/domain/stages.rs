//! What may happen to the payment of an order, stage by stage.
//!
//! ```text
//! nothing -> authorised -> captured (refund, refund, ...)
//!         -> declined   -> authorised | declined | unknown
//!         -> unknown
//!         -> marked
//! authorised | declined | unknown -> voided
//! ```
//!
//! Voided, marked and captured are final: an authorisation that arrives after the caller gave up must not hold money.
//! The migration holds the same table in a trigger.

use serde::{Deserialize, Serialize};

use super::processor::Reply;
use crate::wit;

/// As it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The processor did not answer.
    Unknown,
    Authorised,
    Captured,
    Voided,
    Declined,
    /// Voided before there was a payment. No payment is ever in it, so the interface does not have it.
    Marked,
}

impl From<Stage> for wit::Stage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Unknown => Self::Unknown,
            Stage::Authorised => Self::Authorised,
            Stage::Captured => Self::Captured,
            Stage::Declined => Self::Declined,
            Stage::Voided | Stage::Marked => Self::Voided,
        }
    }
}

impl From<wit::Stage> for Stage {
    fn from(stage: wit::Stage) -> Self {
        match stage {
            wit::Stage::Unknown => Self::Unknown,
            wit::Stage::Authorised => Self::Authorised,
            wit::Stage::Captured => Self::Captured,
            wit::Stage::Voided => Self::Voided,
            wit::Stage::Declined => Self::Declined,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// With what the processor says to it.
    Authorise(Reply),
    Void,
    Capture,
    Refund,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is done, and this is the stage afterwards.
    Goes(Stage),
    /// It is so already.
    Stays,
    /// There is no payment for this.
    NoPayment,
    Refused(&'static str),
}

/// What comes of `action` for an order whose payment is in `stage`; none: it has none.
pub fn verdict(stage: Option<Stage>, action: Action) -> Verdict {
    use Stage::{Authorised, Captured, Declined, Marked, Unknown, Voided};
    use Verdict::{Goes, NoPayment, Refused, Stays};
    match (action, stage) {
        (Action::Authorise(reply), None | Some(Declined)) => Goes(match reply {
            Reply::Approved => Authorised,
            Reply::Declined(_) => Declined,
            Reply::Silence => Unknown,
        }),
        (Action::Authorise(_), Some(Unknown)) => Refused("the card processor has not answered yet; void it first"),
        (Action::Authorise(_), Some(Authorised)) => Refused("its money is held already"),
        (Action::Authorise(_), Some(Captured)) => Refused("it is paid already"),
        (Action::Authorise(_), Some(Voided | Marked)) => Refused("it was voided, and nothing is held for it again"),

        (Action::Void, None) => Goes(Marked),
        (Action::Void, Some(Unknown | Authorised | Declined)) => Goes(Voided),
        (Action::Void, Some(Voided | Marked)) => Stays,
        (Action::Void, Some(Captured)) => Refused("its money is taken already; refund it instead"),

        (Action::Capture | Action::Refund, None | Some(Marked)) => NoPayment,
        (Action::Capture, Some(Authorised)) => Goes(Captured),
        (Action::Capture, Some(Unknown)) => {
            Refused("the card processor has not answered, so nothing is known to be held")
        }
        (Action::Capture, Some(Captured)) => Refused("its money is taken already"),
        (Action::Capture, Some(Voided)) => Refused("its money was let go"),
        (Action::Capture, Some(Declined)) => Refused("the bank declined it, so nothing is held"),

        (Action::Refund, Some(Captured)) => Goes(Captured),
        (Action::Refund, Some(Unknown | Authorised | Voided | Declined)) => Refused("no money was taken for it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every stage against every action. R: refused, -: no payment, =: as it is.
    const TABLE: &str = "
                approve decline silence void    capture refund
    nothing     author  decli   unkno   marke   -       -
    unknown     R       R       R       voide   R       R
    authorised  R       R       R       voide   captu   R
    captured    R       R       R       R       R       captu
    voided      R       R       R       =       R       R
    declined    author  decli   unkno   voide   R       R
    marked      R       R       R       =       -       -";

    #[test]
    fn every_action_in_every_stage_ends_as_the_table_says() {
        let actions = [
            Action::Authorise(Reply::Approved),
            Action::Authorise(Reply::Declined("no")),
            Action::Authorise(Reply::Silence),
            Action::Void,
            Action::Capture,
            Action::Refund,
        ];
        let stages = [
            None,
            Some(Stage::Unknown),
            Some(Stage::Authorised),
            Some(Stage::Captured),
            Some(Stage::Voided),
            Some(Stage::Declined),
            Some(Stage::Marked),
        ];
        let rows: Vec<&str> = TABLE.trim().lines().skip(1).collect();
        assert_eq!(rows.len(), stages.len());
        for (row, stage) in rows.iter().zip(stages) {
            let mut cells = row.split_whitespace();
            let name = stage.map_or("nothing".into(), |stage| format!("{stage:?}").to_lowercase());
            assert_eq!(cells.next(), Some(name.as_str()));
            for action in actions {
                let cell = cells.next().unwrap_or_default();
                let as_expected = match verdict(stage, action) {
                    Verdict::Goes(next) => cell.len() > 2 && format!("{next:?}").to_lowercase().starts_with(cell),
                    Verdict::Stays => cell == "=",
                    Verdict::NoPayment => cell == "-",
                    Verdict::Refused(why) => cell == "R" && !why.is_empty(),
                };
                assert!(as_expected, "{name} {action:?}: {:?}, not {cell}", verdict(stage, action));
            }
            assert_eq!(cells.next(), None);
        }
    }
}
