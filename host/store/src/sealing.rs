//! How a file gets the seals of its pages: at its first start as a sealed store, and when the operator takes a file
//! that has none, or has those of another key.
//!
//! Its contents are written to a file beside it with the seals, which then takes its name. Until the key has its own
//! name as well, the next start goes on where this one was cut off.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::OpenFlags;

use crate::config::Config;
use crate::look::{Log, look, look_past_seals, uri};
use crate::open::{OpenError, failed as unopened};
use crate::page_seals::{self, PAGE, PageSeals};
use crate::seal::{Key, Seal};
use crate::{blocking, limits, private, row_seals, vfs};

/// What a file says of its seals, by its first page.
enum First {
    /// There is none.
    Absent,
    /// It has no room for a seal.
    Unsealed,
    /// It has a seal of this key.
    Fits,
    /// Its seal is of another key, or it was changed.
    Broken,
}

/// Looks at the first page of the file at `path`, which must not be open in this process.
///
/// # Errors
/// When it cannot be read.
fn first_page(path: &Path, key: &Key) -> std::io::Result<First> {
    let mut page = [0; PAGE];
    match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(First::Absent),
        opened => match opened?.read_exact(&mut page) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                let empty = std::fs::metadata(path)?.len() == 0;
                return Ok(if empty { First::Absent } else { First::Broken });
            }
            read => read?,
        },
    }
    // Reserved bytes of each page (`fileformat2.html`, section 1.3.4).
    if page.get(20).copied().map(usize::from) != Some(page_seals::BYTES) {
        return Ok(First::Unsealed);
    }
    let fits = PageSeals::new(key).fits(0, &page, false);
    Ok(if fits { First::Fits } else { First::Broken })
}

/// Makes a file that is about to be opened ready for it: one that was never sealed gets its seals and its key. The file
/// must not be open in this process, unless it has its key.
///
/// # Errors
/// When the file is sealed and its key is not there, and when something cannot be written.
pub(super) fn ready(config: &Config) -> Result<(), OpenError> {
    let Some(seal) = &config.seal else { return Ok(()) };
    if seal.key.is_some() && seal.key()?.is_some() {
        return Ok(());
    }
    let Some(key) = seal.next_key()? else { return Ok(()) };
    if config.seals_pages() {
        let first = first_page(&config.path, &key).map_err(|source| unread(&config.path, source))?;
        match first {
            First::Absent | First::Fits => {}
            First::Broken if seal.key.is_some() => {
                return Err(OpenError::NoSealKey { path: config.path.clone(), key: seal.place() });
            }
            First::Unsealed | First::Broken => convert(config, &key)?,
        }
    } else if std::fs::metadata(&config.path).is_ok_and(|file| file.len() > 0) {
        has_key(&look(config, Log::Read)?, config)?;
    }
    Ok(seal.take_next_key()?)
}

/// An encrypted file whose rows have seals has their key. `sqlite` reads it.
///
/// # Errors
/// `OpenError::NoSealKey`, and when the file cannot be read.
pub(super) fn has_key(sqlite: &rusqlite::Connection, config: &Config) -> Result<(), OpenError> {
    let Some(seal) = config.seal.as_ref().filter(|_| config.key.is_some()) else { return Ok(()) };
    if seal.key()?.is_none() && row_seals::are_kept(sqlite).map_err(|source| unopened(&config.path, source))? {
        return Err(OpenError::NoSealKey { path: config.path.clone(), key: seal.place() });
    }
    Ok(())
}

/// Seals the pages of a file that was not sealed when it was written: of a backup from before. The file must not be
/// open in this process.
///
/// # Errors
/// As `Database::open`.
pub fn seal_if_plain(config: &Config) -> Result<(), OpenError> {
    let Some(key) = config.seal.as_ref().filter(|_| config.seals_pages()).map(Seal::key).transpose()?.flatten() else {
        return Ok(());
    };
    match first_page(&config.path, &key).map_err(|source| unread(&config.path, source))? {
        First::Unsealed => convert(config, &key),
        First::Absent | First::Fits | First::Broken => Ok(()),
    }
}

/// Seals the pages of a file as they are, whatever seals they have. The file must not be open in this process.
///
/// # Errors
/// When it cannot be read, or the sealed one cannot be written.
pub(super) fn seal_again(config: &Config) -> Result<(), OpenError> {
    let Some(seal) = &config.seal else { return Ok(()) };
    let (key, next) = match seal.key()? {
        Some(key) => (Some(key), false),
        None => (seal.next_key()?, true),
    };
    if let Some(key) = key
        && config.seals_pages()
        && config.path.exists()
    {
        convert(config, &key)?;
    }
    if next { Ok(seal.take_next_key()?) } else { Ok(()) }
}

