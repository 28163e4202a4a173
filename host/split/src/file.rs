//! The file of another program, opened to be looked at.
//!
//! Invariants: nothing is written to the file, and no file is left beside it. In WAL mode, SQLite makes an index beside
//! a file that it opens; it would belong to the user who looks, and could keep the program out. So a file that no
//! program has open is read as one that cannot change (`immutable`), and each look checks afterwards that it has not.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use serde::Serialize;

use crate::limits;

/// The first bytes of every SQLite file (<https://sqlite.org/fileformat.html>, 1.3.1).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;

/// Why a file cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("`{path}`: there is no such file")]
    Missing { path: PathBuf },
    #[error("`{path}` is not a file")]
    NotAFile { path: PathBuf },
    #[error("`{path}` cannot be read")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{path}` is empty: it has no tables yet")]
    Empty { path: PathBuf },
    #[error("`{path}` is not an SQLite database: its first bytes are others")]
    NotADatabase { path: PathBuf },
    #[error("`{path}` is damaged")]
    Damaged { path: PathBuf, source: rusqlite::Error },
    #[error("`{path}` is locked by another program, for more than {} seconds", limits::LOCK_WAIT_MS / 1000)]
    Locked { path: PathBuf },
    #[error("`{path}` was changed while it was looked at")]
    Changed { path: PathBuf },
    #[error("`{path}` cannot be opened")]
    Other { path: PathBuf, source: rusqlite::Error },
}

impl OpenError {
    /// What the person who asks can do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::NotAFile { .. } => "give the path of the database's file",
            Self::Unreadable { .. } => "give the user who runs this the right to read the file",
            Self::Empty { .. } => "start the program once, so that it makes its tables",
            Self::NotADatabase { .. } => "if the file is encrypted, look at a decrypted copy",
            Self::Damaged { .. } => "check it with `PRAGMA integrity_check`, and look at a backup of it",
            Self::Locked { .. } => "try again when the program has finished its transaction, or look at a copy",
            Self::Changed { .. } => "the program has started meanwhile: try again",
            Self::Other { .. } => "look at a copy of the file in a folder of your own",
        }
    }

    fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Damaged { path, source },
            _ => Self::Other { path, source },
        }
    }
}

/// A version of SQLite, as in `3.45.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Version(u32);

impl Version {
    /// From SQLite's number, such as 3045001. None: the file does not say.
    pub fn new(number: u32) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    /// From 3.7.0 on, and before 3.51.3, a checkpoint in WAL mode could lose commits (`WAL-reset bug`).
    pub fn may_lose_commits(self) -> bool {
        (3_007_000..3_051_003).contains(&self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0 / 1_000_000, self.0 / 1_000 % 1_000, self.0 % 1_000)
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Journal {
    Rollback,
    Wal,
}

/// What the first page says of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Header {
    pub page_bytes: u32,
    pub journal: Journal,
    /// The SQLite that wrote the file last.
    pub written_by: Option<Version>,
}

impl Header {
    fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        let [.., high, low, writes, reads] = *bytes.first_chunk::<20>()?;
        let page_bytes = match u16::from_be_bytes([high, low]) {
            1 => 65_536,
            bytes => bytes.into(),
        };
        let journal = if writes == 2 || reads == 2 { Journal::Wal } else { Journal::Rollback };
        let written_by = Version::new(u32::from_be_bytes(*bytes.last_chunk::<4>()?));
        Some(Self { page_bytes, journal, written_by })
    }
}

/// A file that can be looked at.
pub struct Foreign {
    pub connection: Connection,
    pub header: Header,
    path: PathBuf,
    /// What it was like, if it is read as one that cannot change.
    immutable: Option<Look>,
    /// When the question that is asked now is given up.
    until: Arc<Mutex<Option<Instant>>>,
}

