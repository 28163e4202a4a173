//! The write-ahead log beside a file, read from its bytes before SQLite opens it: how many commits it holds, and how
//! many it has lost to damage. SQLite itself takes the valid part and says nothing of the rest.
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

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The path of the log of the file at `path`.
pub(super) fn path_of(path: &Path) -> PathBuf {
    let mut name: OsString = path.into();
    name.push("-wal");
    PathBuf::from(name)
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
        let word = |at: usize| bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
        let big_endian = word(0)? & 1 == 1;
        let page = word(8)? as usize;
        if word(0)? & !1 != 0x377f_0682 || !(512..=65_536).contains(&page) || !page.is_power_of_two() {
            return None;
        }
        let salts = (word(16)?, word(20)?);
        let mut sum = checksum(bytes.get(..HEADER - 8)?, (0, 0), big_endian);
        let mut valid = sum == (word(24)?, word(28)?);
        let (mut found, mut pending) = (Self::default(), BTreeSet::new());
        let mut at = HEADER;
        while let (Some(head), Some(content)) =
            (bytes.get(at..at + FRAME_HEADER), bytes.get(at + FRAME_HEADER..at + FRAME_HEADER + page))
        {
            let (number, commit) = (word(at)?, word(at + 4)? != 0);
            let own = (word(at + 8)?, word(at + 12)?) == salts;
            if valid {
                let next = checksum(content, checksum(head.get(..8)?, sum, big_endian), big_endian);
                valid = own && next == (word(at + 16)?, word(at + 20)?);
                sum = next;
            }
            if valid {
                pending.insert(number);
            }
            match (valid, commit && own) {
                (true, true) => {
                    found.commits += 1;
                    found.pages.append(&mut pending);
                }
                (false, true) => found.left_out += 1,
                _ => {}
            }
            at += FRAME_HEADER + page;
        }
        Some(found)
    }
}

/// SQLite's checksum of `bytes`, a multiple of eight, continued from `sum`.
fn checksum(bytes: &[u8], mut sum: (u32, u32), big_endian: bool) -> (u32, u32) {
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