/// Whether a file that must be sealed is, and one that is sealed has its key. The file must not be open in this
/// process.
///
/// # Errors
/// When it is not so.
pub(super) fn check(config: &Config) -> Result<(), Unsealed> {
    let Some(seal) = config.seal.as_ref().filter(|_| config.seals_pages()) else { return Ok(()) };
    let key = seal.key().map_err(OpenError::from)?;
    let known = match &key {
        Some(key) => first_page(&config.path, key),
        // One that was cut off while it got its first seals goes on with the key that waits.
        None => first_page(&config.path, &seal.waiting_key().unwrap_or_else(Key::random)),
    };
    match (key, known.map_err(|source| unread(&config.path, source))?) {
        (Some(_), First::Unsealed) => Err(Unsealed::File),
        (None, First::Broken) => Err(OpenError::NoSealKey { path: config.path.clone(), key: seal.place() }.into()),
        _ => Ok(()),
    }
}

/// `found`, what is wrong with a sealed file, with the table of the page that does not fit and the rows that are not as
/// they were sealed, as far as they can be found.
pub(super) fn with_rows(config: &Config, found: String) -> String {
    let named = || {
        let key = config.seal.as_ref()?.key().ok()??;
        let mut sqlite = look_past_seals(config).ok()?;
        let within = Duration::from_millis(limits::STORE_SEALS_MS_MAX);
        let ends = std::time::Instant::now() + within;
        sqlite.progress_handler(1_000, Some(move || std::time::Instant::now() >= ends)).ok()?;
        let page = vfs::seals_of(&config.path).and_then(|seals| seals.broken_page());
        let table = page.and_then(|page| {
            let owner = "SELECT name FROM dbstat WHERE pageno = ?1";
            sqlite.query_row(owner, [i64::try_from(page).ok()?], |row| row.get::<_, String>(0)).ok()
        });
        let rows = row_seals::verify(&sqlite, &key, Some(within)).ok().and_then(|verified| verified.words());
        let table = table.map(|table| format!("; it is of `{table}`")).unwrap_or_default();
        Some(table + &rows.map(|rows| format!("; {rows}")).unwrap_or_default())
    };
    let named = blocking::block_in_place(named).unwrap_or_default();
    found + &named
}

/// Why a file is not as it was sealed.
pub(super) enum Unsealed {
    File,
    Open(OpenError),
}

impl From<OpenError> for Unsealed {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

/// Whether each page of the file leaves room for a seal: byte 20 of its header.
pub(super) fn has_room(path: &Path) -> std::io::Result<bool> {
    let mut header = [0; 21];
    std::fs::File::open(path)?.read_exact(&mut header)?;
    Ok(header.last().is_some_and(|reserved| usize::from(*reserved) == page_seals::BYTES))
}

fn convert(config: &Config, key: &Key) -> Result<(), OpenError> {
    let path = &config.path;
    let failed = |source| unopened(path, source);
    let aside = path.with_extension("sealing");
    match std::fs::remove_file(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unread(&aside, error)),
        _ => {}
    }
    private::new_file(&aside).map_err(|source| unread(&aside, source))?;
    let seals = vfs::enrol(&aside, key);
    let written = (|| {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let source = rusqlite::Connection::open_with_flags_and_vfs(path, flags, vfs::BASE).map_err(failed)?;
        // The new file has no log, and takes the place of one with its log.
        let copied_back = source.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        if copied_back.map_err(failed)? != 0 {
            return Err(OpenError::InUse { path: path.clone() });
        }
        source.execute_batch("PRAGMA secure_delete = ON").map_err(failed)?;
        let way = vfs::name().map_err(failed)?;
        if has_room(path).map_err(|source| unread(path, source))? {
            // Page by page: SQLCipher makes no other file in the clear of one whose pages leave room.
            let flags = flags - OpenFlags::SQLITE_OPEN_URI;
            let mut sealed = rusqlite::Connection::open_with_flags_and_vfs(&aside, flags, way).map_err(failed)?;
            let copy = rusqlite::backup::Backup::new(&source, &mut sealed).map_err(failed)?;
            if copy.step(-1).map_err(failed)? != rusqlite::backup::StepResult::Done {
                return Err(OpenError::InUse { path: path.clone() });
            }
        } else {
            let target = format!("{}?vfs={}&reserve={}", uri(&aside), way.to_string_lossy(), page_seals::BYTES);
            source.execute("VACUUM INTO ?1", [target]).map_err(failed)?;
        }
        drop(source);
        let synchronised = std::fs::File::open(&aside).and_then(|file| file.sync_all());
        synchronised.map_err(|source| unread(&aside, source))
    })();
    drop(seals);
    let placed = written.and_then(|()| {
        std::fs::rename(&aside, path).map_err(|source| unread(path, source))?;
        let folder = path.parent().unwrap_or(path);
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| unread(path, source))
    });
    if placed.is_err() {
        std::fs::remove_file(&aside).ok();
    }
    placed
}

fn unread(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Sealing { path: path.to_owned(), source }
}
