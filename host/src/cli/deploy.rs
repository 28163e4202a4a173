//! `seam deploy`, `seam rollback` and `seam history`.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use seam_store::HostFile;

use super::error::{CommandError, unknown_context};
use super::global::{Format, Global};
use super::{local, out};
use crate::admin::client::{Client, Error};
use crate::deploy::{
    self, DeployOutcome, DeployReport, DeployRequest, History, HistoryEntry, Passed, RollbackRequest, short,
};
use crate::limits;
use crate::manifest::Manifest;

#[derive(Debug, Args)]
pub struct Options {
    /// The context
    context: String,
    /// The new component
    file: PathBuf,
    /// Allow a new import, by its name, a schema that the running version cannot use (`irreversible`), that events wait
    /// which the new version does not take (`undelivered-events`), or that sagas are in process which it cannot carry
    /// on (`unfinished-sagas`); may be given several times
    #[arg(long, value_name = "NAME")]
    allow: Vec<String>,
    /// Refuse the version also when it answers a recorded call differently from the running one
    #[arg(long)]
    strict: bool,
    /// Show values of recorded calls, which may be customers', where answers differ; the history never keeps them
    #[arg(long)]
    values: bool,
    /// How long the new version is on probation: the host rolls it back when its calls fail or slow down
    #[arg(long = "watch", value_name = "MS", default_value_t = limits::DEPLOY_WATCH_MS,
          value_parser = clap::value_parser!(u64).range(..=limits::DEPLOY_WATCH_MS_MAX))]
    watch_ms: u64,
    /// Wait for a running deploy or rollback to end
    #[arg(long)]
    wait: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(global: &Global, options: Options) -> Result<(), CommandError> {
    let manifest = global.load_host_of(Some(&options.context))?;
    let format = options.format;
    // The host runs in another folder. Its first step reports a wrong file.
    let file = std::path::absolute(&options.file).unwrap_or(options.file);
    let Options { context, allow, strict, values, watch_ms, wait, .. } = options;
    let request = DeployRequest { context, file, allow, strict, values, watch_ms, wait };
    let report = match Client::connect(&manifest.host.data) {
        Ok(client) => client.deploy(&request, &mut |passed| shown(passed, format))?,
        Err(Error::NotRunning { .. }) => {
            out::note("no host is running: this process checks the version, and the next `seam up` serves it");
            // Without calls there is no probation.
            let request = DeployRequest { watch_ms: 0, ..request };
            local::with_app(global, manifest, move |app, _| {
                Ok(app.deployer.deploy(&request, &mut |passed| shown(passed, format)))
            })?
        }
        Err(error) => return Err(error.into()),
    };
    finish(&report, format)
}

