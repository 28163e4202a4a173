//! Running cargo and reading its messages (`--message-format=json`).
//!
//! `run` leaves progress and compiler errors to stderr; `capture` returns them, for callers that show them in several
//! places.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::error::Error;
use super::tools;
use crate::limits;

/// A target that cargo built or found up to date.
#[derive(Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The `Cargo.toml` of its package.
    pub manifest: PathBuf,
    /// The name of the library or program.
    pub target: String,
    pub files: Vec<PathBuf>,
    /// It was up to date.
    pub fresh: bool,
}

/// An error or a warning of the compiler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The `Cargo.toml` of the package with the error.
    pub manifest: PathBuf,
    /// An error, not a warning.
    pub error: bool,
    /// The first line.
    pub message: String,
    /// Where it begins: the file as the compiler names it, line and column from 1.
    pub place: Option<(String, usize, usize)>,
    /// The whole text, as the compiler shows it.
    pub rendered: String,
}

/// Everything from one run of cargo.
#[derive(Debug, Default)]
pub struct CargoOutput {
    pub artifacts: Vec<Artifact>,
    pub diagnostics: Vec<Diagnostic>,
    pub success: bool,
    /// The end of its standard error.
    pub stderr: String,
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    fresh: bool,
    message: Option<CompilerMessage>,
}

#[derive(Deserialize)]
struct CompilerMessage {
    level: String,
    message: String,
    #[serde(default)]
    spans: Vec<Span>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    column_start: usize,
    is_primary: bool,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The artifact that one line of output describes.
fn artifact(line: &str) -> Option<Artifact> {
    serde_json::from_str::<Message>(line).ok()?.artifact()
}

impl Message {
    fn artifact(self) -> Option<Artifact> {
        (self.reason == "compiler-artifact").then_some(())?;
        let Self { manifest_path, target, filenames: files, fresh, .. } = self;
        Some(Artifact { manifest: manifest_path?, target: target?.name, files, fresh })
    }

    fn diagnostic(&mut self) -> Option<Diagnostic> {
        let message = self.message.take().filter(|_| self.reason == "compiler-message")?;
        let error = message.level.starts_with("error");
        // A sum of other errors ("aborting due to 2 previous errors") has no place.
        let span = message.spans.iter().find(|span| span.is_primary);
        if !error && message.level != "warning" || span.is_none() && message.message.starts_with("aborting due to") {
            return None;
        }
        let place = span.map(|span| (span.file_name.clone(), span.line_start, span.column_start));
        let rendered = message.rendered.unwrap_or_else(|| message.message.clone());
        Some(Diagnostic { manifest: self.manifest_path.clone()?, error, message: message.message, place, rendered })
    }
}

/// Runs cargo to its end with `--message-format=json` and returns everything. Hands each line of its standard error to
/// `progress`.
pub fn capture(command: &mut Command, mut progress: impl FnMut(&str) + Send) -> Result<CargoOutput, Error> {
    let failed = |command: &Command, source| Error::Start { command: tools::shown(command), source };
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| failed(command, e))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut cargo_output = std::thread::scope(|scope| {
        // Two pipes, two readers: a full pipe would stop cargo.
        let errors = scope.spawn(move || {
            let mut tail = Tail::default();
            for line in stderr.into_iter().flat_map(|s| BufReader::new(s).lines()).map_while(Result::ok) {
                progress(&line);
                tail.push(&line);
            }
            tail.0
        });
        let mut cargo_output = CargoOutput::default();
        for line in stdout.into_iter().flat_map(|s| BufReader::new(s).lines()).map_while(Result::ok) {
            let Ok(mut message) = serde_json::from_str::<Message>(&line) else { continue };
            cargo_output.diagnostics.extend(message.diagnostic());
            cargo_output.artifacts.extend(message.artifact());
        }
        cargo_output.stderr = errors.join().unwrap_or_default();
        cargo_output
    });
    cargo_output.success = child.wait().map_err(|e| failed(command, e))?.success();
    Ok(cargo_output)
}

/// The last lines of a text that may be long.
#[derive(Default)]
pub struct Tail(pub String);

impl Tail {
    pub fn push(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
        let over = self.0.len().saturating_sub(limits::BUILD_WORDS_BYTES_MAX);
        if over > 0 {
            let cut = self.0.bytes().skip(over).position(|byte| byte == b'\n').map_or(self.0.len(), |at| over + at + 1);
            self.0.drain(..cut);
        }
    }
}

/// Runs cargo to its end; returns the artifacts, and whether it succeeded. `command` pipes its stdout.
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
        let files = vec!["/t/a_b.wasm".into()];
        let expected = Artifact { manifest: "/x/Cargo.toml".into(), target: "a_b".into(), files, fresh: true };
        assert_eq!(artifact(line), Some(expected));
        for other in
            ["", "   Compiling a", r#"{"reason":"build-finished","success":true}"#, r#"{"reason":"compiler-message"}"#]
        {
            assert_eq!(artifact(other), None, "{other}");
        }
    }

    #[test]
    fn a_diagnostic_has_its_place_and_a_sum_of_errors_is_none() {
        let template = r#"{"reason":"compiler-message","manifest_path":"/x/Cargo.toml","target":{"name":"a"},"message":{"level":"LEVEL",
            "message":"TEXT","rendered":"error: mismatched types\n --> a/src/lib.rs:3:5","spans":SPANS}}"#;
        let spans = r#"[{"file_name":"a/src/other.rs","line_start":1,"column_start":1,"is_primary":false},
            {"file_name":"a/src/lib.rs","line_start":3,"column_start":5,"is_primary":true}]"#;
        let read = |level: &str, text: &str, spans: &str| {
            let line =
                template.replace("LEVEL", level).replace("TEXT", text).replace("SPANS", spans).replace('\n', " ");
            serde_json::from_str::<Message>(&line).ok().and_then(|mut message| message.diagnostic())
        };
        let error = read("error", "mismatched types", spans).map(|d| (d.error, d.message, d.place));
        assert_eq!(error, Some((true, "mismatched types".into(), Some(("a/src/lib.rs".into(), 3, 5)))));
        assert!(read("warning", "unused", spans).is_some_and(|d| !d.error && d.rendered.contains("lib.rs:3:5")));
        assert!(read("error", "aborting due to 1 previous error", "[]").is_none());
        assert!(read("note", "see also", spans).is_none());
        assert!(read("error", "linking with `rust-lld` failed", "[]").is_some_and(|d| d.place.is_none()));
    }

    #[test]
    fn the_tail_keeps_the_last_lines() {
        let mut tail = Tail::default();
        for n in 0..20_000 {
            tail.push(&format!("line {n}"));
        }
        assert!(tail.0.len() <= limits::BUILD_WORDS_BYTES_MAX && tail.0.starts_with("line "));
        assert!(tail.0.ends_with("line 19999\n"));
    }
}
