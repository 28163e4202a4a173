//! The log files: one a day, and further pieces of a day that has much to say; the oldest go when there are too many.
//!
//! A day's first piece is `seam.log.2026-01-02`, the next `seam.log.2026-01-02.000001`: sorted by name, they are sorted
//! by age. Invariant: together they have at most the bytes that they are given, whatever is logged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use time::{Date, OffsetDateTime};

use super::FILE_PREFIX;

/// Into how many pieces the bytes of all files are cut at least: so much of the log is lost at once when the oldest
/// piece goes.
const PIECES: u64 = 8;

pub(super) struct Files {
    folder: PathBuf,
    days: usize,
    bytes_max: u64,
    today: Box<dyn FnMut() -> Date + Send>,
    piece: Option<Piece>,
}

/// The file that is written to.
struct Piece {
    file: File,
    path: PathBuf,
    day: Date,
    number: u32,
    bytes: u64,
}

impl Files {
    /// Goes on with the newest piece of today.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn open(folder: &Path, days: usize, bytes_max: u64) -> io::Result<Self> {
        Self::with_clock(folder, days, bytes_max, || OffsetDateTime::now_utc().date())
    }

    fn with_clock(
        folder: &Path,
        days: usize,
        bytes_max: u64,
        mut today: impl FnMut() -> Date + Send + 'static,
    ) -> io::Result<Self> {
        let day = today();
        let first = name(day, 0);
        let number = |path: &PathBuf| {
            let rest = path.file_name()?.to_str()?.strip_prefix(&first)?;
            if rest.is_empty() { Some(0) } else { rest.strip_prefix('.')?.parse().ok() }
        };
        let newest = pieces(folder).iter().filter_map(number).max().unwrap_or(0);
        let mut files = Self { folder: folder.to_owned(), days, bytes_max, today: Box::new(today), piece: None };
        files.begin(day, newest)?;
        Ok(files)
    }

    fn begin(&mut self, day: Date, number: u32) -> io::Result<()> {
        let path = self.folder.join(name(day, number));
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let bytes = file.metadata()?.len();
        self.piece = Some(Piece { file, path, day, number, bytes });
        self.prune();
        Ok(())
    }

    /// Removes the pieces of days beyond the newest ones, and the oldest that would not leave room for a whole piece.
    /// A file that cannot be removed is tried again with the next piece.
    fn prune(&self) {
        let Some(current) = &self.piece else { return };
        let all = pieces(&self.folder);
        let day = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.get(..FILE_PREFIX.len() + ".2026-01-02".len()).unwrap_or(&name).to_owned()
        };
        let mut days: Vec<String> = all.iter().map(|path| day(path)).collect();
        days.dedup();
        let kept = &days[days.len().saturating_sub(self.days.max(1))..];
        let size = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
        let others = || all.iter().filter(|path| **path != current.path);
        let mut bytes = others().map(|path| size(path)).sum::<u64>() + self.piece_bytes().max(current.bytes);
        for path in others() {
            if kept.contains(&day(path)) && bytes <= self.bytes_max {
                continue;
            }
            let freed = size(path);
            if fs::remove_file(path).is_ok() {
                bytes = bytes.saturating_sub(freed);
            }
        }
    }

    fn piece_bytes(&self) -> u64 {
        self.bytes_max / PIECES
    }
}

