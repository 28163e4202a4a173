//! `seam:host/migrations`: the changes of its schema that a component brings along, as the guest returns them.
//!
//! Not here: which of them run, and how (`store`).

use wasmtime::component::{ComponentType, Lift};

use seam_store::Migration;

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
