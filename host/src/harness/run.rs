//! Runs one scenario: what is given, each step, and the checks at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use seam_runtime::alone::fixture::Fixture;
use seam_runtime::buffered_http;
use seam_runtime::call::Failure;
use wasmtime::component::Val;

use super::answer;
use super::check::{ExpectedCall, TypedAction, TypedExpect, TypedScenario};
use super::functions::Functions;
use super::pattern::{self, Bindings};
use super::rules::Rules;
use super::scenario::{Cell, Request, Rows};
use super::scenario_run::{self, RunSetup, ScenarioRun};
use super::stubs::MadeCall;
use crate::limits;
use crate::manifest::Place;

/// The kind of instance on which a scenario ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    Fresh,
    /// It has just run the same scenario.
    Again,
    /// It has run the scenarios before this one.
    AfterOthers,
}

impl InstanceState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "on a fresh instance",
            Self::Again => {
                "on an instance that has run the scenario before: does the context keep state outside its store?"
            }
            Self::AfterOthers => {
                "on an instance that has run other scenarios: does the context keep state outside its store?"
            }
        }
    }
}

/// One difference between a scenario and its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub place: Place,
    /// One line.
    pub what: String,
    /// A diff or a list, of some lines; may be empty.
    pub detail: String,
}

/// Runs the scenarios of one context.
pub struct Runner<'a> {
    pub fixture: &'a Fixture,
    pub functions: &'a Functions,
    /// For the answers of other contexts, and for its own.
    pub imported: &'a Rules,
    pub exported: &'a Rules,
}

impl Runner<'_> {
    /// Runs a scenario. Returns its run, if the context started, and all findings.
    pub fn run(&self, typed: &TypedScenario, before: Option<&ScenarioRun>) -> (Option<ScenarioRun>, Vec<Finding>) {
        let given = &typed.scenario.given;
        let mut config: BTreeMap<String, String> = self.fixture.spec().settings.config.clone();
        config.extend(given.config.clone());
        let setup = RunSetup {
            clock_s: given.clock_s,
            random: given.random,
            config: &config,
            file: given.file.as_deref(),
            stubs: &typed.stubs,
            pretended: &typed.pretended,
        };
        let mut run = match ScenarioRun::start(self.fixture, self.functions, self.imported, &setup, before) {
            Ok(run) => run,
            Err(error) => return (None, vec![finding(typed.scenario.place, error.to_string(), "")]),
        };
        let mut found = Vec::new();
        if self.prepare(typed, &mut run, &mut found) {
            let before = (run.made().len(), run.last_position());
            for step in &typed.steps {
                let before = (run.made().len(), run.last_position());
                self.step(&step.what, step.place, &mut run, &mut found);
                self.outgoing((&step.asked, &step.published), before, step.place, &mut run, &mut found);
                found.extend(run.take_problems().into_iter().map(|what| finding(step.place, what, "")));
            }
            self.outgoing((&typed.asked, &typed.published), before, typed.scenario.place, &mut run, &mut found);
            for rows in &typed.scenario.then.rows {
                check_rows(rows, &run, &mut found);
            }
        }
        (Some(run), found)
    }

    /// Runs the given statements and calls; false when one of them fails.
    fn prepare(&self, typed: &TypedScenario, run: &mut ScenarioRun, found: &mut Vec<Finding>) -> bool {
        for sql in &typed.scenario.given.sql {
            if let Err(error) = run.sql(&sql.value) {
                found.push(finding(sql.place, format!("`given.sql` failed: {error}"), ""));
                return false;
            }
        }
        for (call, text) in typed.calls.iter().zip(&typed.scenario.given.calls) {
            let what = match run.call(call, Duration::from_millis(limits::CALL_TIMEOUT_MS)) {
                Ok(Ok(Some(answer @ Val::Result(Err(_))))) => pattern::pretty(&answer),
                Ok(Ok(_)) => continue,
                Ok(Err(failure)) => failure.to_string(),
                Err(unbound) => unbound,
            };
            found.push(finding(text.place, format!("the given call {} failed", call.text), &what));
            return false;
        }
        found.extend(run.take_problems().into_iter().map(|what| finding(typed.scenario.place, what, "")));
        found.is_empty()
    }

    fn step(&self, what: &TypedAction, place: Place, run: &mut ScenarioRun, found: &mut Vec<Finding>) {
        match what {
            TypedAction::Wait { seconds } => run.wait(Duration::from_secs(*seconds)),
            TypedAction::Request(request) => check_request(request, place, run, found),
            TypedAction::Call { call, expect, timeout } => {
                let answer = match run.call(call, *timeout) {
                    Ok(answer) => answer,
                    Err(unbound) => return found.push(finding(place, unbound, "")),
                };
                meet(expect, &call.text, &answer, place, run, found);
                self.hold_to_contract(call.export, &call.text, answer, run.params(call), place, found);
            }
            TypedAction::Perform { step, expect, timeout } => match run.perform(step, *timeout) {
                Ok(answer) => meet(expect, &step.text, &answer.map(Some), place, run, found),
                Err((what, remedy)) => found.push(finding(place, what, &remedy)),
            },
        }
    }

    /// Checks the context's answer against the contracts of its interfaces.
    fn hold_to_contract(
        &self,
        export: usize,
        text: &str,
        answer: Result<Option<Val>, Failure>,
        params: Result<Vec<Val>, String>,
        place: Place,
        found: &mut Vec<Finding>,
    ) {
        let (Some(function), Ok(Some(answer)), Ok(params)) = (self.functions.exports.get(export), answer, params)
        else {
            return;
        };
        if let Some(broken) = self.exported.broken_by(&function.interface, &function.name, &params, &answer) {
            let what = format!("the answer of {text} breaks the contract of `{}`: {broken}", function.interface);
            found.push(finding(place, what, &pattern::pretty(&answer)));
        }
    }

    /// Checks the calls to other contexts and the events since `before`: the number of calls then, and the last
    /// position of the outbox.
    fn outgoing(
        &self,
        (asked, published): (&Option<Vec<ExpectedCall>>, &Option<Vec<ExpectedCall>>),
        before: (usize, u64),
        place: Place,
        run: &mut ScenarioRun,
        found: &mut Vec<Finding>,
    ) {
        if let Some(asked) = asked {
            let made = run.made();
            let made = made.get(before.0..).unwrap_or_default();
            let differs = "the calls to other contexts differ from `asked`";
            found.extend(self.compare(asked, made, differs, place, run));
        }
        if let Some(published) = published {
            match run.published(before.1) {
                Ok(made) => {
                    let differs = "the published events differ from `published`";
                    found.extend(self.compare(published, &made, differs, place, run));
                }
                Err(error) => found.push(finding(place, format!("the outbox cannot be read: {error}"), "")),
            }
        }
    }

    /// Checks that exactly the expected calls were made, in this order; `differs` says what it means if not.
    fn compare(
        &self,
        expected: &[ExpectedCall],
        made: &[MadeCall],
        differs: &str,
        place: Place,
        run: &mut ScenarioRun,
    ) -> Option<Finding> {
        let meets = |asked: &ExpectedCall, made: &MadeCall, bound: &mut Bindings| {
            let function = self.functions.imports.get(asked.import);
            function.is_some_and(|f| f.interface == made.interface && f.name == made.function)
                && asked.params.len() == made.params.len()
                && asked.params.iter().zip(&made.params).all(|(p, v)| p.matches(v, bound))
        };
        let mut bound = run.bound.clone();
        if expected.len() == made.len() && expected.iter().zip(made).all(|(a, m)| meets(a, m, &mut bound)) {
            run.bound = bound;
            return None;
        }
        let (mut wanted, mut happened) = (String::new(), String::new());
        // Both sides of the diff show an expected call alike.
        let mut left: Vec<&MadeCall> = made.iter().collect();
        for asked in expected {
            let met = left.iter().position(|made| meets(asked, made, &mut run.bound.clone()));
            let text = met.map_or_else(|| asked.text.clone(), |at| left.remove(at).text());
            let _ = writeln!(wanted, "{text}");
        }
        for made in made {
            let _ = writeln!(happened, "{}", made.text());
        }
        let diff = pattern::lines(wanted.trim_end(), happened.trim_end());
        Some(finding(place, differs, &diff))
    }
}

