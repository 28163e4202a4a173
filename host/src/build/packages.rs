//! The names of packages, for each package manager.
//!
//! Only names that are known to be right stand here; for others `seam doctor` names what is missing, without a command.
//! Names that contain a version are looked up with apt; a machine without package lists gets the plain name.

use super::rust::{OLDEST, Version};
use super::tools::{self, Search};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    Apt,
    Dnf,
    Pacman,
    Apk,
    Brew,
}

/// Something that can be installed as a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need<'a> {
    CCompiler,
    /// A Rust that can compile for wasm, with its linker.
    WasmRust,
    WasmLinker,
    Browser,
    Driver,
    /// A program that a manifest's build command starts with.
    Program(&'a str),
}

/// A command that installs something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    pub command: String,
    pub root: bool,
}

impl Manager {
    /// The first one this machine has.
    pub fn find(search: &Search) -> Option<Self> {
        let known = [
            ("apt-get", Self::Apt),
            ("dnf", Self::Dnf),
            ("pacman", Self::Pacman),
            ("apk", Self::Apk),
            ("brew", Self::Brew),
        ];
        known.into_iter().find(|(program, _)| search.find(program).is_some()).map(|(_, manager)| manager)
    }

    /// The command that downloads the lists of packages, for managers that do not do so on their own.
    pub fn refresh(self) -> Option<Install> {
        (self == Self::Apt).then(|| Install { command: "apt-get update".into(), root: true })
    }

    /// The command that installs `need`, where it is known.
    pub fn install(self, need: Need<'_>) -> Option<Install> {
        let names = self.names(need)?.join(" ");
        let (command, root) = match self {
            Self::Apt => {
                (format!("DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {names}"), true)
            }
            Self::Dnf => (format!("dnf install -y {names}"), true),
            Self::Pacman => (format!("pacman -S --needed --noconfirm {names}"), true),
            Self::Apk => (format!("apk add {names}"), true),
            Self::Brew => (format!("brew install {names}"), false),
        };
        Some(Install { command, root })
    }

    fn names(self, need: Need<'_>) -> Option<Vec<String>> {
        let names: &[&str] = match (self, need) {
            (Self::Apt, Need::WasmRust) => return Some(apt_rust()),
            (Self::Apt, Need::WasmLinker) => return Some(vec![apt_linker()]),
            (Self::Apt, Need::CCompiler) => &["gcc", "libc6-dev"],
            (Self::Apt, Need::Browser) => &["chromium"],
            (Self::Apt, Need::Driver) => &["chromium-driver"],
            (Self::Dnf, Need::WasmRust) => &["rust", "cargo", "rust-std-static-wasm32-unknown-unknown", "lld"],
            (Self::Dnf, Need::CCompiler) => &["gcc"],
            (Self::Dnf, Need::Browser) => &["chromium"],
            (Self::Dnf, Need::Driver) => &["chromedriver"],
            (Self::Pacman, Need::WasmRust) => &["rust", "rust-wasm", "lld"],
            (Self::Pacman, Need::CCompiler) => &["gcc"],
            (Self::Pacman, Need::Browser | Need::Driver) => &["chromium"],
            (Self::Apk, Need::WasmRust) => &["rust", "cargo", "rust-wasm", "lld"],
            (Self::Apk, Need::CCompiler) => &["gcc", "musl-dev"],
            (Self::Apk, Need::Browser) => &["chromium"],
            (Self::Apk, Need::Driver) => &["chromium-chromedriver"],
            (Self::Brew, Need::WasmRust) => &["rustup"],
            (Self::Brew, Need::Browser) => &["--cask", "chromium"],
            (Self::Brew, Need::Driver) => &["--cask", "chromedriver"],
            // Apple's compiler comes with the command line tools, whose installation asks the user.
            (Self::Brew, Need::CCompiler) => return None,
            (_, Need::WasmLinker) => &["lld"],
            (Self::Brew, Need::Program("node" | "npm" | "npx")) => &["node"],
            (_, Need::Program("node" | "npm" | "npx")) => &["nodejs", "npm"],
            // Debian packages virtual environments, which builds of contexts need, apart from Python.
            (Self::Apt, Need::Program("python3")) => &["python3", "python3-venv"],
            (Self::Apt | Self::Dnf | Self::Apk, Need::Program(name @ ("python3" | "make" | "clang"))) => &[name],
            (_, Need::Program(_)) => return None,
        };
        Some(names.iter().map(|n| (*n).to_owned()).collect())
    }
}

