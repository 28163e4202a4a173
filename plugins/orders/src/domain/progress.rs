//! Where an order in process is, in a sentence for its customer.

use seam_sdk::sagas::{State, Status};

use super::states::Doing;

const UNDONE: &str =
    "The order could not be placed. What was set aside for it is being given back; nothing is charged.";
/// An operator has to look at it.
pub const STUCK: &str = "This takes longer than it should. We look after it; there is nothing that you have to do.";

/// `status` is that of the saga which the change is a part of; none: it has not started yet.
pub fn sentence(doing: Doing, status: Option<&Status>) -> &'static str {
    let Some(Status { state, step, .. }) = status else { return STUCK };
    match (doing, state, step.as_str()) {
        (Doing::Place | Doing::Undo, State::Undoing | State::Stuck | State::Undone, _) => UNDONE,
        (_, State::Stuck, _) => STUCK,
        (Doing::Place | Doing::Undo, State::Waiting, "authorise") => {
            "We have your order. Our bookkeeping does not answer just now; as soon as it does, we ask your card's bank \
             and confirm the order."
        }
        (Doing::Place | Doing::Undo, State::Waiting, _) => {
            "We have your order. Our warehouse does not answer just now; as soon as it does, we confirm the order."
        }
        (Doing::Place | Doing::Undo, _, "authorise") => "Your card's bank is being asked.",
        (Doing::Place | Doing::Undo, _, "clear" | "dispatch") => "Your order is being confirmed.",
        (Doing::Place | Doing::Undo, ..) => "Your records are being set aside.",
        (Doing::Ship, ..) => "Your parcel is being sent.",
        (Doing::Cancel, ..) => "Your order is being cancelled.",
        (Doing::TakeBack, ..) => "The records that you sent back are being taken in.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_says_what_it_waits_for() {
        let at = |doing, state, step: &str| {
            sentence(doing, Some(&Status { state, step: step.into(), cause: "internal".into() }))
        };
        for (doing, state, step, expect) in [
            (Doing::Place, State::Running, "open", "set aside"),
            (Doing::Place, State::Running, "reserve", "set aside"),
            (Doing::Place, State::Waiting, "reserve", "warehouse"),
            (Doing::Place, State::Running, "authorise", "bank"),
            (Doing::Place, State::Waiting, "authorise", "bookkeeping"),
            (Doing::Place, State::Waiting, "clear", "warehouse"),
            (Doing::Place, State::Running, "dispatch", "confirmed"),
            (Doing::Place, State::Undoing, "reserve", "nothing is charged"),
            (Doing::Place, State::Stuck, "reserve", "nothing is charged"),
            (Doing::Ship, State::Running, "capture", "sent"),
            (Doing::Ship, State::Stuck, "capture", "look after it"),
            (Doing::Cancel, State::Undoing, "authorise", "cancelled"),
            (Doing::TakeBack, State::Running, "refund", "taken in"),
        ] {
            let text = at(doing, state, step);
            assert!(text.contains(expect) && !text.contains("internal"), "{doing:?} {state:?} {step}: {text}");
        }
    }
}
