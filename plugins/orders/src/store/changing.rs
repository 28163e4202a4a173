//! Changes of a placed order: `begin` writes the change down, then other contexts are called, then `finish` or
//! `give_up` ends it.

use seam_sdk::store::{Transaction, execute, params, transaction};

use super::{Authors, Head, HeadRow, happened, head_columns, lines, time};
use crate::domain::states::{self, Doing, Step};
use crate::domain::{RETURN_SECONDS, invalid};
use crate::wit::{Error, Line, State};

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

/// Writes down that this change is under way, which locks out others; also after an interruption. None: it is done.
pub fn begin(change: Change<'_>, note: &str, now: u64) -> Result<Option<Head>, Error> {
    transaction(|tx| {
        let Some(mut head) = allowed(tx, change)? else { return Ok(None) };
        let Some(doing) = change.step.doing() else { return Ok(Some(head)) };
        if head.doing.is_none() {
            tx.execute(
                "UPDATE orders SET doing_note = ?2, doing_by = ?3, doing_from = ?4 WHERE id = ?1",
                params![head.id, note, change.by, time(now)],
            )?;
            head.doing_by = change.by.map(String::from);
        }
        tx.execute(
            "UPDATE orders SET doing = ?2, doing_since = ?3 WHERE id = ?1",
            params![head.id, doing.name(), time(now)],
        )?;
        Ok(Some(head))
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
        let sold = lines(head.id)?;
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
            wanted.iter().map(|line| (head.id, &line.sku, line.copies)),
        )?;
        let sql = "UPDATE orders SET state = 'return-requested' WHERE id = ?1";
        tx.execute(sql, params![head.id])?;
        happened(tx, head.id, now, State::ReturnRequested, "", Authors::default())?;
        Ok(())
    })
}

/// The change of `begin` is done; `by` is the account of the operator who asked for its end. False: another request has
/// finished it.
pub fn finish(
    id: i64,
    step: Step,
    note: Option<&str>,
    by: Option<&str>,
    now: u64,
) -> Result<bool, seam_sdk::store::Error> {
    let (before, after) = step.way();
    transaction(|tx| {
        let kept: Option<(String, Option<String>)> = tx.optional(
            "SELECT doing_note, doing_by FROM orders WHERE id = ?1 AND state = ?2 AND doing = ?3",
            params![id, states::name(before), step.doing().map(Doing::name)],
        )?;
        let Some((kept_note, started_by)) = kept else { return Ok(false) };
        tx.execute(
            "UPDATE orders SET state = ?2, doing = NULL, doing_since = NULL, doing_from = NULL, doing_by = NULL,
               shipped_at = iif(?2 = 'shipped', ?3, shipped_at)
             WHERE id = ?1",
            params![id, states::name(after), time(now)],
        )?;
        let started_by = started_by.as_deref();
        let authors = Authors { by: started_by, ended_by: by.filter(|_| by != started_by) };
        happened(tx, id, now, after, note.unwrap_or(&kept_note), authors)?;
        Ok(true)
    })
}

/// The change of `begin` cannot be done, and nothing of it has happened.
pub fn give_up(id: i64, doing: Doing) -> Result<(), seam_sdk::store::Error> {
    execute(
        "UPDATE orders SET doing = NULL, doing_since = NULL, doing_from = NULL, doing_by = NULL, doing_note = ''
         WHERE id = ?1 AND doing = ?2",
        params![id, doing.name()],
    )?;
    Ok(())
}

/// Goes on with what was cut off: false when it has gone on since it was looked at.
pub fn resume(head: &Head, now: u64) -> Result<bool, seam_sdk::store::Error> {
    let resumed = execute(
        "UPDATE orders SET doing_since = ?3 WHERE id = ?1 AND doing = ?2 AND doing_since = ?4",
        params![head.id, head.doing.map(Doing::name), time(now), time(head.doing_since)],
    )?;
    Ok(resumed > 0)
}

/// Whether this may be done now, under this key. None: it has been done under this key.
fn allowed(tx: &Transaction, change: Change<'_>) -> Result<Option<Head>, Error> {
    let Change { key, step, number, customer, by: _ } = change;
    let sql = concat!("SELECT ", head_columns!(), " FROM orders AS o WHERE o.number = ?1");
    let head = tx.optional::<HeadRow>(sql, params![number])?.map(HeadRow::head).transpose()?;
    let head =
        head.filter(|head| customer.is_none_or(|customer| head.customer == customer)).ok_or(Error::UnknownOrder)?;
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
