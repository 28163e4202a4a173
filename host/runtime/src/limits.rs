//! Limits of contexts at run time, with the unit in each name and the reason for each value.
//!
//! Defaults that a manifest may change are here too. Nothing in the runtime is unbounded. The limits of the store are
//! in `seam_store::limits`.

/// The limits of the store that the layers above it use as well.
pub use seam_store::limits::{STORE_MIGRATION_MS_MAX, STORE_PARAMETERS_MAX, STORE_SLOW_MS};

/// How often running guests check their deadline: as often as long-running SQL does.
pub const EPOCH_TICK_MS: u64 = seam_store::limits::TICK_MS;

// Calls

/// Contexts in one call chain. A page needs 2; each level may use a whole wasm stack on the thread's stack.
pub const CALL_DEPTH_MAX: usize = 8;

/// Functions that other hosts call, looked up once each: far more than a system has, and a few MiB.
pub const INBOUND_FUNCTIONS_MAX: usize = 10_000;
/// How long a question for events waits at the publisher's host while there is none. A subscriber says with each one
/// how far it is, and proxies between hosts give up after a minute.
pub const OUTBOX_WAIT_MS: u64 = 30_000;
/// The answer to a question about an outbox of another host: reading and sending some MiB.
pub const OUTBOX_ASK_MS: u64 = 5_000;
/// The pause after a question that failed; each further one is twice as long, up to the longest: that is how long a
/// host that is back stays unasked.
pub const OUTBOX_PAUSE_MS: u64 = 500;
pub const OUTBOX_PAUSE_MS_MAX: u64 = 5_000;
/// A subscriber on another host that has not asked for so long is away: twice the longest wait.
pub const OUTBOX_SILENT_MS: u64 = 2 * (OUTBOX_WAIT_MS + OUTBOX_ASK_MS);
/// Time for one request, and for one call into a context unless its manifest says otherwise. Visitors leave after that.
pub const CALL_TIMEOUT_MS: u64 = 5_000;
/// The share of its remaining time that a caller keeps for itself, so that it can answer when the callee does not.
pub const CALL_RESERVE_PERCENT: u32 = 10;
/// Concurrent calls in one context. Two cores run two of them; the rest wait for the writer or an fsync.
pub const CONTEXT_CONCURRENCY: u32 = 32;
/// Calls that may wait for one of those permits, and as many that may wait for the disk. Further calls fail at once.
pub const CONTEXT_QUEUE: u32 = 128;

/// Header lines of a context's answer. A page has a dozen; HTTP libraries fail at some ten thousand.
pub const RESPONSE_HEADERS_MAX: usize = 1_000;
/// Names and values of all header lines of an answer together. Browsers and proxies refuse more than 16 to 256 KiB.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 64 << 10;

// Generations

/// Time for the calls of a replaced generation to finish: longer than a call may take, unless the manifest allows more.
pub const DRAIN_MS_MAX: u64 = 30_000;
/// How often the host checks replaced generations.
pub const DRAIN_CHECK_MS: u64 = 250;

/// The least time that a request waits for a version on probation before the host runs it again with the previous
/// version.
pub const PROBATION_TIMEOUT_MS: u64 = 250;

// Variants

/// Variants that one request may choose by header or cookie: a tester tries one or two at a time. Every call carries
/// them.
pub const FORCED_VARIANTS_MAX: usize = 4;
/// Variants of one context, including the main one. Each call reads all their weights.
pub const VARIANTS_MAX: usize = 8;
/// The largest weight of a variant: one part in a thousand is fine enough to split traffic, and sums cannot overflow.
pub const VARIANT_WEIGHT_MAX: u32 = 1_000;
/// Calls that wait for the shadow thread. The host drops and counts further ones: a sample is enough to compare.
pub const SHADOW_QUEUE_MAX: usize = 64;
/// At most what the values of these calls take: eight of the largest.
pub const SHADOW_QUEUE_BYTES_MAX: usize = 8 * COPIED_VALUES_BYTES_MAX;
/// The share of one core for all shadows of the host; their thread sleeps the rest of the time.
pub const SHADOW_CORE_PERCENT: u32 = 20;
/// The longest sleep of that thread after one call.
pub const SHADOW_REST_MS_MAX: u64 = 2_000;

