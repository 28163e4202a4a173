//! One open connection to a context's file: how it is opened, and how a statement runs on it.
//!
//! Every statement runs inline on the caller's thread, from the cache, with its deadline armed. Between statements the
//! connection speaks for the host.
//! Not here: who may use it (`writer`, `readers`), what SQL may do (`confine`).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rusqlite::hooks::Wal;
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags, ffi};

use super::confine::{self, Guard};
use super::error::message;
use super::functions;
use super::key::{KeyError, KeySource};
use super::rows::Packer;
use super::{Error, Rows, Value, sql};
use crate::ids::ContextName;
use crate::limits;
use crate::manifest::{self, StoreGrant};

/// What a database is opened with.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file; made, with its folder, when absent.
    pub path: PathBuf,
    /// Size that the file may grow to.
    pub max_mb: u64,
    /// Where the key is, if the file is encrypted. Needs the cargo feature `sqlcipher`.
    pub key: Option<KeySource>,
}

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("SQLite {found} loses commits (the WAL-reset race); build with 3.51.3 or newer")]
    Version { found: &'static str },
    #[error("cannot make the folder of `{}`", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("cannot open `{}`", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error("`{}` is open in another process", path.display())]
    InUse { path: PathBuf },
    #[error("`{}` is not a database that this host can read: damaged, or its key is wrong or missing", path.display())]
    NotADatabase { path: PathBuf },
    #[error("`{}` cannot use a write-ahead log: its file system reports journal mode `{mode}`", path.display())]
    NoWal { path: PathBuf, mode: String },
    #[error("it is to be encrypted, and this host was built without encryption")]
    NoEncryption,
    #[error("its key cannot be had")]
    Key(#[from] super::key::KeyError),
}

/// What the file of a context is called.
pub fn file_name(context: &ContextName) -> String {
    format!("{context}.db")
}

impl Config {
    /// The file of `context` in the folder `databases`, as its manifest grants it.
    pub fn of(context: &ContextName, grant: &StoreGrant, databases: &Path) -> Self {
        Self {
            path: databases.join(file_name(context)),
            max_mb: grant.max_mb,
            key: grant.encrypted.applies().then(|| match &grant.key {
                Some(manifest::KeySource::File(path)) => KeySource::File(path.clone()),
                Some(manifest::KeySource::Env(name)) => KeySource::Environment(name.clone()),
                None => KeySource::of_context(context, databases),
            }),
        }
    }
}

impl OpenError {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Version { .. } => "build the host with the SQLite that its Cargo.lock names".to_owned(),
            Self::Folder { .. } => "see that the data folder is there and that the host may write in it".to_owned(),
            Self::Sqlite { path, .. } => {
                format!("see that the host may read and write `{}` and that there is room on its disk", path.display())
            }
            Self::InUse { path } => {
                format!(
                    "see who has `{}` open (`fuser`, `lsof`) and end that; a file is one host's at a time",
                    path.display()
                )
            }
            Self::NotADatabase { path } => {
                format!("check the key, or restore `{}` from a backup; demo data: delete the file", path.display())
            }
            Self::NoWal { .. } => "put the data folder on a local file system".to_owned(),
            Self::NoEncryption => "build with `--features sqlcipher`, or set `encrypted = false`".to_owned(),
            Self::Key(KeyError::File { path, .. }) => {
                format!(
                    "write the key to `{}`, readable by the host alone, or set the context's variable SEAM_KEY_...",
                    path.display()
                )
            }
            Self::Key(KeyError::Environment { name }) => format!("set `{name}`"),
            Self::Key(KeyError::Empty { source_of_key }) => format!("put a key into {source_of_key}"),
        }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Reader,
}

pub(super) struct Link {
    conn: Connection,
    guard: Arc<Guard>,
    role: Role,
    /// Pages in the write-ahead log after the last commit here, those that were copied back among them. The size of the log's file does not
    /// tell: it stays as large as it once was, and is written anew from its begin.
    log_pages: Arc<AtomicU32>,
    /// How many they were when the log was last copied back.
    copied_pages: u32,
}

/// A statement that `query` found to be a writing one, on a connection that only reads.
pub(super) enum Queried {
    Rows(Vec<u8>),
    Writes,
}

/// The first version without the WAL-reset race (its backports to older lines are not told apart).
const VERSION_MIN: i32 = 3_051_003;

