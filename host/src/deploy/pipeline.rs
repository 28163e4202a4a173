//! The steps of one change: each is timed, and reported as soon as the version has passed it.

use std::time::Instant;

use super::report::{Passed, Step};

pub(super) struct Pipeline<'a> {
    report: &'a mut dyn FnMut(&Passed),
    pub passed: Vec<Passed>,
    /// Of the component, once it has been read, and its file.
    pub hash: String,
    pub file: String,
}

impl<'a> Pipeline<'a> {
    /// `report` is called for each step that the version passes.
    pub fn new(report: &'a mut dyn FnMut(&Passed)) -> Self {
        Self { report, passed: Vec::new(), hash: String::new(), file: String::new() }
    }

    /// Runs one step, which returns its result and notes for the operator.
    ///
    /// # Errors
    /// Those of `run`; the step does not count as passed then.
    pub fn step<T, E>(&mut self, step: Step, run: impl FnOnce() -> Result<(T, Vec<String>), E>) -> Result<T, E> {
        let started = Instant::now();
        let (value, notes) = run()?;
        let passed = Passed { step, ms: started.elapsed().as_secs_f64() * 1e3, notes };
        (self.report)(&passed);
        self.passed.push(passed);
        Ok(value)
    }
}
