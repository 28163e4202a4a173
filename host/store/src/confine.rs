//! What SQL may do on a connection: whose it is (the host's, a context's, a migration's), which objects it may use, how
//! long it may run and how much work it may do.
//!
//! Invariants: a context's SQL sees neither another file nor the host's tables (`seam_...`). It begins and ends no
//! transaction, and changes the schema in a migration only. The host's statements never enter the cache from which
//! contexts' statements come: SQLite asks the authorizer only when it prepares a statement.
//! Not here: the encoding of rows, who gets the connection.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ffi};

use crate::callable::callable;
use crate::clock::Clock;
use crate::lane::{Lane, Turn};
use crate::{blocking, limits};

/// The names of the host's own tables begin with it. A context can neither read, write nor create such a table.
pub(super) const HOST_PREFIX: &str = "seam_";

/// Whose SQL the connection runs now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Origin {
    /// The host: may do everything.
    Host,
    /// A context: may use rows, never the schema.
    Context,
    /// A migration: may change the context's schema too.
    Migration,
}

/// Shared by a connection's hooks and the code that runs statements on it.
pub(super) struct Guard {
    clock: Clock,
    origin: AtomicU8,
    /// In nanoseconds since `EPOCH`, as is the next one.
    deadline: AtomicU64,
    /// When the statement gives its worker's other tasks away.
    yield_at: AtomicU64,
    /// The virtual machine's steps that the statement may still take.
    steps_left: AtomicU64,
    /// Words of full-text queries since the statement looked at its deadline.
    words: AtomicU32,
    /// How often it has looked: what a table counts of them belongs to one look.
    looks: AtomicU32,
    /// Where long statements take turns; the writer has none, since one statement at a time writes.
    lane: OnceLock<Arc<Lane>>,
    /// Whether the statement is a long one, which has a `turn`: the others need not lock it.
    is_long: AtomicBool,
    turn: Mutex<Option<Turn>>,
    /// Whether a trigger of the host is being prepared that seals a row.
    sealing: AtomicBool,
    /// Why the authorizer or the progress handler refused, for the error's text.
    refusal: Mutex<Option<String>>,
}

/// Words for which one full-text table is searched between two looks at the deadline.
#[derive(Clone, Copy, Default)]
pub(super) struct TableWords {
    looks: u32,
    words: u32,
}

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

fn nanos(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*EPOCH).as_nanos()).unwrap_or(u64::MAX)
}

const TICK_NS: u64 = limits::TICK_MS * 1_000_000;
const NO_BOUND: u64 = u64::MAX;

