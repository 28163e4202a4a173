//! The limits and times of a survey, each with its unit in the name and the reason for its size.

use std::time::Duration;

/// How long a look waits for a lock of the program that uses the file, in milliseconds. SQLite's own shell waits not at
/// all, and most drivers wait five seconds.
pub const LOCK_WAIT_MS: u64 = 5_000;
/// How long one question about the rows of a table may take before it is asked of a sample, in milliseconds. A count of
/// ten million rows takes less.
pub const QUESTION_MS: u64 = 2_000;
/// Instructions of SQLite between two looks at the clock: some 100 microseconds.
pub const INSTRUCTIONS_PER_LOOK: i32 = 10_000;
/// Rows of a sample. The share of orphans among them is within one percent of that of all rows.
pub const SAMPLE_ROWS: u64 = 20_000;
/// Places of a table at which the rows of a sample are taken, one after the other from each.
pub const SAMPLE_PLACES: u64 = 100;
/// Functions and collations that one schema may ask of its program: each is found by one more attempt.
pub const PROGRAM_NAMES_MAX: usize = 500;

/// Bytes of one line of a log of statements. SQLite itself takes statements of up to a megabyte.
pub const LINE_BYTES_MAX: usize = 2 << 20;
/// Different statements of a log. A program of a hundred thousand lines has some thousand.
pub const STATEMENTS_MAX: usize = 50_000;
/// Different sets of tables that transactions of a log touch.
pub const TRANSACTIONS_MAX: usize = 50_000;
/// Connections of a log with a transaction open at once.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Lines between two reports of how far a log is read: some tenths of a second.
pub const LINES_PER_REPORT: u64 = 20_000;

/// Rows of a table that is called static data: a list that a person could read.
pub const STATIC_ROWS_MAX: u64 = 500;
/// Tables that refer to static data: what one alone refers to belongs to it.
pub const STATIC_READERS_MIN: usize = 2;
/// Reasons that are shown for the place of a table.
pub const TIES_SHOWN: usize = 3;

pub const LOCK_WAIT: Duration = Duration::from_millis(LOCK_WAIT_MS);
pub const QUESTION: Duration = Duration::from_millis(QUESTION_MS);
