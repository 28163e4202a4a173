//! `seam verify`: what holds, what is violated, and what could not be checked.
//!
//! Not here: a system of several hosts (`system`).

mod system;

use std::path::PathBuf;

use clap::Args;

use super::error::CommandError;
use super::global::{Format, Global, compiler};
use super::progress::Bar;
use super::{local, out};
use crate::admin::client::{Client, Error};
use crate::folder::{self, Folder};
use crate::manifest::Manifest;
use crate::verify::{self, Check, Components, How, Outcome, Part, Progress, Report, Verdict, VerifyRequest};
use crate::{backup, homes};

#[derive(Debug, Args)]
pub struct Options {
    /// Only the checks of this context, and the totals that it takes part in; may be given more than once
    #[arg(long = "context", value_name = "CONTEXT")]
    contexts: Vec<String>,
    /// A backup instead: its name in the data folder, or its folder; one of each host, given more than once
    #[arg(long = "backup", value_name = "NAME")]
    backups: Vec<String>,
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
    let request = VerifyRequest { contexts: options.contexts.clone() };
    let hosts = hosts(global)?;
    if !options.backups.is_empty() {
        return of_backups(global, hosts, &options.backups, request);
    }
    match <[Manifest; 1]>::try_from(hosts) {
        Ok([manifest]) => of_one(global, manifest, request),
        Err(hosts) => system::report(global, hosts, &request),
    }
}

/// The manifest as each host runs it that is meant: the one that `--as` names, or all of them.
///
/// # Errors
/// Also when there are several, and none of them has files on this machine.
fn hosts(global: &Global) -> Result<Vec<Manifest>, CommandError> {
    let manifest = global.load()?;
    let hosts = &manifest.placement.hosts;
    if global.host.is_some() || global.together || hosts.is_empty() {
        return Ok(vec![global.load_host()?]);
    }
    if !hosts.iter().any(|host| folder::is_data(&host.data)) {
        return Ok(vec![manifest.of_no_host()?]);
    }
    let known = homes::known_here(manifest)?;
    let hosts = known.placement.hosts.iter();
    Ok(hosts.map(|host| known.on(host.name.as_str())).collect::<Result<_, _>>()?)
}

fn of_one(global: &Global, manifest: Manifest, request: VerifyRequest) -> Result<Report, CommandError> {
    match Client::connect(&manifest.host.data) {
        Ok(client) => live(client, &request),
        Err(Error::NotRunning { .. }) => of_stopped(global, vec![manifest], request, |host| {
            let why = format!("it lives on host `{host}`");
            (why, "verify all hosts together: `seam verify` without `--as`".to_owned())
        }),
        Err(error) => Err(error.into()),
    }
}

/// A host that runs.
fn live(client: Client, request: &VerifyRequest) -> Result<Report, CommandError> {
    let mut bar = bar();
    Ok(client.verify(request, &mut |at| show(&mut bar, at))?)
}

/// Backups, beside running hosts or without one.
fn of_backups(
    global: &Global,
    hosts: Vec<Manifest>,
    names: &[String],
    request: VerifyRequest,
) -> Result<Report, CommandError> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for name in names {
        let found = hosts.iter().filter_map(|manifest| backup::locate(&manifest.host.data, name));
        let mut found: Vec<PathBuf> = found.filter(|folder| !folders.contains(folder)).collect();
        found.dedup();
        if found.is_empty() && !folders.iter().any(|folder| folder.ends_with(name)) {
            return Err(verify::Error::NoBackup { name: name.clone() }.into());
        }
        folders.append(&mut found);
    }
    let with_components = |manifest: Manifest| {
        let components = match Client::connect(&manifest.host.data) {
            Ok(client) => {
                let statuses = client.contexts()?.into_iter();
                Components::Serving(statuses.map(|status| (status.context, status.hash)).collect())
            }
            Err(Error::NotRunning { .. }) => Components::of_stopped(&manifest)?,
            Err(error) => return Err(CommandError::from(error)),
        };
        Ok((manifest, components))
    };
    let hosts: Vec<_> = hosts.into_iter().map(with_components).collect::<Result<_, _>>()?;
    local::on_a_guests_stack(global, move || {
        let mut bar = bar();
        let mut progress = |at: &Progress| show(&mut bar, at);
        Ok(verify::verify_backups(&hosts, &folders, compiler(), &request, &mut progress)?)
    })
}

/// The files of stopped hosts. Their folders are locked, so that no host starts meanwhile.
fn of_stopped(
    global: &Global,
    hosts: Vec<Manifest>,
    request: VerifyRequest,
    away: impl Fn(&str) -> (String, String) + Send + 'static,
) -> Result<Report, CommandError> {
    if let Some(missing) = hosts.iter().map(|manifest| &manifest.host.data).find(|data| !folder::is_data(data)) {
        return Err(verify::Error::NoData { path: missing.display().to_string() }.into());
    }
    let locked = hosts.iter().map(|manifest| Folder::lock(&manifest.host.data).map_err(local::busy));
    let locked: Vec<Folder> = locked.collect::<Result<_, _>>()?;
    local::on_a_guests_stack(global, move || {
        let _locked = locked;
        let mut bar = bar();
        let mut progress = |at: &Progress| show(&mut bar, at);
        Ok(verify::verify_stopped(&hosts, &away, compiler(), &request, &mut progress)?)
    })
}

/// Which check runs.
fn bar() -> Bar {
    Bar::new("{msg} {wide_bar} {pos}/{len}")
}

fn show(bar: &mut Bar, at: &Progress) {
    bar.at(at.now.clone(), at.done as u64, at.of as u64);
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
    let seen = match report.parts.as_slice() {
        [] => format!("the files are as they were at {}", report.at),
        parts => parts.iter().map(seen).collect::<Vec<_>>().join("; "),
    };
    out::note(&format!(
        "{holds} hold, {violated} violated, {unchecked} not checked, {empty} with nothing to look at; {seen}"
    ));
    Ok(())
}

fn seen(part: &Part) -> String {
    let Part { name, how, at } = part;
    match how {
        How::Running => format!("host `{name}` as it was at {at}"),
        How::Stopped => format!("host `{name}`, which is stopped, as it was left at {at}"),
        How::Away => format!("nothing of host `{name}`"),
        How::Backup => format!("backup `{name}` of {at}"),
    }
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
