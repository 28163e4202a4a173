//! Placing an order: quote, open, reserve, hold the money, clear, confirm and publish; and undoing all of it.
//!
//! Invariants: a call to another context stands between two transactions, never inside one. An order is confirmed only
//! while no undo has started. The undo takes back, in reverse, what was asked for or may have been; until that has
//! worked, the order stays in `placing` and `settle` goes on with it. The card is passed on and kept nowhere.

use seam_sdk::attempts::{self, Wait};
use seam_sdk::{clock, config, log};

use crate::domain::limits::Cards;
use crate::domain::quote;
use crate::domain::states::Step;
use crate::domain::{STALE_SECONDS, check, invalid, limits};
use crate::neighbours::{Neighbours, Payment, Sale, albums, fulfilment, payments};
use crate::store::placing::Opened;
use crate::store::{self, Head};
use crate::wit::{Address, Error, Line, Order, Quote, Request, Shipping, Shortage, State};

const NOTHING_CHARGED: &str = "Something went wrong on our side. Nothing was charged.";
/// Unlike a refusal of the bank: the card may be good, and a second try may work.
const SILENT: &str = "Your card's bank did not answer in time, so we do not know what it would have said. What it may \
                      hold is let go, and nothing was charged. Please try again, or pay with another card.";
const NO_ANSWER: &str = "Part of the shop did not answer in time. Nothing was charged.";

/// What the undo may have to take back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Copies,
    CopiesAndMoney,
}

/// Why an order is not placed.
struct Failure {
    left: Left,
    error: Error,
    /// For the order's history.
    note: String,
}

pub fn get_quote(lines: &[Line], neighbours: &impl Neighbours) -> Result<Quote, Error> {
    check::lines(lines)?;
    let skus: Vec<String> = lines.iter().map(|line| line.sku.clone()).collect();
    let albums = neighbours.albums(&skus).map_err(|error| match error {
        albums::Error::Invalid(why) => Error::Invalid(why),
        albums::Error::Unavailable(why) => Error::Unavailable(why),
    })?;
    quote::quote(lines, albums, shipping()?)
}

pub fn place(key: &str, request: &Request, neighbours: &impl Neighbours) -> Result<Order, Error> {
    check::key(key)?;
    check::customer(&request.customer)?;
    if let Some(answer) = earlier(key, &request.customer, neighbours)? {
        return answer;
    }
    check::from(&request.from)?;
    check::lines(&request.lines)?;
    let address = check::address(&request.address, config::get("reference.countries")?.as_deref())?;
    let quote = quote::agreed(get_quote(&request.lines, neighbours)?, request.total)?;
    // Counted before the card is passed on: of many cards at once, as many are looked at as the limits allow.
    let cards = limits::cards(&request.customer, &request.from);
    attempts::take(&cards.tried).map_err(|_| too_many(&cards))?;
    let placed = place_once(key, request, &address, &quote, neighbours);
    match placed {
        // Never more than were tried, so there is room for it.
        Err(Error::Declined(_) | Error::Fields(_)) => drop(attempts::take(&cards.failed)),
        _ => attempts::give_back(&cards.tried),
    }
    placed
}

/// Why one more card is not looked at: so many have failed, or so many are being looked at.
fn too_many(cards: &Cards) -> Error {
    match attempts::take(&cards.failed) {
        Err(Wait(seconds)) => Error::Wait(seconds),
        Ok(()) => {
            attempts::give_back(&cards.failed);
            Error::Busy(limits::BUSY_SECONDS)
        }
    }
}

/// Places the order, unless another request with the same key is faster.
fn place_once(
    key: &str,
    request: &Request,
    address: &Address,
    quote: &Quote,
    neighbours: &impl Neighbours,
) -> Result<Order, Error> {
    let opened = store::placing::open(key, &request.customer, address, quote, clock::now())?;
    let Some(opened) = opened else {
        // Another request was faster with the same key.
        let answer = earlier(key, &request.customer, neighbours)?;
        return answer.unwrap_or_else(|| Err(Error::Unavailable("the key is being used at this moment".into())));
    };
    match hold(&opened.number, request, quote, neighbours) {
        Ok(payment) => confirm(&opened, &payment, neighbours),
        Err(failure) => fail(&opened, failure, neighbours),
    }
}

