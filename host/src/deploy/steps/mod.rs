//! The steps that a new version must pass, one file each. A step returns notes for the operator, or a `GateRefusal`.

pub(super) mod capabilities;
pub(super) mod health;
pub(super) mod migrations;
mod probation;
pub(super) mod publish;
pub(super) mod replay;
pub(super) mod sagas;
pub(super) mod undelivered;
pub(super) mod wit;

use std::path::Path;

use seam_runtime::component::{self, Artifact, Component, ContextProblem};
use seam_runtime::serve;
use seam_store::chain;
use seam_store::ids::ContextName;

use super::pipeline::Pipeline;
use super::report::{GateRefusal, Step, short};
use super::system::System;

/// Step `read`: reads the file once. Later changes of the file have no effect.
///
/// # Errors
/// When the file cannot be read or is not a component.
pub(super) fn read(file: &Path, pipeline: &mut Pipeline<'_>) -> Result<Artifact, GateRefusal> {
    pipeline.file = file.to_string_lossy().into_owned();
    let artifact = pipeline.step(Step::Read, || {
        let artifact = Artifact::read(file).map_err(|error| unreadable(&error))?;
        let notes = vec![format!("{} bytes, SHA-256 {}", artifact.bytes.len(), short(&artifact.hash))];
        Ok((artifact, notes))
    })?;
    pipeline.hash.clone_from(&artifact.hash);
    Ok(artifact)
}

/// Step `compile`. A component for another host is refused at the step `wit`, like any other whose imports this host
/// does not offer.
///
/// # Errors
/// When the component is for another host, or does not compile within its limits of memory and time.
pub(super) fn compile(
    system: &System,
    context: &ContextName,
    artifact: &Artifact,
    pipeline: &mut Pipeline<'_>,
) -> Result<Component, GateRefusal> {
    pipeline.step(Step::Compile, || match system.registry.compile(artifact) {
        Ok(component) => Ok((component, vec![])),
        Err(serve::Error::Component(component::Error::Foreign { what, remedy, .. })) => {
            Err(GateRefusal::problems(Step::Wit, &[ContextProblem::of(context, what, remedy)]))
        }
        Err(error) => Err(GateRefusal::context(Step::Compile, error).or_remedy("build it from a source that compiles")),
    })
}

fn unreadable(error: &component::Error) -> GateRefusal {
    let remedy = match error {
        component::Error::Read { .. } => "name a file that the host's user can read",
        component::Error::Changing { .. } => {
            "write the file under another name and rename it when it is complete, or deploy again"
        }
        component::Error::TooLarge { .. } => "make it smaller: build it without debug information",
        _ => "make a component of it (`wasm-tools component new`)",
    };
    GateRefusal::at(Step::Read, chain(error), remedy)
}
