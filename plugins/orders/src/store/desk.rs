//! The lists of the operator: orders that match a search, orders that wait, recipients of parcels.

use seam_sdk::sagas::{self, State, Status};
use seam_sdk::store::{Error, list, params, query};

use super::{SummaryRow, page_of, summary, time};
use crate::desk::{Author, Change, HeldUp, Recipient};
use crate::domain::LONG_SECONDS;
use crate::domain::sagas::kind_of;
use crate::domain::search::{Range, Search};
use crate::domain::states::{self, Doing};
use crate::wit::{Address, Page};

/// In the order of the fields of `SummaryRow`.
macro_rules! columns {
    () => {
        "o.number, o.customer, o.state, o.at, o.copies, o.total, o.currency"
    };
}

/// The orders that match, newest first. Each statement reads from the index of its narrowest field and stops at the end
/// of the range.
pub fn find(search: &Search, range: Range) -> Result<Page, Error> {
    let named = search.recipient.is_some();
    let mut sql = String::from(concat!("SELECT ", columns!(), " FROM "));
    sql += match named {
        // Ids grow with time, so the index of names need not be sorted.
        true => "recipients AS r CROSS JOIN orders AS o ON o.id = r.rowid WHERE r.recipients MATCH ?1",
        false => "orders AS o WHERE ?1 IS NULL",
    };
    let [number, own_number] = &search.numbers;
    let mut condition = |given: bool, text: &str| given.then(|| sql += text);
    condition(number.is_some(), " AND o.number IN (?2, ?3)");
    condition(search.customer.is_some(), " AND o.customer = ?4");
    condition(search.state.is_some(), " AND o.state = ?5");
    condition(search.since.is_some(), " AND o.at >= ?6");
    condition(search.before.is_some(), " AND o.at < ?7");
    sql += if named { " ORDER BY r.rowid DESC" } else { " ORDER BY o.at DESC, o.id DESC" };
    sql += " LIMIT ?8 OFFSET ?9";
    let rows = query(
        &sql,
        params![
            search.recipient.as_deref(),
            number.as_deref(),
            own_number.as_deref(),
            search.customer.as_deref(),
            search.state.map(states::name),
            search.since.map(time),
            search.before.map(time),
            range.count + 1,
            range.skip
        ],
    )?;
    page_of(rows, range.count)
}

/// The orders that wait for the operator: those that are held up, returns, parcels; the oldest of each first.
pub fn waiting(range: Range, now: u64) -> Result<Page, Error> {
    // Each part is read no further than the range reaches.
    const PARTS: &str = concat!(
        "SELECT * FROM (SELECT 1 AS part, o.id, ",
        columns!(),
        " FROM orders AS o WHERE o.doing IS NOT NULL AND o.doing_since < ?1 ORDER BY o.doing_since LIMIT ?2)
         UNION ALL SELECT * FROM (SELECT 2, o.id, ",
        columns!(),
        " FROM orders AS o WHERE o.state = 'return-requested' AND (o.doing IS NULL OR o.doing_since >= ?1)
           ORDER BY o.at, o.id LIMIT ?2)
         UNION ALL SELECT * FROM (SELECT 3, o.id, ",
        columns!(),
        " FROM orders AS o WHERE o.state = 'placed' AND (o.doing IS NULL OR o.doing_since >= ?1)
           ORDER BY o.at, o.id LIMIT ?2)"
    );
    let rows: Vec<SummaryRow> = query(
        &format!(
            "SELECT number, customer, state, at, copies, total, currency FROM ({PARTS}) ORDER BY part, at, id \
             LIMIT ?3 OFFSET ?4"
        ),
        params![time(now.saturating_sub(LONG_SECONDS)), range.skip + range.count + 1, range.count + 1, range.skip],
    )?;
    page_of(rows, range.count)
}

/// The orders of which a change has been under way for longer than it takes, the longest first, and where each is.
pub fn held_up(count: u32, now: u64) -> Result<Vec<HeldUp>, Error> {
    type Row = (String, String, String, u64, u32, u64, String, Doing, u64);
    let sql = concat!(
        "SELECT ",
        columns!(),
        ", o.doing, o.doing_since FROM orders AS o WHERE o.doing IS NOT NULL AND o.doing_since < ?1
         ORDER BY o.doing_since, o.id LIMIT ?2"
    );
    let rows: Vec<Row> = query(sql, params![time(now.saturating_sub(LONG_SECONDS)), count])?;
    let held_up = |(number, customer, state, at, copies, total, currency, doing, since): Row| {
        let status = saga_of(doing, &number)?;
        let stuck = status.as_ref().is_some_and(|status| status.state == State::Stuck);
        let (step, cause) = status.map_or_else(Default::default, |status| (status.step, status.cause));
        let order = summary((number, customer, state, at, copies, total, currency))?;
        let change = match doing {
            Doing::Place | Doing::Undo => Change::Placing,
            Doing::Ship => Change::Shipment,
            Doing::Cancel => Change::Cancellation,
            Doing::TakeBack => Change::ReturnIntake,
        };
        Ok(HeldUp { order, change, since, step, stuck, cause })
    };
    rows.into_iter().map(held_up).collect()
}

/// Where the saga of a change stands; none: it has not been started.
pub fn saga_of(doing: Doing, number: &str) -> Result<Option<Status>, Error> {
    match sagas::get_status(kind_of(doing), number) {
        Ok(status) => Ok(Some(status)),
        Err(sagas::Error::Unknown(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The operators behind each event of the order's history, oldest first.
pub fn authors(number: &str) -> Result<Vec<Author>, Error> {
    let rows: Vec<(String, String)> = query(
        "SELECT coalesce(e.by, ''), coalesce(e.ended_by, '')
         FROM orders AS o CROSS JOIN events AS e ON e.order_id = o.id WHERE o.number = ?1 ORDER BY e.position",
        params![number],
    )?;
    Ok(rows.into_iter().map(|(by, ended_by)| Author { by, ended_by }).collect())
}

/// The recipients of these orders in the order asked, unknown orders left out.
pub fn recipients(orders: &[String]) -> Result<Vec<Recipient>, Error> {
    let rows: Vec<(String, Address)> = query(
        "SELECT o.number, o.name, o.street, o.extra, o.city, o.postcode, o.country
         FROM json_each(?1) AS asked CROSS JOIN orders AS o ON o.number = asked.value ORDER BY asked.key",
        params![&list(orders)],
    )?;
    Ok(rows.into_iter().map(|(order, address)| Recipient { order, address }).collect())
}
