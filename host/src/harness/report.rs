//! Results of a run, for people, scripts and continuous integration.

use std::time::Duration;

use seam_store::ids::ContextName;
use serde::Serialize;

use super::run::{Finding, InstanceState};
use super::scenario::Scenario;
use crate::manifest::{Problem, Problems};

#[derive(Debug, Clone, Serialize)]
pub struct TestReport {
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
    /// It was not run, because it passed before with the same inputs.
    pub unchanged: bool,
    pub scenarios: Vec<ScenarioReport>,
    /// Problems of the file itself.
    pub problems: Vec<Problem>,
}

#[derive(Debug, Clone, Serialize)]
pub struct ScenarioReport {
    pub name: String,
    pub line: usize,
    pub took_ms: f64,
    /// Empty when it passed.
    pub failures: Vec<FailedCheck>,
}

#[derive(Debug, Clone, Serialize)]
pub struct FailedCheck {
    pub line: usize,
    pub column: usize,
    pub what: String,
    pub detail: String,
    /// On which instance.
    pub on: &'static str,
}

impl FailedCheck {
    pub(super) fn new(finding: Finding, on: InstanceState) -> Self {
        let Finding { place, what, detail } = finding;
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

impl TestReport {
    pub(super) fn new(suites: Vec<SuiteReport>, took: Duration) -> Self {
        Self { suites, took_ms: took.as_secs_f64() * 1e3 }
    }

    pub fn passed(&self) -> bool {
        self.suites.iter().all(SuiteReport::passed)
    }

    /// The numbers of scenarios that passed, failed and were not run because they are unchanged. An unreadable file
    /// counts as one failure.
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
