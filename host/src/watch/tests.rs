//! Files that are written in every way that editors, builds and accidents know; the clock is the test's.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::snapshot::Snapshot;
use super::{Config, Root, Watcher};

const QUIET: Duration = Duration::from_millis(30);

struct Desk {
    dir: tempfile::TempDir,
    snapshot: Snapshot,
    /// How far the test's clock is ahead of the system's.
    ahead: Duration,
}

impl Desk {
    /// A folder with the file `a`, watched, and long after it was written.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("src")).unwrap();
        fs::write(dir.path().join("src/a"), "one").unwrap();
        let mut snapshot = Snapshot::default();
        snapshot.watch(vec![Root::Folder(dir.path().join("src")), Root::File(dir.path().join("single"))]);
        Self { dir, snapshot, ahead: Duration::ZERO }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Lets time pass.
    fn pass(&mut self, ms: u64) {
        self.ahead += Duration::from_millis(ms);
    }

    /// What a look finds now, and whether it wants another soon.
    fn look(&mut self) -> (Vec<String>, bool) {
        let seen = self.snapshot.look(SystemTime::now() + self.ahead, QUIET);
        let name = |path: &PathBuf| path.strip_prefix(self.dir.path()).unwrap().to_string_lossy().into_owned();
        (seen.changes.paths.iter().map(name).collect(), seen.unsettled)
    }

    /// What a look finds after a while without any further write.
    fn later(&mut self) -> Vec<String> {
        self.pass(100);
        let (found, unsettled) = self.look();
        if !unsettled {
            return found;
        }
        self.pass(100);
        self.look().0
    }
}

#[test]
fn a_changed_file_is_reported_once() {
    let mut desk = Desk::new();
    assert_eq!(desk.later(), [""; 0]);
    desk.write("src/a", "two");
    assert_eq!(desk.later(), ["src/a"]);
    assert_eq!(desk.later(), [""; 0]);
}

#[test]
fn a_file_that_is_being_written_is_left_until_it_is_left_alone() {
    let mut desk = Desk::new();
    desk.write("src/a", "");
    assert_eq!(desk.look(), (vec![], true));
    desk.write("src/a", "hal");
    assert_eq!(desk.look(), (vec![], true));
    desk.write("src/a", "half and half");
    assert_eq!(desk.look(), (vec![], true));
    desk.pass(31);
    assert_eq!(desk.look(), (vec!["src/a".into()], false));
}

#[test]
fn a_file_renamed_over_another_is_a_changed_one() {
    let mut desk = Desk::new();
    desk.write("src/.a.new", "two");
    fs::rename(desk.path("src/.a.new"), desk.path("src/a")).unwrap();
    assert_eq!(desk.later(), ["src/a"]);
    // As some editors do it: the old one steps aside first, and stays as a backup.
    fs::rename(desk.path("src/a"), desk.path("src/a~")).unwrap();
    assert_eq!(desk.look(), (vec![], true), "a file that is gone for a moment is not gone");
    desk.write("src/a", "three");
    assert_eq!(desk.later(), ["src/a"]);
}