/// Compares the answer of a call, or of a step of a saga, with what is expected.
fn meet(
    expect: &TypedExpect,
    text: &str,
    answer: &Result<Option<Val>, Failure>,
    place: Place,
    run: &mut ScenarioRun,
    found: &mut Vec<Finding>,
) {
    match (expect, answer) {
        (TypedExpect::Fails(failing), Err(failure)) if scenario_run::is(failure, *failing) => {}
        (TypedExpect::Fails(failing), Err(failure)) => {
            let what = format!("{text} should have failed as {}, but: {failure}", failing.name());
            found.push(finding(place, what, ""));
        }
        (TypedExpect::Fails(failing), Ok(answer)) => {
            let what = format!("{text} should have failed as {}, but it answered", failing.name());
            found.push(finding(place, what, &answer.as_ref().map(pattern::pretty).unwrap_or_default()));
        }
        (_, Err(failure)) => found.push(unanswered(place, text, failure)),
        (TypedExpect::Answer, Ok(_)) | (TypedExpect::Value(_), Ok(None)) => {}
        (TypedExpect::Value(expected), Ok(Some(answer))) => {
            let mut bound = run.bound.clone();
            if expected.matches(answer, &mut bound) {
                run.bound = bound;
            } else {
                let diff = pattern::diff(expected, answer, &run.bound);
                found.push(finding(place, format!("{text} does not return the expected value"), &diff));
            }
        }
    }
}

fn finding(place: Place, what: impl Into<String>, detail: &str) -> Finding {
    Finding { place, what: what.into(), detail: detail.trim_end_matches('\n').to_owned() }
}

/// A call or a request without an answer; of a trap, what the guest said and where it was.
fn unanswered(place: Place, text: &str, failure: &Failure) -> Finding {
    let failure = failure.to_string();
    let (why, detail) = failure.split_once('\n').unwrap_or((&failure, ""));
    finding(place, format!("{text} failed: {why}"), detail)
}

