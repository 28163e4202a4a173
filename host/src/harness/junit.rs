//! The report as JUnit XML, which continuous integration reads.

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use super::report::{FailedCheck, SuiteReport, TestReport};
use std::time::Duration;

/// # Errors
/// When it cannot be written as XML.
pub fn xml(report: &TestReport) -> Result<String, quick_junit::SerializeError> {
    let mut junit = Junit::new("seam test");
    junit.set_time(Duration::from_secs_f64(report.took_ms.max(0.0) / 1e3));
    junit.add_test_suites(report.suites.iter().map(suite));
    junit.to_string()
}

fn suite(report: &SuiteReport) -> TestSuite {
    let mut suite = TestSuite::new(format!("{} {}", report.context, report.file));
    for scenario in &report.scenarios {
        let status = match (report.unchanged, scenario.failures.is_empty()) {
            (true, _) => TestCaseStatus::skipped(),
            (false, true) => TestCaseStatus::success(),
            (false, false) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let all: Vec<String> = scenario.failures.iter().map(|failure| description(report, failure)).collect();
                status.set_message(scenario.failures.first().map(|f| f.what.clone()).unwrap_or_default());
                status.set_description(all.join("\n\n"));
                status
            }
        };
        let mut case = TestCase::new(scenario.name.as_str(), status);
        case.set_classname(report.context.as_str()).set_time(Duration::from_secs_f64(scenario.took_ms.max(0.0) / 1e3));
        suite.add_test_case(case);
    }
    for problem in &report.problems {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(problem.message.as_str());
        status.set_description(format!("{}:{}: {}", report.file, problem.place.line, problem.remedy));
        let mut case = TestCase::new(format!("line {}", problem.place.line), status);
        case.set_classname(report.context.as_str());
        suite.add_test_case(case);
    }
    suite
}

/// A failed check with its place and its diff.
fn description(report: &SuiteReport, failure: &FailedCheck) -> String {
    let FailedCheck { line, column, what, detail, on } = failure;
    format!("{}:{line}:{column}: {what}, {on}\n{detail}", report.file)
}
