//! `seam backup`: takes a backup, or lists what can be restored.

use std::path::{Path, PathBuf};

use clap::Args;

use super::error::CommandError;
use super::global::{Format, Global};
use super::out;
use crate::admin::BackupRequest;
use crate::admin::client::{Client, Error};
use crate::backup::{self, Backup, RestorePoint};
use crate::folder::Folder;

#[derive(Debug, Args)]
pub struct Options {
    /// The folder for backups; by default `backups` in the data folder
    dir: Option<PathBuf>,
    /// List the backups there, and the restore points of deploys
    #[arg(long)]
    list: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(global: &Global, options: &Options) -> Result<(), CommandError> {
    let manifest = global.load_host()?;
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
