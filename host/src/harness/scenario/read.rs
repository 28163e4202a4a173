//! Reads scenario files and reports each problem with its line.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use time::{Date, Month, PrimitiveDateTime, Time};
use toml::de::DeValue;

use super::{
    Action, At, Cell, Contract, Expect, FailureKind, Given, ListRule, Reply, Request, Rows, Rule, Scenario, Step, Stub,
    Suite, Then,
};
use crate::limits;
use crate::manifest::table::{Document, Table};
use crate::manifest::{Place, Problem, Problems};

const EXAMPLE_CALL: &str = "notes.newest(3)";
const EXAMPLE_STEP: &str = "order.reserve(\"MC-1\")";

/// The scenarios of a context.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn suite(file: &Path) -> Result<Suite, Problems> {
    let text = text(file)?;
    let document = Document::new(&text);
    let syntax = document.parse();
    let root = Table::root(&document, &syntax);
    let folder = file.parent().unwrap_or(Path::new(""));
    let base = given(root.table("given"), &Given::default(), folder);
    let scenarios = scenarios(&root, &base, folder);
    root.finish();
    done(file, document, Suite { file: file.to_owned(), scenarios })
}

/// The contract of an interface.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn contract(file: &Path) -> Result<Contract, Problems> {
    let text = text(file)?;
    let document = Document::new(&text);
    let syntax = document.parse();
    let root = Table::root(&document, &syntax);
    let interface = root.string("interface", "acme:notes/notes@0.1.0");
    if interface.is_none() && !root.has("interface") {
        let remedy = "name the interface: `interface = \"acme:notes/notes@0.1.0\"`";
        document.report(root.place, "`interface` is missing", remedy);
    }
    let rules = root.tables("rule").into_iter().filter_map(rule).collect();
    let folder = file.parent().unwrap_or(Path::new(""));
    let base = given(root.table("given"), &Given::default(), folder);
    let scenarios: Vec<Scenario> = if root.has("scenario") { scenarios(&root, &base, folder) } else { Vec::new() };
    for scenario in &scenarios {
        if let Some(sql) = scenario.given.sql.first() {
            let message = "a contract cannot use `given.sql`: implementations have different tables";
            document.report(sql.place, message, "use `given.calls`, with functions of the interface");
        }
        if let Some(pretended) = scenario.given.pretended.first() {
            let message = "a contract cannot use `given.pretend`: implementations call different contexts";
            document.report(pretended.place, message, "pretend in a scenario of the context");
        }
        if let Some(rows) = scenario.then.rows.first() {
            let message = "a contract cannot use `then.rows`: implementations have different tables";
            document.report(rows.sql.place, message, "call a function that returns the rows");
        }
    }
    root.finish();
    let interface = interface.unwrap_or(At { value: String::new(), place: Place::default() });
    done(file, document, Contract { file: file.to_owned(), interface, rules, scenarios })
}

fn text(file: &Path) -> Result<String, Problems> {
    let unreadable = |message: String| {
        Problems::new(file, vec![Problem::new(Place::default(), message, "a scenario file is TOML in UTF-8")])
    };
    match std::fs::metadata(file) {
        Ok(meta) if meta.len() > limits::SCENARIO_FILE_BYTES_MAX => {
            return Err(unreadable(format!("the file is larger than {} KiB", limits::SCENARIO_FILE_BYTES_MAX >> 10)));
        }
        _ => {}
    }
    seam_store::text::read(file).map_err(|error| unreadable(format!("cannot read the file: {error}")))
}

fn done<T>(file: &Path, document: Document<'_>, read: T) -> Result<T, Problems> {
    let problems = document.into_problems();
    if problems.is_empty() { Ok(read) } else { Err(Problems::new(file, problems)) }
}

impl Default for Given {
    fn default() -> Self {
        Self {
            clock_s: limits::SCENARIO_CLOCK_S,
            random: 1,
            config: BTreeMap::new(),
            file: None,
            sql: Vec::new(),
            calls: Vec::new(),
            stubs: Vec::new(),
            pretended: Vec::new(),
        }
    }
}

