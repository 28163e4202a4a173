//! Changes of a placed order: `begin` writes the change down and moves its saga, whose last step is `super::finish`.

use seam_sdk::sagas::State as SagaState;
use seam_sdk::store::{Transaction, execute, params, transaction};
use seam_sdk::{log, sagas};

use super::{Head, HeadRow, happened, head_columns, lines, time};
use crate::domain::sagas::{ARRIVE, DISPATCH, ORDER, RETURN};
use crate::domain::states::{Doing, Step};
use crate::domain::{RETURN_SECONDS, invalid};
use crate::wit::{Error, Line, State};

/// What the history says of a return that an operator has corrected.
const CORRECTED: &str = "The parcel holds other copies than were announced.";

/// Who asks for which change of which order.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub key: &'a str,
    pub step: Step,
    pub number: &'a str,
    /// None: the operator.
    pub customer: Option<&'a str>,
    /// The operator's account, if it was named.
    pub by: Option<&'a str>,
}

/// Writes down that this change is under way, which locks out others, and has its saga go on with it. Nothing happens
/// if it is under way or done already.
pub fn begin(change: Change<'_>, note: &str, now: u64) -> Result<(), Error> {
    transaction(|tx| {
        let Some((head, doing)) = allowed(tx, change)?.zip(change.step.doing()) else { return Ok(()) };
        if head.doing.is_some() {
            return Ok(());
        }
        tx.execute(
            "UPDATE orders SET doing = ?2, doing_note = ?3, doing_by = ?4, doing_since = ?5 WHERE id = ?1",
            params![head.id, doing.name(), note, change.by, time(now)],
        )?;
        let moved = match doing {
            Doing::Ship => sagas::resume(ORDER, change.number, DISPATCH),
            Doing::TakeBack => sagas::resume(RETURN, change.number, ARRIVE),
            Doing::Cancel => sagas::give_up(ORDER, change.number, "the order is cancelled"),
            Doing::Place | Doing::Undo => Ok(()),
        };
        moved.map_err(|error| match error {
            sagas::Error::Refused(why) => {
                log::warn(format_args!("order {}, {}: {why}", change.number, doing.name()));
                Error::Refused("The order is being worked on at this moment. Please look again in a moment.".into())
            }
            other => other.into(),
        })
    })
}

/// The copies that a customer sends back; this calls no other context.
pub fn request_return(change: Change<'_>, wanted: &[Line], now: u64) -> Result<(), Error> {
    transaction(|tx| {
        let Some(head) = allowed(tx, change)? else { return Ok(()) };
        if now > head.shipped_at.unwrap_or(0).saturating_add(RETURN_SECONDS) {
            let days = RETURN_SECONDS / (24 * 60 * 60);
            return Err(Error::Refused(format!("Records can be sent back within {days} days of the shipment.")));
        }
        set_returned(tx, head.id, wanted)?;
        let sql = "UPDATE orders SET state = 'return-requested' WHERE id = ?1";
        tx.execute(sql, params![head.id])?;
        happened(tx, head.id, now, State::ReturnRequested, "", None)?;
        sagas::start(RETURN, change.number)?;
        Ok(())
    })
}

/// Corrects the copies that come back with a return, while that waits for its parcel.
pub fn correct_return(number: &str, copies: &[Line], by: &str, now: u64) -> Result<(), Error> {
    transaction(|tx| {
        let head = head(tx, number)?.ok_or(Error::UnknownOrder)?;
        let waits = match sagas::get_status(RETURN, number) {
            Ok(status) => status.state == SagaState::Waiting && status.step == ARRIVE,
            Err(sagas::Error::Unknown(_)) => false,
            Err(error) => return Err(error.into()),
        };
        if !waits {
            return Err(Error::Refused("The order has no return that waits for its parcel.".into()));
        }
        tx.execute("UPDATE lines SET returned = 0 WHERE order_id = ?1", params![head.id])?;
        set_returned(tx, head.id, copies)?;
        happened(tx, head.id, now, State::ReturnRequested, CORRECTED, Some(by))?;
        Ok(())
    })
}

/// Notes how many copies come back; no more than were sold.
fn set_returned(tx: &Transaction, order: i64, wanted: &[Line]) -> Result<(), Error> {
    let sold = lines(order)?;
    for (i, line) in wanted.iter().enumerate() {
        match sold.iter().find(|sold| sold.sku == line.sku) {
            None => {
                let why = format_args!("`{}` is not in the order", line.sku);
                return Err(invalid(&format!("row {}, sku", i + 1), why));
            }
            Some(sold) if line.copies > sold.copies => {
                let why = format!("There were {} copies of {} in the order.", sold.copies, line.sku);
                return Err(Error::Refused(why));
            }
            Some(_) => {}
        }
    }
    tx.execute_many(
        "UPDATE lines SET returned = ?3 WHERE order_id = ?1 AND sku = ?2",
        wanted.iter().map(|line| (order, &line.sku, line.copies)),
    )?;
    Ok(())
}

/// A placed order is being taken back, also if only an operator's command asked for it.
pub fn taking_back(id: i64, now: u64) -> Result<(), seam_sdk::store::Error> {
    execute(
        "UPDATE orders SET doing = ?2, doing_since = ?3 WHERE id = ?1 AND state = 'placed' AND doing IS NULL",
        params![id, Doing::Cancel.name(), time(now)],
    )?;
    Ok(())
}

/// Whether this may be done now, under this key. None: it has been done under this key.
fn allowed(tx: &Transaction, change: Change<'_>) -> Result<Option<Head>, Error> {
    let Change { key, step, number, customer, by: _ } = change;
    let head = head(tx, number)?
        .filter(|head| customer.is_none_or(|customer| head.customer == customer))
        .ok_or(Error::UnknownOrder)?;
    let kept = tx.execute(
        "INSERT INTO keys (key, what, order_id) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING",
        params![key, step.name(), head.id],
    )?;
    if kept == 0 {
        let sql = "SELECT what, order_id FROM keys WHERE key = ?1";
        let known: (String, i64) = tx.one(sql, params![key])?;
        if known != (step.name().to_owned(), head.id) {
            return Err(invalid("key", "it was used for something else"));
        }
        if step.taken_by(head.state) {
            return Ok(None);
        }
    }
    match head.doing {
        Some(doing) if step.doing() != Some(doing) => return Err(Error::Refused(doing.refusal().into())),
        _ => step.from(head.state).map_err(|why| Error::Refused(why.into()))?,
    };
    Ok(Some(head))
}

fn head(tx: &Transaction, number: &str) -> Result<Option<Head>, seam_sdk::store::Error> {
    let sql = concat!("SELECT ", head_columns!(), " FROM orders AS o WHERE o.number = ?1");
    tx.optional::<HeadRow>(sql, params![number])?.map(HeadRow::head).transpose()
}
