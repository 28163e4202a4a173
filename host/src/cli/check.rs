//! `seam check`: every problem that can be found without serving.

use serde_json::json;

use super::error::{CommandError, app_error};
use super::global::{Format, Global, compiler};
use super::out;
use crate::manifest::{Manifest, Problems};
use crate::{app, check};

pub fn run(global: &Global, format: Format) -> Result<(), CommandError> {
    match (check(global), format) {
        (Ok(manifest), Format::Human) => {
            for warning in manifest.warnings() {
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
        (Ok(manifest), Format::Json) => {
            let contexts: Vec<&str> = manifest.contexts.iter().map(|context| context.settings.name.as_str()).collect();
            let file = manifest.path.display().to_string();
            out::json(
                &json!({ "ok": true, "file": file, "contexts": contexts, "problems": [], "warnings": manifest.warnings() }),
            )
        }
        (Err(CommandError::Problems(problems)), Format::Json) => {
            report(&problems)?;
            Err(CommandError::Reported)
        }
        (Err(error), _) => Err(error),
    }
}

fn check(global: &Global) -> Result<Manifest, CommandError> {
    let manifest = global.load()?;
    // On a thread of the host's runtime, which has the stack and the timers that a guest needs.
    let runtime = app::runtime().map_err(|error| CommandError::caused_by(&error, ""))?;
    let checked = manifest.clone();
    let found = runtime.block_on(runtime.spawn_blocking(move || check::problems(&checked, compiler())));
    match found.map_err(|error| CommandError::caused_by(&error, ""))? {
        Ok(problems) if problems.is_empty() => Ok(manifest),
        Ok(problems) => Err(Problems::new(&manifest.path, problems).into()),
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
