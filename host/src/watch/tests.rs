//! Files that are written as editors, builds and accidents write them; tests set the clock.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::snapshot::Snapshot;
use super::{Config, Root, Watcher};

const QUIET: Duration = Duration::from_millis(30);

struct Project {
    dir: tempfile::TempDir,
    snapshot: Snapshot,
    /// How far the test's clock is ahead of the system's.
    ahead: Duration,
}

impl Project {
    /// A folder with the file `a`, watched, and long after it was written.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("src")).unwrap();
        fs::write(dir.path().join("src/a"), "one").unwrap();
        let mut snapshot = Snapshot::default();
        snapshot.set_roots(vec![Root::Folder(dir.path().join("src")), Root::File(dir.path().join("single"))]);
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

    /// The changes that a scan finds now, and whether another should follow soon.
    fn scan(&mut self) -> (Vec<String>, bool) {
        let scan = self.snapshot.scan(SystemTime::now() + self.ahead, QUIET);
        let name = |path: &PathBuf| path.strip_prefix(self.dir.path()).unwrap().to_string_lossy().into_owned();
        (scan.changes.paths.iter().map(name).collect(), scan.unsettled)
    }

    /// The changes that scans find after a while without a further write.
    fn later(&mut self) -> Vec<String> {
        self.pass(100);
        let (found, unsettled) = self.scan();
        if !unsettled {
            return found;
        }
        self.pass(100);
        self.scan().0
    }
}

#[test]
fn the_data_folder_of_a_host_is_left_alone_among_the_sources() {
    let mut project = Project::new();
    fs::create_dir_all(project.path("src/run/stores")).unwrap();
    for name in ["src/run/host.db", "src/run/stores/a.db", "src/b"] {
        project.write(name, "x");
    }
    assert_eq!(project.later(), ["src/b"]);
}

#[test]
fn a_changed_file_is_reported_once() {
    let mut project = Project::new();
    assert_eq!(project.later(), [""; 0]);
    project.write("src/a", "two");
    assert_eq!(project.later(), ["src/a"]);
    assert_eq!(project.later(), [""; 0]);
}

#[test]
fn a_file_that_is_being_written_is_not_reported_yet() {
    let mut project = Project::new();
    project.write("src/a", "");
    assert_eq!(project.scan(), (vec![], true));
    project.write("src/a", "hal");
    assert_eq!(project.scan(), (vec![], true));
    project.write("src/a", "half and half");
    assert_eq!(project.scan(), (vec![], true));
    project.pass(31);
    assert_eq!(project.scan(), (vec!["src/a".into()], false));
}

#[test]
fn a_file_renamed_over_another_is_a_changed_one() {
    let mut project = Project::new();
    project.write("src/.a.new", "two");
    fs::rename(project.path("src/.a.new"), project.path("src/a")).unwrap();
    assert_eq!(project.later(), ["src/a"]);
    // As some editors do it: the old one steps aside first, and stays as a backup.
    fs::rename(project.path("src/a"), project.path("src/a~")).unwrap();
    assert_eq!(project.scan(), (vec![], true), "a file that is gone for a moment is not gone");
    project.write("src/a", "three");
    assert_eq!(project.later(), ["src/a"]);
}

#[test]
fn the_same_contents_again_are_no_change() {
    let mut project = Project::new();
    project.write("src/a", "one");
    assert_eq!(project.later(), [""; 0]);
    project.write("src/b", "one");
    fs::rename(project.path("src/b"), project.path("src/a")).unwrap();
    assert_eq!(project.later(), [""; 0]);
    fs::File::open(project.path("src/a")).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(project.later(), [""; 0]);
}

#[test]
fn other_contents_with_the_same_size_and_time_are_a_change() {
    let mut project = Project::new();
    let time = fs::metadata(project.path("src/a")).unwrap().modified().unwrap();
    project.later();
    project.write("src/a", "two");
    fs::File::options().append(true).open(project.path("src/a")).unwrap().set_modified(time).unwrap();
    assert_eq!(project.later(), ["src/a"]);
}

#[test]
fn a_deleted_file_is_reported_and_reported_again_when_it_returns() {
    let mut project = Project::new();
    fs::remove_file(project.path("src/a")).unwrap();
    assert_eq!(project.scan(), (vec![], true));
    project.pass(31);
    assert_eq!(project.scan(), (vec!["src/a".into()], false));
    project.write("src/a", "one");
    assert_eq!(project.later(), ["src/a"]);
}

