//! `seam new`: prints what `crate::scaffold` made.

use super::error::CommandError;
use super::global::Global;
use super::out;
use crate::scaffold::{self, EventNames, Language};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// The name of the context: lower-case words joined by hyphens
    name: String,
    /// The language of its code
    #[arg(long, value_enum, default_value_t, value_name = "LANGUAGE")]
    lang: Language,
    /// An events interface that it publishes: `events` for one of its own, or `package/interface`; made if it is new
    #[arg(long, value_name = "INTERFACE")]
    publishes: Option<String>,
    /// An events interface that it subscribes to: `package/interface`
    #[arg(long, value_name = "INTERFACE")]
    subscribes: Option<String>,
}

/// Makes the context. Prints the new and changed files to standard output, the next command to standard error.
pub fn run(global: &Global, options: &Options) -> Result<(), CommandError> {
    let failed = |error: scaffold::Error| match error {
        scaffold::Error::Manifest(problems) => CommandError::Problems(problems),
        error => CommandError::caused_by(&error, error.remedy()),
    };
    let events = EventNames { publishes: options.publishes.clone(), subscribes: options.subscribes.clone() };
    let plan = scaffold::plan(&global.path(), &options.name, options.lang, &events).map_err(failed)?;
    plan.write().map_err(failed)?;
    for (path, _) in plan.new.iter().chain(&plan.changed) {
        out::line(&plan.folder.join(path).display().to_string())?;
    }
    let name = &plan.name;
    let project = if plan.new_project { " in a new project" } else { "" };
    out::note(&format!("made `{name}`{project}"));
    out::note(&format!("next: seam build {name} && seam test {name} && seam call {name} 'entries.add(\"hello\")'"));
    Ok(())
}
