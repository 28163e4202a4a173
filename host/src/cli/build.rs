//! `seam build` and `seam doctor`: what `crate::build` did, in words.

use super::{Format, Global, Stop, out, unknown_context};
use crate::build::doctor::{self, Purpose};
use crate::build::{self, Options, Outcome};
use crate::manifest::Manifest;

/// Builds what is stale; everything it says goes to standard error.
pub fn run(manifest: &Manifest, only: &[String], force: bool) -> Result<(), Stop> {
    let named = |name: &String| {
        let context = manifest.context(name).ok_or_else(|| unknown_context(manifest, name))?;
        Ok(context.settings.name.clone())
    };
    let names = only.iter().map(named).collect::<Result<Vec<_>, Stop>>()?;
    let hint = |error: &build::Error| error.hint().unwrap_or_default();
    let report = build::run(manifest, &names, &Options { force }, &mut |said| out::note(said))
        .map_err(|error| Stop::error(&error, hint(&error)))?;
    for (name, outcome) in &report.contexts {
        if let Outcome::Built { bytes, changed, took, .. } = outcome {
            let same = if *changed { "" } else { ", the same as before" };
            let seconds = took.as_secs_f64();
            out::note(&format!("built {name} in {seconds:.1} s: {}{same}", out::size(*bytes)));
        }
    }
    let mut failed = 0;
    for (name, error) in report.failures() {
        let message = format!("`{name}` is not built");
        if let Stop::Trouble(mut trouble) = Stop::error(error, hint(error)) {
            trouble.message = format!("{message}: {}", trouble.message);
            Stop::Trouble(trouble).report();
        }
        failed += 1;
    }
    if failed > 0 {
        return Err(Stop::Silent);
    }
    if report.contexts.iter().all(|(_, outcome)| matches!(outcome, Outcome::Fresh | Outcome::Given)) {
        let count = report.contexts.len();
        out::note(&format!("{count} component{} up to date", if count == 1 { " is" } else { "s are" }));
    }
    Ok(())
}

/// Looks at the machine. A manifest that is missing or wrong does not keep it from that.
pub fn doctor(global: &Global, purpose: Purpose, fix: bool, format: Format) -> Result<(), Stop> {
    let manifest = global.load().ok();
    let path = global.path();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let report = doctor::run(manifest.as_ref(), folder, purpose, fix, &mut |said| out::note(said));
    match format {
        Format::Json => out::json(&report.to_json())?,
        Format::Human => out::bytes(report.to_string().as_bytes())?,
    }
    if report.ready() { Ok(()) } else { Err(Stop::Silent) }
}
