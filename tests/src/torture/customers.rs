//! Customers who buy while the shop is tortured. Every third order is refused: a card gets no answer or is declined, or
//! the last copy is gone. What was done of such an order has to be undone.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::page::{Form, Page};
use crate::person::Person;
use crate::shop::Shop;
use crate::shopping::{card, order_number};
use crate::wait;

/// Cards that are declined in the life of one host: more would lock the customers' address out for an hour.
const DECLINED_MAX: usize = 8;
/// Of the album that sells out, while it can be bought.
const COPIES: u32 = 1_000;
/// How long the shop may take until enough orders are placed.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What they buy.
#[derive(Debug, Clone, Default)]
pub struct Albums {
    pub plenty: String,
    /// Its last copy is gone when some orders arrive.
    pub scarce: String,
}

/// What the customers of one load saw.
#[derive(Default)]
pub struct Customers {
    pub over: AtomicBool,
    on_the_way: AtomicUsize,
    placed: Mutex<Vec<String>>,
    /// The numbers of orders that are still in process, as far as customers know.
    taken: Mutex<Vec<String>>,
    declined: AtomicUsize,
    refused: AtomicUsize,
    cut_off: AtomicUsize,
}

/// How an order is meant to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meant {
    Placed,
    /// Undone from the card on: what the bank holds is not known.
    Silent,
    /// Undone from the copies on.
    Declined,
    SoldOut,
}

impl Customers {
    /// Buys until the load is over. `number` is the customer's.
    pub fn buy(&self, shop: &Shop, mut person: Person, albums: &Albums, number: usize) {
        for turn in 0.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let meant = self.meant(number, turn);
            let Ok(form) = at_the_till(shop, &mut person, albums, number, meant) else {
                thread::sleep(Duration::from_millis(5));
                continue;
            };
            self.on_the_way.fetch_add(1, Ordering::SeqCst);
            let page = person.submit(&form);
            self.on_the_way.fetch_sub(1, Ordering::SeqCst);
            match page {
                Ok(page) => self.answered(&page, meant),
                Err(_) => drop(self.cut_off.fetch_add(1, Ordering::SeqCst)),
            }
        }
    }

    fn meant(&self, number: usize, turn: usize) -> Meant {
        // Another turn of each customer, so that a short load has one, too.
        if (number + turn) % 3 != 2 {
            return Meant::Placed;
        }
        match (number + turn / 3) % 3 {
            // Of one customer alone: others would find the album sold out, too.
            0 if number == 0 => Meant::SoldOut,
            1 if self.declined.fetch_add(1, Ordering::Relaxed) < DECLINED_MAX => Meant::Declined,
            _ => Meant::Silent,
        }
    }

    /// Only what the order's page says counts.
    fn answered(&self, page: &Page, meant: Meant) {
        let note = |list: &Mutex<Vec<String>>, number| list.lock().unwrap_or_else(PoisonError::into_inner).push(number);
        match order_number(page) {
            Ok(number) if page.says("Your order is placed") => note(&self.placed, number),
            Ok(number) => note(&self.taken, number),
            Err(_) if meant != Meant::Placed && page.status < 500 => {
                self.refused.fetch_add(1, Ordering::SeqCst);
            }
            // Not placed, and the page says so.
            Err(_) => {}
        }
    }

    /// Waits until so many orders are placed, and another one is on its way.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn are_on(&self, placed: usize) -> Result<()> {
        wait::until(TIMEOUT, || {
            let ready = self.placed() >= placed && self.on_the_way.load(Ordering::SeqCst) > 0;
            Ok(ready.then_some(()).ok_or_else(|| format!("{} orders are placed, not {placed}", self.placed())))
        })
    }

    /// Waits until so many orders were refused.
    ///
    /// # Errors
    /// As `are_on`.
    pub fn are_refused(&self, orders: usize) -> Result<()> {
        wait::until(TIMEOUT, || {
            let refused = self.refused.load(Ordering::SeqCst);
            Ok((refused >= orders).then_some(()).ok_or_else(|| format!("{refused} orders were refused, not {orders}")))
        })
    }

    pub fn placed(&self) -> usize {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// What they know once all of them have stopped.
    pub fn seen(self) -> Seen {
        let list = |list: Mutex<Vec<String>>| list.into_inner().unwrap_or_else(PoisonError::into_inner);
        Seen {
            placed: list(self.placed),
            taken: list(self.taken),
            refused: self.refused.into_inner(),
            cut_off: self.cut_off.into_inner(),
        }
    }
}

/// The orders of one load: the numbers of those that customers saw placed or taken, and how many others there were.
#[derive(Debug, Default)]
pub struct Seen {
    pub placed: Vec<String>,
    pub taken: Vec<String>,
    pub refused: usize,
    pub cut_off: usize,
}

/// The filled form of an order.
fn at_the_till(shop: &Shop, person: &mut Person, albums: &Albums, number: usize, meant: Meant) -> Result<Form> {
    let is_scarce = number == 0;
    if is_scarce {
        // It may be in the cart still.
        shop.count(&albums.scarce, COPIES)?;
    }
    person.put_into_cart(if meant == Meant::SoldOut { &albums.scarce } else { &albums.plenty }, 1)?;
    let form = person.till(match meant {
        Meant::Placed | Meant::SoldOut => card::APPROVED,
        Meant::Silent => card::SILENT,
        Meant::Declined => card::REFUSED,
    })?;
    if meant == Meant::SoldOut {
        shop.count(&albums.scarce, 0)?;
    }
    Ok(form)
}
