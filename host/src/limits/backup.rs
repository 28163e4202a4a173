//! Bounds of the backup that goes on while the host serves.

/// How often changes are looked for, by default and at the least and most: what a lost disk can cost.
pub const BACKUP_EVERY_S: u64 = 1;
pub const BACKUP_EVERY_S_MIN: u64 = 1;
pub const BACKUP_EVERY_S_MAX: u64 = 60 * 60;
/// How long states are kept, by default and at the least and most.
pub const BACKUP_KEEP_S: u64 = 30 * 24 * 60 * 60;
pub const BACKUP_KEEP_S_MIN: u64 = 60 * 60;
pub const BACKUP_KEEP_S_MAX: u64 = 10 * 365 * 24 * 60 * 60;
/// What waits on this host's disk, for one context, while the store of backups is away: an hour of a busy context. Then
/// it is dropped, and the next thing stored is a snapshot.
pub const BACKUP_WAITING_BYTES_MAX: u64 = 256 << 20;
/// Deltas after which a snapshot is made again, so that a restore stays short: an hour of changes each second.
pub const BACKUP_DELTAS_MAX: u32 = 3_600;
/// Bytes of deltas after which a snapshot is made again, as a multiple of the last snapshot's; at least
/// `BACKUP_DELTA_BYTES_MIN`.
pub const BACKUP_DELTA_TIMES: u64 = 4;
pub const BACKUP_DELTA_BYTES_MIN: u64 = 64 << 20;
/// Pages of a file that are copied for a snapshot before its changes are read again: 16 MiB.
pub const BACKUP_STEP_PAGES: u32 = 4_096;
/// What a snapshot leaves free on the disk of the data folder: the files of contexts need it more.
pub const BACKUP_ROOM_BYTES_MIN: u64 = 64 << 20;
/// The pause between two such steps: other work gets the disk.
pub const BACKUP_STEP_MS: u64 = 5;
/// The pauses after which a store of backups is tried again that did not take something.
pub const BACKUP_PAUSE_MS_MIN: u64 = 1_000;
pub const BACKUP_PAUSE_MS_MAX: u64 = 30_000;
/// One request to a bucket: a part of a file at 3 Mbit/s.
pub const BACKUP_REQUEST_MS: u64 = 30_000;
/// How long the end of the host waits for what is not stored yet. What is left then waits for the next start.
pub const BACKUP_STOP_MS: u64 = 5_000;
/// A larger file goes to a bucket in parts of so many bytes, which bounds the memory it takes.
pub const BACKUP_PART_BYTES: usize = 8 << 20;
/// Files of one context in the store of backups: a snapshot an hour and a delta a second for ten days. More are not
/// listed.
pub const BACKUP_FILES_MAX: usize = 1_000_000;
/// Files that a restore fetches at the same time.
pub const BACKUP_FETCHES: usize = 4;
/// From this age on, changes that are not stored are a warning of `seam contexts`.
pub const BACKUP_BEHIND_MS: u64 = 60_000;
