//! The demo shop: the real albums, and invented customers, orders, purchases and stock around them.

use std::path::Path;

use crate::album::Album;
use crate::customers::{self, Customer};
use crate::orders::{self, Level, Order, Purchase, Shelves};
use crate::output;

pub struct Demo {
    pub stock: Vec<Level>,
    pub customers: Vec<Customer>,
    pub orders: Vec<Order>,
    pub purchases: Vec<Purchase>,
}

impl Demo {
    pub fn make(seed: u64, customers: u32, orders: u32, albums: &[Album]) -> Self {
        let shelves = Shelves::new(seed, albums);
        let people = customers::make(seed, customers, albums, &shelves);
        let orders = orders::make(seed, orders, albums, &shelves, &people);
        Self {
            stock: orders::stock(seed, albums, &orders),
            customers: people.into_iter().map(|(customer, _)| customer).collect(),
            purchases: orders.iter().map(Purchase::from).collect(),
            orders,
        }
    }

    /// Five files: albums, stock, customers, orders, purchases, each `.jsonl`.
    pub fn write(&self, folder: &Path, albums: &[Album]) -> Result<(), output::Error> {
        output::write_all(&folder.join("albums.jsonl"), albums)?;
        output::write_all(&folder.join("stock.jsonl"), &self.stock)?;
        output::write_all(&folder.join("customers.jsonl"), &self.customers)?;
        output::write_all(&folder.join("orders.jsonl"), &self.orders)?;
        output::write_all(&folder.join("purchases.jsonl"), &self.purchases)
    }
}

#[cfg(test)]
#[path = "demo/tests.rs"]
mod tests;
