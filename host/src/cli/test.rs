//! `seam test`: scenarios and contracts, and what came of them in words.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::{Format, Global, Stop, compiler, out, refused};
use crate::app;
use crate::harness::report::{SuiteReport, TestReport};
use crate::harness::{self, Harness, junit};
use crate::logging;
use crate::manifest::{LogFormat, Manifest, Problems};
use crate::watch::{self, Root, Watcher};

#[derive(Debug, Args)]
pub struct Options {
    /// Only these contexts; by default all
    contexts: Vec<String>,
    /// Only scenarios whose name contains this
    #[arg(long, value_name = "PART")]
    scenario: Option<String>,
    /// Also those that nothing has changed for since they passed
    #[arg(long)]
    all: bool,
    /// Hold one component to the contracts of an interface: `--contract acme:notes/notes@0.1.0 notes.wasm`
    #[arg(long, num_args = 2, value_names = ["INTERFACE", "FILE"], conflicts_with_all = ["contexts", "watch"])]
    contract: Option<Vec<String>>,
    /// Go on, and run what changes
    #[arg(long)]
    watch: bool,
    /// Write the results as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(global: &Global, options: Options) -> Result<(), Stop> {
    let format = match global.log_format {
        Some(super::LogFormat::Json) => LogFormat::Json,
        _ => LogFormat::Human,
    };
    // What a guest says while it is tried out belongs to the log of a host; a scenario says what it expects.
    let filter = global.log_level.clone().or_else(|| std::env::var("RUST_LOG").ok()).unwrap_or_else(|| "off".into());
    let _log = logging::init(&logging::Config { format, colours: out::colours_on_stderr(), filter, files: None })?;
    let runtime = app::runtime().map_err(|error| Stop::error(&error, ""))?;
    let path = global.path();
    // On a thread of the runtime's: it has the stack that a guest needs.
    let done = runtime.block_on(runtime.spawn_blocking(move || match options.watch {
        true => watch(&path, &options),
        false => once(&path, &options),
    }));
    done.map_err(|error| Stop::error(&error, ""))?
}

/// Runs all that is asked for.
fn once(path: &std::path::Path, options: &Options) -> Result<(), Stop> {
    let manifest = Manifest::load(path)?;
    let contexts = manifest.contexts.clone();
    let harness = Harness::open(manifest, compiler()).map_err(|error| stop(path, &contexts, error))?;
    let report = play(&harness, options)?;
    if report.passed() { Ok(()) } else { Err(Stop::Silent) }
}

fn play(harness: &Harness, options: &Options) -> Result<TestReport, Stop> {
    let chosen =
        harness::Options { contexts: options.contexts.clone(), filter: options.scenario.clone(), all: options.all };
    let human = options.format == Format::Human;
    let mut unwritten = None;
    let mut tell = |suite: &SuiteReport| {
        if human && let Err(stop) = out::bytes(shown(suite).as_bytes()) {
            unwritten = Some(stop);
        }
    };
    let report = match options.contract.as_deref() {
        Some([interface, file]) => harness.run_contract(interface, file.as_ref(), &chosen, &mut tell),
        _ => harness.run(&chosen, &mut tell),
    };
    let manifest = harness.manifest();
    let report = report.map_err(|error| stop(&manifest.path, &manifest.contexts, error))?;
    if let Some(stop) = unwritten {
        return Err(stop);
    }
    if let Some(file) = &options.junit {
        let xml = junit::xml(&report).map_err(|error| Stop::error(&error, ""))?;
        std::fs::write(file, xml).map_err(|error| {
            Stop::trouble(
                format!("cannot write `{}`: {error}", file.display()),
                "name a file in a folder that is there",
            )
        })?;
    }
    match human {
        true => out::note(&summary(&report)),
        false => out::json(&report)?,
    }
    Ok(report)
}

fn watch(path: &std::path::Path, options: &Options) -> Result<(), Stop> {
    let watcher = Watcher::start(vec![Root::File(path.to_owned())], watch::Config::default());
    loop {
        // Before the run: what changes while it goes on is seen. Of a manifest that does not load, the one before is watched.
        if let Ok(manifest) = Manifest::load(path) {
            watcher.watch(watched(&manifest));
        }
        if let Err(stop) = once(path, options) {
            stop.report();
        }
        out::note("waiting for a change; Ctrl-C ends it");
        tokio::runtime::Handle::current().block_on(watcher.changes());
    }
}

/// Files and folders whose change may change a result.
fn watched(manifest: &Manifest) -> Vec<Root> {
    let mut roots = vec![Root::File(manifest.path.clone()), Root::Folder(manifest.folder().join("wit"))];
    for context in &manifest.contexts {
        roots.extend([Root::Folder(context.scenarios.clone()), Root::File(context.settings.component.clone())]);
    }
    roots
}

fn stop(path: &std::path::Path, contexts: &[crate::manifest::Context], error: harness::Error) -> Stop {
    match error {
        harness::Error::Manifest(problems) => Stop::Problems(problems),
        harness::Error::Contexts(error) => refused(path, contexts, app::Error::Contexts(error)),
        other => {
            let remedy = other.remedy();
            Stop::error(&other, remedy)
        }
    }
}

/// One file's results.
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
        0 => "there are no scenarios: `docs/scenarios.md` says how to write one".to_owned(),
        all => {
            format!("{all} scenario{}: {passed} passed, {failed} failed, {unchanged} unchanged, in {took}", plural(all))
        }
    }
}
