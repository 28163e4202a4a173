//! What a version declares of its file: read from the component when it is asked for, and compared with a schema.

use seam_store::{Database, Invariant};

use super::Generation;
use crate::component::ContextProblem;
use crate::guest::invariants::InvariantRecord;
use crate::run::instance::Instance;

impl Generation {
    /// The invariants that its component declares; none if it exports no `seam:host/invariants`. Starts an instance for
    /// it, beside those that serve.
    ///
    /// # Errors
    /// When the component does not start or does not list them.
    pub fn invariants(&self) -> Result<Vec<Invariant>, ContextProblem> {
        let Some(index) = &self.blueprint.invariants else { return Ok(Vec::new()) };
        let listed: wasmtime::Result<(Vec<InvariantRecord>,)> =
            Instance::start(&self.blueprint).and_then(|mut instance| {
                instance.store.set_epoch_deadline(1);
                instance.call(index, ())
            });
        let (listed,) = listed.map_err(|error| {
            let message = format!("does not list its invariants: {}", self.reason(&error));
            ContextProblem::of(self.context(), message, "see the log; then rebuild the component")
        })?;
        Ok(listed.into_iter().map(Invariant::from).collect())
    }

    /// The invariants that it declares, if they fit the schema of `database`.
    ///
    /// # Errors
    /// The first that does not fit, or why they cannot be read.
    pub fn fitting_invariants(&self, database: Option<&Database>) -> Result<Vec<Invariant>, ContextProblem> {
        let declared = self.invariants()?;
        match database {
            _ if declared.is_empty() => {}
            Some(database) => database.accepts_invariants(&declared).map_err(|error| {
                // The name of its file, for `seam check`.
                let part = error.name().map(|name| format!("{INVARIANT_PART}{name}")).unwrap_or_default();
                let message = format!("declares what cannot be verified: {error}");
                let remedy = error.remedy();
                ContextProblem { part, ..ContextProblem::of(self.context(), message, remedy) }
            })?,
            None => {
                let (name, message) = (self.context(), "has invariants, but the manifest does not grant it a store");
                return Err(ContextProblem::of(name, message, format!("add `store = true` to [context.{name}]")));
            }
        }
        Ok(declared)
    }
}

/// How the `part` of a problem with an invariant starts; the name of the invariant follows.
pub const INVARIANT_PART: &str = "invariant ";
