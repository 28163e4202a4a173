//! `seam doctor`: which tools this machine has, which are missing, and the commands that install them.
//!
//! Without `fix` it changes nothing. With `fix` it announces and runs the commands, one after the other, until each
//! tool is found. Not here: the names of packages (`packages`), the choice of a wasm toolchain (`toolchain`).

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::MissingTool;
use super::folders::{self, TOOLS_FOLDER};
use super::packages::{Install, Manager, Need};
use super::rust::{Rust, TARGET};
use super::toolchain::{Installed, Plan};
use super::tools::{self, Progress, Search};
use crate::limits;
use crate::manifest::{Build, Context, Manifest};

/// What the machine should be able to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Purpose {
    /// Build and serve
    #[default]
    Run,
    /// Build, serve and run the tests
    Test,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: String,
    /// What it is needed for.
    pub purpose: &'static str,
    /// Needed for `purpose`; otherwise advice.
    pub required: bool,
    #[serde(flatten)]
    pub state: State,
    /// Commands that fix it, the best first: each is tried when the one before did not help.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    Found { version: String, path: PathBuf },
    Missing { reason: String },
}

/// All checks of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Whether everything required was found.
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

impl fmt::Display for Diagnosis {
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
                    for (at, command) in check.fixes.iter().enumerate() {
                        writeln!(f, "         {}: {command}", if at == 0 { "fix" } else { "or" })?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Checks the machine and, with `fix`, installs what is missing. `folder` is the manifest's, whether it exists or not.
pub fn run(
    manifest: Option<&Manifest>,
    folder: &Path,
    purpose: Purpose,
    fix: bool,
    progress: Progress<'_>,
) -> Diagnosis {
    let folder =
        manifest.map_or_else(|| std::fs::canonicalize(folder).unwrap_or_else(|_| folder.into()), folders::base);
    let machine = Machine { search: Search::from_env(), folder, root: rustix::process::geteuid().is_root() };
    let items = items(manifest, &machine.folder, purpose);
    let diagnosis = machine.examine_all(&items);
    if !fix || diagnosis.ready() {
        return diagnosis;
    }
    let mut tried = HashSet::new();
    if diagnosis.checks.iter().any(|c| c.required && c.fixes.iter().any(|m| m.contains("apt-get"))) {
        // The fixes name packages from apt's lists, so the lists are updated first.
        let refresh = Manager::find(&machine.search).and_then(Manager::refresh).map(|i| machine.as_root(i));
        machine.run_next_fix(refresh.iter(), &mut tried, progress);
    }
    for item in &items {
        let mut check = machine.examine(item);
        while check.required && !check.found() && machine.run_next_fix(check.fixes.iter(), &mut tried, progress) {
            check = machine.examine(item);
        }
    }
    machine.examine_all(&items)
}

/// Something to check.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Rust,
    WasmTarget,
    WasmLinker,
    CCompiler,
    Just,
    Browser,
    Driver,
    /// Finds barriers in a page: tests load it into the browser. It is not part of this repository.
    AccessibilityLibrary,
    /// A program that build commands start.
    Program {
        name: String,
        /// The contexts with these commands.
        contexts: Vec<String>,
        /// Whether `seam build` needs it; otherwise only variants do, which it builds by name only.
        required: bool,
    },
    Disk,
    OpenFiles,
}

/// What this project needs. Without a manifest that is everything.
fn items(manifest: Option<&Manifest>, folder: &Path, purpose: Purpose) -> Vec<Item> {
    let has = |file: &str| manifest.is_none() || folder.join(file).is_file();
    // The host's own sources need a C compiler for SQLite.
    let host = has("host/Cargo.toml");
    let cargo = |context: &Context| matches!(context.build, Some(Build::Cargo { .. }));
    let mut items = Vec::new();
    if host || manifest.is_some_and(|manifest| manifest.contexts.iter().any(cargo)) {
        items.extend([Item::Rust, Item::WasmTarget, Item::WasmLinker]);
    }
    if host {
        items.push(Item::CCompiler);
    }
    if has("justfile") {
        items.push(Item::Just);
    }
    if purpose == Purpose::Test {
        items.extend([Item::Browser, Item::Driver, Item::AccessibilityLibrary]);
    }
    items.extend(programs(manifest, purpose));
    items.extend([Item::Disk, Item::OpenFiles]);
    items
}

/// The programs that build commands start, each once. Tests build variants as well.
fn programs(manifest: Option<&Manifest>, purpose: Purpose) -> Vec<Item> {
    let mut programs = BTreeMap::<String, (Vec<String>, bool)>::new();
    for context in manifest.into_iter().flat_map(|m| &m.contexts) {
        if let Some(Build::Command { command, .. }) = &context.build
            && let Some(name) = program(command)
        {
            let (contexts, required) = programs.entry(name.into()).or_default();
            contexts.push(format!("`{}`", context.settings.name));
            *required |= purpose == Purpose::Test || context.settings.name.variant().is_none();
        }
    }
    programs.into_iter().map(|(name, (contexts, required))| Item::Program { name, contexts, required }).collect()
}

/// The program that a shell command starts, after `NAME=value` and `cd folder &&`; `None` for other forms.
fn program(command: &str) -> Option<&str> {
    let mut rest = command.trim();
    if rest.starts_with("cd ") {
        rest = rest.split_once("&&")?.1.trim();
    }
    let word = rest.split_whitespace().find(|w| !w.contains('='))?;
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c));
    (plain && !SHELL_WORDS.contains(&word)).then_some(word)
}

