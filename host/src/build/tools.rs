//! Finding and running other programs: the folders to search, and the environment that they inherit.
//!
//! Not here: which programs are needed (`toolchain`, `doctor`).

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use seam_store::KEY_VARIABLE_PREFIX;

use crate::limits;

/// Takes the messages about a running build, one line each. The programs that it runs write to standard error
/// themselves.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

/// The folders that are searched for programs. A value instead of the environment, so that a test can build a machine
/// in a folder.
#[derive(Debug, Clone)]
pub struct Search {
    pub folders: Vec<PathBuf>,
}

impl Search {
    /// The `PATH`, then the usual folders of Rust and of the distribution's linkers, which may be missing from it.
    pub fn from_env() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders: Vec<PathBuf> = std::env::split_paths(&path).filter(|p| p.is_absolute()).collect();
        if let Some(home) = cargo_home() {
            folders.push(home.join("bin"));
        }
        folders.push("/usr/bin".into());
        let mut llvm = numbered(Path::new("/usr/lib"), "llvm-");
        llvm.reverse();
        folders.extend(llvm.into_iter().map(|(_, folder)| folder.join("bin")));
        let mut seen = std::collections::HashSet::new();
        folders.retain(|f| seen.insert(std::fs::canonicalize(f).unwrap_or_else(|_| f.clone())));
        Self { folders }
    }

    /// The first program of that name.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        self.all(name).next()
    }

    /// Every program of that name, in the order of the folders.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
        self.folders.iter().map(move |f| f.join(name)).filter(|p| is_program(p))
    }

    /// The program `prefix-N` with the highest N.
    pub fn newest(&self, prefix: &str) -> Option<PathBuf> {
        let mut found: Vec<_> = self.folders.iter().flat_map(|f| numbered(f, prefix)).collect();
        found.retain(|(_, path)| is_program(path));
        found.sort();
        found.pop().map(|(_, path)| path)
    }
}

/// `CARGO_HOME`, or `.cargo` in the home folder.
pub fn cargo_home() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").filter(|h| !h.is_empty()).map(|h| PathBuf::from(h).join(".cargo"));
    std::env::var_os("CARGO_HOME").filter(|h| !h.is_empty()).map(PathBuf::from).or_else(home)
}

fn numbered(folder: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> =
        entries.filter_map(|e| Some((e.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?, e.path()))).collect();
    found.sort();
    found
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// A command without the settings that a surrounding `cargo run`, or the user for native code, has left in the
/// environment. They would move the output to another folder, or hand flags for this machine to the wasm compiler.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in [
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
    ] {
        command.env_remove(name);
    }
    withhold_keys(&mut command);
    command
}

/// What builds a context needs no key of a store: the variables that hold them by default are not passed on.
pub fn withhold_keys(command: &mut Command) {
    let is_key = |name: &std::ffi::OsString| name.as_encoded_bytes().starts_with(KEY_VARIABLE_PREFIX.as_bytes());
    for name in std::env::vars_os().map(|(name, _)| name).filter(is_key) {
        command.env_remove(name);
    }
}

/// What a short command prints, trimmed; `None` when it fails or does not end in time.
pub fn ask(command: &mut Command) -> Option<String> {
    let output = finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()), probe_time())?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn probe_time() -> Duration {
    Duration::from_millis(limits::TOOL_PROBE_MS)
}

/// Runs the command and kills it at the limit. Only for commands that print less than a pipe holds (64 KiB).
fn finish(command: &mut Command, limit: Duration) -> Option<Output> {
    let mut child = command.spawn().ok()?;
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    while child.try_wait().ok()?.is_none() {
        if start.elapsed() > limit {
            // Fails when the child ends at this moment, which does no harm.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    child.wait_with_output().ok()
}

/// The command as a user would type it, for messages.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|w| quoted(&w.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// A word, quoted where a shell needs it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
pub mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// Writes a shell script that plays a program.
    pub fn script(folder: &Path, name: &str, body: &str) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn the_newest_numbered_program_wins_and_plain_files_do_not_count() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["wasm-ld-9", "wasm-ld-22", "wasm-ld-old"] {
            script(dir.path(), name, "");
        }
        std::fs::write(dir.path().join("wasm-ld-99"), "not a program").unwrap();
        let search = Search { folders: vec![dir.path().into()] };
        assert_eq!(search.newest("wasm-ld-"), Some(dir.path().join("wasm-ld-22")));
        assert_eq!(search.find("wasm-ld-99"), None);
    }

    #[test]
    fn a_program_that_fails_or_is_missing_gives_no_output() {
        let dir = tempfile::tempdir().unwrap();
        let good = script(dir.path(), "good", "echo ' 1.2 '");
        let bad = script(dir.path(), "bad", "echo 1.2; exit 3");
        assert_eq!(ask(&mut command(good)).as_deref(), Some("1.2"));
        assert_eq!(ask(&mut command(bad)), None);
        assert_eq!(ask(&mut command(dir.path().join("absent"))), None);
    }

    #[test]
    fn commands_are_shown_as_a_user_types_them() {
        let mut command = Command::new("cargo");
        command.args(["build", "-p", "it's here"]);
        assert_eq!(shown(&command), r"cargo build -p 'it'\''s here'");
    }
}