// Messages between contexts

/// One message over a seam, parameters or result, including the index of its blocks. A page takes a hundredth of this.
pub const SEAM_MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Calls that a guest makes side by side: the contexts that a page asks, twice over. Their answers, which wait in the
/// host until the guest fetches them, are as large together as one message at most.
pub const TOGETHER_CALLS_MAX: usize = 8;
/// How deep the types of a seam may nest. Hand-written types stay below 10; the walk over a value recurses once per
/// level.
pub const SEAM_TYPE_DEPTH_MAX: usize = 32;
/// All message buffers that a thread keeps for later calls: a few ordinary messages or one large one.
pub const SEAM_POOL_BYTES: usize = 2 * 1024 * 1024;
/// One message of another host as values, which only tools and recordings need: a list of a million bytes takes 40 MiB
/// of them.
pub const CODEC_VALUES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Types within the types of one function, each counted wherever it stands. Hand-written functions have less than a
/// hundred.
pub const CODEC_TYPES_MAX: usize = 10_000;

// Recording calls

/// The values of one call that the host copies, to record it or to send it to a shadow. A list of bytes takes forty
/// times its length so. The host does not record a larger call, and sends it to no shadow.
pub const COPIED_VALUES_BYTES_MAX: usize = 8 << 20;

/// Sampled calls of one context in a second, unless the manifest says otherwise: enough to read, and a negligible load.
pub const RECORD_CALLS_PER_S: u32 = 20;
/// The most that a manifest may raise that to; a recording takes every call.
pub const RECORD_CALLS_PER_S_MAX: u32 = 10_000;
/// Sampled calls kept per function: a few minutes of a quiet shop, replayed in a few milliseconds.
pub const RECORD_KEPT_PER_FUNCTION: usize = 32;
/// A larger sampled call is not kept; a page with all the calls it made takes a tenth of this.
pub const RECORD_CALL_BYTES_MAX: usize = 512 << 10;
/// All sampled calls of one context.
pub const RECORD_KEPT_BYTES_MAX: usize = 8 << 20;
/// Calls to other contexts that are kept per call. A page makes five.
pub const RECORD_OUTGOING_CALLS_MAX: usize = 256;
/// Calls in one recording: more than a readable scenario has.
pub const RECORD_LOG_CALLS_MAX: usize = 2_000;
pub const RECORD_LOG_BYTES_MAX: usize = 32 << 20;
/// The longest that a recording may run unattended.
pub const RECORD_LOG_S_MAX: u64 = 3_600;

// Stores

/// Size of a context's file, unless the manifest says otherwise. A million albums need 400 MB.
pub const STORE_MB: u64 = 4 << 10;

// Sagas

/// Kinds of sagas that one context declares. A shop's orders need two; a start reads and checks all of them.
pub const SAGA_KINDS_MAX: usize = 64;
/// Steps of one saga: three times as many as an order has. The file lists those that may be performed next.
pub const SAGA_STEPS_MAX: usize = 32;
/// A kind, or the name of a step. People type them.
pub const SAGA_NAME_BYTES_MAX: usize = 64;
/// How often a call that waits for a saga looks although it heard of no change.
pub const SAGA_SETTLE_LOOK_MS: u64 = 250;

// Guests: memory and code

