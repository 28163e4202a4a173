//! What a backup's `backup.json` says, and which backups and restore points there are.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::error::Error;
use crate::folder;

/// The list in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The format of this list: 1.
    pub format: u32,
    /// RFC 3339, UTC: all files are as they were at this moment.
    pub taken: String,
    /// How long commits waited for it.
    pub held_ms: u64,
    pub files: Vec<File>,
    /// Contexts that were out of service: their files are not in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// The file of one context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub context: String,
    pub name: String,
    pub bytes: u64,
    /// In hex.
    pub sha256: String,
    /// How many migrations it has run.
    pub schema: u32,
}

/// A copy that a deploy or a start made before it changed a schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RestorePoint {
    pub name: String,
    pub context: String,
    pub bytes: u64,
    #[serde(skip)]
    pub path: PathBuf,
    #[serde(skip)]
    written: SystemTime,
}

/// The folder of backups in the data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("backups")
}

impl Backup {
    pub(super) const FILE: &str = "backup.json";

    /// The list of the backup in `folder`.
    ///
    /// # Errors
    /// When there is no backup.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let no_backup = |why: String| Error::NoBackup { path: folder.to_owned(), why };
        let text = std::fs::read_to_string(folder.join(Self::FILE)).map_err(|error| no_backup(error.to_string()))?;
        let list: Self = serde_json::from_str(&text).map_err(|error| no_backup(error.to_string()))?;
        match list.format {
            1 => Ok(list),
            other => Err(no_backup(format!("its format {other} is newer than this host"))),
        }
    }
}

/// The folder of the backup `name`: one of the data folder's, or any other folder.
pub fn locate(data: &Path, name: &str) -> Option<PathBuf> {
    [folder(data).join(name), PathBuf::from(name)].into_iter().find(|folder| folder.is_dir())
}

/// The backups in `folder` by name, the newest first.
pub fn backups(folder: &Path) -> Vec<(String, Backup)> {
    let mut found: Vec<(String, Backup)> = entries(folder)
        .filter_map(|path| Some((path.file_name()?.to_string_lossy().into_owned(), Backup::read(&path).ok()?)))
        .collect();
    found.sort_by(|(_, a), (_, b)| b.taken.cmp(&a.taken));
    found
}

/// The restore points in the data folder, the newest first.
pub fn restore_points(data: &Path) -> Vec<RestorePoint> {
    let point = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".db")?.to_owned();
        let (context, number) = name.rsplit_once('-')?;
        number.parse::<u64>().ok()?;
        let file = path.metadata().ok()?;
        let (context, bytes, written) = (context.to_owned(), file.len(), file.modified().ok()?);
        Some(RestorePoint { name, context, bytes, path, written })
    };
    let mut found: Vec<_> = entries(&folder::restore_points(data)).filter_map(point).collect();
    found.sort_by_key(|point| std::cmp::Reverse(point.written));
    found
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}
