//! The steps of an order and of a return, as the host has them performed and undone.
//!
//! Each calls at most one function of another context, under a key made of the order's number, then writes. So a step
//! that comes again, after a crash or because an answer was lost, has its effect once. What an order has got on another
//! way is not asked for again: an order of a seed is placed already, and so is one of a transaction in two phases.

use seam_sdk::attempts::{self, Wait};
use seam_sdk::sagas::{Outcome, Task};
use seam_sdk::store::Error as StoreError;
use seam_sdk::{clock, log};

use crate::domain::limits::{self, Cards};
use crate::domain::sagas::{self, Checkout, ORDER, RETURN};
use crate::domain::states::{Doing, Step};
use crate::neighbours::{Neighbours, Sale, fulfilment, payments};
use crate::store::{self, Head, changing, placing};
use crate::wit::{Error, PlacedLine, Shortage, State};

pub const NOTHING_CHARGED: &str = "Something went wrong on our side. Nothing was charged.";
pub const NO_ANSWER: &str = "Part of the shop did not answer in time. Nothing was charged.";
/// Unlike a refusal of the bank: the card may be good, and a second try may work.
const SILENT: &str = "Your card's bank did not answer in time, so we do not know what it would have said. What it may \
                      hold is let go, and nothing was charged. Please try again, or pay with another card.";
pub const NO_PROCESSOR: &str = "the card processor did not answer";

/// What the customer reads of a return whose price is not given back by itself.
const ALL_GIVEN_BACK: &str = "All of the money had been given back before.";
const SOME_GIVEN_BACK: &str = "Some of the money had been given back before; the shop looks after the rest.";

type Performed = Result<Outcome, StoreError>;

pub fn perform(task: &Task, neighbours: &impl Neighbours) -> Outcome {
    of_order(task, |order| {
        let placing = order.state == State::Placing;
        match (task.kind.as_str(), task.step.as_str()) {
            (ORDER, "open") => Ok(Outcome::Done),
            (ORDER, "reserve" | "authorise" | "clear") if !placing => Ok(Outcome::Done),
            (ORDER, "reserve") => reserve(order, task.attempt, neighbours),
            (ORDER, "authorise") => authorise(order, task.attempt, neighbours),
            (ORDER, "clear") => clear(order, task.attempt, neighbours),
            (ORDER, sagas::DISPATCH) => dispatch(order, neighbours),
            (ORDER, "capture") => Ok(capture(order, neighbours)),
            (ORDER, "ship") => ship(order, neighbours),
            (RETURN, sagas::ARRIVE) if order.doing == Some(Doing::TakeBack) => Ok(Outcome::Done),
            (RETURN, sagas::ARRIVE) => Ok(Outcome::Waiting(None)),
            (RETURN, "take-back") => take_back(order, neighbours),
            (RETURN, "refund") => refund(order, neighbours),
            _ => Ok(Outcome::Refused(format!("orders has no step `{}` of a saga `{}`", task.step, task.kind))),
        }
    })
}

pub fn undo(task: &Task, neighbours: &impl Neighbours) -> Outcome {
    of_order(task, |order| match (task.kind.as_str(), task.step.as_str()) {
        (ORDER, "open") if order.state == State::Placing => {
            finish(order, Step::Reject, order.outcome.is_none().then_some(NO_ANSWER))
        }
        (ORDER, "open") => finish(order, Step::Cancel, None),
        (ORDER, "reserve") => Ok(release(order, neighbours)),
        (ORDER, "authorise") => Ok(void(order, neighbours)),
        (ORDER, sagas::DISPATCH) => changing::taking_back(order.id, clock::now()).map(|()| Outcome::Done),
        _ => Ok(Outcome::Done),
    })
}

fn of_order(task: &Task, work: impl FnOnce(&Head) -> Performed) -> Outcome {
    let performed = store::head(&task.id).and_then(|order| match order {
        Some(order) => work(&order),
        None => Ok(Outcome::Refused(format!("there is no order `{}`", task.id))),
    });
    performed.unwrap_or_else(Outcome::from)
}

fn finish(order: &Head, step: Step, note: Option<&str>) -> Performed {
    store::finish(order.id, step, note, clock::now()).map(|()| Outcome::Done)
}

// The way of an order

fn reserve(order: &Head, attempt: u32, neighbours: &impl Neighbours) -> Performed {
    let copies: Vec<_> = store::lines(order.id)?.into_iter().map(|line| copies(line.sku, line.copies)).collect();
    match neighbours.reserve(&order.number, &copies) {
        Ok(()) => Ok(Outcome::Done),
        Err(fulfilment::Error::Unavailable(why)) => away(order, attempt, why),
        Err(fulfilment::Error::Short(short)) => {
            let short = short.into_iter().map(|s| Shortage { sku: s.sku, wanted: s.wanted, on_hand: s.on_hand });
            let note = "There were not enough copies. Nothing was charged.";
            decided(order, &Error::Short(short.collect()), note, Outcome::Refused)
        }
        Err(other) => wrong(order, "reserve", &other),
    }
}

