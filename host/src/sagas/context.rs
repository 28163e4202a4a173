//! The contexts of the running system as performers of sagas.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_runtime::call::{Call, Failure};
use seam_runtime::run::{Generation, Undelivered};
use seam_runtime::serve::Registry;
use seam_store::ids::Trace;
use seam_store::{Database, SagaDefinition, SagaOutcome};

use super::driver::Contexts;
use super::performer::{Performance, Performer};
use crate::limits;
use crate::pause::pause_ms;

/// All contexts that have a file: a version without sagas may follow one that has some in process.
impl Contexts for Registry {
    type Performer = ContextPerformer;

    fn all(&self) -> Vec<(String, Arc<Database>)> {
        let serve = |generation: &Arc<Generation>| generation.out_of_service().is_none();
        let with_file = |generation: Arc<Generation>| {
            let database = generation.database()?.clone();
            Some((generation.context().to_string(), database))
        };
        self.generations().into_iter().filter(serve).filter_map(with_file).collect()
    }

    fn performer(&self, context: &str) -> ContextPerformer {
        ContextPerformer { registry: self.clone(), context: context.to_owned() }
    }
}

/// A context of the running system, or one of its variants, in the version that serves.
pub struct ContextPerformer {
    registry: Registry,
    context: String,
}

impl ContextPerformer {
    fn generation(&self) -> Result<Arc<Generation>, Failure> {
        let generation = self.registry.live(&self.context)?.generation().clone();
        if generation.out_of_service().is_some() { Err(generation.absence()) } else { Ok(generation) }
    }
}

impl Performer for ContextPerformer {
    fn database(&self) -> Result<Arc<Database>, Failure> {
        let generation = self.generation()?;
        generation.database().cloned().ok_or_else(|| generation.absence())
    }

    fn definition(&self, kind: &str) -> Result<Option<SagaDefinition>, Failure> {
        let generation = self.generation()?;
        Ok(generation.saga_definitions().iter().find(|definition| definition.kind == kind).cloned())
    }

    fn perform(&self, step: Performance<'_>) -> Result<SagaOutcome, Undelivered> {
        let Performance { task, trace, undo, keep, mark } = step;
        let live = self.registry.live(&self.context).map_err(Undelivered::Context)?;
        let trace = Trace::parse(trace).map_or_else(Trace::start, Trace::child);
        let call = Call::start(Instant::now() + Duration::from_millis(limits::SAGA_CALL_MS), trace);
        live.perform(call, task, undo, |outcome, _| keep(outcome), mark)
    }

    fn pause_ms(&self, attempts: Option<u32>) -> u64 {
        pause_ms(attempts.unwrap_or(u32::MAX), Duration::from_secs(limits::SAGA_PAUSE_S))
    }
}
