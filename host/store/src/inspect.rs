//! Whether a file and its write-ahead log belong together, seen before the host opens them for use. Nothing is changed.
//!
//! Each commit advances the file's count by one (`mark`). With `n` commits in the log and the count `c` of both
//! together, a file that belongs to the log has a count from `c - n` to `c`: what was copied back out of the log is
//! there once more in it.
//! Not here: what the host remembers of the file (`register`).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::log_file::LogFile;
use crate::look::{Log, look};
use crate::mark::Mark;
use crate::open::{self, OpenError};
use crate::seal::Seal;
use crate::sealing::{self, Unsealed};
use crate::{damage, encrypting, limits, row_seals, schema, vfs};

/// Why a file is not opened as the store of its context.
#[derive(Debug, thiserror::Error)]
pub enum Misfit {
    #[error("`{}` is gone; the host has seen {commits} commits in it", path.display())]
    Missing { path: PathBuf, commits: u64 },
    #[error("`{}` belongs to the context `{owner}`", path.display())]
    Foreign { path: PathBuf, owner: String },
    #[error("`{}` is another file than the one that the host has seen", path.display())]
    Other { path: PathBuf },
    #[error("`{}` is older than the host has seen it: it holds {commits} commits of {seen}", path.display())]
    Older { path: PathBuf, commits: u64, seen: u64 },
    #[error("`{}` and the write-ahead log beside it do not belong together", path.display())]
    Log { path: PathBuf },
    #[error("the write-ahead log of `{}` is damaged: {lost} commits can no longer be read", path.display())]
    DamagedLog { path: PathBuf, lost: u64 },
    #[error("`{}` is cut short: it has {pages} pages of {expected}", path.display())]
    Truncated { path: PathBuf, pages: u64, expected: u64 },
    #[error("`{}` is damaged: {found}", path.display())]
    Damaged { path: PathBuf, found: String },
    #[error("`{}` was found damaged while it was in use: {found}", path.display())]
    Quarantined { path: PathBuf, found: String },
    #[error("`{}` is not sealed, and the host has sealed it", path.display())]
    Unsealed { path: PathBuf },
    #[error("rows of `{}` are not as they were sealed: {found}", path.display())]
    Rows { path: PathBuf, found: String },
    #[error("cannot read `{}`", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Misfit {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self, context: &str) -> String {
        let accept = format!("`seam accept {context}`");
        match self {
            Self::Missing { .. } => {
                format!("put the file back or restore a backup; to start with an empty store, run {accept}")
            }
            Self::Foreign { .. } | Self::Other { .. } | Self::Older { .. } => {
                format!("put the right file back or restore a backup; to go on with this file, run {accept}")
            }
            Self::Log { .. } => format!(
                "put the file back that belongs to the log or restore a backup; to go on with this file without the \
                 log, which is kept, run {accept}"
            ),
            Self::DamagedLog { .. } => {
                format!("restore a backup; to go on without those commits, run {accept}, which keeps the log")
            }
            Self::Truncated { path, .. } | Self::Damaged { path, .. } => format!(
                "restore a backup; to start with an empty store, move `{}` away and run {accept}",
                path.display()
            ),
            Self::Quarantined { .. } => format!(
                "restore a backup; if the disk or the memory was at fault and is mended, run {accept}, which looks at the \
                 whole file and takes it back if nothing is wrong with it"
            ),
            Self::Unsealed { .. } | Self::Rows { .. } => {
                format!("find out what has changed it, and restore a backup; to seal it as it is now, run {accept}")
            }
            Self::Open(error @ (OpenError::NoSealKey { .. } | OpenError::Seals { .. })) => {
                format!("{}; to seal the file as it is now, run {accept}", error.remedy())
            }
            Self::Open(error @ OpenError::InTheClear { .. }) => {
                format!("{}; to encrypt the file as it is now, run {accept}", error.remedy())
            }
            Self::Unreadable { path, .. } => format!("check that the host may read `{}`", path.display()),
            Self::Open(OpenError::NotADatabase { path }) => format!(
                "check the key, or restore a backup; to start with an empty store, move `{}` away and run {accept}",
                path.display()
            ),
            Self::Open(error) => error.remedy(),
        }
    }
}

/// What is in a file and its log.
pub(super) struct Found {
    /// `None`: no host that marks files has written to it.
    pub mark: Option<Mark>,
    pub schema: u32,
}

