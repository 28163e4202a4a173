//! The one write connection of a file, and the commit that transactions share.
//!
//! Transactions queue for the connection, first come first served, each until its deadline. Whoever has it works on its own thread
//! inside a savepoint. A transaction that is done hands the connection to the next one in the queue, with the outer transaction
//! still open, and waits; the last of a group commits for all, and only then are they answered.
//!
//! Invariants: one lease exists for each writer; a lease in the queue's hands or at home has no savepoint open; an answer `Ok` is given
//! only after the fsync of the COMMIT that holds it. A connection whose COMMIT failed in an unknown way is closed and opened anew.
//! Not here: what a statement may do (`confine`), what runs inside a transaction (`transaction`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Error;
use super::connection::{Config, Link, OpenError, Role};
use super::handover::Handover;
use super::statistics::Counters;
use crate::{handoff, limits};

pub(super) struct Writer {
    config: Config,
    turn: Mutex<Turn>,
}

/// Invariant: the queue is empty while `out` is false.
struct Turn {
    /// Somebody has the lease.
    out: bool,
    /// The connection while nobody has it; `None` then means that it must be opened.
    home: Option<Box<Link>>,
    queue: VecDeque<Arc<Handover<Lease>>>,
}

/// The right to write, and the group whose commit is still to come.
pub(super) struct Lease {
    /// `None` after a failure: the next holder opens it.
    link: Option<Box<Link>>,
    group: Vec<Arc<Handover<Outcome>>>,
    /// When the open outer transaction began.
    open_since: Option<Instant>,
}

/// How a transaction that was ready to commit ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Durable,
    /// Another transaction of the group made SQLite roll all of it back. Nothing of ours is there: it can be run again.
    Lost,
    Failed(Error),
}

const SAVEPOINT: &str = "SAVEPOINT seam";

