//! `seam doctor`: what this machine has, what it lacks, and the command that mends it.
//!
//! Looking changes nothing. `fix` runs the shown commands, one after the other and each announced, until the thing is there.
//! Not here: what packages are called (`packages`), how a wasm toolchain is chosen (`toolchain`).

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::packages::{Install, Manager, Need};
use super::error::Lack;
use super::folders::{self, TOOLS_FOLDER};
use super::rust::{Rust, TARGET};
use super::toolchain::{Plan, Survey};
use super::tools::{self, Say, Search};
use crate::limits;
use crate::manifest::{Build, Manifest};

/// What the machine is to be ready for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Purpose {
    /// Building and serving
    #[default]
    Run,
    /// That, and the tests
    Test,
}

/// One thing that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: String,
    /// What it is needed for.
    pub purpose: &'static str,
    /// Without it something does not work at all; else it is advice.
    pub required: bool,
    #[serde(flatten)]
    pub state: State,
    /// Commands that mend it, the best first: if one does not help, the next may.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mend: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    Found { version: String, path: PathBuf },
    Missing { reason: String },
}

/// Everything that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether everything required is there.
    pub fn ready(&self) -> bool {
        self.checks.iter().all(|c| !c.required || c.found())
    }

    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "ready": self.ready(), "checks": self.checks })
    }
}

