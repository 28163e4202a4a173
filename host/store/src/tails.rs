//! Those who follow a file: what each has taken from the write-ahead log, and where the log ends.
//!
//! A follower holds no lock and no transaction of SQLite's. The host makes every checkpoint itself, with the writer's
//! lease in its hand, and a log is written from its start only after a checkpoint that copied all of it. So it is
//! enough that each follower has taken all frames before the checkpoint runs: `take_all` reads them for it into
//! `pending`, or says no, and the log grows instead. What lags beyond the bounds is let go, and then nothing waits for
//! it.
//!
//! Invariants: `End` is noted by SQLite's own report of a commit, which comes after its fsync. Frames count up to
//! there. A log has another number each time that it is written from its start; a tail goes on in the next log only
//! from the place at which a checkpoint was let through. Each frame fits the checksum of all before it. Locks are taken
//! in this order: the list of tails, one tail, the end. Not here: the file itself (`follow`), when a checkpoint is due
//! (`writer`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::limits;
use crate::log_file::{self, FRAME_HEADER, Frame, HEADER, Header, Sum};
use crate::page_seals::PageSeals;

/// Frames that are read with one system call.
const CHUNK_FRAMES: u32 = 64;

/// What becomes of a follower that has not taken all of the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lag {
    /// The checkpoint waits, up to `STORE_FOLLOW_LOG_FRAMES_MAX`.
    Wait,
    /// The checkpoint has to be. The follower takes what it has room for, and is let go if that is not all.
    LetGo,
}

/// So many frames of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Place {
    /// Counts how often the log was written from its start.
    log: u64,
    frames: u32,
}

impl Place {
    /// How many frames lie between `before`, an earlier place, and this one.
    pub fn frames_after(self, before: Self) -> u32 {
        if before.log == self.log { self.frames.saturating_sub(before.frames) } else { self.frames }
    }
}

/// All followers of one file.
pub(super) struct Tails {
    log_path: PathBuf,
    /// Whether there are any: what a commit looks at.
    any: AtomicBool,
    list: Mutex<Vec<Weak<Mutex<Tail>>>>,
    end: Mutex<End>,
}

/// What is durable of the log.
#[derive(Clone, Default)]
struct End {
    /// The log as it was opened for the followers. It has no locks, so that it may be closed.
    file: Option<Arc<File>>,
    header: Option<Header>,
    place: Place,
}

/// What one follower has taken.
pub(super) struct Tail {
    seals: Option<Arc<PageSeals>>,
    page: usize,
    pub at: Place,
    /// Of the log up to `at`.
    sum: Sum,
    /// Where it was when a checkpoint was let through: from here alone it may go on in the next log.
    let_through: Option<Place>,
    pub pending: Pending,
    /// Why it was let go.
    pub let_go: Option<String>,
}

/// The last images of pages, of commits that were not asked for yet.
#[derive(Default)]
pub(super) struct Pending {
    pub pages: BTreeMap<u32, Vec<u8>>,
    /// The file's pages after the last of them.
    pub file_pages: u32,
    pub commits: u64,
}

impl Tails {
    pub fn of(path: &Path) -> Self {
        Self {
            log_path: log_file::path_of(path),
            any: AtomicBool::new(false),
            list: Mutex::default(),
            end: Mutex::default(),
        }
    }

    pub fn are_any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Where the log ends, as far as it is durable.
    pub fn end(&self) -> Place {
        self.end.lock().place
    }

    /// SQLite reports a commit, after which the log has so many frames.
    pub fn committed(&self, frames: u32) {
        if !self.are_any() {
            return;
        }
        let mut end = self.end.lock();
        let header = end.file.as_ref().and_then(|file| read_header(file).ok().flatten());
        if header != end.header {
            end.header = header;
            end.place.log += 1;
        }
        end.place.frames = frames;
    }