fn scenarios(root: &Table<'_, '_>, base: &Given, folder: &Path) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for table in root.tables("scenario") {
        let name = table.string("name", "what it shows");
        if name.is_none() && !table.has("name") {
            let remedy = "say what it shows: `name = \"an unknown order is refused\"`";
            table.document.report(table.place, "the scenario has no `name`", remedy);
        }
        if let Some(name) = &name
            && scenarios.iter().any(|other| other.name == name.value)
        {
            table.document.report(
                name.place,
                format!("the name `{}` is used twice", name.value),
                "give each scenario a name of its own",
            );
        }
        let given = given(table.table("given"), base, folder);
        let when: Vec<Step> = table.tables("when").into_iter().filter_map(step).collect();
        if !table.has("when") {
            let remedy = format!("add `when = [{{ call = '{EXAMPLE_CALL}', then = 'ok(_)' }}]`");
            table.document.report(table.place, "the scenario has no `when`, so nothing happens", remedy);
        }
        let then = table.table("then").map(then).unwrap_or_default();
        let place = table.place;
        table.finish();
        scenarios.push(Scenario { name: name.map(|name| name.value).unwrap_or_default(), place, given, when, then });
    }
    if !root.has("scenario") {
        root.document.report(root.place, "the file has no scenario", "add `[[scenario]]` with a `name` and `when`");
    }
    scenarios
}

fn given(table: Option<Table<'_, '_>>, base: &Given, folder: &Path) -> Given {
    let mut given = base.clone();
    let Some(table) = table else { return given };
    given.clock_s = clock(&table, given.clock_s);
    given.random = table.integer("random", 0..=u64::MAX, given.random);
    if let Some(config) = table.table("config") {
        given.config.extend(config.texts());
    }
    if let Some(name) = table.file("file", "notes.sqlite") {
        let path = folder.join(name.value);
        if !path.is_file() {
            let message = format!("`{}` names `{}`, which is not a file", table.path("file"), path.display());
            table.document.report(name.place, message, "correct the path (relative to the scenario's folder)");
        }
        given.file = Some(path);
    }
    given.sql.extend(table.strings("sql", "INSERT INTO notes (text) VALUES ('a')"));
    given.calls.extend(table.strings("calls", EXAMPLE_CALL));
    // A scenario's own stubs are tried before those of the file.
    let mut stubs: Vec<Stub> = table.tables("stub").into_iter().filter_map(stub).collect();
    stubs.append(&mut given.stubs);
    given.stubs = stubs;
    given.pretended.extend(table.strings("pretend", "orders->finance latency=5ms loss=1%"));
    table.finish();
    given
}

/// A TOML date with a time, or seconds since 1970.
fn clock(table: &Table<'_, '_>, default: u64) -> u64 {
    let Some((value, place)) = table.value("clock") else { return default };
    let seconds = match value {
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok(),
        DeValue::Datetime(at) => seconds(at),
        _ => None,
    };
    match seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|s| *s <= limits::SCENARIO_CLOCK_S_MAX) {
        Some(seconds) => seconds,
        None => {
            let remedy = "write a date and a time as `clock = 2026-01-31T12:00:00Z`, or seconds since 1970";
            table.document.report(place, format!("`{}` is not a time after 1970", table.path("clock")), remedy);
            default
        }
    }
}

/// Seconds since 1970 of a date with a time; UTC unless it has an offset.
fn seconds(at: &toml::value::Datetime) -> Option<i128> {
    let date = at.date?;
    let month = Month::try_from(date.month).ok()?;
    let date = Date::from_calendar_date(i32::from(date.year), month, date.day).ok()?;
    let time = at.time.map_or(Some(Time::MIDNIGHT), |t| Time::from_hms(t.hour, t.minute, t.second).ok())?;
    let offset = match at.offset {
        Some(toml::value::Offset::Custom { minutes }) => i128::from(minutes) * 60,
        _ => 0,
    };
    Some(i128::from(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp()) - offset)
}

fn failing(table: &Table<'_, '_>) -> Option<FailureKind> {
    table.has("fails").then(|| table.choice("fails", &FailureKind::ALL, FailureKind::Absent))
}

fn milliseconds(table: &Table<'_, '_>, key: &'static str, default: u64) -> Duration {
    Duration::from_millis(table.integer(key, 0..=limits::CALL_TIMEOUT_MS_MAX, default))
}