impl Check {
    fn found(&self) -> bool {
        matches!(self.state, State::Found { .. })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|c| c.name.len()).max().unwrap_or(0);
        for check in &self.checks {
            match &check.state {
                State::Found { version, path } => {
                    writeln!(f, "found    {:width$}  {:14} {}", check.name, version, path.display())?;
                }
                State::Missing { reason } => {
                    let word = if check.required { "missing" } else { "advice" };
                    writeln!(f, "{word:7}  {:width$}  {reason} (for {})", check.name, check.purpose)?;
                    for (at, command) in check.mend.iter().enumerate() {
                        writeln!(f, "         {}: {command}", if at == 0 { "mend" } else { "or" })?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Looks, and mends what is missing when `fix`. `folder` is where the manifest is or would be.
pub fn run(manifest: Option<&Manifest>, folder: &Path, purpose: Purpose, fix: bool, say: Say<'_>) -> Report {
    let folder = manifest.map_or_else(|| std::fs::canonicalize(folder).unwrap_or_else(|_| folder.into()), folders::base);
    let machine = Machine { search: Search::from_env(), folder, root: rustix::process::geteuid().is_root() };
    let items = items(manifest, purpose);
    let report = machine.examine_all(&items);
    if !fix || report.ready() {
        return report;
    }
    let mut tried = HashSet::new();
    if report.checks.iter().any(|c| c.required && c.mend.iter().any(|m| m.contains("apt-get"))) {
        // Names of packages are looked up in its lists, so the lists come first.
        let refresh = Manager::find(&machine.search).and_then(Manager::refresh).map(|i| machine.as_root(i));
        machine.mend(refresh.iter(), &mut tried, say);
    }
    for item in &items {
        let mut check = machine.examine(item);
        while check.required && !check.found() && machine.mend(check.mend.iter(), &mut tried, say) {
            check = machine.examine(item);
        }
    }
    machine.examine_all(&items)
}

/// What may be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Rust,
    WasmTarget,
    WasmLinker,
    CCompiler,
    Just,
    Browser,
    Driver,
    /// What looks for barriers in a page: tests hand it to the browser. It is never part of this repository.
    AccessibilityLibrary,
    /// The program that build commands start with.
    Program {
        name: String,
        /// Whose commands.
        contexts: Vec<String>,
        /// Whether one is built without being asked for by name; else it is advice, for those who want a variant.
        required: bool,
    },
    Disk,
    OpenFiles,
}

fn items(manifest: Option<&Manifest>, purpose: Purpose) -> Vec<Item> {
    let mut items = vec![Item::Rust, Item::WasmTarget, Item::WasmLinker, Item::CCompiler, Item::Just];
    if purpose == Purpose::Test {
        items.extend([Item::Browser, Item::Driver, Item::AccessibilityLibrary]);
    }
    items.extend(programs(manifest, purpose));
    items.extend([Item::Disk, Item::OpenFiles]);
    items
}

/// What build commands start with, each program once. Tests build everything.
fn programs(manifest: Option<&Manifest>, purpose: Purpose) -> Vec<Item> {
    let mut programs = BTreeMap::<String, (Vec<String>, bool)>::new();
    for context in manifest.into_iter().flat_map(|m| &m.contexts) {
        if let Some(Build::Command { command, .. }) = &context.build
            && let Some(name) = program(command)
        {
            let (contexts, required) = programs.entry(name.into()).or_default();
            contexts.push(format!("`{}`", context.name));
            *required |= purpose == Purpose::Test || context.name.variant().is_none();
        }
    }
    programs.into_iter().map(|(name, (contexts, required))| Item::Program { name, contexts, required }).collect()
}

/// The program that a shell command starts, past `NAME=value` and `cd folder &&`; `None` where it is not that simple.
fn program(command: &str) -> Option<&str> {
    let mut rest = command.trim();
    if rest.starts_with("cd ") {
        rest = rest.split_once("&&")?.1.trim();
    }
    let word = rest.split_whitespace().find(|w| !w.contains('='))?;
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c));
    (plain && !SHELL_WORDS.contains(&word)).then_some(word)
}

/// What the shell does itself.
const SHELL_WORDS: [&str; 9] = ["cd", "echo", "exec", "export", "if", "for", "set", "test", "while"];

/// The library of accessibility checks, and the line of its versions that the tests are held to.
const AXE: &str = "axe-core";
const AXE_LINE: &str = "4.14.";

const BROWSERS: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

struct Machine {
    search: Search,
    folder: PathBuf,
    root: bool,
}

impl Machine {
    fn examine_all(&self, items: &[Item]) -> Report {
        // Most of the time is programs starting up to say their version.
        let checks = std::thread::scope(|scope| {
            let running: Vec<_> = items.iter().map(|item| scope.spawn(|| self.examine(item))).collect();
            running.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        Report { checks }
    }

    fn examine(&self, item: &Item) -> Check {
        match item {
            Item::Rust => self.rust(),
            Item::WasmTarget => self.target(),
            Item::WasmLinker => self.linker(),
            Item::CCompiler => {
                let found = self.any(&["cc", "gcc", "clang"]);
                self.program_check("C compiler", "SQLite inside the host", true, found, Need::CCompiler)
            }
            Item::Just => self.just(),
            Item::Browser => {
                let found = self.any(&BROWSERS);
                self.program_check("browser", "the tests of the pages", true, found, Need::Browser)
            }
            Item::Driver => {
                let found = self.any(&["chromedriver"]);
                self.program_check("browser driver", "the tests of the pages", true, found, Need::Driver)
            }
            Item::AccessibilityLibrary => self.accessibility_library(),
            Item::Program { name, contexts, required } => {
                let found = self.search.find(name);
                let mut check = self.program_check(name, "a build command", *required, found, Need::Program(name));
                if let State::Missing { reason } = &mut check.state {
                    *reason = format!("the build command of {} starts with it", contexts.join(", "));
                }
                check
            }
            Item::Disk => self.disk(),
            Item::OpenFiles => open_files(),
        }
    }

    fn survey(&self) -> Survey {
        Survey::take(&self.search, &self.folder)
    }

    fn rust(&self) -> Check {
        let survey = self.survey();
        let state = match survey.rusts.first() {
            Some(rust) => State::Found { version: rust.version.to_string(), path: rust.rustc.clone() },
            None => {
                let recent = |r: &Rust| Lack::Recent { found: r.version.to_string() };
                State::Missing { reason: survey.outdated.first().map_or(Lack::Rust, recent).to_string() }
            }
        };
        let mend = match &survey.rustup {
            Some(_) => "rustup update stable".into(),
            None => "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y".into(),
        };
        check("Rust", "everything", true, state, vec![mend])
    }

    fn target(&self) -> Check {
        let survey = self.survey();
        let mut mend = Vec::new();
        let found = |rust: &Rust, note: &str, path: &Path| State::Found {
            version: format!("{}{note}", rust.version),
            path: path.into(),
        };
        let state = match survey.plan(&folders::cache(&self.folder), false) {
            Plan::Ready(ready) => match &ready.sysroot {
                Some(compiled) => found(&ready.rust, ", compiled here", compiled),
                None => found(&ready.rust, "", &ready.rust.sysroot),
            },
            Plan::CompileStd { rust, .. } => found(rust, ", compiled from sources by the first build", &rust.sysroot),
            Plan::AddTarget { rust, .. } => {
                let name = rust.rustup_name().unwrap_or("stable");
                mend.push(format!("rustup target add {} --toolchain {name}", TARGET));
                State::Missing { reason: format!("Rust {} is without {}", rust.version, TARGET) }
            }
            Plan::Missing(lack) => State::Missing { reason: lack.to_string() },
        };
        if matches!(state, State::Missing { .. }) {
            mend.extend(self.install(Need::WasmRust));
        }
        check("wasm target", "compiling contexts written in Rust", true, state, mend)
    }

    fn linker(&self) -> Check {
        let survey = self.survey();
        let found = survey.rusts.iter().find_map(|r| survey.linker_for(r));
        let mut check =
            self.program_check("wasm linker", "compiling contexts written in Rust", true, found, Need::WasmLinker);
        if let State::Found { version, path } = &mut check.state
            && version.is_empty()
        {
            // One program for all systems' linkers wants to be told which.
            *version = tools::ask(tools::command(&*path).args(["-flavor", "wasm", "--version"]))
                .map(|printed| first_number(&printed))
                .unwrap_or_default();
        }
        check
    }

    fn just(&self) -> Check {
        let own = self.folder.join(TOOLS_FOLDER).join("bin/just");
        let found = self.search.find("just").or_else(|| own.is_file().then_some(own));
        let wrapper = self.folder.join("justw").is_file();
        let mend =
            if wrapper { "./justw --version".into() } else { "cargo install just --locked --root .tools".into() };
        check("just", "the commands in the justfile", false, self.state(found, "no `just`"), vec![mend])
    }

    /// Installed below the folder of tools, which nothing else reads or commits.
    fn accessibility_library(&self) -> Check {
        let folder = self.folder.join(TOOLS_FOLDER).join("node_modules").join(AXE);
        let file = folder.join("axe.min.js");
        let described = std::fs::read_to_string(folder.join("package.json")).ok();
        let version = described
            .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
            .and_then(|described| described["version"].as_str().map(str::to_owned));
        let state = match version {
            Some(version) if version.starts_with(AXE_LINE) && file.is_file() => State::Found { version, path: file },
            Some(version) => State::Missing { reason: format!("{AXE} {version} is not of {AXE_LINE}x, or not whole") },
            None => State::Missing { reason: format!("no `{AXE}` in `{TOOLS_FOLDER}`") },
        };
        let fetch = format!("npm install --prefix {TOOLS_FOLDER} --no-save --ignore-scripts '{AXE}@~{AXE_LINE}0'");
        let mend = match self.search.find("npm") {
            Some(_) => Some(fetch),
            None => self.install(Need::Program("npm")).map(|npm| format!("{npm} && {fetch}")),
        };
        check("axe-core", "the tests of the pages' accessibility", true, state, mend.into_iter().collect())
    }

    fn disk(&self) -> Check {
        let name = "disk space";
        let free_gb = rustix::fs::statvfs(&self.folder).ok().map(|s| s.f_bavail.saturating_mul(s.f_frsize) >> 30);
        let state = match free_gb {
            Some(gb) if gb < limits::DISK_FREE_GB_ADVISED => {
                State::Missing { reason: format!("{gb} GB free, a clean build takes {}", limits::DISK_FREE_GB_ADVISED) }
            }
            Some(gb) => State::Found { version: format!("{gb} GB"), path: self.folder.clone() },
            None => State::Missing { reason: format!("cannot tell for `{}`", self.folder.display()) },
        };
        check(name, "the builds", false, state, Vec::new())
    }

    fn any(&self, names: &[&str]) -> Option<PathBuf> {
        names.iter().find_map(|name| self.search.find(name))
    }

    fn program_check(
        &self,
        name: &str,
        purpose: &'static str,
        required: bool,
        found: Option<PathBuf>,
        need: Need<'_>,
    ) -> Check {
        let state = self.state(found, "not on the PATH");
        let missing = matches!(state, State::Missing { .. });
        let mend = if missing { self.install(need).into_iter().collect() } else { Vec::new() };
        check(name, purpose, required, state, mend)
    }

    fn state(&self, found: Option<PathBuf>, reason: &str) -> State {
        match found {
            Some(path) => State::Found { version: version_of(&path), path },
            None => State::Missing { reason: reason.into() },
        }
    }

    fn install(&self, need: Need<'_>) -> Option<String> {
        Some(self.as_root(Manager::find(&self.search)?.install(need)?))
    }

    fn as_root(&self, install: Install) -> String {
        let sudo = install.root && !self.root;
        if sudo { format!("sudo {}", install.command) } else { install.command }
    }

    /// Runs the first command that was not tried yet; `false` when there is none.
    fn mend<'a>(
        &self,
        mut commands: impl Iterator<Item = &'a String>,
        tried: &mut HashSet<String>,
        say: Say<'_>,
    ) -> bool {
        let Some(command) = commands.find(|c| tried.insert((*c).clone())) else { return false };
        if command.starts_with("sudo ") && self.search.find("sudo").is_none() {
            say(&format!("this needs root, and there is no sudo: {command}"));
            return true;
        }
        say(&format!("running {command}"));
        let mut shell = tools::command("sh");
        shell.args(["-c", command]).current_dir(&self.folder);
        // stdout is the report's.
        if let Ok(stderr) = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned() {
            shell.stdout(stderr);
        }
        match shell.status() {
            Ok(status) if status.success() => {}
            Ok(status) => say(&format!("that ended with {status}")),
            Err(error) => say(&format!("that did not start: {error}")),
        }
        true
    }
}

fn check(name: &str, purpose: &'static str, required: bool, state: State, mend: Vec<String>) -> Check {
    let mend = if matches!(state, State::Found { .. }) { Vec::new() } else { mend };
    Check { name: name.into(), purpose, required, state, mend }
}

/// The first number with a dot in what `--version` prints; empty for programs that do not say.
fn version_of(program: &Path) -> String {
    first_number(&tools::ask(tools::command(program).arg("--version")).unwrap_or_default())
}

fn first_number(printed: &str) -> String {
    let number = |w: &&str| w.starts_with(|c: char| c.is_ascii_digit()) && w.contains('.');
    let plain = |w: &str| w.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    printed.split_whitespace().find(number).map(plain).unwrap_or_default()
}

fn open_files() -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let state = match limit < limits::OPEN_FILES_ADVISED {
        true => State::Missing { reason: format!("{limit} allowed, {} advised", limits::OPEN_FILES_ADVISED) },
        false => State::Found { version: limit.to_string(), path: "ulimit -n".into() },
    };
    let mend = vec![format!("ulimit -n {}", limits::OPEN_FILES_ADVISED)];
    check("open files", "many connections at a time", false, state, mend)
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
