//! Machines in a folder: scripts play the programs, empty files the libraries.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use super::super::tools::tests::script;
use super::*;

/// A machine with nothing on it.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn search(&self) -> Search {
        Search { folders: vec![self.path("bin"), self.path("other")] }
    }

    /// Installs a Rust: `folder/rustc` names the sysroot `sysroot`.
    fn rust(&self, folder: &str, sysroot: &str, version: &str) -> PathBuf {
        let root = self.path(sysroot);
        let body = format!(
            "case \"$*\" in '-vV') printf 'rustc {version}\\nbinary: rustc\\ncommit-hash: 0123456789abcdef\\nhost: x-y\\n\
             release: {version}\\n';; '--print sysroot') echo '{}';; *) exit 9;; esac",
            root.display()
        );
        script(&self.path(folder), "rustc", &body);
        script(&self.path(folder), "cargo", "exit 9");
        root
    }

    fn file(&self, path: impl AsRef<Path>) {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    fn target(&self, sysroot: &str) {
        self.file(format!("{sysroot}/lib/rustlib/{TARGET}/lib/libstd-1.rlib"));
    }

    fn sources(&self, sysroot: &str) {
        self.file(format!("{sysroot}/lib/rustlib/src/rust/library/std/Cargo.toml"));
    }

    fn plan(&self, offline: bool, look: impl FnOnce(Plan<'_>)) {
        look(Installed::find(&self.search(), self.dir.path()).plan(&self.path("cache"), offline));
    }

    fn missing(&self) -> MissingTool {
        let mut missing = None;
        self.plan(false, |plan| match plan {
            Plan::Missing(l) => missing = Some(l),
            other => panic!("{other:?}"),
        });
        missing.unwrap()
    }
}

#[test]
fn versions_are_read_as_rustc_and_debian_write_them() {
    for (text, expected) in [
        ("1.95", Some(Version(1, 95, 0))),
        ("1.95.1", Some(Version(1, 95, 1))),
        ("1.97.0-nightly", Some(Version(1, 97, 0))),
        ("", None),
        ("1", None),
        ("1.x", None),
        ("1.2.3.4", None),
    ] {
        assert_eq!(Version::parse(text), expected, "{text}");
    }
    assert!(Version(1, 100, 0) > Version(1, 99, 9));
    assert!(Version::parse(OLDEST).is_some());
}

#[test]
fn the_missing_tool_is_named() {
    let machine = Machine::new();
    assert_eq!(machine.missing(), MissingTool::Rust);
    machine.rust("bin", "old", "1.63.0");
    assert!(matches!(machine.missing(), MissingTool::OutdatedRust { found } if found.starts_with("1.63.0 at ")));
    machine.rust("other", "new", "1.99.0");
    assert_eq!(machine.missing(), MissingTool::Target);
    machine.target("new");
    assert_eq!(machine.missing(), MissingTool::Linker);
    script(&machine.path("bin"), "wasm-ld-19", "");
    machine.plan(false, |plan| assert!(matches!(plan, Plan::Ready(t) if t.linker.ends_with("wasm-ld-19"))));
}

#[test]
fn a_rust_with_the_target_is_preferred_to_the_first_on_the_path() {
    let machine = Machine::new();
    machine.rust("bin", "one", "1.99.0");
    machine.rust("other", "two", "1.98.0");
    machine.target("two");
    script(&machine.path("two/lib/rustlib/x-y/bin"), "rust-lld", "");
    machine.plan(false, |plan| {
        let Plan::Ready(toolchain) = plan else { panic!("{plan:?}") };
        assert_eq!(toolchain.rust.version, Version(1, 98, 0));
        assert_eq!(toolchain.sysroot, None);
        assert!(toolchain.linker.starts_with(machine.path("two")));
    });
}

#[test]
fn rustup_adds_the_target_unless_the_library_is_compiled_already() {
    let machine = Machine::new();
    machine.rust("bin", "toolchains/stable", "1.99.0");
    machine.sources("toolchains/stable");
    script(&machine.path("bin"), "rustup", "exit 1");
    script(&machine.path("bin"), "wasm-ld", "");
    machine.plan(false, |plan| {
        assert!(matches!(plan, Plan::AddTarget { rust, .. } if rust.rustup_name() == Some("stable")))
    });
    machine.plan(true, |plan| assert!(matches!(plan, Plan::CompileStd { .. })));
    std::fs::create_dir_all(machine.path("cache/sysroot-1.99.0-012345678")).unwrap();
    machine.plan(false, |plan| assert!(matches!(plan, Plan::Ready(t) if t.sysroot.is_some())));
}

#[test]
fn no_library_is_compiled_when_rustup_adds_the_target() {
    let machine = Machine::new();
    let root = machine.rust("bin", "toolchains/stable", "1.99.0");
    script(&machine.path("bin"), "wasm-ld", "");
    let folder = root.join("lib/rustlib").join(TARGET).join("lib");
    let add = format!(
        "[ \"$*\" = 'target add {TARGET} --toolchain stable' ] && mkdir -p {0} && touch {0}/libstd-1.rlib",
        folder.display()
    );
    script(&machine.path("bin"), "rustup", &add);
    let mut printed = Vec::new();
    let toolchain = obtain(&machine.search(), machine.dir.path(), &machine.path("cache"), &mut |line| {
        printed.push(line.to_owned())
    })
    .unwrap();
    assert!(toolchain.sysroot.is_none() && printed.len() == 1, "{printed:?}");
}

#[test]
fn without_any_toolchain_the_error_says_what_to_do() {
    let machine = Machine::new();
    machine.rust("bin", "toolchains/stable", "1.99.0");
    script(&machine.path("bin"), "rustup", "exit 1");
    let error = obtain(&machine.search(), machine.dir.path(), &machine.path("cache"), &mut |_| ()).unwrap_err();
    assert!(matches!(error, Error::Toolchain { missing: MissingTool::Target }), "{error}");
    assert!(error.hint().unwrap().contains("seam doctor --fix"));
}

#[test]
fn a_library_that_does_not_compile_leaves_no_finished_folder() {
    let machine = Machine::new();
    machine.rust("bin", "usr", "1.99.0");
    machine.sources("usr");
    script(&machine.path("bin"), "wasm-ld", "");
    let error = obtain(&machine.search(), machine.dir.path(), &machine.path("cache"), &mut |_| ()).unwrap_err();
    assert!(matches!(&error, Error::Std { command } if command.contains("-Zbuild-std")), "{error}");
    machine.plan(false, |plan| assert!(matches!(plan, Plan::CompileStd { .. })));
}
