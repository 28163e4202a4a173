//! An installed Rust: its version, and which parts for compiling to wasm come with it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::tools::{self, Search};

/// The target of contexts: without WASI, so that a context imports only what its interfaces name.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The oldest Rust that compiles this workspace.
pub const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// A release of Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl Version {
    /// Reads `1.95`, `1.95.0` or `1.97.0-nightly`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(['-', '+']).next()?.split('.').map(|n| n.parse().ok());
        let (major, minor, patch) = (numbers.next()??, numbers.next()??, numbers.next());
        if numbers.next().is_some() {
            return None;
        }
        Some(Self(major, minor, patch.unwrap_or(Some(0))?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// An installed Rust.
#[derive(Debug, Clone)]
pub struct Rust {
    pub cargo: PathBuf,
    pub rustc: PathBuf,
    pub version: Version,
    /// Distinguishes compilers of the same version, whose libraries do not mix.
    pub commit: String,
    pub sysroot: PathBuf,
    host: String,
}

impl Rust {
    /// Asks a `rustc` for its version. Prefers the programs in its sysroot to rustup's proxies, which start slower.
    pub fn probe(rustc: &Path, search: &Search, root: &Path) -> Option<Self> {
        let verbose = tools::ask(tools::command(rustc).arg("-vV").current_dir(root))?;
        let sysroot = tools::ask(tools::command(rustc).args(["--print", "sysroot"]).current_dir(root))?;
        let line = |key: &str| verbose.lines().find_map(|l| Some(l.strip_prefix(key)?.strip_prefix(": ")?.to_owned()));
        let version = Version::parse(&line("release")?)?;
        let commit: String = line("commit-hash").unwrap_or_default().chars().take(9).collect();
        let home = Search { folders: vec![Path::new(&sysroot).join("bin")] };
        let beside = Search { folders: rustc.parent().map(Into::into).into_iter().collect() };
        let cargo = home.find("cargo").or_else(|| beside.find("cargo")).or_else(|| search.find("cargo"))?;
        let rustc = home.find("rustc").unwrap_or_else(|| rustc.into());
        Some(Self { cargo, rustc, version, commit, sysroot: sysroot.into(), host: line("host")? })
    }

    /// Whether it comes with the standard library for wasm.
    pub fn has_target(&self) -> bool {
        let folder = self.sysroot.join("lib/rustlib").join(TARGET).join("lib");
        let mut files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files.any(|f| f.file_name().to_string_lossy().starts_with("libstd-"))
    }

    /// Whether the sources of its standard library are there (Debian: `rust-src`, rustup: the component `rust-src`).
    pub fn has_sources(&self) -> bool {
        self.sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file()
    }

    /// Its name in rustup, when rustup installed it.
    pub fn rustup_name(&self) -> Option<&str> {
        let within = self.sysroot.parent()?.file_name()? == "toolchains";
        within.then(|| self.sysroot.file_name()?.to_str())?
    }

    /// The linker that comes with it.
    pub fn linker(&self) -> Option<PathBuf> {
        Search { folders: vec![self.sysroot.join("lib/rustlib").join(&self.host).join("bin")] }.find("rust-lld")
    }
}
