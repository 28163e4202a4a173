//! One SQLite file per context: its one writer, its readers, its schema.
//!
//! A statement runs inline on the thread that asks for it. Reads see a snapshot of the last commit, on connections that only read;
//! writes take turns on one connection and share commits. Whatever becomes of a caller, its transaction is rolled back when it is
//! dropped, and the connection is clean for the next.
//! Not here: which context owns which file (`context`), how statements arrive from a guest (`seam::store`).

mod confine;
mod connection;
mod copy;
mod cursor;
mod database;
mod error;
mod functions;
mod handover;
mod host;
mod key;
mod migrate;
mod readers;
mod rows;
mod sql;
mod statistics;
mod transaction;
mod writer;

#[cfg(test)]
mod tests;

pub use connection::{Config, OpenError, file_name};
pub use copy::{CopyError, Difference, schema_at};
pub use cursor::Cursor;
pub use database::Database;
pub use error::Error;
pub use host::{HostFile, HostFileError};
pub use key::{KeyError, KeySource};
pub use migrate::{MigrateError, Migrated, Migration, Terms, migrate, migrate_under};
pub use rows::{Rows, Value};
pub use statistics::Statistics;
pub use transaction::Transaction;

/// An error with everything that caused it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
