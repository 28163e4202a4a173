//! What a new system must pass before it serves, in its quick form: it links, its new instances start, and its files take their schema.

use crate::context::link::Problem;
use crate::context::{Error, Part, Registry};
use crate::ids::ContextName;

/// Publishes `parts` in the place of what serves; the contexts of which a new version serves.
///
/// # Errors
/// Everything that keeps it from being published. Files whose migration worked stay migrated.
pub fn pass(registry: &Registry, parts: Vec<Part>) -> Result<Vec<ContextName>, Error> {
    match attempt(registry, parts.clone()) {
        // Somebody else published something between the two steps: tried once more, on top of that.
        Err(Error::Overtaken) => attempt(registry, parts),
        done => done,
    }
}

/// The same, done without variants that keep it from being published when nothing else does; what is wrong with those.
///
/// # Errors
/// As those of `pass`.
pub fn pass_without_broken_variants(
    registry: &Registry,
    mut parts: Vec<Part>,
) -> Result<(Vec<ContextName>, Vec<Problem>), Error> {
    let mut broken: Vec<Problem> = Vec::new();
    loop {
        match pass(registry, parts.clone()) {
            Err(Error::Problems(problems)) if problems.iter().all(|p| p.context.variant().is_some()) => {
                parts.retain(|part| problems.iter().all(|problem| problem.context != part.entry.name));
                broken.extend(problems);
            }
            done => return done.map(|live| (live, broken)),
        }
    }
}

fn attempt(registry: &Registry, parts: Vec<Part>) -> Result<Vec<ContextName>, Error> {
    let prepared = registry.prepare(parts)?;
    let fresh = prepared.fresh().iter().map(|fresh| fresh.generation.context().clone()).collect();
    prepared.migrate()?;
    prepared.publish()?;
    Ok(fresh)
}
