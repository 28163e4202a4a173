//! Orders: step by step as its context takes them, each step that changes something committed where it happens.
//!
//! Open the order, reserve the copies, hold the money, clear the reservation, confirm the order: five commits in three
//! files. With every eighth order the service calls recommendation, and notes that it did: two commits more. A step
//! that fails ends the bench; only the context undoes what was done before it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use catalog::albums::Album;
use hyper::Request;
use hyper::body::Incoming;
use orders::domain::past::OWN_NUMBERS;
use orders::domain::{check, quote};
use orders::musiccorp::finance::payments::{self, Payment, Sale};
use orders::musiccorp::warehouse::fulfilment;
use orders::wit::{self, Error, Order, Quote};
use recommendation::engine::Purchase;
use rusqlite::{Connection, OptionalExtension, params};

use super::client::Client;
use super::{answered, read, said, unknown};
use crate::native::reference::{Reference, now};
use crate::native::writer::Writer;
use crate::native::{reader, types};

/// What the host's outbox is in the file of the context.
const OUTBOX: &str = "
    CREATE TABLE IF NOT EXISTS purchases
      (sequence INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders, learned INTEGER NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS purchases_unlearned ON purchases (sequence) WHERE learned = 0;";

type Said<T> = std::result::Result<T, Error>;

/// What all connections share.
struct Desk {
    file: PathBuf,
    writer: Writer,
    reference: Reference,
}

/// The services that are asked.
struct Neighbours {
    catalog: Client,
    warehouse: Client,
    finance: Client,
    recommendation: Client,
}

/// `services` are catalog, warehouse, finance, recommendation.
pub fn orders(file: PathBuf, services: [SocketAddr; 4]) -> Result<()> {
    let desk = Arc::new(Desk { writer: Writer::open(&file)?, file, reference: Reference::read()? });
    desk.writer.transaction::<_, anyhow::Error>(|open| Ok(open.execute_batch(OUTBOX)?))?;
    super::server::serve_threads(move || {
        let [catalog, warehouse, finance, recommendation] = services.map(Client::new);
        let neighbours = Neighbours { catalog, warehouse, finance, recommendation };
        let at = std::rc::Rc::new((desk.clone(), RefCell::new(neighbours)));
        move |request: Request<Incoming>| {
            let at = at.clone();
            async move {
                answered(match read(request).await {
                    Ok((function, arguments)) => respond(&at.0, &mut at.1.borrow_mut(), &function, &arguments),
                    Err(error) => Err(error),
                })
            }
        }
    })
}

fn respond(desk: &Desk, neighbours: &mut Neighbours, function: &str, arguments: &[u8]) -> Result<Vec<u8>> {
    match function {
        "quote" => {
            let lines: Vec<wit::Line> = serde_json::from_slice(arguments)?;
            said(&price(&lines, desk, neighbours)?)
        }
        "place" => {
            let (key, request): (String, wit::Request) = serde_json::from_slice(arguments)?;
            said(&place(&key, &request, desk, neighbours)?)
        }
        "order" => {
            let (customer, number): (String, String) = serde_json::from_slice(arguments)?;
            let order = reader::with(&desk.file, |open| open.order(&number))?;
            said(&order.filter(|order| order.customer == customer).ok_or(Error::UnknownOrder))
        }
        _ => unknown(function),
    }
}

fn price(lines: &[wit::Line], desk: &Desk, neighbours: &mut Neighbours) -> Result<Said<Quote>> {
    if let Err(error) = check::lines(lines) {
        return Ok(Err(error));
    }
    let skus: Vec<&str> = lines.iter().map(|line| line.sku.as_str()).collect();
    let albums: Vec<Album> = neighbours.catalog.ask("albums", &skus)?;
    Ok(quote::quote(lines, albums.into_iter().map(types::priced_album).collect(), desk.reference.post()))
}

fn place(key: &str, request: &wit::Request, desk: &Desk, neighbours: &mut Neighbours) -> Result<Said<Order>> {
    let earlier = reader::with(&desk.file, |open| open.order_of_key(key))?;
    if let Some((order, customer)) = earlier {
        let order = reader::with(&desk.file, |open| open.order(&order))?;
        return Ok(order.filter(|_| customer == request.customer).ok_or(Error::UnknownOrder));
    }
    let checked = check::key(key).and_then(|()| check::address(&request.address, desk.reference.countries()));
    let priced = price(&request.lines, desk, neighbours)?.and_then(|quote| quote::agreed(quote, request.total));
    let (address, quote) = match (checked, priced) {
        (Ok(address), Ok(quote)) => (address, quote),
        (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
    };
    let (id, number) = desk.writer.transaction(|open| begin(open, key, request, &address, &quote))?;

    let copies: Vec<_> =
        request.lines.iter().map(|line| fulfilment::Line { sku: line.sku.clone(), copies: line.copies }).collect();
    let reserved: std::result::Result<(), fulfilment::Error> =
        neighbours.warehouse.ask("reserve", &(&number, &copies))?;
    reserved.map_err(|error| anyhow!("{error}"))?;

    let sale = Sale {
        order: number.clone(),
        customer: request.customer.clone(),
        lines: quote
            .lines
            .iter()
            .map(|line| payments::Line { sku: line.sku.clone(), quantity: line.copies, price: line.price })
            .collect(),
        shipping: quote.shipping,
        currency: quote.currency.clone(),
    };
    let held: std::result::Result<Payment, payments::Error> =
        neighbours.finance.ask("authorise", &(format!("{number}:authorise"), &sale, &request.card))?;
    let payment = held.map_err(|error| anyhow!("{error}"))?;
    let cleared: std::result::Result<(), fulfilment::Error> = neighbours.warehouse.ask("clear", &number)?;
    cleared.map_err(|error| anyhow!("{error}"))?;

    let note = format!("The sum is held on the card ending {} until the parcel leaves.", payment.card);
    desk.writer.transaction(|open| confirm(open, id, &note))?;
    learn(desk, neighbours)?;
    let order = reader::with(&desk.file, |open| open.order(&number))?;
    Ok(order.ok_or(Error::UnknownOrder))
}

fn begin(
    open: &Connection,
    key: &str,
    request: &wit::Request,
    address: &wit::Address,
    quote: &Quote,
) -> Result<(i64, String)> {
    let at = i64::try_from(now())?;
    let (id, number): (i64, String) = open
        .prepare_cached(
            "INSERT INTO orders (id, number, customer, state, copies, shipping, total, currency,
                                 name, street, extra, city, postcode, country, at, doing, doing_since)
             SELECT next, ?1 || (100000 + next), ?2, 'placing', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'place', ?13
             FROM (SELECT coalesce(max(id), 0) + 1 AS next FROM orders)
             RETURNING id, number",
        )?
        .query_row(
            params![
                OWN_NUMBERS,
                request.customer,
                quote.lines.iter().map(|line| line.copies).sum::<u32>(),
                quote.shipping,
                i64::try_from(quote.total)?,
                quote.currency,
                address.name,
                address.street,
                address.extra,
                address.city,
                address.postcode,
                address.country,
                at
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
    open.prepare_cached("INSERT INTO keys (key, what, order_id) VALUES (?1, 'place', ?2)")?
        .execute(params![key, id])?;
    let mut line =
        open.prepare_cached("INSERT INTO lines (order_id, position, sku, copies, price) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, sold) in quote.lines.iter().enumerate() {
        line.execute(params![id, u32::try_from(position)?, sold.sku, sold.copies, sold.price])?;
    }
    happened(open, id, at, "placing", "")?;
    Ok((id, number))
}

fn confirm(open: &Connection, id: i64, note: &str) -> Result<()> {
    let confirmed = open
        .prepare_cached(
            "UPDATE orders SET state = 'placed', doing = NULL, doing_since = NULL WHERE id = ?1 AND doing = 'place'",
        )?
        .execute([id])?;
    if confirmed != 1 {
        bail!("the order is not being placed");
    }
    happened(open, id, i64::try_from(now())?, "placed", note)?;
    open.prepare_cached("INSERT INTO purchases (order_id, learned) VALUES (?1, 0)")?.execute([id])?;
    Ok(())
}

fn happened(open: &Connection, id: i64, at: i64, state: &str, note: &str) -> Result<()> {
    open.prepare_cached(
        "INSERT INTO events (order_id, position, at, state, note)
         SELECT ?1, coalesce(max(position), 0) + 1, ?2, ?3, ?4 FROM events WHERE order_id = ?1",
    )?
    .execute(params![id, at, state, note])?;
    Ok(())
}

/// Tells recommendation of what it has not heard of, and notes that it has, once enough has come together.
fn learn(desk: &Desk, neighbours: &mut Neighbours) -> Result<()> {
    const MOST: u32 = 50;
    const FROM: usize = 8;
    let purchases = reader::with(&desk.file, |open| open.unlearned(MOST))?;
    if purchases.is_empty() || !purchases.len().is_multiple_of(FROM) {
        return Ok(());
    }
    let (sequences, told): (Vec<String>, Vec<Purchase>) = purchases.into_iter().unzip();
    let _: u32 = neighbours.recommendation.ask("learn", &told)?;
    let sequences = serde_json::to_string(&sequences)?;
    desk.writer.transaction::<_, anyhow::Error>(|open| {
        open.prepare_cached(
            "UPDATE purchases SET learned = 1 WHERE sequence IN (SELECT CAST(value AS INTEGER) FROM json_each(?1))",
        )?
        .execute([&sequences])
        .context("what has been learned")?;
        Ok(())
    })
}

impl reader::Reader {
    /// The order that this key has placed before, and whose it is.
    fn order_of_key(&self, key: &str) -> Result<Option<(String, String)>> {
        let mut known = self.connection().prepare_cached(
            "SELECT o.number, o.customer FROM keys AS k CROSS JOIN orders AS o ON o.id = k.order_id WHERE k.key = ?1",
        )?;
        Ok(known.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// Purchases with their sequence, the oldest first.
    fn unlearned(&self, count: u32) -> Result<Vec<(String, Purchase)>> {
        let mut unlearned = self.connection().prepare_cached(
            "SELECT p.sequence, o.number, o.customer, o.at,
               (SELECT group_concat(sku, ' ' ORDER BY position) FROM lines WHERE order_id = o.id)
             FROM purchases AS p CROSS JOIN orders AS o ON o.id = p.order_id
             WHERE p.learned = 0 ORDER BY p.sequence LIMIT ?1",
        )?;
        let rows = unlearned.query_map([count], |row| {
            let (sequence, at, skus): (i64, i64, String) = (row.get(0)?, row.get(3)?, row.get(4)?);
            let skus = skus.split(' ').map(str::to_owned).collect();
            let purchase = Purchase { id: row.get(1)?, customer: row.get(2)?, skus, at: at.unsigned_abs() };
            Ok((sequence.to_string(), purchase))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}
