//! Bounds of everything above the runtime, with the unit in each name and the reason for each value.
//!
//! Defaults of values that a manifest may change are here too. Nothing in the program is unbounded.

mod backup;
mod moving;
mod remote;
mod standby;

pub use self::backup::*;
pub use self::moving::*;
pub use self::remote::*;
pub use self::standby::*;
pub use seam_runtime::limits::*;

// HTTP

/// Open connections. An idle one costs about 11 KiB, and 4,000 fit the usual limit on open files with room for
/// databases.
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
/// The body of a request that is refused, which is read so that the client gets to read why: that of any form.
pub const REFUSED_BODY_BYTES_MAX: usize = 64 << 10;
/// And how long: a client that sends its form in two pieces needs a round trip.
pub const REFUSED_BODY_MS: u64 = 1_000;
/// A buffered answer. Below `HOST_CALL_BYTES_MAX`, so that the log names the page that is too large.
pub const HTTP_RESPONSE_BYTES: usize = 12 << 20;
/// What a guest may still write after its client has left, or asked for the head only: as much as a buffered answer.
pub const HTTP_FORGOTTEN_BYTES: usize = HTTP_RESPONSE_BYTES;
/// One HTTP/2 stream that its client does not read while it reads others: no client waits longer than ten minutes.
pub const HTTP2_STREAM_STALL_MS: u64 = 600_000;
/// The time in which an HTTP/1.1 client reads one piece of a streamed answer: a day. A client that stalls is cut off
/// long before, by its connection.
pub const HTTP_TURN_MS_MAX: u64 = 24 * 60 * 60 * 1_000;
/// A client that takes fewer bytes than this within `HTTP_IDLE_MS` stalls. More than the frames by which HTTP/2 asks
/// whether it is still there.
pub const HTTP_PROGRESS_BYTES: u64 = 1 << 10;
/// A connection without a request. Longer than the 60 s that load balancers keep theirs, so that they close first.
pub const HTTP_IDLE_MS: u64 = 75_000;
/// How long accepted requests may take to finish after SIGTERM. Supervisors kill after 10 s or later.
pub const HTTP_DRAIN_MS: u64 = 8_000;
/// Open connections to the address of the operators' pages: a few scrapers and supervisors.
pub const OPS_CONNECTIONS: usize = 32;
/// How often the files of the TLS certificate are read again: soon after a renewal, at the price of two small reads.
pub const CERTIFICATE_POLL_S: u64 = 2;
/// A file with a chain of certificates or a key; real ones have 10 KiB.
pub const CERTIFICATE_BYTES_MAX: u64 = 1 << 20;
/// From how long before its end the log warns of a certificate: time for a renewal by hand, over holidays too.
pub const CERTIFICATE_WARNING_DAYS: u32 = 14;
/// How long a visitor keeps the key that the host gave it: a year, longer than a variant is tried out.
pub const HTTP_VISITOR_S: u64 = 365 * 86_400;
/// For how many days browsers remember that a host is reached over TLS alone. A host that gives up TLS waits so long.
pub const HSTS_DAYS: u64 = 30;
/// The most that a manifest may set; browsers' own lists ask for one year.
pub const HSTS_DAYS_MAX: u64 = 730;
/// Connections that the kernel holds while all `HTTP_CONNECTIONS` are taken.
pub const HTTP_BACKLOG: u32 = 1_024;
/// Requests at once on one HTTP/2 connection; the number that RFC 9113 recommends as a minimum.
pub const HTTP2_STREAMS: u32 = 100;
/// The pause after an accept failed for want of file descriptors: long enough for connections to end, too short to be
/// noticed.
pub const HTTP_ACCEPT_BACKOFF_MS: u64 = 50;
/// Bodies smaller than this gain less by compression than its headers and time cost.
pub const HTTP_COMPRESS_BYTES_MIN: usize = 1 << 10;
/// Bytes that are compressed on the worker itself; more would hold it for longer than a tick.
pub const HTTP_COMPRESS_INLINE_BYTES: usize = 256 << 10;
/// One static file. Larger ones belong behind a server made for them.
pub const ASSET_BYTES: u64 = 16 << 20;
/// Static files of one mount that are kept in memory, with their compressed forms.
pub const ASSET_CACHE_BYTES: usize = 64 << 20;
/// Bytes of a user agent or a path in the access log; the rest is cut off.
pub const ACCESS_FIELD_BYTES: usize = 256;

