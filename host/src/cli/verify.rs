//! `seam verify`: what holds, what is violated, and what could not be checked.

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::error::CommandError;
use super::global::{Format, Global, compiler};
use super::{local, out};
use crate::admin::client::{Client, Error};
use crate::folder::{self, Folder};
use crate::manifest::Manifest;
use crate::verify::{self, Check, Components, Outcome, Progress, Report, Verdict, VerifyRequest};

#[derive(Debug, Args)]
pub struct Options {
    /// Only the checks of this context, and the totals that it takes part in; may be given more than once
    #[arg(long = "context", value_name = "CONTEXT")]
    contexts: Vec<String>,
    /// A backup instead: its name in the data folder, or its folder
    #[arg(long, value_name = "NAME")]
    backup: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(global: &Global, options: &Options) -> Result<(), CommandError> {
    // Without a report nothing is known: that is not the same as a violation.
    let report = report(global, options).map_err(|error| CommandError::Unknown(Box::new(error)))?;
    match options.format {
        Format::Json => out::json(&report)?,
        Format::Human => shown(&report)?,
    }
    match report.verdict {
        Verdict::Holds => Ok(()),
        Verdict::Violated => Err(CommandError::Reported),
        Verdict::Unchecked => Err(CommandError::Unknown(Box::new(CommandError::Reported))),
        Verdict::Nothing => Err(CommandError::Unknown(Box::new(CommandError::message(
            "nothing was verified: no invariant of a context had a row to look at",
            "docs/verify.md says how a context declares what holds in its file",
        )))),
    }
}

fn report(global: &Global, options: &Options) -> Result<Report, CommandError> {
    let manifest = global.load_host()?;
    let request = VerifyRequest { contexts: options.contexts.clone() };
    let mut display = ProgressDisplay::default();
    let report = match (&options.backup, Client::connect(&manifest.host.data)) {
        (None, Ok(client)) => client.verify(&request, &mut |at| display.update(at)).map_err(CommandError::from),
        (Some(backup), Ok(client)) => {
            let serving = client.contexts()?.into_iter().map(|status| (status.context, status.hash)).collect();
            of_backup(global, manifest, Components::Serving(serving), backup.clone(), request)
        }
        (None, Err(Error::NotRunning { .. })) => of_stopped(global, manifest, request),
        (Some(backup), Err(Error::NotRunning { .. })) => {
            let components = Components::of_stopped(&manifest)?;
            of_backup(global, manifest, components, backup.clone(), request)
        }
        (_, Err(error)) => Err(error.into()),
    };
    drop(display);
    report
}

/// A backup, beside a running host or without one.
fn of_backup(
    global: &Global,
    manifest: Manifest,
    components: Components,
    backup: String,
    request: VerifyRequest,
) -> Result<Report, CommandError> {
    local::on_a_guests_stack(global, move || {
        let mut display = ProgressDisplay::default();
        let mut progress = |at: &Progress| display.update(at);
        Ok(verify::verify_backup(&manifest, compiler(), &backup, &components, &request, &mut progress)?)
    })
}

/// The files of a stopped host. Their folder is locked, so that no host starts meanwhile.
fn of_stopped(global: &Global, manifest: Manifest, request: VerifyRequest) -> Result<Report, CommandError> {
    let data = &manifest.host.data;
    if !folder::is_data(data) {
        return Err(verify::Error::NoData { path: data.display().to_string() }.into());
    }
    let folder = Folder::lock(data).map_err(local::busy)?;
    local::on_a_guests_stack(global, move || {
        let _folder = folder;
        let mut display = ProgressDisplay::default();
        let mut progress = |at: &Progress| display.update(at);
        Ok(verify::verify_stopped(&manifest, compiler(), &request, &mut progress)?)
    })
}

/// A line that says which check runs; on a terminal only.
#[derive(Default)]
struct ProgressDisplay {
    bar: Option<ProgressBar>,
}

impl ProgressDisplay {
    fn update(&mut self, at: &Progress) {
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(at.of as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_message(at.now.clone());
        bar.set_position(at.done as u64);
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn shown(report: &Report) -> Result<(), CommandError> {
    let rows: Vec<_> = report.checks.iter().map(row).collect();
    let mut text = out::table(&["CONTEXT", "CHECK", "RESULT"], &rows, &[]);
    for check in &report.checks {
        text.push_str(&details(check));
    }
    out::text(&text)?;
    let count = |is: fn(&Outcome) -> bool| report.checks.iter().filter(|check| is(&check.outcome)).count();
    let holds = count(|outcome| matches!(outcome, Outcome::Holds { .. }));
    let empty = count(|outcome| matches!(outcome, Outcome::Empty { .. }));
    let violated = count(|outcome| matches!(outcome, Outcome::Violated { .. }));
    let unchecked = count(|outcome| matches!(outcome, Outcome::Unchecked { .. }));
    out::note(&format!(
        "{holds} hold, {violated} violated, {unchecked} not checked, {empty} with nothing to look at; the files are as \
         they were at {}",
        report.at
    ));
    Ok(())
}

fn row(check: &Check) -> Vec<String> {
    let result = match &check.outcome {
        Outcome::Holds { keys: None } => "holds".to_owned(),
        Outcome::Holds { keys: Some(keys) } => format!("agree on {keys}"),
        Outcome::Empty { .. } => "nothing to look at".to_owned(),
        Outcome::Violated { count: 1, .. } => "VIOLATED once".to_owned(),
        Outcome::Violated { count, .. } => format!("VIOLATED {count} times"),
        Outcome::Unchecked { .. } => "NOT CHECKED".to_owned(),
    };
    vec![check.contexts.join(", "), check.name.clone(), result]
}

/// What is wrong, with examples.
fn details(check: &Check) -> String {
    let head =
        |what: &str| format!("\n{} of {}: {what}: {}\n", check.name, check.contexts.join(" and "), check.sentence);
    match &check.outcome {
        Outcome::Holds { .. } => String::new(),
        Outcome::Empty { why } => format!("\n{} of {}: {why}\n", check.name, check.contexts.join(" and ")),
        Outcome::Unchecked { why, remedy } => format!("{}  {why}\n  hint: {remedy}\n", head("not checked")),
        Outcome::Violated { count, columns, examples, remedy } => {
            let mut text = head("violated");
            for example in examples {
                let (what, more) = example.split_first().map_or(("", &[][..]), |(what, more)| (what.as_str(), more));
                let more = columns.iter().skip(1).zip(more).map(|(column, value)| format!("{column} {value}"));
                let more = more.collect::<Vec<_>>().join(", ");
                let colon = if more.is_empty() { "" } else { ": " };
                text.push_str(&format!("  {what}{colon}{more}\n"));
            }
            let left = count.saturating_sub(examples.len() as u64);
            if left > 0 {
                text.push_str(&format!("  and {left} more\n"));
            }
            if !remedy.is_empty() {
                text.push_str(&format!("  hint: {remedy}\n"));
            }
            text
        }
    }
}