/// Words that are no programs.
const SHELL_WORDS: [&str; 9] = ["cd", "echo", "exec", "export", "if", "for", "set", "test", "while"];

/// The library of accessibility checks: the version that the tests are written for, and the SHA-256 of its script. The
/// tests run the script in a browser, so what is installed counts and not what a registry says of it.
const AXE: &str = "axe-core";
const AXE_VERSION: &str = "4.14.1";
const AXE_SHA256: &str = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c";

/// Whether this is the script of the library of accessibility checks, byte by byte.
pub fn is_accessibility_library(script: &[u8]) -> bool {
    format!("{:x}", Sha256::digest(script)) == AXE_SHA256
}

const BROWSERS: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

struct Machine {
    search: Search,
    folder: PathBuf,
    root: bool,
}

impl Machine {
    fn examine_all(&self, items: &[Item]) -> Diagnosis {
        // Programs that start to print their version take most of the time.
        let checks = std::thread::scope(|scope| {
            let running: Vec<_> = items.iter().map(|item| scope.spawn(|| self.examine(item))).collect();
            running.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        Diagnosis { checks }
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
                if name == "python3"
                    && let Some(path) = found.as_ref().filter(|path| !makes_environments(path))
                {
                    let reason = format!("`{}` has no `ensurepip`, which virtual environments need", path.display());
                    let fixes = self.install(Need::Program(name)).into_iter().collect();
                    return check(name, "a build command", *required, State::Missing { reason }, fixes);
                }
                let mut check = self.program_check(name, "a build command", *required, found, Need::Program(name));
                if let State::Missing { reason } = &mut check.state {
                    *reason = format!("the build command of {} starts it", contexts.join(", "));
                }
                check
            }
            Item::Disk => self.disk(),
            Item::OpenFiles => open_files(),
        }
    }

    fn installed(&self) -> Installed {
        Installed::find(&self.search, &self.folder)
    }

    fn rust(&self) -> Check {
        let installed = self.installed();
        let state = match installed.rusts.first() {
            Some(rust) => State::Found { version: rust.version.to_string(), path: rust.rustc.clone() },
            None => {
                let recent = |r: &Rust| MissingTool::OutdatedRust { found: r.version.to_string() };
                State::Missing { reason: installed.outdated.first().map_or(MissingTool::Rust, recent).to_string() }
            }
        };
        let fix = match &installed.rustup {
            Some(_) => "rustup update stable".into(),
            None => "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y".into(),
        };
        check("Rust", "everything", true, state, vec![fix])
    }

    fn target(&self) -> Check {
        let installed = self.installed();
        let mut fixes = Vec::new();
        let found = |rust: &Rust, note: &str, path: &Path| State::Found {
            version: format!("{}{note}", rust.version),
            path: path.into(),
        };
        let state = match installed.plan(&folders::cache(&self.folder), false) {
            Plan::Ready(ready) => match &ready.sysroot {
                Some(compiled) => found(&ready.rust, ", compiled here", compiled),
                None => found(&ready.rust, "", &ready.rust.sysroot),
            },
            Plan::CompileStd { rust, .. } => {
                found(rust, ", which the first build compiles from sources", &rust.sysroot)
            }
            Plan::AddTarget { rust, .. } => {
                let name = rust.rustup_name().unwrap_or("stable");
                fixes.push(format!("rustup target add {TARGET} --toolchain {name}"));
                State::Missing { reason: format!("Rust {} does not have {TARGET}", rust.version) }
            }
            Plan::Missing(missing) => State::Missing { reason: missing.to_string() },
        };
        if matches!(state, State::Missing { .. }) {
            fixes.extend(self.install(Need::WasmRust));
        }
        check("wasm target", "compiling contexts written in Rust", true, state, fixes)
    }

