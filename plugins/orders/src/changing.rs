//! What can be done with a placed order: cancel, ship, send back, take back.
//!
//! Each writes down what is asked and moves the order's saga in one transaction, and waits for the saga, which calls
//! the other contexts (`steps`). If one of them does not answer, the change is under way and goes on by itself.

use std::time::Duration;

use seam_sdk::clock;
use seam_sdk::sagas::{self, State};

use crate::domain::progress::STUCK;
use crate::domain::sagas::kind_of;
use crate::domain::{check, invalid};
use crate::neighbours::Neighbours;
use crate::store;
use crate::store::changing::{self, Change};
use crate::wit::{Error, Line, Order};

/// How long a request waits for the change, which goes on without it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Cancels, ships or takes a return in; `note` is for the order's history.
pub fn change(change: Change<'_>, note: &str, neighbours: &impl Neighbours) -> Result<Order, Error> {
    check_change(change)?;
    check::note("reason", note)?;
    let doing = change.step.doing().ok_or_else(|| invalid("step", "it calls no other context"))?;
    let (kind, number) = (kind_of(doing), change.number);
    let known = store::head(number)?.ok_or(Error::UnknownOrder)?;
    // Its saga may be on its way to where it waits; an order that was placed before sagas has none yet.
    if known.doing.is_none()
        && change.step.from(known.state).is_ok()
        && let Err(sagas::Error::Unknown(_)) = neighbours.settle(kind, number, PATIENCE)
    {
        sagas::start(kind, number)?;
        neighbours.settle(kind, number, PATIENCE)?;
    }
    changing::begin(change, note, clock::now())?;
    let order = order(number)?;
    if change.step.taken_by(order.state) {
        return Ok(order);
    }
    let status = neighbours.settle(kind, number, PATIENCE)?;
    let order = self::order(number)?;
    match status.state {
        _ if change.step.taken_by(order.state) => Ok(order),
        State::Stuck if change.customer.is_some() => Err(Error::Refused(STUCK.into())),
        State::Stuck => Err(Error::Refused(format!("{}.", status.cause.trim_end_matches('.')))),
        _ => Err(Error::Unavailable(format!("it goes on by itself: {}", status.cause))),
    }
}

pub fn request_return(change: Change<'_>, lines: &[Line]) -> Result<Order, Error> {
    check_change(change)?;
    check::lines(lines)?;
    changing::request_return(change, lines, clock::now())?;
    order(change.number)
}

/// The copies that come back with a return, corrected by the operator with the account `by`.
pub fn correct_return(number: &str, lines: &[Line], by: &str) -> Result<Order, Error> {
    check::number(number).map_err(|_| Error::UnknownOrder)?;
    check::author(by)?;
    check::lines(lines)?;
    changing::correct_return(number, lines, by, clock::now())?;
    order(number)
}

fn check_change(change: Change<'_>) -> Result<(), Error> {
    check::key(change.key)?;
    change.customer.map_or(Ok(()), check::customer)?;
    change.by.map_or(Ok(()), check::author)?;
    // A text that cannot be a number belongs to no order.
    check::number(change.number).map_err(|_| Error::UnknownOrder)
}

fn order(number: &str) -> Result<Order, Error> {
    store::order(number)?.ok_or(Error::UnknownOrder)
}
