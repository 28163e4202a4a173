//! The copy of a context's file that a target makes: `CONTEXT.arriving` beside the files of contexts, which nothing
//! else opens, and room for what is written when it is handed over, `CONTEXT.arriving-room`.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use seam_store::{Config, Snapshot, chain, private};
use sha2::{Digest as _, Sha256};

use super::messages::{Begin, Pages, ReadPages, Sum};
use crate::limits;

pub struct Arrival {
    pub begin: Begin,
    /// Of the component, as far as it is here.
    pub component: Vec<u8>,
    path: PathBuf,
    file: File,
    file_pages: u32,
    /// The pages that were changed since the source began to read the file: older ones come later.
    changed: HashSet<u32>,
    /// Bytes that may not be on the disk yet.
    unsynced: usize,
    /// Whether this host asks what became of the move, also after a crash.
    pub expected: bool,
}

impl Arrival {
    /// An empty copy. An older one of the same file is of no use.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn new(begin: Begin, config: &Config) -> Result<Self, String> {
        if !(512..=65_536).contains(&begin.page_bytes) || !begin.page_bytes.is_power_of_two() {
            return Err(format!("a page cannot have {} bytes", begin.page_bytes));
        }
        let path = path(config);
        if let Some(folder) = path.parent() {
            private::folder(folder).map_err(|error| failed(folder, &error))?;
        }
        remove(&path);
        room(&path, begin.file_bytes)?;
        private::new_file(&path).map_err(|error| failed(&path, &error))?;
        let file = File::options().read(true).write(true).open(&path).map_err(|error| failed(&path, &error))?;
        let (component, changed) = (Vec::new(), HashSet::new());
        Ok(Self { begin, component, path, file, file_pages: 0, changed, unsynced: 0, expected: false })
    }

    /// Writes pages; the SHA-256 of what the copy has of them now.
    ///
    /// # Errors
    /// When the message is none, or one of an earlier move, or there is no room.
    pub fn write(&mut self, message: &[u8]) -> Result<[u8; 32], String> {
        let bytes = self.begin.page_bytes as usize;
        let ReadPages { attempt, file_pages, pages } = Pages::read(bytes, message)?;
        if attempt != self.begin.attempt {
            return Err("these are pages of an earlier move".to_owned());
        }
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
        self.unsynced += message.len();
        if self.unsynced > limits::MOVE_UNSYNCED_BYTES_MAX {
            self.sync()?;
        }
        Ok(sum.finalize().into())
    }

    /// Has the file no page behind its end, and all of it on the disk.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn sync(&mut self) -> Result<(), String> {
        let failed = |error: std::io::Error| failed(&self.path, &error);
        let length = u64::from(self.file_pages) * u64::from(self.begin.page_bytes);
        if length > 0 && self.file.metadata().map_err(failed)?.len() != length {
            self.file.set_len(length).map_err(failed)?;
        }
        // The size of the file counts as its data.
        self.file.sync_data().map_err(failed)?;
        self.unsynced = 0;
        Ok(())
    }

    /// As `sync`, and its name is on the disk, too.
    ///
    /// # Errors
    /// As `sync`.
    pub fn sync_with_name(&mut self) -> Result<(), String> {
        self.sync()?;
        let folder = self.path.parent().unwrap_or(&self.path);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(&self.path, &error))
    }

    /// Keeps room on the disk for what serving the copy writes once it is handed over, until `release`.
    ///
    /// # Errors
    /// When there is none.
    pub fn reserve(&self) -> Result<(), String> {
        reserve(&self.path)
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

/// # Errors
/// When the disk on which `path` is to be has no room for so many bytes.
pub fn room(path: &Path, bytes: u64) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    // A file system that does not say how much room it has is asked by writing.
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let needed = bytes.saturating_add(bytes / 8).saturating_add(limits::MOVE_ROOM_BYTES);
    if bytes == 0 || free >= needed {
        return Ok(());
    }
    let mb = |bytes: u64| bytes.div_ceil(1_000_000);
    Err(format!("the disk of `{}` has {} MB free, and the file needs {} MB", folder.display(), mb(free), mb(needed)))
}

/// Where the copy of the file that `config` names arrives.
pub fn path(config: &Config) -> PathBuf {
    config.path.with_extension("arriving")
}

/// As `Arrival::reserve`, for the copy at `path`.
///
/// # Errors
/// When there is none.
pub fn reserve(path: &Path) -> Result<(), String> {
    let kept = kept(path);
    let reserved = private::file(&kept).and_then(|file| {
        use rustix::fs::{FallocateFlags, fallocate};
        match fallocate(&file, FallocateFlags::empty(), 0, limits::MOVE_KEPT_BYTES) {
            // A file system that cannot do it finds out when the file is handed over.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    });
    reserved.map_err(|error| {
        release(path);
        failed(&kept, &error)
    })
}

/// Gives back what `reserve` kept.
pub fn release(path: &Path) {
    std::fs::remove_file(kept(path)).ok();
}

fn kept(path: &Path) -> PathBuf {
    path.with_extension("arriving-room")
}

/// Removes a copy, if there is one, and what is kept for it.
pub fn remove(path: &Path) {
    std::fs::remove_file(path).ok();
    release(path);
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let remedy = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => "make room on its disk",
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => "let this user write there",
        ErrorKind::NotFound => "see what has become of its folder",
        _ => "look at its disk",
    };
    format!("cannot write `{}`: {error}; {remedy}", path.display())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn begin(attempt: u64, file_bytes: u64) -> Begin {
        Begin {
            token: 2,
            attempt,
            page_bytes: 512,
            file_bytes,
            component: String::new(),
            component_bytes: 0,
            tolerated_schema: None,
            keys: Vec::new(),
        }
    }

    fn message(attempt: u64, file_pages: u32, number: u32, with: u8) -> Vec<u8> {
        let mut pages = Pages::new(attempt, file_pages);
        pages.push(number, &[with; 512]);
        pages.bytes()
    }

    #[test]
    fn a_copy_takes_the_last_image_of_each_page_and_nothing_of_an_earlier_move() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::plain(folder.path().join("a.db"), 10);
        let mut copy = Arrival::new(begin(7, 0), &config).unwrap();
        copy.write(&message(7, 2, 1, 8)).unwrap();
        // A part of the file as it was, which comes later; the sum is that of what was sent.
        let late = message(7, 0, 1, 3);
        assert_eq!(copy.write(&late).unwrap(), Pages::digest(512, &late).unwrap());
        copy.write(&message(7, 0, 3, 5)).unwrap();
        assert!(copy.write(&message(6, 2, 1, 9)).unwrap_err().contains("an earlier move"));
        copy.sync_with_name().unwrap();
        let there = std::fs::read(path(&config)).unwrap();
        assert_eq!((there.len(), there.first().copied()), (1_024, Some(8)), "the file ends after its second page");
    }

    #[test]
    fn a_file_for_which_the_disk_has_no_room_is_refused_before_it_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::plain(folder.path().join("a.db"), 10);
        let refused = Arrival::new(begin(7, u64::MAX / 2), &config).err().unwrap();
        assert!(refused.contains("MB free, and the file needs"), "{refused}");
        assert!(!path(&config).exists());
        room(&path(&config), 1_000).unwrap();
    }
}