/// Linear memory of one instance, all its memories together. Python guests need most of it, Rust guests 2 MiB.
pub const INSTANCE_MEMORY_MB: u64 = 64;
/// The most that a manifest may raise that to: each slot of the pool reserves this much address space.
pub const INSTANCE_MEMORY_MB_MAX: u64 = 256;
/// Linear memory of all live instances of one context together.
pub const CONTEXT_MEMORY_MB: u64 = 512;
/// Live instances in the whole host. An idle Rust instance costs about 12 KiB; the address space of all is 600 GiB.
pub const INSTANCES_MAX: u32 = 2_000;
/// Core modules inside one component; a JavaScript or Python component has several dozen.
pub const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 60;
pub const MEMORIES_PER_COMPONENT_MAX: u32 = 10;
pub const TABLES_PER_COMPONENT_MAX: u32 = 20;
/// Entries of one table; CPython's function table has 40,000.
pub const TABLE_ELEMENTS_MAX: usize = 50_000;
/// Wasm stack of one call level; deeper recursion traps.
pub const WASM_STACK_KB: usize = 1 << 10;
/// Stack of every thread that runs guests. Each level of a call chain may use `WASM_STACK_KB`; the host's frames
/// between two levels stay far below the rest. Only touched pages take memory.
pub const THREAD_STACK_KB: usize = (WASM_STACK_KB + 512) * (CALL_DEPTH_MAX + 1);
/// Stack of the fiber of a guest that is called asynchronously, which runs the same call chain.
pub const FIBER_STACK_KB: usize = THREAD_STACK_KB;
/// Concurrent calls of guests that serve `wasi:http` or may wait for another host; each has a fiber. As many as there
/// are instances: a thousand requests may wait for a host that is slow. The address space of all is 27 GiB.
pub const FIBERS_MAX: u32 = INSTANCES_MAX;
/// Bytes that the host copies out of a guest for one call into the host.
pub const HOST_CALL_BYTES_MAX: usize = 16 << 20;
/// Resource handles of one instance. `wasi:http` needs a dozen per request.
pub const HANDLES_MAX: usize = 1_000;
/// Random bytes that a guest may ask for in one call.
pub const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// Threads that may block for a guest (on the writer, an fsync, a permit): those of three contexts whose calls wait as
/// much as they may. Further waiters wait for a thread.
pub const BLOCKING_THREADS_MAX: usize = 1_024;

// Components

/// Size of a `.wasm` file. CPython as a component has 18 MB.
pub const COMPONENT_MB_MAX: u64 = 64;
/// Memory of the compiling process. Cranelift needs about 1 GB for CPython.
pub const COMPILE_MEMORY_MB_MAX: u64 = 4 << 10;
/// CPU time of the compiling process. CPython takes 20 s.
pub const COMPILE_CPU_S_MAX: u64 = 120;
/// Cache of compiled functions in `seam dev`: several times the size of all the shop's contexts in Rust.
pub const COMPILED_FUNCTIONS_MB_MAX: usize = 128;
/// Compiled components kept on disk; a day of development makes a few hundred.
pub const COMPILED_FILES_MAX: usize = 500;
/// Their bytes together: the shop with all its variants takes 100 MB.
pub const COMPILED_MB_MAX: u64 = 512;
pub const COMPILE_WALL_S_MAX: u64 = 180;
/// Time to start an instance, which runs its start functions and nothing else. Python needs 0.1 s.
pub const START_MS_MAX: u64 = 2_000;
/// How often the host drops idle instances that the last interval did not need.
pub const TRIM_INTERVAL_S: u64 = 10;

// Guests: attempts

/// Counts of one context: the clients of a busy quarter of an hour. They take 400 KB.
pub const ATTEMPT_KEYS: usize = 16 << 10;
/// The counts among which a new one chooses its place: so many that a set full of keys at their limits is not to be had
/// without filling the whole table with them.
pub const ATTEMPT_KEYS_PER_SET: usize = 16;
/// Limits of one attempt: its address, its account, both together, all of them, and as many again.
pub const ATTEMPT_LIMITS_MAX: usize = 8;
/// The longest window. A restart forgets the counts, so a longer one would promise too much.
pub const ATTEMPT_WINDOW_S_MAX: u32 = 24 * 60 * 60;

