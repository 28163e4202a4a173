//! Orders that were cut off: another context did not answer, or the host ended, between two steps of a change.
//!
//! `orders` brings them to their end by itself; an operator can have it done now.

use crate::seams::desk::{Change, CutOff};

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
    /// The page where the same can be asked for again, and what it is called there.
    pub again: Option<(&'static str, &'static str)>,
}

pub fn notes(one: &CutOff) -> Notes<'_> {
    let (doing, end, again) = match one.change {
        Change::Placing => (
            "it was being placed",
            "It is taken back: the copies go on the shelf, nothing is charged, and the customer can order again.",
            None,
        ),
        Change::Shipment => (
            "it was being shipped",
            "It goes on: the money is taken, and the parcel is booked out.",
            Some(("ship", "Ship it")),
        ),
        Change::Cancellation => (
            "it was being cancelled",
            "It goes on: the copies go back on the shelf, and the money is let go.",
            Some(("cancel", "Cancel it")),
        ),
        Change::ReturnIntake => (
            "its return was being taken in",
            "It goes on: the copies go on the shelf, and their price goes back to the card.",
            Some(("receive", "Take the return in")),
        ),
    };
    Notes { number: &one.order.number, since: When(one.since), doing, end, again }
}
