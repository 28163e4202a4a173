//! The write-ahead log beside a file, read from its bytes before SQLite opens it: how many commits it holds, and how
//! many it has lost to damage. SQLite itself takes the valid part and says nothing of the rest. Also the frames of a
//! log one by one, for those who read a log that is in use (`tails`).
//!
//! The format is SQLite's (`fileformat2.html`, section 4).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A log, as SQLite would read it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LogFile {
    /// Commits that SQLite takes from it.
    pub commits: u64,
    /// Commits after its first damaged frame, which SQLite leaves out. One may be a commit that a power cut stopped
    /// half-way, which had no answer; two are damage, since each commit is on the disk before the next begins.
    pub left_out: u64,
    /// The pages that its commits changed.
    pub pages: BTreeSet<u32>,
}

/// Bytes of a log before its first frame.
pub(super) const HEADER: usize = 32;
/// Bytes of a frame before its page.
pub(super) const FRAME_HEADER: usize = 24;

/// SQLite's checksum of all that stands in a log up to some place.
pub(super) type Sum = (u32, u32);

/// The first bytes of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    big_endian: bool,
    /// Bytes of a page.
    pub page: usize,
    /// Other ones each time that the log is written from its start.
    pub salts: (u32, u32),
    /// Of the header; the first frame continues it.
    pub sum: Sum,
    /// Whether the header is as SQLite wrote it.
    pub whole: bool,
}

/// One page in a log.
pub(super) struct Frame<'b> {
    /// The number of the page.
    pub page: u32,
    /// The pages of the file after the commit that this frame ends; 0 when it ends none.
    pub file_pages: u32,
    salts: (u32, u32),
    /// What SQLite noted as the checksum up to here.
    pub sum: Sum,
    head: &'b [u8],
    pub content: &'b [u8],
}

/// The path of the log of the file at `path`.
pub(super) fn path_of(path: &Path) -> PathBuf {
    let mut name: OsString = path.into();
    name.push("-wal");
    PathBuf::from(name)
}

impl Header {
    /// `None` when the bytes are too few, or those of no log.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let big_endian = word(bytes, 0)? & 1 == 1;
        let page = word(bytes, 8)? as usize;
        if word(bytes, 0)? & !1 != 0x377f_0682 || !(512..=65_536).contains(&page) || !page.is_power_of_two() {
            return None;
        }
        let sum = checksum(bytes.get(..HEADER - 8)?, (0, 0), big_endian);
        let whole = sum == (word(bytes, 24)?, word(bytes, 28)?);
        Some(Self { big_endian, page, salts: (word(bytes, 16)?, word(bytes, 20)?), sum, whole })
    }

    /// Bytes of a frame.
    pub fn frame(&self) -> usize {
        FRAME_HEADER + self.page
    }
}

impl<'b> Frame<'b> {
    /// The frame at the start of `bytes`; `None` when they are too few.
    pub fn parse(header: &Header, bytes: &'b [u8]) -> Option<Self> {
        let (head, content) = bytes.get(..header.frame())?.split_at_checked(FRAME_HEADER)?;
        let pair = |at| Some((word(head, at)?, word(head, at + 4)?));
        let (page, file_pages) = pair(0)?;
        Some(Self { page, file_pages, salts: pair(8)?, sum: pair(16)?, head, content })
    }

    /// Whether it was written since the log was last written from its start.
    pub fn is_of(&self, header: &Header) -> bool {
        self.salts == header.salts
    }

    /// The checksum up to the end of the frame, when that before it is `sum`.
    pub fn continues(&self, header: &Header, sum: Sum) -> Sum {
        let numbers = self.head.get(..8).unwrap_or_default();
        checksum(self.content, checksum(numbers, sum, header.big_endian), header.big_endian)
    }
}

impl LogFile {
    /// The log of the file at `path`; empty when there is none.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        match std::fs::read(path_of(path)) {
            Ok(bytes) => Ok(Self::parse(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// `None` when the bytes are too few for a log.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let header = Header::parse(bytes)?;
        let (mut sum, mut valid) = (header.sum, header.whole);
        let (mut found, mut pending) = (Self::default(), BTreeSet::new());
        let mut at = HEADER;
        while let Some(frame) = bytes.get(at..).and_then(|rest| Frame::parse(&header, rest)) {
            let (own, commit) = (frame.is_of(&header), frame.file_pages != 0);
            if valid {
                sum = frame.continues(&header, sum);
                valid = own && frame.sum == sum;
            }
            if valid {
                pending.insert(frame.page);
            }
            match (valid, commit && own) {
                (true, true) => {
                    found.commits += 1;
                    found.pages.append(&mut pending);
                }
                (false, true) => found.left_out += 1,
                _ => {}
            }
            at += header.frame();
        }
        Some(found)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes)
}

/// SQLite's checksum of `bytes`, a multiple of eight, continued from `sum`.
fn checksum(bytes: &[u8], mut sum: Sum, big_endian: bool) -> Sum {
    let word = |b: &[u8]| {
        let bytes = <[u8; 4]>::try_from(b).unwrap_or_default();
        if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    for pair in bytes.chunks_exact(8) {
        let (one, two) = pair.split_at(4);
        sum.0 = sum.0.wrapping_add(word(one)).wrapping_add(sum.1);
        sum.1 = sum.1.wrapping_add(word(two)).wrapping_add(sum.0);
    }
    sum
}
