//! Bounds of the connections between hosts, and of their certificates.

/// TCP, TLS and the greeting. A call that needs the connection waits so long at most: a host in the same data centre
/// answers in milliseconds, one on another continent within a second.
pub const REMOTE_CONNECT_MS: u64 = 2_000;
/// From a connection's first byte to the end of its handshake, at the host that is called.
pub const REMOTE_HANDSHAKE_MS: u64 = 5_000;
/// How often each side asks whether the other one is still there.
pub const REMOTE_PING_MS: u64 = 1_000;
/// The time in which the other side answers that. A host whose workers are all busy answers within milliseconds; with
/// `REMOTE_PING_MS`, calls to a frozen host end after three seconds.
pub const REMOTE_PONG_MS: u64 = 2_000;
/// The longest pause before a host is tried again that could not be reached; the first one is `PAUSE_FIRST_MS`. Calls
/// fail at once meanwhile, so it is the longest time for which a host that is back stays unused.
pub const REMOTE_PAUSE_MS_MAX: u64 = 5_000;
/// A connection that ends after a longer time counts as one that worked.
pub const REMOTE_STEADY_MS: u64 = 10_000;
/// So many connections in a row may end sooner and are made again without a pause: a host that restarts, and one whose
/// certificate is renewed, ends one each.
pub const REMOTE_SHORT_MAX: u32 = 4;
/// A connection without a call. The next call makes it again, which takes two milliseconds.
pub const REMOTE_IDLE_S: u64 = 600;
/// Connections of all other hosts together: each has one, and another one while its certificate changes. Most of them
/// are for strangers, who hold one for `REMOTE_HANDSHAKE_MS` until they are refused.
pub const REMOTE_CONNECTIONS: usize = 1_024;
/// Calls at once on one connection. Further ones wait at their own host, whichever context they are for: so it is as
/// many as one host can have threads waiting.
pub const REMOTE_STREAMS: u32 = 1_024;
/// Calls at once that one host answers to all others. Each may hold a thread.
pub const REMOTE_CALLS: usize = 1_024;
/// Questions for events at once that one host answers to all others. Each subscription of another host has one, which
/// holds no thread.
pub const REMOTE_ASKS: usize = 4_096;
/// Arguments of all calls that arrive or run at one moment: sixteen of the largest.
pub const REMOTE_ARGUMENTS_KB: u32 = 256 << 10;
/// The fields of a call. With the longest names and a chain of `CALL_DEPTH_MAX` they have 2 KiB.
pub const REMOTE_HEAD_BYTES: u32 = 16 << 10;
/// What one call may send before its receiver has read any of it.
pub const REMOTE_STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The same for all calls of a connection together.
pub const REMOTE_WINDOW_BYTES: u32 = 8 << 20;
/// How long running calls may take to finish once their host stops: as long as requests of browsers.
pub const REMOTE_DRAIN_MS: u64 = super::HTTP_DRAIN_MS;
/// Why a call has failed, as it travels to its caller. The end of a longer text is cut off.
pub const REMOTE_REASON_BYTES_MAX: usize = 2 << 10;
/// How often a call is sent again that the other host has certainly not performed.
pub const REMOTE_RESENDS: u32 = 2;
/// Requests by which the way to another host is measured: an odd number, so that one of them is the median.
pub const REMOTE_ROUND_TRIPS: usize = 21;
/// How long that may take, with a connection that is still to be made.
pub const REMOTE_ROUND_TRIPS_MS: u64 = 5_000;
/// Keys in one page of a total's amounts. A row takes some tens of bytes.
pub const TOTAL_PAGE_BYTES: usize = 32 << 10;
/// Pages of a side that are read ahead while others are compared.
pub const TOTAL_PAGES: usize = 2;
/// The longest key of a total that crosses hosts. Keys are numbers of orders and the like.
pub const TOTAL_KEY_BYTES_MAX: usize = 4 << 10;
/// A row as a line: each byte of its key as six, and two amounts of up to 20 digits.
pub const TOTAL_LINE_BYTES_MAX: usize = 6 * TOTAL_KEY_BYTES_MAX + 100;
/// Amounts of sides that one host reads for others at one moment. Each holds a thread and a snapshot, whose file's log
/// grows meanwhile.
pub const TOTALS_OPEN: usize = 32;
/// Sides of one total that may live on one other host. Each comes twice at one moment, and holds
/// `REMOTE_STREAM_WINDOW_BYTES` of the connection at most: the rest of `REMOTE_WINDOW_BYTES` stays for calls.
pub const TOTAL_SIDES_ON_A_HOST_MAX: usize = 3;
const _: () = assert!(2 * TOTAL_SIDES_ON_A_HOST_MAX as u32 * REMOTE_STREAM_WINDOW_BYTES < REMOTE_WINDOW_BYTES);
/// Log lines a second about refused calls and connections, one host's others together; the log says how many it lacks.
pub const REMOTE_REFUSED_LINES_PER_S: u32 = 20;
/// How often the certificate of the other side of a connection is verified again: its end may have passed.
pub const REMOTE_VERIFY_S: u64 = 30;
/// Certificates in the file of authorities: two while one replaces the other.
pub const REMOTE_AUTHORITIES_MAX: usize = 16;

