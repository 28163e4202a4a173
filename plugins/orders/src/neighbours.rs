//! What orders asks of other contexts, what it publishes, and how it waits for its sagas. The trait's own functions
//! call them; a test overrides them, so that every fault of theirs can be played through without a host.
//!
//! Types and errors are those of their interfaces, which also say what a call means and what a `key` does.

use std::time::Duration;

use seam_sdk::sagas::{self, Status};
use seam_sdk::two_phase;

pub use crate::musiccorp::catalog::albums::{self, Album};
pub use crate::musiccorp::finance::payments::{self, Payment, Sale};
pub use crate::musiccorp::orders::events::{self, PlacedOrder};
pub use crate::musiccorp::warehouse::fulfilment;
use crate::wit;

pub trait Neighbours {
    fn albums(&self, skus: &[String]) -> Result<Vec<Album>, albums::Error> {
        albums::get_albums(skus)
    }

    fn reserve(&self, order: &str, lines: &[fulfilment::Line]) -> Result<(), fulfilment::Error> {
        fulfilment::reserve(order, lines)
    }

    fn release(&self, order: &str) -> Result<(), fulfilment::Error> {
        fulfilment::release(order)
    }

    fn clear(&self, order: &str) -> Result<(), fulfilment::Error> {
        fulfilment::clear(order)
    }

    fn ship(&self, order: &str) -> Result<(), fulfilment::Error> {
        fulfilment::ship(order)
    }

    fn take_back(&self, key: &str, order: &str, lines: &[fulfilment::Line]) -> Result<(), fulfilment::Error> {
        fulfilment::take_back(key, order, lines)
    }

    /// A token for the card.
    fn keep_card(&self, card: &payments::Card) -> Result<String, payments::Error> {
        payments::keep_card(card)
    }

    fn authorise(&self, key: &str, sale: &Sale, token: &str) -> Result<Payment, payments::Error> {
        payments::authorise_kept(key, sale, token)
    }

    fn void(&self, key: &str, order: &str) -> Result<(), payments::Error> {
        payments::void(key, order)
    }

    fn capture(&self, key: &str, order: &str) -> Result<Payment, payments::Error> {
        payments::capture(key, order)
    }

    /// `by` is the account of the operator who gives the money back, if it is known.
    fn refund(
        &self,
        key: &str,
        order: &str,
        amount: u64,
        reason: &str,
        by: Option<&str>,
    ) -> Result<Payment, payments::Error> {
        match by {
            Some(by) => payments::refund_by(key, order, amount, reason, by),
            None => payments::refund(key, order, amount, reason),
        }
    }

    /// The payment of an order; none if it has none.
    fn payment(&self, order: &str) -> Result<Option<Payment>, payments::Error> {
        Ok(payments::payments(&[order.to_owned()])?.pop())
    }

    /// Publishes it, as a part of the transaction that is open.
    fn order_placed(&self, order: &PlacedOrder) -> Result<(), events::Error> {
        events::order_placed(order)
    }

    /// Runs `work` as one transaction over the files of all contexts that it calls: all of it commits, or nothing.
    fn in_two_phases<T>(&self, work: impl FnOnce() -> Result<T, wit::Error>) -> Result<T, wit::Error> {
        two_phase::run(work)
    }

    /// Waits until the saga has ended, waits for something or is stuck.
    fn settle(&self, kind: &str, number: &str, most: Duration) -> Result<Status, sagas::Error> {
        sagas::settle(kind, number, most)
    }
}

/// The contexts that the host has linked.
pub struct Linked;

impl Neighbours for Linked {}
