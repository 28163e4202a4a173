//! Orders of a seed: a thousand of them in five statements, each for many rows.

use std::collections::BTreeSet;

use seam_sdk::store::{Error, Value, list, params, transaction};

use super::time;
use crate::archive::PastOrder;
use crate::domain::{past, states};

/// Adds the orders that are not known yet; all or none. Returns how many those are.
pub fn put(orders: &[PastOrder]) -> Result<u32, Error> {
    let numbers: Vec<_> = orders.iter().map(|order| &order.number).collect();
    transaction(|tx| {
        let known: Vec<String> = tx.query(
            "SELECT o.number FROM json_each(?1) AS asked CROSS JOIN orders AS o ON o.number = asked.value",
            params![&list(&numbers)],
        )?;
        let known: BTreeSet<_> = known.into_iter().collect();
        let first: i64 = tx.one("SELECT coalesce(max(id), 0) + 1 FROM orders", params![])?;
        let new: Vec<(i64, &PastOrder)> =
            (first..).zip(orders.iter().filter(|order| !known.contains(&order.number))).collect();
        tx.execute_many(
            "INSERT INTO orders (id, number, customer, state, copies, shipping, total, currency,
                                 name, street, extra, city, postcode, country, at, shipped_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            new.iter().map(|(id, order)| row(*id, order)),
        )?;
        let lines = new.iter().flat_map(|(id, order)| (0u32..).zip(&order.lines).map(move |(i, line)| (*id, i, line)));
        tx.execute_many(
            "INSERT INTO lines (order_id, position, sku, copies, price, returned) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            lines,
        )?;
        let events = new.iter().flat_map(|(id, order)| {
            (1u32..).zip(&order.history).map(move |(i, e)| (*id, i, e.at, states::name(e.state), e.note.as_str()))
        });
        tx.execute_many(
            "INSERT INTO events (order_id, position, at, state, note) VALUES (?1, ?2, ?3, ?4, ?5)",
            events,
        )?;
        // Recommendation has a seed of its own.
        tx.execute_many(
            "INSERT INTO purchases (order_id, learned) VALUES (?1, 1)",
            new.iter().filter(|(_, order)| past::sold(order)).map(|(id, _)| (*id,)),
        )?;
        Ok(new.len() as u32)
    })
}

fn row(id: i64, order: &PastOrder) -> [Value<'_>; 16] {
    let sum: u64 = order.lines.iter().map(|line| u64::from(line.copies) * u64::from(line.price)).sum();
    let copies: u32 = order.lines.iter().map(|line| line.copies).sum();
    let address = &order.address;
    [
        Value::from(id),
        Value::from(&order.number),
        Value::from(&order.customer),
        Value::from(states::name(order.state)),
        Value::from(copies),
        Value::from(order.shipping),
        Value::from(time(sum + u64::from(order.shipping))),
        Value::from(&order.currency),
        Value::from(&address.name),
        Value::from(&address.street),
        Value::from(&address.extra),
        Value::from(&address.city),
        Value::from(&address.postcode),
        Value::from(&address.country),
        Value::from(time(order.at)),
        Value::from(past::shipped_at(order).map(time)),
    ]
}