// Manifest

/// A shared file. Every context that uses it keeps its texts.
pub const SHARED_FILE_BYTES_MAX: usize = 256 << 10;

/// A manifest. A hundred contexts need 50 KiB; a larger file is not a manifest.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;
/// Hosts of one system. More than the contexts of a large system need; every host knows every other.
pub const HOSTS_MAX: usize = 100;
/// Contexts in one manifest: the host's instances allow 4 for each.
pub const CONTEXTS_MAX: usize = 500;
/// The highest `CONTEXT_MEMORY_MB` that a manifest may set: the memory of a large host; more is a typing mistake.
pub const CONTEXT_MEMORY_MB_MAX: u64 = 64 << 10;
/// The highest `CONTEXT_CONCURRENCY` that a manifest may set: half of all instances.
pub const CONTEXT_CONCURRENCY_MAX: u32 = 1_000;
/// The highest `CONTEXT_QUEUE` that a manifest may set; each waiting call holds a thread's stack or a fiber.
pub const CONTEXT_QUEUE_MAX: u32 = 10_000;
/// The highest `CALL_TIMEOUT_MS` that a manifest may set: a batch import takes minutes; longer work is not one call.
pub const CALL_TIMEOUT_MS_MAX: u64 = 600_000;
/// The highest `LOG_KB_PER_S` that a manifest may set: more than a disk with other work can write.
pub const LOG_KB_PER_S_MAX: u64 = 10 << 10;
/// The highest `STORE_MB` that a manifest may set: 1 TB; a context that outgrows it is split.
pub const STORE_MB_MAX: u64 = 1 << 20;
/// The highest `HTTP_CONNECTIONS` that a manifest may set: 1 GiB of idle connections.
pub const HTTP_CONNECTIONS_MAX: usize = 100_000;
/// The highest `HTTP_HEADER_BYTES` that a manifest may set; no client or proxy sends more.
pub const HTTP_HEADER_KB_MAX: usize = 256;
/// The highest `HTTP_HEADERS` that a manifest may set.
pub const HTTP_HEADERS_MAX: usize = 1_000;
/// The highest `HTTP_BODY_BYTES` that a manifest may set: half of an instance's memory, which holds a body twice.
pub const HTTP_BODY_KB_MAX: usize = 32 << 10;
/// The highest HTTP timeout that a manifest may set: no client waits longer than ten minutes.
pub const HTTP_MS_MAX: u64 = 600_000;
/// Days for which log files are kept, unless the manifest says otherwise: a week, to look back to the last release.
pub const LOG_DAYS: u64 = 7;
pub const LOG_DAYS_MAX: u64 = 366;
/// MiB of all log files together, unless the manifest says otherwise: a week of some requests a second.
pub const LOG_MB: u32 = 1_024;
/// The least `LOG_MB` that a manifest may set: a piece of the log, an eighth, holds many batches of lines.
pub const LOG_MB_MIN: u32 = 8;
pub const LOG_MB_MAX: u32 = 1 << 20;

// Building

/// How long a tool may take to print its version. Chromium's wrapper needs half a second on a cold disk.
pub const TOOL_PROBE_MS: u64 = 10_000;
/// Source files of one context. More means that `sources` names a folder too high up.
pub const BUILD_FILES_MAX: usize = 20_000;
/// Depth of folders inside a folder of sources.
pub const BUILD_FOLDER_DEPTH_MAX: usize = 32;
/// Builds in a row that change their sources, each because of the one before alone, until that is a loop. A person
/// seldom saves a file during three builds running.
pub const BUILD_REPEATS_MAX: u32 = 3;
/// Output of a build that is kept to be shown: the end of it.
pub const BUILD_WORDS_BYTES_MAX: usize = 64 << 10;
/// Free disk space to advise: what a clean build of the host and all contexts takes, in both profiles.
pub const DISK_FREE_GB_ADVISED: u64 = 8;
/// Open files to advise: a connection takes one descriptor, a context's store a handful.
pub const OPEN_FILES_ADVISED: u64 = 4_096;

