//! Bounds of leases and of standbys.

/// For how long a lease is not renewed before the standby takes it, by default and at the least and most. A restart of
/// the owner should take less; renewals are requests to the store of backups.
pub const STANDBY_TAKEOVER_MS: u64 = 15_000;
pub const STANDBY_TAKEOVER_MS_MIN: u64 = 2_000;
pub const STANDBY_TAKEOVER_MS_MAX: u64 = 3_600_000;
/// Renewals within that time, so that one that fails costs nothing.
pub const STANDBY_RENEWALS: u32 = 5;
/// For how much of that time the owner commits after a renewal, in percent. The rest is for a commit that is under way,
/// and for clocks that do not run alike.
pub const STANDBY_TERM_PERCENT: u32 = 75;
/// How many names of leases are read again when the lease was renewed meanwhile.
pub const STANDBY_READS: u32 = 5;
/// A lease as it is stored.
pub const STANDBY_LEASE_BYTES_MAX: usize = 4 << 10;
/// Numbers of transactions that a takeover leaves out, so that what its old owner may still store sorts before what the
/// new one does: a thousand times what waits at most.
pub const STANDBY_NUMBERS: u64 = 1 << 24;
/// Deltas by which a copy is brought on before the lease is looked at again.
pub const STANDBY_DELTAS: u32 = 64;
/// Between two looks of a standby for deltas, at the most: they are stored each second.
pub const STANDBY_LOOK_MS: u64 = 1_000;
/// Deltas that may be found at the number at which a takeover wants to write: those of an owner that was cut off.
pub const STANDBY_FENCES_MAX: u32 = 1_000;
/// A question to the owner for its component and keys, and a word to the other hosts that a context has moved.
pub const STANDBY_STEP_MS_MAX: u64 = 30_000;
/// The pause after which the owner is asked again for what a standby is missing.
pub const STANDBY_TELL_MS: u64 = 2_000;
