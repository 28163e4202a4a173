//! Every number that bounds something, with its unit in the name and the reason for its value.
//!
//! Defaults of what a manifest may change stand here too; nothing in the program is unbounded.

// Calls

/// Contexts on one call's way. A page needs 2; each level may take a whole wasm stack of the thread's.
pub const CALL_DEPTH_MAX: usize = 8;
/// A request from the edge, and one call into a context, unless its manifest says otherwise. Beyond that, people leave.
pub const CALL_TIMEOUT_MS: u64 = 5_000;
/// The share of its remaining time that a caller keeps back, so that it can still answer when the callee does not.
pub const CALL_RESERVE_PERCENT: u32 = 10;
/// How often running guests look at their deadline. Shorter costs wake-ups, longer makes timeouts and hand-offs coarse.
pub const EPOCH_TICK_MS: u64 = 5;
/// Calls that run in one context at the same time. Two cores run two; the rest wait for the writer or an fsync.
pub const CONTEXT_CONCURRENCY: u32 = 32;
/// Calls that may wait for one of those places. Beyond it the caller is told at once.
pub const CONTEXT_QUEUE: u32 = 128;

// Generations

/// What the calls of a replaced generation get to end: longer than any of them may take unless its manifest allows it more.
pub const DRAIN_MS_MAX: u64 = 30_000;
/// How often replaced generations are looked at.
pub const DRAIN_CHECK_MS: u64 = 250;

// Variants

/// Variants that one request may choose by header or cookie: a tester tries one or two at a time. They travel with every call.
pub const FORCED_VARIANTS_MAX: usize = 4;
/// Variants of one context, with its main one. Each call looks at as many weights.
pub const VARIANTS_MAX: usize = 8;
/// The largest weight of a variant: parts in a thousand are as fine as anybody steers, and sums stay far from overflowing.
pub const VARIANT_WEIGHT_MAX: u32 = 1_000;
/// Calls that wait for the thread of the shadows. Beyond it they are dropped and counted: a sample is enough to compare.
pub const SHADOW_QUEUE_MAX: usize = 64;
/// What all shadows of the host may take of one core; the rest of the time their thread sleeps.
pub const SHADOW_CORE_PERCENT: u32 = 20;
/// The longest that it sleeps after one call.
pub const SHADOW_REST_MS_MAX: u64 = 2_000;
/// Records of a history that a variant is told in one call. Where that takes too long, it is told fewer.
pub const FOLLOW_PAGE_RECORDS: u32 = 500;
/// One page: a slow engine takes seconds for some hundred purchases. Its own `timeout_ms` counts too.
pub const FOLLOW_CALL_MS: u64 = 60_000;
/// How often variants look for something to learn when nobody tells them that there is something.
pub const FOLLOW_LOOK_MS: u64 = 5_000;
/// How often a variant that catches up says how far it is.
pub const FOLLOW_SAY_MS: u64 = 5_000;

// Messages between contexts

/// One message over a seam, parameters or result, with what it takes to keep track of its parts. A page is a hundredth of it.
pub const SEAM_MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How deep the types of a seam may nest. What people write stays below 10; the value walk recurses once a level.
pub const SEAM_TYPE_DEPTH_MAX: usize = 32;
/// Message buffers that a thread keeps for the next calls, all together: a few ordinary messages or one large one.
pub const SEAM_POOL_BYTES: usize = 2 * 1024 * 1024;

// Recording calls

/// Calls of one context that are sampled in a second, unless the manifest says otherwise: what a person would look at, and no load.
pub const RECORD_CALLS_PER_S: u32 = 20;
/// What a manifest may raise that to; a tape takes everything.
pub const RECORD_CALLS_PER_S_MAX: u32 = 10_000;
/// Sampled calls that are kept of each function: some minutes of a quiet shop, a replay of some milliseconds.
pub const RECORD_KEPT_PER_FUNCTION: usize = 32;
/// A sampled call that takes more is not kept; a page with all it asked takes a tenth.
pub const RECORD_CALL_BYTES_MAX: usize = 512 << 10;
/// Sampled calls of one context together.
pub const RECORD_KEPT_BYTES_MAX: usize = 8 << 20;
/// Questions to other contexts that are kept of one call. A page asks five.
pub const RECORD_ASKED_MAX: usize = 256;
/// Calls on one tape: more than anybody reads as a scenario.
pub const RECORD_LOG_CALLS_MAX: usize = 2_000;
pub const RECORD_LOG_BYTES_MAX: usize = 32 << 20;
/// How long a tape may be left to run by itself.
pub const RECORD_LOG_S_MAX: u64 = 3_600;