// Watching files

/// How long a file must be unchanged before it counts as written: longer than an editor pauses between two writes.
pub const WATCH_QUIET_MS: u64 = 25;
/// The longest wait for such a pause: then a file that is still being written counts too.
pub const WATCH_MAX_DELAY_MS: u64 = 500;
/// How often all files are checked without a hint from the system: the delay that a lost hint costs.
pub const WATCH_RESCAN_MS: u64 = 2_000;
/// A file that was read within this time after a write is read again: the clock of file times may be that coarse.
pub const WATCH_RACY_MS: u64 = 50;
/// Files that are watched together: the sources of some hundred contexts.
pub const WATCH_FILES_MAX: usize = 50_000;

// Feeds

/// Events of a page, unless the reader says otherwise.
pub const FEED_PAGE: u32 = 100;
/// The most that a reader may ask for: a request stays short, and so does what is read again after a hang-up.
pub const FEED_PAGE_MAX: u32 = 1_000;
/// A page ends with the event with which its data has so many bytes.
pub const FEED_PAGE_BYTES: usize = 1 << 20;
/// Events that are looked at for one page, also those that its reader does not want: some 10 ms.
pub const FEED_LOOKS: u32 = 20_000;
/// Open streams of all readers. Each holds a connection, and a page while its reader takes it. Beyond it, a reader gets
/// 503 and loses nothing: it goes on from its position.
pub const FEED_STREAMS: usize = 64;
/// Of these, with one token: a reader that leaves streams behind keeps no other out.
pub const FEED_STREAMS_PER_TOKEN: usize = 8;
/// A stream whose reader has not taken a piece for so long gives its place to another one.
pub const FEED_STALL_MS: u64 = 30_000;
/// Events and bytes that a stream reads at once.
pub const FEED_STREAM_PAGE: u32 = 100;
pub const FEED_STREAM_BYTES: usize = 256 << 10;
/// How long a stream may be silent. Proxies give up after 60 s.
pub const FEED_HEARTBEAT_MS: u64 = 15_000;
/// After how long a reader of a stream comes back.
pub const FEED_RECONNECT_MS: u64 = 2_000;
/// When a reader should ask again that found no place, or no file.
pub const FEED_RETRY_AFTER_S: u32 = 5;
/// Wrong tokens of one client in `FEED_GUESSES_S`: a reader with an old token notices, and a guesser gets nowhere.
pub const FEED_GUESSES: u32 = 20;
pub const FEED_GUESSES_S: u32 = 60;
/// How often the files of tokens are read again: soon after one was taken away, at the price of a small read.
pub const FEED_TOKEN_POLL_MS: u64 = 2_000;
/// A token: 128 random bits in hexadecimal digits, or more.
pub const FEED_TOKEN_BYTES_MIN: usize = 32;
pub const FEED_TOKEN_BYTES_MAX: u64 = 4 << 10;

// Development

/// How long a stream of events may be silent: the next message shows whether the browser is gone.
pub const DEV_EVENT_PAUSE_MS: u64 = 15_000;
/// How often `seam dev` looks for traps, to show them in the open pages: before one has looked up from the page.
pub const DEV_TRAPS_MS: u64 = 500;
/// Text of one problem that a browser gets. A compiler's longest error fills a screen or two.
pub const DEV_PROBLEM_BYTES_MAX: usize = 8 << 10;
/// Problems that a browser gets; the terminal shows all of them.
pub const DEV_PROBLEMS_MAX: usize = 20;

// Scenarios

