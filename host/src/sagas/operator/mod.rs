//! What an operator asks of sagas, and does with them: list, group, show, retry, skip, undo, resume.
//!
//! Invariants: a preview and a request that is refused change nothing. Every change goes through `Audit::act`, which
//! notes who made it and why, and is a line of the saga's timeline.
//! `stopped` reads the files of a host that is stopped; nothing acts on them.
//! Not here: what an action does to a saga (`seam_store`), how a saga goes on (`engine`).

mod act;
mod look;
mod steps;
mod stopped;
#[cfg(test)]
mod tests;
mod types;

use std::sync::Arc;

use seam_runtime::run::Generation;
use seam_runtime::serve::Registry;
use seam_store::Database;

pub use look::SagaFile;
pub use stopped::StoppedSagas;
pub use types::{
    NotActed, SagaAct, SagaActRequest, SagaGroup, SagaGroups, SagaList, SagaName, SagaOrder, SagaPlan, SagaSelection,
    SagaStatus, SagaTarget, ShownAttempt, ShownSaga, ShownStep, StepState, Unread,
};

use crate::audit::{Act, Audit};
use crate::refused::{Refused, reason};

/// What the admin socket and tools ask. Cheap to clone.
#[derive(Clone)]
pub struct SagaOperator {
    registry: Registry,
    audit: Audit,
}

impl SagaOperator {
    pub fn new(registry: Registry, audit: Audit) -> Self {
        Self { registry, audit }
    }

    /// Sagas, the oldest first; at most `SAGA_LIST_MAX`.
    ///
    /// # Errors
    /// For an unknown context, kind or state.
    pub fn list(&self, selection: &SagaSelection, most: u32) -> Result<SagaList, Refused> {
        look::list(&self.files(), &self.known(selection)?, self.now_ms(), most)
    }

    /// Sagas by where they are, and why.
    ///
    /// # Errors
    /// As `list`.
    pub fn groups(&self, selection: &SagaSelection) -> Result<SagaGroups, Refused> {
        look::groups(&self.files(), &self.known(selection)?, self.now_ms())
    }

    /// One saga with its steps and its timeline.
    ///
    /// # Errors
    /// When there is no such saga, or its file is not open.
    pub fn show(&self, name: &SagaName) -> Result<ShownSaga, Refused> {
        let name = SagaName { context: self.name_of(&name.context)?, ..name.clone() };
        let files = self.files();
        let file = look::open(look::file(&files, &name.context)?)?;
        let generations = self.registry.generations();
        let serves = generations.iter().find(|generation| generation.context().as_str() == name.context);
        let definitions = serves.map(|generation| generation.saga_definitions()).unwrap_or_default();
        look::show(file, &name, look::definition(definitions, &name.kind), self.now_ms())
    }

    /// Acts on one saga or on many, or says what that would do.
    ///
    /// # Errors
    /// When it is refused: then nothing has changed, unless the message says otherwise.
    pub fn act(&self, who: &str, request: &SagaActRequest) -> Result<SagaPlan, Refused> {
        let of = match &request.of {
            SagaTarget::One(name) => {
                SagaTarget::One(SagaName { context: self.name_of(&name.context)?, ..name.clone() })
            }
            SagaTarget::All(selection) => SagaTarget::All(self.known(selection)?),
        };
        act(&self.audit, &self.files(), who, &SagaActRequest { of, ..request.clone() }, self.now_ms())
    }

    fn now_ms(&self) -> u64 {
        self.registry.clock().wall_ms()
    }

    fn known(&self, selection: &SagaSelection) -> Result<SagaSelection, Refused> {
        let context = selection.context.as_deref().map(|context| self.name_of(context)).transpose()?;
        Ok(SagaSelection { context, ..selection.clone() })
    }

    /// A variant's file has its own sagas: `main` is the context.
    ///
    /// # Errors
    /// When it lives on another host.
    fn name_of(&self, context: &str) -> Result<String, Refused> {
        match self.registry.lives_elsewhere(context) {
            Some(host) => Err(Refused::elsewhere(context, &host)),
            None => Ok(self.registry.name_of(context)),
        }
    }

    /// The files that may have sagas, in the order of the manifest.
    fn files(&self) -> Vec<SagaFile<Arc<Database>>> {
        let generations = self.registry.generations();
        let stores = generations.iter().filter(|generation| generation.spec().settings.store.is_some());
        stores.map(|generation| of_generation(generation)).collect()
    }
}

fn of_generation(generation: &Generation) -> SagaFile<Arc<Database>> {
    let file = match (generation.out_of_service(), generation.database()) {
        (Some(problem), _) => Err(problem.message.clone()),
        (None, Some(database)) => Ok(database.clone()),
        (None, None) => Err("it has no open file".to_owned()),
    };
    SagaFile { context: generation.context().to_string(), file }
}

/// See `SagaOperator::act`.
fn act(
    audit: &Audit,
    files: &[SagaFile<Arc<Database>>],
    who: &str,
    request: &SagaActRequest,
    now_ms: u64,
) -> Result<SagaPlan, Refused> {
    let needed = match request.order {
        SagaOrder::Skip => Some("what is skipped is not done by the host"),
        SagaOrder::Undo => Some("what is undone does not come back"),
        SagaOrder::Retry | SagaOrder::Resume => None,
    };
    // A preview may come before the reason.
    let why = reason(&request.why, needed.filter(|_| !request.preview))?;
    let prepared = act::prepare(files, request, now_ms)?;
    if request.preview {
        return Ok(prepared.plan);
    }
    if prepared.plan.acts.is_empty() {
        return Ok(SagaPlan { done: true, ..prepared.plan });
    }
    let command = act::command(request);
    audit.act(&Act { who, command: &command, why }, || {
        let plan = act::carry_out(files, prepared, request.order, (who, why), now_ms)?;
        let (acted, refused, moved) = (plan.acts.len(), plan.refused.len(), plan.moved.len());
        let sagas = if acted == 1 { "saga" } else { "sagas" };
        let what = format!("{acted} {sagas}, {refused} refused, {moved} had moved on");
        match (&request.of, plan.refused.first().or(plan.moved.first())) {
            (SagaTarget::One(name), Some(not)) => {
                Err(Refused::new(format!("saga {name}: {}", not.why), "nothing was changed; look again"))
            }
            _ => Ok((plan, what)),
        }
    })
}
