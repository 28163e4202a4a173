//! Starts each context of a system by itself, on an empty file, as a start would: what traps, asks for more memory than
//! it gets, or brings migrations that do not run, is found without touching the system's files.

use std::path::Path;
use std::sync::Arc;

use seam_store::ids::ContextName;
use seam_store::{Invariant, Migration, Misfit, Register, RegisterError, SagaDefinition};

use crate::call::ContextIndex;
use crate::component::{ContextProblem, ContextSpec};
use crate::link;
use crate::run::{Inherited, start};
use crate::serve::{Candidate, LinkedSystem, cannot_migrate, misfit, open_file, unusable_store};
use crate::settings::ContextSettings;

/// What the starts have shown.
#[derive(Debug, Default)]
pub struct Probed {
    /// Every reason why a context would not start on an empty file.
    pub problems: Vec<ContextProblem>,
    /// The migrations of each context that starts.
    pub migrations: Vec<(ContextName, Vec<Migration>)>,
    /// What each context declares of its file, of those whose statements fit it.
    pub invariants: Vec<(ContextName, Vec<Invariant>)>,
    /// The sagas that each context declares, of those that start.
    pub sagas: Vec<(ContextName, Vec<SagaDefinition>)>,
}

/// Starts each context of `system` on an empty file in `databases`.
pub fn start_each(system: &LinkedSystem, databases: &Path) -> Probed {
    let mut probed = Probed::default();
    let mut specs = system.specs().to_vec();
    // A trial must not reach other machines.
    specs.iter_mut().for_each(|spec| spec.settings.outgoing.clear());
    let wired = match link::wire(system.engine(), specs) {
        Ok(wired) => wired,
        Err(problems) => return Probed { problems, ..probed },
    };
    for (at, wired) in wired.into_iter().enumerate() {
        let index = ContextIndex::try_from(at).unwrap_or(ContextIndex::MAX);
        let name = wired.spec.settings.name.clone();
        match start_one(index, wired, databases) {
            Ok((migrations, invariants, sagas)) => {
                probed.migrations.push((name.clone(), migrations));
                probed.sagas.push((name.clone(), sagas));
                match invariants {
                    Ok(invariants) => probed.invariants.push((name, invariants)),
                    Err(problem) => probed.problems.push(problem),
                }
            }
            Err(problem) => probed.problems.push(problem),
        }
    }
    probed
}

/// Why a start would refuse the file of a context in `folder`, which no process may use. Changes nothing.
pub fn store_problem(
    settings: &ContextSettings,
    folder: &Path,
    register: &Register,
    migrations: &[Migration],
    tolerated_schema: Option<u32>,
) -> Option<ContextProblem> {
    let grant = settings.store.as_ref()?;
    let config = seam_store::Config::of(&settings.name, grant, folder);
    match register.compare(&settings.name, &config) {
        Err(RegisterError::Misfit(Misfit::Missing { .. })) if settings.learns_again() => return None,
        Err(error) => return Some(misfit(&settings.name, &error)),
        Ok(()) => {}
    }
    match seam_store::would_migrate(&config, migrations, tolerated_schema) {
        Err(error) => Some(unusable_store(&settings.name, &error)),
        Ok(Err(error)) => Some(cannot_migrate(&settings.name, &error)),
        Ok(Ok(_)) => None,
    }
}

/// What a context brings: its migrations, its invariants or why they do not fit, and its sagas.
type Brought = (Vec<Migration>, Result<Vec<Invariant>, ContextProblem>, Vec<SagaDefinition>);

fn start_one(index: ContextIndex, wired: link::Wired, databases: &Path) -> Result<Brought, ContextProblem> {
    let ContextSpec { settings, .. } = &wired.spec;
    let database = match &settings.store {
        Some(grant) => {
            // An empty file holds no secrets, and its folder no keys.
            Some(open_file(settings, &grant.passing(), databases)?)
        }
        None => None,
    };
    let generation = start::generation(index, 0, wired, database, Inherited::unobserved())?;
    let migrations = generation.probe()?;
    let candidate = Candidate { generation: Arc::new(generation), migrations };
    candidate.migrate(None)?;
    let Candidate { generation, migrations } = candidate;
    let invariants = generation.fitting_invariants(generation.database().map(Arc::as_ref));
    Ok((migrations, invariants, generation.saga_definitions().to_vec()))
}
