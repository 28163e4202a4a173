//! The routes of all contexts, stored in the host's own file before they apply.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::types::Type;
use rusqlite::{Connection, params};
use seam_store::{HostFile, HostFileError};

use super::Shares;

/// The shares of all contexts, by the contexts' names.
pub struct StoredShares {
    file: Arc<HostFile>,
    all: Mutex<BTreeMap<String, Shares>>,
}

/// `shares` is JSON: an operator can read it in the file, and no query needs a part of it.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS route (
    context TEXT PRIMARY KEY,
    shares  TEXT NOT NULL
) STRICT;
";

impl StoredShares {
    /// Reads the shares in the host's file; there are none before the first `set`.
    ///
    /// # Errors
    /// When the file cannot be used, or its shares cannot be read: a guess would send visitors elsewhere than before.
    pub fn open(file: Arc<HostFile>) -> Result<Self, HostFileError> {
        file.change(|file| file.execute_batch(TABLES))?;
        let all = file.read(all)?;
        Ok(Self { file, all: Mutex::new(all) })
    }

    pub fn of(&self, context: &str) -> Shares {
        self.all.lock().get(context).cloned().unwrap_or_default()
    }

    /// Writes the shares of `context` to the disk before it returns.
    ///
    /// # Errors
    /// When they cannot be written; then the old ones remain.
    pub fn set(&self, context: &str, shares: Shares) -> Result<(), HostFileError> {
        let mut all = self.all.lock();
        self.file.change(|file| {
            let text = serde_json::to_string(&shares).map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
            file.execute("INSERT OR REPLACE INTO route (context, shares) VALUES (?1, ?2)", params![context, text])
        })?;
        all.insert(context.to_owned(), shares);
        Ok(())
    }
}

fn all(file: &Connection) -> rusqlite::Result<BTreeMap<String, Shares>> {
    let mut statement = file.prepare("SELECT context, shares FROM route")?;
    let rows = statement.query_map([], |row| {
        let text: String = row.get(1)?;
        let shares = serde_json::from_str(&text);
        Ok((row.get(0)?, shares.map_err(|e| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, e.into()))?))
    })?;
    rows.collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn shares(text: &str) -> Shares {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn shares_are_kept_when_the_file_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let open = || StoredShares::open(Arc::new(HostFile::open(folder.path()).unwrap())).unwrap();
        let routes = open();
        assert_eq!(routes.of("engine"), Shares::default());
        routes.set("engine", shares(r#"{"weights": {"js": 1}}"#)).unwrap();
        routes.set("engine", shares(r#"{"weights": {"js": 2}, "shadow": "rust"}"#)).unwrap();
        drop(routes);
        assert_eq!(open().of("engine"), shares(r#"{"weights": {"js": 2}, "shadow": "rust"}"#));
    }

    #[test]
    fn shares_that_cannot_be_read_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(HostFile::open(folder.path()).unwrap());
        drop(StoredShares::open(file.clone()).unwrap());
        file.change(|file| file.execute(r#"INSERT INTO route VALUES ('engine', '{"wieghts": {}}')"#, [])).unwrap();
        assert!(StoredShares::open(file).is_err());
    }
}
