//! The interfaces that the host offers to guests: one file each, with an `add_to_linker`.
//!
//! Invariant: a guest reaches the outside only through this folder.

pub mod admission;
pub mod attempts;
pub mod branches;
pub mod bulkhead;
pub mod config;
pub mod cut_off;
pub mod dispatch;
pub mod invariants;
pub mod joint;
pub mod last_words;
pub mod logging;
pub mod memory;
pub mod migrations;
pub mod notes;
pub mod places;
pub mod reconciliation;
pub mod saga_steps;
pub mod sagas;
pub mod store;
pub mod ticket;
pub mod together;
pub mod traffic;
pub mod transactions;
pub mod two_phase;
pub mod wasi;
pub mod wasi_http;
mod wasi_wait;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use seam_store::ids::ContextName;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::WasiHttpCtx;

use crate::call::{Call, MovingDeadline};

/// The data of one instance's `Store`: everything that the host keeps for a guest.
pub struct Guest {
    pub context: ContextName,
    /// The call that the instance serves now; `None` while it is idle or starting.
    pub call: Option<Call>,
    /// The callees of the calls that this call makes; set whenever `call` is.
    pub callees: Option<dispatch::DispatchTable>,
    /// When the host stops the current call or start, unless `moving` says otherwise.
    pub deadline: Instant,
    /// The deadline of a `wasi:http` request, which moves while its client reads or sends.
    pub moving: Option<Arc<MovingDeadline>>,
    /// Epoch ticks during which this call was computing.
    pub ticks: u32,
    /// Set when the instance's generation was replaced and its drain time is over.
    pub cut_off: Arc<cut_off::CutOff>,
    /// The context's own file, if the manifest grants it one.
    pub store: Option<store::Session>,
    /// Set if it may begin transactions over several files.
    pub two_phase: Option<two_phase::Grant>,
    /// The sagas that it declares, and whether they are performed.
    pub sagas: sagas::Sagas,
    pub config: Arc<WasiConfigVariables>,
    /// Where `wasi:http` may send requests.
    pub outgoing: wasi_http::Outgoing,
    /// Set while the host records this call.
    pub notes: Option<Box<notes::Notes>>,
    /// Set while it makes calls side by side.
    pub together: Option<Box<together::Together>>,
    /// What it said in this call that a failure should tell.
    pub last_words: last_words::LastWords,
    /// Set when it draws random numbers.
    pub drew: Arc<AtomicBool>,
    pub memory: memory::Limiter,
    /// The counts of the context, shared by all its instances and versions.
    pub attempts: Arc<attempts::Attempts>,
    pub log_budget: Arc<logging::Budget>,
    pub wasi: WasiCtx,
    pub http: WasiHttpCtx,
    pub table: ResourceTable,
}

impl Guest {
    /// When the host stops the current call or start.
    pub fn deadline(&self) -> Instant {
        self.moving.as_ref().map_or(self.deadline, |moving| moving.get())
    }

    /// Whether the other host from which the request came does not wait for it any more.
    pub fn is_cancelled(&self) -> bool {
        let cancel = self.callees.as_ref().and_then(dispatch::DispatchTable::cancel);
        cancel.is_some_and(|cancel| cancel.is_given())
    }

    /// The call that the instance serves now, with the time that it has left.
    pub fn call(&self) -> Option<Call> {
        self.call.map(|mut call| {
            call.deadline = self.deadline();
            call
        })
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
