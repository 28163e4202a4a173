//! Runs the steps of one change: times each and reports it as soon as the version has passed it.

use std::time::Instant;

use super::report::{Passed, Step};

pub(super) struct Pipeline<'a> {
    report: &'a mut dyn FnMut(&Passed),
    pub passed: Vec<Passed>,
    /// The hash of the component; empty until it has been read.
    pub hash: String,
    /// The file of the component.
    pub file: String,
}

impl<'a> Pipeline<'a> {
    /// Calls `report` after each step that the version passes.
    pub fn new(report: &'a mut dyn FnMut(&Passed)) -> Self {
        Self { report, passed: Vec::new(), hash: String::new(), file: String::new() }
    }

    /// Runs one step. `run` returns the step's result and notes for the operator.
    ///
    /// # Errors
    /// The error of `run`. The step does not count as passed then.
    pub fn step<T, E>(&mut self, step: Step, run: impl FnOnce() -> Result<(T, Vec<String>), E>) -> Result<T, E> {
        let started = Instant::now();
        let (value, notes) = run()?;
        let passed = Passed { step, ms: started.elapsed().as_secs_f64() * 1e3, notes };
        (self.report)(&passed);
        self.passed.push(passed);
        Ok(value)
    }
}
