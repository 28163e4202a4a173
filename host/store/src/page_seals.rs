//! The seals of a file's pages: the last bytes of each page in the file are a keyed checksum (HMAC-SHA-256, cut to
//! `BYTES`) of its number and all its other bytes. Without the key none can be made.
//!
//! Pages in the write-ahead log are sealed in memory, by this process, as they are written or recovered: SQLite's own
//! checksums of the log are looked at by a recovery alone, and have no key.
//! Invariant: a page that does not fit its seal is not handed to SQLite. What that was is kept as the `fault`.
//! Not here: how SQLite's reads and writes come here (`vfs`), where the key is (`seal`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use sha2::Sha256;

use crate::limits;
use crate::seal::Key;

/// Of each page, at its end: what SQLite calls reserved bytes.
pub(super) const BYTES: usize = 16;
pub(super) const PAGE: usize = limits::STORE_PAGE_BYTES as usize;

/// SQLite reads the file's header by itself before it knows the size of the pages. It reads page 1 as a whole before it
/// relies on it.
const HEADER: usize = 100;

/// Of the log, and of each page in it (`fileformat2.html`, section 4).
const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;
const FRAME: u64 = FRAME_HEADER + PAGE as u64;

pub(super) type Seal = [u8; BYTES];

/// The first page that did not fit.
struct Fault {
    page: Option<u64>,
    words: String,
}

/// The seals of one open file and its log.
pub(super) struct PageSeals {
    mac: Hmac<Sha256>,
    /// The seals of the pages in the log, by the place of the page.
    log: Mutex<HashMap<u64, Seal>>,
    broken: AtomicBool,
    fault: Mutex<Option<Fault>>,
}

impl PageSeals {
    pub fn new(key: &Key) -> Self {
        Self {
            mac: key.mac_for("pages"),
            log: Mutex::default(),
            broken: AtomicBool::new(false),
            fault: Mutex::default(),
        }
    }

    /// The first page that did not fit its seal, in words.
    pub fn fault(&self) -> Option<String> {
        if !self.broken.load(Relaxed) {
            return None;
        }
        self.fault.lock().as_ref().map(|fault| fault.words.clone())
    }

    /// Its number, if it was in the file and not in the log.
    pub fn broken_page(&self) -> Option<u64> {
        self.fault.lock().as_ref()?.page
    }

    /// Puts the seal into a page that is written to the file at `offset`. Bytes that are no page are left as they are.
    pub fn seal(&self, offset: u64, bytes: &mut [u8]) {
        if let Some(number) = number(offset, bytes.len())
            && let Some((contents, seal)) = bytes.split_at_mut_checked(PAGE - BYTES)
        {
            seal.copy_from_slice(&self.of(number, contents));
        }
    }

    /// Whether what SQLite has read from the file at `offset` may be used. `short`: the file ends before it does.
    pub fn fits(&self, offset: u64, bytes: &[u8], short: bool) -> bool {
        let Some(number) = number(offset, bytes.len()) else {
            let of_header = usize::try_from(offset).is_ok_and(|at| at + bytes.len() <= HEADER);
            return of_header || self.breaks(None, format!("{} bytes at {offset} are no page", bytes.len()));
        };
        if short {
            return self.breaks(Some(number), format!("page {number} is cut off"));
        }
        let (contents, seal) = bytes.split_at(PAGE - BYTES);
        let words = || format!("page {number} does not fit its seal: it was changed, or made with another key");
        self.of(number, contents) == *seal || self.breaks(Some(number), words())
    }

    /// Notes what was written to the log at `offset`; `ok`: all of it.
    pub fn logged(&self, offset: u64, bytes: &[u8], ok: bool) {
        let mut log = self.log.lock();
        if ok && bytes.len() == PAGE && is_in_log(offset) {
            log.insert(offset, self.of(offset, bytes));
            return;
        }
        // A part of pages, which SQLite does not write: what is there is seen when it is read.
        let end = offset + bytes.len() as u64;
        if bytes.len() as u64 > FRAME_HEADER || !ok {
            log.retain(|at, _| *at >= end || *at + PAGE as u64 <= offset);
        }
    }

    /// Whether what SQLite has read from the log at `offset` is what was written, or recovered, there.
    pub fn fits_log(&self, offset: u64, bytes: &[u8]) -> bool {
        let (at, page) = match bytes.len() as u64 {
            FRAME => (offset + FRAME_HEADER, bytes.get(FRAME_HEADER as usize..).unwrap_or_default()),
            _ => (offset, bytes),
        };
        if page.len() != PAGE || !is_in_log(at) {
            return true;
        }
        let seal = self.of(at, page);
        if *self.log.lock().entry(at).or_insert(seal) == seal {
            return true;
        }
        self.breaks(None, format!("the page at byte {at} of the write-ahead log is not the one that was written there"))
    }

    /// The log was cut to `size` bytes.
    pub fn log_cut(&self, size: u64) {
        self.log.lock().retain(|at, _| at + PAGE as u64 <= size);
    }

    fn of(&self, number: u64, contents: &[u8]) -> Seal {
        let mut mac = self.mac.clone();
        mac.update(&number.to_le_bytes());
        mac.update(contents);
        cut(mac)
    }

    fn breaks(&self, page: Option<u64>, words: String) -> bool {
        self.fault.lock().get_or_insert(Fault { page, words });
        self.broken.store(true, Relaxed);
        false
    }
}

/// The first bytes of a checksum.
pub(super) fn cut(mac: Hmac<Sha256>) -> Seal {
    let whole: [u8; 32] = mac.finalize().into_bytes().into();
    std::array::from_fn(|at| whole.get(at).copied().unwrap_or_default())
}

/// The number of the page that starts at `offset`, if so many bytes there are one.
fn number(offset: u64, bytes: usize) -> Option<u64> {
    (bytes == PAGE && offset.is_multiple_of(PAGE as u64)).then_some(offset / PAGE as u64 + 1)
}

/// Whether a page of the log may start at `offset`.
fn is_in_log(offset: u64) -> bool {
    offset.checked_sub(LOG_HEADER + FRAME_HEADER).is_some_and(|at| at.is_multiple_of(FRAME))
}
