//! The backup of one context: a snapshot, and after it each change, made into files that are stored one after the
//! other. Later snapshots are stored beside the changes (`aside`).
//!
//! Snapshot and deltas are made by followers of the file (`seam_store::Follower`): they cost its commits and readers
//! nothing. A second follower makes each later snapshot, while the first one goes on with deltas; the snapshot gets the
//! number of the delta at which both stand at the same commit.
//! Invariant: what is stored has no gap. When something is lost on the way (a follower is let go, too much waits for a
//! store that is away, another host has taken the name), a snapshot is the next thing to be stored.
//! Not here: where files are stored (`destination`), what waits on the disk (`spool`).

mod aside;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_store::ltx::{Header, LtxError};
use seam_store::{Changes, Copies, Database, FollowError, Follower, chain};
use tokio::task::{JoinError, JoinHandle};

use super::board::{BackupStatus, Board};
use super::destination::{Destination, DestinationError, Item, Put, SNAPSHOTS};
use super::image::{Image, ImageError};
use super::spool::Spool;
use crate::limits;
use crate::manifest::BackupSettings;
use crate::pause::pause_ms;
use crate::times::now_ms;

/// What keeps a context from being backed up.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("cannot write what is to be stored")]
    Write(#[from] std::io::Error),
    #[error("cannot write what is to be stored")]
    Ltx(#[from] LtxError),
}

/// What a request to the store of backups did.
pub enum Done {
    Put(Put),
    /// The number of the last transaction that is stored; 0 when none is.
    Listed(u64),
    Forgot,
}

pub type Finished = Result<Result<Done, DestinationError>, JoinError>;

/// The file of the context, while it is open and can be read.
pub type Source = Box<dyn Fn() -> Option<Arc<Database>> + Send + Sync>;

pub struct Ship {
    context: String,
    source: Source,
    to: Destination,
    every: Duration,
    keep: Duration,
    spool: Spool,
    board: Arc<Board>,
    following: Option<Following>,
    /// Whether another host may take the file over: then nothing is stored unless this host may commit.
    leased: bool,
    /// Commits that wait until they are stored, if they do.
    copies: Option<Arc<Copies>>,
    /// How many of them are in what was made so far.
    taken: u64,
    /// The same for files that are not stored yet, by their numbers.
    covers: BTreeMap<u64, u64>,
    /// Whether the file is open here.
    present: bool,
    /// The number of the last transaction that was given out. `None` until the store of backups has been asked.
    last: Option<u64>,
    /// Too much waited and was dropped: nothing is followed until the store of backups answers.
    overflowed: bool,
    /// The request that runs, and the one that has ended.
    pub work: Option<JoinHandle<Result<Done, DestinationError>>>,
    pub finished: Option<Finished>,
    /// The same for what changes do not wait for.
    pub work_aside: Option<JoinHandle<Result<Done, DestinationError>>>,
    pub finished_aside: Option<Finished>,
    follow_at: Instant,
    try_at: Instant,
    tries: u32,
    /// How often in a row the file could not be followed.
    failed: u32,
    why: Option<String>,
    stored_ms: Option<u64>,
    /// See `BackupStatus`.
    snapshot: u64,
    looked_ms: u64,
    /// Since when changes are not followed by deltas.
    open_since_ms: Option<u64>,
    forget: bool,
    /// The time of the last file, in milliseconds since 1970; the next one's is later.
    time_ms: u64,
    waiting_bytes_max: u64,
    /// Since the last snapshot.
    deltas: u32,
    delta_bytes: u64,
    snapshot_bytes: u64,
}

struct Following {
    database: Arc<Database>,
    /// Makes deltas, once there is a snapshot for them.
    live: Option<Follower>,
    /// Makes a snapshot.
    imaging: Option<(Follower, Image)>,
}

impl Ship {
    pub fn new(
        context: String,
        source: Source,
        (to, settings): (Destination, &BackupSettings),
        spool: Spool,
        board: Arc<Board>,
    ) -> Self {
        let now = Instant::now();
        Self {
            context,
            source,
            to,
            every: settings.every,
            keep: settings.keep,
            last: spool.last(),
            spool,
            board,
            following: None,
            leased: false,
            copies: None,
            taken: 0,
            covers: BTreeMap::new(),
            present: false,
            overflowed: false,
            work: None,
            finished: None,
            work_aside: None,
            finished_aside: None,
            follow_at: now,
            try_at: now,
            tries: 0,
            failed: 0,
            why: None,
            stored_ms: None,
            snapshot: 0,
            looked_ms: 0,
            open_since_ms: None,
            forget: false,
            time_ms: 0,
            waiting_bytes_max: limits::BACKUP_WAITING_BYTES_MAX,
            deltas: 0,
            delta_bytes: 0,
            snapshot_bytes: 0,
        }
    }

    /// Stores only while the host holds the lease of the file.
    pub fn with_lease(mut self, leased: bool) -> Self {
        self.leased = leased;
        self
    }

    /// Says which commits are stored, and stores as soon as there are some.
    pub fn with_copies(mut self, copies: Option<Arc<Copies>>) -> Self {
        self.copies = copies;
        self
    }

    /// Does what is due, which may block. When to come again, unless a request ends before.
    pub fn tick(&mut self) -> Duration {
        if let Some(finished) = self.finished.take() {
            self.note(finished, false);
        }
        if let Some(finished) = self.finished_aside.take() {
            self.note(finished, true);
        }
        let now = Instant::now();
        // While a request runs, commits gather for the next one.
        let waited_for = self.work.is_none() && self.committed() > self.taken;
        if now >= self.follow_at || waited_for {
            self.follow_at = now + self.every;
            let looked_ms = now_ms();
            let followed = self.follow();
            if followed.is_ok() && self.following.is_some() {
                self.looked_ms = looked_ms;
            }
            match followed {
                Ok(true) => {
                    (self.failed, self.follow_at) = (0, now + Duration::from_millis(limits::BACKUP_STEP_MS));
                }
                Ok(false) => self.failed = 0,
                // What was followed is lost; the next time begins with a snapshot.
                Err(error) => {
                    self.following = None;
                    self.failed += 1;
                    let pause = pause_ms(self.failed, Duration::from_millis(limits::BACKUP_PAUSE_MS_MAX));
                    self.follow_at = now + self.every.max(Duration::from_millis(pause));
                    self.trouble(&chain(&error));
                }
            }
        }
        self.send(now);
        self.send_aside(now);
        self.show();
        let has_more = (self.work.is_none() && self.has_work()) || (self.work_aside.is_none() && self.has_work_aside());
        let next = if has_more { self.follow_at.min(self.try_at) } else { self.follow_at };
        next.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }

    /// Takes what changed before the host ends.
    pub fn last_look(&mut self) {
        self.follow_at = Instant::now();
        self.try_at = self.follow_at;
    }

    /// Whether something waits to be stored, by a store of backups that answers.
    pub fn waits(&self) -> bool {
        let first = |following: &Following| following.live.is_none();
        let snapshot = self.following.as_ref().is_some_and(first);
        self.tries == 0 && (self.work.is_some() || self.spool.next().is_some() || snapshot)
    }

    /// Takes what changed; goes on with a snapshot. Whether there is more to do at once.
    fn follow(&mut self) -> Result<bool, Error> {
        let database = (self.source)().filter(|database| !database.is_fenced());
        let same = |following: &Following| database.as_ref().is_some_and(|now| Arc::ptr_eq(now, &following.database));
        self.following.take_if(|following| !same(following));
        self.present = database.is_some();
        let Some(database) = database else {
            self.open_since_ms = None;
            self.last = None;
            if self.leased && self.spool.next().is_some() {
                // Another host has gone on from the state that is stored.
                self.spool.drop_all();
            }
            return Ok(false);
        };
        if self.following.as_ref().is_none_or(|following| following.live.is_none()) {
            self.open_since_ms.get_or_insert_with(now_ms);
        }
        if self.last.is_none() || self.overflowed {
            return Ok(false);
        }
        let mut following = match self.following.take() {
            Some(following) => following,
            None => Following { imaging: Some(self.image_of(&database)?), database, live: None },
        };
        let more = self.go_on(&mut following)?;
        if self.spool.delta_bytes() > self.waiting_bytes_max {
            self.spool.drop_all();
            self.overflowed = true;
            tracing::warn!(
                target: "backup", context = self.context,
                "too much waits for the store of backups and was dropped; once it answers, a snapshot is stored"
            );
            return Ok(false);
        }
        self.following = Some(following);
        Ok(more)
    }

    fn go_on(&mut self, following: &mut Following) -> Result<bool, Error> {
        if let Some(live) = &mut following.live {
            let committed = self.committed();
            while let Some(changes) = live.changes()? {
                self.delta(live.page_bytes(), &changes)?;
            }
            self.cover(committed);
        }
        let Some((follower, image)) = &mut following.imaging else {
            let due = self.delta_bytes
                >= (self.snapshot_bytes * limits::BACKUP_DELTA_TIMES).max(limits::BACKUP_DELTA_BYTES_MIN);
            if (due || self.deltas >= limits::BACKUP_DELTAS_MAX) && self.spool.aside().is_none() {
                following.imaging = Some(self.image_of(&following.database)?);
            }
            return Ok(following.imaging.is_some());
        };
        if image.read_base(follower, limits::BACKUP_STEP_PAGES)? {
            // The log is kept for no longer than one step.
            if let Some(changes) = follower.changes()? {
                image.apply(&changes)?;
            }
            return Ok(true);
        }
        let committed = self.committed();
        while let Some(changes) = follower.changes()? {
            image.apply(&changes)?;
        }
        if let Some(live) = &mut following.live {
            // Both stood at the same commit only if there was none in between.
            if let Some(changes) = live.changes()? {
                self.delta(live.page_bytes(), &changes)?;
                return Ok(true);
            }
        }
        let Some((follower, image)) = following.imaging.take() else { return Ok(false) };
        let is_later = following.live.is_some();
        let number = if is_later { self.last.unwrap_or_default() } else { self.give_out()? };
        let (page_bytes, file_pages, at_ms) = (follower.page_bytes(), image.file_pages(), self.time());
        let header = Header { page_bytes, file_pages, first: 1, last: number, at_ms };
        let item = match is_later {
            true => self.spool.add_aside(header, |writer| image.write(writer))?,
            false => self.spool.add(header, |writer| image.write(writer))?,
        };
        (self.deltas, self.delta_bytes, self.snapshot_bytes) = (0, 0, item.bytes);
        if following.live.is_none() {
            following.live = Some(follower);
            self.cover(committed);
        }
        Ok(false)
    }

    fn committed(&self) -> u64 {
        self.copies.as_ref().map_or(0, |copies| copies.committed())
    }

    /// The first `count` commits are in what was made up to now.
    fn cover(&mut self, count: u64) {
        let Some(copies) = &self.copies else { return };
        self.taken = self.taken.max(count);
        match self.spool.back() {
            Some(item) => drop(self.covers.insert(item.last, count)),
            None => copies.copied(count),
        }
    }

    /// This file is stored.
    fn covered(&mut self, item: &Item) {
        let Some(copies) = &self.copies else { return };
        // The next owner starts from all deltas that are stored. It may have looked for snapshots before.
        if item.level == SNAPSHOTS && !self.may_store() {
            return;
        }
        if let Some(count) = self.covers.remove(&item.last) {
            copies.copied(count);
        }
        self.covers = self.covers.split_off(&item.last);
    }

    fn image_of(&self, database: &Arc<Database>) -> Result<(Follower, Image), Error> {
        let follower = database.follow()?;
        let image = Image::new(self.spool.scratch("image"), &follower)?;
        Ok((follower, image))
    }

    fn delta(&mut self, page_bytes: u32, changes: &Changes) -> Result<(), Error> {
        let number = self.give_out()?;
        let (file_pages, at_ms) = (changes.file_pages, self.time());
        let header = Header { page_bytes, file_pages, first: number, last: number, at_ms };
        let item = self
            .spool
            .add(header, |writer| changes.pages.iter().try_for_each(|(number, page)| writer.page(*number, page)))?;
        (self.deltas, self.delta_bytes) = (self.deltas + 1, self.delta_bytes + item.bytes);
        Ok(())
    }

    /// The next number. Numbers start at 2: a file that starts with 1 is a snapshot.
    fn give_out(&mut self) -> std::io::Result<u64> {
        let number = self.last.unwrap_or_default().max(1) + 1;
        self.spool.note_last(number)?;
        self.last = Some(number);
        Ok(number)
    }

    fn has_work(&self) -> bool {
        let asks = self.present && (self.last.is_none() || self.overflowed);
        (asks || self.spool.next().is_some()) && self.may_store()
    }

    /// What an owner stores that has lost its lease would mix with what the next one stores.
    fn may_store(&self) -> bool {
        let held = |database: Arc<Database>| database.term().is_some_and(|term| !term.has_ended());
        !self.leased || (self.source)().is_some_and(held)
    }

    /// Begins the next request to the store of backups.
    fn send(&mut self, now: Instant) {
        if self.work.is_some() || now < self.try_at || !self.has_work() {
            return;
        }
        let (to, context) = (self.to.clone(), self.context.clone());
        self.work = Some(if self.last.is_none() || self.overflowed {
            tokio::spawn(async move {
                let all = to.list(&context).await?;
                Ok(Done::Listed(all.iter().map(|one| one.last).max().unwrap_or_default()))
            })
        } else {
            let Some((item, path)) = self.spool.next() else { return };
            let item = item.clone();
            tokio::spawn(async move { Ok(Done::Put(to.put(&context, &item, &path).await?)) })
        });
    }

    fn note(&mut self, finished: Finished, is_aside: bool) {
        let why = match finished {
            Ok(Ok(Done::Put(Put::Done))) if is_aside => {
                self.took_aside();
                return;
            }
            Ok(Ok(done)) => {
                self.took(done);
                if let Some(why) = self.why.take() {
                    tracing::info!(target: "backup", context = self.context, after = why, "the backup goes on");
                }
                self.tries = 0;
                return;
            }
            Ok(Err(error)) => format!("{}; hint: {}", chain(&error), error.remedy()),
            Err(error) => error.to_string(),
        };
        self.tries += 1;
        let longest = Duration::from_millis(limits::BACKUP_PAUSE_MS_MAX);
        let pause = pause_ms(self.tries, longest).max(limits::BACKUP_PAUSE_MS_MIN);
        self.try_at = Instant::now() + Duration::from_millis(pause);
        self.trouble(&why);
    }

    fn took(&mut self, done: Done) {
        match done {
            Done::Listed(last) => {
                // A takeover notes a higher number than those that are stored.
                let noted = self.spool.last().max(self.last).unwrap_or_default();
                self.last = Some(last.max(noted));
                self.overflowed = false;
                self.follow_at = Instant::now();
            }
            Done::Put(Put::Done) => {
                let Some(item) = self.spool.done() else { return };
                self.stored_ms = Some(item.at_ms);
                self.covered(&item);
                let snapshot = item.level == SNAPSHOTS;
                self.board.stored(&self.context, if snapshot { "snapshot" } else { "delta" }, item.bytes);
                if snapshot {
                    self.snapshot_is_stored(&item);
                }
                if self.following.as_ref().is_some_and(|following| following.live.is_some()) {
                    self.open_since_ms = None;
                }
            }
            Done::Put(Put::Taken) => {
                tracing::warn!(
                    target: "backup", context = self.context,
                    "the store of backups has other files by the next name: another host stores there, or this data \
                     folder is an older copy; a snapshot is stored after them"
                );
                self.spool.drop_all();
                (self.following, self.last) = (None, None);
            }
            Done::Forgot => self.forget = false,
        }
    }

    /// One line for the first failure of several.
    fn trouble(&mut self, why: &str) {
        self.board.failed(&self.context);
        if self.why.is_none() {
            tracing::warn!(target: "backup", context = self.context, "the backup does not go on: {why}");
        }
        self.why = Some(why.to_owned());
    }

    fn show(&self) {
        if !self.present && self.stored_ms.is_none() && self.spool.next().is_none() {
            return;
        }
        let oldest = [self.spool.oldest_ms(), self.open_since_ms].into_iter().flatten().min();
        self.board.set(
            &self.context,
            BackupStatus {
                stored_ms: self.stored_ms,
                looked_ms: self.looked_ms,
                snapshot: self.snapshot,
                behind_ms: oldest.map_or(0, |oldest| now_ms().saturating_sub(oldest).max(1)),
                waiting_bytes: self.spool.bytes(),
                why: self.why.clone(),
            },
        );
    }

    /// The time of the next file. Those of a context rise, so that a time tells one state.
    fn time(&mut self) -> u64 {
        self.time_ms = now_ms().max(self.time_ms + 1);
        self.time_ms
    }
}

#[cfg(test)]
mod tests;
