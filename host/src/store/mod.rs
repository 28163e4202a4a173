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