impl Link {
    pub fn open(config: &Config, role: Role) -> Result<Self, OpenError> {
        if rusqlite::version_number() < VERSION_MIN {
            return Err(OpenError::Version { found: rusqlite::version() });
        }
        if config.key.is_some() && !cfg!(feature = "sqlcipher") {
            return Err(OpenError::NoEncryption);
        }
        let key = config.key.as_ref().map(KeySource::read).transpose()?;
        let failed = |source| failed(&config.path, source);
        // No URI file names (they carry options), no mutex: Rust sees to it that one thread at a time has a connection.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Nobody else can open a file that the host has: its locks are the process's, and taking one is no system call (decision 0007).
        let mut conn = Connection::open_with_flags_and_vfs(&config.path, flags, c"unix-excl").map_err(failed)?;
        if let Some(key) = key {
            // Before anything else touches the file. The key's text never reaches an error: this statement has no other way to fail.
            conn.pragma_update(None, "key", key.as_str()).map_err(failed)?;
        }
        bound_heap(&conn).map_err(failed)?;
        let guard = Arc::new(Guard::new());
        confine::confine(&mut conn, &guard).map_err(failed)?;
        functions::replace_slow_functions(&conn).map_err(failed)?;
        conn.set_prepared_statement_cache_capacity(limits::STORE_STATEMENTS_CACHED);
        let mut link = Self { conn, guard, role, log_pages: Arc::default(), copied_pages: 0 };
        let mode = link.host_text("PRAGMA journal_mode = WAL").map_err(failed)?;
        if mode != "wal" {
            return Err(OpenError::NoWal { path: config.path.clone(), mode });
        }
        for (name, value) in pragmas(config, role) {
            link.host(&format!("PRAGMA {name} = {value}")).map_err(failed)?;
        }
        // After the pragmas: that of the checkpoints would take the hook's place.
        let log_pages = link.log_pages.clone();
        link.conn
            .wal_hook(Some(move |_: &mut Wal, pages| {
                log_pages.store(u32::try_from(pages).unwrap_or(0), Relaxed);
                Ok(())
            }))
            .map_err(failed)?;
        Ok(link)
    }

    /// Runs statements of the host's own. Never cached: see `confine`.
    pub fn host(&self, sql: &str) -> rusqlite::Result<()> {
        self.conn.execute_batch(sql)
    }

    /// The first column of the first row of a host statement, as text.
    pub fn host_text(&self, sql: &str) -> rusqlite::Result<String> {
        self.conn.query_row(sql, [], |row| match row.get_ref(0)? {
            rusqlite::types::ValueRef::Text(text) => Ok(String::from_utf8_lossy(text).into_owned()),
            rusqlite::types::ValueRef::Integer(i) => Ok(i.to_string()),
            _ => Ok(String::new()),
        })
    }

    /// The pages of the write-ahead log, when it has grown enough to be copied back. Asked again, it has to grow again first.
    pub fn log_to_copy_back(&mut self) -> Option<u32> {
        let pages = self.log_pages.load(Relaxed);
        if pages < self.copied_pages {
            // It was begun anew.
            self.copied_pages = 0;
        }
        let due = pages - self.copied_pages >= limits::STORE_WAL_PAGES_CHECKPOINT;
        due.then(|| {
            self.copied_pages = pages;
            pages
        })
    }

    /// For `migrate`, which speaks for the host and for a migration in turn.
    pub fn raw(&self) -> &Connection {
        &self.conn
    }

    /// To copy another file over this one.
    pub fn raw_mut(&mut self) -> &mut Connection {
        &mut self.conn
    }

    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// No transaction is open, none of ours and none that SQLite would still have to end.
    pub fn is_idle(&self) -> bool {
        self.conn.is_autocommit()
    }