#[test]
fn the_same_contents_again_are_no_change() {
    let mut desk = Desk::new();
    desk.write("src/a", "one");
    assert_eq!(desk.later(), [""; 0]);
    desk.write("src/b", "one");
    fs::rename(desk.path("src/b"), desk.path("src/a")).unwrap();
    assert_eq!(desk.later(), [""; 0]);
    fs::File::open(desk.path("src/a")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(desk.later(), [""; 0]);
}

#[test]
fn other_contents_with_the_same_size_and_time_are_a_change() {
    let mut desk = Desk::new();
    let time = fs::metadata(desk.path("src/a")).unwrap().modified().unwrap();
    desk.later();
    desk.write("src/a", "two");
    fs::File::options().append(true).open(desk.path("src/a")).unwrap().set_modified(time).unwrap();
    assert_eq!(desk.later(), ["src/a"]);
}

#[test]
fn a_deleted_file_is_reported_and_so_is_its_return() {
    let mut desk = Desk::new();
    fs::remove_file(desk.path("src/a")).unwrap();
    assert_eq!(desk.look(), (vec![], true));
    desk.pass(31);
    assert_eq!(desk.look(), (vec!["src/a".into()], false));
    desk.write("src/a", "one");
    assert_eq!(desk.later(), ["src/a"]);
}

#[test]
fn a_file_deleted_and_written_anew_within_a_moment_is_one_change() {
    let mut desk = Desk::new();
    fs::remove_file(desk.path("src/a")).unwrap();
    desk.write("src/a", "two");
    assert_eq!(desk.later(), ["src/a"]);
}

#[test]
fn a_link_that_leads_elsewhere_is_a_change_and_so_is_what_it_leads_to() {
    let mut desk = Desk::new();
    desk.write("v1", "one");
    desk.write("v2", "two");
    symlink("v1", desk.path("single")).unwrap();
    assert_eq!(desk.later(), ["single"]);
    symlink("v2", desk.path("next")).unwrap();
    fs::rename(desk.path("next"), desk.path("single")).unwrap();
    assert_eq!(desk.later(), ["single"]);
    desk.write("v2", "three");
    assert_eq!(desk.later(), ["single"]);
    fs::remove_file(desk.path("v2")).unwrap();
    assert_eq!(desk.later(), ["single"], "a link to nothing is a file that is gone");
}

#[test]
fn new_files_and_folders_are_found_and_what_is_no_source_is_not() {
    let mut desk = Desk::new();
    fs::create_dir_all(desk.path("src/deep/er")).unwrap();
    fs::create_dir_all(desk.path("src/target/debug")).unwrap();
    for name in ["src/deep/er/b", "src/target/debug/c", "src/.d.swp", "src/e~", "src/#f#", "src/4913.tmp"] {
        desk.write(name, "x");
    }
    assert_eq!(desk.later(), ["src/deep/er/b"]);
    fs::remove_dir_all(desk.path("src/deep")).unwrap();
    assert_eq!(desk.later(), ["src/deep/er/b"]);
}

#[test]
fn what_is_watched_only_now_is_taken_as_it_is_and_the_rest_keeps_its_history() {
    let mut desk = Desk::new();
    fs::create_dir(desk.path("more")).unwrap();
    desk.write("more/b", "x");
    desk.write("src/c", "x");
    desk.snapshot.watch(vec![Root::Folder(desk.path("src")), Root::Folder(desk.path("more"))]);
    assert_eq!(desk.later(), ["src/c"]);
    desk.snapshot.watch(vec![Root::Folder(desk.path("more"))]);
    desk.write("src/a", "two");
    desk.write("more/b", "y");
    assert_eq!(desk.later(), ["more/b"]);
}

#[test]
fn folders_and_not_files_are_what_hints_come_from() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("src/deep")).unwrap();
    fs::create_dir_all(desk.path("real")).unwrap();
    desk.write("real/v1", "one");
    symlink("real/v1", desk.path("single")).unwrap();
    let folders = desk.snapshot.folders();
    let real = fs::canonicalize(desk.path("real")).unwrap();
    for folder in [desk.path("src"), desk.path("src/deep"), desk.dir.path().into(), real] {
        assert!(folders.contains(&folder), "{}: {folders:?}", folder.display());
    }
    assert_eq!(folders.len(), 4);
}

/// Runs the real watcher; with hints as good as off when `rescan` is short and `quiet` too.
fn watched(rescan_ms: u64, change: impl FnOnce(&Path)) -> Vec<PathBuf> {
    let dir = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(dir.path()).unwrap();
    fs::write(folder.join("a"), "one").unwrap();
    let config =
        Config { quiet: QUIET, patience: Duration::from_millis(200), rescan: Duration::from_millis(rescan_ms) };
    let watcher = Watcher::start(vec![Root::Folder(folder.clone())], config);
    change(&folder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let changes = runtime
        .block_on(async { tokio::time::timeout(Duration::from_secs(20), watcher.changes()).await.unwrap().paths });
    changes.into_iter().map(|path| path.strip_prefix(&folder).unwrap().to_owned()).collect()
}

#[test]
fn hints_come_long_before_the_next_rescan() {
    assert_eq!(watched(3_600_000, |folder| fs::write(folder.join("a"), "two").unwrap()), [Path::new("a")]);
    // A folder that is new is watched from the moment that it is seen.
    let deep = |folder: &Path| {
        fs::create_dir(folder.join("deep")).unwrap();
        fs::write(folder.join("deep/b"), "x").unwrap();
    };
    assert_eq!(watched(3_600_000, deep), [Path::new("deep/b")]);
}

#[test]
fn without_any_hint_the_next_rescan_finds_the_change() {
    // A file behind a link inside a folder: nobody tells of the folder that it is in.
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("file");
    fs::write(&file, "one").unwrap();
    let dir = tempfile::tempdir().unwrap();
    symlink(&file, dir.path().join("link")).unwrap();
    let config = Config { quiet: QUIET, patience: QUIET, rescan: Duration::from_millis(60) };
    let watcher = Watcher::start(vec![Root::Folder(dir.path().into())], config);
    fs::write(&file, "two").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let changes =
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), watcher.changes()).await.unwrap() });
    assert_eq!(changes.paths.into_iter().collect::<Vec<_>>(), [dir.path().join("link")]);
    assert!(changes.saved.is_some());
}