/// Looks at the file that `config` names, at all of its pages and seals `within` a time (0: at none) or without a
/// bound; `None` when there is none. The file must not be open in this process.
///
/// # Errors
/// When it cannot be read, is damaged, or does not belong to its log.
pub(super) fn inspect(config: &Config, within: Option<Duration>) -> Result<Option<Found>, Misfit> {
    let path = || config.path.clone();
    let log = LogFile::of(&config.path).map_err(|source| Misfit::Unreadable { path: path(), source })?;
    let bytes = match std::fs::metadata(&config.path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(source) => return Err(Misfit::Unreadable { path: path(), source }),
    };
    if bytes == 0 {
        // SQLite would delete the log of a file that is empty.
        return if log.commits > 0 { Err(Misfit::Log { path: path() }) } else { Ok(None) };
    }
    if log.left_out > 1 {
        return Err(Misfit::DamagedLog { path: path(), lost: log.left_out });
    }
    encrypting::check(config)?;
    let config = &*config.as_it_is();
    // Kept to the end: they know which page was broken.
    let _seals = vfs::seals_for(config).map_err(OpenError::from)?;
    sealing::check(config).map_err(|why| match why {
        Unsealed::File => Misfit::Unsealed { path: path() },
        Unsealed::Open(error) => Misfit::Open(error),
    })?;
    let alone = (log.commits > 0).then(|| View::of(config, Log::Left, within)).and_then(Result::ok);
    let both = match View::of(config, Log::Read, within) {
        Err(OpenError::NotADatabase { .. }) if alone.is_some() => return Err(Misfit::Log { path: path() }),
        Err(OpenError::Seals { path, found }) => {
            return Err(Misfit::Damaged { path, found: sealing::with_rows(config, found) });
        }
        view => view?,
    };
    if let Some(alone) = alone
        && !belongs(alone.mark.as_ref(), both.mark.as_ref(), log.commits)
    {
        return Err(Misfit::Log { path: path() });
    }
    let pages = bytes / limits::STORE_PAGE_BYTES;
    let missing = (pages + 1..=both.pages).any(|page| !u32::try_from(page).is_ok_and(|page| log.pages.contains(&page)));
    if missing {
        return Err(Misfit::Truncated { path: path(), pages, expected: both.pages });
    }
    if let Some(found) = both.damage {
        let found = if config.seal.is_some() { sealing::with_rows(config, found) } else { found };
        return Err(Misfit::Damaged { path: path(), found });
    }
    if let Some(found) = both.rows {
        return Err(Misfit::Rows { path: path(), found });
    }
    Ok(Some(Found { mark: both.mark, schema: both.schema }))
}

/// Whether a log of `n` commits belongs to a file with the mark `alone`, when both together have the mark `both`.
fn belongs(alone: Option<&Mark>, both: Option<&Mark>, n: u64) -> bool {
    let Some(both) = both else { return alone.is_none() };
    let count = alone.map_or(0, |mark| mark.commits);
    let same = alone.is_none_or(|mark| mark.identity == both.identity);
    same && count <= both.commits && count.saturating_add(n) >= both.commits
}

/// A file as SQLite reads it, with or without its log.
struct View {
    mark: Option<Mark>,
    schema: u32,
    pages: u64,
    /// What `quick_check` has found within its time.
    damage: Option<String>,
    /// Rows that are not as they were sealed.
    rows: Option<String>,
}

impl View {
    fn of(config: &Config, log: Log, within: Option<Duration>) -> Result<Self, OpenError> {
        let failed = |source| open::failed(&config.path, source);
        let mut sqlite = look(config, log)?;
        let mark = Mark::read(&sqlite).map_err(failed)?;
        let schema = schema::number(&sqlite).map_err(failed)?;
        let pages = sqlite.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).map_err(failed)?;
        let seals = vfs::seals_of(&config.path);
        let looks = log == Log::Read && within.is_none_or(|within| !within.is_zero());
        let damage = if looks { quick_check(&mut sqlite, within) } else { None };
        let broken = || config.key.as_ref().and_then(|_| damage::of_encryption(&sqlite));
        let damage = broken().or(damage);
        let damage = damage.map(|found| seals.and_then(|seals| seals.fault()).unwrap_or(found));
        if log == Log::Read && damage.is_none() {
            sealing::has_key(&sqlite, config)?;
        }
        let rows = match config.seal.as_ref().map(Seal::key).transpose()?.flatten() {
            Some(key) if looks && damage.is_none() => {
                let within = within.map(|_| Duration::from_millis(limits::STORE_SEALS_MS_MAX));
                let verified = row_seals::verify(&sqlite, &key, within).map_err(failed)?;
                if !verified.whole {
                    tracing::info!(path = %config.path.display(), rows = verified.rows, "not all seals were looked at");
                }
                verified.words()
            }
            _ => None,
        };
        Ok(Self { mark, schema, pages: u64::try_from(pages).unwrap_or_default(), damage, rows })
    }
}

/// The first fault that SQLite finds in this time.
fn quick_check(sqlite: &mut rusqlite::Connection, within: Option<Duration>) -> Option<String> {
    if let Some(within) = within {
        let ends = Instant::now() + within;
        sqlite.progress_handler(1_000, Some(move || Instant::now() >= ends)).ok()?;
    }
    let found = damage::found_in(sqlite);
    // What is asked next has a time of its own.
    sqlite.progress_handler(0, None::<fn() -> bool>).ok()?;
    match found {
        Ok(found) => found,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => None,
        Err(error) => Some(error.to_string()),
    }
}
