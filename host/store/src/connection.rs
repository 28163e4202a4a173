//! How a statement runs on an open connection to a context's file.
//!
//! Every statement runs inline on the caller's thread, from the cache, with its deadline set. Between two statements of
//! the context the connection runs SQL as the host.
//! Not here: how a connection is opened (`open`), who may use it (`writer`, `readers`), what SQL may do (`confine`).

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rusqlite::hooks::Wal;
use rusqlite::{CachedStatement, ErrorCode, StatementStatus, ffi};

use crate::bounded::{self, LongPrograms};
use crate::clock::Clock;
use crate::confine::Guard;
use crate::error::{Error, message};
use crate::rows::{Packer, Rows, Value};
use crate::sql::{self, Script, Statement};
use crate::tails::Tails;
use crate::{damage, limits, mark, owner, program, row_seals};

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Reader,
}

/// One SQLite connection with its guard.
pub(super) struct Connection {
    sqlite: rusqlite::Connection,
    guard: Arc<Guard>,
    role: Role,
    clock: Clock,
    /// Pages in the write-ahead log after the last commit on this connection, with those that were copied back. Its
    /// file does not say it: that stays as large as it once was, and is overwritten from its start.
    log_pages: Arc<AtomicU32>,
    /// `log_pages` when the log was last copied back.
    copied_pages: u32,
    /// SQLite's count of changed rows at the last commit that was counted.
    counted_changes: Cell<u64>,
    /// What the last error that was explained says of the file.
    fault: Cell<Option<Fault>>,
    /// Whether a commit notes how many rows are sealed.
    seals_rows: Cell<bool>,
    /// The token under which it commits; `None` while the file has no owner.
    token: Cell<Option<u64>>,
    encrypted: bool,
    long_programs: LongPrograms,
}

/// What an error says of the file.
pub(super) enum Fault {
    /// It is damaged, in SQLite's words.
    Damaged(String),
    /// A full-text index is, which its context can do by itself.
    Index,
}

/// What `query` found.
pub(super) enum Queried {
    Rows(Vec<u8>),
    /// The statement writes, and this connection only reads: the writer must run it.
    Writes,
}

impl Connection {
    pub fn new(sqlite: rusqlite::Connection, guard: Arc<Guard>, role: Role, clock: Clock) -> Self {
        Self {
            sqlite,
            guard,
            role,
            clock,
            log_pages: Arc::default(),
            copied_pages: 0,
            counted_changes: Cell::new(0),
            fault: Cell::new(None),
            seals_rows: Cell::new(false),
            token: Cell::new(None),
            encrypted: false,
            long_programs: LongPrograms::default(),
        }
    }

    /// Whether what a statement has read is compared with what SQLCipher says of the file.
    pub fn is_encrypted(&mut self, encrypted: bool) {
        self.encrypted = encrypted;
    }

    /// Has every commit say how long the write-ahead log is. Takes the place of SQLite's own checkpoints.
    pub fn count_log_pages(&mut self) -> rusqlite::Result<()> {
        let log_pages = self.log_pages.clone();
        self.sqlite.wal_hook(Some(move |_: &mut Wal, pages| {
            log_pages.store(u32::try_from(pages).unwrap_or(0), Relaxed);
            Ok(())
        }))
    }

    /// The same, and has every commit tell those who follow the file.
    pub fn tell_commits(&mut self, tails: Arc<Tails>) -> rusqlite::Result<()> {
        let log_pages = self.log_pages.clone();
        self.sqlite.wal_hook(Some(move |_: &mut Wal, pages| {
            let pages = u32::try_from(pages).unwrap_or(0);
            log_pages.store(pages, Relaxed);
            tails.committed(pages);
            Ok(())
        }))
    }