    fn linker(&self) -> Check {
        let installed = self.installed();
        let found = installed.rusts.iter().find_map(|r| installed.linker_for(r));
        let mut check =
            self.program_check("wasm linker", "compiling contexts written in Rust", true, found, Need::WasmLinker);
        if let State::Found { version, path } = &mut check.state
            && version.is_empty()
        {
            // `rust-lld` is the linker of several systems and needs to know which.
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
        let fix = if wrapper { "./justw --version".into() } else { "cargo install just --locked --root .tools".into() };
        check("just", "the commands in the justfile", false, self.state(found, "no `just`"), vec![fix])
    }

    /// Installed in the folder of tools, which is not committed.
    fn accessibility_library(&self) -> Check {
        let folder = self.folder.join(TOOLS_FOLDER).join("node_modules").join(AXE);
        let file = folder.join("axe.min.js");
        let described = std::fs::read_to_string(folder.join("package.json")).ok();
        let version = described
            .and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok())
            .and_then(|described| described["version"].as_str().map(str::to_owned));
        let good = std::fs::read(&file).is_ok_and(|script| is_accessibility_library(&script));
        let state = match version {
            Some(version) if good => State::Found { version, path: file },
            Some(version) => State::Missing {
                reason: format!("{AXE} {version} is not the {AXE_VERSION} that the tests know by its hash"),
            },
            None => State::Missing { reason: format!("no `{AXE}` in `{TOOLS_FOLDER}`") },
        };
        let fetch = format!("npm install --prefix {TOOLS_FOLDER} --no-save --ignore-scripts {AXE}@{AXE_VERSION}");
        let fix = match self.search.find("npm") {
            Some(_) => Some(fetch),
            None => self.install(Need::Program("npm")).map(|npm| format!("{npm} && {fetch}")),
        };
        check("axe-core", "the tests of the pages' accessibility", true, state, fix.into_iter().collect())
    }

    fn disk(&self) -> Check {
        let name = "disk space";
        let free_gb = rustix::fs::statvfs(&self.folder).ok().map(|s| s.f_bavail.saturating_mul(s.f_frsize) >> 30);
        let state = match free_gb {
            Some(gb) if gb < limits::DISK_FREE_GB_ADVISED => State::Missing {
                reason: format!("{gb} GB are free; a clean build takes {}", limits::DISK_FREE_GB_ADVISED),
            },
            Some(gb) => State::Found { version: format!("{gb} GB"), path: self.folder.clone() },
            None => State::Missing { reason: format!("the free space of `{}` is unknown", self.folder.display()) },
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
        let fixes = if missing { self.install(need).into_iter().collect() } else { Vec::new() };
        check(name, purpose, required, state, fixes)
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

    /// Runs the first command that was not tried before; `false` when there is none.
    fn run_next_fix<'a>(
        &self,
        mut commands: impl Iterator<Item = &'a String>,
        tried: &mut HashSet<String>,
        progress: Progress<'_>,
    ) -> bool {
        let Some(command) = commands.find(|c| tried.insert((*c).clone())) else { return false };
        if command.starts_with("sudo ") && self.search.find("sudo").is_none() {
            progress(&format!("this needs root, and sudo is not installed: {command}"));
            return true;
        }
        progress(&format!("running {command}"));
        let mut shell = tools::command("sh");
        shell.args(["-c", command]).current_dir(&self.folder);
        // Standard output is for the diagnosis.
        if let Ok(stderr) = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned() {
            shell.stdout(stderr);
        }
        match shell.status() {
            Ok(status) if status.success() => {}
            Ok(status) => progress(&format!("the command ended with {status}")),
            Err(error) => progress(&format!("the command did not start: {error}")),
        }
        true
    }
}

fn check(name: &str, purpose: &'static str, required: bool, state: State, fixes: Vec<String>) -> Check {
    let fixes = if matches!(state, State::Found { .. }) { Vec::new() } else { fixes };
    Check { name: name.into(), purpose, required, state, fixes }
}

/// Whether a Python can make virtual environments: builds of contexts in Python install their tools into one.
fn makes_environments(python: &Path) -> bool {
    tools::ask(tools::command(python).args(["-c", "import ensurepip"])).is_some()
}

/// The first number with a dot that `--version` prints; empty if there is none.
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
        true => State::Missing { reason: format!("{limit} are allowed, {} advised", limits::OPEN_FILES_ADVISED) },
        false => State::Found { version: limit.to_string(), path: "ulimit -n".into() },
    };
    let fixes = vec![format!("ulimit -n {}", limits::OPEN_FILES_ADVISED)];
    check("open files", "many simultaneous connections", false, state, fixes)
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
