//! One scenario from its first line to its last: what was given, each step, and what has to be so at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use wasmtime::component::Val;

use super::check::{Asked, Ready, ReadyExpect, ReadyWhat};
use super::fixture::{self, Stage, Start};
use super::functions::Known;
use super::pattern::{self, Bindings};
use super::rules::Rules;
use super::scenario::{Cell, Request, Rows};
use super::stubs::Made;
use crate::call::Failure;
use crate::context::lean;
use crate::context::solo::Solo;
use crate::limits;
use crate::manifest::Place;
use std::time::Duration;

/// Which instance a scenario ran on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Fresh,
    /// The one that has just run the same scenario.
    Again,
    /// One that has run the scenarios before it.
    AfterOthers,
}

impl On {
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "on a fresh instance",
            Self::Again => "on an instance that has run it once: does the context keep something outside its store?",
            Self::AfterOthers => {
                "on an instance that has run other scenarios: does the context keep something outside its store?"
            }
        }
    }
}

/// One thing that is not as the scenario says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub place: Place,
    /// One line.
    pub what: String,
    /// A diff or a list, of some lines; may be empty.
    pub detail: String,
}

/// What a context's scenarios run with.
pub struct Bench<'a> {
    pub solo: &'a Solo,
    pub known: &'a Known,
    /// For calls to others, and for its own answers.
    pub imported: &'a Rules,
    pub exported: &'a Rules,
}

impl Bench<'_> {
    /// Runs it; the stage afterwards, unless the context did not even start.
    pub fn run(&self, ready: &Ready, before: Option<&Stage>) -> (Option<Stage>, Vec<Trouble>) {
        let given = &ready.scenario.given;
        let mut config: BTreeMap<String, String> = self.solo.part().entry.config.clone();
        config.extend(given.config.clone());
        let start = Start {
            clock_s: given.clock_s,
            random: given.random,
            config: &config,
            file: given.file.as_deref(),
            stubs: &ready.stubs,
        };
        let mut stage = match Stage::start(self.solo, self.known, self.imported, &start, before) {
            Ok(stage) => stage,
            Err(error) => return (None, vec![trouble(ready.scenario.place, error.to_string(), "")]),
        };
        let mut found = Vec::new();
        if self.prepare(ready, &mut stage, &mut found) {
            let begun = stage.made().len();
            for step in &ready.steps {
                let made = stage.made().len();
                self.step(&step.what, step.place, &mut stage, &mut found);
                if let Some(asked) = &step.asked {
                    self.asked(asked, stage.made().get(made..).unwrap_or_default(), step.place, &mut stage, &mut found);
                }
                found.extend(stage.trouble().into_iter().map(|what| trouble(step.place, what, "")));
            }
            if let Some(asked) = &ready.asked {
                let made = stage.made();
                self.asked(asked, made.get(begun..).unwrap_or_default(), ready.scenario.place, &mut stage, &mut found);
            }
            for rows in &ready.scenario.then.rows {
                check_rows(rows, &stage, &mut found);
            }
        }
        (Some(stage), found)
    }

    /// Whether what is given is there.
    fn prepare(&self, ready: &Ready, stage: &mut Stage, found: &mut Vec<Trouble>) -> bool {
        for sql in &ready.scenario.given.sql {
            if let Err(error) = stage.sql(&sql.value) {
                found.push(trouble(sql.place, format!("the given rows are not taken: {error}"), ""));
                return false;
            }
        }
        for (call, text) in ready.calls.iter().zip(&ready.scenario.given.calls) {
            let what = match stage.call(call, Duration::from_millis(limits::CALL_TIMEOUT_MS)) {
                Ok(Ok(Some(answer @ Val::Result(Err(_))))) => pattern::pretty(&answer),
                Ok(Ok(_)) => continue,
                Ok(Err(failure)) => failure.to_string(),
                Err(unbound) => unbound,
            };
            found.push(trouble(text.place, format!("the given call {} did not go well", call.text), &what));
            return false;
        }
        found.extend(stage.trouble().into_iter().map(|what| trouble(ready.scenario.place, what, "")));
        found.is_empty()
    }

    fn step(&self, what: &ReadyWhat, place: Place, stage: &mut Stage, found: &mut Vec<Trouble>) {
        match what {
            ReadyWhat::Wait { seconds } => stage.wait(Duration::from_secs(*seconds)),
            ReadyWhat::Request(request) => check_request(request, place, stage, found),
            ReadyWhat::Call { call, expect, timeout } => {
                let answer = match stage.call(call, *timeout) {
                    Ok(answer) => answer,
                    Err(unbound) => return found.push(trouble(place, unbound, "")),
                };
                match (expect, &answer) {
                    (ReadyExpect::Fails(failing), Err(failure)) if fixture::is(failure, *failing) => {}
                    (ReadyExpect::Fails(failing), Err(failure)) => {
                        let what = format!("{} should have been {}: {failure}", call.text, failing.name());
                        found.push(trouble(place, what, ""));
                    }
                    (ReadyExpect::Fails(failing), Ok(answer)) => {
                        let what = format!("{} answered and should have been {}", call.text, failing.name());
                        found.push(trouble(place, what, &answer.as_ref().map(pattern::pretty).unwrap_or_default()));
                    }
                    (_, Err(failure)) => {
                        found.push(trouble(place, format!("{} has no answer: {failure}", call.text), ""));
                    }
                    (ReadyExpect::Answer, Ok(_)) | (ReadyExpect::Value(_), Ok(None)) => {}
                    (ReadyExpect::Value(expected), Ok(Some(answer))) => {
                        let mut bound = stage.bound.clone();
                        if expected.meets(answer, &mut bound) {
                            stage.bound = bound;
                        } else {
                            let diff = pattern::diff(expected, answer, &stage.bound);
                            found.push(trouble(place, format!("{} answers otherwise", call.text), &diff));
                        }
                    }
                }
                self.hold_to_contract(call.export, &call.text, answer, stage.params(call), place, found);
            }
        }
    }

    /// Whether the context's own answer is what the contracts of its interfaces allow.
    fn hold_to_contract(
        &self,
        export: usize,
        text: &str,
        answer: Result<Option<Val>, Failure>,
        params: Result<Vec<Val>, String>,
        place: Place,
        found: &mut Vec<Trouble>,
    ) {
        let (Some(function), Ok(Some(answer)), Ok(params)) = (self.known.exports.get(export), answer, params) else {
            return;
        };
        if let Some(broken) = self.exported.broken_by(&function.interface, &function.name, &params, &answer) {
            let what = format!("the answer to {text} breaks the contract of `{}`: {broken}", function.interface);
            found.push(trouble(place, what, &pattern::pretty(&answer)));
        }
    }

    /// Whether these calls were made, no others, and in this order.
    fn asked(&self, expected: &[Asked], made: &[Made], place: Place, stage: &mut Stage, found: &mut Vec<Trouble>) {
        let meets = |asked: &Asked, made: &Made, bound: &mut Bindings| {
            let function = self.known.imports.get(asked.import);
            function.is_some_and(|f| f.interface == made.interface && f.name == made.function)
                && asked.params.len() == made.params.len()
                && asked.params.iter().zip(&made.params).all(|(p, v)| p.meets(v, bound))
        };
        let mut bound = stage.bound.clone();
        if expected.len() == made.len() && expected.iter().zip(made).all(|(a, m)| meets(a, m, &mut bound)) {
            stage.bound = bound;
            return;
        }
        let (mut wanted, mut happened) = (String::new(), String::new());
        // A call that is as expected is written alike on both sides.
        let mut left: Vec<&Made> = made.iter().collect();
        for asked in expected {
            let met = left.iter().position(|made| meets(asked, made, &mut stage.bound.clone()));
            let text = met.map_or_else(|| asked.text.clone(), |at| left.remove(at).text());
            let _ = writeln!(wanted, "{text}");
        }
        for made in made {
            let _ = writeln!(happened, "{}", made.text());
        }
        let diff = pattern::lines(wanted.trim_end(), happened.trim_end());
        found.push(trouble(place, "others were not asked as the scenario says", &diff));
    }
}

