//! Whole builds: commands with a shell, and a crate with the machine's own toolchain.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;

use super::super::toolchain::{Installed, Plan};
use super::super::tools::Search;
use super::*;

/// A shell command that writes the smallest component there is to `out.wasm`.
const WRITE_EMPTY: &str = r"printf '\0asm\015\0\001\0' > out.wasm";

fn job(base: &Path, build: Option<Build>) -> Job {
    Job { name: ContextName::new("shop").unwrap(), component: base.join("out.wasm"), build }
}

fn by_command(command: &str) -> Option<Build> {
    Some(Build::Command { command: command.into(), sources: vec!["src".into()] })
}

fn build_one(base: &Path, build: Option<Build>) -> BuildStatus {
    let summary = run_jobs(&[job(base, build)], base, &Options::default(), &mut |_| ());
    summary.contexts.into_iter().next().unwrap().1
}

#[track_caller]
fn failure(base: &Path, build: Option<Build>) -> String {
    match build_one(base, build) {
        BuildStatus::Failed(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_builds_when_its_sources_changed_and_only_then() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    fs::create_dir(base.join("src")).unwrap();
    fs::write(base.join("src/a.js"), "1").unwrap();
    let command = format!("echo x >> log; {WRITE_EMPTY}");
    let build = || build_one(base, by_command(&command));
    assert!(matches!(build(), BuildStatus::Built { changed: true, bytes: 8, .. }));
    assert!(matches!(build(), BuildStatus::UpToDate));
    fs::write(base.join("src/a.js"), "2").unwrap();
    match build() {
        BuildStatus::Built { why, changed: false, .. } => assert_eq!(why, "src/a.js changed"),
        other => panic!("{other:?}"),
    }
    assert_eq!(fs::read_to_string(base.join("log")).unwrap(), "x\nx\n");
}

#[test]
fn a_command_that_writes_its_sources_is_named_once_and_rests_until_something_else_changes() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    fs::create_dir(base.join("src")).unwrap();
    fs::write(base.join("src/a.js"), "1").unwrap();
    // The component and its record lie among the sources, too.
    let command = format!("echo x >> log; cp log src/log.js; {WRITE_EMPTY}; cp out.wasm src/out.wasm");
    let job = Job { component: base.join("src/out.wasm"), ..job(base, by_command(&command)) };
    let build = || match run_jobs(std::slice::from_ref(&job), base, &Options::default(), &mut |_| ())
        .contexts
        .remove(0)
        .1
    {
        BuildStatus::Built { why, own_changes: own, .. } => {
            assert!(own.text("shop").0.contains(&command) && own.text("shop").0.contains("`src/log.js`"), "{own:?}");
            (why, own.rests, own.noticed)
        }
        BuildStatus::UpToDate => ("up to date".to_owned(), true, false),
        other => panic!("{other:?}"),
    };
    let own = "src/log.js changed during the last build".to_owned();
    let up_to_date = ("up to date".to_owned(), true, false);
    assert_eq!(build(), ("it is not built yet".to_owned(), false, false));
    assert_eq!([build(), build()], [(own.clone(), false, false), (own, true, true)]);
    assert_eq!([build(), build()], [up_to_date.clone(), up_to_date.clone()]);
    for (file, why) in [("src/a.js", "src/a.js changed"), ("src/log.js", "src/log.js changed")] {
        fs::write(base.join(file), "an edit").unwrap();
        assert_eq!([build(), build()], [(why.to_owned(), true, false), up_to_date.clone()]);
    }
}

#[test]
fn a_context_is_up_to_date_by_whatever_path_its_manifest_is_named_and_a_copy_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| dir.path().join(name);
    let put = |path: &str, text: &str| {
        fs::create_dir_all(folder(path).parent().unwrap()).unwrap();
        fs::write(folder(path), text).unwrap();
    };
    let manifest = format!(
        "[context.a]\ncomponent = \"out.wasm\"\nbuild = {{ command = '''{WRITE_EMPTY}''', sources = [\"src\"] }}\n"
    );
    put("first/seam.toml", &manifest);
    put("first/src/a.js", "1");
    std::os::unix::fs::symlink(folder("first"), folder("link")).unwrap();
    let build = |path: &str| {
        let manifest = Manifest::load(&folder(path)).unwrap();
        match run(&manifest, &[], &Options::default(), &mut |_| ()).unwrap().contexts.remove(0).1 {
            BuildStatus::Built { why, .. } => why,
            BuildStatus::UpToDate => "up to date".into(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(build("first/seam.toml"), "it is not built yet");
    assert_eq!(["first/seam.toml", "link/seam.toml", "first/src/../seam.toml"].map(build), ["up to date"; 3]);
    for path in ["seam.toml", "src/a.js", "out.wasm", "out.wasm.built"] {
        fs::create_dir_all(folder("copy/src")).unwrap();
        fs::copy(folder("first").join(path), folder("copy").join(path)).unwrap();
    }
    assert_eq!(build("copy/seam.toml"), "up to date");
    put("copy/src/a.js", "2");
    assert_eq!(["copy/seam.toml", "first/seam.toml"].map(build), ["src/a.js changed", "up to date"]);
}

#[test]
fn a_command_without_sources_runs_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let build = || build_one(dir.path(), Some(Build::Command { command: WRITE_EMPTY.into(), sources: Vec::new() }));
    assert!(matches!((build(), build()), (BuildStatus::Built { .. }, BuildStatus::Built { .. })));
}

#[test]
fn every_way_a_build_command_fails_has_its_error() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    assert!(failure(base, None).contains("does not say how to build it"));
    assert!(failure(base, by_command("exit 7")).contains("exit status: 7"));
    assert!(failure(base, by_command("true")).contains("did not write"));
    assert!(failure(base, by_command("echo hello > out.wasm")).contains("is not a component: its first bytes"));
    let module = r"printf '\0asm\001\0\0\0' > out.wasm";
    assert!(failure(base, by_command(module)).contains("is not a component"));
    let broken = r"printf '\0asm\015\0\001\0\377' > out.wasm";
    assert!(failure(base, by_command(broken)).contains("is not a component"));
}

#[test]
fn the_other_contexts_are_built_after_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path();
    let mut bad = job(base, by_command("exit 1"));
    bad.component = base.join("bad.wasm");
    let summary = run_jobs(&[bad, job(base, by_command(WRITE_EMPTY))], base, &Options::default(), &mut |_| ());
    assert_eq!(summary.failures().count(), 1);
    assert!(matches!(summary.contexts[1].1, BuildStatus::Built { .. }));
}

