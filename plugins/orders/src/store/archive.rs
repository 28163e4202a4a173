//! Orders of a seed: a thousand of them in four statements, each for many rows. And orders from before events and
//! sagas.

use std::collections::BTreeSet;

use seam_sdk::sagas;
use seam_sdk::store::{Error, Value, list, optional, params, transaction};

use super::{PlacedRow, placed, placed_columns, time};
use crate::archive::PastOrder;
use crate::domain::sagas::{ORDER, RETURN, kind_of};
use crate::domain::states::Doing;
use crate::domain::{past, states};
use crate::neighbours::{Neighbours, PlacedOrder};
use crate::wit::State;

/// Orders from before events or before sagas that are taken over at a time.
const EARLIER: u32 = 200;

/// Adds the orders that are not known yet, publishes those that were sold, and starts the sagas of those that wait for
/// their parcel or their return; all or none. Returns how many are new.
pub fn put(orders: &[PastOrder], neighbours: &impl Neighbours) -> Result<u32, Error> {
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
        for (_, order) in new.iter().filter(|(_, order)| past::sold(order)) {
            let skus = order.lines.iter().map(|line| line.sku.clone()).collect();
            let (number, customer) = (order.number.clone(), order.customer.clone());
            neighbours.order_placed(&PlacedOrder { number, customer, skus, at: order.at })?;
        }
        for (_, order) in &new {
            match order.state {
                State::Placed => sagas::start(ORDER, &order.number)?,
                State::ReturnRequested => sagas::start(RETURN, &order.number)?,
                _ => {}
            }
        }
        Ok(new.len() as u32)
    })
}

/// Starts the sagas of orders in the middle of a change from before sagas, some at a time. Returns how many.
pub fn start_sagas() -> Result<u32, Error> {
    if optional::<i64>("SELECT order_id FROM without_saga LIMIT 1", params![])?.is_none() {
        return Ok(0);
    }
    transaction(|tx| {
        let earlier: Vec<(i64, String, Option<Doing>)> = tx.query(
            "SELECT w.order_id, o.number, o.doing
             FROM (SELECT order_id FROM without_saga ORDER BY order_id LIMIT ?1) AS w
             CROSS JOIN orders AS o ON o.id = w.order_id",
            params![EARLIER],
        )?;
        for (id, number, doing) in &earlier {
            if let Some(doing) = doing {
                sagas::start(kind_of(*doing), number)?;
            }
            tx.execute("DELETE FROM without_saga WHERE order_id = ?1", params![*id])?;
        }
        Ok(earlier.len() as u32)
    })
}

/// Publishes orders that were placed before their context published anything, some at a time.
pub fn publish_earlier(neighbours: &impl Neighbours) -> Result<(), Error> {
    if optional::<i64>("SELECT order_id FROM unpublished LIMIT 1", params![])?.is_none() {
        return Ok(());
    }
    transaction(|tx| {
        let earlier: Vec<(i64, PlacedRow)> = tx.query(
            concat!(
                "SELECT id, ",
                placed_columns!(),
                " FROM orders WHERE id IN
              (SELECT order_id FROM unpublished ORDER BY order_id LIMIT ?1) ORDER BY id"
            ),
            params![EARLIER],
        )?;
        let last = earlier.last().map_or(0, |(id, _)| *id);
        for (_, order) in earlier {
            neighbours.order_placed(&placed(order))?;
        }
        tx.execute("DELETE FROM unpublished WHERE order_id <= ?1", params![last])?;
        Ok(())
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