impl Guard {
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            origin: AtomicU8::new(Origin::Host as u8),
            deadline: AtomicU64::new(NO_BOUND),
            yield_at: AtomicU64::new(NO_BOUND),
            steps_left: AtomicU64::new(NO_BOUND),
            words: AtomicU32::new(0),
            looks: AtomicU32::new(0),
            lane: OnceLock::new(),
            is_long: AtomicBool::new(false),
            turn: Mutex::new(None),
            sealing: AtomicBool::new(false),
            refusal: Mutex::new(None),
        }
    }

    /// Long statements on this connection take turns with those of others in `lane`.
    pub fn share(&self, lane: Arc<Lane>) {
        let _ = self.lane.set(lane);
    }

    /// Before a context's statement.
    pub fn arm(&self, deadline: Instant) {
        self.arm_as(Origin::Context, deadline, limits::STORE_STATEMENT_STEPS_MAX);
    }

    /// Before a migration: bounded by time alone, because it may rewrite every row of a large file.
    pub fn arm_migration(&self, deadline: Instant) {
        self.arm_as(Origin::Migration, deadline, NO_BOUND);
    }

    /// Before a context's statement that reads a whole file: bounded by time alone.
    pub fn arm_examination(&self, deadline: Instant) {
        self.arm_as(Origin::Context, deadline, NO_BOUND);
    }

    /// Before a statement of the host that reads a whole file.
    pub fn arm_host(&self, deadline: Instant) {
        self.arm_as(Origin::Host, deadline, NO_BOUND);
    }

    fn arm_as(&self, origin: Origin, deadline: Instant, steps: u64) {
        self.deadline.store(nanos(deadline), Relaxed);
        self.yield_at.store(nanos(self.clock.now()) + TICK_NS, Relaxed);
        self.steps_left.store(steps, Relaxed);
        self.count_words_from_zero();
        self.origin.store(origin as u8, Relaxed);
    }

    /// After the statement, and before those of the host.
    pub fn disarm(&self) {
        self.deadline.store(NO_BOUND, Relaxed);
        self.yield_at.store(NO_BOUND, Relaxed);
        self.steps_left.store(NO_BOUND, Relaxed);
        self.origin.store(Origin::Host as u8, Relaxed);
        // One thread at a time uses the connection, so its own order of these is enough.
        if self.is_long.load(Relaxed) {
            self.is_long.store(false, Relaxed);
            drop(self.turn.lock().take());
        }
    }

    /// Before a stretch that may be long, and after each tick: gives the worker away, and waits until it is this
    /// statement's turn among the long ones. `false` if its deadline passed meanwhile.
    pub fn take_turns(&self) -> bool {
        let deadline = self.deadline.load(Relaxed);
        if deadline == NO_BOUND {
            // The host's own, which nothing would end.
            return true;
        }
        blocking::yield_worker();
        let Some(lane) = self.lane.get() else { return true };
        self.is_long.store(true, Relaxed);
        let mut turn = self.turn.lock();
        if turn.is_some() && !lane.is_waited_for() {
            return true;
        }
        drop(turn.take());
        let deadline = *EPOCH + Duration::from_nanos(deadline);
        *turn = blocking::block_in_place(|| lane.enter(deadline));
        if turn.is_none() {
            self.refuse("the call's deadline passed while the statement waited for longer ones of its context");
        }
        turn.is_some()
    }

    /// Why a hook refused the last statement, if one did.
    pub fn refusal(&self) -> Option<String> {
        self.refusal.lock().take()
    }

    pub fn count_words_from_zero(&self) {
        self.words.store(0, Relaxed);
        self.looks.fetch_add(1, Relaxed);
    }

    /// Whether a full-text query may have another word. `of_table` counts those of the query's table.
    pub fn may_search_for_one_more(&self, of_table: &mut TableWords) -> bool {
        let looks = self.looks.load(Relaxed);
        if of_table.looks != looks {
            *of_table = TableWords { looks, words: 0 };
        }
        of_table.words += 1;
        let words = self.words.fetch_add(1, Relaxed) + 1;
        if words == limits::STORE_INLINE_WORDS {
            // If its turn does not come in time, the next look at the deadline ends it.
            let _ = self.take_turns();
        }
        if words > limits::STORE_SEARCH_WORDS_MAX {
            let most = limits::STORE_SEARCH_WORDS_MAX;
            self.refuse(format!("the statement searches for more than {most} words at once; search for fewer"));
            return false;
        }
        if of_table.words > limits::STORE_TABLE_WORDS_MAX {
            let most = limits::STORE_TABLE_WORDS_MAX;
            let why = format!("the statement searches one table for more than {most} words at once; search for fewer");
            self.refuse(why);
            return false;
        }
        true
    }

    /// Whether a text of so many words may enter an index. The host's own work on a file has no such bound.
    pub fn may_index_text_of(&self, words: u32) -> bool {
        let allowed = words <= limits::STORE_TEXT_WORDS_MAX || self.origin.load(Relaxed) == Origin::Host as u8;
        if !allowed {
            let most = limits::STORE_TEXT_WORDS_MAX;
            self.refuse(format!("a full-text index takes texts of at most {most} words; index it in parts"));
        }
        allowed
    }

    fn refuse(&self, why: impl Into<String>) {
        *self.refusal.lock() = Some(why.into());
    }

    /// Runs every `STORE_PROGRESS_STEPS` steps of SQLite's virtual machine; `true` interrupts the statement.
    pub fn progress(&self) -> bool {
        self.count_words_from_zero();
        let left = self.steps_left.load(Relaxed);
        if left != NO_BOUND {
            self.steps_left.store(left.saturating_sub(u64::from(limits::STORE_PROGRESS_STEPS)), Relaxed);
        }
        if left == 0 {
            self.refuse(format!("the statement took more than {} steps", limits::STORE_STATEMENT_STEPS_MAX));
            return true;
        }
        let deadline = self.deadline.load(Relaxed);
        if deadline == NO_BOUND {
            return false;
        }
        let now = nanos(self.clock.now());
        if now >= deadline {
            self.refuse("the call's deadline passed while the statement ran");
            return true;
        }
        if now >= self.yield_at.load(Relaxed) {
            if memory_is_scarce() {
                let most = limits::STORE_HEAP_MB_SCARCE;
                self.refuse(format!("SQLite's memory in this host is above {most} MB; read, sort or group fewer rows"));
                return true;
            }
            if !self.take_turns() {
                return true;
            }
            self.yield_at.store(nanos(self.clock.now()) + TICK_NS, Relaxed);
        }
        false
    }

    /// Whether a trigger of the host seals a row. Only a trigger writes under a name, and none but the host's has such
    /// a name; a part of a query may have it (`WITH seam_x AS ...`), so reading and calling are not let through by it.
    /// The function that seals is called in the values of that very INSERT.
    fn seals(&self, context: &AuthContext<'_>) -> bool {
        match context.action {
            AuthAction::Insert { table_name: "seam_seals" } => {
                let own = context.accessor.is_some_and(|trigger| starts_with(trigger, HOST_PREFIX));
                self.sealing.store(own, Relaxed);
                own
            }
            AuthAction::Function { function_name: "seam_seal" } => self.sealing.swap(false, Relaxed),
            _ => false,
        }
    }

    fn authorize(&self, context: &AuthContext<'_>) -> Authorization {
        let verdict = match self.origin.load(Relaxed) {
            s if s == Origin::Host as u8 => return Authorization::Allow,
            _ if self.seals(context) => return Authorization::Allow,
            s if s == Origin::Migration as u8 => match context.action {
                // ANALYZE without a name goes through all tables and skips those of the host.
                AuthAction::Analyze { table_name } if starts_with(table_name, HOST_PREFIX) => {
                    return Authorization::Ignore;
                }
                ref action => for_migration(action),
            },
            _ => for_context(&context.action),
        };
        match verdict {
            Ok(()) => Authorization::Allow,
            Err(why) => {
                self.refuse(why);
                Authorization::Deny
            }
        }
    }
}

