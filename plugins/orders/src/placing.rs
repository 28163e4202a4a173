//! Placing an order: quote, keep the card, open the order with its saga, and wait for what becomes of it.
//!
//! Invariants: the order and its saga are one commit, after which nothing is lost, whatever becomes of this call. What
//! the saga calls and undoes is in `steps`. The card is passed on for a token and kept nowhere.

use std::time::Duration;

use seam_sdk::attempts::{self, Wait};
use seam_sdk::sagas::{self, Outcome, State as SagaState, Task};
use seam_sdk::{clock, config, log};

use crate::domain::limits::Cards;
use crate::domain::sagas::{CHECKOUT, Checkout, ORDER, checkout};
use crate::domain::states::Step;
use crate::domain::{check, invalid, limits, quote};
use crate::neighbours::{Neighbours, albums, payments};
use crate::steps::{NO_ANSWER, NOTHING_CHARGED};
use crate::store::placing::Card;
use crate::wit::{Address, Error, FieldProblem, Line, Order, Quote, Request, Shipping, State};
use crate::{steps, store};

/// How long a customer's request waits for the order: longer than a step of it is tried, shorter than a page's time.
const PATIENCE: Duration = Duration::from_secs(4);

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
    // A setting that is wrong is no reason to ask anything of others.
    checkout()?;
    check::from(&request.from)?;
    check::lines(&request.lines)?;
    let address = check::address(&request.address, config::get("reference.countries")?.as_deref())?;
    let quote = quote::agreed(get_quote(&request.lines, neighbours)?, request.total)?;
    // Counted before the card is passed on: of many cards at once, as many are looked at as the limits allow.
    let cards = limits::cards(&request.customer, &request.from);
    attempts::take(&cards.tried).map_err(|_| too_many(&cards))?;
    let placed = place_once(key, request, &address, &quote, neighbours);
    match &placed {
        // Never more than were tried, so there is room for it.
        Err(Error::Declined(_) | Error::Fields(_)) => drop(attempts::take(&cards.failed)),
        // Its card counts again when it is looked at: in an outage, the orders that wait leave room for others.
        Err(Error::InProcess(number)) => {
            store::placing::let_go(number, &request.from)?;
            attempts::give_back(&cards.tried);
        }
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
    let token = kept(&request.card, neighbours)?;
    let note =
        format!("The sum is held on the card ending {} until the parcel leaves.", last_four(&request.card.number));
    let card = Card { token: &token, note: &note };
    let open = || store::placing::open(key, &request.customer, address, quote, card, clock::now());
    let opened = match checkout()? {
        Checkout::Saga | Checkout::RetryLater => open()?,
        Checkout::TwoPhase => neighbours.in_two_phases(|| {
            let opened = open()?;
            opened.iter().try_for_each(|number| at_once(number, neighbours))?;
            Ok(opened)
        })?,
    };
    let answer = match opened {
        Some(number) => answer(&number, neighbours)?,
        // Another request was faster with the same key.
        None => earlier(key, &request.customer, neighbours)?,
    };
    answer.unwrap_or_else(|| Err(Error::Unavailable(NO_ANSWER.into())))
}

/// Takes the steps of a checkout one after the other, within a transaction over all files; the error rolls it back.
fn at_once(number: &str, neighbours: &impl Neighbours) -> Result<(), Error> {
    for step in CHECKOUT {
        let (kind, id, step) = (ORDER.into(), number.into(), step.into());
        let task = Task { kind, id, step, key: String::new(), attempt: 1, cause: String::new() };
        match steps::perform(&task, neighbours) {
            Outcome::Done | Outcome::Waiting(_) => {}
            Outcome::Later(why) => return Err(Error::Unavailable(why)),
            Outcome::Refused(why) | Outcome::Unknown(why) => {
                let decided = known(store::head(number)?)?.outcome;
                return Err(decided.unwrap_or(Error::Unavailable(why)));
            }
        }
    }
    Ok(())
}

/// A token for the card.
fn kept(card: &crate::wit::Card, neighbours: &impl Neighbours) -> Result<String, Error> {
    let crate::wit::Card { number, holder, expiry, code } = card.clone();
    neighbours.keep_card(&payments::Card { number, holder, expiry, code }).map_err(|error| match error {
        payments::Error::Card(problems) => {
            let field = |one: payments::FieldProblem| FieldProblem { field: one.field, problem: one.problem };
            Error::Fields(problems.into_iter().map(field).collect())
        }
        payments::Error::Unavailable(why) => Error::Unavailable(why),
        other => {
            log::error(format_args!("keeping a card: {other}"));
            Error::Refused(NOTHING_CHARGED.into())
        }
    })
}

fn last_four(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    digits.iter().skip(digits.len().saturating_sub(4)).collect()
}

/// The answer that this key has had; none of a new key, or of one whose order was undone without a decision.
fn earlier(key: &str, customer: &str, neighbours: &impl Neighbours) -> Result<Option<Result<Order, Error>>, Error> {
    let Some((what, head)) = store::by_key(key)? else { return Ok(None) };
    if what != Step::Confirm.name() || head.customer != customer {
        return Err(invalid("key", "it was used for something else"));
    }
    answer(&head.number, neighbours)
}

/// What has become of the order, for which its saga is waited for; none: it was undone without a decision.
fn answer(number: &str, neighbours: &impl Neighbours) -> Result<Option<Result<Order, Error>>, Error> {
    let mut head = known(store::head(number)?)?;
    let mut saga = None;
    if head.state == State::Placing {
        saga = match neighbours.settle(ORDER, number, PATIENCE) {
            Ok(status) => Some(status.state),
            // An order from before sagas, which is going to have one.
            Err(sagas::Error::Unknown(_)) => None,
            Err(error) => return Err(error.into()),
        };
        head = known(store::head(number)?)?;
    }
    Ok(match (head.state, head.outcome) {
        // What is left to undo changes nothing about why.
        (State::Rejected | State::Placing, Some(error)) => Some(Err(error)),
        (State::Rejected, None) => None,
        (State::Placing, None) => Some(Err(match saga {
            Some(SagaState::Undoing | SagaState::Stuck | SagaState::Undone) => Error::Unavailable(NO_ANSWER.into()),
            _ => Error::InProcess(head.number),
        })),
        _ => Some(known(store::order(number)?)),
    })
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