    /// Another follower, of pages of so many bytes. The caller has the writer's lease; the log has `frames`, of which
    /// `copied` are in the file.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn add(
        &self,
        page: usize,
        (frames, copied): (u32, u32),
        seals: Option<Arc<PageSeals>>,
    ) -> io::Result<Arc<Mutex<Tail>>> {
        let mut list = self.list.lock();
        let mut end = self.end.lock();
        list.retain(|tail| tail.strong_count() > 0);
        if list.is_empty() || end.file.is_none() {
            let file = Arc::new(File::open(&self.log_path)?);
            let header = if frames == 0 { None } else { read_header(&file)? };
            *end = End { header, place: Place { log: end.place.log + 1, frames }, file: Some(file) };
        }
        // What is not copied back can be read to its end, and what is cannot: the next commit may overwrite it.
        let (at, sum) = match (end.header, frames == copied) {
            (Some(header), true) => {
                let last = end.file.as_ref().map(|file| read_sum(file, &header, frames)).transpose()?;
                (end.place, last.unwrap_or_default())
            }
            (Some(header), false) => (Place { frames: 0, ..end.place }, header.sum),
            (None, true) => (end.place, (0, 0)),
            (None, false) => return Err(io::ErrorKind::InvalidData.into()),
        };
        let let_through = (frames == copied).then_some(at);
        let pending = Pending::default();
        let tail = Arc::new(Mutex::new(Tail { seals, page, at, sum, let_through, pending, let_go: None }));
        list.push(Arc::downgrade(&tail));
        self.any.store(true, Ordering::Release);
        Ok(tail)
    }

    /// Lets `tail` read on, by `STORE_FOLLOW_FRAMES` and the rest of the last commit of these. Whether it is at the
    /// end.
    pub fn read(&self, tail: &mut Tail) -> bool {
        let end = self.end.lock().clone();
        tail.read(&end, limits::STORE_FOLLOW_FRAMES)
    }

    /// Has every follower take all that the log holds: `frames`, by SQLite's own count. The caller has the lease.
    /// Whether a checkpoint may run.
    pub fn take_all(&self, frames: u32, lag: Lag) -> bool {
        let mut list = self.list.lock();
        let mut ready = true;
        list.retain(|tail| {
            let Some(tail) = tail.upgrade() else { return false };
            let mut tail = tail.lock();
            let end = self.end.lock().clone();
            if frames != 0 && frames != end.place.frames {
                tail.lose("the log has frames that no commit has reported");
            }
            let most = if lag == Lag::LetGo { u32::MAX } else { limits::STORE_FOLLOW_CATCH_UP_FRAMES };
            if tail.read(&end, most) {
                tail.let_through = Some(tail.at);
            } else if lag == Lag::LetGo || end.place.frames > limits::STORE_FOLLOW_LOG_FRAMES_MAX {
                tail.lose("it lagged too far behind: the log may not grow any more");
            } else {
                ready = false;
            }
            tail.let_go.is_none()
        });
        self.settle(&list);
        ready
    }

    /// Lets all followers go. What they have taken before can still be asked for.
    pub fn let_all_go(&self, why: &str) {
        let mut list = self.list.lock();
        for tail in list.drain(..).filter_map(|tail| tail.upgrade()) {
            tail.lock().lose(why);
        }
        self.settle(&list);
    }

    /// Forgets a follower.
    pub fn forget(&self, tail: &Arc<Mutex<Tail>>) {
        let mut list = self.list.lock();
        list.retain(|other| other.as_ptr() != Arc::as_ptr(tail));
        self.settle(&list);
    }

    fn settle(&self, list: &[Weak<Mutex<Tail>>]) {
        if list.is_empty() {
            self.any.store(false, Ordering::Release);
            let mut end = self.end.lock();
            (end.file, end.header) = (None, None);
        }
    }
}

impl Tail {
    pub fn lose(&mut self, why: &str) {
        self.let_go.get_or_insert_with(|| why.to_owned());
    }

    /// Reads commits up to `end`, some `most` frames, while there is room for them. Whether it is at the end.
    fn read(&mut self, end: &End, most: u32) -> bool {
        if self.let_go.is_some() {
            return false;
        }
        if self.at == end.place {
            return true;
        }
        match self.try_read(end, most) {
            Ok(()) => self.at == end.place,
            Err(why) => {
                self.lose(&why);
                false
            }
        }
    }

