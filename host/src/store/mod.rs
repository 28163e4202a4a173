//! One SQLite file per context.

/// A context's file: its one writer and its readers.
pub struct Database;