fn trouble(place: Place, what: impl Into<String>, detail: &str) -> Trouble {
    Trouble { place, what: what.into(), detail: detail.trim_end_matches('\n').to_owned() }
}

fn check_rows(rows: &Rows, stage: &Stage, found: &mut Vec<Trouble>) {
    let actual = match stage.rows(&rows.sql.value) {
        Ok(actual) => actual,
        Err(error) => return found.push(trouble(rows.sql.place, format!("the rows cannot be read: {error}"), "")),
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
    found.push(trouble(rows.sql.place, format!("`{}` finds other rows", rows.sql.value), &diff));
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

fn check_request(request: &Request, place: Place, stage: &mut Stage, found: &mut Vec<Trouble>) {
    let filled = stage.filled(&request.line.value);
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
        headers.push((name.to_ascii_lowercase(), stage.filled(value)));
    }
    let body = stage.filled(&request.body).into_bytes();
    let sent = lean::Request { method: method.into(), path: path.into(), query, headers, body };
    let text = request.line.value.as_str();
    let response = match (stage.request(sent, request.timeout), request.fails) {
        (Ok(response), None) => response,
        (Ok(response), Some(failing)) => {
            let what = format!("{text} was answered with {} and should have been {}", response.status, failing.name());
            return found.push(trouble(place, what, ""));
        }
        (Err(failure), Some(failing)) if fixture::is(&failure, failing) => return,
        (Err(failure), _) => return found.push(trouble(place, format!("{text} has no answer: {failure}"), "")),
    };
    let body = String::from_utf8_lossy(&response.body).into_owned();
    if let Some(status) = request.status
        && u64::from(response.status) != status
    {
        let what = format!("{text} was answered with {}, expected {status}", response.status);
        found.push(trouble(place, what, &beginning(&body)));
    }
    for expected in &request.contains {
        if !body.contains(&stage.filled(&expected.value)) {
            let what = format!("the answer to {text} lacks `{}`", expected.value);
            found.push(trouble(expected.place, what, &beginning(&body)));
        }
    }
    for unwanted in &request.lacks {
        if body.contains(&stage.filled(&unwanted.value)) {
            found.push(trouble(unwanted.place, format!("the answer to {text} has `{}`", unwanted.value), ""));
        }
    }
    for (name, expected) in &request.response_headers {
        let value = response.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let wanted = stage.filled(&expected.value);
        if value != Some(&wanted) {
            let value = value.map_or("missing".to_owned(), |value| format!("`{value}`"));
            found.push(trouble(
                expected.place,
                format!("the header `{name}` of {text} is {value}, expected `{wanted}`"),
                "",
            ));
        }
    }
    for (name, before, after) in &request.take {
        let cut = body.split_once(&before.value).and_then(|(_, rest)| rest.split_once(&after.value));
        match cut {
            Some((taken, _)) => drop(stage.bound.insert(name.clone(), Val::String(taken.to_owned()))),
            None => {
                found.push(trouble(before.place, format!("the answer to {text} has nothing to take as `${name}`"), ""))
            }
        }
    }
}

/// Enough of a body to see what it is.
fn beginning(body: &str) -> String {
    let lines: Vec<&str> = body.lines().filter(|line| !line.trim().is_empty()).take(30).collect();
    lines.join("\n").chars().take(2_000).collect()
}
