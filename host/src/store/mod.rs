<<<<<<< HEAD
//! One SQLite file per context: the shapes that the contexts' side relies on.

use std::path::Path;
use std::sync::Arc;

use crate::ids::ContextName;
use crate::manifest::StoreGrant;

pub struct Database;
pub struct Config;

#[derive(wasmtime::component::ComponentType, wasmtime::component::Lift, Clone, Debug)]
#[component(record)]
pub struct Migration {
    pub number: u32,
    pub name: String,
    pub sql: String,
}

#[derive(Debug, thiserror::Error)]
#[error("there is no store yet")]
pub struct Error;

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        String::new()
    }
}

impl Config {
    /// The file of `context` in the folder `databases`.
    pub fn of(_context: &ContextName, _grant: &StoreGrant, _databases: &Path) -> Self {
        Self
    }
}

impl Database {
    pub fn open(_config: Config) -> Result<Arc<Self>, Error> {
        Err(Error)
    }
}

pub fn migrate(_database: &Database, _migrations: &[Migration]) -> Result<(), Error> {
    Err(Error)
}
=======
//! One SQLite file per context: its one writer, its readers, its schema.
//!
//! A statement runs inline on the thread that asks for it. Reads see a snapshot of the last commit, on connections that only read;
//! writes take turns on one connection and share commits. Whatever becomes of a caller, its transaction is rolled back when it is
//! dropped, and the connection is clean for the next.
//! Not here: which context owns which file (`context`), how statements arrive from a guest (`seam::store`).

mod confine;
mod connection;
mod database;
mod error;
mod handover;
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

pub use connection::{Config, OpenError};
pub use database::Database;
pub use error::Error;
pub use key::{KeyError, KeySource};
pub use migrate::{MigrateError, Migrated, Migration, migrate};
pub use rows::{Rows, Value};
pub use statistics::Statistics;
pub use transaction::Transaction;
>>>>>>> 35eb85e (Give every context its own SQLite file behind one confined interface)
