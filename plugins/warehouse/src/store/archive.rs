//! Orders that were fulfilled elsewhere, many at a time.

use std::collections::{BTreeMap, BTreeSet};

use seam_sdk::store::{Error, list, params, transaction};

use crate::archive::PastOrder;
use crate::fulfilment::Stage;
use crate::stock::{Cause, Tally};

const NONE: Tally = Tally { on_hand: 0, reserved: 0, shipped: 0, received: 0 };

/// Takes over those that are not known yet; all or none. Returns how many those were.
pub fn put(mut orders: Vec<PastOrder>) -> Result<u32, Error> {
    orders.sort_by(|a, b| (a.at, &a.order).cmp(&(b.at, &b.order)));
    transaction(|tx| {
        let numbers: Vec<_> = orders.iter().map(|order| &order.order).collect();
        let known: Vec<String> = tx.query(
            "SELECT asked.value FROM json_each(?1) AS asked CROSS JOIN orders AS o ON o.number = asked.value",
            params![&list(&numbers)],
        )?;
        let known: BTreeSet<_> = known.into_iter().collect();
        orders.retain(|order| !known.contains(&order.order));
        let skus: BTreeSet<&str> = orders.iter().flat_map(|o| &o.lines).map(|line| line.sku.as_str()).collect();
        let skus: Vec<_> = skus.into_iter().collect();
        let before: Vec<(String, u32)> = tx.query(
            "SELECT l.sku, l.on_hand FROM json_each(?1) AS asked CROSS JOIN levels AS l ON l.sku = asked.value",
            params![&list(&skus)],
        )?;
        let mut on_hand: BTreeMap<&str, u64> =
            before.iter().map(|(sku, copies)| (sku.as_str(), u64::from(*copies))).collect();
        let mut changes: BTreeMap<&str, Tally> = BTreeMap::new();
        let mut movements = Vec::new();
        for order in &orders {
            for line in &order.lines {
                let copies = u64::from(line.copies);
                let change = changes.entry(&line.sku).or_insert(NONE);
                change.received += copies;
                let (back, at, cause) = match order.stage() {
                    Stage::Released => (copies, order.released.unwrap_or(order.at), Cause::Released),
                    Stage::Shipped => {
                        let back = u64::from(order.returned_of(&line.sku));
                        change.shipped += copies - back;
                        (back, order.returned_at, Cause::Returned)
                    }
                    Stage::Reserved | Stage::Cleared => {
                        change.reserved += copies;
                        continue;
                    }
                };
                if back > 0 {
                    change.on_hand += back;
                    let level = on_hand.entry(&line.sku).or_default();
                    *level += back;
                    movements.push((&line.sku, at, cause as u8, back, *level, &order.order));
                }
            }
        }
        tx.execute_many(
            "INSERT INTO levels (sku, on_hand, reserved, shipped, received) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (sku) DO UPDATE SET on_hand = on_hand + excluded.on_hand, reserved = reserved + excluded.reserved,
               shipped = shipped + excluded.shipped, received = received + excluded.received",
            changes.iter().map(|(sku, t)| (sku, t.on_hand, t.reserved, t.shipped, t.received)),
        )?;
        tx.execute_many(
            "INSERT INTO movements (sku, at, cause, change, on_hand, reference) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            movements,
        )?;
        tx.execute_many(
            "INSERT INTO orders (number, stage, at) VALUES (?1, ?2, ?3)",
            orders.iter().map(|order| (&order.order, order.stage() as u8, order.at)),
        )?;
        let lines = orders.iter().flat_map(|order| order.lines.iter().map(move |line| (order, line)));
        tx.execute_many(
            "INSERT INTO lines (number, sku, copies, returned) VALUES (?1, ?2, ?3, ?4)",
            lines.map(|(order, line)| (&order.order, &line.sku, line.copies, order.returned_of(&line.sku))),
        )?;
        Ok(orders.len() as u32)
    })
}