    /// How many frames the write-ahead log has, and how many of them are copied back. As it is a statement, it lets the
    /// hook of commits run that SQLite made without one, as a restore does.
    pub fn log_frames(&self) -> rusqlite::Result<(u32, u32)> {
        self.sqlite.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| {
            let frames = |column| row.get::<_, i64>(column).map(|frames| u32::try_from(frames).unwrap_or(0));
            Ok((frames(1)?, frames(2)?))
        })
    }

    /// Runs statements of the host. They are never cached: see `confine`.
    pub fn run_as_host(&self, sql: &str) -> rusqlite::Result<()> {
        self.sqlite.execute_batch(sql)
    }

    /// The first column of the first row of a host statement, as text.
    pub fn host_text(&self, sql: &str) -> rusqlite::Result<String> {
        self.sqlite.query_row(sql, [], |row| match row.get_ref(0)? {
            rusqlite::types::ValueRef::Text(text) => Ok(String::from_utf8_lossy(text).into_owned()),
            rusqlite::types::ValueRef::Integer(i) => Ok(i.to_string()),
            _ => Ok(String::new()),
        })
    }

    /// The pages of the write-ahead log, if it has grown enough since the last time to be copied back.
    pub fn checkpoint_due(&mut self) -> Option<u32> {
        let pages = self.log_pages.load(Relaxed);
        if pages < self.copied_pages {
            // The log was overwritten from its start.
            self.copied_pages = 0;
        }
        let due = pages - self.copied_pages >= limits::STORE_WAL_PAGES_CHECKPOINT;
        due.then(|| {
            self.copied_pages = pages;
            pages
        })
    }

    /// Whether rows have changed since the last commit that was counted.
    pub fn has_changed(&self) -> bool {
        self.sqlite.total_changes() != self.counted_changes.get()
    }

    /// Counts the commit that is about to end the open transaction, as a part of it, unless no row has changed: such a
    /// commit writes nothing.
    pub fn count_commit(&self) -> rusqlite::Result<()> {
        if !self.has_changed() {
            return Ok(());
        }
        if let Some(token) = self.token.get() {
            owner::check(&self.sqlite, token)?;
        }
        self.run_as_host(if self.seals_rows.get() { mark::ADVANCE_SEALED } else { mark::ADVANCE })?;
        self.counted_changes.set(self.sqlite.total_changes());
        Ok(())
    }

    /// From now on each commit notes how many rows are sealed, if any are.
    pub fn count_seals(&self) -> rusqlite::Result<()> {
        self.seals_rows.set(row_seals::are_in(&self.sqlite)?);
        Ok(())
    }

    /// From now on a commit happens only while the file has this token.
    pub fn set_token(&self, token: u64) {
        self.token.set(Some(token));
    }

    pub fn sqlite(&self) -> &rusqlite::Connection {
        &self.sqlite
    }

    /// To copy another file over this one.
    pub fn sqlite_mut(&mut self) -> &mut rusqlite::Connection {
        &mut self.sqlite
    }

    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Whether no transaction is open: none of ours, and none that SQLite would still have to end.
    pub fn is_idle(&self) -> bool {
        self.sqlite.is_autocommit()
    }

    /// Runs one statement of a context and packs its rows.
    pub fn query(&self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<Queried, Error> {
        self.armed(deadline, |connection| {
            let mut statement = connection.prepare(sql)?;
            let program = connection.long_programs.bytes(&connection.sqlite, sql, &statement);
            if statement.readonly() {
                let read = || connection.rows(&mut statement, params);
                return bounded::read(&connection.sqlite, &connection.guard, program, params, read).map(Queried::Rows);
            }
            if connection.role == Role::Reader {
                return Ok(Queried::Writes);
            }
            connection.keeps_transaction(&statement, sql)?;
            let write = || connection.rows(&mut statement, params);
            bounded::away(&connection.sqlite, program, write).map(Queried::Rows)
        })
    }

    fn rows(&self, statement: &mut CachedStatement<'_>, params: &[Value<'_>]) -> Result<Vec<u8>, Error> {
        bind(statement, params)?;
        let mut rows = statement.raw_query();
        let first = rows.next().map_err(|e| self.explain(&e))?;
        // Only the first step notices that the schema changed since the statement was prepared: before it, `SELECT *`
        // may still have its old columns.
        let columns = first.map(|row| row.as_ref().column_count());
        let Some(columns) = columns else {
            drop(rows);
            return Ok(Packer::new(statement.column_count(), limits::STORE_RESULT_BYTES_MAX).finish());
        };
        let mut packer = Packer::new(columns, limits::STORE_RESULT_BYTES_MAX);
        let mut row = first;
        while let Some(cells) = row {
            for column in 0..columns {
                packer.push(cells.get_ref(column).map_err(|e| self.explain(&e))?)?;
            }
            row = rows.next().map_err(|e| self.explain(&e))?;
        }
        Ok(packer.finish())
    }

    /// Runs one writing statement of a context; how many rows it changed.
    pub fn execute(&self, sql: &str, params: &[Value<'_>], deadline: Instant) -> Result<u64, Error> {
        self.armed(deadline, |connection| {
            let mut statement = connection.prepare_writing(sql)?;
            let program = connection.long_programs.bytes(&connection.sqlite, sql, &statement);
            bounded::away(&connection.sqlite, program, || connection.step(&mut statement, params))
        })
    }

    /// The same statement for every packed row; how many rows they changed. The bound on work holds for each row.
    pub fn execute_many(&self, sql: &str, packed: &[u8], deadline: Instant) -> Result<u64, Error> {
        let mut rows = Rows::new(packed)?;
        let mut row = Vec::with_capacity(rows.columns());
        self.armed(deadline, |connection| {
            let mut statement = connection.prepare_writing(sql)?;
            let program = connection.long_programs.bytes(&connection.sqlite, sql, &statement);
            bounded::away(&connection.sqlite, program, || {
                let mut changed = 0;
                while rows.next_into(&mut row)? {
                    connection.guard.arm(deadline);
                    changed += connection.step(&mut statement, &row)?;
                }
                Ok(changed)
            })
        })
    }

    /// Whether a context's statement writes. One that may write something else when it is run again is denied.
    pub fn writes_the_same_again(&self, sql: &str, deadline: Instant) -> Result<bool, Error> {
        self.armed(deadline, |connection| {
            if connection.prepare(sql)?.readonly() {
                return Ok(false);
            }
            match program::volatile_function(&connection.sqlite, sql).map_err(|e| connection.explain(&e))? {
                None => Ok(true),
                Some(function) => Err(Error::Denied(format!(
                    "`{function}` may give another value when the statement is run again after a crash; in a \
                     transaction over several files, give the value as a parameter"
                ))),
            }
        })
    }

    /// Writes the changes of the open transaction to the log, where they count once it commits: a disk that has no room
    /// for them says so now.
    pub fn flush(&self) -> Result<(), Error> {
        // SAFETY: the handle is that of the open connection we hold.
        let code = unsafe { ffi::sqlite3_db_cacheflush(self.sqlite.handle()) };
        match code {
            ffi::SQLITE_OK => Ok(()),
            code => Err(self.explain(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))),
        }
    }

    /// Whether rows violate foreign keys that SQLite checks at the end of the transaction.
    pub fn violates_deferred_keys(&self) -> bool {
        let (mut now, mut highest) = (0, 0);
        // SAFETY: the handle is that of the open connection we hold, and both pointers outlive the call.
        let code = unsafe {
            let handle = self.sqlite.handle();
            ffi::sqlite3_db_status(handle, ffi::SQLITE_DBSTATUS_DEFERRED_FKS, &raw mut now, &raw mut highest, 0)
        };
        code == ffi::SQLITE_OK && now != 0
    }

    /// Whether `error`, the last failure, means that there is no room: on the disk, in a quota, or under a file-size
    /// limit. A full disk has a code of its own in SQLite, which then forgets the system's error.
    pub fn ran_out_of_space(&self, error: &rusqlite::Error) -> bool {
        if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
            return true;
        }
        self.lacked_room()
    }

    /// Whether the system's last error on this connection was that there is no room.
    pub fn lacked_room(&self) -> bool {
        // SAFETY: the handle is that of the open connection we hold.
        let errno = unsafe { ffi::sqlite3_system_errno(self.sqlite.handle()) };
        use rustix::io::Errno;
        [Errno::NOSPC, Errno::FBIG, Errno::DQUOT].iter().any(|e| e.raw_os_error() == errno)
    }

    /// What the last error that was explained says of the file; once.
    pub fn take_fault(&self) -> Option<Fault> {
        self.fault.take()
    }

    /// What an error of SQLite means. If one of the hooks caused it, in the words of that hook.
    pub fn explain(&self, error: &rusqlite::Error) -> Error {
        let index = || damage::is_of_an_index(error).then_some(Fault::Index);
        self.fault.set(damage::of(error).map(Fault::Damaged).or_else(index));
        let refusal = self.guard.refusal();
        match (Error::of(error), refusal) {
            (Error::Denied(_), Some(why)) => Error::Denied(why),
            (Error::Interrupted(_), Some(why)) => Error::Interrupted(why),
            (Error::TooLarge(_), Some(why)) => Error::TooLarge(why),
            (_, Some(why)) if is_auth(error) => Error::Denied(why),
            (Error::Invalid(text), _) if text.contains("may not be modified") => Error::Denied(text),
            (meaning, _) => meaning,
        }
    }

    pub fn armed<T>(&self, deadline: Instant, run: impl FnOnce(&Self) -> Result<T, Error>) -> Result<T, Error> {
        self.guard.arm(deadline);
        let result = run(self);
        self.guard.disarm();
        match self.broken_encryption() {
            Some(found) => {
                self.fault.set(Some(Fault::Damaged(found.clone())));
                Err(Error::Unavailable(found))
            }
            None => result,
        }
    }

    /// Whether a page of an encrypted file did not fit its key, in words.
    fn broken_encryption(&self) -> Option<String> {
        // Outside of a transaction that writes, SQLCipher makes the connection one that only reads, which costs less to
        // see than to ask.
        let reads = self.role == Role::Reader;
        if !self.encrypted || (reads && self.sqlite.is_readonly(rusqlite::MAIN_DB).is_ok_and(|only| !only)) {
            return None;
        }
        damage::of_encryption(&self.sqlite)
    }

    /// Adds the text of every statement that is kept.
    pub fn statements(&self, all: &mut std::collections::BTreeSet<String>) {
        self.each_statement(|statement| {
            // SAFETY: the statement is there, and so is its text until it is ended.
            unsafe {
                let text = ffi::sqlite3_sql(statement);
                if !text.is_null() {
                    all.insert(std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned());
                }
            }
        });
    }

    /// Has every kept statement looked at once more before it runs: the schema has changed.
    pub fn distrust_statements(&self) {
        // SAFETY: the statement is there; its count of runs becomes 0.
        self.each_statement(|statement| unsafe {
            ffi::sqlite3_stmt_status(statement, ffi::SQLITE_STMTSTATUS_RUN, 1);
        });
    }

    fn each_statement(&self, mut each: impl FnMut(*mut ffi::sqlite3_stmt)) {
        // SAFETY: the handle is that of the open connection we hold. No other thread uses the connection while this one
        // walks its statements, and none is ended meanwhile.
        unsafe {
            let mut statement = ffi::sqlite3_next_stmt(self.sqlite.handle(), std::ptr::null_mut());
            while !statement.is_null() {
                each(statement);
                statement = ffi::sqlite3_next_stmt(self.sqlite.handle(), statement);
            }
        }
    }

    /// Whether a context's statement can be prepared on the file as it is. Nothing is run.
    pub fn accepts(&self, sql: &str) -> Result<(), Error> {
        let deadline = self.clock.now() + Duration::from_millis(limits::STORE_LOCK_WAIT_MS);
        self.armed(deadline, |connection| {
            // Not from the cache: a statement that is kept there may not fit any more.
            connection.prepare_apart(sql).map(drop)
        })
    }

    /// Prepares a statement, which the cache neither holds nor gets. The caller has armed the guard.
    pub fn prepare_apart(&self, sql: &str) -> Result<rusqlite::Statement<'_>, Error> {
        self.readable(sql)?;
        self.sqlite.prepare(sql).map_err(|e| self.explain(&e))
    }

    /// The next statement of a context's script. Nothing is run.
    pub fn next_of(&self, script: &mut Script, deadline: Instant) -> Result<Option<Statement>, Error> {
        self.armed(deadline, |connection| Ok(script.next(&connection.sqlite)))
    }

    /// Refuses a text that SQLite and `rusqlite` do not read alike and to its end.
    fn readable(&self, sql: &str) -> Result<(), Error> {
        sql::without_zero(sql)?;
        sql::without_odd_blanks(sql)?;
        sql::countable(&self.sqlite, sql)
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, Error> {
        self.readable(sql)?;
        self.sqlite.prepare_cached(sql).map_err(|e| self.explain(&e))
    }

    fn prepare_writing(&self, sql: &str) -> Result<CachedStatement<'_>, Error> {
        let statement = self.prepare(sql)?;
        if statement.readonly() && statement.column_count() > 0 {
            return Err(Error::Invalid("`execute` is for statements that write; `query` returns rows".to_owned()));
        }
        self.keeps_transaction(&statement, sql)?;
        Ok(statement)
    }

    /// Denies a statement that can end the transaction, which is the group's. One that has run since the
    /// schema changed is looked at no more.
    fn keeps_transaction(&self, statement: &CachedStatement<'_>, sql: &str) -> Result<(), Error> {
        // A text with no statement in it is readonly, and has no status.
        if !statement.readonly()
            && statement.get_status(StatementStatus::Run) == 0
            && program::ends_transaction(&self.sqlite, sql).map_err(|e| self.explain(&e))?
        {
            let why =
                "it ends the transaction, which `store` does (ROLLBACK to resolve a conflict, VACUUM); use OR ABORT";
            return Err(Error::Denied(why.to_owned()));
        }
        Ok(())
    }

    fn step(&self, statement: &mut CachedStatement<'_>, params: &[Value<'_>]) -> Result<u64, Error> {
        bind(statement, params)?;
        // Rows of a RETURNING clause are skipped: the caller asked for the writes alone.
        let mut rows = statement.raw_query();
        while rows.next().map_err(|e| self.explain(&e))?.is_some() {}
        drop(rows);
        Ok(self.sqlite.changes())
    }
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
    let message = message(error);
    message.contains("not authorized") || message.contains("prohibited")
}