// Guests: memory and code

/// Linear memory of one instance, all its memories together. Python guests need most of it; Rust ones 2 MiB.
pub const INSTANCE_MEMORY_MB: u64 = 64;
/// What a manifest may raise that to: each slot of the pool reserves as much address space.
pub const INSTANCE_MEMORY_MB_MAX: u64 = 256;
/// Linear memory of all live instances of a context together.
pub const CONTEXT_MEMORY_MB: u64 = 512;
/// Live instances in the whole host; idle Rust ones cost about 12 KiB, the address space of all is 600 GiB.
pub const INSTANCES_MAX: u32 = 2_000;
/// Core modules inside one component; a JavaScript or Python component has several dozen.
pub const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 60;
pub const MEMORIES_PER_COMPONENT_MAX: u32 = 10;
pub const TABLES_PER_COMPONENT_MAX: u32 = 20;
/// Entries of one table; CPython's own function table has 40,000.
pub const TABLE_ELEMENTS_MAX: usize = 50_000;
/// Wasm stack of one call level; recursion beyond it traps.
pub const WASM_STACK_KB: usize = 1 << 10;
/// Stack of every thread that runs guests: each level of a call chain may use `WASM_STACK_KB` and the host's own frames between
/// two levels stay far below the rest. Only touched pages count.
pub const THREAD_STACK_KB: usize = (WASM_STACK_KB + 512) * (CALL_DEPTH_MAX + 1);
/// The same chain on the fiber of an asynchronous `wasi:http` guest.
pub const FIBER_STACK_KB: usize = THREAD_STACK_KB;
/// `wasi:http` requests that run at the same time in the whole host; each has a fiber.
pub const FIBERS_MAX: u32 = 256;
/// What the host copies out of a guest for one call into the host.
pub const HOST_CALL_BYTES_MAX: usize = 16 << 20;
/// Resource handles of one instance. `wasi:http` needs a dozen a request.
pub const HANDLES_MAX: usize = 1_000;
/// Random bytes that a guest may ask for in one call.
pub const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// Threads that may wait in a guest's stead (for a writer, an fsync, a place). More waiters than that wait for a thread.
pub const BLOCKING_THREADS_MAX: usize = 512;

// Components

/// A `.wasm` file. CPython in a component has 18 MB.
pub const COMPONENT_MB_MAX: u64 = 64;
/// Cranelift needs about 1 GB for CPython.
pub const COMPILE_MEMORY_MB_MAX: u64 = 4 << 10;
/// CPython takes 20 s of CPU.
pub const COMPILE_CPU_S_MAX: u64 = 120;
/// What `seam dev` remembers of functions that it has compiled: several times what the shop's contexts in Rust are together.
pub const COMPILED_FUNCTIONS_MB_MAX: usize = 128;
/// Compiled components kept; a day of development makes a few hundred.
pub const COMPILED_FILES_MAX: usize = 500;
pub const COMPILE_WALL_S_MAX: u64 = 180;
/// Starting an instance: its start functions run, nothing else. Python needs 0.1 s.
pub const START_MS_MAX: u64 = 2_000;
/// How long a worker that hands its tasks on waits for another thread to take them.
pub const HANDOFF_US: u64 = 500;
/// Idle instances above what the last interval needed are dropped this often.
pub const TRIM_INTERVAL_S: u64 = 10;

// Guests: logs

/// Log text of one context; beyond it lines are counted, not kept.
pub const LOG_KB_PER_S: u64 = 64;
/// One line of a guest's log; the rest is cut off.
pub const LOG_LINE_BYTES_MAX: usize = 4 << 10;

