//! The schema that a file is at: the migrations it has run, in the host's table `seam_migrations`.
//!
//! Not here: running migrations (`migrate`).

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::look::{Log, look};
use crate::open::OpenError;
use crate::text;

pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS seam_migrations (
    number   INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    checksum BLOB NOT NULL,
    applied  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT";

/// A migration that the file has run.
pub(super) struct Applied {
    pub name: String,
    pub checksum: Vec<u8>,
}

/// The migrations of the file, oldest first.
pub(super) fn applied(sqlite: &Connection) -> rusqlite::Result<Vec<Applied>> {
    let exists = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'seam_migrations'";
    if sqlite.query_row(exists, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(Vec::new());
    }
    let mut statement = sqlite.prepare("SELECT name, checksum FROM seam_migrations ORDER BY number")?;
    let rows = statement.query_map([], |row| Ok(Applied { name: row.get(0)?, checksum: row.get(1)? }))?;
    rows.collect()
}

pub(super) fn record(sqlite: &Connection, number: u32, name: &str, sql: &str) -> rusqlite::Result<()> {
    let insert = "INSERT INTO seam_migrations (number, name, checksum) VALUES (?1, ?2, ?3)";
    sqlite.execute(insert, params![number, name, checksum(sql)]).map(drop)
}

/// Of a migration's SQL alone, since its name may change, and without a mark and the carriage returns of its line ends,
/// since a checkout may add them.
pub(super) fn checksum(sql: &str) -> Vec<u8> {
    digest(&text::normalised(sql))
}

/// Whether `then` is the checksum of this SQL. Earlier hosts took it of the text as it came: with CRLF, or with a
/// mark before it.
pub(super) fn is_checksum_of(then: &[u8], sql: &str) -> bool {
    let lines = text::normalised(sql);
    let windows = lines.replace('\n', "\r\n");
    let marked = |text: &str| digest(&format!("\u{feff}{text}"));
    [digest(&lines), digest(sql), digest(&windows), marked(&lines), marked(&windows)].iter().any(|sum| sum == then)
}

fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

pub(super) fn number(sqlite: &Connection) -> rusqlite::Result<u32> {
    applied(sqlite).map(|all| u32::try_from(all.len()).unwrap_or(u32::MAX))
}

impl Database {
    /// How many migrations the file has.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn schema(&self) -> Result<u32, Error> {
        let reader = self.reader()?;
        let connection = reader.connection()?;
        number(connection.sqlite()).map_err(|error| self.failed(connection, &error))
    }
}

/// How many migrations the file that `config` names has; 0 if there is no file.
///
/// # Errors
/// When there is a file that cannot be read.
pub fn schema_at(config: &Config) -> Result<u32, OpenError> {
    applied_at(config).map(|all| u32::try_from(all.len()).unwrap_or(u32::MAX))
}

/// The migrations of the file that `config` names; none if there is no file.
pub(super) fn applied_at(config: &Config) -> Result<Vec<Applied>, OpenError> {
    if !config.path.exists() {
        return Ok(Vec::new());
    }
    let sqlite = look(config, Log::Read)?;
    applied(&sqlite).map_err(|source| OpenError::Sqlite { path: config.path.clone(), source })
}
