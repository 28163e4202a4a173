//! `seam build` and `seam doctor` on the command line: arguments in, report on stdout, messages on stderr, exit code out.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Error, Options, Outcome, Report, doctor};
use crate::ids::ContextName;
use crate::manifest::Manifest;

/// How the report is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Human,
    Json,
}

/// Build the components whose sources changed
#[derive(Debug, clap::Args)]
pub struct BuildArgs {
    /// Contexts to build; all of the manifest without this
    #[arg(value_name = "CONTEXT", value_parser = context_name)]
    pub contexts: Vec<ContextName>,
    /// Build even what has not changed
    #[arg(long)]
    pub force: bool,
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// Say what this machine has, what it lacks, and the commands that mend it
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Run the commands that mend what is missing (with sudo where they need root)
    #[arg(long)]
    pub fix: bool,
    /// What the machine is to be ready for
    #[arg(long = "for", value_enum, default_value_t, value_name = "PURPOSE")]
    pub purpose: doctor::Purpose,
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

fn context_name(text: &str) -> Result<ContextName, String> {
    ContextName::new(text).ok_or_else(|| "a context's name is kebab case, like `order-desk`".into())
}

/// Runs `seam build`: 0 when every component is there and fresh, else 1.
pub fn build(manifest: &Manifest, args: &BuildArgs) -> ExitCode {
    let mut say = |line: &str| eprintln!("seam build: {line}");
    let report = match super::run(manifest, &args.contexts, &Options { force: args.force }, &mut say) {
        Ok(report) => report,
        Err(error) => {
            eprint!("{}", problem("seam build", &error));
            return ExitCode::FAILURE;
        }
    };
    match args.format {
        Format::Human => print!("{}", table(&report)),
        Format::Json => println!("{}", as_json(&report)),
    }
    for (name, error) in report.failures() {
        eprint!("{}", problem(name.as_str(), error));
    }
    if report.failures().next().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs `seam doctor`: 0 when everything needed is there, else 1. Without a manifest its build commands are not looked at.
pub fn doctor(manifest: Option<&Manifest>, folder: &Path, args: &DoctorArgs) -> ExitCode {
    let mut say = |line: &str| eprintln!("seam doctor: {line}");
    let report = doctor::run(manifest, folder, args.purpose, args.fix, &mut say);
    match args.format {
        Format::Human => print!("{report}"),
        Format::Json => println!("{:#}", report.to_json()),
    }
    if report.ready() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// An error with its causes on one line and what to do on the next.
fn problem(place: &str, error: &Error) -> String {
    let mut text = format!("error: {place}: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text.push('\n');
    if let Some(hint) = error.hint() {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

fn table(report: &Report) -> String {
    let width = report.contexts.iter().map(|(name, _)| name.as_str().len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, outcome) in &report.contexts {
        let said = match outcome {
            Outcome::Fresh => "fresh".into(),
            Outcome::Given => "given, the manifest has no build for it".into(),
            Outcome::Failed(_) => "failed".into(),
            Outcome::Built { bytes, changed, took, .. } => {
                let same = if *changed { "" } else { ", the same component as before" };
                format!("built, {} KB in {:.1} s{same}", bytes.div_ceil(1024), took.as_secs_f32())
            }
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{:width$}  {said}", name.as_str());
    }
    text
}

fn as_json(report: &Report) -> Value {
    let one = |(name, outcome): &(ContextName, Outcome)| match outcome {
        Outcome::Fresh => json!({ "context": name.as_str(), "outcome": "fresh" }),
        Outcome::Given => json!({ "context": name.as_str(), "outcome": "given" }),
        Outcome::Built { why, bytes, changed, took } => json!({
            "context": name.as_str(), "outcome": "built", "why": why, "bytes": bytes, "changed": changed,
            "seconds": took.as_secs_f64(),
        }),
        Outcome::Failed(error) => json!({
            "context": name.as_str(), "outcome": "failed", "error": error.to_string(), "hint": error.hint(),
        }),
    };
    report.contexts.iter().map(one).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_report_is_a_table_or_json() {
        let built = Outcome::Built { why: "x".into(), bytes: 60_500, changed: true, took: Duration::from_millis(1240) };
        let failed = Outcome::Failed(Error::NoBuild { component: "c.wasm".into() });
        let names = ["catalog", "a"].map(|n| ContextName::new(n).unwrap());
        let report = Report { contexts: names.into_iter().zip([built, failed]).collect() };
        assert_eq!(table(&report), "catalog  built, 60 KB in 1.2 s\na        failed\n");
        assert_eq!(as_json(&report)[0]["outcome"], "built");
        assert!(as_json(&report)[1]["hint"].is_string());
    }

    #[test]
    fn a_problem_names_its_cause_once_and_a_remedy() {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let text = problem("catalog", &Error::Write { path: "/x".into(), source });
        assert_eq!(text, "error: catalog: cannot write `/x`: no storage space\nhint: make space on the disk\n");
    }
}
