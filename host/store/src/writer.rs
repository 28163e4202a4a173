//! The one write connection of a file, and the commit that transactions share.
//!
//! Transactions queue for the connection, first come first served, each until its deadline. The holder works on its own
//! thread inside a savepoint. When its transaction is done, it hands the connection to the next one in the queue, with
//! the outer transaction still open, and waits. The last of a group commits for all of them, and only then do they get
//! their answers. One that rolled back waits with them: its statements have read what they wrote.
//!
//! Invariants: each writer has one lease. A lease that no thread uses, in the queue or idle, has no savepoint open.
//! `Durable` is answered only after the fsync of the COMMIT. After a COMMIT that failed in an unknown way, the
//! connection is closed and opened again. Nor is it answered when the file is no longer the one that was opened
//! (`health`).
//! Not here: what a statement may do (`confine`), what runs inside a transaction (`transaction`), what is done about a
//! file that does not work and a log that grows (`tending`).

mod alone;
mod ending;
mod lease;
mod tending;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::bell::Bell;
use crate::config::Config;
use crate::connection::{Connection, Role};
use crate::error::{self, Error};
use crate::health::Health;
use crate::mark::Mark;
use crate::oneshot::Oneshot;
use crate::open::{OpenError, open, open_or_create};
use crate::owner::Owner;
use crate::statistics::Counters;
use crate::tails::{Lag, Tails};
use crate::votes::Votes;
use crate::{blocking, fault, limits};

pub(super) struct Writer {
    config: Config,
    pub counters: Counters,
    pub health: Arc<Health>,
    /// Rung after each commit that added to the outbox.
    pub published: Bell,
    /// Its promise to commit a transaction over several files.
    pub votes: Mutex<Votes>,
    /// Rung after each commit that changed sagas.
    pub sagas: Bell,
    /// Those who follow the file. Each checkpoint asks them first (`tending`).
    pub tails: Arc<Tails>,
    /// Tells this opening of the file from all others; above 0.
    pub opened: i64,
    /// The token of the file's owner; 0 while the file has none.
    token: AtomicU64,
    state: Mutex<State>,
}

/// Invariant: the queue is empty while the lease is free.
struct State {
    leased: bool,
    /// The connection while the lease is free. `None` then means that it must be opened.
    idle: Option<Box<Connection>>,
    queue: VecDeque<Arc<Oneshot<Lease>>>,
}

/// The right to write, and the group whose commit is still to come.
pub(super) struct Lease {
    /// `None` after a failure: the next holder opens it.
    connection: Option<Box<Connection>>,
    group: Vec<Arc<Oneshot<CommitOutcome>>>,
    /// When the open outer transaction began.
    open_since: Option<Instant>,
}

/// How a transaction that was ready to commit ended.
#[derive(Clone, Debug)]
pub(super) enum CommitOutcome {
    Durable,
    /// Another transaction of the group made SQLite roll all of it back. Nothing of this one is written.
    Lost,
    Failed(Error),
}

const SAVEPOINT: &str = "SAVEPOINT seam";