/// The answer that this key has had; none of a new key, or of one whose order was interrupted and undone.
fn earlier(key: &str, customer: &str, neighbours: &impl Neighbours) -> Result<Option<Result<Order, Error>>, Error> {
    let Some((what, mut head)) = store::by_key(key)? else { return Ok(None) };
    if what != Step::Confirm.name() || head.customer != customer {
        return Err(invalid("key", "it was used for something else"));
    }
    let now = clock::now();
    if head.state == State::Placing && head.doing_since.saturating_add(STALE_SECONDS) < now {
        settle(&head, None, neighbours)?;
        head = known(store::head(&head.number)?)?;
    }
    Ok(match (head.state, head.outcome) {
        (State::Placing, _) => Some(Err(Error::InProcess(head.number))),
        (State::Rejected, None) => None,
        (State::Rejected, Some(error)) => Some(Err(error)),
        _ => Some(known(store::order(&head.number)?)),
    })
}

/// Copies and money, both or a failure that says what may be left of them.
fn hold(number: &str, request: &Request, quote: &Quote, neighbours: &impl Neighbours) -> Result<Payment, Failure> {
    let copies = |line: &Line| fulfilment::Line { sku: line.sku.clone(), copies: line.copies };
    let copies: Vec<_> = request.lines.iter().map(copies).collect();
    neighbours.reserve(number, &copies).map_err(|error| match error {
        fulfilment::Error::Short(short) => Failure {
            left: Left::Nothing,
            error: Error::Short(short.into_iter().map(shortage).collect()),
            note: "There were not enough copies. Nothing was charged.".into(),
        },
        fulfilment::Error::Unavailable(why) => away(Left::Copies, why),
        other => wrong(Left::Copies, number, "reserve", &other),
    })?;
    let sold = |line: &crate::wit::PricedLine| payments::Line {
        sku: line.sku.clone(),
        quantity: line.copies,
        price: line.price,
    };
    let sale = Sale {
        order: number.into(),
        customer: request.customer.clone(),
        lines: quote.lines.iter().map(sold).collect(),
        shipping: quote.shipping,
        currency: quote.currency.clone(),
    };
    let card = payments::Card {
        number: request.card.number.clone(),
        holder: request.card.holder.clone(),
        expiry: request.card.expiry.clone(),
        code: request.card.code.clone(),
    };
    let payment = neighbours.authorise(&format!("{number}:authorise"), &sale, &card).map_err(|error| match error {
        payments::Error::Card(problems) => Failure {
            left: Left::Copies,
            error: Error::Fields(problems.into_iter().map(field).collect()),
            note: "The card could not be used. Nothing was charged.".into(),
        },
        payments::Error::Declined(why) => {
            Failure { left: Left::Copies, note: why.clone(), error: Error::Declined(why) }
        }
        payments::Error::Unanswered => {
            Failure { left: Left::CopiesAndMoney, error: Error::Refused(SILENT.into()), note: SILENT.into() }
        }
        payments::Error::Unavailable(why) => away(Left::CopiesAndMoney, why),
        other => wrong(Left::CopiesAndMoney, number, "authorise", &other),
    })?;
    neighbours.clear(number).map_err(|error| match error {
        fulfilment::Error::Unavailable(why) => away(Left::CopiesAndMoney, why),
        other => wrong(Left::CopiesAndMoney, number, "clear", &other),
    })?;
    Ok(payment)
}

fn away(left: Left, why: String) -> Failure {
    Failure { left, error: Error::Unavailable(why), note: NO_ANSWER.into() }
}

/// Nothing that the customer did: the log says what.
fn wrong(left: Left, number: &str, what: &str, error: &dyn std::fmt::Display) -> Failure {
    log::error(format_args!("{what} of order {number}: {error}"));
    Failure { left, error: Error::Refused(NOTHING_CHARGED.into()), note: NOTHING_CHARGED.into() }
}

