//! Opening a context's file: with which flags, which pragmas, and why it may fail.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rusqlite::{ErrorCode, OpenFlags};

use crate::config::Config;
use crate::confine::{self, Guard};
use crate::connection::{Connection, Role};
use crate::key::{KeyError, KeySource};
use crate::seal::Seal;
use crate::{fault, full_text, functions, limits, page_seals, private, row_seals, vfs};

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("SQLite {found} loses commits (the WAL-reset race); build with 3.51.3 or newer")]
    Version { found: &'static str },
    #[error("cannot create the folder of `{}`", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("cannot open `{}`", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error("`{}` is open in another process", path.display())]
    InUse { path: PathBuf },
    #[error("this host cannot read `{}` as a database: it is damaged, or its key is wrong or missing", path.display())]
    NotADatabase { path: PathBuf },
    #[error("`{}` cannot use a write-ahead log: its file system reports journal mode `{mode}`", path.display())]
    NoWal { path: PathBuf, mode: String },
    #[error("`{}` is in the clear, and there is a key: a file with that key is encrypted", path.display())]
    InTheClear { path: PathBuf },
    #[error("cannot encrypt `{}`", path.display())]
    Encrypting { path: PathBuf, source: std::io::Error },
    #[error("cannot get the key of the file")]
    Key(#[from] KeyError),
    #[error("`{}` does not fit its seals: {found}", path.display())]
    Seals { path: PathBuf, found: String },
    #[error("`{}` is sealed, and the key of its seals, {key}, is gone", path.display())]
    NoSealKey { path: PathBuf, key: String },
    #[error("cannot seal `{}`", path.display())]
    Sealing { path: PathBuf, source: std::io::Error },
}

impl OpenError {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Version { .. } => "build the host with the SQLite that its Cargo.lock names".to_owned(),
            Self::Folder { .. } => "check that the data folder exists and that the host may write in it".to_owned(),
            Self::Sqlite { path, .. } => {
                format!("check that the host may read and write `{}` and that its disk has room", path.display())
            }
            Self::InUse { path } => {
                format!(
                    "find the process that has `{}` open (`fuser`, `lsof`) and end it: one process uses a file",
                    path.display()
                )
            }
            Self::NotADatabase { path } => {
                format!("check the key, or restore `{}` from a backup; delete it if it holds demo data", path.display())
            }
            Self::NoWal { .. } => "put the data folder on a local file system".to_owned(),
            Self::InTheClear { .. } => "put the encrypted file back, or restore a backup".to_owned(),
            Self::Encrypting { path, .. } => {
                format!("check that the disk of `{}` has room for a copy of it", path.display())
            }
            Self::Key(KeyError::File { path, .. }) => {
                format!(
                    "put the key back as `{}`, readable by the host alone, or set the context's variable SEAM_KEY_...",
                    path.display()
                )
            }
            Self::Key(KeyError::Make { path, .. }) => {
                format!("check that the host may write `{}` and that its disk has room", path.display())
            }
            Self::Key(KeyError::NoEncryption) => {
                "build `seam-store` with its feature `encryption`, or set `encrypted = false`".to_owned()
            }
            Self::Key(KeyError::Environment { name }) => format!("set `{name}`"),
            Self::Key(KeyError::Empty { source_of_key }) => format!("put a key into {source_of_key}"),
            Self::Key(KeyError::Seals { path, .. }) => {
                format!(
                    "check that the host may read and write `{}`, and that it holds a key of its own",
                    path.display()
                )
            }
            Self::Seals { .. } => "restore a backup that was sealed with the same key".to_owned(),
            Self::NoSealKey { key, .. } => format!("put the key back as {key}"),
            Self::Sealing { path, .. } => {
                format!("check that the disk of `{}` has room for a copy of it", path.display())
            }
        }
    }
}

/// The first version without the WAL-reset race. Backports of its fix to older lines are not recognised.
const VERSION_MIN: i32 = 3_051_003;

/// Opens the file that `config` names. It must be there.
pub(super) fn open(config: &Config, role: Role) -> Result<Connection, OpenError> {
    open_with(config, role, OpenFlags::empty())
}

/// Opens the file as its writer, and creates it when it is absent. Only the first connection does: when a file vanishes
/// under a running host, no other may take its name.
pub(super) fn open_or_create(config: &Config) -> Result<Connection, OpenError> {
    open_with(config, Role::Writer, OpenFlags::SQLITE_OPEN_CREATE)
}