fn stub(table: Table<'_, '_>) -> Option<Stub> {
    let function = needed(&table, "function", "levels.count");
    let with = table.string("with", "(\"A-1\")");
    let answer = table.string("answer", "ok([])");
    let fails = failing(&table);
    let after = milliseconds(&table, "slow_ms", 0);
    let times = table.has("times").then(|| table.integer("times", 1..=1_000_000, 1));
    let place = table.place;
    let reply = match (answer, fails) {
        (Some(answer), None) => Some(Reply::Answer(answer)),
        (None, Some(failing)) => Some(Reply::Fails(failing)),
        (Some(answer), Some(_)) => {
            table.document.report(answer.place, "the stub has both `answer` and `fails`", "keep one of the two");
            None
        }
        (None, None) => {
            if !table.has("answer") {
                let remedy = "add `answer = 'ok(..)'`, or `fails = \"absent\"`";
                table.document.report(place, "the stub has neither `answer` nor `fails`", remedy);
            }
            None
        }
    };
    table.finish();
    Some(Stub { place, function: function?, with, reply: reply?, after, times })
}

fn needed(table: &Table<'_, '_>, key: &'static str, example: &str) -> Option<At<String>> {
    let found = table.string(key, example);
    if found.is_none() && !table.has(key) {
        table.document.report(
            table.place,
            format!("`{}` is missing", table.path(key)),
            format!("add `{key} = '{example}'`"),
        );
    }
    found
}

fn step(table: Table<'_, '_>) -> Option<Step> {
    let place = table.place;
    const KINDS: [&str; 5] = ["call", "request", "perform", "undo", "wait_s"];
    let kinds: Vec<&str> = KINDS.into_iter().filter(|key| table.has(key)).collect();
    let (asked, published) = (asked(&table), published(&table));
    let what = match kinds[..] {
        ["call"] => call(&table),
        ["request"] => request(&table),
        ["perform"] => perform(&table, "perform"),
        ["undo"] => perform(&table, "undo"),
        ["wait_s"] => Some(Action::Wait { seconds: table.integer("wait_s", 0..=limits::SCENARIO_CLOCK_S_MAX, 0) }),
        _ => {
            // These keys are read, so that they are not reported as unknown, too.
            let _ = (call(&table), request(&table), table.has("wait_s") && table.value("wait_s").is_some());
            let _ = (perform(&table, "perform"), perform(&table, "undo"));
            let remedy = format!(
                "write `call = '{EXAMPLE_CALL}'`, or `request = \"GET /\"`, or `perform = '{EXAMPLE_STEP}'`, or `wait_s \
                 = 60`"
            );
            let message = "a step needs exactly one of `call`, `request`, `perform`, `undo` and `wait_s`";
            table.document.report(place, message, remedy);
            None
        }
    };
    table.finish();
    Some(Step { place, what: what?, asked, published })
}

fn asked(table: &Table<'_, '_>) -> Option<Vec<At<String>>> {
    // An empty list is an expectation, too: no calls.
    table.has("asked").then(|| table.strings("asked", "levels.count([\"A-1\"])"))
}

fn published(table: &Table<'_, '_>) -> Option<Vec<At<String>>> {
    table.has("published").then(|| table.strings("published", "events.order-placed({number: \"A-1\", ...})"))
}

fn call(table: &Table<'_, '_>) -> Option<Action> {
    let text = table.string("call", EXAMPLE_CALL);
    let expect = expect(table, "ok(_)");
    let timeout = milliseconds(table, "timeout_ms", limits::CALL_TIMEOUT_MS);
    Some(Action::Call { text: text?, expect, timeout })
}

/// A step of a saga: `key` says whether it is performed or undone.
fn perform(table: &Table<'_, '_>, key: &'static str) -> Option<Action> {
    let text = table.string(key, EXAMPLE_STEP);
    let expect = expect(table, "done");
    let attempt = u32::try_from(table.integer("attempt", 1..=u64::from(u32::MAX), 1)).unwrap_or(u32::MAX);
    let undo = key == "undo";
    let cause = if undo { table.string("cause", "the card is declined") } else { None };
    let cause = cause.map(|cause| cause.value).unwrap_or_default();
    let timeout = milliseconds(table, "timeout_ms", limits::SAGA_CALL_MS);
    Some(Action::Perform { text: text?, undo, attempt, cause, expect, timeout })
}

/// What an answer has to be, with this one as an example.
fn expect(table: &Table<'_, '_>, example: &str) -> Expect {
    let then = table.string("then", example);
    let fails = failing(table);
    match (then, fails) {
        (Some(then), Some(_)) => {
            table.document.report(then.place, "the call has both `then` and `fails`", "keep one of the two");
            Expect::Answer
        }
        (Some(then), None) => Expect::Value(then),
        (None, Some(failing)) => Expect::Fails(failing),
        (None, None) => Expect::Answer,
    }
}

