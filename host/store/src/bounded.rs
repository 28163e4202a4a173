//! How much a statement may do between two looks at its deadline, and on which thread.
//!
//! SQLite looks between the steps of its virtual machine, and only where a program jumps back: all calls of
//! `SELECT f(?1), f(?1)` are one stretch, however long the value makes each. The stretch is about as long as the
//! program times its values, so a connection takes values that are the shorter, the longer the program is. SQLite
//! refuses a longer one when it meets it. A statement that reads first runs on its worker with values that cost next to
//! nothing; if it meets a longer one, it runs once more, after the worker's other tasks have moved to another thread.
//! Not here: which functions a statement may call (`callable`).

use std::cell::RefCell;
use std::collections::HashMap;

use rusqlite::limits::Limit;
use rusqlite::{CachedStatement, StatementStatus};

use crate::confine::Guard;
use crate::error::Error;
use crate::rows::Value;
use crate::{blocking, limits};

/// The programs of a connection's statements that are too long to run on a worker, by the statements' texts.
#[derive(Default)]
pub(super) struct LongPrograms(RefCell<HashMap<String, usize>>);

/// Measures a program when its statement is new: a walk through it costs as much as a short statement.
impl LongPrograms {
    /// Bytes of the program behind `sql`, with those of its triggers, if it is long.
    pub fn bytes(&self, sqlite: &rusqlite::Connection, sql: &str, statement: &CachedStatement<'_>) -> Option<usize> {
        if statement.readonly() && statement.column_count() == 0 {
            // A text without a statement has no program to ask.
            return None;
        }
        if statement.get_status(StatementStatus::Run) > 0 {
            let known = self.0.borrow();
            return if known.is_empty() { None } else { known.get(sql).copied() };
        }
        let bytes = usize::try_from(statement.get_status(StatementStatus::MemUsed)).unwrap_or(usize::MAX);
        let mut known = self.0.borrow_mut();
        if bytes <= limits::STORE_INLINE_PROGRAM_BYTES {
            known.remove(sql);
            return None;
        }
        if known.len() >= limits::STORE_STATEMENTS_CACHED * 4 {
            // What is prepared again is measured again.
            sqlite.flush_prepared_statement_cache();
            known.clear();
        }
        known.insert(sql.to_owned(), bytes);
        Some(bytes)
    }
}

/// Runs a statement that reads: `run` may be called twice.
pub(super) fn read<T>(
    sqlite: &rusqlite::Connection,
    guard: &Guard,
    program: Option<usize>,
    params: &[Value<'_>],
    mut run: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    if program.is_none() && bytes_of(params) <= limits::STORE_INLINE_VALUE_BYTES {
        match with_values_of(sqlite, limits::STORE_INLINE_VALUE_BYTES, &mut run) {
            Err(Error::TooLarge(why)) if is_of_value(&why) => {}
            done => return done,
        }
    }
    away(sqlite, program, || match guard.take_turns() {
        true => run(),
        false => Err(Error::Interrupted(guard.refusal().unwrap_or_default())),
    })
}

/// Runs a statement after its worker's other tasks have moved to another thread.
pub(super) fn away<T>(
    sqlite: &rusqlite::Connection,
    program: Option<usize>,
    run: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let bytes = value_bytes(program);
    let done = blocking::block_in_place(|| with_values_of(sqlite, bytes, run));
    done.map_err(|error| match (error, program) {
        (Error::TooLarge(why), Some(program)) if is_of_value(&why) => Error::TooLarge(format!(
            "{why}: this statement is a program of {program} bytes, with which a value may have {bytes}; make it \
             shorter, or read the value and work on it in the component"
        )),
        (error, _) => error,
    })
}

/// The longest value for a program of this length.
fn value_bytes(program: Option<usize>) -> usize {
    let most = limits::STORE_VALUE_BYTES_MAX.unsigned_abs() as usize;
    program.map_or(most, |bytes| (most / bytes.max(1)).saturating_mul(limits::STORE_INLINE_PROGRAM_BYTES).min(most))
}

fn with_values_of<T>(
    sqlite: &rusqlite::Connection,
    bytes: usize,
    run: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let bound = |bytes: i32| sqlite.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes).map_err(|e| Error::of(&e));
    bound(i32::try_from(bytes).unwrap_or(limits::STORE_VALUE_BYTES_MAX))?;
    let done = run();
    // The host's statements and migrations have no other bound.
    bound(limits::STORE_VALUE_BYTES_MAX)?;
    done
}

fn bytes_of(params: &[Value<'_>]) -> usize {
    let bytes = |value: &Value<'_>| match value {
        Value::Text(text) => text.len(),
        Value::Blob(blob) => blob.len(),
        _ => 0,
    };
    params.iter().map(bytes).sum()
}

/// Whether SQLite refused a value for its length. A result that is too long has other words.
fn is_of_value(why: &str) -> bool {
    why.contains("string or blob too big")
}
