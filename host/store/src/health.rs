//! Whether a context's file can be used now: it is still the file that was opened, and its disk takes commits.
//!
//! Invariants: a commit is acknowledged only while the file and its log are those that were opened. A file that is gone
//! is *fenced*: it is neither read nor written until the very file is back. A file that is damaged is fenced for good,
//! since what it says may be wrong. A disk that takes no commits leaves reads alone; `Writer::tend` ends that trouble,
//! not the next small commit that happens to find room.
//! Not here: what callers and the operator get to see of it, but for the log lines.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::bond::Bond;
use crate::clock::Clock;
use crate::copies::Copies;
use crate::error::Error;
use crate::limits;
use crate::log_file::path_of;
use crate::owner::Owner;
use crate::page_seals::PageSeals;
use crate::term::Term;
use crate::vfs;

/// Why a store does not work as it should, through no fault of its context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("`{}` was removed or replaced while the host has it open; nothing is read from it or acknowledged", path.display())]
    Gone { path: PathBuf },
    #[error("`{}` is damaged: {found}; nothing is read from it or written to it", path.display())]
    Damaged { path: PathBuf, found: String },
    #[error("the disk of `{}` has no room: {why}", path.display())]
    NoRoom { path: PathBuf, why: String },
    #[error("the disk of `{}` fails: {why}", path.display())]
    Failing { path: PathBuf, why: String },
    #[error(
        "`{}` has promised to commit transaction {}, and whether it is to is not known: {}; nothing is written to it",
        path.display(), doubt.transaction.as_deref().unwrap_or("of an unknown id"), doubt.why
    )]
    InDoubt { path: PathBuf, doubt: Doubt },
}

/// A promise to commit that a file has given, while it is not known whether it is to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// `None` when what was noted of the promise cannot be read.
    pub transaction: Option<String>,
    /// The context whose file knows it.
    pub coordinator: Option<String>,
    /// When it promised, in milliseconds since 1970.
    pub since_ms: u64,
    /// Why it is not known.
    pub why: String,
}

impl Trouble {
    /// What `kind` returns.
    pub const KINDS: [&str; 5] = ["gone", "damaged", "no-room", "failing", "in-doubt"];

    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Gone { .. } => {
                "move the very file back, with its log; or stop the host, restore a backup, and start the host"
                    .to_owned()
            }
            Self::Damaged { path, .. } => format!(
                "stop the host, run `seam restore {} --from NAME --replace` (`seam backup --list` shows the names), and \
                 start the host; the file is kept",
                path.file_stem().unwrap_or_default().to_string_lossy()
            ),
            Self::NoRoom { .. } => "make room on the disk; the context then goes on by itself".to_owned(),
            Self::Failing { .. } => {
                "look at the disk and at the system's log; if the file is damaged, restore a backup; \
                                     when the disk works again, the context goes on by itself"
                    .to_owned()
            }
            Self::InDoubt { doubt, .. } => format!(
                "it goes on by itself once the file of `{}` can be asked; `seam transactions` shows what can be done \
                 before",
                doubt.coordinator.as_deref().unwrap_or("the context that began the transaction")
            ),
        }
    }

    /// Whether nothing is read or written while it lasts.
    fn fences(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Damaged { .. })
    }

    /// One word, for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "gone",
            Self::Damaged { .. } => "damaged",
            Self::NoRoom { .. } => "no-room",
            Self::Failing { .. } => "failing",
            Self::InDoubt { .. } => "in-doubt",
        }
    }
}

/// Device and inode: which file a path names.
type FileId = (u64, u64);

