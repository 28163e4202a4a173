//! A copy of a file that is in use, put together page by page for a snapshot.
//!
//! A page that came with changes is newer than the one in the file itself, so it is not read there any more. Once all
//! pages are there and the changes have caught up, the copy is one committed state.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use seam_store::ltx::{LtxError, LtxWriter};
use seam_store::{Changes, FollowError, Follower, private};

use crate::limits;

pub(super) struct Image {
    path: PathBuf,
    file: fs::File,
    page_bytes: u32,
    base_pages: u32,
    /// The next page of the file itself that is read.
    next: u32,
    /// Pages beyond it that came with changes.
    changed: HashSet<u32>,
    file_pages: u32,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ImageError {
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error("cannot write the copy for a snapshot")]
    Write(#[from] io::Error),
}

impl Image {
    /// Begins one at `path`, if the disk has room for it and for the snapshot that is made of it.
    pub fn new(path: PathBuf, follower: &Follower) -> io::Result<Self> {
        let needs = 2 * u64::from(follower.base_pages()) * u64::from(follower.page_bytes());
        let disk = rustix::fs::statvfs(path.parent().unwrap_or(&path))?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < needs + limits::BACKUP_ROOM_BYTES_MIN {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk has no room for a snapshot"));
        }
        let file = private::file(&path)?;
        let base_pages = follower.base_pages();
        let page_bytes = follower.page_bytes();
        Ok(Self { path, file, page_bytes, base_pages, next: 1, changed: HashSet::new(), file_pages: base_pages })
    }

    /// Reads some `most` pages of the file itself. Whether there are more.
    pub fn read_base(&mut self, follower: &mut Follower, most: u32) -> Result<bool, ImageError> {
        let until = self.next.saturating_add(most).min(self.base_pages.saturating_add(1));
        let mut bytes = Vec::new();
        while self.next < until {
            bytes.clear();
            let read = follower.read_base(self.next, until - self.next, &mut bytes)?;
            for (number, page) in (self.next..).zip(bytes.chunks_exact(self.page_bytes as usize)) {
                if !self.changed.remove(&number) {
                    self.file.write_all_at(page, self.place(number))?;
                }
            }
            self.next += read.max(1);
        }
        Ok(self.next <= self.base_pages)
    }

    pub fn apply(&mut self, changes: &Changes) -> io::Result<()> {
        for (number, page) in &changes.pages {
            self.file.write_all_at(page, self.place(*number))?;
            if *number >= self.next {
                self.changed.insert(*number);
            }
        }
        self.file_pages = changes.file_pages;
        Ok(())
    }

    pub fn file_pages(&self) -> u32 {
        self.file_pages
    }

    /// Writes all pages.
    pub fn write(&self, to: &mut LtxWriter<impl io::Write>) -> Result<(), LtxError> {
        self.file.set_len(u64::from(self.file_pages) * u64::from(self.page_bytes))?;
        let mut from = BufReader::with_capacity(1 << 20, fs::File::open(&self.path)?);
        let mut page = vec![0; self.page_bytes as usize];
        for number in 1..=self.file_pages {
            from.read_exact(&mut page)?;
            to.page(number, &page)?;
        }
        Ok(())
    }

    fn place(&self, number: u32) -> u64 {
        u64::from(number.saturating_sub(1)) * u64::from(self.page_bytes)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}
