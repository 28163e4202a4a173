//! The sagas that a version declares: read and checked when it starts, before any call reaches it.

use seam_store::SagaDefinition;

use super::Generation;
use crate::component::ContextProblem;
use crate::guest::saga_steps::DefinitionRecord;
use crate::link;
use crate::run::instance::Instance;

impl Generation {
    /// The sagas that it declares; none before its start.
    pub fn saga_definitions(&self) -> &[SagaDefinition] {
        self.blueprint.grants.sagas.definitions()
    }

    /// Reads its definitions from a started instance.
    ///
    /// # Errors
    /// The first that the host cannot perform, with how many others there are.
    pub(super) fn read_sagas(&self, instance: &mut Instance) -> Result<(), ContextProblem> {
        let Some(steps) = &self.blueprint.saga_steps else { return Ok(()) };
        let (settings, component) = (&self.spec.settings, &self.spec.component);
        let problem = |what: String, remedy: String| Err(ContextProblem::of(&settings.name, what, remedy));
        if settings.store.is_none() {
            let remedy = format!("add `store = true` to [context.{}]", settings.name);
            return problem("has sagas, but the manifest does not grant it a store".to_owned(), remedy);
        }
        if self.blueprint.serves_wasi_http {
            let what = "performs sagas and serves `wasi:http`, and this host cannot call it for both";
            let remedy = "serve `seam:host/http-handler`, or move the sagas to another context";
            return problem(what.to_owned(), remedy.to_owned());
        }
        instance.store.set_epoch_deadline(1);
        let definitions: Vec<SagaDefinition> = match instance.call(&steps.definitions, ()) {
            Ok((listed,)) => Vec::<DefinitionRecord>::into_iter(listed).map(SagaDefinition::from).collect(),
            Err(error) => {
                let what = format!("does not list its sagas: {}", self.reason(&error));
                return problem(what, "see the log; then rebuild the component".to_owned());
            }
        };
        let mut problems = link::saga_problems(settings, component, &definitions).into_iter();
        if let Some((what, remedy)) = problems.next() {
            let more = problems.len();
            let what = if more == 0 { what } else { format!("{what} (and {more} more like this)") };
            return problem(what, remedy);
        }
        self.blueprint.grants.sagas.declare(definitions);
        Ok(())
    }
}
