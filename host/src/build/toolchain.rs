//! Which Rust compiles contexts: one with a standard library for wasm, or one that can get it.
//!
//! In this order: a Rust with the target; a Rust for which an earlier build compiled the target's standard library;
//! `rustup target add`; a Rust with the library's sources, which are then compiled once (`sysroot`).
//! Not here: installing packages of the system; only `seam doctor --fix` does that.

use std::path::{Path, PathBuf};

use super::error::{Error, MissingTool};
use super::rust::{OLDEST, Rust, TARGET, Version};
use super::sysroot;
use super::tools::{self, Progress, Search};

/// A Rust that can compile contexts, with the standard library and the linker for it.
#[derive(Debug, Clone)]
pub struct Toolchain {
    pub rust: Rust,
    /// The folder of the standard library for wasm, when it is not the compiler's own.
    pub sysroot: Option<PathBuf>,
    pub linker: PathBuf,
}

/// What is installed on this machine.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Recent enough, in the order of the search path.
    pub rusts: Vec<Rust>,
    /// Older than `OLDEST`: only for messages.
    pub outdated: Vec<Rust>,
    pub rustup: Option<PathBuf>,
    /// A wasm linker outside of any Rust.
    pub linker: Option<PathBuf>,
}

/// The next step to a toolchain.
#[derive(Debug, Clone)]
pub enum Plan<'a> {
    Ready(Box<Toolchain>),
    AddTarget {
        rustup: &'a Path,
        rust: &'a Rust,
    },
    CompileStd {
        rust: &'a Rust,
        linker: PathBuf,
    },
    /// Packages of the system have to be installed.
    Missing(MissingTool),
}

impl Installed {
    /// Asks every Rust on the search path. `root` is the folder that cargo runs in: rustup lets a folder choose its
    /// toolchain.
    pub fn find(search: &Search, root: &Path) -> Self {
        let compilers = search.all("rustc").collect::<Vec<_>>();
        let mut rusts: Vec<Rust> = Vec::new();
        for rust in compilers.iter().filter_map(|rustc| Rust::probe(rustc, search, root)) {
            if rusts.iter().all(|r| r.sysroot != rust.sysroot) {
                rusts.push(rust);
            }
        }
        let oldest = Version::parse(OLDEST).unwrap_or(Version(1, 0, 0));
        let (rusts, outdated) = rusts.into_iter().partition(|r: &Rust| r.version >= oldest);
        let linker = ["wasm-ld", "rust-lld"].iter().find_map(|n| search.find(n)).or_else(|| search.newest("wasm-ld-"));
        Self { rusts, outdated, rustup: search.find("rustup"), linker }
    }

    pub fn linker_for(&self, rust: &Rust) -> Option<PathBuf> {
        let any_rust = || self.rusts.iter().find_map(Rust::linker);
        rust.linker().or_else(|| self.linker.clone()).or_else(any_rust)
    }

    fn with(&self, rust: &Rust, sysroot: Option<PathBuf>) -> Option<Plan<'_>> {
        let linker = self.linker_for(rust)?;
        Some(Plan::Ready(Box::new(Toolchain { rust: rust.clone(), sysroot, linker })))
    }

    /// The next step; `cache` is the folder of compiled standard libraries. `offline` leaves `rustup` out.
    pub fn plan(&self, cache: &Path, offline: bool) -> Plan<'_> {
        let shipped = self.rusts.iter().filter(|r| r.has_target()).find_map(|r| self.with(r, None));
        let compiled = || self.rusts.iter().find_map(|r| self.with(r, Some(sysroot::present(cache, r)?)));
        let add = || {
            let rustup = self.rustup.as_deref().filter(|_| !offline)?;
            let rust = self.rusts.iter().find(|r| r.rustup_name().is_some() && !r.has_target())?;
            Some(Plan::AddTarget { rustup, rust })
        };
        let compile = || {
            let rust = self.rusts.iter().find(|r| r.has_sources())?;
            Some(Plan::CompileStd { rust, linker: self.linker_for(rust)? })
        };
        shipped.or_else(compiled).or_else(add).or_else(compile).unwrap_or_else(|| Plan::Missing(self.missing()))
    }

    fn missing(&self) -> MissingTool {
        let with_std = |r: &&Rust| r.has_target() || r.has_sources();
        match (self.rusts.is_empty(), self.outdated.first()) {
            (true, Some(old)) => {
                MissingTool::OutdatedRust { found: format!("{} at {}", old.version, old.rustc.display()) }
            }
            (true, None) => MissingTool::Rust,
            (false, _) if self.rusts.iter().any(|r| with_std(&r)) => MissingTool::Linker,
            (false, _) => MissingTool::Target,
        }
    }
}

/// Finds a toolchain, or completes one: adds the target by rustup, or compiles the standard library.
pub fn obtain(search: &Search, root: &Path, cache: &Path, progress: Progress<'_>) -> Result<Toolchain, Error> {
    let mut installed = Installed::find(search, root);
    let mut offline = false;
    loop {
        match installed.plan(cache, offline) {
            Plan::Ready(toolchain) => return Ok(*toolchain),
            Plan::AddTarget { rustup, rust } => {
                let mut command = tools::command(rustup);
                command.args(["target", "add", TARGET, "--toolchain", rust.rustup_name().unwrap_or("stable")]);
                progress(&format!("adding the wasm target to Rust {}: {}", rust.version, tools::shown(&command)));
                // One try; the search below shows whether it worked.
                offline = true;
                if !command.status().is_ok_and(|s| s.success()) {
                    progress("rustup could not add it; trying another way");
                }
                installed = Installed::find(search, root);
            }
            Plan::CompileStd { rust, linker } => {
                let sysroot = sysroot::compile(cache, rust, progress)?;
                return Ok(Toolchain { rust: rust.clone(), sysroot: Some(sysroot), linker });
            }
            Plan::Missing(missing) => return Err(Error::Toolchain { missing }),
        }
    }
}

#[cfg(test)]
#[path = "toolchain_tests.rs"]
mod tests;
