//! Which Rust compiles plugins: one that has a standard library for wasm, or the way to such a one.
//!
//! In this order: a Rust that ships the target; a Rust for which we have compiled the target's standard library before;
//! `rustup target add`; a Rust with the library's sources, which we then compile once (`sysroot`).
//! Not here: installing packages of the system, which only `doctor` does, and only when asked.

use std::path::{Path, PathBuf};

use super::error::{Error, Lack};
use super::rust::{OLDEST, Rust, TARGET, Version};
use super::sysroot;
use super::tools::{self, Say, Search};

/// A Rust that can compile plugins, with what it needs besides itself.
#[derive(Debug, Clone)]
pub struct Toolchain {
    pub rust: Rust,
    /// Where the standard library for wasm is, when not in the compiler's own place.
    pub sysroot: Option<PathBuf>,
    pub linker: PathBuf,
}

/// What the machine has and what that allows.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Recent enough, in the order of the search path.
    pub rusts: Vec<Rust>,
    /// Older than `OLDEST`: named in messages only.
    pub outdated: Vec<Rust>,
    pub rustup: Option<PathBuf>,
    /// A wasm linker outside of any Rust.
    pub linker: Option<PathBuf>,
}

/// The nearest way to a toolchain.
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
    /// Nothing but packages helps.
    Missing(Lack),
}

impl Survey {
    /// Looks at every Rust on the search path. `root` is where cargo will run: rustup lets a folder choose its toolchain.
    pub fn take(search: &Search, root: &Path) -> Self {
        let found = search.all("rustc").collect::<Vec<_>>();
        let mut rusts: Vec<Rust> = Vec::new();
        for rust in found.iter().filter_map(|rustc| Rust::probe(rustc, search, root)) {
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
        let anyone = || self.rusts.iter().find_map(Rust::linker);
        rust.linker().or_else(|| self.linker.clone()).or_else(anyone)
    }

    fn with(&self, rust: &Rust, sysroot: Option<PathBuf>) -> Option<Plan<'_>> {
        let linker = self.linker_for(rust)?;
        Some(Plan::Ready(Box::new(Toolchain { rust: rust.clone(), sysroot, linker })))
    }

    /// The nearest way; `cache` is the folder of compiled standard libraries. `offline` leaves `rustup` out.
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
        shipped.or_else(compiled).or_else(add).or_else(compile).unwrap_or_else(|| Plan::Missing(self.lack()))
    }

    fn lack(&self) -> Lack {
        let with_std = |r: &&Rust| r.has_target() || r.has_sources();
        match (self.rusts.is_empty(), self.outdated.first()) {
            (true, Some(old)) => Lack::Recent { found: format!("{} at {}", old.version, old.rustc.display()) },
            (true, None) => Lack::Rust,
            (false, _) if self.rusts.iter().any(|r| with_std(&r)) => Lack::Linker,
            (false, _) => Lack::Target,
        }
    }
}

/// A toolchain, made if it must be: adds the target by rustup, or compiles the standard library.
pub fn obtain(search: &Search, root: &Path, cache: &Path, say: Say<'_>) -> Result<Toolchain, Error> {
    let mut survey = Survey::take(search, root);
    let mut offline = false;
    loop {
        match survey.plan(cache, offline) {
            Plan::Ready(toolchain) => return Ok(*toolchain),
            Plan::AddTarget { rustup, rust } => {
                let mut command = tools::command(rustup);
                command.args(["target", "add", TARGET, "--toolchain", rust.rustup_name().unwrap_or("stable")]);
                say(&format!("getting the wasm target of Rust {}: {}", rust.version, tools::shown(&command)));
                // Once is enough: whether it worked is seen from what is there afterwards.
                offline = true;
                if !command.status().is_ok_and(|s| s.success()) {
                    say("rustup could not get it; looking for another way");
                }
                survey = Survey::take(search, root);
            }
            Plan::CompileStd { rust, linker } => {
                let sysroot = sysroot::compile(cache, rust, say)?;
                return Ok(Toolchain { rust: rust.clone(), sysroot: Some(sysroot), linker });
            }
            Plan::Missing(lack) => return Err(Error::Toolchain { lack }),
        }
    }
}

#[cfg(test)]
#[path = "toolchain_tests.rs"]
mod tests;
