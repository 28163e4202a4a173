//! `seam build` and `seam doctor`: prints what `crate::build` did.

use seam_store::chain;

use super::error::{CommandError, unknown_context};
use super::global::{Format, Global};
use super::out;
use crate::build::doctor::{self, Purpose};
use crate::build::{self, BuildStatus, Options};
use crate::manifest::Manifest;

/// Builds what is stale; all messages go to standard error.
pub fn run(manifest: &Manifest, only: &[String], force: bool) -> Result<(), CommandError> {
    let summary = build(manifest, only, force)?;
    if summary.contexts.iter().all(|(_, status)| matches!(status, BuildStatus::UpToDate | BuildStatus::Prebuilt)) {
        let count = summary.contexts.len();
        out::note(&format!("{count} component{} up to date", if count == 1 { " is" } else { "s are" }));
    }
    Ok(())
}

/// Builds what is stale among `only`, or among all contexts but variants when it is empty. Fails when one is not built.
pub fn build(manifest: &Manifest, only: &[String], force: bool) -> Result<build::BuildSummary, CommandError> {
    let named = |name: &String| {
        let context = manifest.context(name).ok_or_else(|| unknown_context(manifest, name))?;
        Ok(context.settings.name.clone())
    };
    let names = only.iter().map(named).collect::<Result<Vec<_>, CommandError>>()?;
    let hint = |error: &build::Error| error.hint().unwrap_or_default();
    let summary = build::run(manifest, &names, &Options { force }, &mut |line| out::note(line))
        .map_err(|error| CommandError::caused_by(&error, hint(&error)))?;
    for (name, status) in &summary.contexts {
        if let BuildStatus::Built { bytes, changed, took, own_changes, .. } = status {
            let same = if *changed { "" } else { ", unchanged" };
            let seconds = took.as_secs_f64();
            out::note(&format!("built {name} in {seconds:.1} s: {}{same}", out::size(*bytes)));
            if own_changes.noticed || !own_changes.files.is_empty() && !own_changes.rests {
                let (message, hint) = own_changes.text(name.as_str());
                out::warning(&format!("{message}\n  hint: {hint}"));
            }
        }
    }
    let mut failed = 0;
    for (name, error) in summary.failures() {
        out::report(&CommandError::message(format!("`{name}` is not built: {}", chain(error)), hint(error)));
        failed += 1;
    }
    if failed > 0 { Err(CommandError::Reported) } else { Ok(summary) }
}

/// Checks the machine, also without a valid manifest.
pub fn doctor(global: &Global, purpose: Purpose, fix: bool, format: Format) -> Result<(), CommandError> {
    let manifest = global.load().ok();
    let path = global.path();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let diagnosis = doctor::run(manifest.as_ref(), folder, purpose, fix, &mut |line| out::note(line));
    match format {
        Format::Json => out::json(&diagnosis.to_json())?,
        Format::Human => out::text(&diagnosis.to_string())?,
    }
    if diagnosis.ready() { Ok(()) } else { Err(CommandError::Reported) }
}
