//! What components declare, read without a running system: each is started by itself, on an empty file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use seam_runtime::component::Compiler;
use seam_runtime::serve::Source;
use seam_store::{Invariant, Terms};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::Error;
use super::report::Report;
use super::run::run;
use super::subject::{Fault, Subject};
use super::{Progress, VerifyRequest};
use crate::manifest::{ContextSettings, Manifest};
use crate::{limits, stopped};

/// What each context with a component declares, by its name.
pub(super) type Declared = BTreeMap<String, Result<Vec<Invariant>, Fault>>;

/// What the components of `manifest` declare, each from where `source` says.
///
/// # Errors
/// When no component can be loaded.
pub(super) fn declared(
    manifest: &Manifest,
    compiler: Compiler,
    source: &(dyn Fn(&ContextSettings) -> Source + Sync),
) -> Result<Declared, Error> {
    let databases = tempfile::tempdir().map_err(Error::Temporary)?;
    let (system, probed) = stopped::probe(manifest, compiler, source, databases.path()).map_err(Error::Components)?;
    let mut declared = Declared::new();
    for (context, invariants) in probed.invariants {
        declared.insert(context.to_string(), Ok(invariants));
    }
    for problem in probed.problems {
        declared.insert(problem.context.to_string(), Err(problem.into()));
    }
    for spec in system.specs().iter().filter(|spec| spec.component.is_placeholder()) {
        let context = spec.settings.name.to_string();
        let why = format!("the component of `{context}` cannot be loaded");
        let remedy = "`seam check` shows why".to_owned();
        declared.insert(context, Err(Fault::Unreadable { why, remedy }));
    }
    Ok(declared)
}

/// What `context` declares.
pub(super) fn of(declared: &Declared, context: &str) -> Result<Vec<Invariant>, Fault> {
    declared.get(context).cloned().unwrap_or_else(|| {
        let why = format!("no component of `{context}` says what holds in its file");
        let remedy = "add the context to the manifest, or build it: `seam build`".to_owned();
        Err(Fault::Unreadable { why, remedy })
    })
}

/// The contexts with a store that are none of `subjects`, for what those have in common with them. `away` says of a
/// host's name why its files are not looked at.
pub(super) fn elsewhere(
    manifest: &Manifest,
    subjects: &[Subject],
    declared: &Declared,
    away: &dyn Fn(&str) -> (String, String),
) -> Vec<Subject> {
    let mut elsewhere = Vec::new();
    for context in &manifest.contexts {
        let settings = &context.settings;
        let name = settings.name.as_str();
        let is_in = subjects.iter().any(|subject| subject.context == name);
        // What a variant of another host has in common with others is looked at there.
        if settings.store.is_none() || settings.name.variant().is_some() || is_in {
            continue;
        }
        let (why, remedy) = away(manifest.placement.home_name(&settings.name).unwrap_or_default());
        elsewhere.push(Subject {
            context: name.to_owned(),
            file: Err(Fault::Unreadable { why, remedy }),
            // Of one that declares nothing here, nothing is known to be in common.
            declared: of(declared, name).or_else(|_| Ok(Vec::new())),
            events: settings.into(),
            promise: None,
            is_elsewhere: true,
        });
    }
    elsewhere
}

/// Verifies files that no host uses, as they were at `at`.
pub(super) fn report(
    subjects: Vec<Subject>,
    at: OffsetDateTime,
    request: &VerifyRequest,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Report, Error> {
    let deadline = Instant::now() + Duration::from_millis(limits::VERIFY_COPIES_MS);
    let terms = Terms { now_s: at.unix_timestamp(), deadline };
    let checks = run(subjects, &request.contexts, &terms, progress)?;
    Ok(Report::new(at.format(&Rfc3339).unwrap_or_default(), 0, checks))
}

/// When one of these files was last written.
pub(super) fn last_written(files: &[PathBuf]) -> OffsetDateTime {
    let logs = files.iter().map(|file| {
        let mut name = file.as_os_str().to_owned();
        name.push("-wal");
        PathBuf::from(name)
    });
    let written = |file: &Path| file.metadata().and_then(|file| file.modified()).ok();
    let newest = files.iter().cloned().chain(logs).filter_map(|file| written(&file)).max();
    newest.unwrap_or_else(SystemTime::now).into()
}
