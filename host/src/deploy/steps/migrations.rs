//! Step `migrations`: the schema changes, tried on a copy of the file before the file itself sees them.
//!
//! And the other way round: whether the version that serves now would go on working at the new schema, so that there is a way back
//! (expand first, contract later). Seen from the statements that it ran lately: each must still compile there.

use std::path::Path;
use std::sync::Arc;

use crate::deploy::report::{GateRefusal, Step};
use crate::deploy::request::Form;
use crate::limits;
use seam_store::{Database, MigrateOptions, Migration, chain};

/// A copy of the file at the new version's schema.
pub(crate) struct SchemaTrial {
    pub copy: Arc<Database>,
    pub from: u32,
    pub to: u32,
    /// Why the version that serves now does not work at the new schema, if it does not.
    pub irreversible: Option<String>,
}

/// # Errors
/// When there is no room for the copy, or a migration fails on it.
pub(crate) fn run_on_copy(
    live: &Database,
    path: &Path,
    migrations: &[Migration],
    tolerated_schema: Option<u32>,
) -> Result<SchemaTrial, GateRefusal> {
    room(live, path)?;
    let refused = |error: &seam_store::CopyError| {
        GateRefusal::at(
            Step::Migrations,
            format!("its file cannot be copied: {}", chain(error)),
            "free some disk, or see the log",
        )
    };
    let copy = live.copy(path).map_err(|error| refused(&error))?;
    // Those of versions before the one that serves may have failed for long.
    let statements: Vec<String> = live.statements().into_iter().filter(|sql| copy.accepts(sql).is_ok()).collect();
    let options = MigrateOptions { tolerated_schema, restore_point: None };
    let migrated = seam_store::migrate_with(&copy, migrations, &options)
        .map_err(|error| GateRefusal::at(Step::Migrations, chain(&error), error.remedy()))?;
    let broken = |sql: &String| copy.accepts(sql).err().map(|error| format!("`{}`: {error}", shortened(sql)));
    let irreversible = if migrated.from == migrated.to { None } else { statements.iter().find_map(broken) };
    Ok(SchemaTrial { copy, from: migrated.from, to: migrated.to, irreversible })
}

/// Whether what was seen on the copy may happen to the file.
///
/// # Errors
/// When the version that serves would not work at the new schema, and `allow` does not say that this is meant.
pub(crate) fn judge(tried: &SchemaTrial, allow: &[String], form: Form) -> Result<Vec<String>, GateRefusal> {
    let mut notes = Vec::new();
    if tried.from != tried.to {
        notes.push(format!("schema {} becomes {}", tried.from, tried.to));
    }
    notes.extend(irreversible(Step::Migrations, tried, allow, form)?);
    Ok(notes)
}

/// Whether the version may be one that cannot be rolled back, as `step` has seen.
pub(crate) fn irreversible(
    step: Step,
    tried: &SchemaTrial,
    allow: &[String],
    form: Form,
) -> Result<Option<String>, GateRefusal> {
    if let Some(why) = &tried.irreversible {
        if form == Form::Full && !allow.iter().any(|name| name == IRREVERSIBLE) {
            return Err(GateRefusal::at(
                step,
                format!("the running version would not work at its schema, so it could not be rolled back: {why}"),
                format!(
                    "keep what the running version uses and remove it in the next deploy, or say `--allow {IRREVERSIBLE}`"
                ),
            ));
        }
        return Ok(Some(format!("irreversible: the running version does not work at this schema: {why}")));
    }
    Ok(None)
}

/// The name for `--allow` that lets a version in although the host could not roll it back.
const IRREVERSIBLE: &str = "irreversible";

/// Two copies at most are made: this one, and the restore point.
fn room(live: &Database, path: &Path) -> Result<(), GateRefusal> {
    let statistics = live.statistics();
    let needed = 2 * (statistics.file_bytes + statistics.wal_bytes) + (limits::DEPLOY_DISK_MB_SPARE << 20);
    let folder = path.parent().unwrap_or(path);
    // Where this cannot be asked, the copy itself will tell.
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= needed {
        return Ok(());
    }
    let message =
        format!("its file is tried on a copy, which needs {} MB of disk; {} MB are free", needed >> 20, free >> 20);
    Err(GateRefusal::at(Step::Migrations, message, "make room on the disk of the data folder"))
}

fn shortened(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(80) {
        Some((at, _)) => format!("{}...", line.get(..at).unwrap_or_default()),
        None => line,
    }
}