// Stores

/// One string, blob or row in a store. Covers and notes are far below it, and functions of SQLite that take time in its square stay short.
pub const STORE_VALUE_BYTES_MAX: i32 = 1024 * 1024;
/// One statement's text. Longer ones are data in the wrong place.
pub const STORE_SQL_BYTES_MAX: i32 = 128 * 1024;
/// Parameters of one statement; a longer list goes through `json_each` or `execute-many`.
pub const STORE_PARAMETERS_MAX: i32 = 4_096;
/// Rows of one result, packed. A page of a shop takes a thousandth.
pub const STORE_RESULT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Steps of SQLite's virtual machine that one statement may take: about a second; a scan of a million rows takes a fifth of it.
pub const STORE_STATEMENT_STEPS_MAX: u64 = 100_000_000;
/// How often a running statement looks at its deadline, in steps: some 3 us. A step may be a function that takes a millisecond.
pub const STORE_PROGRESS_STEPS: u16 = 100;
/// Pattern of LIKE and GLOB, whose time is its length times that of the text.
pub const STORE_PATTERN_BYTES_MAX: i32 = 128;
/// Prepared statements kept by a connection. A context of ten functions has some thirty.
pub const STORE_STATEMENTS_CACHED: usize = 64;
/// Connections that read one file at the same time. Reads run on workers, of which there are as many as cores.
pub const STORE_READERS_MAX: usize = 8;
/// Pages that one reader keeps; the operating system's cache stands behind it.
pub const STORE_READER_CACHE_KB: u32 = 4 * 1024;
/// Pages that the writer keeps; larger, so that a transaction of some thousand rows does not spill.
pub const STORE_WRITER_CACHE_KB: u32 = 16 * 1024;
/// Memory of SQLite in the whole process: caches, sorts, intermediate tables.
pub const STORE_HEAP_MB_MAX: u64 = 1024;
/// Transactions that wait for one file's writer. Beyond it the caller is told at once.
pub const STORE_WRITE_QUEUE_MAX: usize = 256;
/// Transactions that share one commit. Past some dozens the fsync is no longer what they cost.
pub const STORE_GROUP_MAX: usize = 64;
/// How long a group takes further transactions in: about one fsync, so that nobody waits much longer than alone.
pub const STORE_GROUP_MS: u64 = 5;
/// How long one transaction may hold the writer, whatever its call has left: others wait for it.
pub const STORE_TRANSACTION_MS_MAX: u64 = 10_000;
/// How long a statement waits for a lock of the file, which only a checkpoint takes.
pub const STORE_LOCK_WAIT_MS: u64 = 1_000;
/// A page of a file, and of its log: SQLite's default.
pub const STORE_PAGE_BYTES: u64 = 4096;
/// Pages by which the WAL grows until it is copied back after a commit; SQLite's own default.
pub const STORE_WAL_PAGES_CHECKPOINT: u32 = 1_000;
/// Pages in the WAL from which the writer waits for readers so that it can begin anew; bounds its growth to 64 MB.
pub const STORE_WAL_PAGES_RESET: u32 = 16_000;
/// WAL size that is kept on disk after a reset: growing a file anew costs more than overwriting it.
pub const STORE_WAL_BYTES_KEPT: u64 = 8 * 1024 * 1024;
/// All pending migrations of a context together; a large index takes seconds.
pub const STORE_MIGRATION_MS_MAX: u64 = 120_000;
/// Text of one migration.
pub const STORE_MIGRATION_BYTES_MAX: usize = 1024 * 1024;
/// Statements slower than this are logged.
pub const STORE_SLOW_MS: u64 = 100;
// HTTP

