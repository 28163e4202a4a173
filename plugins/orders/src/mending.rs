//! What orders does when the warehouse or finance disagrees with it: what they keep for an order that is over is let
//! go, under the same keys as when an order is undone.
//!
//! Everything else is refused with a reason, and a person decides: what is missing for an order that stands cannot be
//! had again without its customer. Not here: what each context says (`invariants/totals`).

use seam_sdk::reconciliation::{Disagreement, Outcome};

use crate::domain::past::OWN_NUMBERS;
use crate::domain::states::name;
use crate::neighbours::{Neighbours, fulfilment, payments};
use crate::steps::{self, NO_PROCESSOR};
use crate::store;
use crate::wit::State;

/// The totals that it knows, and who keeps what belongs to the order.
const COPIES: (&str, &str) = ("copies-reserved", "warehouse");
const MONEY: (&str, &str) = ("money-held", "finance");

pub fn mend(found: &Disagreement, neighbours: &impl Neighbours) -> Outcome {
    // `NUMBER SKU`, or the number alone.
    let number = found.key.split(' ').next().unwrap_or_default();
    let is_of = |(total, keeper): (&str, &str)| {
        found.total == total && found.sides.iter().any(|side| side.context == keeper && side.least > 0)
    };
    let (copies, money) = (is_of(COPIES), is_of(MONEY));
    if let Some(kept) = keeps_from_letting_go(number, copies || money) {
        return kept;
    }
    if copies {
        return match neighbours.release(number) {
            Ok(()) | Err(fulfilment::Error::UnknownOrder(_)) => Outcome::Mended,
            Err(fulfilment::Error::Unavailable(why)) => Outcome::Later(why),
            Err(other) => Outcome::Refused(format!("the warehouse does not release the copies: {other}")),
        };
    }
    match neighbours.void(&steps::void_key(number), number) {
        Ok(()) | Err(payments::Error::UnknownOrder(_)) => Outcome::Mended,
        Err(payments::Error::Unavailable(why)) => Outcome::Later(why),
        Err(payments::Error::Unanswered) => Outcome::Later(NO_PROCESSOR.into()),
        Err(other) => Outcome::Refused(format!("finance does not let the money go: {other}")),
    }
}

/// Why nothing is let go. `is_kept`: another context keeps something for the order.
fn keeps_from_letting_go(number: &str, is_kept: bool) -> Option<Outcome> {
    let refused = |why: String| Some(Outcome::Refused(why));
    let order = match store::head(number) {
        Ok(order) => order,
        Err(error) => return Some(error.into()),
    };
    let Some(order) = order else {
        return match store::may_be_given(number) {
            Ok(true) => refused(format!(
                "there is no order `{number}`, and a new one may get this number: were what is kept under it let go \
                 now, that order could not be placed. Numbers begin with `{OWN_NUMBERS}`; if the file of orders was \
                 put back alone, put those of the other contexts back, too"
            )),
            Ok(false) if is_kept => None,
            Ok(false) => refused(format!("there is no order `{number}`, and nothing that could be let go")),
            Err(error) => Some(error.into()),
        };
    };
    match order.state {
        _ if order.doing.is_some() => Some(Outcome::Later("a change of the order is under way".into())),
        State::Rejected | State::Cancelled if is_kept => None,
        State::Placed => refused(
            "the order is placed, and the others do not keep for it what they should: cancel it, or see to it by hand"
                .into(),
        ),
        state => refused(format!("the order is {}: what the others say of it is for a person to settle", name(state))),
    }
}
