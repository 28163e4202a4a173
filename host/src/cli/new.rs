//! `seam new`: what `crate::scaffold` made, in words.

use super::{Global, Stop, out};
use crate::scaffold::{self, Language};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// What the context is called: lower-case words joined by hyphens
    name: String,
    /// What it is written in
    #[arg(long, value_enum, default_value_t, value_name = "LANGUAGE")]
    lang: Language,
}

/// Makes the context; the files that are new or changed go to standard output, what to do next to standard error.
pub fn run(global: &Global, options: &Options) -> Result<(), Stop> {
    let refused = |error: scaffold::Error| match error {
        scaffold::Error::Manifest(problems) => Stop::Problems(problems),
        error => Stop::error(&error, error.remedy()),
    };
    let plan = scaffold::plan(&global.path(), &options.name, options.lang).map_err(refused)?;
    plan.write().map_err(refused)?;
    for (path, _) in plan.new.iter().chain(&plan.changed) {
        out::line(&plan.folder.join(path).display().to_string())?;
    }
    let name = &plan.name;
    let project = if plan.project { ", and the project around it" } else { "" };
    out::note(&format!("made `{name}`{project}"));
    out::note(&format!("next: seam build {name} && seam test {name} && seam call {name} 'entries.add(\"hello\")'"));
    Ok(())
}
