//! Starts each context of a system by itself, on an empty file, as a start would: what traps, asks for more memory than
//! it gets, or brings migrations that do not run, is found without touching the system's files.

use std::path::Path;
use std::sync::Arc;

use crate::call::ContextIndex;
use crate::component::{ContextProblem, ContextSpec};
use crate::link;
use crate::run::metrics::CallMetrics;
use crate::run::recorder::Recorder;
use crate::run::start;
use crate::serve::{Candidate, LinkedSystem, open_file};
use crate::settings::{Encryption, Recording, StoreGrant};

/// Every reason why a context of `system` would not start on an empty file. The files are made in `databases`.
pub fn start_each(system: &LinkedSystem, databases: &Path) -> Vec<ContextProblem> {
    let mut specs = system.specs().to_vec();
    // A trial must not reach other machines.
    specs.iter_mut().for_each(|spec| spec.settings.outgoing.clear());
    let wired = match link::wire(system.engine(), specs) {
        Ok(wired) => wired,
        Err(problems) => return problems,
    };
    let start = |(at, wired): (usize, link::Wired)| {
        let index = ContextIndex::try_from(at).unwrap_or(ContextIndex::MAX);
        start_one(index, wired, databases).err()
    };
    wired.into_iter().enumerate().filter_map(start).collect()
}

fn start_one(index: ContextIndex, wired: link::Wired, databases: &Path) -> Result<(), ContextProblem> {
    let ContextSpec { settings, .. } = &wired.spec;
    let database = match &settings.store {
        Some(grant) => {
            // An empty file holds no secrets, and its folder no keys.
            let plain = StoreGrant { encryption: Encryption::Off, key: None, ..grant.clone() };
            Some(open_file(settings, &plain, databases)?)
        }
        None => None,
    };
    let recorder = Recorder::new(&Recording { per_s: 0, secrets: Vec::new() });
    let generation = start::generation(index, 0, wired, database, Arc::new(CallMetrics::unregistered()), recorder)?;
    let migrations = generation.probe()?;
    Candidate { generation: Arc::new(generation), migrations }.migrate(None).map(drop)
}