fn open_with(config: &Config, role: Role, create: OpenFlags) -> Result<Connection, OpenError> {
    if rusqlite::version_number() < VERSION_MIN {
        return Err(OpenError::Version { found: rusqlite::version() });
    }
    let key = config.key.as_ref().map(KeySource::read).transpose()?;
    let failed = |source| failed(&config.path, source);
    // No URI file names, which carry options. No mutex: Rust lets one thread at a time use a connection.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
    if create.contains(OpenFlags::SQLITE_OPEN_CREATE) {
        // SQLite would create it readable for all. A log takes the mode of its file. When this fails, opening says why.
        drop(private::new_file(&config.path));
    }
    // No other process can open a file that the host has open: the process holds the locks, and taking one is no system
    // call (decision 0007).
    let seals = vfs::seals_for(config)?;
    let way = if seals.is_some() { vfs::name().map_err(failed)? } else { vfs::BASE };
    let opened = rusqlite::Connection::open_with_flags_and_vfs(&config.path, flags, way);
    let sqlite = opened.map_err(failed)?;
    if let Some(key) = key {
        // Before anything else touches the file. No error of this statement contains the key.
        sqlite.pragma_update(None, "key", key.as_str()).map_err(failed)?;
    }
    if seals.is_some() {
        // A new file leaves room for the seals in each page. One that is there says by itself how much it leaves.
        vfs::reserve(&sqlite, page_seals::BYTES).map_err(failed)?;
    }
    let mut connection = confined(sqlite, config, role).map_err(failed)?;
    connection.is_encrypted(config.key.is_some());
    if role == Role::Writer
        && let Some(key) = config.seal.as_ref().map(Seal::key).transpose()?.flatten()
    {
        row_seals::offer(connection.sqlite(), &key).map_err(failed)?;
    }
    let mode = connection.host_text("PRAGMA journal_mode = WAL").map_err(failed)?;
    if mode != "wal" {
        return Err(OpenError::NoWal { path: config.path.clone(), mode });
    }
    for (name, value) in pragmas(config, role) {
        connection.run_as_host(&format!("PRAGMA {name} = {value}")).map_err(failed)?;
    }
    if role == Role::Writer {
        connection.count_seals().map_err(failed)?;
    }
    // After the pragmas: that of the checkpoints would replace the hook.
    connection.count_log_pages().map_err(failed)?;
    Ok(connection)
}

/// The connection with everything that keeps a context's statements within their bounds.
pub(super) fn confined(mut sqlite: rusqlite::Connection, config: &Config, role: Role) -> rusqlite::Result<Connection> {
    bound_heap(&sqlite)?;
    let guard = Arc::new(Guard::new(config.clock.clone()));
    confine::confine(&mut sqlite, &guard)?;
    functions::replace_slow_functions(&sqlite)?;
    full_text::bound(&sqlite, &guard)?;
    sqlite.set_prepared_statement_cache_capacity(limits::STORE_STATEMENTS_CACHED);
    Ok(Connection::new(sqlite, guard, role, config.clock.clone()))
}

pub(super) fn failed(path: &Path, source: rusqlite::Error) -> OpenError {
    if let Some(found) = vfs::seals_of(path).and_then(|seals| seals.fault()) {
        return OpenError::Seals { path: path.to_owned(), found };
    }
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::NotADatabase { path: path.to_owned() },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse { path: path.to_owned() },
        _ => OpenError::Sqlite { path: path.to_owned(), source },
    }
}

/// Bounds SQLite's memory, of all files of the process together. Set once: it is the process's, not a connection's.
fn bound_heap(sqlite: &rusqlite::Connection) -> rusqlite::Result<()> {
    static BOUND: OnceLock<()> = OnceLock::new();
    if BOUND.get().is_none() {
        let bytes = limits::STORE_HEAP_MB_MAX * 1024 * 1024;
        sqlite.query_row(&format!("PRAGMA hard_heap_limit = {bytes}"), [], |_| Ok(()))?;
        let bytes = limits::STORE_HEAP_MB * 1024 * 1024;
        sqlite.query_row(&format!("PRAGMA soft_heap_limit = {bytes}"), [], |_| Ok(()))?;
        let _ = BOUND.set(());
    }
    Ok(())
}

/// Every pragma of a connection, each with its reason, in the order in which they are set. `journal_mode = WAL` comes
/// before them: readers see a snapshot while the writer writes.
fn pragmas(config: &Config, role: Role) -> Vec<(&'static str, String)> {
    let pages = config.max_mb.saturating_mul(1024 * 1024) / limits::STORE_PAGE_BYTES;
    let mut list = vec![
        // NORMAL is a hundred times faster and loses acknowledged commits when the power fails. Group commit makes FULL
        // affordable.
        ("synchronous", if fault::without("sync") { "NORMAL" } else { "FULL" }.to_owned()),
        ("foreign_keys", "ON".to_owned()),
        // What a context deletes may be personal data: it must not stay in the file's free pages.
        ("secure_delete", "ON".to_owned()),
        // A read error in a mapped file is a signal that ends the process; as a read() it is an error of one statement.
        ("mmap_size", "0".to_owned()),
        // Notices a damaged page when it is read, not when it has been written back.
        ("cell_size_check", "ON".to_owned()),
        // A WAL that once grew gives the space back at the next reset.
        ("journal_size_limit", limits::STORE_WAL_BYTES_KEPT.to_string()),
        // The writer makes its checkpoints after it has answered, not inside the commit that happens to cross the line.
        ("wal_autocheckpoint", "0".to_owned()),
        // Sorts and intermediate tables count against the heap's bound; as files nothing would bound them.
        ("temp_store", "MEMORY".to_owned()),
        // Only a checkpoint holds the file's locks for long enough to be noticed.
        ("busy_timeout", limits::STORE_LOCK_WAIT_MS.to_string()),
        // The quota. Per connection and not in the file, so it follows the manifest.
        ("max_page_count", pages.max(1).to_string()),
        // In KiB when negative.
        (
            "cache_size",
            format!(
                "-{}",
                if role == Role::Writer { limits::STORE_WRITER_CACHE_KB } else { limits::STORE_READER_CACHE_KB }
            ),
        ),
    ];
    if config.seal.is_some() {
        // REPLACE removes rows, and without this asks no trigger whether it may.
        list.push(("recursive_triggers", "ON".to_owned()));
    }
    if role == Role::Reader {
        list.push(("query_only", "ON".to_owned()));
    }
    list
}