impl Writer {
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let link = Link::open(&config, Role::Writer)?;
        match settle_log(&link) {
            Ok(()) => {}
            // No commit of this process is in doubt yet. A full disk still serves what can be read.
            Err(error) if link.refused_bytes(&error) => {
                tracing::warn!(path = %config.path.display(), %error, "the write-ahead log was not copied back: there is no room");
            }
            Err(source) => return Err(OpenError::Sqlite { path: config.path.clone(), source }),
        }
        let turn = Turn { out: false, home: Some(Box::new(link)), queue: VecDeque::new() };
        Ok(Self { config, turn: Mutex::new(turn) })
    }

    /// What `look` sees on the connection, if nobody has it now.
    pub fn if_idle(&self, look: impl FnOnce(&Link)) {
        if let Some(link) = &self.turn.lock().home {
            look(link);
        }
    }

    /// Transactions that wait for their turn.
    pub fn waiting(&self) -> usize {
        self.turn.lock().queue.len()
    }

    /// Waits for the turn and opens a savepoint in the group's outer transaction.
    pub fn begin(&self, deadline: Instant, counters: &Counters) -> Result<Lease, Error> {
        let mut lease = self.lease(deadline, counters)?;
        match self.begin_in(&mut lease) {
            Ok(()) => Ok(lease),
            Err(error) => {
                lease.lose_group();
                lease.link = None;
                self.pass_on(lease);
                Err(error)
            }
        }
    }

    fn begin_in(&self, lease: &mut Lease) -> Result<(), Error> {
        let outer = lease.open_since.is_none();
        let link = self.connect(lease)?;
        if outer {
            link.host("BEGIN IMMEDIATE").map_err(|e| link.explain(&e))?;
        }
        link.host(SAVEPOINT).map_err(|e| link.explain(&e))?;
        lease.open_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Ends the savepoint well. Returns when the group's commit is durable, or has failed.
    pub fn commit(&self, mut lease: Lease, counters: &Counters) -> Outcome {
        let Some(link) = lease.link.as_ref() else {
            self.pass_on(lease);
            return Outcome::Failed(gone());
        };
        if link.owes_foreign_keys() {
            // Asked here, for ours alone: at the outer COMMIT it would fail everybody's.
            self.roll_back(lease, counters);
            return Outcome::Failed(Error::Constraint("FOREIGN KEY constraint failed at commit".to_owned()));
        }
        if let Err(error) = link.host("RELEASE seam") {
            let error = link.explain(&error);
            self.roll_back(lease, counters);
            return Outcome::Failed(error);
        }
        let mine = Arc::new(Handover::new());
        lease.group.push(mine.clone());
        match self.hand_on(lease) {
            Ok(()) => handoff::blocking(|| mine.take()),
            Err(lease) => {
                // The answer is there once the group is closed: nothing to wait for, and no worker to hand over.
                self.close_group(lease, counters);
                mine.take()
            }
        }
    }

    /// Undoes the savepoint, and nothing of the others in the group.
    pub fn roll_back(&self, mut lease: Lease, counters: &Counters) {
        Counters::add(&counters.rollbacks, 1);
        let undone = match lease.link.as_ref() {
            Some(link) if !link.is_idle() => link.host("ROLLBACK TO seam; RELEASE seam").is_ok(),
            _ => false,
        };
        if !undone {
            lease.abandon();
        } else if lease.group.is_empty() {
            // An outer transaction that holds nothing is no group: the next one starts its own.
            lease.end_outer("ROLLBACK");
        }
        match self.hand_on(lease) {
            Ok(()) => {}
            Err(lease) => self.close_group(lease, counters),
        }
    }

    /// The lease without any open transaction: a group that others began is committed first. For migrations and backups.
    pub fn alone(&self, deadline: Instant, counters: &Counters) -> Result<Lease, Error> {
        let mut lease = self.lease(deadline, counters)?;
        self.settle(&mut lease, counters);
        match self.connect(&mut lease).map(|_| ()) {
            Ok(()) => Ok(lease),
            Err(error) => {
                self.pass_on(lease);
                Err(error)
            }
        }
    }

    /// Gives a lease back that has no open transaction; one that has is closed.
    pub fn pass_on(&self, mut lease: Lease) {
        if lease.link.as_ref().is_some_and(|link| !link.is_idle()) {
            lease.abandon();
        }
        lease.open_since = None;
        let mut turn = self.turn.lock();
        match turn.queue.pop_front() {
            Some(next) => next.put(lease),
            None => {
                turn.home = lease.link;
                turn.out = false;
            }
        }
    }

    /// Waits for the turn.
    fn lease(&self, deadline: Instant, counters: &Counters) -> Result<Lease, Error> {
        let place = {
            let mut turn = self.turn.lock();
            if !turn.out {
                turn.out = true;
                return Ok(Lease { link: turn.home.take(), group: Vec::new(), open_since: None });
            }
            if turn.queue.len() >= limits::STORE_WRITE_QUEUE_MAX {
                Counters::add(&counters.refused, 1);
                return Err(Error::Busy(format!("{} transactions wait already", limits::STORE_WRITE_QUEUE_MAX)));
            }
            let place = Arc::new(Handover::new());
            turn.queue.push_back(place.clone());
            place
        };
        if let Some(lease) = handoff::blocking(|| place.take_until(deadline)) {
            return Ok(lease);
        }
        Counters::add(&counters.refused, 1);
        let left = {
            let mut turn = self.turn.lock();
            let at = turn.queue.iter().position(|other| Arc::ptr_eq(other, &place));
            at.and_then(|at| turn.queue.remove(at)).is_some()
        };
        if !left {
            // Our turn came in the same moment: it must be passed on, with the group that may hang on it.
            let lease = place.take();
            if let Err(lease) = self.hand_on(lease) {
                self.close_group(lease, counters);
            }
        }
        Err(Error::Busy("the writer did not come free before the deadline".to_owned()))
    }

    /// Hands the lease to the next in the queue with its group still open, or gives it back: nobody waits, or the group is full or old.
    fn hand_on(&self, lease: Lease) -> Result<(), Lease> {
        let open_ms = lease.open_since.map_or(0, |since| since.elapsed().as_millis());
        if lease.group.len() >= limits::STORE_GROUP_MAX || open_ms >= u128::from(limits::STORE_GROUP_MS) {
            return Err(lease);
        }
        match self.turn.lock().queue.pop_front() {
            Some(next) => {
                next.put(lease);
                Ok(())
            }
            None => Err(lease),
        }
    }

    /// Commits for the group, answers it, tidies the WAL up and lets the next one on.
    fn close_group(&self, mut lease: Lease, counters: &Counters) {
        self.settle(&mut lease, counters);
        if let Some(link) = lease.link.as_mut() {
            checkpoint(link, &self.config, counters);
        }
        self.pass_on(lease);
    }

    /// Commits for the group and answers it. No transaction is open afterwards.
    fn settle(&self, lease: &mut Lease, counters: &Counters) {
        if lease.open_since.take().is_none() {
            lease.lose_group();
            return;
        }
        let Some(link) = lease.link.as_ref() else {
            lease.lose_group();
            return;
        };
        let outcome = match handoff::blocking(|| link.host("COMMIT")) {
            Ok(()) => Outcome::Durable,
            Err(error) => {
                let meaning = link.explain(&error);
                let known = match meaning {
                    Error::Full(_) => link.refused_bytes(&error),
                    Error::Constraint(_) | Error::Busy(_) => true,
                    _ => false,
                };
                if known && (link.is_idle() || link.host("ROLLBACK").is_ok()) {
                    Outcome::Failed(meaning)
                } else {
                    // What the file holds now only a fresh connection can tell.
                    tracing::error!(path = %self.config.path.display(), %error, "a commit failed with unknown outcome; the connection is opened anew");
                    lease.link = None;
                    Outcome::Failed(Error::Unavailable(format!(
                        "the commit failed and may or may not have happened: {meaning}"
                    )))
                }
            }
        };
        if matches!(outcome, Outcome::Durable) {
            counters.commits.fetch_add(lease.group.len() as u64, Relaxed);
            Counters::add(&counters.groups, 1);
        }
        for member in lease.group.drain(..) {
            member.put(outcome.clone());
        }
    }

    /// The lease's connection, opened if a failure closed it.
    fn connect<'l>(&self, lease: &'l mut Lease) -> Result<&'l Link, Error> {
        let link = match lease.link.take() {
            Some(link) => link,
            None => handoff::blocking(|| open_anew(&self.config)).map_err(|e| {
                let cause = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
                Error::Unavailable(format!("{e}{cause}"))
            })?,
        };
        Ok(lease.link.insert(link))
    }
}

