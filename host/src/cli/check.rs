//! `seam check`: every problem that can be found without serving.

use std::time::SystemTime;

use serde_json::json;

use super::error::{CommandError, app_error};
use super::global::{Format, Global, compiler};
use super::out;
use crate::certificate::Certificate;
use crate::manifest::{Manifest, Place, Problem, Problems};
use crate::{app, check, http};

pub fn run(global: &Global, format: Format) -> Result<(), CommandError> {
    match (check(global), format) {
        (Ok((manifest, found)), Format::Human) => {
            for warning in warnings(&manifest).into_iter().chain(found) {
                out::warning(&warning);
            }
            let (contexts, mounts) = (manifest.entries().count(), manifest.mounts.len());
            let plural = |n: usize| if n == 1 { "" } else { "s" };
            out::line(&format!(
                "{}: {contexts} context{}, {mounts} mount{}, no problems",
                manifest.path.display(),
                plural(contexts),
                plural(mounts)
            ))
        }
        (Ok((manifest, found)), Format::Json) => {
            let contexts: Vec<&str> = manifest.contexts.iter().map(|context| context.settings.name.as_str()).collect();
            let file = manifest.path.display().to_string();
            let warnings: Vec<String> = warnings(&manifest).into_iter().chain(found).collect();
            out::json(&json!({ "ok": true, "file": file, "contexts": contexts, "problems": [], "warnings": warnings }))
        }
        (Err(CommandError::Problems(problems)), Format::Json) => {
            report(&problems)?;
            Err(CommandError::Reported)
        }
        (Err(error), _) => Err(error),
    }
}

/// Those of the manifest, and that its certificate ends soon.
fn warnings(manifest: &Manifest) -> Vec<String> {
    let certificate = manifest.host.tls.as_ref().and_then(|files| Certificate::load(files).ok());
    let ending = certificate.and_then(|certificate| certificate.validity?.warning(SystemTime::now()));
    manifest.warnings().into_iter().chain(ending).collect()
}

/// Why a start would refuse the certificate.
fn unusable_certificate(manifest: &Manifest) -> Option<Problem> {
    let error = http::Error::from(Certificate::load(manifest.host.tls.as_ref()?).err()?);
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Some(Problem::new(Place::default(), format!("{error}{cause}"), error.remedy()))
}

/// The manifest without problems, and the warnings about its components.
fn check(global: &Global) -> Result<(Manifest, Vec<String>), CommandError> {
    let manifest = global.load()?;
    let unusable = unusable_certificate(&manifest);
    // On a thread of the host's runtime, which has the stack and the timers that a guest needs.
    let runtime = app::runtime().map_err(|error| CommandError::caused_by(&error, ""))?;
    let checked = manifest.clone();
    let found = runtime.block_on(runtime.spawn_blocking(move || check::problems(&checked, compiler())));
    match found.map_err(|error| CommandError::caused_by(&error, ""))? {
        Ok(found) if found.problems.is_empty() && unusable.is_none() => Ok((manifest, found.warnings)),
        Ok(found) => Err(Problems::new(&manifest.path, found.problems.into_iter().chain(unusable).collect()).into()),
        Err(check::Error::Contexts(error)) => {
            Err(app_error(&manifest.path, &manifest.contexts, app::Error::Contexts(error)))
        }
        Err(error) => Err(CommandError::caused_by(&error, "make room on the disk for temporary files")),
    }
}

fn report(problems: &Problems) -> Result<(), CommandError> {
    let mut report = problems.to_json();
    if let Some(report) = report.as_object_mut() {
        report.insert("ok".into(), false.into());
    }
    out::json(&report)
}
