//! Linear versions of those functions of SQLite whose own versions take time in the square of their input.
//!
//! A function runs between two checks of the deadline: SQLite's `instr` on two texts of a megabyte would hold its
//! thread for many seconds, and nothing could interrupt it. Results are those of SQLite.
//! Not here: functions that contexts may not call at all (`confine`).

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memmem;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result, ffi};

use crate::limits;

pub(super) fn replace_slow_functions(conn: &Connection) -> Result<()> {
    // As harmless as the functions they replace, so that views, triggers and indexes may use them.
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("instr", 2, flags, instr)?;
    conn.create_scalar_function("replace", 3, flags, replace)?;
    conn.create_scalar_function("trim", 2, flags, |cx| trim(cx, true, true))?;
    conn.create_scalar_function("ltrim", 2, flags, |cx| trim(cx, true, false))?;
    conn.create_scalar_function("rtrim", 2, flags, |cx| trim(cx, false, true))?;
    conn.create_scalar_function("unhex", 2, flags, |_| -> Result<Value> {
        Err(Error::UserFunctionError("unhex with characters to ignore is not for contexts".into()))
    })
}

/// Position of the needle from 1 on, or 0 if it is absent; in characters, or in bytes if both are blobs.
fn instr(cx: &mut Context<'_>) -> Result<Value> {
    let (haystack, needle) = (cx.get_raw(0), cx.get_raw(1));
    let in_bytes = matches!((haystack, needle), (ValueRef::Blob(_), ValueRef::Blob(_)));
    let (Some(haystack), Some(needle)) = (bytes(haystack), bytes(needle)) else { return Ok(Value::Null) };
    let position = match memmem::find(&haystack, &needle) {
        None => 0,
        Some(at) if in_bytes => at + 1,
        Some(at) => haystack.iter().take(at).filter(|b| !is_continuation(**b)).count() + 1,
    };
    Ok(Value::Integer(i64::try_from(position).unwrap_or(i64::MAX)))
}

fn replace(cx: &mut Context<'_>) -> Result<Value> {
    let (Some(text), Some(from), Some(to)) = (bytes(cx.get_raw(0)), bytes(cx.get_raw(1)), bytes(cx.get_raw(2))) else {
        return Ok(Value::Null);
    };
    if from.is_empty() {
        return cx.get(0);
    }
    let bytes_max = usize::try_from(limits::STORE_VALUE_BYTES_MAX).unwrap_or(0);
    let mut replaced = Vec::with_capacity(text.len());
    let mut rest: &[u8] = &text;
    let finder = memmem::Finder::new(&from);
    while let Some(at) = finder.find(rest) {
        let (before, after) = rest.split_at(at);
        replaced.extend_from_slice(before);
        replaced.extend_from_slice(&to);
        rest = after.get(from.len()..).unwrap_or(&[]);
        if replaced.len() > bytes_max {
            return Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None));
        }
    }
    replaced.extend_from_slice(rest);
    Ok(text_of(replaced))
}

fn trim(cx: &mut Context<'_>, left: bool, right: bool) -> Result<Value> {
    let (Some(text), Some(set)) = (bytes(cx.get_raw(0)), bytes(cx.get_raw(1))) else { return Ok(Value::Null) };
    let mut characters = HashSet::new();
    let mut rest: &[u8] = &set;
    while let Some((character, after)) = first_character(rest) {
        characters.insert(character);
        rest = after;
    }
    let mut rest: &[u8] = &text;
    while left
        && let Some((character, after)) = first_character(rest)
        && characters.contains(character)
    {
        rest = after;
    }
    while right
        && let Some((before, character)) = last_character(rest)
        && characters.contains(character)
    {
        rest = before;
    }
    Ok(text_of(rest.to_vec()))
}

fn first_character(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let lead = *text.first()?;
    let more = if lead < 0xC0 { 0 } else { text.iter().skip(1).take_while(|b| is_continuation(**b)).count() };
    text.split_at_checked(1 + more)
}

fn last_character(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let more = text.iter().rev().take(3).take_while(|b| is_continuation(**b)).count();
    text.split_at_checked(text.len().checked_sub(1 + more)?)
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// The value as SQLite turns it into text; `None` for NULL.
fn bytes(value: ValueRef<'_>) -> Option<Cow<'_, [u8]>> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(i) => Some(Cow::Owned(i.to_string().into_bytes())),
        ValueRef::Real(r) => Some(Cow::Owned(real(r))),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Cow::Borrowed(bytes)),
    }
}

fn real(value: f64) -> Vec<u8> {
    let mut text = [0_u8; 64];
    let room = i32::try_from(text.len()).unwrap_or(0);
    // SAFETY: the buffer has `room` bytes, the format takes one int and one double, and SQLite appends a zero.
    unsafe { ffi::sqlite3_snprintf(room, text.as_mut_ptr().cast(), c"%!.*g".as_ptr(), 17_i32, value) };
    text.iter().copied().take_while(|b| *b != 0).collect()
}

/// Text of SQLite need not be UTF-8. If it is not, the result is a blob of the same bytes.
fn text_of(bytes: Vec<u8>) -> Value {
    String::from_utf8(bytes).map_or_else(|e| Value::Blob(e.into_bytes()), Value::Text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn results_are_those_of_sqlite() {
        let theirs = Connection::open_in_memory().unwrap();
        let ours = Connection::open_in_memory().unwrap();
        replace_slow_functions(&ours).unwrap();
        // Valid UTF-8 only: for a torn character, SQLite's own functions cut where no rule says.
        let values = [
            "NULL",
            "''",
            "'a'",
            "'ab'",
            "'aba'",
            "'♥'",
            "'a♥b♥'",
            "'♥♥a'",
            "x''",
            "x'61'",
            "1",
            "0.1",
            "-1e300",
            "12",
            "1.0",
            "'aaaaab'",
            "'  x '",
            "9007199254740993",
            "1e20",
            "'.'",
            "x'e299a5'",
        ];
        let ask = |conn: &Connection, sql: &str| conn.query_row(sql, [], |row| row.get::<_, Value>(0)).unwrap();
        for a in values {
            for b in values {
                for call in [
                    format!("instr({a}, {b})"),
                    format!("trim({a}, {b})"),
                    format!("ltrim({a}, {b})"),
                    format!("rtrim({a}, {b})"),
                    format!("replace({a}, {b}, 'zz♥')"),
                    format!("replace({a}, {b}, {a})"),
                ] {
                    // As bytes: a text that is no UTF-8 cannot be read back as text.
                    let sql = format!("SELECT hex({call}) || ' ' || ({call} IS NULL)");
                    assert_eq!(ask(&ours, &sql), ask(&theirs, &sql), "{call}");
                }
            }
        }
    }
}