#[test]
fn a_file_deleted_and_rewritten_within_a_moment_is_one_change() {
    let mut project = Project::new();
    fs::remove_file(project.path("src/a")).unwrap();
    project.write("src/a", "two");
    assert_eq!(project.later(), ["src/a"]);
}

#[test]
fn a_link_that_leads_elsewhere_is_a_change_and_so_is_what_it_leads_to() {
    let mut project = Project::new();
    project.write("v1", "one");
    project.write("v2", "two");
    symlink("v1", project.path("single")).unwrap();
    assert_eq!(project.later(), ["single"]);
    symlink("v2", project.path("next")).unwrap();
    fs::rename(project.path("next"), project.path("single")).unwrap();
    assert_eq!(project.later(), ["single"]);
    project.write("v2", "three");
    assert_eq!(project.later(), ["single"]);
    fs::remove_file(project.path("v2")).unwrap();
    assert_eq!(project.later(), ["single"], "a link to nothing is a file that is gone");
}

#[test]
fn new_files_and_folders_are_reported_unless_they_are_no_sources() {
    let mut project = Project::new();
    fs::create_dir_all(project.path("src/deep/er")).unwrap();
    fs::create_dir_all(project.path("src/target/debug")).unwrap();
    for name in ["src/deep/er/b", "src/target/debug/c", "src/.d.swp", "src/e~", "src/#f#", "src/4913.tmp"] {
        project.write(name, "x");
    }
    assert_eq!(project.later(), ["src/deep/er/b"]);
    fs::remove_dir_all(project.path("src/deep")).unwrap();
    assert_eq!(project.later(), ["src/deep/er/b"]);
}

#[test]
fn new_roots_start_as_they_are_and_the_others_keep_their_history() {
    let mut project = Project::new();
    fs::create_dir(project.path("more")).unwrap();
    project.write("more/b", "x");
    project.write("src/c", "x");
    project.snapshot.set_roots(vec![Root::Folder(project.path("src")), Root::Folder(project.path("more"))]);
    assert_eq!(project.later(), ["src/c"]);
    project.snapshot.set_roots(vec![Root::Folder(project.path("more"))]);
    project.write("src/a", "two");
    project.write("more/b", "y");
    assert_eq!(project.later(), ["more/b"]);
}

#[test]
fn hints_come_from_folders() {
    let project = Project::new();
    fs::create_dir_all(project.path("src/deep")).unwrap();
    fs::create_dir_all(project.path("real")).unwrap();
    project.write("real/v1", "one");
    symlink("real/v1", project.path("single")).unwrap();
    let folders = project.snapshot.folders();
    let real = fs::canonicalize(project.path("real")).unwrap();
    for folder in [project.path("src"), project.path("src/deep"), project.dir.path().into(), real] {
        assert!(folders.contains(&folder), "{}: {folders:?}", folder.display());
    }
    assert_eq!(folders.len(), 4);
}

/// The paths that the real watcher reports after `change`.
fn watched(rescan_ms: u64, change: impl FnOnce(&Path)) -> Vec<PathBuf> {
    let dir = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(dir.path()).unwrap();
    fs::write(folder.join("a"), "one").unwrap();
    let config =
        Config { quiet: QUIET, max_delay: Duration::from_millis(200), rescan: Duration::from_millis(rescan_ms) };
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
    // A new folder is watched as soon as a scan finds it.
    let deep = |folder: &Path| {
        fs::create_dir(folder.join("deep")).unwrap();
        fs::write(folder.join("deep/b"), "x").unwrap();
    };
    assert_eq!(watched(3_600_000, deep), [Path::new("deep/b")]);
}

#[test]
fn without_any_hint_the_next_rescan_finds_the_change() {
    // A link to a file in a folder that is not watched.
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("file");
    fs::write(&file, "one").unwrap();
    let dir = tempfile::tempdir().unwrap();
    symlink(&file, dir.path().join("link")).unwrap();
    let config = Config { quiet: QUIET, max_delay: QUIET, rescan: Duration::from_millis(60) };
    let watcher = Watcher::start(vec![Root::Folder(dir.path().into())], config);
    fs::write(&file, "two").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let changes =
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), watcher.changes()).await.unwrap() });
    assert_eq!(changes.paths.into_iter().collect::<Vec<_>>(), [dir.path().join("link")]);
    assert!(changes.saved.is_some());
}
