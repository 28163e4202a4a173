//! The orders' SQL. Every query here has its index, named in the migrations.
//!
//! This file and `desk` read; `placing` and `changing` write the changes of one order, each function one transaction,
//! `archive` writes the orders of a seed. Nothing here calls another context. An event is published, and a saga is
//! started, resumed or given up, within the transaction that it belongs to.

pub mod archive;
pub mod changing;
pub mod desk;
pub mod placing;

use seam_sdk::store::{Error, Transaction, list, one, optional, params, query, transaction};
use serde::Deserialize;

use crate::domain::past::OWN_NUMBERS;
use crate::domain::states::{self, Doing, Step};
use crate::domain::{PAGE_SIZE, outcome};
use crate::neighbours::PlacedOrder;
use crate::wit::{self, Address, Event, Order, Page, PlacedLine, State, Summary};

/// The part of an order that its steps depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    pub id: i64,
    pub number: String,
    pub customer: String,
    pub state: State,
    pub shipping: u32,
    pub currency: String,
    /// When it was taken; seconds since 1970.
    pub at: u64,
    pub doing: Option<Doing>,
    /// The account of the operator who asked for it, if one was named.
    pub doing_by: Option<String>,
    /// What stands for the card until the order is placed or rejected.
    pub card_token: Option<String>,
    /// Where the card came from, if no request waits for what becomes of it.
    pub card_from: Option<String>,
    pub shipped_at: Option<u64>,
    /// Why it was rejected, or will be.
    pub outcome: Option<wit::Error>,
}

/// In the order of the fields of `HeadRow`.
macro_rules! head_columns {
    () => {
        "o.id, o.number, o.customer, o.state, o.shipping, o.currency, o.at, o.doing, o.doing_by, o.card_token, o.card_from,
         o.shipped_at, o.outcome"
    };
}
use head_columns;

#[derive(Deserialize)]
struct HeadRow {
    id: i64,
    number: String,
    customer: String,
    state: String,
    shipping: u32,
    currency: String,
    at: u64,
    doing: Option<Doing>,
    doing_by: Option<String>,
    card_token: Option<String>,
    card_from: Option<String>,
    shipped_at: Option<u64>,
    outcome: Option<String>,
}

impl HeadRow {
    fn head(self) -> Result<Head, Error> {
        Ok(Head {
            state: state(&self.state)?,
            id: self.id,
            number: self.number,
            customer: self.customer,
            shipping: self.shipping,
            currency: self.currency,
            at: self.at,
            doing: self.doing,
            doing_by: self.doing_by,
            card_token: self.card_token,
            card_from: self.card_from,
            shipped_at: self.shipped_at,
            outcome: self.outcome.as_deref().and_then(outcome::read),
        })
    }
}

fn state(text: &str) -> Result<State, Error> {
    states::named(text).ok_or_else(|| Error::Invalid(format!("the state `{text}` is not known")))
}

/// The order with this number.
pub fn head(number: &str) -> Result<Option<Head>, Error> {
    let sql = concat!("SELECT ", head_columns!(), " FROM orders AS o WHERE o.number = ?1");
    optional::<HeadRow>(sql, params![number])?.map(HeadRow::head).transpose()
}

/// Whether this is a number that an order to come may get.
pub fn may_be_given(number: &str) -> Result<bool, Error> {
    let Some(digits) = number.strip_prefix(OWN_NUMBERS) else { return Ok(false) };
    let Ok(number) = digits.parse::<i64>() else { return Ok(false) };
    Ok(number > one::<i64>("SELECT 100000 + coalesce(max(id), 0) FROM orders", params![])?)
}

/// The step that was asked for under this key, and the order.
pub fn by_key(key: &str) -> Result<Option<(String, Head)>, Error> {
    let sql = concat!(
        "SELECT k.what, ",
        head_columns!(),
        " FROM keys AS k CROSS JOIN orders AS o ON o.id = k.order_id WHERE k.key = ?1"
    );
    let row: Option<(String, HeadRow)> = optional(sql, params![key])?;
    row.map(|(what, row)| Ok((what, row.head()?))).transpose()
}

/// Those of these orders of a customer of which something is being done: number, what, and since when; in the order
/// asked.
pub fn in_process(customer: &str, numbers: &[String]) -> Result<Vec<(String, Doing, u64)>, Error> {
    query(
        "SELECT o.number, o.doing, o.doing_since
         FROM json_each(?2) AS asked CROSS JOIN orders AS o ON o.number = asked.value
         WHERE o.customer = ?1 AND o.doing IS NOT NULL ORDER BY asked.key",
        params![customer, &list(numbers)],
    )
}

/// The whole order.
pub fn order(number: &str) -> Result<Option<Order>, Error> {
    #[derive(Deserialize)]
    struct Row {
        id: i64,
        number: String,
        customer: String,
        state: String,
        shipping: u32,
        total: u64,
        currency: String,
        address: Address,
        at: u64,
    }
    let sql = "SELECT id, number, customer, state, shipping, total, currency, name, street, extra, city, postcode, country, at
               FROM orders WHERE number = ?1";
    let Some(row) = optional::<Row>(sql, params![number])? else { return Ok(None) };
    let events: Vec<(u64, String, String)> =
        query("SELECT at, state, note FROM events WHERE order_id = ?1 ORDER BY position", params![row.id])?;
    let event = |(at, named, note): (u64, String, String)| Ok(Event { at, state: state(&named)?, note });
    Ok(Some(Order {
        number: row.number,
        customer: row.customer,
        state: state(&row.state)?,
        lines: lines(row.id)?,
        shipping: row.shipping,
        total: row.total,
        currency: row.currency,
        address: row.address,
        at: row.at,
        history: events.into_iter().map(event).collect::<Result<_, Error>>()?,
    }))
}

