//! Running cargo and reading what it made from its messages (`--message-format=json-render-diagnostics`).
//!
//! `run` lets its own words, progress and compiler errors go straight to stderr; `listen` takes them all in, for those who show them
//! in more than one place.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::error::Error;
use super::tools;
use crate::limits;

/// Something cargo made, or found to be up to date.
#[derive(Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The `Cargo.toml` of its package.
    pub manifest: PathBuf,
    /// The name of the library or program.
    pub target: String,
    pub files: Vec<PathBuf>,
    /// Nothing had to be done for it.
    pub fresh: bool,
}

/// Something the compiler has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The `Cargo.toml` of the package it is about.
    pub manifest: PathBuf,
    /// Else it is a warning.
    pub error: bool,
    /// The first line.
    pub message: String,
    /// Where it begins: file as the compiler names it, line and column from 1.
    pub place: Option<(String, usize, usize)>,
    /// All of it, as the compiler shows it.
    pub rendered: String,
}

/// All that cargo made and said.
#[derive(Debug, Default)]
pub struct Heard {
    pub artifacts: Vec<Artifact>,
    pub diagnostics: Vec<Diagnostic>,
    pub success: bool,
    /// Its own words: the end of them when they are many.
    pub words: String,
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
    message: Option<Said>,
}

#[derive(Deserialize)]
struct Said {
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

/// What one line of output says was made.
fn artifact(line: &str) -> Option<Artifact> {
    serde_json::from_str::<Message>(line).ok()?.artifact()
}

impl Message {
    fn artifact(self) -> Option<Artifact> {
        let made = self.reason == "compiler-artifact";
        made.then_some(())?;
        let Self { manifest_path, target, filenames: files, fresh, .. } = self;
        Some(Artifact { manifest: manifest_path?, target: target?.name, files, fresh })
    }

    fn diagnostic(&mut self) -> Option<Diagnostic> {
        let said = self.message.take().filter(|_| self.reason == "compiler-message")?;
        let error = said.level.starts_with("error");
        // What only sums others up ("aborting due to 2 previous errors") has no place.
        let span = said.spans.iter().find(|span| span.is_primary);
        if !error && said.level != "warning" || span.is_none() && said.message.starts_with("aborting due to") {
            return None;
        }
        let place = span.map(|span| (span.file_name.clone(), span.line_start, span.column_start));
        let rendered = said.rendered.unwrap_or_else(|| said.message.clone());
        Some(Diagnostic { manifest: self.manifest_path.clone()?, error, message: said.message, place, rendered })
    }
}

/// Runs cargo to its end with `--message-format=json` and takes in everything. `progress` is told each line of its own words.
pub fn listen(command: &mut Command, mut progress: impl FnMut(&str) + Send) -> Result<Heard, Error> {
    let failed = |command: &Command, source| Error::Start { command: tools::shown(command), source };
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| failed(command, e))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut heard = std::thread::scope(|scope| {
        // Two pipes, two readers: whichever filled up first would stop the rest.
        let words = scope.spawn(move || {
            let mut words = Tail::default();
            for line in stderr.into_iter().flat_map(|s| BufReader::new(s).lines()).map_while(Result::ok) {
                progress(&line);
                words.push(&line);
            }
            words.0
        });
        let mut heard = Heard::default();
        for line in stdout.into_iter().flat_map(|s| BufReader::new(s).lines()).map_while(Result::ok) {
            let Ok(mut message) = serde_json::from_str::<Message>(&line) else { continue };
            heard.diagnostics.extend(message.diagnostic());
            heard.artifacts.extend(message.artifact());
        }
        heard.words = words.join().unwrap_or_default();
        heard
    });
    heard.success = child.wait().map_err(|e| failed(command, e))?.success();
    Ok(heard)
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
    fn what_the_compiler_says_is_taken_in_with_its_place_and_without_the_sum() {
        let said = r#"{"reason":"compiler-message","manifest_path":"/x/Cargo.toml","target":{"name":"a"},"message":{"level":"LEVEL",
            "message":"TEXT","rendered":"error: mismatched types\n --> a/src/lib.rs:3:5","spans":SPANS}}"#;
        let spans = r#"[{"file_name":"a/src/other.rs","line_start":1,"column_start":1,"is_primary":false},
            {"file_name":"a/src/lib.rs","line_start":3,"column_start":5,"is_primary":true}]"#;
        let read = |level: &str, text: &str, spans: &str| {
            let line = said.replace("LEVEL", level).replace("TEXT", text).replace("SPANS", spans).replace('\n', " ");
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
    fn of_many_words_the_last_are_kept() {
        let mut tail = Tail::default();
        for n in 0..20_000 {
            tail.push(&format!("line {n}"));
        }
        assert!(tail.0.len() <= limits::BUILD_WORDS_BYTES_MAX && tail.0.starts_with("line "));
        assert!(tail.0.ends_with("line 19999\n"));
    }
}