/// Open connections. An idle one costs about 11 KiB, and 4,000 fit the usual limit on open files with room for databases.
pub const HTTP_CONNECTIONS: usize = 4_000;
/// A request's head, first byte to last. Slow mobile networks need seconds, not tens of them.
pub const HTTP_HEADER_MS: u64 = 10_000;
/// A request's head. Browsers' cookies reach 8 KiB; tokens of single sign-on 16.
pub const HTTP_HEADER_BYTES: usize = 32 << 10;
/// Header lines of one request. Browsers send 20, proxies add 10.
pub const HTTP_HEADERS: usize = 100;
/// A request's body; a buffered one is copied into the guest's memory.
pub const HTTP_BODY_BYTES: usize = 8 << 20;
/// From a request's head to the end of its body: 8 MiB at 3 Mbit/s.
pub const HTTP_BODY_MS: u64 = 20_000;
/// A buffered answer. Below `HOST_CALL_BYTES_MAX`, so that the log names the page that is too large.
pub const HTTP_RESPONSE_BYTES: usize = 12 << 20;
/// A connection without a request. Longer than the 60 s that load balancers keep theirs, so that they close first.
pub const HTTP_IDLE_MS: u64 = 75_000;
/// What accepted requests get to finish after SIGTERM. Supervisors kill after 10 s or later.
pub const HTTP_DRAIN_MS: u64 = 8_000;
/// Connections that the kernel holds while all of ours are taken.
pub const HTTP_BACKLOG: u32 = 1_024;
/// Requests at once on one HTTP/2 connection; the number that RFC 9113 recommends as a minimum.
pub const HTTP2_STREAMS: u32 = 100;
/// The pause after an accept failed for want of file descriptors: long enough for connections to end, too short to be noticed.
pub const HTTP_ACCEPT_BACKOFF_MS: u64 = 50;
/// Bodies smaller than this gain less by compression than its headers and time cost.
pub const HTTP_COMPRESS_BYTES_MIN: usize = 1 << 10;
/// Compressing more than this at once would hold the worker for longer than a tick.
pub const HTTP_COMPRESS_INLINE_BYTES: usize = 256 << 10;
/// One static file. Larger ones belong behind a server made for them.
pub const ASSET_BYTES: u64 = 16 << 20;
/// Static files kept in memory, with their compressed forms, one mount's together.
pub const ASSET_CACHE_BYTES: usize = 64 << 20;
/// Connecting to a granted host for `wasi:http`, unless the guest asks for less.
pub const OUTGOING_CONNECT_MS: u64 = 5_000;
/// What a granted host may take until its answer begins, and between two pieces of it, unless the guest asks for less.
pub const OUTGOING_SILENCE_MS: u64 = 30_000;
/// Bytes of a user agent or a path in the access log; what follows is for nobody's eyes.
pub const ACCESS_FIELD_BYTES: usize = 256;
// Manifest
/// A shared file: every context that asks for it keeps its texts.
pub const SHARED_FILE_BYTES_MAX: usize = 256 << 10;

/// A manifest. A hundred contexts need 50 KiB; what is larger is another file.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Contexts in one manifest: as many as a host's instances allow 4 of each.
pub const CONTEXTS_MAX: usize = 500;
/// What a manifest may raise `CONTEXT_MEMORY_MB` to: more than a large host has is a typing mistake.
pub const CONTEXT_MEMORY_MB_MAX: u64 = 64 << 10;
/// What a manifest may raise `CONTEXT_CONCURRENCY` to: half of all instances.
pub const CONTEXT_CONCURRENCY_MAX: u32 = 1_000;
/// What a manifest may raise `CONTEXT_QUEUE` to; each waiting call holds a thread's stack or a fiber.
pub const CONTEXT_QUEUE_MAX: u32 = 10_000;
/// What a manifest may raise `CALL_TIMEOUT_MS` to: a batch import takes minutes, a call that takes longer is a job.
pub const CALL_TIMEOUT_MS_MAX: u64 = 600_000;
/// What a manifest may raise `LOG_KB_PER_S` to: faster than a disk that has other work.
pub const LOG_KB_PER_S_MAX: u64 = 10 << 10;
/// A context's file, unless the manifest says otherwise. A million albums need 400 MB.
pub const STORE_MB: u64 = 4 << 10;
/// What a manifest may raise that to: 1 TB; a context that outgrows it is split.
pub const STORE_MB_MAX: u64 = 1 << 20;
/// What a manifest may raise `HTTP_CONNECTIONS` to: 1 GiB of idle connections.
pub const HTTP_CONNECTIONS_MAX: usize = 100_000;
/// What a manifest may raise `HTTP_HEADER_BYTES` to; no client or proxy sends as much.
pub const HTTP_HEADER_KB_MAX: usize = 256;
/// What a manifest may raise `HTTP_HEADERS` to.
pub const HTTP_HEADERS_MAX: usize = 1_000;
/// What a manifest may raise `HTTP_BODY_BYTES` to: half of an instance's memory, which holds a body twice.
pub const HTTP_BODY_KB_MAX: usize = 32 << 10;
/// What a manifest may raise the times of HTTP to: nobody waits longer than ten minutes.
pub const HTTP_MS_MAX: u64 = 600_000;
/// Days for which log files are kept, unless the manifest says otherwise: a week, to look back to the last release.
pub const LOG_DAYS: u64 = 7;
pub const LOG_DAYS_MAX: u64 = 366;

