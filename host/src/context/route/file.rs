//! The routes of all contexts, on the disk before they apply: a file beside the contexts' own files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use super::Shares;
use crate::limits;

/// What the routes say, by the contexts' names.
pub struct Routes {
    file: PathBuf,
    all: Mutex<BTreeMap<String, Shares>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the routes in `{}` cannot be read: {why}", path.display())]
pub struct Unusable {
    pub path: PathBuf,
    why: String,
}

impl Routes {
    /// Those that stand in the folder of the contexts' files; none when nobody has set one yet.
    ///
    /// # Errors
    /// When there is a file, and it is not understood: whoever guesses would send visitors elsewhere than before.
    pub fn open(databases: &Path) -> Result<Self, Unusable> {
        let file = databases.join("routes.json");
        let unusable = |why: String| Unusable { path: file.clone(), why };
        let all = match File::open(&file) {
            Ok(open) => {
                let mut text = String::new();
                let read = open.take(limits::ROUTES_FILE_BYTES_MAX).read_to_string(&mut text);
                read.map_err(|error| unusable(error.to_string()))?;
                serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(unusable(error.to_string())),
        };
        Ok(Self { file, all: Mutex::new(all) })
    }

    pub fn of(&self, context: &str) -> Shares {
        self.all.lock().get(context).cloned().unwrap_or_default()
    }

    /// Has the shares of `context` on the disk before it returns.
    ///
    /// # Errors
    /// When they cannot be written; then the old ones stand there still.
    pub fn set(&self, context: &str, shares: Shares) -> std::io::Result<()> {
        let mut all = self.all.lock();
        let mut next = all.clone();
        next.insert(context.to_owned(), shares);
        let partial = self.file.with_extension("json.tmp");
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = File::create(&partial)?;
        file.write_all(serde_json::to_string_pretty(&next)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &self.file)?;
        File::open(folder)?.sync_all()?;
        *all = next;
        Ok(())
    }
}