impl Writer {
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let mut connection = open_or_create(&config)?;
        let failed = |source| OpenError::Sqlite { path: config.path.clone(), source };
        Mark::ensure(connection.sqlite(), &config.path).map_err(failed)?;
        fault::point("open.before-log");
        match truncate_log(&connection) {
            Ok(()) => fault::point("open.after-log"),
            // No commit of this process is in doubt yet. With a full disk, reads still work.
            Err(error) if connection.ran_out_of_space(&error) => {
                tracing::warn!(path = %config.path.display(), %error, "no room to copy the write-ahead log back");
            }
            Err(source) => return Err(OpenError::Sqlite { path: config.path.clone(), source }),
        }
        let health = Arc::new(Health::new(&config.path, config.clock.clone()));
        let tails = Arc::new(Tails::of(&config.path));
        connection.tell_commits(tails.clone()).map_err(failed)?;
        let state = State { leased: false, idle: Some(Box::new(connection)), queue: VecDeque::new() };
        let mut votes = Votes::of(&config);
        if let Some(doubt) = votes.doubt(connection_of(&state)) {
            health.set_doubt(doubt);
        }
        let (published, sagas) = (Bell::default(), Bell::default());
        let opened = rand::random_range(1..=i64::MAX);
        let owner = connection_of(&state).map(|connection| Owner::read(connection.sqlite())).transpose();
        let token = owner.map_err(failed)?.flatten().map_or(0, |owner| owner.token);
        let (votes, state) = (Mutex::new(votes), Mutex::new(state));
        let (counters, fence) = (Counters::default(), AtomicU64::new(0));
        let writer = Self { config, counters, health, published, votes, sagas, tails, opened, token: fence, state };
        writer.set_token(token);
        Ok(writer)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Runs `look` on the connection if it is free now.
    pub fn if_idle(&self, look: impl FnOnce(&Connection)) {
        if let Some(connection) = &self.state.lock().idle {
            look(connection);
        }
    }

    /// From now on commits happen only while the file has this token; 0: it has no owner.
    pub fn set_token(&self, token: u64) {
        self.token.store(token, Relaxed);
        self.if_idle(|connection| self.fence(connection));
    }

    fn fence(&self, connection: &Connection) {
        match self.token.load(Relaxed) {
            0 => {}
            token => connection.set_token(token),
        }
    }

