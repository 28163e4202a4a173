//! Step `migrations`: runs the migrations on a copy of the file, before step `publish` runs them on the file itself.
//!
//! It also tests whether the running version works at the new schema, since only then can the deploy be rolled back
//! (expand first, contract later): each statement that this version ran lately must still compile there.

use std::path::Path;
use std::sync::Arc;

use seam_runtime::component::ContextProblem;
use seam_store::{Database, Invariant, InvariantKind, MigrateOptions, Migration, chain};

use crate::deploy::report::{GateRefusal, Step};
use crate::deploy::request::Form;
use crate::deploy::system::System;
use crate::limits;
use crate::manifest::Reconcile;

/// The note of a deploy or a rollback of a context that is out of service: its store is not open.
pub(crate) const UNTRIED: &str = "the context is out of service: its migrations first run when it is published";

/// A copy of the file at the new version's schema.
pub(crate) struct SchemaTrial {
    pub copy: Arc<Database>,
    pub from: u32,
    pub to: u32,
    /// Why the running version does not work at the new schema; `None` if it does.
    pub irreversible: Option<String>,
}

/// Copies the file to `path` and runs the migrations on the copy.
///
/// # Errors
/// When the disk has no room for the copy, or a migration fails on it.
pub(crate) fn run_on_copy(
    live: &Database,
    path: &Path,
    migrations: &[Migration],
    tolerated_schema: Option<u32>,
) -> Result<SchemaTrial, GateRefusal> {
    check_room(live, path)?;
    let refused = |error: &seam_store::CopyError| {
        GateRefusal::at(
            Step::Migrations,
            format!("cannot copy its file: {}", chain(error)),
            "free some disk space, or see the log",
        )
    };
    let copy = live.copy(path).map_err(|error| refused(&error))?;
    // Statements of older versions may not compile at the current schema either: leave them out.
    let statements: Vec<String> = live.statements().into_iter().filter(|sql| copy.accepts(sql).is_ok()).collect();
    let options = MigrateOptions { tolerated_schema, restore_point: None };
    let migrated = seam_store::migrate_with(&copy, migrations, &options)
        .map_err(|error| GateRefusal::at(Step::Migrations, chain(&error), error.remedy()))?;
    let broken = |sql: &String| copy.accepts(sql).err().map(|error| format!("`{}`: {error}", shortened(sql)));
    let irreversible = if migrated.from == migrated.to { None } else { statements.iter().find_map(broken) };
    Ok(SchemaTrial { copy, from: migrated.from, to: migrated.to, irreversible })
}

/// What a version declares of its file, compared with the schema that its migrations have made.
///
/// # Errors
/// When a statement does not fit the schema: `seam verify` could not check it; or when the version that serves declares
/// a total that is to be reconciled, and this one does not.
pub(crate) fn fit_invariants(
    system: &System,
    name: &str,
    fit: Result<Vec<Invariant>, ContextProblem>,
) -> Result<(), GateRefusal> {
    let next = fit.map_err(|problem| GateRefusal::at(Step::Migrations, problem.message, problem.remedy))?;
    // What the version that serves declares is not asked of it if it does not matter.
    if system.calls.reconciles.is_empty() {
        return Ok(());
    }
    let serving = system.generation(name).and_then(|generation| generation.invariants().ok()).unwrap_or_default();
    let declares =
        |all: &[Invariant], total: &str| all.iter().any(|one| one.kind == InvariantKind::Total && one.name == total);
    let lost = |one: &&Reconcile| declares(&serving, &one.total) && !declares(&next, &one.total);
    match system.calls.reconciles.iter().find(lost) {
        None => Ok(()),
        Some(lost) => Err(GateRefusal::at(
            Step::Migrations,
            format!("it no longer declares the total `{}`, which is reconciled", lost.total),
            "keep the total, or remove its `[[reconcile]]` first",
        )),
    }
}

/// Decides whether the file may be migrated. Returns notes on the schema.
///
/// # Errors
/// In the full form, when the deploy is irreversible and `allow` does not contain `irreversible`.
pub(crate) fn judge(trial: &SchemaTrial, allow: &[String], form: Form) -> Result<Vec<String>, GateRefusal> {
    let mut notes = Vec::new();
    if trial.from != trial.to {
        notes.push(format!("schema {} becomes {}", trial.from, trial.to));
    }
    notes.extend(irreversible(Step::Migrations, trial, allow, form)?);
    Ok(notes)
}

/// Refuses an irreversible deploy in the full form, unless `allow` contains `irreversible`. Otherwise returns a note,
/// if the deploy is irreversible. `step` is the step that found out.
pub(crate) fn irreversible(
    step: Step,
    trial: &SchemaTrial,
    allow: &[String],
    form: Form,
) -> Result<Option<String>, GateRefusal> {
    if let Some(why) = &trial.irreversible {
        if form == Form::Full && !allow.iter().any(|name| name == IRREVERSIBLE) {
            let kind = "the running version would not work at the new schema, so the deploy could not be rolled back";
            // A statement may have values in its text.
            let refusal = GateRefusal::at(
                step,
                format!("{kind}: {why}"),
                format!(
                    "keep what the running version uses and remove it in the next deploy, or deploy with \
                     `--allow {IRREVERSIBLE}`"
                ),
            );
            return Err(refusal.recorded(kind));
        }
        return Ok(Some(format!("irreversible: the running version does not work at the new schema: {why}")));
    }
    Ok(None)
}

/// The name for `--allow` that permits a deploy which the host could not roll back.
const IRREVERSIBLE: &str = "irreversible";

/// Checks that the disk has room for two copies of the file: this one and the restore point.
fn check_room(live: &Database, path: &Path) -> Result<(), GateRefusal> {
    let statistics = live.statistics();
    let needed = 2 * (statistics.file_bytes + statistics.wal_bytes) + (limits::DEPLOY_DISK_MB_SPARE << 20);
    let folder = path.parent().unwrap_or(path);
    // If the free space is unknown, try to copy.
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= needed {
        return Ok(());
    }
    let message =
        format!("the trial on a copy of its file needs {} MB of disk space; {} MB are free", needed >> 20, free >> 20);
    Err(GateRefusal::at(Step::Migrations, message, "free some space on the disk of the data folder"))
}

fn shortened(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(80) {
        Some((at, _)) => format!("{}...", line.get(..at).unwrap_or_default()),
        None => line,
    }
}
