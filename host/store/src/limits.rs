//! The bounds of a context's file and of work on the runtime's workers, each with its unit in the name and the reason
//! for its value.

// Work on a worker of the async runtime

/// How often work that holds a worker looks at its deadline. Shorter costs wake-ups, longer makes timeouts coarse.
pub const TICK_MS: u64 = 5;
/// How long a thread that gives its worker away waits for another thread to take it.
pub const WORKER_HANDOVER_US: u64 = 500;

// Stores

/// One string, blob or row in a store. Covers and notes are far below it, and SQLite's quadratic functions stay short.
pub const STORE_VALUE_BYTES_MAX: i32 = 1024 * 1024;
/// Values with which a statement may run on a worker: a call on one of them takes 1 ms. Longer ones are for statements
/// whose worker has given its other tasks away.
pub const STORE_INLINE_VALUE_BYTES: usize = 64 * 1024;
/// A statement's program, as SQLite holds it, that may run on a worker, and with which values may be as long as they
/// can; with one of twice the length, they may be half as long. What lies between two looks at the deadline then takes
/// about a second at worst. A statement of the shop has 2 to 60 KB.
pub const STORE_INLINE_PROGRAM_BYTES: usize = 64 * 1024;
/// One statement's text. Longer ones are data in the wrong place.
pub const STORE_SQL_BYTES_MAX: i32 = 128 * 1024;
/// Parameters of one statement; a longer list goes through `json_each` or `execute-many`.
pub const STORE_PARAMETERS_MAX: i32 = 4_096;
/// Rows of one result, packed. A page of a shop takes a thousandth.
pub const STORE_RESULT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Steps of SQLite's virtual machine for one statement: about a second. A scan of a million rows takes a fifth of it.
pub const STORE_STATEMENT_STEPS_MAX: u64 = 100_000_000;
/// After how many steps a statement looks at its deadline: some 3 us. One step may be a call of a function
/// that takes as long as `callable` says.
pub const STORE_PROGRESS_STEPS: u16 = 100;
/// Pattern of LIKE and GLOB, whose time is its length times that of the text.
pub const STORE_PATTERN_BYTES_MAX: i32 = 128;
/// Words that a statement searches for before it looks at its deadline again, which is more than one search; a person
/// types eight.
pub const STORE_SEARCH_WORDS_MAX: u32 = 128;
/// Those of them in one table, so of one search. The time of a `NEAR` grows with their square: with so many, a look at
/// the texts of one row takes 0.8 s at worst.
pub const STORE_TABLE_WORDS_MAX: u32 = 64;
/// Words of searches from which a statement gives its worker's other tasks away.
pub const STORE_INLINE_WORDS: u32 = 32;
/// Words of one text in a full-text index: thirty pages. The longest search in a text that says one word so many times
/// takes a tenth of a second.
pub const STORE_TEXT_WORDS_MAX: u32 = 8_192;
/// Texts of one row in a full-text index: a search goes through all of them in one call.
pub const STORE_TEXT_COLUMNS_MAX: usize = 8;
/// Prepared statements kept by a connection. A context of ten functions has some thirty.
pub const STORE_STATEMENTS_CACHED: usize = 64;
/// Connections that read one file at the same time. Reads run on workers, of which there are as many as cores.
pub const STORE_READERS_MAX: usize = 8;
/// Pages that one reader keeps; behind it is the operating system's cache.
pub const STORE_READER_CACHE_KB: u32 = 4 * 1024;
/// Pages that the writer keeps; larger, so that a transaction of some thousand rows does not spill.
pub const STORE_WRITER_CACHE_KB: u32 = 16 * 1024;
/// Memory of SQLite in the whole process: caches, sorts, intermediate tables.
pub const STORE_HEAP_MB_MAX: u64 = 1024;
/// Beyond it a statement that has run for a tick ends: what is left is for the short statements of all contexts.
pub const STORE_HEAP_MB_SCARCE: u64 = 512;
/// Beyond it SQLite uses its caches' pages again instead of taking more: eight files with their readers have caches of
/// 400 MB together, which a host reaches in days.
pub const STORE_HEAP_MB: u64 = 128;
/// Transactions that wait for one file's writer. Beyond it the caller gets an error at once.
pub const STORE_WRITE_QUEUE_MAX: usize = 256;
/// Transactions that share one commit. Past some dozens the fsync is no longer what they cost.
pub const STORE_GROUP_MAX: usize = 64;
/// How long a commit waits to be in the store of backups, where its context asks for that: a request that is tried
/// again, and less than most callers wait.
pub const STORE_COPY_MS_MAX: u64 = 5_000;
/// How long a group takes further transactions in: about one fsync, so that none waits much longer than it would alone.
pub const STORE_GROUP_MS: u64 = 5;
/// How long one transaction may hold the writer, however much time its call has left: other transactions wait for it.
pub const STORE_TRANSACTION_MS_MAX: u64 = 10_000;
/// The file with the key of a store: a passphrase, or 32 bytes in hex.
pub const STORE_KEY_BYTES_MAX: u64 = 64 * 1024;
/// The key that the host makes for an encrypted file: that of its cipher, AES-256.
pub const STORE_OWN_KEY_BYTES: usize = 32;
/// The key of a file's seals: that of the hash behind them.
pub const STORE_SEAL_KEY_BYTES: usize = 32;
/// Looking at the seals of rows at a start, then the file is taken as it is: some million rows. Each page is looked at
/// when it is read all the same.
pub const STORE_SEALS_MS_MAX: u64 = 2_000;
/// Rows that a message names which are not as they were sealed: an operator sees where to look.
pub const STORE_SEALS_NAMED_MAX: usize = 8;
/// How long a statement waits for a lock of the file, which only a checkpoint takes.
pub const STORE_LOCK_WAIT_MS: u64 = 1_000;
/// How long a backup waits for one file's writer while the commits of the others wait for it; a commit takes some
/// milliseconds, and only a transaction that is slow in itself holds the writer for longer.
pub const STORE_MOMENT_MS: u64 = 1_000;
/// The pause before a copy that finds the file locked tries again: locks last for a checkpoint, some milliseconds.
pub const STORE_COPY_RETRY_MS: u64 = 5;
/// A page of a file, and of its log: SQLite's default.
pub const STORE_PAGE_BYTES: u64 = 4096;
/// Pages by which the WAL grows until it is copied back after a commit; SQLite's own default.
pub const STORE_WAL_PAGES_CHECKPOINT: u32 = 1_000;
/// Pages in the WAL from which the writer waits for the readers to restart the log; bounds its growth to 64 MB.
pub const STORE_WAL_PAGES_RESET: u32 = 16_000;
/// WAL size that is kept on disk after a reset: growing a file again costs more than overwriting it.
pub const STORE_WAL_BYTES_KEPT: u64 = 8 * 1024 * 1024;
/// Pages that a follower of a file keeps until it is asked for them: 16 MiB, four checkpoints of a file that changes
/// another page each time. While it has so many, the log is not copied back.
pub const STORE_FOLLOW_PAGES_MAX: usize = 4_096;
/// Pages of one commit that a follower hands out: 64 MiB of memory. After a larger one, such as a restore, a new base
/// is no more work.
pub const STORE_FOLLOW_COMMIT_PAGES_MAX: usize = 16_384;
/// Frames of the log that a follower reads in one go, while a checkpoint may wait for it: some milliseconds.
pub const STORE_FOLLOW_FRAMES: u32 = 512;
/// Frames of the log that a checkpoint waits for followers to read: four times those after which one is due.
pub const STORE_FOLLOW_CATCH_UP_FRAMES: u32 = 4_000;
/// Frames that the log may hold for followers: 256 MiB. Then those that lag are let go.
pub const STORE_FOLLOW_LOG_FRAMES_MAX: u32 = 64_000;
/// Pages of the file itself that are read in one go: 1 MiB.
pub const STORE_FOLLOW_BASE_PAGES_MAX: u32 = 256;
/// All pending migrations of a context together; a large index takes seconds.
pub const STORE_MIGRATION_MS_MAX: u64 = 120_000;
/// Text of one migration.
pub const STORE_MIGRATION_BYTES_MAX: usize = 1024 * 1024;
/// `quick_check` of a file at a start, then the file is taken as it is: some 10,000 pages, and a shop of ten contexts
/// still starts within a second.
pub const STORE_CHECK_MS_MAX: u64 = 50;
/// Between two lines of the log about a store that does not work: an operator sees it, and it fills no disk.
pub const STORE_TROUBLE_LOG_S: u64 = 60;
/// Room on the disk from which a store that ran out of it works again: some commits, so that it does not fail at once.
pub const STORE_ROOM_BYTES_MIN: u64 = 128 * 1024;
/// How long the end of the host waits for one file's running transaction, to copy its log back.
pub const STORE_CLOSE_MS_MAX: u64 = 2_000;
/// Statements slower than this are logged.
pub const STORE_SLOW_MS: u64 = 100;
/// Statements that one context declares as its invariants; the largest context of the shop has eight.
pub const STORE_INVARIANTS_MAX: usize = 100;
/// The name of an invariant, and the sentence that says what holds.
pub const STORE_INVARIANT_NAME_BYTES_MAX: usize = 64;
pub const STORE_INVARIANT_SENTENCE_BYTES_MAX: usize = 1_000;
/// Violations that are shown of one invariant: enough to see what they have in common. All are counted.
pub const STORE_VIOLATIONS_SHOWN: usize = 10;
/// Characters that are shown of one value of a violation.
pub const STORE_VIOLATION_CHARS_SHOWN: usize = 200;