    /// Runs one statement of a context and packs its rows.
    pub fn query(&self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<Queried, Error> {
        self.armed(deadline, |link| {
            let mut statement = link.prepare(sql)?;
            if !statement.readonly() {
                if link.role == Role::Reader {
                    return Ok(Queried::Writes);
                }
                refuse_words(sql)?;
            }
            bind(&mut statement, params)?;
            let mut rows = statement.raw_query();
            let first = rows.next().map_err(|e| link.explain(&e))?;
            // Only the first step sees a schema that changed since the statement was prepared: before it, the columns of `SELECT *`
            // may still be those of before.
            let columns = first.map(|row| row.as_ref().column_count());
            let Some(columns) = columns else {
                drop(rows);
                return Ok(Queried::Rows(
                    Packer::new(statement.column_count(), limits::STORE_RESULT_BYTES_MAX).finish(),
                ));
            };
            let mut packer = Packer::new(columns, limits::STORE_RESULT_BYTES_MAX);
            let mut row = first;
            while let Some(cells) = row {
                for column in 0..columns {
                    packer.push(cells.get_ref(column).map_err(|e| link.explain(&e))?)?;
                }
                row = rows.next().map_err(|e| link.explain(&e))?;
            }
            Ok(Queried::Rows(packer.finish()))
        })
    }

    /// Runs one writing statement of a context; how many rows it changed.
    pub fn execute(&self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<u64, Error> {
        self.armed(deadline, |link| {
            let mut statement = link.prepare_writing(sql)?;
            link.step(&mut statement, params)
        })
    }

    /// The same statement for every packed row; how many rows they changed. The bound on work holds for each row.
    pub fn execute_many(&self, sql: &str, packed: &[u8], deadline: Instant) -> Result<u64, Error> {
        let mut rows = Rows::new(packed)?;
        let mut row = Vec::with_capacity(rows.columns());
        let mut changed = 0;
        self.armed(deadline, |link| {
            let mut statement = link.prepare_writing(sql)?;
            while rows.next_into(&mut row)? {
                link.guard.arm(deadline);
                if Instant::now() >= deadline {
                    return Err(Error::Interrupted("the call's deadline passed between two rows".to_owned()));
                }
                changed += link.step(&mut statement, &row)?;
            }
            Ok(changed)
        })
    }

    /// Whether foreign keys that are checked at the end of the transaction are violated now.
    pub fn owes_foreign_keys(&self) -> bool {
        let (mut now, mut highest) = (0, 0);
        // SAFETY: the handle is that of the open connection we hold, and both pointers outlive the call.
        let code = unsafe {
            let handle = self.conn.handle();
            ffi::sqlite3_db_status(handle, ffi::SQLITE_DBSTATUS_DEFERRED_FKS, &raw mut now, &raw mut highest, 0)
        };
        code == ffi::SQLITE_OK && now != 0
    }

    /// Whether `error`, the last failure, was the disk, a quota or a file-size limit refusing more bytes. For a full disk SQLite has a code
    /// of its own and forgets what the system said.
    pub fn refused_bytes(&self, error: &rusqlite::Error) -> bool {
        if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            return true;
        }
        // SAFETY: the handle is that of the open connection we hold.
        let errno = unsafe { ffi::sqlite3_system_errno(self.conn.handle()) };
        use rustix::io::Errno;
        [Errno::NOSPC, Errno::FBIG, Errno::DQUOT].iter().any(|e| e.raw_os_error() == errno)
    }

    /// What an error of SQLite means, in the words of the hook that caused it, if one did.
    pub fn explain(&self, error: &rusqlite::Error) -> Error {
        let refusal = self.guard.refusal();
        match (Error::of(error), refusal) {
            (Error::Denied(_), Some(why)) => Error::Denied(why),
            (Error::Interrupted(_), Some(why)) => Error::Interrupted(why),
            (_, Some(why)) if is_auth(error) => Error::Denied(why),
            (Error::Invalid(text), _) if text.contains("may not be modified") => Error::Denied(text),
            (meaning, _) => meaning,
        }
    }

    fn armed<T>(&self, deadline: Instant, run: impl FnOnce(&Self) -> Result<T, Error>) -> Result<T, Error> {
        self.guard.arm(deadline);
        let result = run(self);
        self.guard.disarm();
        result
    }

    /// Adds the text of every statement that is kept.
    pub fn statements(&self, all: &mut std::collections::BTreeSet<String>) {
        // SAFETY: the handle is that of the open connection we hold; statements are walked, and their text copied, while nobody else
        // has the connection.
        unsafe {
            let mut statement = ffi::sqlite3_next_stmt(self.conn.handle(), std::ptr::null_mut());
            while !statement.is_null() {
                let text = ffi::sqlite3_sql(statement);
                if !text.is_null() {
                    all.insert(std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned());
                }
                statement = ffi::sqlite3_next_stmt(self.conn.handle(), statement);
            }
        }
    }

    /// Whether a context's statement can be prepared on the file as it is; nothing is run.
    pub fn accepts(&self, sql: &str) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_millis(limits::STORE_LOCK_WAIT_MS);
        self.armed(deadline, |link| link.conn.prepare(sql).map(drop).map_err(|e| link.explain(&e)))
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, Error> {
        self.conn.prepare_cached(sql).map_err(|e| self.explain(&e))
    }

    fn prepare_writing(&self, sql: &str) -> Result<CachedStatement<'_>, Error> {
        let statement = self.prepare(sql)?;
        if statement.readonly() && statement.column_count() > 0 {
            return Err(Error::Invalid("`execute` is for statements that write; `query` returns rows".to_owned()));
        }
        refuse_words(sql)?;
        Ok(statement)
    }