/// A file of scenarios. A hundred of them take 100 KiB; a recording may be longer.
pub const SCENARIO_FILE_BYTES_MAX: u64 = 8 << 20;
/// The stubs and steps of a recording. It leaves room for a head within `SCENARIO_FILE_BYTES_MAX`.
pub const RECORDED_BYTES_MAX: usize = 7 << 20;
/// The JSON that one response in a recording is expected to be. Of a larger one the status and the headers are.
pub const RECORDED_ANSWER_BYTES_MAX: usize = 64 << 10;
/// What a scenario's clock shows unless it says otherwise: noon, UTC, on 1 January 2026.
pub const SCENARIO_CLOCK_S: u64 = 1_767_268_800;
/// The end of the year 9999, which is as far as dates in TOML go.
pub const SCENARIO_CLOCK_S_MAX: u64 = 253_402_300_799;

// Tools: the admin socket, calls by hand, seeds, logs

/// A call that an operator types. A longer text is data.
pub const CALL_TEXT_BYTES_MAX: usize = 256 << 10;
/// A request to the admin socket: a call's text as JSON, every character escaped.
pub const ADMIN_BODY_BYTES_MAX: usize = 2 << 20;
/// An answer that the client reads: a guest's largest result as WAVE and as JSON.
pub const ADMIN_ANSWER_BYTES_MAX: usize = 256 << 20;
/// Connections to the admin socket at the same time: people and their scripts.
pub const ADMIN_CONNECTIONS_MAX: usize = 16;
/// How long a client of the admin socket may take to send its request.
pub const ADMIN_REQUEST_MS: u64 = 5_000;
/// All statements of `seam verify` on a running host together: meanwhile the write-ahead logs grow.
pub const VERIFY_LIVE_MS: u64 = 60_000;
/// The same for files that no host uses: some gigabytes on a slow disk.
pub const VERIFY_COPIES_MS: u64 = 3_600_000;
/// How long `seam verify` waits for hosts that could not be reached: the longest pause before another try, with its
/// jitter, and the try.
pub const VERIFY_REACH_MS: u64 = REMOTE_PAUSE_MS_MAX * 5 / 4 + REMOTE_CONNECT_MS;
/// How often it looks whether they are there.
pub const VERIFY_REACH_LOOK_MS: u64 = 20;
/// How long `seam backup` waits for the host to copy all files: some gigabytes on a slow disk.
pub const BACKUP_MS_MAX: u64 = 1_800_000;
/// Rows in one call of a seed: a few hundred make the commit's fsync cheap, and contexts take at most 500 to 1,000.
pub const SEED_BATCH_ROWS: usize = 500;
/// One call by time of a `[[schedule]]`: it may ask other contexts for each of fifty orders.
pub const SCHEDULE_CALL_MS: u64 = 60_000;
/// The longest interval of a `[[schedule]]`: a day.
pub const SCHEDULE_EVERY_S_MAX: u64 = 24 * 60 * 60;
/// A cron line: five short lists.
pub const CRON_LINE_BYTES_MAX: usize = 256;
/// Times that are passed over in search of the last due time, in an hour that comes twice: one for each of its seconds,
/// and as many again.
pub const CRON_LOOKS_BACK: u32 = 8_000;
/// How often a schedule with times of day looks at the clock, which may jump.
pub const SCHEDULE_LOOK_MS: u64 = 1_000;
/// Due times of one schedule that run before another one of the same context has its turn.
pub const SCHEDULE_STEPS_MAX: u32 = 100;
/// How late a run may be that leaves missed due times out: a start of the host takes seconds.
pub const SCHEDULE_LATE_MS: u64 = 60_000;
/// How far the last due time may be ahead of the clock. Beyond it the clock was wrong then, and the schedule goes on
/// from now instead of waiting for that time; below it a clock was put right, and no due time comes twice.
pub const SCHEDULE_AHEAD_MS: u64 = 24 * 60 * 60 * 1_000;
/// How long the mark of a run without a transaction waits for the writer: longer than any transaction holds it.
pub const SCHEDULE_NOTE_MS: u64 = 15_000;
/// The pause before a failed run is made again; each further one is twice as long, up to the longest.
pub const SCHEDULE_PAUSE_FIRST_MS: u64 = 500;
pub const SCHEDULE_PAUSE_MS_MAX: u64 = 10 * 60 * 1_000;
/// How often the host looks for timers without having been told of one: the clock may jump.
pub const TIMER_LOOK_MS: u64 = 1_000;
/// How long timers that are due wait for one context's writer while those of the others wait for them.
pub const TIMER_WRITE_MS: u64 = 1_000;
/// One row of a seed.
pub const SEED_ROW_BYTES_MAX: usize = 1 << 20;
/// The rows of one call together: a guest can hold that much several times in its memory.
pub const SEED_BATCH_BYTES: usize = 4 << 20;
/// One call of a seed. It writes 500 rows and waits for the disk.
pub const SEED_CALL_MS: u64 = 60_000;
/// The list of loaded seeds; a line for each.
pub const SEED_LIST_BYTES_MAX: u64 = 4 << 20;
/// Lines of the host's own log that wait for the disk or the terminal; further lines are dropped and counted, so that a
/// full disk or a stopped pipe never stops the host.
pub const LOG_LINES_WAITING_MAX: usize = 16 << 10;
/// How often the log reports dropped lines: soon enough to be near the gap, too seldom to add to the flood.
pub const LOG_GAP_S: u64 = 5;
/// Bytes of lines that are written in one go.
pub const LOG_BATCH_BYTES: usize = 64 << 10;
/// How long a line may wait before it is written: too short for an operator to notice, long enough for hundreds of
/// lines under load.
pub const LOG_REST_MS: u64 = 5;
/// Lines that `seam logs` shows by default.
pub const LOG_LINES_SHOWN: usize = 100;
/// The most lines that `seam logs` shows: they stay in memory until the last is found.
pub const LOG_LINES_SHOWN_MAX: usize = 100_000;
/// How often `seam logs --follow` looks for new lines.
pub const LOG_FOLLOW_MS: u64 = 200;