/// The first of these sets that is recent enough, or else the last: Rust with the compiled target; Rust with the
/// library's sources; the same of the newer Rust that Debian packages for building browsers.
fn apt_rust() -> Vec<String> {
    let linker = apt_linker();
    let sets = [
        ["rustc", "cargo", "libstd-rust-dev-wasm32"],
        ["rustc", "cargo", "rust-src"],
        ["rustc-web", "cargo-web", "rust-web-src"],
    ];
    let policy = tools::ask(tools::command("apt-cache").arg("policy").args(sets.as_flattened())).unwrap_or_default();
    let recent = |set: &&[&str; 3]| {
        let oldest = Version::parse(OLDEST);
        set.iter().all(|name| candidate(&policy, name).is_some_and(|v| Some(v) >= oldest))
    };
    let [.., last] = &sets;
    let set = sets.iter().find(recent).unwrap_or(last);
    set.iter().map(|n| (*n).to_owned()).chain([linker]).collect()
}

/// The version of a package that apt would install, from `apt-cache policy`.
fn candidate(policy: &str, name: &str) -> Option<Version> {
    let mut lines = policy.lines().skip_while(|l| l.strip_suffix(':') != Some(name)).skip(1);
    let line = lines.find_map(|l| l.trim().strip_prefix("Candidate: "))?;
    // 1.96.0+dfsg1-1~deb12u2, sometimes with an epoch before a colon.
    Version::parse(line.rsplit(':').next()?.split(['+', '~', '-']).next()?)
}

/// The newest `lld-N`: an old one cannot read what a new compiler writes.
fn apt_linker() -> String {
    let found = tools::ask(tools::command("apt-cache").args(["search", "--names-only", "^lld-[0-9]+$"]));
    newest_lld(&found.unwrap_or_default()).unwrap_or_else(|| "lld".into())
}

fn newest_lld(found: &str) -> Option<String> {
    let number = |line: &str| line.split_whitespace().next()?.strip_prefix("lld-")?.parse::<u32>().ok();
    found.lines().filter_map(number).max().map(|n| format!("lld-{n}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_linker_is_chosen_by_number() {
        assert_eq!(newest_lld("lld-9 - x\nlld-22 - LLVM-based linker\nlld-16 - y\n").as_deref(), Some("lld-22"));
        assert_eq!(newest_lld(""), None);
    }

    #[test]
    fn apts_candidate_is_the_version_it_would_install() {
        let policy = "rustc:\n  Installed: (none)\n  Candidate: 1.63.0+dfsg1-2\n  Version table:\n\
                      rustc-web:\n  Installed: 1.96.0+dfsg1-1~deb12u2\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n\
                      gone:\n  Installed: (none)\n  Candidate: (none)\n";
        assert_eq!(candidate(policy, "rustc"), Some(Version(1, 63, 0)));
        assert_eq!(candidate(policy, "rustc-web"), Some(Version(1, 96, 0)));
        assert_eq!(candidate(policy, "gone"), None);
        assert_eq!(candidate(policy, "cargo"), None);
    }

    #[test]
    fn every_manager_can_install_a_browser_with_its_driver() {
        for manager in [Manager::Apt, Manager::Dnf, Manager::Pacman, Manager::Apk, Manager::Brew] {
            for need in [Need::Browser, Need::Driver] {
                assert!(manager.install(need).is_some(), "{manager:?} {need:?}");
            }
        }
        assert_eq!(Manager::Dnf.install(Need::Program("zig")), None);
    }
}
