//! Sales that were made elsewhere come into the books, with their own times: three statements for however many.

use std::collections::BTreeMap;

use seam_sdk::store::transaction;

use crate::domain::ledger::Entry;
use crate::domain::past;
use crate::store::{self, NewPayment};
use crate::wit::Error;
use crate::wit_archive::PastSale;

/// Returns how many were new. Invoices are numbered in the order in which they were written.
pub fn put_sales(sales: &[PastSale]) -> Result<u32, Error> {
    past::check(sales)?;
    transaction(|tx| {
        let orders: Vec<_> = sales.iter().map(|past| &past.sale.order).collect();
        let known = store::known(tx, &orders)?;
        let mut new: BTreeMap<&str, &PastSale> = sales.iter().map(|past| (past.sale.order.as_str(), past)).collect();
        for order in &known {
            new.remove(order.as_str());
        }
        let mut captured: Vec<_> = new.values().filter_map(|p| Some((p.captured?, p.sale.order.as_str()))).collect();
        captured.sort_unstable();
        let invoices: BTreeMap<&str, u32> =
            captured.into_iter().map(|(_, order)| order).zip(store::next_invoice(tx)?..).collect();

        let mut rows = Vec::with_capacity(new.len());
        let mut entries: Vec<Entry> = Vec::new();
        for (order, past) in &new {
            let invoice = invoices.get(order).copied();
            rows.push(NewPayment {
                refunded: past.refunded(),
                voided: past.voided,
                captured: past.captured,
                invoice,
                ..NewPayment::new(&past.sale, &past.card, past.stage(), past.at)?
            });
            entries.extend(past.entries(invoice));
        }
        // The sort is stable: entries of one sale and one time keep their order.
        entries.sort_by_key(|entry| entry.at);
        store::add(tx, rows)?;
        store::book(tx, &entries)?;
        Ok(new.len() as u32)
    })
}
