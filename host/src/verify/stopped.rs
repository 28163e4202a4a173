//! The files of a host that is stopped, with the logs that it left: they are looked at and left as they are. A file
//! that a crash has left in doubt is looked at as the next start makes it (`promises`).

use seam_runtime::component::Compiler;
use seam_store::{Config, Misfit, RegisterError, Snapshot};

use super::error::Error;
use super::offline;
use super::report::Report;
use super::subject::{Fault, Subject};
use super::{Progress, VerifyRequest, promises};
use crate::folder;
use crate::manifest::Manifest;
use crate::stopped::{Stopped, Unusable};

/// Verifies the files in the data folder of `manifest`, which this process has locked. Their moment is that of the last
/// write: work that a kill has cut off is as old as it was then.
///
/// # Errors
/// When no host has run there, or the components cannot be loaded.
pub fn verify_stopped(
    manifest: &Manifest,
    compiler: Compiler,
    request: &VerifyRequest,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report, Error> {
    let data = &manifest.host.data;
    let stopped = Stopped::open(manifest)?;
    let mut declared = offline::declared(manifest, compiler, &|entry| stopped.sources.of(entry))?;
    let (mut subjects, mut files) = (Vec::new(), Vec::new());
    for context in manifest.here() {
        let (name, Some(store)) = (&context.settings.name, &context.settings.store) else { continue };
        let config = Config::of(name, store, &folder::stores(data));
        // A variant that is not built has neither.
        if name.variant().is_some() && !declared.contains_key(name.as_str()) && !config.path.exists() {
            continue;
        }
        let file = match stopped.file(name, &config) {
            // It is the right file: the checks say what is wrong with it, and what is not.
            Err(error) if error.is_damage() => Snapshot::of_stopped(&config).map_err(|_| error),
            read => read,
        };
        let file = file.map_err(|error| fault(name.as_str(), &error));
        files.push(config.path);
        let declared = offline::of(&mut declared, name.as_str());
        let events = (&context.settings).into();
        subjects.push(Subject { context: name.to_string(), file, declared, events, promise: None });
    }
    let copies = tempfile::tempdir().map_err(Error::Temporary)?;
    promises::resolve(&mut subjects, copies.path());
    offline::report(subjects, offline::last_written(&files), request, progress)
}

fn fault(context: &str, error: &Unusable) -> Fault {
    let (why, remedy) = (error.why(), error.remedy(context));
    match error {
        Unusable::Absent => Fault::Absent,
        Unusable::Unfit(RegisterError::Misfit(Misfit::Unreadable { .. } | Misfit::Open(_)))
        | Unusable::Unreadable(_) => Fault::Unreadable { why, remedy },
        Unusable::Unfit(RegisterError::Misfit(_)) => Fault::Damaged { why, remedy },
        Unusable::Unfit(_) => Fault::Unreadable { why, remedy },
    }
}
