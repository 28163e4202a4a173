//! The copy of a context's file that a target makes: `CONTEXT.arriving` beside the files of contexts, which nothing
//! else opens.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use seam_store::{Config, Snapshot, chain, private};
use sha2::{Digest as _, Sha256};

use super::messages::{Begin, Pages, Sum};

pub struct Arrival {
    pub from: String,
    pub begin: Begin,
    /// Of the component, as far as it is here.
    pub component: Vec<u8>,
    path: PathBuf,
    file: File,
    file_pages: u32,
    /// The pages that were changed since the source began to read the file: older ones come later.
    changed: HashSet<u32>,
}

impl Arrival {
    /// An empty copy. An older one of the same file is of no use.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn new(from: String, begin: Begin, config: &Config) -> Result<Self, String> {
        if !(512..=65_536).contains(&begin.page_bytes) || !begin.page_bytes.is_power_of_two() {
            return Err(format!("a page cannot have {} bytes", begin.page_bytes));
        }
        let path = path(config);
        if let Some(folder) = path.parent() {
            private::folder(folder).map_err(|error| failed(folder, &error))?;
        }
        remove(&path);
        private::new_file(&path).map_err(|error| failed(&path, &error))?;
        let file = File::options().read(true).write(true).open(&path).map_err(|error| failed(&path, &error))?;
        let (component, changed) = (Vec::new(), HashSet::new());
        Ok(Self { from, begin, component, path, file, file_pages: 0, changed })
    }

    /// Writes pages; the SHA-256 of what the copy has of them now.
    ///
    /// # Errors
    /// When the message is none, or there is no room.
    pub fn write(&mut self, message: &[u8]) -> Result<[u8; 32], String> {
        let bytes = self.begin.page_bytes as usize;
        let (file_pages, pages) = Pages::read(bytes, message)?;
        let offset = |number: u32| u64::from(number - 1) * bytes as u64;
        let is_base = file_pages == 0;
        for (number, page) in &pages {
            if is_base && self.changed.contains(number) {
                continue;
            }
            self.file.write_all_at(page, offset(*number)).map_err(|error| failed(&self.path, &error))?;
        }
        if !is_base {
            self.changed.extend(pages.iter().map(|(number, _)| *number));
            self.file_pages = file_pages;
        }
        let (mut sum, mut there) = (Sha256::new(), vec![0; bytes]);
        for (number, page) in &pages {
            // What came too late is compared by itself.
            if is_base && self.changed.contains(number) {
                sum.update(page);
                continue;
            }
            self.file.read_exact_at(&mut there, offset(*number)).map_err(|error| failed(&self.path, &error))?;
            sum.update(&there);
        }
        Ok(sum.finalize().into())
    }

    /// Has the file no page behind its end, and all of it on the disk.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn sync(&self) -> Result<(), String> {
        let failed = |error: std::io::Error| failed(&self.path, &error);
        if self.file_pages > 0 {
            self.file.set_len(u64::from(self.file_pages) * u64::from(self.begin.page_bytes)).map_err(failed)?;
        }
        self.file.sync_all().map_err(failed)?;
        let folder = self.path.parent().unwrap_or(&self.path);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }

    /// The tables of the copy as it is now.
    ///
    /// # Errors
    /// When it is no database, or cannot be opened with the keys of this host.
    pub fn tables(&self, config: &Config) -> Result<Vec<Sum>, String> {
        if self.file_pages > 0 {
            let length = u64::from(self.file_pages) * u64::from(self.begin.page_bytes);
            self.file.set_len(length).map_err(|error| failed(&self.path, &error))?;
        }
        let config = Config { path: self.path.clone(), ..config.clone() };
        let snapshot = Snapshot::of_copy(&config).map_err(|error| chain(&error))?;
        sums(&snapshot)
    }
}

/// The tables of a snapshot.
///
/// # Errors
/// When it cannot be read.
pub fn sums(snapshot: &Snapshot) -> Result<Vec<Sum>, String> {
    let tables = snapshot.tables().map_err(|error| error.to_string())?;
    Ok(tables.into_iter().map(|table| Sum { table: table.name, rows: table.rows, sum: table.sum }).collect())
}

/// Where the copy of the file that `config` names arrives.
pub fn path(config: &Config) -> PathBuf {
    config.path.with_extension("arriving")
}

/// Removes a copy, if there is one.
pub fn remove(path: &Path) {
    std::fs::remove_file(path).ok();
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("cannot write `{}`: {error}", path.display())
}