impl Foreign {
    /// Opens the file at `path` to read it.
    ///
    /// # Errors
    /// When it is none, is locked for long, or is damaged.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let own = || path.to_owned();
        let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => OpenError::Missing { path: own() },
            _ => OpenError::Unreadable { path: own(), source },
        })?;
        if !metadata.is_file() {
            return Err(OpenError::NotAFile { path: own() });
        }
        if metadata.len() == 0 {
            return Err(OpenError::Empty { path: own() });
        }
        let header = first_page(path)?;
        // What a program has written and not yet carried over is beside the file: then it is in use, or crashed.
        let immutable = (header.journal == Journal::Wal && Look::at(path)?.log_bytes == 0).then(|| Look::at(path));
        let immutable = immutable.transpose()?;
        let until = Arc::new(Mutex::new(None));
        let connection = connect(path, immutable.is_some(), until.clone());
        let connection = connection.map_err(|source| OpenError::of(path, source))?;
        let foreign = Self { connection, header, path: own(), immutable, until };
        foreign.is_readable()?;
        Ok(foreign)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// That what was read until now was one state of the file.
    ///
    /// # Errors
    /// When a program has changed it meanwhile.
    pub fn unchanged(&self) -> Result<(), OpenError> {
        match &self.immutable {
            Some(before) if *before != Look::at(&self.path)? => Err(OpenError::Changed { path: self.path.clone() }),
            _ => Ok(()),
        }
    }

    /// Asks `question` for as long as one may take. None: it took longer.
    pub fn in_time<T>(&self, question: impl FnOnce() -> rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
        *held(&self.until) = Some(Instant::now() + limits::QUESTION);
        let answer = question();
        *held(&self.until) = None;
        match answer {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// What a failed look means.
    pub fn failed(&self, source: rusqlite::Error) -> OpenError {
        OpenError::of(&self.path, source)
    }

    fn is_readable(&self) -> Result<(), OpenError> {
        let read = self.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
        read.map(drop).map_err(|source| self.failed(source))
    }
}

/// What shows that a file is another than before.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    bytes: u64,
    changed: Option<SystemTime>,
    log_bytes: u64,
}

impl Look {
    fn at(path: &Path) -> Result<Self, OpenError> {
        let unreadable = |source| OpenError::Unreadable { path: path.to_owned(), source };
        let file = std::fs::metadata(path).map_err(unreadable)?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let log_bytes = match std::fs::metadata(log) {
            Ok(metadata) => Metadata::len(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(unreadable(error)),
        };
        Ok(Self { bytes: file.len(), changed: file.modified().ok(), log_bytes })
    }
}

fn first_page(path: &Path) -> Result<Header, OpenError> {
    let mut bytes = [0; HEADER_BYTES];
    match File::open(path).and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => Header::read(&bytes).ok_or_else(|| OpenError::NotADatabase { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(OpenError::NotADatabase { path: path.to_owned() })
        }
        Err(source) => Err(OpenError::Unreadable { path: path.to_owned(), source }),
    }
}

fn held(until: &Mutex<Option<Instant>>) -> MutexGuard<'_, Option<Instant>> {
    until.lock().unwrap_or_else(PoisonError::into_inner)
}

fn connect(path: &Path, immutable: bool, until: Arc<Mutex<Option<Instant>>>) -> rusqlite::Result<Connection> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name: String = absolute.as_os_str().as_encoded_bytes().iter().map(|byte| in_uri(*byte)).collect();
    let name = format!("file:{name}?mode=ro{}", if immutable { "&immutable=1" } else { "" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(name, flags)?;
    let is_over = move || held(&until).is_some_and(|until| Instant::now() >= until);
    connection.progress_handler(limits::INSTRUCTIONS_PER_LOOK, Some(is_over))?;
    connection.busy_timeout(limits::LOCK_WAIT)?;
    // The file may hold views and triggers that call functions: none that does more than compute.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.collation_needed(stand_in)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(connection)
}

/// A collation that only the program has: rows can be counted, and must not be compared by it.
fn stand_in(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection.create_collation(name, |one, other| one.cmp(other))
}

/// A byte of a path in a `file:` address.
fn in_uri(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}