fn request(table: &Table<'_, '_>) -> Option<Action> {
    let line = table.string("request", "GET /");
    let headers = table.table("headers").map(|headers| headers.texts()).unwrap_or_default();
    let body = table.string("body", "a=1").map(|body| body.value).unwrap_or_default();
    let status = table.has("status").then(|| table.integer("status", 200..=599, 200));
    let (contains, lacks) = (table.strings("contains", "Welcome"), table.strings("lacks", "Error"));
    let answer = table.string("answer", "{\"ok\": true}");
    let response_headers =
        table.table("response_headers").map(|headers| headers.all_strings("text/html")).unwrap_or_default();
    let mut take = Vec::new();
    if let Some(table) = table.table("take") {
        for name in table.names() {
            match &table.strings_of(&name, "[\"before\", \"after\"]")[..] {
                [before, after] => take.push((name, before.clone(), after.clone())),
                _ => {
                    let message = format!("`{}` is not a pair of texts", table.path(&name));
                    let remedy = "write the texts before and after it: `csrf = ['name=\"csrf\" value=\"', '\"']`";
                    table.document.report(table.place_of(&name), message, remedy);
                }
            }
        }
    }
    let fails = failing(table);
    let timeout = milliseconds(table, "timeout_ms", limits::CALL_TIMEOUT_MS);
    let line = line?;
    let (method, path) = line.value.split_once(' ').unwrap_or_default();
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) || !path.starts_with(['/', '$']) {
        let remedy = "write a method and a path below the mount: `GET /notes?page=2`";
        table.document.report(line.place, format!("`{}` is not a request", line.value), remedy);
        return None;
    }
    Some(Action::Request(Request {
        line,
        headers,
        body,
        status,
        contains,
        lacks,
        answer,
        response_headers,
        take,
        fails,
        timeout,
    }))
}

fn then(table: Table<'_, '_>) -> Then {
    let (asked, published) = (asked(&table), published(&table));
    let rows = table.tables("rows").into_iter().filter_map(rows).collect();
    table.finish();
    Then { asked, published, rows }
}

fn rows(table: Table<'_, '_>) -> Option<Rows> {
    let sql = needed(&table, "sql", "SELECT count(*) FROM notes");
    let mut are = Vec::new();
    let wrong = |place| {
        let remedy = "write a list of rows: `are = [[\"a\", 1], [\"b\", []]]`; `[]` is NULL and `\"_\"` is any value";
        table.document.report(place, format!("`{}` is not a list of rows", table.path("are")), remedy);
    };
    match table.value("are") {
        None => wrong(table.place),
        Some((DeValue::Array(items), place)) => {
            for row in items.iter() {
                let cells = match row.get_ref() {
                    DeValue::Array(cells) => {
                        cells.iter().map(|value| cell(value.get_ref())).collect::<Option<Vec<_>>>()
                    }
                    _ => None,
                };
                match cells {
                    Some(cells) => are.push(cells),
                    None => wrong(place),
                }
            }
        }
        Some((_, place)) => wrong(place),
    }
    table.finish();
    Some(Rows { sql: sql?, are })
}

fn cell(value: &DeValue<'_>) -> Option<Cell> {
    Some(match value {
        DeValue::String(text) if text.as_ref() == "_" => Cell::Any,
        DeValue::String(text) => Cell::Text(text.to_string()),
        DeValue::Integer(number) => Cell::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?),
        DeValue::Float(number) => Cell::Real(number.as_str().parse().ok()?),
        DeValue::Boolean(value) => Cell::Integer(i64::from(*value)),
        DeValue::Array(items) if items.is_empty() => Cell::Null,
        _ => return None,
    })
}

fn rule(table: Table<'_, '_>) -> Option<Rule> {
    let place = table.place;
    let function = needed(&table, "function", "count");
    let with = table.string("with", "(_, 0)");
    let answers = table.strings("answers", "err(invalid(_))");
    let list = table.table("list").map(|table| {
        let name = |key| table.string(key, "skus");
        let list = ListRule {
            at_most: name("at_most"),
            as_long_as: name("as_long_as"),
            key: name("key"),
            in_order_of: name("in_order_of"),
            within: name("within"),
            without: name("without"),
            distinct: table.boolean("distinct", false),
        };
        table.finish();
        list
    });
    if answers.is_empty() && list.is_none() && !table.has("answers") {
        let remedy = "add `answers = ['err(invalid(_))']`, or `list = { at_most = \"count\" }`";
        table.document.report(place, "the rule has neither `answers` nor `list`", remedy);
    }
    table.finish();
    Some(Rule { place, function: function?, with, answers, list })
}
