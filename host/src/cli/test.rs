//! `seam test`: runs scenarios and contracts, and prints the results.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::build;
use super::error::{CommandError, app_error};
use super::global::{Format, Global, compiler};
use super::out;
use crate::app;
use crate::build::Source;
use crate::harness::report::{SuiteReport, TestReport};
use crate::harness::{self, Harness, junit};
use crate::logging;
use crate::manifest::{Manifest, Problems};
use crate::watch::{self, Root, Watcher};

#[derive(Debug, Args)]
pub struct Options {
    /// Only these contexts; by default all
    contexts: Vec<String>,
    /// Only scenarios whose name contains this
    #[arg(long, value_name = "PART")]
    scenario: Option<String>,
    /// Run also scenarios that passed and whose context has not changed since
    #[arg(long)]
    all: bool,
    /// Test one component with the contracts of an interface: `--contract acme:notes/notes@0.1.0 notes.wasm`
    #[arg(long, num_args = 2, value_names = ["INTERFACE", "FILE"], conflicts_with_all = ["contexts", "watch"])]
    contract: Option<Vec<String>>,
    /// Run again whenever files change
    #[arg(long)]
    watch: bool,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(global: &Global, options: Options) -> Result<(), CommandError> {
    // What a guest logs in a test is of no interest; a scenario can expect log lines.
    let _log = logging::init(&global.stderr_log("off"))?;
    let runtime = app::runtime().map_err(|error| CommandError::caused_by(&error, ""))?;
    let path = global.path();
    // On a thread of the runtime's: it has the stack that a guest needs.
    let done = runtime.block_on(runtime.spawn_blocking(move || match options.watch {
        true => watch(&path, &options),
        false => once(&path, &options),
    }));
    done.map_err(|error| CommandError::caused_by(&error, ""))?
}

/// Runs the chosen scenarios once.
fn once(path: &std::path::Path, options: &Options) -> Result<(), CommandError> {
    let manifest = Manifest::load(path)?;
    let contexts = manifest.contexts.clone();
    // A component older than its sources would pass or fail for code that is gone. An error without any build, such as
    // a name that does not exist, is the same as `seam build`'s.
    build::build(&manifest, &options.contexts, false)?;
    let harness = Harness::open(manifest, compiler()).map_err(|error| harness_error(path, &contexts, error))?;
    let report = play(&harness, options)?;
    if report.passed() { Ok(()) } else { Err(CommandError::Reported) }
}

fn play(harness: &Harness, options: &Options) -> Result<TestReport, CommandError> {
    let chosen =
        harness::Options { contexts: options.contexts.clone(), filter: options.scenario.clone(), all: options.all };
    let human = options.format == Format::Human;
    let mut write_error = None;
    let mut show = |suite: &SuiteReport| {
        if human && let Err(error) = out::text(&shown(suite)) {
            write_error = Some(error);
        }
    };
    let report = match options.contract.as_deref() {
        Some([interface, file]) => harness.run_contract(interface, file.as_ref(), &chosen, &mut show),
        _ => harness.run(&chosen, &mut show),
    };
    let manifest = harness.manifest();
    let report = report.map_err(|error| harness_error(&manifest.path, &manifest.contexts, error))?;
    if let Some(error) = write_error {
        return Err(error);
    }
    if report.counts() == (0, 0, 0) && report.passed() {
        let contexts: Vec<String> = options.contexts.iter().map(|name| format!("`{name}`")).collect();
        match &options.scenario {
            Some(part) => {
                return Err(CommandError::message(
                    format!("no scenario's name contains `{part}`"),
                    "`seam test --all` lists the names of all scenarios",
                ));
            }
            None if !contexts.is_empty() => {
                return Err(CommandError::message(
                    format!("{} has no scenario, and no contract is about it", contexts.join(", ")),
                    "docs/scenarios.md explains how to write one",
                ));
            }
            None => {}
        }
    }
    if let Some(file) = &options.junit {
        let xml = junit::xml(&report).map_err(|error| CommandError::caused_by(&error, ""))?;
        std::fs::write(file, xml).map_err(|error| {
            CommandError::message(
                format!("cannot write `{}`: {error}", file.display()),
                "name a file in an existing folder",
            )
        })?;
    }
    match human {
        true => out::note(&summary(&report)),
        false => out::json(&report)?,
    }
    Ok(report)
}

fn watch(path: &std::path::Path, options: &Options) -> Result<(), CommandError> {
    let watcher = Watcher::start(vec![Root::File(path.to_owned())], watch::Config::default());
    loop {
        // Before the run, so that changes during it are seen. While a manifest does not load, the roots before stay.
        if let Ok(manifest) = Manifest::load(path) {
            watcher.set_roots(watched(&manifest));
        }
        if let Err(error) = once(path, options) {
            out::report(&error);
        }
        out::note("waiting for a change; Ctrl-C ends it");
        tokio::runtime::Handle::current().block_on(watcher.changes());
    }
}

/// Files and folders whose change may change a result.
fn watched(manifest: &Manifest) -> Vec<Root> {
    let mut roots = vec![Root::File(manifest.path.clone()), Root::Folder(manifest.folder().join("wit"))];
    roots.extend(crate::build::sources(manifest).into_iter().map(|source| match source {
        Source::Folder(path) => Root::Folder(path),
        Source::File(path) => Root::File(path),
    }));
    for context in &manifest.contexts {
        roots.extend([Root::Folder(context.scenarios.clone()), Root::File(context.settings.component.clone())]);
    }
    roots
}

fn harness_error(path: &std::path::Path, contexts: &[crate::manifest::Context], error: harness::Error) -> CommandError {
    match error {
        harness::Error::Manifest(problems) => CommandError::Problems(problems),
        harness::Error::Contexts(error) => app_error(path, contexts, app::Error::Contexts(error)),
        other => {
            let remedy = other.remedy();
            CommandError::caused_by(&other, remedy)
        }
    }
}

/// The results of one file.
fn shown(suite: &SuiteReport) -> String {
    let mut text = String::new();
    let contract = suite.contract.as_ref().map(|interface| format!(" (contract of {interface})")).unwrap_or_default();
    let unchanged = if suite.unchanged { ", unchanged since it passed" } else { "" };
    let _ = writeln!(text, "{}: {}{contract}{unchanged}", suite.context, suite.file);
    if !suite.problems.is_empty() {
        let problems = Problems::new(suite.file.as_ref(), suite.problems.clone());
        for line in problems.to_string().lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    if suite.unchanged {
        return text;
    }
    for scenario in &suite.scenarios {
        let took = out::time(scenario.took_ms * 1e3);
        let word = if scenario.failures.is_empty() { "ok  " } else { "FAIL" };
        let _ = writeln!(text, "  {word} {} ({took})", scenario.name);
        for failure in &scenario.failures {
            let (line, column) = (failure.line, failure.column);
            let _ = writeln!(text, "       {}:{line}:{column}: {}", suite.file, failure.what);
            for line in failure.detail.lines() {
                let _ = writeln!(text, "         {line}");
            }
        }
        if let Some(failure) = scenario.failures.first() {
            let _ = writeln!(text, "       {}", failure.on);
        }
    }
    text
}

fn summary(report: &TestReport) -> String {
    let (passed, failed, unchanged) = report.counts();
    let took = out::time(report.took_ms * 1e3);
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    match passed + failed + unchanged {
        0 => "there are no scenarios; `docs/scenarios.md` explains how to write one".to_owned(),
        all => {
            format!("{all} scenario{}: {passed} passed, {failed} failed, {unchanged} unchanged, in {took}", plural(all))
        }
    }
}