impl Lease {
    pub fn link(&self) -> Result<&Link, Error> {
        self.link.as_deref().ok_or_else(gone)
    }

    pub fn link_mut(&mut self) -> Result<&mut Link, Error> {
        self.link.as_deref_mut().ok_or_else(gone)
    }

    /// After a statement failed: whether SQLite rolled everything back with it. If so, the rest of the group is told.
    pub fn was_lost(&mut self) -> bool {
        let lost = self.link.as_ref().is_none_or(|link| link.is_idle());
        if lost {
            self.lose_group();
            self.open_since = None;
        }
        lost
    }

    fn lose_group(&mut self) {
        for member in self.group.drain(..) {
            member.put(Outcome::Lost);
        }
    }

    /// Ends the outer transaction with everything in it; a connection that cannot do that is closed.
    fn abandon(&mut self) {
        self.lose_group();
        self.end_outer("ROLLBACK");
    }

    fn end_outer(&mut self, how: &str) {
        self.open_since = None;
        let clean = self.link.as_ref().is_some_and(|link| link.is_idle() || (link.host(how).is_ok() && link.is_idle()));
        if !clean {
            self.link = None;
        }
    }
}

fn gone() -> Error {
    Error::Unavailable("the connection was closed after a failure".to_owned())
}

/// Opens the write connection after a commit that failed in an unknown way.
fn open_anew(config: &Config) -> Result<Box<Link>, OpenError> {
    let link = Link::open(config, Role::Writer)?;
    settle_log(&link).map_err(|source| OpenError::Sqlite { path: config.path.clone(), source })?;
    Ok(Box::new(link))
}

/// Copies the WAL back and cuts it, so that what a failed commit may have left in it is settled: it is not there, today and after the
/// next start.
fn settle_log(link: &Link) -> rusqlite::Result<()> {
    link.host("PRAGMA wal_checkpoint(TRUNCATE)")
}

/// Keeps the WAL short: copied back each time that it has grown by `STORE_WAL_PAGES_CHECKPOINT`, which waits for nobody; reset from
/// `STORE_WAL_PAGES_RESET` on, which waits for the readers of old snapshots (each bounded by its statement's deadline). A log that was copied
/// back whole and that nobody reads is begun anew by the next commit. A failure costs nothing but space.
fn checkpoint(link: &mut Link, config: &Config, counters: &Counters) {
    let Some(pages) = link.log_to_copy_back() else { return };
    let how = if pages < limits::STORE_WAL_PAGES_RESET { "PASSIVE" } else { "TRUNCATE" };
    let started = Instant::now();
    if let Err(error) = handoff::blocking(|| link.host(&format!("PRAGMA wal_checkpoint({how})"))) {
        tracing::warn!(path = %config.path.display(), pages, %error, "the write-ahead log was not copied back");
    }
    Counters::add(&counters.checkpoints, 1);
    if started.elapsed() > Duration::from_millis(limits::STORE_SLOW_MS) {
        tracing::info!(path = %config.path.display(), pages, ms = started.elapsed().as_millis() as u64, "slow checkpoint");
    }
}