// Deploys

/// How long a new version stays on probation by default: thousands of calls of a busy context.
pub const DEPLOY_WATCH_MS: u64 = 5_000;
pub const DEPLOY_WATCH_MS_MAX: u64 = 600_000;
/// How often a version on probation is judged: a twenty-fifth of the half second within which a bad version must be
/// gone.
pub const DEPLOY_LOOK_MS: u64 = 20;
/// The last calls that are judged together, besides all calls: a version may turn bad late.
pub const DEPLOY_WINDOW_MS: u64 = 1_000;
/// Calls that a watch must have seen. With fewer, the version stays on probation for its first ones, which break at
/// most a few times before the version before serves again.
pub const DEPLOY_COVERED_CALLS: u64 = 100;
/// The longest that it stays on probation for them: the version before takes memory meanwhile.
pub const DEPLOY_COVER_MS: u64 = 3_600_000;
/// Recorded calls that are replayed on a new version, and how long one of them and all of them may take.
pub const DEPLOY_REPLAY_CALLS_MAX: usize = 200;
pub const DEPLOY_REPLAY_CALL_MS: u64 = 1_000;
pub const DEPLOY_REPLAY_MS: u64 = 5_000;
/// Differing answers that are shown; more of them add nothing.
pub const DEPLOY_DIFFERENCES_SHOWN: usize = 5;
/// Components kept, of all contexts together: for a rollback, and to restart with the version that served. Most have
/// some hundred KB.
pub const DEPLOY_COMPONENTS_MAX: usize = 60;
/// Copies of files from before a change of their schema, of all contexts together.
pub const DEPLOY_RESTORE_POINTS_MAX: usize = 6;
/// Lines of `seam history` that are kept for each context.
pub const DEPLOY_HISTORY_MAX: u32 = 200;
/// How long the command waits between two steps of a deploy: the longest are compiling and trying migrations.
pub const DEPLOY_STEP_MS: u64 = (COMPILE_WALL_S_MAX + 10) * 1_000 + STORE_MIGRATION_MS_MAX + DEPLOY_WATCH_MS_MAX;
/// How long a new version may take to report its health.
pub const DEPLOY_HEALTH_MS: u64 = 1_000;
/// Disk space that stays free beside the copies on which a version is tried.
pub const DEPLOY_DISK_MB_SPARE: u64 = 64;
/// `seam dev` copies a file up to this size at each save, to ask the new version for its health: some 50 ms.
pub const DEPLOY_QUICK_COPY_MB_MAX: u64 = 32;
/// Times that a version is linked again because another change was published meanwhile.
pub const DEPLOY_TRIES_MAX: usize = 5;

