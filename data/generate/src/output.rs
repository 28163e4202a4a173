//! JSON-lines files that are complete or absent: written under a temporary name in the same folder, then renamed.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Fewer, larger writes: a million rows are some 300 MB.
const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot make the folder `{}`", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

/// A file that is being written. Dropping it before `finish` removes it.
pub struct Lines {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Lines {
    /// Makes the file's folder if it is missing. Both are for this user alone: they go into the data folder of a host.
    pub fn create(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|source| Error::Folder { path: folder.to_owned(), source })?;
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(name);
        let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary);
        let file = opened.map_err(|source| Error::Write { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), temporary, file: Some(BufWriter::with_capacity(BUFFER_BYTES, file)) })
    }

    pub fn row(&mut self, row: &impl Serialize) -> Result<(), Error> {
        let Some(file) = &mut self.file else { return Ok(()) };
        serde_json::to_writer(&mut *file, row)
            .map_err(std::io::Error::from)
            .and_then(|()| file.write_all(b"\n"))
            .map_err(|source| Error::Write { path: self.path.clone(), source })
    }

    /// Syncs the file and renames it to its final name.
    pub fn finish(mut self) -> Result<(), Error> {
        let placed = match self.file.take() {
            Some(file) => file
                .into_inner()
                .map_err(std::io::IntoInnerError::into_error)
                .and_then(|file| file.sync_all())
                .and_then(|()| std::fs::rename(&self.temporary, &self.path)),
            None => Ok(()),
        };
        if placed.is_err() {
            // The first error is reported; a leftover temporary file only costs space.
            let _ = std::fs::remove_file(&self.temporary);
        }
        placed.map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a whole file at once.
pub fn write_all<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), Error> {
    let mut lines = Lines::create(path)?;
    for row in rows {
        lines.row(row)?;
    }
    lines.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_file_and_its_folder_are_for_this_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("run/demo/rows.jsonl");
        Lines::create(&path).unwrap().finish().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&above.path().join("run")), mode(&path)), (0o700, 0o600));
    }

    #[test]
    fn a_file_is_complete_or_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/rows.jsonl");
        let mut lines = Lines::create(&path).unwrap();
        lines.row(&1).unwrap();
        drop(lines);
        assert_eq!(std::fs::read_dir(folder.path().join("deep")).unwrap().count(), 0);
        write_all(&path, &["a", "b"]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "\"a\"\n\"b\"\n");
        assert_eq!(std::fs::read_dir(folder.path().join("deep")).unwrap().count(), 1);
    }

    #[test]
    fn an_error_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let error = write_all(&folder.path().join("file/rows.jsonl"), &[1]).unwrap_err();
        assert!(matches!(error, Error::Folder { .. }), "{error}");
        std::fs::create_dir(folder.path().join("taken")).unwrap();
        let error = write_all(&folder.path().join("taken"), &[1]).unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error}");
    }
}
