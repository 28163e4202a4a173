//! Files of a backup that are not stored yet, on this host's disk: `LEVEL-FIRST-LAST.ltx` in a folder for each context,
//! and beside them the number of the last transaction that was given out.
//!
//! Invariants: a file under its name is complete. They are stored in the order in which they were made, but for a
//! snapshot that no delta needs, which is stored beside them. Nothing here is
//! synchronised: what a power cut loses or damages is no loss, since each start of the host begins with a snapshot.
//! Not here: how much may wait (`ship`).

use std::collections::VecDeque;
use std::fs;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use seam_store::ltx::{Header, LtxError, LtxReader, LtxWriter};
use seam_store::private;

use super::destination::{self, DELTAS, Item, SNAPSHOTS};

pub struct Spool {
    folder: PathBuf,
    waiting: VecDeque<Item>,
    /// A snapshot that is stored beside the others.
    aside: Option<Item>,
    bytes: u64,
}

const LAST: &str = "last";

impl Spool {
    /// Opens the folder, or makes it. What a crash left damaged goes, with all that came after it.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        private::folder(&folder)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let numbers = name
                .split_once('-')
                .and_then(|(level, rest)| Some((level.parse::<u8>().ok()?, destination::numbers(rest)?)));
            match numbers {
                Some((level, (first, last))) => {
                    let bytes = entry.metadata()?.len();
                    found.push(Item { level, first, last, bytes, at_ms: 0 });
                }
                None if name == LAST => {}
                None => fs::remove_file(entry.path())?,
            }
        }
        // A snapshot of the same last transaction as a delta comes after it.
        found.sort_by_key(|item| (item.last, item.level));
        let mut spool = Self { folder, waiting: VecDeque::new(), aside: None, bytes: 0 };
        let mut whole = true;
        for mut item in found {
            let path = spool.path(&item);
            match whole.then(|| look_through(&path)) {
                Some(Ok(header)) => {
                    item.at_ms = header.at_ms;
                    spool.bytes += item.bytes;
                    spool.waiting.push_back(item);
                }
                _ => {
                    whole = false;
                    fs::remove_file(&path)?;
                }
            }
        }
        Ok(spool)
    }

    /// The number of the last transaction that was given out, if one was.
    pub fn last(&self) -> Option<u64> {
        let noted = fs::read_to_string(self.folder.join(LAST)).ok().and_then(|text| text.trim().parse().ok());
        noted.max(self.waiting.back().map(|item| item.last))
    }

    pub fn note_last(&self, last: u64) -> io::Result<()> {
        let partial = self.folder.join("last.partial");
        private::write(&partial, format!("{last}\n").as_bytes())?;
        fs::rename(partial, self.folder.join(LAST))
    }

    /// A file that is not one of the spool's.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.partial"))
    }

    /// Writes a file with these pages, by rising numbers.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(
        &mut self,
        header: Header,
        pages: impl FnOnce(&mut LtxWriter<BufWriter<fs::File>>) -> Result<(), LtxError>,
    ) -> Result<Item, LtxError> {
        let item = self.write(header, pages)?;
        self.waiting.push_back(item.clone());
        Ok(item)
    }

    /// As `add`, of a snapshot that is stored beside what waits: deltas are there for the same state.
    ///
    /// # Errors
    /// As `add`.
    pub fn add_aside(
        &mut self,
        header: Header,
        pages: impl FnOnce(&mut LtxWriter<BufWriter<fs::File>>) -> Result<(), LtxError>,
    ) -> Result<Item, LtxError> {
        let item = self.write(header, pages)?;
        self.aside = Some(item.clone());
        Ok(item)
    }

    fn write(
        &mut self,
        header: Header,
        pages: impl FnOnce(&mut LtxWriter<BufWriter<fs::File>>) -> Result<(), LtxError>,
    ) -> Result<Item, LtxError> {
        let level = if header.is_snapshot() { SNAPSHOTS } else { DELTAS };
        let partial = self.scratch(&format!("{level}-{}", header.last));
        let mut writer = LtxWriter::new(BufWriter::new(private::file(&partial)?), header)?;
        pages(&mut writer)?;
        let (mut to, bytes) = writer.finish()?;
        to.flush()?;
        let item = Item { level, first: header.first, last: header.last, bytes, at_ms: header.at_ms };
        fs::rename(&partial, self.path(&item))?;
        self.bytes += bytes;
        Ok(item)
    }

    /// The snapshot that is to be stored beside what waits, and its file.
    pub fn aside(&self) -> Option<(&Item, PathBuf)> {
        self.aside.as_ref().map(|item| (item, self.path(item)))
    }

    /// It is stored.
    pub fn aside_done(&mut self) -> Option<Item> {
        let item = self.aside.take()?;
        self.remove(&item);
        Some(item)
    }

    fn remove(&mut self, item: &Item) {
        self.bytes -= item.bytes;
        fs::remove_file(self.path(item)).ok();
    }

    /// What is to be stored next, and its file.
    pub fn next(&self) -> Option<(&Item, PathBuf)> {
        self.waiting.front().map(|item| (item, self.path(item)))
    }

    /// What was made last, while it waits.
    pub fn back(&self) -> Option<&Item> {
        self.waiting.back()
    }

    /// The first one is stored.
    pub fn done(&mut self) -> Option<Item> {
        let item = self.waiting.pop_front()?;
        self.remove(&item);
        Some(item)
    }

    /// Gives up what waits.
    pub fn drop_all(&mut self) {
        self.aside_done();
        while self.done().is_some() {}
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Those of deltas. A snapshot takes what its file takes.
    pub fn delta_bytes(&self) -> u64 {
        self.waiting.iter().filter(|item| item.level == DELTAS).map(|item| item.bytes).sum()
    }

    /// When the oldest of what waits was made.
    pub fn oldest_ms(&self) -> Option<u64> {
        self.waiting.front().map(|item| item.at_ms)
    }

    fn path(&self, item: &Item) -> PathBuf {
        self.folder.join(format!("{}-{}", item.level, destination::name(item.first, item.last)))
    }
}

fn look_through(path: &Path) -> Result<Header, LtxError> {
    let mut reader = LtxReader::new(BufReader::new(fs::File::open(path)?))?;
    let mut page = Vec::new();
    while reader.next_into(&mut page)?.is_some() {}
    Ok(*reader.header())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn add(spool: &mut Spool, number: u64) -> Item {
        let header = Header { page_bytes: 512, file_pages: 2, first: number, last: number, at_ms: number };
        spool.add(header, |writer| writer.page(2, &[7; 512])).unwrap()
    }

    #[test]
    fn what_waits_is_there_after_a_restart_and_what_a_crash_damaged_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path().to_owned()).unwrap();
        let items: Vec<Item> = (5..9).map(|number| add(&mut spool, number)).collect();
        assert_eq!(spool.next().unwrap().0, &items[0]);
        assert_eq!(spool.done().unwrap().last, 5);
        spool.note_last(8).unwrap();
        fs::write(folder.path().join("half.partial"), "x").unwrap();
        let damaged = spool.path(&items[2]);
        fs::write(&damaged, &fs::read(&damaged).unwrap()[..150]).unwrap();
        let mut spool = Spool::open(folder.path().to_owned()).unwrap();
        assert_eq!((spool.next().unwrap().0, spool.last(), spool.bytes()), (&items[1], Some(8), items[1].bytes));
        spool.drop_all();
        assert_eq!((fs::read_dir(folder.path()).unwrap().count(), spool.last()), (1, Some(8)));
    }
}