    /// # Errors
    /// Why the log cannot be followed.
    fn try_read(&mut self, end: &End, most: u32) -> Result<(), String> {
        let (Some(file), Some(header)) = (&end.file, end.header) else {
            return Err("the log cannot be read".to_owned());
        };
        if header.page != self.page {
            return Err(format!("the log has pages of {} bytes", header.page));
        }
        if self.at.log != end.place.log {
            if self.let_through != Some(self.at) || self.at.log + 1 != end.place.log {
                return Err("the log was written from its start before it was read to its end".to_owned());
            }
            (self.at, self.sum) = (Place { log: end.place.log, frames: 0 }, header.sum);
        }
        self.let_through = None;
        let (mut at, mut sum) = (self.at, self.sum);
        let mut open: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let mut bytes = Vec::new();
        let mut read = 0;
        while at.frames < end.place.frames {
            let count = CHUNK_FRAMES.min(end.place.frames - at.frames);
            bytes.resize(count as usize * header.frame(), 0);
            let start = HEADER as u64 + u64::from(at.frames) * header.frame() as u64;
            file.read_exact_at(&mut bytes, start).map_err(|error| format!("the log cannot be read: {error}"))?;
            for (number, bytes) in (at.frames..).zip(bytes.chunks_exact(header.frame())) {
                let frame = Frame::parse(&header, bytes).ok_or("a frame is cut off")?;
                sum = frame.continues(&header, sum);
                if !frame.is_of(&header) || frame.sum != sum {
                    return Err(format!("frame {} of the log is not the one that was written there", number + 1));
                }
                open.insert(frame.page, self.page_of(&frame, number, &header)?);
                (at.frames, read) = (number + 1, read + 1);
                if open.len() > limits::STORE_FOLLOW_COMMIT_PAGES_MAX {
                    return Err(format!(
                        "one commit changed more than {} pages",
                        limits::STORE_FOLLOW_COMMIT_PAGES_MAX
                    ));
                }
                if frame.file_pages == 0 {
                    continue;
                }
                if !self.pending.has_room_for(open.len()) {
                    return Ok(());
                }
                self.pending.take(std::mem::take(&mut open), frame.file_pages);
                (self.at, self.sum) = (at, sum);
                if read >= most {
                    return Ok(());
                }
            }
        }
        if open.is_empty() { Ok(()) } else { Err("the last commit of the log has no end".to_owned()) }
    }

    /// The page of a frame as a checkpoint writes it to the file.
    fn page_of(&self, frame: &Frame<'_>, number: u32, header: &Header) -> Result<Vec<u8>, String> {
        let mut page = frame.content.to_vec();
        let Some(seals) = &self.seals else { return Ok(page) };
        let place = HEADER as u64 + u64::from(number) * header.frame() as u64 + FRAME_HEADER as u64;
        if !seals.fits_log(place, &page) {
            return Err(format!("frame {} of the log does not fit its seal", number + 1));
        }
        seals.seal(u64::from(frame.page.saturating_sub(1)) * header.page as u64, &mut page);
        Ok(page)
    }
}

impl Pending {
    fn has_room_for(&self, pages: usize) -> bool {
        self.pages.is_empty() || self.pages.len() + pages <= limits::STORE_FOLLOW_PAGES_MAX
    }

    /// One more commit.
    fn take(&mut self, mut pages: BTreeMap<u32, Vec<u8>>, file_pages: u32) {
        self.pages.append(&mut pages);
        self.pages.retain(|number, _| *number <= file_pages);
        self.file_pages = file_pages;
        self.commits += 1;
    }
}

/// `None` when the log is empty, or its header is not whole.
fn read_header(file: &File) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER];
    match file.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        read => read.map(|()| Header::parse(&bytes).filter(|header| header.whole)),
    }
}

/// The checksum that the last of so many frames notes.
fn read_sum(file: &File, header: &Header, frames: u32) -> io::Result<Sum> {
    let Some(before) = frames.checked_sub(1) else { return Ok(header.sum) };
    let mut bytes = vec![0; header.frame()];
    file.read_exact_at(&mut bytes, HEADER as u64 + u64::from(before) * header.frame() as u64)?;
    Ok(Frame::parse(header, &bytes).map(|frame| frame.sum).unwrap_or_default())
}