/// How long a host's certificate of `seam cert` is valid, unless the operator says otherwise: a year, to be renewed by
/// hand.
pub const CERTIFICATE_DAYS: u32 = 365;
/// The same for an authority. All certificates of a system depend on it.
pub const AUTHORITY_DAYS: u32 = 3_650;
/// The most of both that an operator may ask for: the dates of a certificate have four digits for a year.
pub const CERTIFICATE_DAYS_MAX: u32 = 36_500;
/// How long before its making a certificate is valid: it is used at once, also by a host whose clock is minutes behind.
/// An hour, as public authorities have it.
pub const CERTIFICATE_EARLY_S: i64 = 3_600;

/// What `seam pretend` shows of a silent host is what these connections would.
const _: () = assert!(seam_runtime::limits::PRETENDED_SILENCE_MS == REMOTE_PING_MS + REMOTE_PONG_MS);

/// How far the clocks of two hosts may differ that talk through a broker, with the time that a message is on its way:
/// NTP keeps hosts within milliseconds, and what is older could have been kept and sent again.
pub const BROKER_SKEW_MS: u64 = 10_000;
/// Calls that a host remembers of twice that time, so that it performs none twice: 10,000 a second. Each takes 17 bytes
/// in one of two sets.
pub const BROKER_SEEN_MAX: usize = 200_000;
/// The fields of a message with certificates, in hexadecimal digits: twice those of a call over HTTP/2.
pub const BROKER_HEAD_BYTES: usize = 32 << 10;
/// Chains of certificates that a host has verified: one or two of each host.
pub const BROKER_CERTIFICATES_MAX: usize = 512;
/// Messages that wait between the connection and this host, for each context that it has a copy of. Each is taken at
/// once: a copy that has no place says so. What does not fit is lost, so there is room for what a busy machine is late
/// with.
pub const BROKER_WAITING: usize = 8_192;
/// Lines for the log that wait.
pub const BROKER_EVENTS: usize = 64;
/// The pause before a lost broker is tried for the first time: it restarts within this time.
pub const BROKER_PAUSE_MS: u64 = 250;
/// How often a copy looks whether it has caught up with the events that it learns from, before it takes calls.
pub const BROKER_READY_MS: u64 = 200;
/// What a copy may still be given after it has said that it leaves: more than arrives while the broker learns it.
pub const BROKER_LAST: u64 = 1_024;
/// How many messages of its own at once fill that up. The other copies get most of them, and have calls to take.
pub const BROKER_FILL: u64 = 64;
/// The pause between two lots of them.
pub const BROKER_FILL_MS: u64 = 2;
/// How long leaving may take, with hundreds of other copies: then a copy goes that is still given messages.
pub const BROKER_LEAVE_MS: u64 = 10_000;
