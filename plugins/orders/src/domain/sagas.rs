//! The two sagas of an order: their steps, how each is undone, and how a checkout meets a context that does not answer.
//!
//! The steps are the same in each mode of the checkout, so orders in process survive a change of it.

use seam_sdk::config;
use seam_sdk::sagas::{Definition, Step, Undo};

use super::states::Doing;
use crate::wit::Error;

/// From the open order to the parcel that has left; undone while it has not.
pub const ORDER: &str = "order";
/// From the customer's wish to send copies back to the money that is given back.
pub const RETURN: &str = "return";
/// At this step of an order, it is placed and waits for its parcel to leave.
pub const DISPATCH: &str = "dispatch";
/// The steps up to there.
pub const CHECKOUT: [&str; 4] = ["reserve", "authorise", "clear", DISPATCH];
/// At this step of a return, it waits for the parcel to come back.
pub const ARRIVE: &str = "arrive";

/// How often a step of a checkout is tried if it does not wait for an answer: within the customer's request.
pub const TRIES: u32 = 3;
/// An undo, and a step after which there is no way back, is tried on until it works; the operator sees it as stuck
/// after that long.
const STUCK_AFTER_SECONDS: u32 = 60;
/// So many that the time decides.
const TRIES_MAX: u32 = 1_000;

pub fn definitions() -> Vec<Definition> {
    let patient = |step: Step| step.tries(TRIES_MAX).patience(STUCK_AFTER_SECONDS);
    let forward = |name, function| patient(Step::call(name, function, Undo::Never));
    let order = vec![
        patient(Step::own("open", Undo::Own)),
        patient(Step::call(
            "reserve",
            "musiccorp:warehouse/fulfilment.reserve",
            Undo::Call("musiccorp:warehouse/fulfilment.release"),
        )),
        patient(Step::call(
            "authorise",
            "musiccorp:finance/payments.authorise-kept",
            Undo::Call("musiccorp:finance/payments.void"),
        )),
        // Releasing the copies undoes it, too.
        patient(Step::call("clear", "musiccorp:warehouse/fulfilment.clear", Undo::Nothing)),
        patient(Step::own(DISPATCH, Undo::Own)),
        forward("capture", "musiccorp:finance/payments.capture"),
        forward("ship", "musiccorp:warehouse/fulfilment.ship"),
    ];
    let back = vec![
        patient(Step::own(ARRIVE, Undo::Nothing)),
        forward("take-back", "musiccorp:warehouse/fulfilment.take-back"),
        forward("refund", "musiccorp:finance/payments.refund-by"),
    ];
    vec![Definition { kind: ORDER, steps: order }, Definition { kind: RETURN, steps: back }]
}

/// The saga that a change is a part of.
pub fn kind_of(doing: Doing) -> &'static str {
    if doing == Doing::TakeBack { RETURN } else { ORDER }
}

/// What a checkout does when a context does not answer: the three answers to a transaction that was split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkout {
    /// A few tries within the customer's request; then what was done is undone, and the customer reads it.
    Saga,
    /// The order is taken, and waits for a day at most.
    RetryLater,
    /// One transaction over the files of all contexts.
    TwoPhase,
}

/// The setting `checkout` of the manifest.
pub fn checkout() -> Result<Checkout, Error> {
    match config::get("checkout")?.as_deref().map(str::trim) {
        None | Some("saga") => Ok(Checkout::Saga),
        Some("retry-later") => Ok(Checkout::RetryLater),
        Some("two-phase") => Ok(Checkout::TwoPhase),
        Some(other) => Err(Error::Unavailable(format!(
            "the setting `checkout` is `{other}`: it has to be `saga`, `retry-later` or `two-phase`"
        ))),
    }
}

/// Whether this context can work with its settings.
pub fn check() -> Result<(), Error> {
    checkout().map(drop)
}

/// How long an order waits for a context in `retry-later`: as long as finance keeps its card, less some minutes.
const RETRIED_SECONDS: u64 = 24 * 60 * 60 - 10 * 60;
/// The pauses in between grow with the age of the order.
const PAUSE_SECONDS_MIN: u64 = 5;
const PAUSE_SECONDS_MAX: u64 = 5 * 60;

/// When an order that was taken at `at` asks again for what it did not get at `now`; none: it has waited long enough.
pub fn asks_again(at: u64, now: u64) -> Option<u64> {
    let age = now.saturating_sub(at);
    (age < RETRIED_SECONDS).then(|| now + (age / 4).clamp(PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_asks_again_with_growing_pauses_for_a_day() {
        let at = 1_000_000;
        for (age, pause) in [(0, Some(5)), (60, Some(15)), (3_600, Some(300)), (85_799, Some(300)), (85_800, None)] {
            let now = at + age;
            assert_eq!(asks_again(at, now), pause.map(|pause| now + pause), "{age}");
        }
        assert_eq!(asks_again(at, at - 10), Some(at - 10 + 5), "the clock was set back");
    }

    #[test]
    fn every_step_that_calls_another_context_is_undone_or_only_goes_forward() {
        for definition in definitions() {
            let never = definition.steps.iter().position(|step| step.undo == Undo::Never);
            assert!(never.is_some_and(|never| definition.steps[never..].iter().all(|step| step.undo == Undo::Never)));
            for step in definition.steps.iter().filter(|step| step.call.is_some()) {
                assert!(step.undo != Undo::Own, "{}", step.name);
            }
        }
    }
}
