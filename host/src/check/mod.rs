//! Everything that is wrong with a system: the list of `seam check`, in the words of a start, a deploy and `seam dev`.
//!
//! The manifest is read before. From here on, problems come from the files that belong to the system (`sources`,
//! `wit`), from the data folder, from its components, alone and together (`seam_runtime::serve`, `fit`), from a start
//! of each on an empty file (`seam_runtime::alone::probe`), from the stores (`stores`) and what they hold of events
//! (`undelivered`), from scenarios and contracts (`harness`), and from what lies between hosts (`across`).
//! Invariant: no file of a context is changed.

mod across;
mod sources;
mod stores;
mod undelivered;
mod wit;

use seam_runtime::alone::probe;
use seam_runtime::component::{Compiler, ContextProblem};
use seam_runtime::serve::{self, LinkedSystem};
use seam_store::chain;
use seam_store::ids::ContextName;

use crate::fit;
use crate::folder::Folder;
use crate::harness::Harness;
use crate::manifest::{Manifest, Place, Problem};

pub use sources::stale;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Contexts(#[from] serve::Error),
    #[error("cannot make a temporary folder")]
    Temporary(#[source] std::io::Error),
}

/// What a check has found.
#[derive(Debug, Default)]
pub struct Findings {
    pub problems: Vec<Problem>,
    /// A sentence each. Only known without problems of the components.
    pub warnings: Vec<String>,
}

impl From<Vec<Problem>> for Findings {
    fn from(problems: Vec<Problem>) -> Self {
        Self { problems, warnings: Vec::new() }
    }
}

/// All problems of the system that `manifest` describes, on whichever hosts its contexts live; of files, those of its
/// own host. Call this on a thread of the host's runtime, which has the
/// stack and the timers that a guest needs.
///
/// # Errors
/// When the check itself fails: the cache of compiled code cannot be used, for example.
pub fn problems(manifest: &Manifest, compiler: Compiler) -> Result<Findings, Error> {
    // First: code is loaded from there.
    if let Err(exposed) = Folder::check(&manifest.host.data) {
        return Ok(vec![Problem::new(Place::default(), chain(&exposed), exposed.remedy())].into());
    }
    let (of_host, whole) = (manifest, manifest.together());
    let manifest = &whole;
    let stale = sources::stale(manifest);
    let is_stale = |context: &str| stale.iter().any(|(name, _)| name.as_str() == context);
    let mut problems: Vec<Problem> = stale.iter().map(|(_, problem)| problem.clone()).collect();
    let packages = wit::read(manifest, &mut problems);
    let files = manifest.seeds.iter().filter_map(fit::seed_file_problem);
    problems.extend(files.map(|problem| manifest.located(&problem)));
    let linked = match LinkedSystem::load(&manifest.system(), compiler, &manifest.host.data.join("cache")) {
        Ok(linked) => linked,
        Err(serve::Error::Problems(found)) => {
            problems.extend(found.iter().map(|problem| manifest.located(problem)));
            return Ok(problems.into());
        }
        Err(other) => return Err(other.into()),
    };
    let mut found = fit::problems(manifest, linked.specs());
    let databases = tempfile::tempdir().map_err(Error::Temporary)?;
    let probed = probe::start_each(&linked, databases.path());
    // What a context declares that does not start is not known.
    if probed.problems.is_empty() && linked.absent().is_empty() {
        problems.extend(sources::undeclared_totals(manifest, &probed.invariants));
    }
    let mut warnings = across::long_lists(manifest, linked.specs());
    warnings.extend(stores::left_behind(of_host).into_iter().map(|(message, remedy)| format!("{message}; {remedy}")));
    found.extend(probed.problems);
    // A broken variant is a problem, too, although a host serves without it. One that is not built yet is none.
    found.extend(linked.absent().iter().flat_map(|absent| absent.problems.clone()));
    found.extend(stores::problems(of_host, &linked, &probed.migrations));
    found.extend(sources::lonely_totals(&probed.invariants));
    problems.extend(found.iter().map(|problem| sources::in_its_file(manifest, problem)));
    for (context, migrations) in &probed.migrations {
        problems.extend(sources::migrations(manifest, context, migrations, is_stale(context.as_str())));
    }
    let fresh = linked.specs().iter().filter(|spec| !is_stale(spec.settings.name.as_str()));
    problems.extend(fresh.flat_map(|spec| wit::differences(manifest, &packages, spec)));
    problems.extend(Harness::problems(manifest, linked).into_iter().flat_map(|problems| problems.with_file()));
    problems.dedup();
    Ok(Findings { problems, warnings })
}

/// What a start should say although it serves: components that are older than their sources, schedules that call
/// nothing, contexts that cannot be asked to mend, and files of contexts that live elsewhere.
pub fn warnings(manifest: &Manifest, linked: &LinkedSystem) -> Vec<(String, String)> {
    let lives_here = |context: &ContextName| manifest.placement.lives_here(context);
    let schedules = manifest.schedules.iter().filter(|each| lives_here(&each.context));
    let schedules = schedules.filter_map(|each| fit::schedule_problem(each, linked.specs()));
    let mends = manifest.reconciles.iter().filter(|each| each.mend.as_ref().is_none_or(lives_here));
    let mends = mends.filter_map(|each| fit::mend_problem(each, linked.specs()));
    let schedules = schedules.chain(mends).map(|ContextProblem { message, remedy, .. }| (message, remedy));
    let stale = sources::stale(manifest).into_iter().map(|(_, Problem { message, remedy, .. })| (message, remedy));
    stale.chain(schedules).chain(stores::left_behind(manifest)).collect()
}
