//! Running cargo and reading what it made from its messages (`--message-format=json-render-diagnostics`).
//!
//! Its own words, progress and compiler errors go straight to stderr; only the machine-readable part passes through here.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use super::{Error, tools};

/// Something cargo made, or found to be up to date.
#[derive(Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The `Cargo.toml` of its package.
    pub manifest: PathBuf,
    /// The name of the library or program.
    pub target: String,
    pub files: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// What one line of output says was made.
fn artifact(line: &str) -> Option<Artifact> {
    let message: Message = serde_json::from_str(line).ok()?;
    let made = message.reason == "compiler-artifact";
    made.then_some(())?;
    Some(Artifact { manifest: message.manifest_path?, target: message.target?.name, files: message.filenames })
}

/// Runs cargo to its end: what was made, and whether everything was. `command` pipes its stdout.
pub fn run(command: &mut Command) -> Result<(Vec<Artifact>, bool), Error> {
    let failed = |command: &Command, source| Error::Start { command: tools::shown(command), source };
    let mut child = command.spawn().map_err(|e| failed(command, e))?;
    let mut artifacts = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            artifacts.extend(artifact(&line.map_err(|e| failed(command, e))?));
        }
    }
    let status = child.wait().map_err(|e| failed(command, e))?;
    Ok((artifacts, status.success()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_artifacts_are_read_from_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","package_id":"path+file:///x#a@0.1.0","manifest_path":"/x/Cargo.toml",
            "target":{"kind":["cdylib"],"crate_types":["cdylib"],"name":"a_b","src_path":"/x/src/lib.rs"},"filenames":["/t/a_b.wasm"],"fresh":true}"#;
        let expected =
            Artifact { manifest: "/x/Cargo.toml".into(), target: "a_b".into(), files: vec!["/t/a_b.wasm".into()] };
        assert_eq!(artifact(line), Some(expected));
        for other in
            ["", "   Compiling a", r#"{"reason":"build-finished","success":true}"#, r#"{"reason":"compiler-message"}"#]
        {
            assert_eq!(artifact(other), None, "{other}");
        }
    }
}
