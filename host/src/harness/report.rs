//! What came of it, for people, scripts and continuous integration.

use std::time::Duration;

use serde::Serialize;

use super::run::{On, Trouble};
use super::scenario::Scenario;
use crate::ids::ContextName;
use crate::manifest::{Problem, Problems};

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub suites: Vec<SuiteReport>,
    pub took_ms: f64,
}

/// One file, run against one context.
#[derive(Debug, Clone, Serialize)]
pub struct SuiteReport {
    pub context: String,
    pub file: String,
    /// The interface, when the file is its contract.
    pub contract: Option<String>,
    /// Nothing has changed since it passed, so it was not run.
    pub unchanged: bool,
    pub scenarios: Vec<ScenarioReport>,
    /// What is wrong with the file itself.
    pub problems: Vec<Problem>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ScenarioReport {
    pub name: String,
    pub line: usize,
    pub took_ms: f64,
    /// Empty when it passed.
    pub failures: Vec<Failure>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    pub line: usize,
    pub column: usize,
    pub what: String,
    pub detail: String,
    /// On which instance.
    pub on: &'static str,
}

impl Failure {
    pub(super) fn new(trouble: Trouble, on: On) -> Self {
        let Trouble { place, what, detail } = trouble;
        Self { line: place.line, column: place.column, what, detail, on: on.name() }
    }
}

impl ScenarioReport {
    pub(super) fn passed(scenario: &Scenario) -> Self {
        Self { name: scenario.name.clone(), line: scenario.place.line, took_ms: 0.0, failures: Vec::new() }
    }
}

impl SuiteReport {
    pub(super) fn new(context: &ContextName, file: &str, contract: Option<String>) -> Self {
        let (context, file) = (context.to_string(), file.to_owned());
        Self { context, file, contract, unchanged: false, scenarios: Vec::new(), problems: Vec::new() }
    }

    pub(super) fn with_problems(mut self, problems: &Problems) -> Self {
        self.problems.extend_from_slice(problems.all());
        self
    }

    pub fn passed(&self) -> bool {
        self.problems.is_empty() && self.scenarios.iter().all(|scenario| scenario.failures.is_empty())
    }
}

impl Report {
    pub(super) fn new(suites: Vec<SuiteReport>, took: Duration) -> Self {
        Self { suites, took_ms: took.as_secs_f64() * 1e3 }
    }

    pub fn passed(&self) -> bool {
        self.suites.iter().all(SuiteReport::passed)
    }

    /// Scenarios that passed, that failed, and that were not run because nothing has changed; a file that cannot be read is one that failed.
    pub fn counts(&self) -> (usize, usize, usize) {
        let (mut passed, mut failed, mut unchanged) = (0, 0, 0);
        for suite in &self.suites {
            let wrong = suite.scenarios.iter().filter(|scenario| !scenario.failures.is_empty()).count();
            failed += wrong + usize::from(!suite.problems.is_empty());
            match suite.unchanged {
                true => unchanged += suite.scenarios.len(),
                false => passed += suite.scenarios.len() - wrong,
            }
        }
        (passed, failed, unchanged)
    }
}
