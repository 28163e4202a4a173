//! How a file gets encrypted: at its first start as an encrypted store, and when the operator takes or restores one
//! that is in the clear.
//!
//! Its contents are written to an encrypted file beside it, which then takes its name. Until the key has its own name
//! as well, the next start goes on where this one was cut off.
//! Invariant: once the key has its name, no start takes a file in the clear: only the operator does.
//! Not here: where the key is (`key`).

use std::io::ErrorKind;

use rusqlite::OpenFlags;

use crate::config::{Config, is_clear};
use crate::key::KeySource;
use crate::look::{Log, escaped, look, uri};
use crate::open::{OpenError, failed as unopened};
use crate::sealing::has_room;
use crate::{private, vfs, votes};

/// Makes a file that is about to be opened ready for it: makes its key if it has none, and encrypts what is there in
/// the clear. The file must not be open in this process, unless it has its key.
///
/// # Errors
/// When something cannot be written.
pub(super) fn ready(config: &Config) -> Result<(), OpenError> {
    let Some(key) = &config.key else { return Ok(()) };
    // When it is, the file may be open in this process.
    if key.is_there() { Ok(()) } else { first(config, key) }
}

/// The error of a file in the clear that has a key. It must not be open in this process.
///
/// # Errors
/// `OpenError::InTheClear`.
pub(super) fn check(config: &Config) -> Result<(), OpenError> {
    match config.key.as_ref().is_some_and(KeySource::is_there) && is_clear(&config.path) {
        true => Err(OpenError::InTheClear { path: config.path.clone() }),
        false => Ok(()),
    }
}

/// Encrypts a file in the clear, whether its key is there or is to be made: of a backup from before, or one that the
/// operator takes. The file must not be open in this process.
///
/// # Errors
/// As `Database::open`.
pub fn encrypt_if_clear(config: &Config) -> Result<(), OpenError> {
    match &config.key {
        Some(key) if key.is_there() && is_clear(&config.path) => convert(config, key),
        _ => ready(config),
    }
}

/// Of a file whose key is not there.
fn first(config: &Config, key: &KeySource) -> Result<(), OpenError> {
    let path = &config.path;
    let empty = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len() == 0,
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(source) => return Err(OpenError::Encrypting { path: path.clone(), source }),
    };
    if empty {
        key.next()?;
    } else if is_clear(path) {
        let next = key.next()?;
        // First what would be left behind otherwise.
        let promise = Config { path: votes::path_of(path), ..config.clone() };
        if is_clear(&promise.path) {
            convert(&promise, &next)?;
        }
        convert(config, &next)?;
    } else {
        // One that was cut off has its contents, and its key waits. The next error names a key that is missing.
        let opens = key.waiting().is_some_and(|waiting| {
            let waits = look(&Config { key: Some(waiting), ..config.clone() }, Log::Read);
            waits.is_ok_and(|file| file.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).is_ok())
        });
        if !opens {
            return Ok(());
        }
    }
    Ok(key.take_next()?)
}

/// Puts an encrypted file in the place of one in the clear.
fn convert(config: &Config, key: &KeySource) -> Result<(), OpenError> {
    let path = &config.path;
    let failed = |source| unopened(path, source);
    let unwritten = |source| OpenError::Encrypting { path: path.clone(), source };
    let aside = path.with_extension("encrypting");
    match std::fs::remove_file(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(unwritten(error)),
        _ => {}
    }
    private::new_file(&aside).map_err(unwritten)?;
    let written = (|| {
        // Pages with seals are compared as they are read.
        let clear = Config { key: None, ..config.clone() };
        let seals = if has_room(path).map_err(unwritten)? { vfs::seals_for(&clear)? } else { None };
        let way = if seals.is_some() { vfs::name().map_err(failed)? } else { vfs::BASE };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let source = rusqlite::Connection::open_with_flags_and_vfs(path, flags, way).map_err(failed)?;
        // The new file has no log, and takes the place of one with its log.
        let copied_back = source.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        if copied_back.map_err(failed)? != 0 {
            return Err(OpenError::InUse { path: path.clone() });
        }
        let (way, key) = (vfs::BASE.to_string_lossy(), escaped(key.read()?.as_str().as_bytes()));
        let target = format!("{}?vfs={way}&key={key}", uri(&aside));
        // SQLite's words may repeat the target, and the key with it.
        let wordless = |error: rusqlite::Error| match error {
            rusqlite::Error::SqliteFailure(code, _) => failed(rusqlite::Error::SqliteFailure(code, None)),
            _ => failed(rusqlite::Error::InvalidQuery),
        };
        source.execute("VACUUM INTO ?1", [target]).map_err(wordless)?;
        drop(source);
        let synchronised = std::fs::File::open(&aside).and_then(|file| file.sync_all());
        synchronised.map_err(unwritten)
    })();
    let placed = written.and_then(|()| private::rename_durably(&aside, path).map_err(unwritten));
    if placed.is_err() {
        std::fs::remove_file(&aside).ok();
    }
    placed
}
