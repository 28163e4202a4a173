//! Bounds of moving a context to another host.

/// The pages of one message: a round trip for each, and little memory on both sides.
pub const MOVE_MESSAGE_BYTES: usize = 1 << 20;
/// One step, the slowest of which compares all tables of a large file.
pub const MOVE_STEP_MS_MAX: u64 = 600_000;
/// A whole move, for the host that waits for another to make it: 100 GB at 30 MB/s.
pub const MOVE_S_MAX: u64 = 3_600;
/// The pages that may be left to be sent while calls wait: some milliseconds.
pub const MOVE_REST_PAGES: u64 = 64;
/// How often what was committed meanwhile is sent, until it is so little. A file that is written faster than it is
/// sent never gets there.
pub const MOVE_ROUNDS_MAX: u32 = 1_000;
/// How long the calls that run may hold up those that wait. A page may take 1,000 ms.
pub const MOVE_DRAIN_MS_MAX: u64 = 500;
/// Between two looks whether a call still runs.
pub const MOVE_LOOK_US: u64 = 500;
/// How often a move waits for its calls to end, and is announced to the new host; and how often a set is published
/// again that another one has overtaken.
pub const MOVE_TRIES: u32 = 5;
/// How long the transaction that writes may take to end.
pub const MOVE_HOLD_MS_MAX: u64 = 5_000;
/// Between two looks whether old requests still use a file that has left.
pub const MOVE_CLEAR_LOOK_MS: u64 = 50;
/// Between two questions of a host whether a context lives there now.
pub const MOVE_ASK_MS: u64 = 1_000;
/// One step while calls wait for the move: a host that is slower is given up, and the calls go on here.
pub const MOVE_PAUSE_STEP_MS_MAX: u64 = 2_000;
/// How long calls wait, after the file was handed over, for the new host to serve. Then they go there in any case.
pub const MOVE_ACTIVATE_MS_MAX: u64 = 3_000;
/// Of a copy, what may be in memory alone: what is left to be synced when calls wait must be little.
pub const MOVE_UNSYNCED_BYTES_MAX: usize = 64 << 20;
/// What must be free on the target's disk beside the file and an eighth of it: logs, and what is written meanwhile.
pub const MOVE_ROOM_BYTES: u64 = 16 << 20;
/// Of it, what is kept free from before the pause until the file has its new owner: its last pages, its log, and the
/// notes of the host.
pub const MOVE_KEPT_BYTES: u64 = 4 << 20;
/// How often a pause is rehearsed for a prediction: one of ten is slower than the 90th percentile.
pub const MOVE_REHEARSALS: usize = 11;
/// As often at least, however slow it is.
pub const MOVE_REHEARSALS_MIN: usize = 3;
/// How long it is rehearsed again and again.
pub const MOVE_REHEARSAL_MS_MAX: u64 = 2_000;
/// The rehearsals that a host takes part in at a time, each with files of its own.
pub const MOVE_REHEARSING_MAX: usize = 4;
/// The requests by which a prediction measures the way: enough for a 99th percentile.
pub const MOVE_ROUND_TRIPS: usize = 201;
/// The messages by which it measures how fast pages travel.
pub const MOVE_PROBE_MESSAGES: usize = 5;
/// How long it reads tables, to measure how fast they are compared.
pub const MOVE_SAMPLE_MS: u64 = 100;
/// A whole prediction, on a slow disk far away.
pub const MOVE_PREDICT_MS_MAX: u64 = 15_000;