/// Whether statements that have run for a while should end, so that the short ones of others still get memory.
fn memory_is_scarce() -> bool {
    // SAFETY: the call reads a counter of the process.
    let used = unsafe { ffi::sqlite3_memory_used() };
    u64::try_from(used).unwrap_or(0) > limits::STORE_HEAP_MB_SCARCE << 20
}

/// The switches, limits and hooks that every connection has, whatever it is used for.
pub(super) fn confine(conn: &mut Connection, guard: &Arc<Guard>) -> rusqlite::Result<()> {
    for (switch, on) in SWITCHES {
        conn.set_db_config(*switch, *on)?;
    }
    for (limit, value) in LIMITS {
        conn.set_limit(*limit, *value)?;
    }
    let hooked = guard.clone();
    conn.authorizer(Some(move |context: AuthContext<'_>| hooked.authorize(&context)))?;
    let hooked = guard.clone();
    conn.progress_handler(i32::from(limits::STORE_PROGRESS_STEPS), Some(move || hooked.progress()))
}

const SWITCHES: &[(DbConfig, bool)] = &[
    // No writes to sqlite_schema, to the shadow tables of FTS5, no PRAGMA that corrupts a file.
    (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
    // Functions and virtual tables that are not innocuous do not run from views, triggers, indexes and defaults.
    (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
    (DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false),
    // fts3_tokenizer() takes addresses of functions.
    (DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false),
    // "misspelt" is an error, not a string.
    (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
    (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
    // A plan does not depend on the parameters. Otherwise SQLite would prepare a cached statement again for each `LIMIT
    // ?`, which costs more than running it.
    (DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true),
    // ATTACH is refused anyway; these hold should that ever fail.
    (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false),
    (DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false),
];

/// The numbers from `limits` have their reasons there; the others follow SQLite's advice for untrusted SQL.
const LIMITS: &[(Limit, i32)] = &[
    (Limit::SQLITE_LIMIT_LENGTH, limits::STORE_VALUE_BYTES_MAX),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, limits::STORE_SQL_BYTES_MAX),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, limits::STORE_PARAMETERS_MAX),
    (Limit::SQLITE_LIMIT_COLUMN, 256),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Limit::SQLITE_LIMIT_VDBE_OP, 50_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, limits::STORE_PATTERN_BYTES_MAX),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 16),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// Virtual tables that a context may have: search, and the words of a search. What is not used is not offered: each
/// module is code that a context's rows and words reach.
const MODULES: &[&str] = &["fts5", "fts5vocab"];

/// Tables of SQLite that show more than the context's rows: pages, memory, statements, the storage of other tables.
const TABLES_REFUSED: &[&str] =
    &["dbstat", "fts3tokenize", "sqlite_dbpage", "sqlite_memstat", "sqlite_stmt", "bytecode", "tables_used"];

type Verdict = Result<(), String>;

fn for_context(action: &AuthAction<'_>) -> Verdict {
    match *action {
        AuthAction::Select | AuthAction::Recursive => Ok(()),
        AuthAction::Read { table_name, .. } => readable(table_name),
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name } => {
            if starts_with(table_name, "sqlite_") {
                return Err(format!("`{table_name}` belongs to SQLite"));
            }
            readable(table_name)
        }
        AuthAction::Function { function_name } => callable(function_name),
        // FTS5 uses it to notice that its index changed.
        AuthAction::Pragma { pragma_name: "data_version", pragma_value: None } => Ok(()),
        ref other => Err(match other {
            AuthAction::Transaction { .. } | AuthAction::Savepoint { .. } => {
                "the functions of `store` begin and end transactions, SQL does not".to_owned()
            }
            AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
                "ATTACH, DETACH and VACUUM are not for contexts: a context has one file".to_owned()
            }
            AuthAction::Pragma { pragma_name, .. } => format!("PRAGMA {pragma_name} is not for contexts"),
            _ => "only migrations change the schema".to_owned(),
        }),
    }
}

fn for_migration(action: &AuthAction<'_>) -> Verdict {
    match *action {
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name }
        | AuthAction::CreateTable { table_name }
        | AuthAction::DropTable { table_name }
        | AuthAction::AlterTable { table_name, .. }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::DropIndex { table_name, .. }
        | AuthAction::DropTrigger { table_name, .. }
        | AuthAction::DropVtable { table_name, .. }
        | AuthAction::Analyze { table_name } => readable(table_name),
        AuthAction::CreateTrigger { trigger_name, table_name } => readable(trigger_name).and(readable(table_name)),
        AuthAction::CreateView { view_name } | AuthAction::DropView { view_name } => readable(view_name),
        AuthAction::Reindex { .. } => Ok(()),
        // ALTER TABLE reads it to check that a new column's constraint holds for the rows that are there.
        AuthAction::Read { table_name: "pragma_quick_check", .. }
        | AuthAction::Pragma { pragma_name: "quick_check", .. } => Ok(()),
        AuthAction::CreateVtable { table_name, module_name } => {
            if !MODULES.iter().any(|m| m.eq_ignore_ascii_case(module_name)) {
                return Err(format!(
                    "virtual tables of `{module_name}` are not for contexts; offered are {}",
                    MODULES.join(", ")
                ));
            }
            readable(table_name)
        }
        AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. } => Err("temporary objects would outlive the call".to_owned()),
        ref other => for_context(other),
    }
}

