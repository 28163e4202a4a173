//! When a component is stale.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

const DEFINITION: &str = "cargo shop";

/// A crate with a component built from it.
fn built() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("shop/src/lib.rs", "one"),
        ("shop/tests/t.rs", "t"),
        ("shop/migrations/1.sql", "create"),
        ("Cargo.lock", "lock"),
    ] {
        put(dir.path(), path, text);
    }
    let component = dir.path().join("out/shop.wasm");
    put(dir.path(), "out/shop.wasm", "component");
    Record::take(DEFINITION, sources(), dir.path()).unwrap().finish(&component, dir.path()).unwrap();
    (dir, component)
}

fn sources() -> Sources {
    Sources { folders: vec![Folder { path: "shop".into(), package: true }], files: vec!["Cargo.lock".into()] }
}

fn put(base: &Path, path: &str, text: &str) {
    let path = base.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The reason for a build after `change`; empty when there is none.
#[track_caller]
fn after(change: impl FnOnce(&Path), expected: &str) {
    let (dir, component) = built();
    change(dir.path());
    let reason = match check(&component, dir.path(), DEFINITION) {
        Freshness::Fresh => String::new(),
        Freshness::Stale(why) | Freshness::Unknown(why) => why,
    };
    assert_eq!(reason, expected);
}

#[test]
fn only_a_change_of_content_makes_a_component_stale() {
    after(|_| (), "");
    after(|base| put(base, "shop/src/lib.rs", "one"), "");
    after(|base| put(base, "shop/tests/t.rs", "not part of it"), "");
    after(|base| put(base, "shop/.swp", "an editor's"), "");
    after(|base| put(base, "shop/target/x", "a build's"), "");
    after(|base| put(base, "shop/src/lib.rs", "two"), "shop/src/lib.rs changed");
    after(|base| put(base, "shop/src/lib.rs", "longer"), "shop/src/lib.rs changed");
    after(|base| put(base, "Cargo.lock", "other"), "Cargo.lock changed");
    after(|base| put(base, "shop/migrations/2.sql", "alter"), "shop/migrations/2.sql is new");
    after(|base| fs::remove_file(base.join("shop/migrations/1.sql")).unwrap(), "shop/migrations/1.sql was removed");
    after(|base| put(base, "out/shop.wasm", "replaced"), "another program changed the component");
    after(|base| fs::remove_file(base.join("out/shop.wasm")).unwrap(), "it is not built yet");
    after(|base| put(base, "out/shop.wasm.built", "{"), "there is no record of its sources");
}

#[test]
fn a_changed_definition_makes_a_component_stale() {
    let (dir, component) = built();
    let stale = check(&component, dir.path(), "cargo store");
    assert_eq!(stale, Freshness::Unknown("its `build` in the manifest changed".into()));
}

#[test]
fn a_touched_file_is_hashed_once() {
    let (dir, component) = built();
    let before = fs::read(path_beside(&component)).unwrap();
    let file = fs::File::options().append(true).open(dir.path().join("shop/src/lib.rs")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(check(&component, dir.path(), DEFINITION), Freshness::Fresh);
    assert_ne!(fs::read(path_beside(&component)).unwrap(), before);
}

#[test]
fn a_source_with_the_old_size_and_time_is_stale_when_its_content_changed() {
    let rewrite = |path: &Path, text: &str| {
        let time = fs::metadata(path).unwrap().modified().unwrap();
        fs::write(path, text).unwrap();
        fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
    };
    after(|base| rewrite(&base.join("shop/src/lib.rs"), "two"), "shop/src/lib.rs changed");
    after(|base| rewrite(&base.join("out/shop.wasm"), "pomponent"), "another program changed the component");
    after(|base| rewrite(&base.join("shop/src/lib.rs"), "one"), "");
}

#[test]
fn a_component_stays_fresh_when_its_folder_moves() {
    let (dir, _) = built();
    let other = dir.path().join("elsewhere");
    fs::create_dir(&other).unwrap();
    for name in ["shop", "out", "Cargo.lock"] {
        fs::rename(dir.path().join(name), other.join(name)).unwrap();
    }
    assert_eq!(check(&other.join("out/shop.wasm"), &other, DEFINITION), Freshness::Fresh);
}

#[test]
fn a_copy_of_the_folder_has_sources_of_its_own() {
    let (dir, _) = built();
    // The sources lie beside the manifest's folder, as in a workspace with several systems.
    let base = fs::canonicalize(dir.path()).unwrap();
    let (first, second) = (base.join("first"), base.join("second"));
    put(&first, "shared/a.txt", "one");
    put(&first, "system/out.wasm", "component");
    let sources = Sources {
        folders: vec![Folder { path: relative(&first.join("shared"), &first.join("system")), package: false }],
        files: Vec::new(),
    };
    assert_eq!(sources.folders[0].path, Path::new("../shared"));
    let record = Record::take(DEFINITION, sources, &first.join("system")).unwrap();
    record.finish(&first.join("system/out.wasm"), &first.join("system")).unwrap();
    for path in ["shared/a.txt", "system/out.wasm", "system/out.wasm.built"] {
        put(&second, path, &fs::read_to_string(first.join(path)).unwrap());
    }
    let check = || check(&second.join("system/out.wasm"), &second.join("system"), DEFINITION);
    assert_eq!(check(), Freshness::Fresh);
    put(&second, "shared/a.txt", "two");
    assert_eq!(check(), Freshness::Stale("../shared/a.txt changed".into()));
}

#[test]
fn a_record_with_absolute_folders_is_of_no_use() {
    let (dir, component) = built();
    let folders = vec![Folder { path: dir.path().join("shop"), package: true }];
    let record = Record::take(DEFINITION, Sources { folders, files: Vec::new() }, dir.path()).unwrap();
    record.finish(&component, dir.path()).unwrap();
    let why = "this version of seam builds differently".to_owned();
    assert_eq!(check(&component, dir.path(), DEFINITION), Freshness::Stale(why));
}

#[test]
fn files_that_the_compiler_reads_count_after_the_first_build() {
    let (dir, component) = built();
    let base = &fs::canonicalize(dir.path()).unwrap();
    put(base, "shared/genres.txt", "jazz");
    let build = |start: SystemTime| {
        let mut record = Record::take(DEFINITION, sources(), base).unwrap();
        record.add([base.join("shared/genres.txt"), base.join("shop/src/lib.rs")], base, start);
        record.finish(&component, base).unwrap()
    };
    // It was written after the build began: the compiler may have read what was there before.
    let own = build(SystemTime::UNIX_EPOCH);
    assert_eq!((own.files, own.rests), (vec!["shared/genres.txt".into()], false));
    let why = "shared/genres.txt changed during the last build".to_owned();
    assert_eq!(check(&component, base, DEFINITION), Freshness::Stale(why));
    build(SystemTime::now() + std::time::Duration::from_secs(60));
    assert_eq!(check(&component, dir.path(), DEFINITION), Freshness::Fresh);
    put(dir.path(), "shared/genres.txt", "rock");
    assert_eq!(check(&component, dir.path(), DEFINITION), Freshness::Stale("shared/genres.txt changed".into()));
}
