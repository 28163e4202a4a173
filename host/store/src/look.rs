//! Looking at a file without using it: no page of it or of its log changes, and the log is not copied back.

use std::ffi::CStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

use crate::config::Config;
use crate::key::KeySource;
use crate::open::{OpenError, failed};
use crate::vfs;

/// Whether the log belongs to what is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Log {
    Read,
    Left,
}

/// A connection that changes neither the file nor its log, and does not copy the log back when it is closed. A file
/// that waits to be encrypted is read as it is.
pub(super) fn look(config: &Config, log: Log) -> Result<rusqlite::Connection, OpenError> {
    let config = &*config.as_it_is();
    let seals = vfs::seals_for(config)?;
    let way = if seals.is_some() { vfs::name() } else { Ok(vfs::BASE) };
    look_by(config, log, way.map_err(|source| failed(&config.path, source))?)
}

/// As `look`, at pages that do not fit their seals too: to say what was changed. Nothing of it may be served.
pub(super) fn look_past_seals(config: &Config) -> Result<rusqlite::Connection, OpenError> {
    look_by(config, Log::Read, vfs::BASE)
}

fn look_by(config: &Config, log: Log, way: &CStr) -> Result<rusqlite::Connection, OpenError> {
    let unopened = |source| failed(&config.path, source);
    let sqlite = match log {
        Log::Read => {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            rusqlite::Connection::open_with_flags_and_vfs(&config.path, flags, way)
        }
        Log::Left => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
            rusqlite::Connection::open_with_flags_and_vfs(uri(&config.path) + "?immutable=1", flags, way)
        }
    }
    .map_err(unopened)?;
    if let Some(key) = config.key.as_ref().map(KeySource::read).transpose()? {
        sqlite.pragma_update(None, "key", key.as_str()).map_err(unopened)?;
    }
    sqlite.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(unopened)?;
    sqlite
        .execute_batch("PRAGMA query_only = ON; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY")
        .map_err(unopened)?;
    Ok(sqlite)
}

/// The file's name for SQLite as a URI. With `immutable`, SQLite takes it for one that no process changes, and leaves
/// the log out.
pub(super) fn uri(path: &Path) -> String {
    "file:".to_owned() + &escaped(path.as_os_str().as_bytes())
}

/// As a part of a URI.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut part = String::new();
    for byte in bytes {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => part.push(char::from(*byte)),
            other => drop(write!(part, "%{other:02x}")),
        }
    }
    part
}
