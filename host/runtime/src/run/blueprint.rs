//! The blueprint of the instances of one generation: what they are made from, and what the manifest grants them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use seam_store::Database;
use seam_store::ids::ContextName;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{ComponentExportIndex, InstancePre};
use wasmtime_wasi_config::WasiConfigVariables;

use crate::component::InterfaceName;
use crate::guest::attempts::Attempts;
use crate::guest::cut_off::CutOff;
use crate::guest::sagas::Sagas;
use crate::guest::{Guest, logging, memory, two_phase, wasi, wasi_http};
use crate::json::Arguments;

/// What all instances of a generation are made from, and their grants.
pub(crate) struct Blueprint {
    pub context: ContextName,
    pub pre: InstancePre<Guest>,
    /// Every function of every seam that it exports.
    pub exports: Vec<Export>,
    pub http_handler: Option<ComponentExportIndex>,
    pub migrations: Option<ComponentExportIndex>,
    pub invariants: Option<ComponentExportIndex>,
    pub saga_steps: Option<SagaSteps>,
    pub mend: Option<ComponentExportIndex>,
    pub health: Option<ComponentExportIndex>,
    /// It answers HTTP by `wasi:http` alone.
    pub serves_wasi_http: bool,
    /// Linked against asynchronous host functions: it serves `wasi:http`, or its calls may wait for another host.
    pub asynchronous: bool,
    /// Linked against host functions that wait on the calling thread: WASI's streams and polls.
    pub waits: bool,
    pub grants: Grants,
}

/// The functions of `seam:host/saga-steps`.
pub(crate) struct SagaSteps {
    pub definitions: ComponentExportIndex,
    pub perform: ComponentExportIndex,
    pub undo: ComponentExportIndex,
}

/// What the manifest grants, in the form that instances use.
pub(crate) struct Grants {
    pub database: Option<Arc<Database>>,
    /// The definitions are read before any call reaches the generation.
    pub sagas: Sagas,
    pub config: Arc<WasiConfigVariables>,
    /// Names and versions of the shared files in `config`.
    pub shared: BTreeMap<String, String>,
    pub outgoing: wasi_http::Outgoing,
    pub memory: memory::Shared,
    pub instance_memory_mb: u64,
    /// Belongs to the context: each version hands it on to the next.
    pub attempts: Arc<Attempts>,
    /// Set if it may begin transactions over several files.
    pub two_phase: Option<two_phase::Grant>,
    pub log_budget: Arc<logging::Budget>,
    pub timeout: Duration,
    /// The clock and the random numbers.
    pub world: wasi::World,
    /// Set when the calls that its instances still run must end at once.
    pub cut_off: Arc<CutOff>,
}

pub struct Export {
    pub interface: InterfaceName,
    pub function: String,
    pub signature: ComponentFunc,
    pub(crate) index: ComponentExportIndex,
    /// Made by the first event.
    arguments: OnceLock<Arguments>,
}

impl Export {
    pub(crate) fn new(
        interface: InterfaceName,
        function: String,
        signature: ComponentFunc,
        index: ComponentExportIndex,
    ) -> Self {
        Self { interface, function, signature, index, arguments: OnceLock::new() }
    }

    /// Reads arguments from the JSON of an event.
    pub fn arguments(&self) -> &Arguments {
        self.arguments.get_or_init(|| Arguments::of(&self.signature))
    }

    /// The names of its interface and of itself, for `FunctionName::find`.
    pub fn name(&self) -> (&InterfaceName, &str) {
        (&self.interface, &self.function)
    }
}

/// How a context answers HTTP, read from its exports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serves {
    Nothing,
    /// `seam:host/http-handler`: whole requests and responses, in memory.
    BufferedHttp,
    /// `wasi:http/incoming-handler@0.2`
    WasiHttp,
}
