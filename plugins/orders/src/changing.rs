//! What can be done with a placed order: cancel, ship, send back, take back; and how `settle` finishes what was
//! interrupted.
//!
//! Each starts with a transaction that locks out every other change, calls other contexts under keys made of the
//! order's number, and ends with another transaction. After an interruption, the same request or `settle` goes on from
//! there: every call has its effect once.

use seam_sdk::{clock, log};

use crate::domain::states::{Doing, Step};
use crate::domain::{STALE_SECONDS, check, invalid};
use crate::neighbours::{Neighbours, fulfilment, payments};
use crate::placing;
use crate::store::changing::{self, Change};
use crate::store::{self, Head};
use crate::wit::{Error, Line, Order};

/// Orders that one call of `settle` looks at: several calls to others for each, within a call's time.
const SETTLED_MAX: u32 = 50;

/// What the customer reads of a return whose price is not given back by itself.
const ALL_GIVEN_BACK: &str = "All of the money had been given back before.";
const SOME_GIVEN_BACK: &str = "Some of the money had been given back before; the shop looks after the rest.";

pub fn cancel(change: Change<'_>, reason: &str, neighbours: &impl Neighbours) -> Result<Order, Error> {
    check_change(change)?;
    check::note("reason", reason)?;
    begin(change, reason, neighbours)
}

pub fn ship(change: Change<'_>, neighbours: &impl Neighbours) -> Result<Order, Error> {
    check_change(change)?;
    begin(change, "", neighbours)
}

pub fn receive_return(change: Change<'_>, neighbours: &impl Neighbours) -> Result<Order, Error> {
    check_change(change)?;
    begin(change, "", neighbours)
}

pub fn request_return(change: Change<'_>, lines: &[Line]) -> Result<Order, Error> {
    check_change(change)?;
    check::lines(lines)?;
    changing::request_return(change, lines, clock::now())?;
    store::order(change.number)?.ok_or(Error::UnknownOrder)
}

/// Finishes the changes that have taken too long, and sends recommendation the purchases that wait. `by` is the account
/// of the operator who asks for it; none: the host. Returns how many orders; an error only when it finished none.
pub fn settle(by: Option<&str>, neighbours: &impl Neighbours) -> Result<u32, Error> {
    by.map_or(Ok(()), check::author)?;
    let mut settled = 0;
    let before = clock::now().saturating_sub(STALE_SECONDS);
    for head in store::being_done(before, SETTLED_MAX)? {
        let outcome = match head.doing {
            Some(Doing::Place | Doing::Undo) => placing::settle(&head, by, neighbours),
            Some(Doing::Cancel) => resume(&head, Step::Cancel, by, neighbours),
            Some(Doing::Ship) => resume(&head, Step::Ship, by, neighbours),
            Some(Doing::TakeBack) => resume(&head, Step::ReceiveReturn, by, neighbours),
            None => Ok(false),
        };
        match outcome {
            Ok(ended) => settled += u32::from(ended),
            // A context that does not answer now does not answer for the next order either.
            Err(error @ Error::Unavailable(_)) if settled == 0 => return Err(error),
            Err(Error::Unavailable(_)) => break,
            Err(error) => log::warn(format_args!("order {} could not be settled: {error}", head.number)),
        }
    }
    placing::learn(neighbours);
    Ok(settled)
}

fn check_change(change: Change<'_>) -> Result<(), Error> {
    check::key(change.key)?;
    change.customer.map_or(Ok(()), check::customer)?;
    change.by.map_or(Ok(()), check::author)?;
    // A text that cannot be a number belongs to no order.
    check::number(change.number).map_err(|_| Error::UnknownOrder)
}

fn begin(change: Change<'_>, note: &str, neighbours: &impl Neighbours) -> Result<Order, Error> {
    if let Some(head) = changing::begin(change, note, clock::now())? {
        go_on(&head, change.step, change.by, neighbours)?;
    }
    store::order(change.number)?.ok_or(Error::UnknownOrder)
}

fn resume(head: &Head, step: Step, by: Option<&str>, neighbours: &impl Neighbours) -> Result<bool, Error> {
    Ok(changing::resume(head, clock::now())? && go_on(head, step, by, neighbours)?)
}