fn confirm(opened: &Opened, payment: &Payment, neighbours: &impl Neighbours) -> Result<Order, Error> {
    let note = format!("The sum is held on the card ending {} until the parcel leaves.", payment.card);
    if !store::placing::confirm(opened.id, &note, clock::now(), neighbours)? {
        return Err(Error::Unavailable("the order took too long and was taken back".into()));
    }
    known(store::order(&opened.number)?)
}

fn fail(opened: &Opened, failure: Failure, neighbours: &impl Neighbours) -> Result<Order, Error> {
    let Failure { left, error, note } = failure;
    let undone = undo(&opened.number, left, neighbours);
    let why = Some((&error, note.as_str()));
    match undone {
        Ok(()) => {
            store::placing::reject(opened.id, why, None, clock::now())?;
            Err(error)
        }
        Err(away) => {
            store::placing::undoing(opened.id, why, clock::now())?;
            Err(Error::Unavailable(away))
        }
    }
}

/// Takes back what may be left, last first; all of it is tried. The error is that of a context that did not answer.
fn undo(number: &str, left: Left, neighbours: &impl Neighbours) -> Result<(), String> {
    let mut undone = Ok(());
    if left == Left::CopiesAndMoney {
        undone = void(number, neighbours);
    }
    if left != Left::Nothing {
        undone = undone.and(release(number, neighbours).map_err(|error| match error {
            Error::Unavailable(why) => why,
            // An order that is being placed has not been shipped.
            other => other.to_string(),
        }));
    }
    undone
}

pub(crate) fn void(number: &str, neighbours: &impl Neighbours) -> Result<(), String> {
    match neighbours.void(&format!("{number}:void"), number) {
        Ok(()) | Err(payments::Error::UnknownOrder(_)) => Ok(()),
        Err(payments::Error::Unavailable(why)) => Err(why),
        Err(payments::Error::Unanswered) => Err("the card processor did not answer".into()),
        // Nothing is held, then: a payment that was declined, say.
        Err(other) => {
            log::error(format_args!("void of order {number}: {other}"));
            Ok(())
        }
    }
}

pub(crate) fn release(number: &str, neighbours: &impl Neighbours) -> Result<(), Error> {
    match neighbours.release(number) {
        Ok(()) | Err(fulfilment::Error::UnknownOrder(_)) => Ok(()),
        Err(fulfilment::Error::Unavailable(why)) => Err(Error::Unavailable(why)),
        Err(other) => {
            log::error(format_args!("release of order {number}: {other}"));
            Err(Error::Refused("The order's records have left the shelf.".into()))
        }
    }
}

/// Undoes an order whose placing was interrupted; `by` is the account of the operator who asked for it. False: it has
/// ended without that.
pub(crate) fn settle(head: &Head, by: Option<&str>, neighbours: &impl Neighbours) -> Result<bool, Error> {
    if !store::placing::undoing(head.id, None, clock::now())? {
        return Ok(false);
    }
    undo(&head.number, Left::CopiesAndMoney, neighbours).map_err(Error::Unavailable)?;
    Ok(store::placing::reject(head.id, None, by, clock::now())?)
}

/// What the post costs, as the manifest says.
pub fn shipping() -> Result<Shipping, Error> {
    let default = quote::SHIPPING;
    Ok(Shipping {
        fee: setting("shipping_minor_units", default.fee)?,
        free_from: setting("free_shipping_from", default.free_from)?,
    })
}

fn setting<T: std::str::FromStr>(key: &str, default: T) -> Result<T, Error> {
    let Some(text) = config::get(key)? else { return Ok(default) };
    text.trim().parse().map_err(|_| Error::Unavailable(format!("the setting `{key}` is not a number of minor units")))
}

/// An order that this call has seen before is there.
fn known<T>(found: Option<T>) -> Result<T, Error> {
    found.ok_or(Error::UnknownOrder)
}

fn shortage(short: fulfilment::Shortage) -> Shortage {
    Shortage { sku: short.sku, wanted: short.wanted, on_hand: short.on_hand }
}

fn field(problem: payments::FieldProblem) -> crate::wit::FieldProblem {
    crate::wit::FieldProblem { field: problem.field, problem: problem.problem }
}