fn authorise(order: &Head, attempt: u32, neighbours: &impl Neighbours) -> Performed {
    let Some(token) = &order.card_token else {
        // It was cut off before this context had sagas: its card is gone, and what it holds is not known.
        return Ok(Outcome::Unknown("the order was cut off before its card was kept".into()));
    };
    let sold = |line: PlacedLine| payments::Line { sku: line.sku, quantity: line.copies, price: line.price };
    let sale = Sale {
        order: order.number.clone(),
        customer: order.customer.clone(),
        lines: store::lines(order.id)?.into_iter().map(sold).collect(),
        shipping: order.shipping,
        currency: order.currency.clone(),
    };
    // While the request that brought the card waits, it counts the card.
    let counted = cards(order);
    if let Some(Err(Wait(seconds))) = counted.as_ref().map(|cards| attempts::take(&cards.tried)) {
        return Ok(Outcome::Waiting(Some(clock::now() + u64::from(seconds))));
    }
    let answer = neighbours.authorise(&format!("{}:authorise", order.number), &sale, token);
    if matches!(answer, Err(payments::Error::Declined(_))) {
        count_failed(order, counted.is_some())?;
    } else if let Some(cards) = counted {
        attempts::give_back(&cards.tried);
    }
    match answer {
        Ok(_) => Ok(Outcome::Done),
        Err(payments::Error::Declined(why)) => decided(order, &Error::Declined(why.clone()), &why, Outcome::Refused),
        Err(payments::Error::Unanswered) => decided(order, &Error::Refused(SILENT.into()), SILENT, Outcome::Unknown),
        Err(payments::Error::Unavailable(why)) => away(order, attempt, why),
        Err(other) => wrong(order, "authorise", &other),
    }
}

/// The limits of a card for which no request waits.
fn cards(order: &Head) -> Option<Cards> {
    order.card_from.as_deref().map(|from| limits::cards(&order.customer, from))
}

/// Counts a card that was refused, unless the request that brought it still waits, and will do so. `tried`: it is
/// counted as one that is looked at.
fn count_failed(order: &Head, tried: bool) -> Result<(), StoreError> {
    if let Some(cards) = store::head(&order.number)?.as_ref().and_then(cards) {
        // Without room for it, as many have failed as may.
        if tried || attempts::take(&cards.tried).is_ok() {
            attempts::take(&cards.failed).ok();
        }
    }
    Ok(())
}

fn clear(order: &Head, attempt: u32, neighbours: &impl Neighbours) -> Performed {
    match neighbours.clear(&order.number) {
        Ok(()) => Ok(Outcome::Done),
        Err(fulfilment::Error::Unavailable(why)) => away(order, attempt, why),
        Err(other) => wrong(order, "clear", &other),
    }
}

/// The order is placed; then it waits for its parcel. Both are one step, and one commit.
fn dispatch(order: &Head, neighbours: &impl Neighbours) -> Performed {
    match order.doing {
        Some(Doing::Ship) => return Ok(Outcome::Done),
        Some(Doing::Cancel) => return Ok(Outcome::Refused("the order is cancelled".into())),
        _ => placing::place(order.id, clock::now(), neighbours)?,
    }
    Ok(Outcome::Waiting(None))
}

fn capture(order: &Head, neighbours: &impl Neighbours) -> Outcome {
    match neighbours.capture(&format!("{}:capture", order.number), &order.number) {
        Ok(_) => Outcome::Done,
        Err(payments::Error::Unavailable(why)) => Outcome::Later(why),
        Err(payments::Error::Unanswered) => Outcome::Later(NO_PROCESSOR.into()),
        Err(other) => refused(order, "The money could not be taken", &other),
    }
}

fn ship(order: &Head, neighbours: &impl Neighbours) -> Performed {
    match neighbours.ship(&order.number) {
        Ok(()) => finish(order, Step::Ship, None),
        Err(fulfilment::Error::Unavailable(why)) => Ok(Outcome::Later(why)),
        Err(other) => Ok(refused(order, "The money is taken, but the warehouse does not ship the order", &other)),
    }
}

// The way of a return

fn take_back(order: &Head, neighbours: &impl Neighbours) -> Performed {
    let back: Vec<_> = returned(order)?.into_iter().map(|line| copies(line.sku, line.returned)).collect();
    Ok(match neighbours.take_back(&format!("{}:take-back", order.number), &order.number, &back) {
        Ok(()) => Outcome::Done,
        Err(fulfilment::Error::Unavailable(why)) => Outcome::Later(why),
        Err(other) => refused(order, "The warehouse does not take the copies", &other),
    })
}