// Building

/// What a program that is only asked for its version may take. Chromium's wrapper needs half a second on a cold disk.
pub const TOOL_PROBE_MS: u64 = 10_000;
/// Source files of one context. More means that `sources` names a folder too high up.
pub const BUILD_FILES_MAX: usize = 20_000;
/// Folders inside folders of sources.
pub const BUILD_FOLDER_DEPTH_MAX: usize = 32;
/// What a build says, as far as it is kept to be shown: the end of it.
pub const BUILD_WORDS_BYTES_MAX: usize = 64 << 10;
/// A clean build of everything, host and contexts, in both profiles.
pub const DISK_FREE_GB_ADVISED: u64 = 8;
/// A connection is one descriptor, a context's store a handful.
pub const OPEN_FILES_ADVISED: u64 = 4_096;

// Watching files

/// How long a file must have been left alone before it counts as written: longer than an editor pauses between two writes.
pub const WATCH_QUIET_MS: u64 = 25;
/// A program that writes without a pause is looked at all the same.
pub const WATCH_PATIENCE_MS: u64 = 500;
/// How often everything is looked at although nothing was hinted at: what a lost hint costs.
pub const WATCH_RESCAN_MS: u64 = 2_000;
/// A file read so soon after it was written is read again: the clock of file times may stand still for as long.
pub const WATCH_RACY_MS: u64 = 50;
/// Files that are watched together: the sources of some hundred contexts.
pub const WATCH_FILES_MAX: usize = 50_000;

// Development

/// How long a stream of events says nothing: a browser that is gone is noticed by then.
pub const DEV_EVENT_PAUSE_MS: u64 = 15_000;
/// What a browser is told of one problem. A compiler's longest error is a screen or two.
pub const DEV_PROBLEM_BYTES_MAX: usize = 8 << 10;
/// Problems that a browser is told of; the terminal has them all.
pub const DEV_PROBLEMS_MAX: usize = 20;

// Scenarios

/// A file of scenarios. A hundred of them take 100 KiB; a recording may be longer.
pub const SCENARIO_FILE_BYTES_MAX: u64 = 8 << 20;
/// What a scenario's clock shows unless it says otherwise: noon, UTC, on 1 January 2026.
pub const SCENARIO_CLOCK_S: u64 = 1_767_268_800;
/// The end of the year 9999, which is as far as dates in TOML go.
pub const SCENARIO_CLOCK_S_MAX: u64 = 253_402_300_799;

// Tools: the admin socket, calls by hand, seeds, logs

