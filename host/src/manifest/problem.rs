//! Problems of a manifest or a scenario file: how they are collected, sorted and shown.
//!
//! Checks that run later (components, links) add theirs at the place of the context's entry.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A place in the file, both numbers from 1. Line 0 is the file as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    pub line: usize,
    /// In characters.
    pub column: usize,
}

/// One problem, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, if it is another than that of the list which holds the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    #[serde(flatten)]
    pub place: Place,
    /// One sentence without a full stop, names in backticks.
    pub message: String,
    pub remedy: String,
}

impl Problem {
    pub fn new(place: Place, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { file: None, place, message: message.into(), remedy: remedy.into() }
    }

    /// The same in another file.
    #[must_use]
    pub fn in_file(self, file: PathBuf) -> Self {
        Self { file: Some(file), ..self }
    }
}

/// All problems of a file, in its order, and after them those of the files that belong to it. Never empty when it is an
/// error.
#[derive(Debug, Clone)]
pub struct Problems {
    file: PathBuf,
    all: Vec<Problem>,
}

impl Problems {
    /// Sorts `all` by place and removes duplicates.
    pub fn new(file: &Path, mut all: Vec<Problem>) -> Self {
        all.sort_by(|a, b| (&a.file, a.place).cmp(&(&b.file, b.place)));
        all.dedup();
        Self { file: file.to_owned(), all }
    }

    pub fn all(&self) -> &[Problem] {
        &self.all
    }

    /// The problems, each with its file.
    pub fn with_file(self) -> impl Iterator<Item = Problem> {
        let Self { file, all } = self;
        all.into_iter().map(move |problem| match problem.file {
            Some(_) => problem,
            None => problem.in_file(file.clone()),
        })
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// `{"file": "seam.toml", "problems": [{"line": 1, "column": 1, "message": "...", "remedy": "..."}]}`. A problem in
    /// another file has its `file`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "file": self.file.display().to_string(), "problems": self.all })
    }
}

/// `seam.toml:12:3: error: ...` and below it `  hint: ...`, each problem so.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.all.iter().enumerate() {
            let newline = if at == 0 { "" } else { "\n" };
            let file = problem.file.as_ref().unwrap_or(&self.file).display();
            match problem.place {
                Place { line: 0, .. } => write!(f, "{newline}{file}: error: {}", problem.message)?,
                Place { line, column } => write!(f, "{newline}{file}:{line}:{column}: error: {}", problem.message)?,
            }
            if !problem.remedy.is_empty() {
                write!(f, "\n  hint: {}", problem.remedy)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_shown_in_the_order_of_the_file_each_with_its_hint() {
        let at = |line, column| Place { line, column };
        let problems = Problems::new(
            Path::new("seam.toml"),
            vec![
                Problem::new(at(9, 1), "later", "wait"),
                Problem::new(at(2, 3), "sooner", ""),
                Problem::new(at(9, 1), "later", "wait"),
                Problem::new(Place::default(), "no context", "add one"),
            ],
        );
        let text = "seam.toml: error: no context\n  hint: add one\nseam.toml:2:3: error: sooner\n\
                    seam.toml:9:1: error: later\n  hint: wait";
        assert_eq!(problems.to_string(), text);
        assert_eq!(problems.to_json()["problems"][1]["line"], 2);
    }
}
