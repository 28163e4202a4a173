//! `seam backup`: takes a backup, lists what can be restored, or drills a restore.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::error::CommandError;
use super::global::{Format, Global};
use super::out;
use crate::admin::BackupRequest;
use crate::admin::client::{Client, Error};
use crate::backup::{self, Backup, RestorePoint};
use crate::folder::Folder;
use crate::manifest::Manifest;
use crate::times::rfc3339;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    action: Option<Action>,
    /// The folder for backups; by default `backups` in the data folder
    dir: Option<PathBuf>,
    /// List the backups there, and the restore points of deploys
    #[arg(long)]
    list: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Fetch the newest state of each context that `[backup]` has stored, and verify it
    Drill {
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
}

pub fn run(global: &Global, options: &Options) -> Result<(), CommandError> {
    let manifest = global.load_host()?;
    if let Some(Action::Drill { format }) = &options.action {
        return drill(&manifest, *format);
    }
    let data = &manifest.host.data;
    let into = options.dir.clone().unwrap_or_else(|| backup::folder(data));
    if options.list {
        return list(data, &into, options.format);
    }
    let into = std::path::absolute(&into).unwrap_or(into);
    let (path, backup) = match Client::connect(data) {
        Ok(client) => client.backup(&BackupRequest { into })?,
        Err(Error::NotRunning { .. }) => {
            let _folder = Folder::lock(data)?;
            backup::take_of(&manifest, &into)?
        }
        Err(error) => return Err(error.into()),
    };
    for context in &backup.left_out {
        out::warning(&format!("without the file of `{context}`, which is out of service: `seam contexts` shows why"));
    }
    if options.format == Format::Json {
        return out::json(&backup);
    }
    let bytes = out::size(backup.files.iter().map(|file| file.bytes).sum());
    let count = match backup.files.len() {
        1 => "1 context".to_owned(),
        count => format!("{count} contexts"),
    };
    out::note(&format!("{count}, {bytes}, as they were at {}", backup.taken));
    out::line(&path.display().to_string())
}

fn drill(manifest: &Manifest, format: Format) -> Result<(), CommandError> {
    let (mut whole, mut failed) = (Vec::new(), Vec::new());
    backup::drill(manifest, |context, result| match result {
        Ok(drilled) => whole.push(drilled),
        Err(error) => {
            out::warning(&format!("{context}: {}\n  hint: {}", seam_store::chain(&error), error.remedy()));
            failed.push(context.to_owned());
        }
    })?;
    match format {
        Format::Json => out::json(&whole)?,
        Format::Human => {
            let row = |one: &backup::Drilled| {
                let took = out::time(one.took_ms as f64 * 1_000.0);
                vec![one.context.clone(), rfc3339(one.at_ms), out::size(one.bytes), one.deltas.to_string(), took]
            };
            let rows: Vec<_> = whole.iter().map(row).collect();
            out::text(&out::table(
                &["CONTEXT", "STATE OF", "SIZE", "DELTAS", "TOOK"],
                &rows,
                &["SIZE", "DELTAS", "TOOK"],
            ))?;
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(CommandError::message(
        format!("cannot restore {}", failed.join(", ")),
        "see the warnings above; `seam contexts` shows whether the backup goes on",
    ))
}

fn list(data: &Path, folder: &Path, format: Format) -> Result<(), CommandError> {
    let (backups, points) = (backup::backups(folder), backup::restore_points(data));
    if format == Format::Json {
        return out::json(&serde_json::json!({ "backups": backups, "restore_points": points }));
    }
    if backups.is_empty() && points.is_empty() {
        out::note("there is no backup and no restore point; `seam backup` takes a backup");
        return Ok(());
    }
    let of_backup = |(name, backup): &(String, Backup)| {
        let contexts: Vec<_> = backup.files.iter().map(|file| file.context.as_str()).collect();
        let bytes = backup.files.iter().map(|file| file.bytes).sum();
        vec![name.clone(), "backup".to_owned(), out::size(bytes), contexts.join(" ")]
    };
    let of_point = |point: &RestorePoint| {
        vec![point.name.clone(), "restore point".to_owned(), out::size(point.bytes), point.context.clone()]
    };
    let rows: Vec<_> = backups.iter().map(of_backup).chain(points.iter().map(of_point)).collect();
    out::text(&out::table(&["NAME", "KIND", "SIZE", "CONTEXTS"], &rows, &["SIZE"]))
}