/// A call that a person writes; what is longer is data.
pub const CALL_TEXT_BYTES_MAX: usize = 256 << 10;
/// A request to the admin socket: a call's text as JSON, every character escaped.
pub const ADMIN_BODY_BYTES_MAX: usize = 2 << 20;
/// What the client reads of an answer. A guest's largest result as WAVE and as JSON.
pub const ADMIN_ANSWER_BYTES_MAX: usize = 256 << 20;
/// Connections to the admin socket at the same time: people and their scripts.
pub const ADMIN_CONNECTIONS_MAX: usize = 16;
/// What a client of the admin socket gets to send its request.
pub const ADMIN_REQUEST_MS: u64 = 5_000;
/// Rows in one call of a seed: a few hundred make the commit's fsync cheap, and contexts take at most 500 to 1,000.
pub const SEED_BATCH_ROWS: usize = 500;
/// One row of a seed.
pub const SEED_ROW_BYTES_MAX: usize = 1 << 20;
/// Rows of one call, together: what a guest can hold of them in its memory several times.
pub const SEED_BATCH_BYTES: usize = 4 << 20;
/// One call of a seed. It writes 500 rows and waits for the disk.
pub const SEED_CALL_MS: u64 = 60_000;
/// The list of loaded seeds; a line for each.
pub const SEED_LIST_BYTES_MAX: u64 = 4 << 20;
/// Lines of the host's own log that wait for the disk or the terminal; beyond it they are dropped and counted, so that a full
/// disk or a stopped pipe never stops the host.
pub const LOG_LINES_WAITING_MAX: usize = 16 << 10;
/// How often the log tells of lines that it dropped: soon enough to be near the gap, too seldom to add to the flood.
pub const LOG_GAP_S: u64 = 5;
/// Bytes of lines that are written in one go.
pub const LOG_BATCH_BYTES: usize = 64 << 10;
/// How long a line may lie before it is written: too short for a person to notice, long enough for hundreds of lines under load.
pub const LOG_REST_MS: u64 = 5;
/// Lines that `seam logs` shows, unless asked for more.
pub const LOG_LINES_SHOWN: usize = 100;
/// What one may ask for: they are kept in memory until the last is found.
pub const LOG_LINES_SHOWN_MAX: usize = 100_000;
/// How often `seam logs --follow` looks.
pub const LOG_FOLLOW_MS: u64 = 200;

// Deploys

/// How long a new version is watched once it serves, unless somebody says otherwise: thousands of calls of a busy context.
pub const DEPLOY_WATCH_MS: u64 = 5_000;
pub const DEPLOY_WATCH_MS_MAX: u64 = 600_000;
/// How often a version that is watched is looked at: a twentieth of the half second in which it must be gone when it turns bad.
pub const DEPLOY_LOOK_MS: u64 = 20;
/// What of its calls is looked at together, beside all of them: a version may turn bad late.
pub const DEPLOY_WINDOW_MS: u64 = 1_000;
/// The least time that a request waits for a version on probation before it is run again with the one before.
pub const PROBATION_TIMEOUT_MS: u64 = 250;
/// Recorded calls that a new version is asked again, and what it may take for one and for all of them.
pub const DEPLOY_REPLAY_CALLS_MAX: usize = 200;
pub const DEPLOY_REPLAY_CALL_MS: u64 = 1_000;
pub const DEPLOY_REPLAY_MS: u64 = 5_000;
/// Answers that differ which are shown; more of them say the same.
pub const DEPLOY_DIFFERENCES_SHOWN: usize = 5;
/// Components kept, of all contexts together: for the way back, and to start again with what served. Most have some hundred KB.
pub const DEPLOY_COMPONENTS_MAX: usize = 60;
/// Copies of files as they were before their schema changed, all contexts together.
pub const DEPLOY_RESTORE_POINTS_MAX: usize = 6;
/// Lines of `seam history` that are kept, a context.
pub const DEPLOY_HISTORY_MAX: u32 = 200;
/// What the command waits between two steps of a deploy: the longest is to compile, or to try migrations.
pub const DEPLOY_STEP_MS: u64 = (COMPILE_WALL_S_MAX + 10) * 1_000 + STORE_MIGRATION_MS_MAX + DEPLOY_WATCH_MS_MAX;
/// What a new version may take to say how it is.
pub const DEPLOY_HEALTH_MS: u64 = 1_000;
/// What stays free on the disk beside the copies that a version is tried on.
pub const DEPLOY_DISK_MB_SPARE: u64 = 64;
/// A file up to this size is copied at each save of `seam dev`, to ask the new version how it is: some 50 ms.
pub const DEPLOY_QUICK_COPY_MB_MAX: u64 = 32;
/// Times that a version is linked anew because something else was published meanwhile.
pub const DEPLOY_ATTEMPTS: usize = 5;