fn refund(order: &Head, neighbours: &impl Neighbours) -> Performed {
    let number = &order.number;
    let price = |line: PlacedLine| u64::from(line.returned) * u64::from(line.price);
    let amount: u64 = returned(order)?.into_iter().map(price).sum();
    let finish = |note| finish(order, Step::ReceiveReturn, note);
    if amount == 0 {
        return finish(None);
    }
    let why = format!("records sent back, order {number}");
    // Under one key, the account is the same each time.
    match neighbours.refund(&format!("{number}:refund"), number, amount, &why, order.doing_by.as_deref()) {
        Ok(_) => finish(None),
        Err(payments::Error::Unavailable(why)) => Ok(Outcome::Later(why)),
        Err(payments::Error::Unanswered) => Ok(Outcome::Later(NO_PROCESSOR.into())),
        // Less is left to give back: an operator has given back some or all of it before. The copies are here, so the
        // return is over; a person decides how much of the rest is due. Nothing is promised when nothing is left.
        Err(other) => {
            log::error(format_args!("refund of order {number}: {other}"));
            let payment = neighbours.payment(number).ok().flatten();
            let all_given = payment.is_some_and(|payment| payment.refunded >= payment.authorised.minor_units);
            finish(Some(if all_given { ALL_GIVEN_BACK } else { SOME_GIVEN_BACK }))
        }
    }
}

fn returned(order: &Head) -> Result<Vec<PlacedLine>, StoreError> {
    Ok(store::lines(order.id)?.into_iter().filter(|line| line.returned > 0).collect())
}

// The way back

fn release(order: &Head, neighbours: &impl Neighbours) -> Outcome {
    match neighbours.release(&order.number) {
        Ok(()) | Err(fulfilment::Error::UnknownOrder(_)) => Outcome::Done,
        Err(fulfilment::Error::Unavailable(why)) => Outcome::Later(why),
        Err(other) => refused(order, "The copies could not be released", &other),
    }
}

/// The key under which the money of an order is let go.
pub fn void_key(number: &str) -> String {
    format!("{number}:void")
}

fn void(order: &Head, neighbours: &impl Neighbours) -> Outcome {
    match neighbours.void(&void_key(&order.number), &order.number) {
        Ok(()) | Err(payments::Error::UnknownOrder(_)) => Outcome::Done,
        Err(payments::Error::Unavailable(why)) => Outcome::Later(why),
        Err(payments::Error::Unanswered) => Outcome::Later(NO_PROCESSOR.into()),
        Err(other) => refused(order, "The money could not be let go", &other),
    }
}

// What becomes of a step

/// Another context does not answer, and whether it has done what it was asked is not known.
fn away(order: &Head, attempt: u32, why: String) -> Performed {
    Ok(match sagas::checkout() {
        Ok(Checkout::RetryLater) => match sagas::asks_again(order.at, clock::now()) {
            Some(then) => Outcome::Waiting(Some(then)),
            None => Outcome::Unknown(why),
        },
        _ if attempt < sagas::TRIES => Outcome::Later(why),
        _ => Outcome::Unknown(why),
    })
}

/// The order is rejected, and this is the answer of its key.
fn decided(order: &Head, error: &Error, note: &str, outcome: impl FnOnce(String) -> Outcome) -> Performed {
    placing::decide(order.id, error, note)?;
    Ok(outcome(note.into()))
}

/// Nothing that the customer did: the log says what.
fn wrong(order: &Head, what: &str, error: &dyn std::fmt::Display) -> Performed {
    let why = format!("{what} of order {}: {error}", order.number);
    log::error(&why);
    placing::decide(order.id, &Error::Refused(NOTHING_CHARGED.into()), NOTHING_CHARGED)?;
    Ok(Outcome::Unknown(why))
}

/// For the operator, who has to look at it.
fn refused(order: &Head, what: &str, error: &dyn std::fmt::Display) -> Outcome {
    log::error(format_args!("order {}: {what}: {error}", order.number));
    Outcome::Refused(format!("{what}: {error}"))
}

fn copies(sku: String, copies: u32) -> fulfilment::Line {
    fulfilment::Line { sku, copies }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_invariant_of_returns_knows_the_notes_of_those_that_gave_nothing_back() {
        let sql = crate::INVARIANTS.iter().find(|one| one.name == "money-given-back").map_or("", |one| one.sql);
        assert!([ALL_GIVEN_BACK, SOME_GIVEN_BACK].iter().all(|note| sql.contains(&format!("'{note}'"))), "{sql}");
    }
}
