//! How the monolith places an order: everything that the contexts do for one, in one transaction of one file.
//!
//! What it has less to do than they: a key of its own for each service, a reservation that can be released, a list of what recommendation has
//! not been told yet. All of that is there because several files cannot be written at once.

use finance::domain::card::Typed;
use finance::domain::processor;
use orders::domain::past::OWN_NUMBERS;
use orders::domain::{check, quote};
use orders::wit;
use rusqlite::{Connection, OptionalExtension, params};

use super::reader;
use super::reference::{Reference, now};
use super::sql;
use super::types;
use super::writer::Writer;

/// Why there is no order; whatever the transaction did is undone.
pub struct Stop(pub wit::Error);

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self(wit::Error::Unavailable(error.to_string()))
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self(wit::Error::Unavailable(format!("{error:#}")))
    }
}

impl From<wit::Error> for Stop {
    fn from(error: wit::Error) -> Self {
        Self(error)
    }
}

/// What these lines cost now.
pub fn price(connection: &Connection, lines: &[wit::Line], reference: &Reference) -> Result<wit::Quote, Stop> {
    check::lines(lines)?;
    let skus: Vec<&str> = lines.iter().map(|line| line.sku.as_str()).collect();
    let albums = reader::albums(connection, &skus)?.into_iter().map(types::priced_album).collect();
    Ok(quote::quote(lines, albums, reference.post())?)
}

pub fn place(writer: &Writer, key: &str, request: &wit::Request, reference: &Reference) -> Result<wit::Order, Stop> {
    check::key(key)?;
    let address = check::address(&request.address, reference.countries())?;
    let now = now();
    let wit::Card { number, holder, expiry, code } = request.card.clone();
    let card = Typed(finance::wit::Card { number, holder, expiry, code }).check(now).map_err(|problems| {
        let problem = |one: finance::wit::FieldProblem| wit::FieldProblem { field: one.field, problem: one.problem };
        wit::Error::Fields(problems.into_iter().map(problem).collect())
    })?;
    match card.reply {
        processor::Reply::Approved => {}
        processor::Reply::Declined(why) => return Err(wit::Error::Declined(why.into()).into()),
        processor::Reply::Silence => return Err(wit::Error::Declined("the processor does not answer".into()).into()),
    }
    let at = i64::try_from(now).unwrap_or(i64::MAX);
    writer.transaction(|open| {
        let known = open.prepare_cached("SELECT number, customer FROM orders WHERE key = ?1")?;
        if let Some(number) = of_key(known, key, &request.customer)? {
            return reader::order(open, &number)?.ok_or(Stop(wit::Error::UnknownOrder));
        }
        let quote = quote::agreed(price(open, &request.lines, reference)?, request.total)?;
        let (id, number): (i64, String) = open
            .prepare_cached(
                "INSERT INTO orders (id, number, key, customer, state, copies, shipping, total, currency,
                                     name, street, extra, city, postcode, country, at)
                 SELECT next, ?1 || (100000 + next), ?2, ?3, 'placed', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14
                 FROM (SELECT coalesce(max(id), 0) + 1 AS next FROM orders)
                 RETURNING id, number",
            )?
            .query_row(
                params![
                    OWN_NUMBERS,
                    key,
                    request.customer,
                    quote.lines.iter().map(|line| line.copies).sum::<u32>(),
                    quote.shipping,
                    i64::try_from(quote.total).unwrap_or(i64::MAX),
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
        take_from_shelf(open, &number, &quote.lines, at)?;
        let mut line = open
            .prepare_cached("INSERT INTO lines (order_id, position, sku, copies, price) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for (position, sold) in quote.lines.iter().enumerate() {
            line.execute(params![id, u32::try_from(position).unwrap_or(u32::MAX), sold.sku, sold.copies, sold.price])?;
        }
        open.prepare_cached(
            "INSERT INTO payments (order_id, stage, amount, currency, refunded, card, authorised)
             VALUES (?1, 'authorised', ?2, ?3, 0, ?4, ?5)",
        )?
        .execute(params![
            id,
            i64::try_from(quote.total).unwrap_or(i64::MAX),
            quote.currency,
            card.last_four,
            at
        ])?;
        let note = format!("The sum is held on the card ending {} until the parcel leaves.", card.last_four);
        open.prepare_cached(
            "INSERT INTO events (order_id, position, at, state, note) VALUES (?1, 1, ?2, 'placed', ?3)",
        )?
        .execute(params![id, at, note])?;
        learn(open, &quote.lines)?;
        reader::order(open, &number)?.ok_or(Stop(wit::Error::UnknownOrder))
    })
}

/// The order that this key has placed before.
fn of_key(mut known: rusqlite::CachedStatement<'_>, key: &str, customer: &str) -> Result<Option<String>, Stop> {
    let found: Option<(String, String)> = known.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match found {
        Some((_, owner)) if owner != customer => {
            Err(wit::Error::Invalid("key: it was used by somebody else".into()).into())
        }
        found => Ok(found.map(|(number, _)| number)),
    }
}

/// Sets the copies aside, or says of which albums there are too few.
fn take_from_shelf(open: &Connection, order: &str, lines: &[wit::PricedLine], at: i64) -> Result<(), Stop> {
    let mut take = open.prepare_cached(
        "UPDATE levels SET on_hand = on_hand - ?2, reserved = reserved + ?2 WHERE sku = ?1 AND on_hand >= ?2 RETURNING on_hand",
    )?;
    let mut moved = open.prepare_cached(
        "INSERT INTO movements (sku, at, cause, change, on_hand, reference) VALUES (?1, ?2, 2, ?3, ?4, ?5)",
    )?;
    let mut short = Vec::new();
    for line in lines {
        let left: Option<u32> = take.query_row(params![line.sku, line.copies], |row| row.get(0)).optional()?;
        match left {
            Some(left) => {
                moved.execute(params![line.sku, at, -i64::from(line.copies), left, order])?;
            }
            None => {
                let mut level = open.prepare_cached("SELECT on_hand FROM levels WHERE sku = ?1")?;
                let on_hand = level.query_row([&line.sku], |row| row.get(0)).optional()?.unwrap_or(0);
                short.push(wit::Shortage { sku: line.sku.clone(), wanted: line.copies, on_hand });
            }
        }
    }
    if short.is_empty() { Ok(()) } else { Err(wit::Error::Short(short).into()) }
}

/// Counts what was bought together.
fn learn(open: &Connection, lines: &[wit::PricedLine]) -> Result<(), Stop> {
    let mut item = open.prepare_cached(sql::COUNT_ITEM)?;
    let mut pair = open.prepare_cached(sql::COUNT_PAIR)?;
    for line in lines {
        item.execute(params![line.sku, 1])?;
        for other in lines.iter().filter(|other| other.sku != line.sku) {
            pair.execute(params![line.sku, other.sku, 1])?;
        }
    }
    Ok(())
}