fn check_rows(rows: &Rows, run: &ScenarioRun, found: &mut Vec<Finding>) {
    let actual = match run.rows(&rows.sql.value) {
        Ok(actual) => actual,
        Err(error) => return found.push(finding(rows.sql.place, format!("`{}` failed: {error}", rows.sql.value), "")),
    };
    let meets = |cells: &[Cell], actual: &[Cell]| {
        cells.len() == actual.len()
            && cells.iter().zip(actual).all(|(cell, actual)| *cell == Cell::Any || cell == actual)
    };
    if rows.are.len() == actual.len() && rows.are.iter().zip(&actual).all(|(cells, actual)| meets(cells, actual)) {
        return;
    }
    let line = |cells: &[Cell], other: Option<&Vec<Cell>>| {
        let shown = |(at, cell): (usize, &Cell)| match (cell, other.and_then(|other| other.get(at))) {
            (Cell::Any, Some(other)) => show(other),
            _ => show(cell),
        };
        cells.iter().enumerate().map(shown).collect::<Vec<_>>().join(" | ")
    };
    let wanted: Vec<String> = rows.are.iter().enumerate().map(|(at, cells)| line(cells, actual.get(at))).collect();
    let happened: Vec<String> = actual.iter().map(|cells| line(cells, None)).collect();
    let diff = pattern::lines(&wanted.join("\n"), &happened.join("\n"));
    found.push(finding(rows.sql.place, format!("`{}` does not return the expected rows", rows.sql.value), &diff));
}

fn show(cell: &Cell) -> String {
    match cell {
        Cell::Any => "_".to_owned(),
        Cell::Null => "NULL".to_owned(),
        Cell::Integer(n) => n.to_string(),
        Cell::Real(n) => format!("{n:?}"),
        Cell::Text(text) => format!("{text:?}"),
    }
}

fn check_request(request: &Request, place: Place, run: &mut ScenarioRun, found: &mut Vec<Finding>) {
    let filled = run.filled(&request.line.value);
    let (method, target) = filled.split_once(' ').unwrap_or_default();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (target, None),
    };
    let mut headers = vec![("host".to_owned(), "localhost".to_owned())];
    if !request.body.is_empty() && !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
    }
    for (name, value) in &request.headers {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.push((name.to_ascii_lowercase(), run.filled(value)));
    }
    let body = run.filled(&request.body).into_bytes();
    let sent = buffered_http::Request { method: method.into(), path: path.into(), query, headers, body };
    let text = request.line.value.as_str();
    let response = match (run.request(sent, request.timeout), request.fails) {
        (Ok(response), None) => response,
        (Ok(response), Some(failing)) => {
            let what =
                format!("{text} should have failed as {}, but it answered with {}", failing.name(), response.status);
            return found.push(finding(place, what, ""));
        }
        (Err(failure), Some(failing)) if scenario_run::is(&failure, failing) => return,
        (Err(failure), _) => return found.push(unanswered(place, text, &failure)),
    };
    let body = String::from_utf8_lossy(&response.body).into_owned();
    if let Some(status) = request.status
        && u64::from(response.status) != status
    {
        let what = format!("{text} answered with {}, expected {status}", response.status);
        found.push(finding(place, what, &beginning(&body)));
    }
    for expected in &request.contains {
        if !body.contains(&run.filled(&expected.value)) {
            let what = format!("the response to {text} does not contain `{}`", expected.value);
            found.push(finding(expected.place, what, &beginning(&body)));
        }
    }
    if let Some(expected) = &request.answer {
        let diff = answer::diff(&run.filled(&expected.value), &body);
        if !diff.is_empty() {
            found.push(finding(expected.place, format!("the response to {text} is not the expected one"), &diff));
        }
    }
    for unwanted in &request.lacks {
        if body.contains(&run.filled(&unwanted.value)) {
            found.push(finding(unwanted.place, format!("the response to {text} contains `{}`", unwanted.value), ""));
        }
    }
    for (name, expected) in &request.response_headers {
        let value = response.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let wanted = run.filled(&expected.value);
        if value != Some(&wanted) {
            let value = value.map_or("missing".to_owned(), |value| format!("`{value}`"));
            found.push(finding(
                expected.place,
                format!("the response header `{name}` of {text} is {value}, expected `{wanted}`"),
                "",
            ));
        }
    }
    for (name, before, after) in &request.take {
        let cut = body.split_once(&before.value).and_then(|(_, rest)| rest.split_once(&after.value));
        match cut {
            Some((taken, _)) => drop(run.bound.insert(name.clone(), Val::String(taken.to_owned()))),
            None => found.push(finding(
                before.place,
                format!("the response to {text} has no text to take as `${name}`"),
                "",
            )),
        }
    }
}

/// The beginning of a body, to recognise it.
fn beginning(body: &str) -> String {
    let lines: Vec<&str> = body.lines().filter(|line| !line.trim().is_empty()).take(30).collect();
    lines.join("\n").chars().take(2_000).collect()
}