// Other tries

/// The first pause before an event, or a step of a saga, is tried again; each further one is twice as long.
pub const PAUSE_FIRST_MS: u64 = 500;

// Events

/// How long an event is kept unless the manifest says otherwise: a reader may be away for a weekend.
pub const EVENT_KEEP_S: u64 = 7 * 24 * 60 * 60;
/// Events that may share a commit. Past some hundreds the commit is no longer what they cost.
pub const EVENT_BATCH_MAX: u32 = 1_000;
/// How often an event is tried, unless the manifest says otherwise: with the pauses between, for some two and a half
/// hours, so that an outage of an hour makes no dead letters.
pub const EVENT_TRIES: u32 = 25;
pub const EVENT_TRIES_MAX: u32 = 1_000;
/// The longest pause, unless the manifest says otherwise.
pub const EVENT_PAUSE_S: u64 = 10 * 60;
pub const EVENT_PAUSE_S_MAX: u64 = 24 * 60 * 60;
/// How often a subscriber looks for events without having been told of one.
pub const EVENT_LOOK_MS: u64 = 1_000;
/// The most time for one delivery, even if its context allows more.
pub const EVENT_CALL_MS: u64 = 10_000;
/// Events that are tried again in one step, before new ones are taken.
pub const EVENT_RETRIES_PER_STEP: u32 = 100;
/// Steps of one subscription before another one of the same subscriber has its turn.
pub const EVENT_STEPS_MAX: u32 = 100;
/// How often old events are forgotten.
pub const EVENT_FORGET_S: u64 = 60;
/// How often the metrics of events are sampled: a scrape in between sees the last sample.
pub const EVENT_SAMPLE_S: u64 = 5;
/// Up to how many events a sample counts a backlog or an outbox: some tens of milliseconds of reading.
pub const EVENT_SAMPLE_MAX: u32 = 100_000;
/// Events that `seam events list` shows at once; `--from` goes on.
pub const EVENT_LIST_MAX: u32 = 100;

// Sagas

/// The longest pause before a step is tried again. Short: a customer may wait for it.
pub const SAGA_PAUSE_S: u64 = 60;
/// The most time for one performance of a step, even if its context allows more.
pub const SAGA_CALL_MS: u64 = 10_000;
/// Steps and undos of one saga before the file is read again; a saga has 32 steps.
pub const SAGA_MOVES_MAX: u32 = 100;
/// How often the host looks for sagas that are due without having been told of one.
pub const SAGA_LOOK_MS: u64 = 1_000;
/// Sagas that are performed at the same time. Most of the time they wait for other contexts and for the disk.
pub const SAGA_WORKERS_MAX: usize = 32;
/// Those of one context: neighbours that do not answer hold these, and leave the rest to others.
pub const SAGA_WORKERS_PER_CONTEXT: usize = 8;
/// How long a thread without a saga waits for one, then it ends: sagas come in bursts.
pub const SAGA_WORKER_IDLE_S: u64 = 10;
/// How often sagas that have ended are looked for, to be forgotten.
pub const SAGA_FORGET_S: u64 = 60;

// The audit log

/// Lines that are kept. Operators write some in an hour of trouble: that is years.
pub const AUDIT_LINES_MAX: u32 = 100_000;
/// Characters of the reason for a change.
pub const AUDIT_WHY_CHARS_MAX: usize = 1_000;

// What operators do with sagas

/// Sagas that `seam sagas` shows at once; its filters find the others.
pub const SAGA_LIST_MAX: u32 = 1_000;
/// Sagas of each context that `seam sagas --by cause` looks at: all that one context can have in process.
pub const SAGA_GROUPED_MAX: u32 = seam_store::limits::SAGAS_MAX;
/// Sagas that one command acts on; the same command again acts on the next ones.
pub const SAGA_ACTS_MAX: u32 = 1_000;
/// How many of them share a commit: the context's own calls wait for some milliseconds.
pub const SAGA_ACTS_PER_COMMIT: usize = 100;

