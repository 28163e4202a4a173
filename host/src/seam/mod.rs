//! What the host gives to guests: one file per interface, each with the same two parts, `add_to_linker` and its `Host` impl.
//!
//! Invariant: a guest reaches nothing that does not pass through this folder or through `Dispatch`.

pub mod store;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::WasiHttpCtx;

use crate::call::Call;
use crate::ids::ContextName;

/// The data of one instance's `Store`: everything that the host keeps for a guest while it runs.
pub struct Guest {
    pub context: ContextName,
    /// The call that the instance serves now; `None` while it is idle or starting.
    pub call: Option<Call>,
    /// The context's own file, if the manifest grants it one.
    pub store: Option<store::Session>,
    pub wasi: WasiCtx,
    pub http: WasiHttpCtx,
    pub table: ResourceTable,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