impl Write for Files {
    /// Writes whole lines, all of them into one piece.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let (today, full) = ((self.today)(), self.piece_bytes());
        let bytes = lines.len() as u64;
        match &self.piece {
            Some(piece) if piece.day < today => self.begin(today, 0)?,
            Some(piece) if piece.bytes > 0 && piece.bytes + bytes > full => {
                let (day, number) = (piece.day, piece.number + 1);
                self.begin(day, number)?;
            }
            Some(_) => {}
            None => self.begin(today, 0)?,
        }
        let Some(piece) = &mut self.piece else { return Err(io::ErrorKind::NotFound.into()) };
        piece.file.write_all(lines)?;
        piece.bytes += bytes;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn name(day: Date, number: u32) -> String {
    let (year, month, day) = (day.year(), u8::from(day.month()), day.day());
    let first = format!("{FILE_PREFIX}.{year:04}-{month:02}-{day:02}");
    if number == 0 { first } else { format!("{first}.{number:06}") }
}

/// Oldest first.
pub(super) fn pieces(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let is_piece =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FILE_PREFIX));
    let mut all: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_piece).collect();
    all.sort();
    all
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

    use super::*;

    /// 2026-01-01 and the days after it.
    fn day(n: i32) -> Date {
        Date::from_ordinal_date(2026, 1).unwrap() + time::Duration::days(n.into())
    }

    fn names(folder: &Path) -> Vec<String> {
        pieces(folder).iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_day_is_a_file_for_this_user_alone_and_old_days_go() {
        let folder = tempfile::tempdir().unwrap();
        let now = Arc::new(AtomicI32::new(0));
        let clock = now.clone();
        let mut files = Files::with_clock(folder.path(), 3, 1 << 20, move || day(clock.load(Relaxed))).unwrap();
        for n in 0..5 {
            now.store(n, Relaxed);
            files.write_all(format!("day {n}\n").as_bytes()).unwrap();
            files.write_all(b"more\n").unwrap();
        }
        assert_eq!(names(folder.path()), ["seam.log.2026-01-03", "seam.log.2026-01-04", "seam.log.2026-01-05"]);
        for path in pieces(folder.path()) {
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
            assert!(fs::read_to_string(&path).unwrap().ends_with("\nmore\n"));
        }
    }

    #[test]
    fn however_much_a_day_logs_the_files_stay_within_their_bytes_and_keep_the_newest_lines() {
        let folder = tempfile::tempdir().unwrap();
        let max = 8_000;
        let mut files = Files::with_clock(folder.path(), 7, max, || day(0)).unwrap();
        for n in 0..1_000 {
            files.write_all(format!("line {n:095}\n").as_bytes()).unwrap();
            let bytes: u64 = pieces(folder.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
            assert!(bytes <= max, "{bytes} after line {n}");
        }
        let all: String = pieces(folder.path()).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        let kept: Vec<usize> = all.lines().map(|line| line[5..].parse().unwrap()).collect();
        let first = *kept.first().unwrap();
        assert_eq!(kept, (first..1_000).collect::<Vec<_>>(), "in their order, without a gap");
        assert!(kept.len() as u64 * 101 > max / 2, "{} lines are kept", kept.len());
    }

    #[test]
    fn a_start_goes_on_with_the_newest_piece_and_makes_room_for_it() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [("2025-12-31", 900), ("2026-01-01", 900), ("2026-01-01.000001", 10)] {
            fs::write(folder.path().join(format!("{FILE_PREFIX}.{name}")), vec![b'x'; bytes]).unwrap();
        }
        let mut files = Files::with_clock(folder.path(), 7, 8_000, || day(0)).unwrap();
        files.write_all(b"next\n").unwrap();
        assert!(fs::read_to_string(folder.path().join("seam.log.2026-01-01.000001")).unwrap().ends_with("xnext\n"));
        assert_eq!(names(folder.path()).len(), 3);
        drop(files);
        // An operator has lowered the bound.
        drop(Files::with_clock(folder.path(), 7, 1_200, || day(0)).unwrap());
        assert_eq!(names(folder.path()), ["seam.log.2026-01-01", "seam.log.2026-01-01.000001"]);
    }

    #[test]
    fn a_line_longer_than_a_piece_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = Files::with_clock(folder.path(), 7, 800, || day(0)).unwrap();
        files.write_all(b"short\n").unwrap();
        files.write_all(&[b'x'; 300]).unwrap();
        files.write_all(b"short\n").unwrap();
        let sizes: Vec<u64> = pieces(folder.path()).iter().map(|path| fs::metadata(path).unwrap().len()).collect();
        assert_eq!(sizes, [6, 300, 6]);
    }
}