// What contexts disagree on

/// How often the host looks at a total, unless the manifest says otherwise: what has been forgotten is found within
/// minutes, and a look at a year of orders takes tenths of a second.
pub const RECONCILE_EVERY_S: u64 = 10 * 60;
/// The shortest interval: at each look commits wait for some milliseconds.
pub const RECONCILE_EVERY_S_MIN: u64 = 10;
pub const RECONCILE_EVERY_S_MAX: u64 = 24 * 60 * 60;
/// How long contexts must disagree before the host says so, unless the manifest says otherwise: longer than an outage
/// of seconds, after which work that was under way has been done.
pub const RECONCILE_AFTER_S: u64 = 5 * 60;
/// When the host looks first after a start: what a crash has cut off has gone on by then.
pub const RECONCILE_FIRST_S: u64 = 10;
/// Totals that are reconciled.
pub const RECONCILE_TOTALS_MAX: usize = 100;
/// Disagreements of one total that the host keeps. More have one cause, which these show; the rest is counted, alarmed,
/// and kept as there is room again.
pub const RECONCILE_KEPT_MAX: usize = 1_000;
/// A longer key is counted, and not kept. Keys are numbers of orders and the like.
pub const RECONCILE_KEY_BYTES_MAX: usize = 256;
/// How long disagreements that are over are kept, and how many of each total: to look back at last month.
pub const RECONCILE_OVER_S: u64 = 30 * 24 * 60 * 60;
pub const RECONCILE_OVER_MAX: u32 = 1_000;
/// All statements of one look together: meanwhile the write-ahead logs grow.
pub const RECONCILE_LOOK_MS: u64 = 60_000;
/// How often a context is asked to mend one disagreement: every ten minutes for four hours, so that an outage of an
/// hour leaves none behind.
pub const RECONCILE_TRIES: u32 = 25;
/// The longest pause before it is asked again.
pub const RECONCILE_PAUSE_S: u64 = 10 * 60;
/// The most time for one call to mend, even if the context allows more.
pub const RECONCILE_CALL_MS: u64 = 10_000;
/// For how long a look has contexts mend; the next look goes on.
pub const RECONCILE_MENDING_MS: u64 = 60_000;
/// Lines in the log, each about one disagreement, that one look writes; the rest is one line.
pub const RECONCILE_SAID_MAX: usize = 20;
/// How long an operator's command waits for a look that is under way.
pub const RECONCILE_TURN_MS: u64 = 5_000;
/// How long the command waits for its answer: two looks, and a call.
pub const RECONCILE_COMMAND_MS: u64 =
    RECONCILE_TURN_MS + 3 * RECONCILE_LOOK_MS + RECONCILE_MENDING_MS + 2 * RECONCILE_CALL_MS;
/// Characters of an answer that are kept.
pub const RECONCILE_ANSWER_CHARS_MAX: usize = 500;

// Transactions over several files

/// How long a backup or a verification waits until none is open; one may hold its files for ten seconds. After that it
/// tries all the same, and one of the two gets an error.
pub const MOMENT_TURN_MS: u64 = 12_000;

// Forecasts of a move

/// What travels beside the arguments of a call, and beside its results: the fields of HTTP/2, TLS and TCP.
pub const FORECAST_HEAD_BYTES: f64 = 300.0;
/// Calls of one interface in one page, above which it is too chatty for two hosts: each waits for the one before, and
/// at 1 ms each, four of them double the time of a usual page.
pub const FORECAST_CALLS_PER_PAGE_MAX: f64 = 3.0;
/// Bytes of one call, above which an interface is too chatty: at 100 MB/s they take as long as the way of a small call.
pub const FORECAST_CALL_BYTES_MAX: f64 = 64.0 * 1024.0;
/// Recorded requests below which a page's forecast says on how few it rests.
pub const FORECAST_SAMPLES_MIN: u64 = 20;