#[derive(Debug, Args)]
pub struct RollbackOptions {
    /// The context
    context: String,
    /// The hash of the version, or its beginning, as `seam history` shows it; by default the version before
    #[arg(long, value_name = "HASH")]
    to: Option<String>,
    /// Restore its file from before the schema change, and lose what was written since
    #[arg(long)]
    restore: bool,
    /// Wait for a running deploy or rollback to end
    #[arg(long)]
    wait: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn roll_back(global: &Global, options: RollbackOptions) -> Result<(), CommandError> {
    let manifest = global.load_host_of(Some(&options.context))?;
    let format = options.format;
    let request =
        RollbackRequest { context: options.context, to: options.to, restore: options.restore, wait: options.wait };
    let report = match Client::connect(&manifest.host.data) {
        Ok(client) => client.roll_back(&request, &mut |passed| shown(passed, format))?,
        Err(Error::NotRunning { .. }) => {
            out::note("no host is running: this process rolls back, and the next `seam up` serves the older version");
            local::with_app(global, manifest, move |app, _| {
                Ok(app.deployer.roll_back(&request, &mut |passed| shown(passed, format)))
            })?
        }
        Err(error) => return Err(error.into()),
    };
    finish(&report, format)
}

fn shown(passed: &Passed, format: Format) {
    if format == Format::Human {
        // `finish` reports a closed standard output.
        out::line(&line(passed)).ok();
    }
}

/// The step, its time, and its notes below each other.
fn line(passed: &Passed) -> String {
    let time = out::time(passed.ms * 1e3);
    let mut text = format!("{:<12} {time:>7}", passed.step.name());
    for (at, note) in passed.notes.iter().enumerate() {
        match at {
            0 => text.push_str(&format!("  {note}")),
            _ => text.push_str(&format!("\n{:22}{note}", "")),
        }
    }
    text
}

fn finish(report: &DeployReport, format: Format) -> Result<(), CommandError> {
    if format == Format::Json {
        out::json(report)?;
    }
    let context = &report.context;
    match (report.outcome, &report.refused, &report.serves) {
        (_, Some(refused), _) => {
            let at = refused.step.map(|step| format!(" at {}", step.name())).unwrap_or_default();
            let what = if report.outcome == DeployOutcome::RolledBack { "rolled back" } else { "refused" };
            Err(CommandError::message(
                format!("`{context}` is {what}{at}: {}", refused.message),
                refused.remedy.clone(),
            ))
        }
        (outcome, None, Some(version)) if format == Format::Human => {
            let already = if outcome == DeployOutcome::Unchanged { "already " } else { "" };
            let generation = version.generation.map(|n| format!(", generation {n}")).unwrap_or_default();
            out::line(&format!("{context} {already}serves {}{generation}", short(&version.hash)))
        }
        _ => Ok(()),
    }
}

pub fn history(manifest: &Manifest, context: Option<&str>, format: Format) -> Result<(), CommandError> {
    let host = |error: &seam_store::HostFileError| CommandError::caused_by(error, error.remedy());
    let data = &manifest.host.data;
    let all = match Client::connect(data) {
        Ok(client) => client.history()?,
        Err(Error::NotRunning { .. }) => {
            let file = HostFile::open(data).map_err(|error| host(&error))?;
            History::new(Arc::new(file)).and_then(|history| history.entries(None)).map_err(|error| host(&error))?
        }
        Err(error) => return Err(error.into()),
    };
    let entries: Vec<HistoryEntry> = all.into_iter().filter(|e| context.is_none_or(|c| e.context == c)).collect();
    if let (Some(name), true) = (context, entries.is_empty()) {
        return Err(match manifest.context(name) {
            None => unknown_context(manifest, name),
            Some(_) => CommandError::message(
                format!("nothing has been deployed of `{name}` yet"),
                "`seam history` lists what has been deployed",
            ),
        });
    }
    match format {
        Format::Json => out::json(&entries),
        Format::Human if entries.is_empty() => {
            out::note("nothing has been deployed yet");
            Ok(())
        }
        Format::Human => out::text(&table(&entries)),
    }
}

fn table(entries: &[HistoryEntry]) -> String {
    const HEADER: [&str; 8] = ["NO", "WHEN", "CONTEXT", "HOW", "HASH", "BEFORE", "SCHEMA", "OUTCOME"];
    let row = |entry: &HistoryEntry| {
        let schema = match (entry.schema_before, entry.schema_after) {
            (Some(before), Some(after)) if before != after => format!("{before} -> {after}"),
            (_, Some(after)) => after.to_string(),
            _ => "-".to_owned(),
        };
        let hash = |hash: &str| if hash.is_empty() { "-".to_owned() } else { short(hash).to_owned() };
        let why = entry.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let when = entry.began.get(..19).unwrap_or(&entry.began).replace('T', " ");
        vec![
            entry.id.to_string(),
            when,
            entry.context.clone(),
            deploy::word_of(&entry.kind),
            hash(&entry.hash),
            hash(&entry.before),
            schema,
            format!("{}{why}", deploy::word_of(&entry.state)),
        ]
    };
    out::table(&HEADER, &entries.iter().map(row).collect::<Vec<_>>(), &["NO"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::Step;

    #[test]
    fn a_step_is_a_line_with_its_notes_below_each_other() {
        let notes =
            vec!["added: `a:b/c.d() -> u32`".to_owned(), "removed: `a:b/c.e`, which no context imports".to_owned()];
        let passed = Passed { step: Step::Wit, ms: 0.25, notes };
        let expect = "wit           250 us  added: `a:b/c.d() -> u32`\n                      removed: `a:b/c.e`, which no context imports";
        assert_eq!(line(&passed), expect);
    }
}