fn readable(table: &str) -> Verdict {
    if starts_with(table, HOST_PREFIX) {
        return Err(format!("`{table}` belongs to the host, as do all names that begin with `{HOST_PREFIX}`"));
    }
    if starts_with(table, "pragma_") || TABLES_REFUSED.iter().any(|t| t.eq_ignore_ascii_case(table)) {
        return Err(format!("`{table}` is not for contexts"));
    }
    Ok(())
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.as_bytes().get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn a_statement_without_a_turn_ends_without_a_lock() {
        let guard = Arc::new(Guard::new(Clock::system()));
        let held = guard.turn.lock();
        let (ended, has_ended) = std::sync::mpsc::channel();
        let other = guard.clone();
        std::thread::spawn(move || {
            other.arm(Instant::now() + SOON);
            other.disarm();
            ended.send(()).unwrap();
        });
        has_ended.recv_timeout(SOON).unwrap();
        drop(held);
    }

    #[test]
    fn a_turn_ends_with_its_statement() {
        let lane = Lane::with_turns(1, Clock::system());
        let guard = Guard::new(Clock::system());
        guard.share(lane.clone());
        for _ in 0..2 {
            guard.arm(Instant::now() + SOON);
            assert!(guard.take_turns() && lane.enter(Instant::now()).is_none());
            guard.disarm();
            assert!(lane.enter(Instant::now()).is_some());
        }
    }
}
