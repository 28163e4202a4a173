//! `seam:host/store`: a context's statements, on their way to its file.

use std::sync::Arc;

use crate::store::Database;

/// One instance's use of its context's file: the transaction that its call has open, if any.
pub struct Session {
    pub database: Arc<Database>,
}

impl Session {
    pub fn new(database: Arc<Database>) -> Self {
        Self { database }
    }

    /// Ends the call: whether it left a transaction open, which is rolled back now.
    pub fn finish(&mut self) -> bool {
        false
    }
}

pub fn add_to_linker(_linker: &mut wasmtime::component::Linker<super::Guest>) -> wasmtime::Result<()> {
    Ok(())
}
