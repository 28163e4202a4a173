//! Writing a plan: all of it, or nothing.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::plan::Plan;

impl Plan {
    /// Writes the new files first and the changed ones last, because those refer to new ones.
    ///
    /// # Errors
    /// When a file cannot be written; then everything is as before.
    pub fn write(&self) -> Result<(), Error> {
        let mut done = Undo::default();
        let written = self.new.iter().try_for_each(|(path, text)| done.create(&self.folder.join(path), text));
        let written = written
            .and_then(|()| self.changed.iter().try_for_each(|(path, text)| done.change(&self.folder.join(path), text)));
        if written.is_err() {
            done.undo();
        }
        written
    }
}

/// What was written so far.
#[derive(Default)]
struct Undo {
    folders: Vec<PathBuf>,
    files: Vec<PathBuf>,
    changed: Vec<(PathBuf, Vec<u8>)>,
}

impl Undo {
    fn create(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let failed = |source| Error::Write { path: path.into(), source };
        let missing = path.ancestors().skip(1).take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let missing: Vec<_> = missing.map(Path::to_path_buf).collect();
        for folder in missing.into_iter().rev() {
            fs::create_dir(&folder).map_err(failed)?;
            self.folders.push(folder);
        }
        // Fails for a file that was created meanwhile.
        let mut file = fs::File::create_new(path).map_err(failed)?;
        self.files.push(path.into());
        file.write_all(text.as_bytes()).map_err(failed)
    }

    fn change(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        let failed = |source| Error::Write { path: path.into(), source };
        let before = fs::read(path).map_err(failed)?;
        replace(path, text.as_bytes()).map_err(failed)?;
        self.changed.push((path.into(), before));
        Ok(())
    }

    /// Ignores errors: the command reports the first one.
    fn undo(self) {
        for (path, before) in self.changed {
            replace(&path, &before).ok();
        }
        for path in self.files {
            fs::remove_file(path).ok();
        }
        for folder in self.folders.into_iter().rev() {
            fs::remove_dir(folder).ok();
        }
    }
}

/// Replaces a file as a whole; a reader sees the old text or the new one. A link stays a link.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = &fs::canonicalize(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let other = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    let written = fs::write(&other, bytes).and_then(|()| {
        fs::set_permissions(&other, fs::metadata(path)?.permissions())?;
        fs::rename(&other, path)
    });
    if written.is_err() {
        fs::remove_file(&other).ok();
    }
    written
}