/// The calls to other contexts that `step` takes, and its end. False: another request has finished it meanwhile.
fn go_on(head: &Head, step: Step, by: Option<&str>, neighbours: &impl Neighbours) -> Result<bool, Error> {
    let note = match step {
        Step::Cancel => cancelling(head, neighbours)?,
        Step::Ship => shipping(head, neighbours)?,
        Step::ReceiveReturn => taking_back(head, neighbours)?,
        Step::Confirm | Step::Reject | Step::RequestReturn => return Err(invalid("step", "it calls no other context")),
    };
    Ok(changing::finish(head.id, step, note.as_deref(), by, clock::now())?)
}

fn cancelling(head: &Head, neighbours: &impl Neighbours) -> Result<Option<String>, Error> {
    if let Err(error) = placing::release(&head.number, neighbours) {
        if matches!(error, Error::Refused(_)) {
            changing::give_up(head.id, Doing::Cancel)?;
        }
        return Err(error);
    }
    placing::void(&head.number, neighbours).map_err(Error::Unavailable)?;
    Ok(None)
}

fn shipping(head: &Head, neighbours: &impl Neighbours) -> Result<Option<String>, Error> {
    let number = &head.number;
    match neighbours.capture(&format!("{number}:capture"), number) {
        Ok(_) => {}
        Err(payments::Error::Unavailable(why)) => return Err(Error::Unavailable(why)),
        Err(payments::Error::Unanswered) => {
            return Err(Error::Unavailable("the card processor did not answer".into()));
        }
        // No money was taken, and the parcel stays here.
        Err(other) => {
            log::error(format_args!("capture of order {number}: {other}"));
            changing::give_up(head.id, Doing::Ship)?;
            return Err(Error::Refused(format!("The money could not be taken: {}", reason(&other))));
        }
    }
    match neighbours.ship(number) {
        Ok(()) => Ok(None),
        Err(fulfilment::Error::Unavailable(why)) => Err(Error::Unavailable(why)),
        // The money is taken: the shipment stays open, so that it is not forgotten, and the next attempt goes on from
        // here.
        Err(other) => {
            log::error(format_args!(
                "the money of order {number} is taken, but the warehouse does not ship it: {other}"
            ));
            Err(Error::Refused(format!("The money is taken, but the warehouse does not ship the order: {other}.")))
        }
    }
}

fn taking_back(head: &Head, neighbours: &impl Neighbours) -> Result<Option<String>, Error> {
    let number = &head.number;
    let back: Vec<_> = store::lines(head.id)?.into_iter().filter(|line| line.returned > 0).collect();
    let amount: u64 = back.iter().map(|line| u64::from(line.returned) * u64::from(line.price)).sum();
    let copies: Vec<_> =
        back.into_iter().map(|line| fulfilment::Line { sku: line.sku, copies: line.returned }).collect();
    match neighbours.take_back(&format!("{number}:take-back"), number, &copies) {
        Ok(()) => {}
        Err(fulfilment::Error::Unavailable(why)) => return Err(Error::Unavailable(why)),
        Err(other) => {
            log::error(format_args!("take-back of order {number}: {other}"));
            changing::give_up(head.id, Doing::TakeBack)?;
            return Err(Error::Refused(format!("The warehouse does not take the copies: {other}.")));
        }
    }
    if amount == 0 {
        return Ok(None);
    }
    let why = format!("records sent back, order {number}");
    // Under one key, the account is the same each time: that of the operator who started it.
    match neighbours.refund(&format!("{number}:refund"), number, amount, &why, head.doing_by.as_deref()) {
        Ok(_) => Ok(None),
        Err(payments::Error::Unavailable(why)) => Err(Error::Unavailable(why)),
        Err(payments::Error::Unanswered) => Err(Error::Unavailable("the card processor did not answer".into())),
        // Less is left to give back: an operator has given back some or all of it before. The copies are here, so the
        // return is over; a person decides how much of the rest is due. Nothing is promised when nothing is left.
        Err(other) => {
            log::error(format_args!("refund of order {number}: {other}"));
            let payment = neighbours.payment(number).ok().flatten();
            let all_given = payment.is_some_and(|payment| payment.refunded >= payment.authorised.minor_units);
            Ok(Some(if all_given { ALL_GIVEN_BACK } else { SOME_GIVEN_BACK }.into()))
        }
    }
}

/// What finance says, for the operator.
fn reason(error: &payments::Error) -> String {
    match error {
        payments::Error::Declined(why) | payments::Error::Refused(why) => why.clone(),
        other => other.to_string(),
    }
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