    /// How many transactions wait in the queue.
    pub fn waiting(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// Waits for the lease and opens a savepoint in the group's outer transaction.
    pub fn begin(&self, deadline: Instant) -> Result<Lease, Error> {
        self.health.usable()?;
        self.health.in_term()?;
        let lease = self.lease(deadline)?;
        self.opened(self.if_writable(lease)?)
    }

    /// The lease, unless the file is in doubt.
    fn if_writable(&self, lease: Lease) -> Result<Lease, Error> {
        let Err(error) = self.health.writable() else { return Ok(lease) };
        if let Err(lease) = self.hand_to_next(lease) {
            self.end_group(lease);
        }
        Err(error)
    }

    fn opened(&self, mut lease: Lease) -> Result<Lease, Error> {
        match self.open_savepoint(&mut lease) {
            Ok(()) => Ok(lease),
            Err(error) => {
                lease.lose_group();
                if let Some(connection) = lease.connection.take() {
                    self.note_failure(&connection, &error);
                }
                self.give_back(lease);
                Err(error)
            }
        }
    }

    fn open_savepoint(&self, lease: &mut Lease) -> Result<(), Error> {
        let outer = lease.open_since.is_none();
        let connection = self.connect(lease)?;
        if outer {
            connection.run_as_host("BEGIN IMMEDIATE").map_err(|e| connection.explain(&e))?;
        }
        connection.run_as_host(SAVEPOINT).map_err(|e| connection.explain(&e))?;
        lease.open_since.get_or_insert_with(|| self.config.clock.now());
        Ok(())
    }

    /// The lease without any open transaction, for migrations and copies. An open group is committed first.
    pub fn exclusive(&self, deadline: Instant) -> Result<Lease, Error> {
        let lease = self.lease(deadline)?;
        let mut lease = self.if_writable(lease)?;
        self.commit_group(&mut lease);
        match self.connect(&mut lease).map(|_| ()) {
            Ok(()) => Ok(lease),
            Err(error) => {
                self.give_back(lease);
                Err(error)
            }
        }
    }

    /// Gives a lease without an open transaction back. If one is open, it is rolled back.
    pub fn give_back(&self, mut lease: Lease) {
        if lease.connection.as_ref().is_some_and(|connection| !connection.is_idle()) {
            lease.roll_back_all();
        }
        lease.open_since = None;
        let mut state = self.state.lock();
        match state.queue.pop_front() {
            Some(next) => next.send(lease),
            None => {
                state.idle = lease.connection;
                state.leased = false;
            }
        }
    }

    /// Waits in the queue for the lease.
    fn lease(&self, deadline: Instant) -> Result<Lease, Error> {
        let waiter = {
            let mut state = self.state.lock();
            if !state.leased {
                state.leased = true;
                return Ok(Lease { connection: state.idle.take(), group: Vec::new(), open_since: None });
            }
            if state.queue.len() >= limits::STORE_WRITE_QUEUE_MAX {
                Counters::add(&self.counters.refused, 1);
                return Err(Error::Busy(format!("{} transactions wait already", limits::STORE_WRITE_QUEUE_MAX)));
            }
            let waiter = Arc::new(Oneshot::new());
            state.queue.push_back(waiter.clone());
            waiter
        };
        if let Some(lease) = blocking::block_in_place(|| waiter.receive_until(deadline, &self.config.clock)) {
            return Ok(lease);
        }
        Counters::add(&self.counters.refused, 1);
        let left_queue = {
            let mut state = self.state.lock();
            let at = state.queue.iter().position(|other| Arc::ptr_eq(other, &waiter));
            at.and_then(|at| state.queue.remove(at)).is_some()
        };
        if !left_queue {
            // The lease arrived in the same moment. It must go on, with the group that may wait for its commit.
            let lease = waiter.receive();
            if let Err(lease) = self.hand_to_next(lease) {
                self.end_group(lease);
            }
        }
        Err(Error::Busy("the writer was not free before the deadline".to_owned()))
    }

    /// Hands the lease to the next in the queue with its group still open. Returns it if none waits, or if the group
    /// is full or old.
    fn hand_to_next(&self, lease: Lease) -> Result<(), Lease> {
        let open_ms = lease.open_since.map_or(0, |since| self.config.clock.elapsed_since(since).as_millis());
        if lease.group.len() >= limits::STORE_GROUP_MAX || open_ms >= u128::from(limits::STORE_GROUP_MS) {
            return Err(lease);
        }
        match self.state.lock().queue.pop_front() {
            Some(next) => {
                next.send(lease);
                Ok(())
            }
            None => Err(lease),
        }
    }

    /// Commits for the group and answers it, keeps the write-ahead log short, and gives the lease back.
    fn end_group(&self, mut lease: Lease) {
        self.commit_group(&mut lease);
        if let Some(connection) = lease.connection.as_mut() {
            self.checkpoint(connection);
        }
        self.give_back(lease);
    }

    /// Commits for the group and answers it. No transaction is open afterwards.
    fn commit_group(&self, lease: &mut Lease) {
        let Some(since) = lease.open_since.take() else {
            lease.lose_group();
            return;
        };
        let Some(connection) = lease.connection.as_ref() else {
            lease.lose_group();
            return;
        };
        // Looked at again: the transactions may have run for long.
        let changes = connection.has_changed();
        let in_term = if changes { self.health.in_term() } else { Ok(()) };
        if let Err(refused) = in_term {
            for member in lease.group.drain(..) {
                member.send(CommitOutcome::Failed(refused.clone()));
            }
            lease.end_outer();
            return;
        }
        let outcome = match blocking::block_in_place(|| commit(connection)) {
            Ok(()) => self.health.look(true).map_or_else(CommitOutcome::Failed, |()| CommitOutcome::Durable),
            Err(error) => {
                let meaning = connection.explain(&error);
                self.note_failure(connection, &meaning);
                let known = match meaning {
                    Error::Full(_) => connection.ran_out_of_space(&error),
                    Error::Constraint(_) | Error::Busy(_) => true,
                    _ => false,
                };
                if known && (connection.is_idle() || connection.run_as_host("ROLLBACK").is_ok()) {
                    CommitOutcome::Failed(meaning)
                } else {
                    // Only a new connection can tell what the file holds now.
                    let path = self.config.path.display();
                    tracing::error!(%path, %error, "a commit failed, outcome unknown; opening the connection again");
                    lease.connection = None;
                    CommitOutcome::Failed(Error::Unavailable(format!(
                        "the commit failed and may or may not have happened: {meaning}"
                    )))
                }
            }
        };
        let held = self.config.clock.elapsed_since(since).as_micros();
        Counters::add(&self.counters.held_us, u64::try_from(held).unwrap_or(u64::MAX));
        if matches!(outcome, CommitOutcome::Durable) {
            Counters::add(&self.counters.groups, 1);
            if let Some(copies) = self.health.copies().filter(|_| changes) {
                copies.count_commit();
            }
        }
        for member in lease.group.drain(..) {
            member.send(outcome.clone());
        }
    }

    /// The lease's connection, opened again if a failure closed it.
    fn connect<'l>(&self, lease: &'l mut Lease) -> Result<&'l Connection, Error> {
        let connection = match lease.connection.take() {
            Some(connection) => connection,
            None => {
                self.health.usable()?;
                self.health.look(false)?;
                // Only the file tells now what was committed, and opening it copies the log back.
                self.tails.let_all_go("the host had to open the file again after a failure");
                let opened = blocking::block_in_place(|| reopen(&self.config));
                let mut opened = opened.map_err(|e| Error::Unavailable(error::chain(&e)))?;
                opened.tell_commits(self.tails.clone()).map_err(|error| opened.explain(&error))?;
                // Its log may be another: SQLite removes it with the last connection.
                self.health.opened_again()?;
                self.fence(&opened);
                opened
            }
        };
        Ok(lease.connection.insert(connection))
    }

    /// Copies the log back and closes the connection, for good.
    ///
    /// # Errors
    /// Why the log was not copied back.
    pub fn close(&self) -> Result<(), Error> {
        self.health.close();
        let deadline = self.config.clock.now() + Duration::from_millis(limits::STORE_CLOSE_MS_MAX);
        let mut lease = self.lease(deadline)?;
        self.commit_group(&mut lease);
        let closed = match lease.connection.take() {
            Some(connection) => self.end(&connection),
            None => Err(closed()),
        };
        self.give_back(lease);
        closed
    }

    /// Prepares the end of a connection. That of a file that is gone must not remove the log that another file may have
    /// by now.
    fn end(&self, connection: &Connection) -> Result<(), Error> {
        match self.health.look(true) {
            Ok(()) => {
                self.may_copy_back(connection, Lag::LetGo);
                truncate_log(connection).map_err(|error| connection.explain(&error))
            }
            Err(gone) => {
                let leave = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
                connection.sqlite().set_db_config(leave, true).map_err(|error| connection.explain(&error))?;
                Err(gone)
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(connection) = self.state.get_mut().idle.take()
            && self.health.look(true).is_err()
        {
            self.end(&connection).ok();
        }
    }
}

fn connection_of(state: &State) -> Option<&Connection> {
    state.idle.as_deref()
}

fn closed() -> Error {
    Error::Unavailable("the connection was closed after a failure".to_owned())
}

fn commit(connection: &Connection) -> rusqlite::Result<()> {
    connection.count_commit()?;
    if fault::fails("commit.before") {
        return Err(fault::disk_error());
    }
    connection.run_as_host("COMMIT")?;
    if fault::fails("commit.after") { Err(fault::disk_error()) } else { Ok(()) }
}

/// Opens the write connection after a commit whose outcome is unknown.
fn reopen(config: &Config) -> Result<Box<Connection>, OpenError> {
    let connection = open(config, Role::Writer)?;
    truncate_log(&connection).map_err(|source| OpenError::Sqlite { path: config.path.clone(), source })?;
    Ok(Box::new(connection))
}

/// Copies the write-ahead log back and cuts it. This decides a commit that failed: it has not happened, today and after
/// the next start.
fn truncate_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.run_as_host("PRAGMA wal_checkpoint(TRUNCATE)")
}
