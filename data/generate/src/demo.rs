//! The demo shop: the real albums, with invented customers, orders, payments, parcels and stock.
//!
//! Invariant: all files agree on each order's status, sums and copies.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::album::Album;
use crate::customers::{self, Person};
use crate::dice::Dice;
use crate::order::{Order, Status};
use crate::orders;
use crate::output::{self, Lines};
use crate::rows::{self, Level};
use crate::shelves::{Shelves, Supply};

/// Few enough that customers come back, many enough that no customer owns everything.
const CUSTOMERS_MIN: u32 = 25;

pub struct Demo {
    stock: Vec<Level>,
    people: Vec<Person>,
    orders: Vec<Order>,
}

/// How many customers a shop with this number of orders has: two for five orders.
pub fn customers_for(orders: u32) -> u32 {
    (orders / 5 * 2).max(CUSTOMERS_MIN)
}

impl Demo {
    pub fn make(seed: u64, customers: u32, orders: u32, albums: &[Album]) -> Self {
        let shelves = Shelves::new(seed, albums);
        let mut people = customers::make(seed, customers, albums, &shelves);
        let orders = orders::make(seed, orders, albums, &shelves, &people);
        customers::sign_up(seed, &mut people, &orders);
        Self { stock: stock(seed, albums, &shelves, &orders), people, orders }
    }

    /// Without the operator.
    pub fn customers(&self) -> usize {
        self.people.len()
    }

    pub fn orders(&self) -> usize {
        self.orders.len()
    }

    /// Writes seven `.jsonl` files. The warehouse has to load the stock before the orders.
    pub fn write(&self, folder: &Path, albums: &[Album]) -> Result<(), output::Error> {
        output::write_all(&folder.join("albums.jsonl"), albums)?;
        output::write_all(&folder.join("stock.jsonl"), &self.stock)?;
        let accounts = std::iter::once(rows::operator()).chain(self.people.iter().map(rows::account));
        write(&folder.join("accounts.jsonl"), accounts)?;
        write(&folder.join("warehouse-orders.jsonl"), self.orders.iter().map(rows::fulfilled))?;
        let with_people = || self.orders.iter().filter_map(|order| Some((order, self.people.get(order.who)?)));
        write(&folder.join("sales.jsonl"), with_people().filter_map(|(order, person)| rows::sale(order, person)))?;
        write(&folder.join("orders.jsonl"), with_people().map(|(order, person)| rows::past_order(order, person)))?;
        let purchases = with_people().filter_map(|(order, person)| rows::purchase(order, person));
        write(&folder.join("purchases.jsonl"), purchases)
    }
}

fn write<T: Serialize>(path: &Path, rows: impl Iterator<Item = T>) -> Result<(), output::Error> {
    let mut lines = Lines::create(path)?;
    for row in rows {
        lines.row(&row)?;
    }
    lines.finish()
}

/// The stock before returns: more copies of albums that sell, a few albums low, a few sold out. The warehouse adds
/// returned and released copies when it loads the orders.
fn stock(seed: u64, albums: &[Album], shelves: &Shelves, orders: &[Order]) -> Vec<Level> {
    let mut dice = Dice::new(seed, 7);
    let mut sold = BTreeMap::<&str, u32>::new();
    let mut back = BTreeMap::<&str, u32>::new();
    for order in orders {
        for line in &order.lines {
            *sold.entry(&line.sku).or_default() += line.copies;
            let copies = match order.status {
                Status::Returned { .. } => line.returned,
                _ if order.status.released().is_some() => line.copies,
                _ => 0,
            };
            *back.entry(&line.sku).or_default() += copies;
        }
    }
    let of = |counts: &BTreeMap<&str, u32>, album: &Album| counts.get(album.sku.as_str()).copied().unwrap_or(0);
    albums
        .iter()
        .enumerate()
        .map(|(at, album)| {
            let usual = 4 + of(&sold, album) / 3;
            let on_hand = match shelves.supply(at) {
                Supply::SoldOut => 0,
                Supply::Low => dice.between(1, 3),
                Supply::Discontinued => dice.between(0, 1),
                Supply::Plenty => dice.between(usual, usual * 2).saturating_sub(of(&back, album)),
            };
            Level { sku: album.sku.clone(), on_hand }
        })
        .collect()
}

#[cfg(test)]
#[path = "demo/tests.rs"]
mod tests;