/// Builds a crate as a plugin is built. It needs no network: the crate has no dependencies, its interface is embedded
/// by hand.
#[test]
fn a_crate_becomes_a_component_and_stays_fresh() {
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/wasm");
    if !matches!(
        Installed::find(&Search::from_env(), &base).plan(&cache, true),
        Plan::Ready(ready) if ready.sysroot.is_none()
    ) {
        // Compiling the library here would take minutes.
        eprintln!("skipped: no installed Rust has the wasm target");
        return;
    }
    let put = |path: &str, text: &str| {
        let path = base.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let member = "[package]\nname = \"NAME\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    put("Cargo.toml", "[workspace]\nresolver = \"3\"\nmembers = [\"shop\", \"sdk\", \"plain\"]\n");
    put(
        "shop/Cargo.toml",
        &format!(
            "{}[lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nsdk = {{ path = \"../sdk\" }}\n",
            member.replace("NAME", "shop")
        ),
    );
    put(
        "shop/src/lib.rs",
        "#[unsafe(no_mangle)] pub extern \"C\" fn run() { assert!(sdk::two() == include_str!(\"../../shared.txt\").len()); }",
    );
    put("shared.txt", "ab");
    put("sdk/Cargo.toml", &member.replace("NAME", "sdk"));
    put("sdk/src/lib.rs", "pub fn two() -> usize { 2 }");
    put("plain/Cargo.toml", &member.replace("NAME", "plain"));
    put("plain/src/lib.rs", "");
    let build = |package: &str| build_one(&base, Some(Build::Cargo { package: package.into() }));

    // The module has no interface embedded, so it becomes the component without imports or exports.
    assert!(matches!(build("shop"), BuildStatus::Built { changed: true, .. }));
    assert!(wasmparser::Parser::is_component(&fs::read(base.join("out.wasm")).unwrap()));
    assert!(matches!(build("shop"), BuildStatus::UpToDate));

    let why = |outcome| match outcome {
        BuildStatus::Built { why, .. } => why,
        other => panic!("{other:?}"),
    };
    put("sdk/src/lib.rs", "pub fn two() -> usize { 1 + 1 }");
    assert_eq!(why(build("shop")), "sdk/src/lib.rs changed");
    put("plain/src/lib.rs", "pub fn unrelated() {}");
    assert!(matches!(build("shop"), BuildStatus::UpToDate));
    put("shared.txt", "cd");
    assert_eq!(why(build("shop")), "shared.txt changed");

    let before = fs::read(base.join("out.wasm")).unwrap();
    put("shop/src/lib.rs", "this is not Rust");
    assert!(
        failure(&base, Some(Build::Cargo { package: "shop".into() })).starts_with("package `shop` does not compile")
    );
    assert_eq!(fs::read(base.join("out.wasm")).unwrap(), before, "a failed build leaves the last component");
    assert!(failure(&base, Some(Build::Cargo { package: "shpo".into() })).contains("has no package `shpo`"));
    assert!(failure(&base, Some(Build::Cargo { package: "plain".into() })).contains("does not build a wasm module"));
}

#[test]
fn a_module_whose_interface_is_broken_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let module = dir.path().join("m.wasm");
    // `(module (import "env" "f" (func)))`: an import that no interface describes.
    fs::write(&module, b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09\x01\x03env\x01f\0\0").unwrap();
    let error = cargo::component(&module, true).unwrap_err();
    assert!(matches!(&error, Error::Encode { .. }) && error.hint().is_some(), "{error}");
}
