//! Orders that are held up: a change of theirs takes long, because another context does not answer, or refuses.
//!
//! The host goes on with them by itself, except for those that are stuck.

use crate::seams::desk::{Change, HeldUp};

use super::view::When;

/// Orders that are named; more than these are counted only.
pub const NAMED_MAX: u32 = 200;

/// What is shown of one.
pub struct Notes<'a> {
    pub number: &'a str,
    pub since: When,
    /// What was being done, as in "while it was being shipped".
    pub doing: &'static str,
    /// What its end will be, in a sentence.
    pub end: &'static str,
    /// Why it takes long, as `orders` says it; may be empty.
    pub cause: &'a str,
    /// Whether it goes on only after an operator has looked at it.
    pub stuck: bool,
}

impl Notes<'_> {
    /// What becomes of it until then, in a sentence.
    pub fn next(&self) -> &'static str {
        match self.stuck {
            true => "It is stuck: an operator has to look at it. The command `seam sagas` shows what was tried.",
            false => "It is tried again by itself until all parts of the shop answer.",
        }
    }
}

pub fn notes(one: &HeldUp) -> Notes<'_> {
    let (doing, end) = match one.change {
        Change::Placing => (
            "it was being placed",
            "It is placed, or taken back: then the copies go on the shelf, nothing is charged, and the customer can order \
             again.",
        ),
        Change::Shipment => ("it was being shipped", "It goes on: the money is taken, and the parcel is booked out."),
        Change::Cancellation => {
            ("it was being cancelled", "It goes on: the copies go back on the shelf, and the money is let go.")
        }
        Change::ReturnIntake => (
            "its return was being taken in",
            "It goes on: the copies go on the shelf, and their price goes back to the card.",
        ),
    };
    Notes {
        number: &one.order.number,
        since: When(one.since),
        doing,
        end,
        cause: one.cause.trim_end_matches('.'),
        stuck: one.stuck,
    }
}