fn id_of(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

pub(super) struct Health {
    path: PathBuf,
    clock: Clock,
    /// The file that was opened.
    file: Option<FileId>,
    log_path: PathBuf,
    /// Its log; it has one while a connection is open.
    log: Mutex<Option<FileId>>,
    /// Of its pages, if they have seals.
    seals: Option<Arc<PageSeals>>,
    closed: AtomicBool,
    /// The host that owns the file now, if it is another one.
    moved: OnceLock<String>,
    /// Until when this host may commit, if another one takes the file over when this one is gone.
    term: OnceLock<Arc<Term>>,
    /// What its commits wait for.
    copies: OnceLock<Arc<Copies>>,
    /// Copies of what `state` says, for the path of every call.
    fenced: AtomicBool,
    failing: AtomicBool,
    in_doubt: AtomicBool,
    doubt: Mutex<Option<Doubt>>,
    /// Statements and commits that failed through no fault of the context.
    pub failures: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    trouble: Option<Trouble>,
    /// When the log last got a line of it, and the failures since then.
    logged: Option<Instant>,
    unlogged: u64,
}

impl Health {
    /// Of the file at `path`, which this process has just opened, with its log.
    pub fn new(path: &Path, clock: Clock) -> Self {
        let log_path = path_of(path);
        let bond = Bond::of(path);
        Self {
            path: path.to_owned(),
            clock,
            file: id_of(path),
            log: Mutex::new(id_of(&log_path)),
            log_path,
            seals: vfs::seals_of(path),
            closed: AtomicBool::new(false),
            moved: OnceLock::new(),
            term: bond.term.map_or_else(OnceLock::new, OnceLock::from),
            copies: bond.copies.map_or_else(OnceLock::new, OnceLock::from),
            fenced: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            in_doubt: AtomicBool::new(false),
            doubt: Mutex::default(),
            failures: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    pub fn trouble(&self) -> Option<Trouble> {
        if !self.is_troubled() {
            return None;
        }
        let in_doubt = || self.doubt().map(|doubt| Trouble::InDoubt { path: self.path.clone(), doubt });
        self.state.lock().trouble.clone().or_else(in_doubt)
    }

    pub fn is_troubled(&self) -> bool {
        self.does_not_work() || self.in_doubt.load(Relaxed)
    }

    /// Whether the file is gone or damaged, or its disk fails.
    pub fn does_not_work(&self) -> bool {
        self.fenced.load(Relaxed) || self.failing.load(Relaxed)
    }

    pub fn doubt(&self) -> Option<Doubt> {
        if !self.in_doubt.load(Relaxed) {
            return None;
        }
        self.doubt.lock().clone()
    }

    /// From now on nothing is written to the file, until `certain`.
    pub fn set_doubt(&self, doubt: Doubt) {
        *self.doubt.lock() = Some(doubt);
        self.in_doubt.store(true, Relaxed);
    }

    /// It is known whether the file is to commit what it promised, and done.
    pub fn certain(&self) {
        self.in_doubt.store(false, Relaxed);
        *self.doubt.lock() = None;
    }

    /// From now on the file is bound, besides what binds it already.
    pub fn bind(&self, bond: &Bond) {
        if let Some(term) = &bond.term {
            self.term.set(term.clone()).ok();
        }
        if let Some(copies) = &bond.copies {
            self.copies.set(copies.clone()).ok();
        }
    }

    pub fn term(&self) -> Option<&Arc<Term>> {
        self.term.get()
    }

    pub fn copies(&self) -> Option<&Arc<Copies>> {
        self.copies.get()
    }

    /// # Errors
    /// While this host may not commit.
    pub fn in_term(&self) -> Result<(), Error> {
        match self.term.get() {
            Some(term) if term.has_ended() => Err(Error::Unavailable(
                "this host could not renew its lease of the file, and another host may have taken it over".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// While the file has promised to commit a transaction, and whether it is to is not known.
    pub fn writable(&self) -> Result<(), Error> {
        match self.doubt() {
            None => Ok(()),
            Some(doubt) => {
                let trouble = Trouble::InDoubt { path: self.path.clone(), doubt };
                Err(Error::Unavailable(trouble.to_string()))
            }
        }
    }

    pub fn is_fenced(&self) -> bool {
        self.fenced.load(Relaxed)
    }

    /// Looks whether the file, and its log if a connection is `open`, are still those that were opened; two system
    /// calls. If not, it is fenced; if they are back, it is free again.
    ///
    /// # Errors
    /// When they are not, or when the file is damaged.
    pub fn look(&self, open: bool) -> Result<(), Error> {
        if self.is_fenced()
            && let Some(trouble @ Trouble::Damaged { .. }) = self.trouble()
        {
            return Err(Error::Unavailable(trouble.to_string()));
        }
        if let Some(found) = self.broken_seal() {
            return Err(Error::Unavailable(found));
        }
        let same_log = || self.log.lock().is_none_or(|log| id_of(&self.log_path) == Some(log));
        let there = id_of(&self.path) == self.file && (!open || same_log());
        let trouble = Trouble::Gone { path: self.path.clone() };
        match there {
            true if self.is_fenced() => self.goes_on(),
            true => {}
            false => {
                self.note(trouble.clone());
                return Err(Error::Unavailable(trouble.to_string()));
            }
        }
        Ok(())
    }

    /// The file was opened again, after its last connection may have been closed.
    ///
    /// # Errors
    /// When another file was opened.
    pub fn opened_again(&self) -> Result<(), Error> {
        *self.log.lock() = id_of(&self.log_path);
        self.look(true)
    }

    /// Bytes that the disk has left for this user; `None` when the system does not say.
    pub fn disk_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.path).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Whether the disk, and the limit on the size of files, leave `STORE_ROOM_BYTES_MIN` for the file and its log.
    pub fn has_room(&self) -> bool {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let largest = bytes(&self.path).max(bytes(&self.log_path));
        let left = limit.map(|limit| limit.saturating_sub(largest));
        left.into_iter().chain(self.disk_bytes()).all(|bytes| bytes >= limits::STORE_ROOM_BYTES_MIN)
    }

    /// From now on no statement begins.
    pub fn close(&self) {
        self.closed.store(true, Relaxed);
    }

    /// From now on no statement begins: the file belongs to another host.
    pub fn moved(&self, to: &Owner) {
        self.moved.set(to.host.clone()).ok();
        self.close();
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// # Errors
    /// While the file is fenced, and after it was closed.
    pub fn usable(&self) -> Result<(), Error> {
        if self.is_closed() {
            let why = || "the host stops".to_owned();
            return Err(Error::Unavailable(
                self.moved.get().map_or_else(why, |host| format!("it belongs to host `{host}`")),
            ));
        }
        if self.is_fenced()
            && let Some(trouble) = self.trouble()
            && trouble.fences()
        {
            return Err(Error::Unavailable(trouble.to_string()));
        }
        Ok(())
    }

    /// A statement or a commit failed for want of room on the disk, or because the disk fails.
    pub fn failed(&self, no_room: bool, error: &Error) {
        self.failures.fetch_add(1, Relaxed);
        let (path, why) = (self.path.clone(), error.to_string());
        self.note(if no_room { Trouble::NoRoom { path, why } } else { Trouble::Failing { path, why } });
    }

    /// The first page that did not fit its seal, in words.
    pub fn broken_seal(&self) -> Option<String> {
        self.seals.as_ref()?.fault()
    }

    /// The file was found damaged, in these words.
    pub fn damaged(&self, found: String) {
        self.failures.fetch_add(1, Relaxed);
        self.note(Trouble::Damaged { path: self.path.clone(), found });
    }

    /// The trouble has ended.
    pub fn goes_on(&self) {
        let mut state = self.state.lock();
        self.fenced.store(false, Relaxed);
        self.failing.store(false, Relaxed);
        if let Some(trouble) = state.trouble.take() {
            let path = self.path.display();
            tracing::warn!(target: "store", %path, after = trouble.kind(), "the store works again");
        }
    }

    /// One ERROR line when a trouble of another kind begins, then one a minute while it lasts.
    fn note(&self, trouble: Trouble) {
        let mut state = self.state.lock();
        // A file that is gone may also fail in other ways; that it is gone explains them. A damaged file stays so.
        match &state.trouble {
            Some(Trouble::Damaged { .. }) => return,
            Some(Trouble::Gone { .. }) if !matches!(trouble, Trouble::Gone { .. }) => return,
            _ => {}
        }
        let now = self.clock.now();
        let every = Duration::from_secs(limits::STORE_TROUBLE_LOG_S);
        let another = state.trouble.as_ref().is_none_or(|before| before.kind() != trouble.kind());
        let recent = state.logged.is_some_and(|logged| now.saturating_duration_since(logged) < every);
        if recent && !(another && trouble.fences()) {
            state.unlogged += 1;
        } else {
            let more = std::mem::take(&mut state.unlogged);
            state.logged = Some(now);
            tracing::error!(target: "store", hint = trouble.remedy(), more, "{trouble}");
        }
        let flag = if trouble.fences() { &self.fenced } else { &self.failing };
        flag.store(true, Relaxed);
        state.trouble = Some(trouble);
    }
}