    fn step(&self, statement: &mut CachedStatement<'_>, params: &[Value<'_>]) -> Result<u64, Error> {
        bind(statement, params)?;
        // Rows of a RETURNING clause are stepped over: its writes are what was asked for.
        let mut rows = statement.raw_query();
        while rows.next().map_err(|e| self.explain(&e))?.is_some() {}
        drop(rows);
        Ok(self.conn.changes())
    }
}

/// What SQLite asks no authorizer about. `INSERT OR ROLLBACK` would undo the transactions of others who share the commit.
fn refuse_words(sql: &str) -> Result<(), Error> {
    if sql::begins_with(sql, "VACUUM") {
        return Err(Error::Denied("VACUUM is not for contexts".to_owned()));
    }
    if sql::has_word(sql, "ROLLBACK") {
        return Err(Error::Denied("ROLLBACK is a function of `store`, not a word for SQL; use OR ABORT".to_owned()));
    }
    Ok(())
}

fn bind(statement: &mut CachedStatement<'_>, params: &[Value<'_>]) -> Result<(), Error> {
    let expected = statement.parameter_count();
    if expected != params.len() {
        return Err(Error::Invalid(format!("the statement has {expected} parameters, {} were given", params.len())));
    }
    for (index, value) in params.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, value).map_err(|e| Error::of(&e))?;
    }
    Ok(())
}

fn is_auth(error: &rusqlite::Error) -> bool {
    // A virtual table's inner statement was refused: FTS5 and others pass the text on under a general code.
    message(error).contains("not authorized") || message(error).contains("prohibited")
}

fn failed(path: &Path, source: rusqlite::Error) -> OpenError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::NotADatabase { path: path.to_owned() },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse { path: path.to_owned() },
        _ => OpenError::Sqlite { path: path.to_owned(), source },
    }
}

/// SQLite's memory, of all files of the process together. Set once: it is the process's, not a connection's.
fn bound_heap(conn: &Connection) -> rusqlite::Result<()> {
    static BOUND: OnceLock<()> = OnceLock::new();
    if BOUND.get().is_none() {
        let bytes = limits::STORE_HEAP_MB_MAX * 1024 * 1024;
        conn.query_row(&format!("PRAGMA hard_heap_limit = {bytes}"), [], |_| Ok(()))?;
        let _ = BOUND.set(());
    }
    Ok(())
}

/// Every pragma of a connection, each with its reason, in the order in which they are set. `journal_mode = WAL` comes before
/// them: readers see a snapshot while the writer writes.
fn pragmas(config: &Config, role: Role) -> Vec<(&'static str, String)> {
    let pages = config.max_mb.saturating_mul(1024 * 1024) / limits::STORE_PAGE_BYTES;
    let mut list = vec![
        // NORMAL is a hundred times faster and forgets acknowledged commits when the power fails; group commit pays for FULL.
        ("synchronous", "FULL".to_owned()),
        ("foreign_keys", "ON".to_owned()),
        // What a context deletes may be somebody's address: it is not to lie on in the file's free pages.
        ("secure_delete", "ON".to_owned()),
        // A read error in a mapped file is a signal that ends the process; as a read() it is an error of one statement.
        ("mmap_size", "0".to_owned()),
        // Notices a damaged page when it is read, not when it has been written back.
        ("cell_size_check", "ON".to_owned()),
        // A WAL that once grew gives the space back at the next reset.
        ("journal_size_limit", limits::STORE_WAL_BYTES_KEPT.to_string()),
        // The writer's checkpoints are made after answers are released, not inside the commit that happens to cross the line.
        ("wal_autocheckpoint", "0".to_owned()),
        // Sorts and intermediate tables count against the heap's bound; as files they would be bounded by nothing.
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
    if role == Role::Reader {
        list.push(("query_only", "ON".to_owned()));
    }
    list
}