pub fn lines(id: i64) -> Result<Vec<PlacedLine>, Error> {
    query("SELECT sku, copies, price, returned FROM lines WHERE order_id = ?1 ORDER BY position", params![id])
}

/// A customer's orders, newest first; without those of before that were rejected because the card was mistyped.
pub fn of_customer(customer: &str, page: u32) -> Result<Page, Error> {
    paged(page, |limit, offset| {
        query(
            "SELECT number, customer, state, at, copies, total, currency FROM orders
             WHERE customer = ?1 AND coalesce(outcome, '') NOT LIKE 'fields%'
             ORDER BY at DESC, id DESC LIMIT ?2 OFFSET ?3",
            params![customer, limit, offset],
        )
    })
}

/// The orders in a state, oldest first.
pub fn in_state(state: State, page: u32) -> Result<Page, Error> {
    paged(page, |limit, offset| {
        query(
            "SELECT number, customer, state, at, copies, total, currency FROM orders WHERE state = ?1
             ORDER BY at, id LIMIT ?2 OFFSET ?3",
            params![states::name(state), limit, offset],
        )
    })
}

/// The orders of which something is being done, the longest first.
pub fn in_between(page: u32) -> Result<Page, Error> {
    paged(page, |limit, offset| {
        query(
            "SELECT number, customer, state, at, copies, total, currency FROM orders WHERE doing IS NOT NULL
             ORDER BY doing_since, id LIMIT ?1 OFFSET ?2",
            params![limit, offset],
        )
    })
}

/// In the order of the fields of `Summary`.
type SummaryRow = (String, String, String, u64, u32, u64, String);

/// `read` gets how many rows to read, and how many to leave out before them.
fn paged(page: u32, read: impl FnOnce(u32, u32) -> Result<Vec<SummaryRow>, Error>) -> Result<Page, Error> {
    // One row more than the page shows says whether there is a next page.
    page_of(read(PAGE_SIZE + 1, page.saturating_sub(1) * PAGE_SIZE)?, PAGE_SIZE)
}

fn summary((number, customer, named, at, copies, total, currency): SummaryRow) -> Result<Summary, Error> {
    Ok(Summary { number, customer, state: state(&named)?, at, copies, total, currency })
}

/// A page of at most `count` orders; one row more says that there are more.
fn page_of(rows: Vec<SummaryRow>, count: u32) -> Result<Page, Error> {
    let count = count as usize;
    let more = rows.len() > count;
    let orders = rows.into_iter().take(count).map(summary).collect::<Result<_, Error>>()?;
    Ok(Page { orders, more })
}

/// In the order of the fields of `PlacedRow`. A SKU has no blank in it.
macro_rules! placed_columns {
    () => {
        "number, customer, at,
           (SELECT group_concat(sku, ' ' ORDER BY position) FROM lines WHERE order_id = orders.id)"
    };
}
use placed_columns;

type PlacedRow = (String, String, u64, String);

/// The event of an order that is placed.
fn placed((number, customer, at, skus): PlacedRow) -> PlacedOrder {
    PlacedOrder { number, customer, skus: skus.split(' ').map(String::from).collect(), at }
}

/// What was done with the order is done: it has its next state. Nothing happens if it has it already. `note` is for its
/// history, instead of the one that was kept.
pub fn finish(id: i64, step: Step, note: Option<&str>, now: u64) -> Result<(), Error> {
    transaction(|tx| advance(tx, id, step, note, now).map(drop))
}

/// As `finish`, within a transaction. False: the order is not in the state that the step starts from.
fn advance(tx: &Transaction, id: i64, step: Step, note: Option<&str>, now: u64) -> Result<bool, Error> {
    let (before, after) = step.way();
    let kept: Option<(String, Option<String>)> = tx.optional(
        "SELECT iif(doing IS NULL, '', doing_note), doing_by FROM orders WHERE id = ?1 AND state = ?2",
        params![id, states::name(before)],
    )?;
    let Some((kept, by)) = kept else { return Ok(false) };
    tx.execute(
        "UPDATE orders SET state = ?2, doing = NULL, doing_since = NULL, doing_by = NULL, doing_note = '', card_token = NULL,
           card_from = NULL, shipped_at = iif(?2 = 'shipped', ?3, shipped_at)
         WHERE id = ?1",
        params![id, states::name(after), time(now)],
    )?;
    happened(tx, id, now, after, note.unwrap_or(&kept), by.as_deref())?;
    Ok(true)
}

/// Adds a line to the order's history; `by` is the account of the operator who asked for it.
fn happened(tx: &Transaction, id: i64, at: u64, state: State, note: &str, by: Option<&str>) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO events (order_id, position, at, state, note, by)
         SELECT ?1, coalesce(max(position), 0) + 1, ?2, ?3, ?4, ?5 FROM events WHERE order_id = ?1",
        params![id, time(at), states::name(state), note, by],
    )?;
    Ok(())
}

/// Times and sums as SQLite has them; every one here is far below the bound.
fn time(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
