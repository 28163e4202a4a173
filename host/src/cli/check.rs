//! `seam check`: everything that can be known to be wrong before it runs.

use serde_json::json;

use super::{Format, Global, Stop, compiler, out, refused};
use crate::app::App;
use crate::context;
use crate::manifest::{Manifest, Problems};

pub fn run(global: &Global, format: Format) -> Result<(), Stop> {
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
        (Err(Stop::Problems(problems)), Format::Json) => {
            report(&problems)?;
            Err(Stop::Silent)
        }
        (Err(stop), _) => Err(stop),
    }
}

fn check(global: &Global) -> Result<Manifest, Stop> {
    let manifest = global.load()?;
    // What a host does without is a problem all the same; what nobody has built yet is none.
    let whole = App::check(&manifest, compiler()).and_then(|linked| {
        let broken: Vec<_> = linked.absent().iter().flat_map(|absent| absent.problems.clone()).collect();
        if broken.is_empty() { Ok(()) } else { Err(context::serve::Error::Problems(broken).into()) }
    });
    match whole {
        Ok(()) => Ok(manifest),
        Err(error) => Err(refused(&manifest.path, &manifest.contexts, error)),
    }
}

fn report(problems: &Problems) -> Result<(), Stop> {
    let mut report = problems.to_json();
    if let Some(report) = report.as_object_mut() {
        report.insert("ok".into(), false.into());
    }
    out::json(&report)
}
