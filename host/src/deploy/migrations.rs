//! Step `migrations`: the schema changes, tried on a copy of the file before the file itself sees them.
//!
//! And the other way round: whether the version that serves now would go on working at the new schema, so that there is a way back
//! (expand first, contract later). Seen from the statements that it ran lately: each must still compile there.

use std::path::Path;
use std::sync::Arc;

use super::{Form, Refused, Step, chain};
use crate::limits;
use crate::store::{self, Database, MigrateOptions, Migration};

/// A copy of the file at the new version's schema.
pub(super) struct Tried {
    pub copy: Arc<Database>,
    pub from: u32,
    pub to: u32,
    /// Why the version that serves now does not work at the new schema, if it does not.
    pub one_way: Option<String>,
}

/// # Errors
/// When there is no room for the copy, or a migration fails on it.
pub(super) fn attempt(
    live: &Database,
    path: &Path,
    migrations: &[Migration],
    ahead: Option<u32>,
) -> Result<Tried, Refused> {
    room(live, path)?;
    let refused = |error: &store::CopyError| {
        Refused::at(
            Step::Migrations,
            format!("its file cannot be copied: {}", chain(error)),
            "free some disk, or see the log",
        )
    };
    let copy = live.copy(path).map_err(|error| refused(&error))?;
    // Those of versions before the one that serves may have failed for long.
    let statements: Vec<String> = live.statements().into_iter().filter(|sql| copy.accepts(sql).is_ok()).collect();
    let options = MigrateOptions { tolerated_schema: ahead, restore_point: None };
    let migrated = store::migrate_with(&copy, migrations, &options)
        .map_err(|error| Refused::at(Step::Migrations, chain(&error), error.remedy()))?;
    let broken = |sql: &String| copy.accepts(sql).err().map(|error| format!("`{}`: {error}", shortened(sql)));
    let one_way = if migrated.from == migrated.to { None } else { statements.iter().find_map(broken) };
    Ok(Tried { copy, from: migrated.from, to: migrated.to, one_way })
}

/// Whether what was seen on the copy may happen to the file.
///
/// # Errors
/// When the version that serves could not go on, and nobody said yes to that.
pub(super) fn judge(tried: &Tried, allow: &[String], form: Form) -> Result<Vec<String>, Refused> {
    let mut notes = Vec::new();
    if tried.from != tried.to {
        notes.push(format!("schema {} becomes {}", tried.from, tried.to));
    }
    notes.extend(one_way(Step::Migrations, tried, allow, form)?);
    Ok(notes)
}

/// Whether there may be no way back, as `step` has seen.
pub(super) fn one_way(step: Step, tried: &Tried, allow: &[String], form: Form) -> Result<Option<String>, Refused> {
    if let Some(why) = &tried.one_way {
        if form == Form::Full && !allow.iter().any(|name| name == ONE_WAY) {
            return Err(Refused::at(
                step,
                format!("the running version would not work at its schema, so there were no way back: {why}"),
                format!(
                    "keep what the running version uses and remove it in the next deploy, or say `--allow {ONE_WAY}`"
                ),
            ));
        }
        return Ok(Some(format!("one way: the running version does not work at this schema: {why}")));
    }
    Ok(None)
}

/// What is said yes to, to let a version in that there is no way back from.
const ONE_WAY: &str = "one-way";

/// Two copies at most are made: this one, and the restore point.
fn room(live: &Database, path: &Path) -> Result<(), Refused> {
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
    Err(Refused::at(Step::Migrations, message, "make room on the disk of the data folder"))
}

fn shortened(sql: &str) -> String {
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(80) {
        Some((at, _)) => format!("{}...", line.get(..at).unwrap_or_default()),
        None => line,
    }
}
