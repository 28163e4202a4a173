//! `seam:host/migrations`: the schema changes of a component, as the guest returns them.
//!
//! Not here: which migrations run, and how (`store`).

use seam_store::Migration;
use wasmtime::component::{ComponentType, Lift};

/// The WIT record `migration`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub struct MigrationRecord {
    number: u32,
    name: String,
    sql: String,
}

impl From<MigrationRecord> for Migration {
    fn from(MigrationRecord { number, name, sql }: MigrationRecord) -> Self {
        Self { number, name, sql }
    }
}
