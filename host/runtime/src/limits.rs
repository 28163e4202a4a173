//! Bounds of contexts at run time, with the unit in each name and the reason for each value.
//!
//! Defaults of what a manifest may change stand here too. Nothing in the runtime is unbounded. The bounds of the store stand in
//! `seam_store::limits`.

/// Of the store's bounds, those that the floors above it keep to as well.
pub use seam_store::limits::{STORE_MIGRATION_MS_MAX, STORE_PARAMETERS_MAX, STORE_SLOW_MS};

/// How often running guests look at their deadline: as often as SQL that runs for long.
pub const EPOCH_TICK_MS: u64 = seam_store::limits::TICK_MS;

// Calls

/// Contexts on one call's way. A page needs 2; each level may take a whole wasm stack of the thread's.
pub const CALL_DEPTH_MAX: usize = 8;
/// A request from the edge, and one call into a context, unless its manifest says otherwise. Beyond that, people leave.
pub const CALL_TIMEOUT_MS: u64 = 5_000;
/// The share of its remaining time that a caller keeps back, so that it can still answer when the callee does not.
pub const CALL_RESERVE_PERCENT: u32 = 10;
/// Calls that run in one context at the same time. Two cores run two; the rest wait for the writer or an fsync.
pub const CONTEXT_CONCURRENCY: u32 = 32;
/// Calls that may wait for one of those places. Beyond it the caller is told at once.
pub const CONTEXT_QUEUE: u32 = 128;

// Generations

/// What the calls of a replaced generation get to end: longer than any of them may take unless its manifest allows it more.
pub const DRAIN_MS_MAX: u64 = 30_000;
/// How often replaced generations are looked at.
pub const DRAIN_CHECK_MS: u64 = 250;

/// The least time that a request waits for a version on probation before it is run again with the one before.
pub const PROBATION_TIMEOUT_MS: u64 = 250;

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

// Stores

/// A context's file, unless the manifest says otherwise. A million albums need 400 MB.
pub const STORE_MB: u64 = 4 << 10;

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
/// Idle instances above what the last interval needed are dropped this often.
pub const TRIM_INTERVAL_S: u64 = 10;

// Guests: logs

/// Log text of one context; beyond it lines are counted, not kept.
pub const LOG_KB_PER_S: u64 = 64;
/// One line of a guest's log; the rest is cut off.
pub const LOG_LINE_BYTES_MAX: usize = 4 << 10;

// Guests: requests to other machines

/// Connecting to a granted host for `wasi:http`, unless the guest asks for less.
pub const OUTGOING_CONNECT_MS: u64 = 5_000;
/// What a granted host may take until its answer begins, and between two pieces of it, unless the guest asks for less.
pub const OUTGOING_SILENCE_MS: u64 = 30_000;
