//! `seam:host/store`: a context's statements, on their way to its file.

use std::sync::Arc;

use crate::store::Database;

/// One instance's use of its context's file: the transaction that its call has open, if any.
pub struct Session {
    pub database: Arc<Database>,
}