// Guests: logs

/// Log text of one context; the host counts further lines and drops them.
pub const LOG_KB_PER_S: u64 = 64;
/// One line of a guest's log; the rest is cut off.
pub const LOG_LINE_BYTES_MAX: usize = 4 << 10;

/// One write to a `wasi:http` body. The host holds two of them for each body: 42 MiB if all `HANDLES_MAX` are bodies.
pub const BODY_PIECE_BYTES: usize = 64 << 10;

// Guests: requests to other machines

/// Time to connect to a granted host for `wasi:http`, unless the guest asks for less.
pub const OUTGOING_CONNECT_MS: u64 = 5_000;
/// Time until a granted host starts to respond, and between two chunks of its response, unless the guest asks for less.
pub const OUTGOING_SILENCE_MS: u64 = 30_000;
/// How often the host looks whether each store is there and works, and notes how far it is. What is lost from a file
/// since the last note goes unnoticed; a note costs one small write without a sync.
pub const STORE_NOTE_MS: u64 = 1_000;

/// Functions in the log line of a trap: enough to see the context's own above those of its libraries.
pub const TRAP_FRAMES_MAX: usize = 10;
/// What a guest said before it trapped: a stack of a hundred functions, the end of it.
pub const LAST_WORDS_BYTES_MAX: usize = 8 << 10;

// Events

/// How long one delivery goes on with further events before it commits: the context's other writers wait for it.
pub const DELIVERY_BATCH_MS: u64 = 20;
/// Events of a delivery that share a savepoint. With so many, it takes some 3 % of the time of a short event; when one
/// is rejected, at most so many are handled again.
pub const DELIVERY_STRETCH_EVENTS: usize = 64;
/// What an operator is shown of a handler's error.
pub const DELIVERY_REASON_CHARS: usize = 2_000;

// Transactions over several files

/// How long one waits for another one, and for each file that it writes: those that it holds wait as long.
pub const TWO_PHASE_WAIT_MS: u64 = 2_000;
/// How long a host may take for one step of a transaction that another host coordinates: a sync of its disk, and what a
/// commit waits for. As long as a host that does not answer counts as there.
pub const TWO_PHASE_STEP_MS: u64 = 2_000;
/// Silence of a coordinator on another host after which a transaction is given up here: its own calls take their time,
/// but nothing else can write meanwhile.
pub const BRANCH_SILENCE_MS: u64 = 10_000;
/// Transactions of other hosts that are open here at once: each host has one.
pub const BRANCHES_MAX: usize = 64;
/// Transactions over several files of which the host keeps how they ended: what an operator looks at after a fault.
pub const TRANSACTIONS_KEPT: usize = 100;
/// Before a call is sent again that came to a host from which its context has just moved: the new host may still be
/// taking it over.
pub const MOVED_PAUSE_MS: u64 = 5;

// Pretended hosts

/// The latency of a pretended call. A longer one is no latency: it is loss.
pub const PRETENDED_LATENCY_MS_MAX: u64 = 60_000;
/// How long a caller waits in vain for a host that says nothing: a PING a second, each to be answered within two.
pub const PRETENDED_SILENCE_MS: u64 = 3_000;
/// How often a call that waits on its thread looks whether its client has gone away.
pub const PRETENDED_LOOK_MS: u64 = 20;

// Counts of calls between contexts

/// One call in so many is encoded to count its bytes: that costs about as much as the call itself, so a hundredth more.
pub const TRAFFIC_SAMPLE_CALLS: u64 = 64;
/// Kinds of pages and functions of which the recorder counts what they lead to. A context has some dozens; a client can
/// make up more.
pub const RECORD_PATHS_MAX: usize = 256;
/// The first segment of a page's path in its name; the rest is cut off.
pub const RECORD_PATH_CHARS_MAX: usize = 40;