// Transactions over several files

/// What one file may write in such a transaction, as statements with their values: they are written twice, and run
/// again at a start after a crash.
pub const TWO_PHASE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The values of one of its statements: with them it still fits into a row.
pub const TWO_PHASE_STEP_BYTES_MAX: usize = 1024 * 1024 - 4096;

// Events

/// One event as JSON. A message says what happened; a document is for the one who asks for it.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;
/// Events that are read from an outbox at once, together: a page of them stays in the host's memory.
pub const EVENT_PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Up to how many a backlog is counted; a longer one is shown as `more`.
pub const EVENT_COUNT_MAX: u32 = 1_000_000;
/// Rows that are forgotten in one commit, so that it stays short.
pub const EVENT_FORGET_ROWS: u32 = 5_000;
/// Events of one subscription that wait for another try, or behind one that does. Beyond it the subscription takes no
/// further events; they stay in the publisher's outbox.
pub const EVENT_WAITING_MAX: u32 = 10_000;
/// Dead letters of one subscription: more than an operator looks at one by one, so something is wrong with the handler
/// and not with events. Beyond it the subscription takes no further events, which stay in the publisher's outbox, and
/// those that wait are tried further.
pub const EVENT_DEAD_MAX: u32 = 10_000;
/// Timers of one context that wait. Beyond it setting one fails, so that the caller undoes what it belongs to: a
/// context that sets one for each of a year's orders stays below it.
pub const TIMERS_MAX: u32 = 100_000;
/// Timers that move to the outbox in one commit, so that it stays short when many are due at once.
pub const TIMERS_PER_COMMIT: u32 = 200;

// Sagas

/// The id of a saga: the number of an order, or the id of a form.
pub const SAGA_ID_CHARS_MAX: usize = 64;
/// Sagas of one context in process. Beyond it starting one fails, so that the caller undoes what it belongs to: a
/// shop whose parcels all wait for a year stays below it.
pub const SAGAS_MAX: u32 = 100_000;
/// At each how-many-th start the sagas in process are counted, which takes some milliseconds at the bound.
pub const SAGAS_COUNTED_EVERY: u32 = 64;
/// How long a saga that has ended is kept: an operator asks for it within a month, or not at all.
pub const SAGAS_KEEP_S: u64 = 30 * 24 * 60 * 60;
/// Sagas that are forgotten in one commit, so that it stays short: each has some lines.
pub const SAGAS_FORGET_ROWS: u32 = 1_000;
/// Lines of one saga's timeline. Of those beyond, the oldest go, but for the first ones.
pub const SAGA_ATTEMPTS_MAX: u32 = 100;
/// Lines that always stay: how it began to fail.
pub const SAGA_ATTEMPTS_FIRST: u32 = 20;
/// A reason, a cause or an answer as it is kept.
pub const SAGA_REASON_CHARS_MAX: usize = 1_000;
