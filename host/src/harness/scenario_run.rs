//! The run of a scenario: one context alone, with the file, the clock and the stubs that the scenario gives it, called
//! step by step.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_runtime::alone::fixture::{Fixture, RunningFixture, Setup};
use seam_runtime::buffered_http;
use seam_runtime::call::Failure;
use seam_runtime::component::ContextProblem;
use seam_runtime::guest::wasi::Fixed;
use seam_runtime::json::Arguments;
use seam_store::ids::Trace;
use seam_store::{Rows, Value, private};
use tempfile::TempDir;
use wasmtime::component::Val;

use super::check::{Call, StepCall, TypedStub};
use super::functions::{Function, Functions};
use super::pattern::{Bindings, Pattern};
use super::pretended::{PretendedCalls, PretendedEdges};
use super::rules::Rules;
use super::saga_step;
use super::scenario::{Cell, FailureKind};
use super::stubs::{MadeCall, Stubs};
use crate::limits;

/// What a run starts with.
pub struct RunSetup<'a> {
    pub clock_s: u64,
    pub random: u64,
    /// The whole configuration, the manifest's values included.
    pub config: &'a std::collections::BTreeMap<String, String>,
    /// The context gets a copy of this file.
    pub file: Option<&'a std::path::Path>,
    pub stubs: &'a [TypedStub],
    pub pretended: &'a [PretendedEdges],
}

pub struct ScenarioRun {
    running: RunningFixture,
    functions: Functions,
    stubs: Arc<Stubs>,
    world: Arc<Fixed>,
    pub bound: Bindings,
    /// All answers so far. Two runs of a scenario must have the same.
    pub transcript: Vec<String>,
    /// Cookies set by responses.
    jar: Vec<(String, String)>,
    /// Holds the context's file.
    _folder: TempDir,
}

/// Why a run does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot create the context's file: {0}")]
    Folder(#[from] std::io::Error),
    #[error("{}", .0.message)]
    Start(ContextProblem),
}

impl ScenarioRun {
    /// Starts the context. With `before`, on an instance that has served there.
    ///
    /// # Errors
    /// When the context does not start.
    pub fn start(
        fixture: &Fixture,
        functions: &Functions,
        rules: &Rules,
        setup: &RunSetup<'_>,
        before: Option<&Self>,
    ) -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("seam-scenario-").tempdir()?;
        let world = Fixed::new(setup.clock_s, setup.random);
        if let Some(file) = setup.file {
            private::copy(file, &folder.path().join(fixture.file_name()))?;
        }
        let pretended = PretendedCalls::new(setup.pretended, &functions.callees, setup.random);
        let stubs = Arc::new(Stubs::new(functions.clone(), rules.clone(), world.clone(), pretended));
        stubs.set(setup.stubs);
        let start =
            Setup { config: setup.config, databases: folder.path(), world: world.clone(), neighbours: stubs.clone() };
        let running = fixture.start(&start, before.map(|run| &run.running)).map_err(Error::Start)?;
        let (bound, jar) = (Bindings::new(), Vec::new());
        Ok(Self {
            running,
            functions: functions.clone(),
            stubs,
            world,
            bound,
            transcript: Vec::new(),
            jar,
            _folder: folder,
        })
    }

    pub fn wait(&self, time: Duration) {
        self.world.wait(time);
    }

    pub fn stub(&self, stub: TypedStub) {
        self.stubs.add(stub);
    }

    /// All calls to other contexts so far.
    pub fn made(&self) -> Vec<MadeCall> {
        self.stubs.made()
    }

    /// The last position of its outbox; 0 without one.
    pub fn last_position(&self) -> u64 {
        self.running.database().and_then(|database| database.kept().ok()).map_or(0, |kept| kept.last)
    }

    /// The events after this position of its outbox, as the calls that published them.
    ///
    /// # Errors
    /// What is wrong with the outbox.
    pub fn published(&self, mut after: u64) -> Result<Vec<MadeCall>, String> {
        let (Some(database), mut made) = (self.running.database(), Vec::new()) else { return Ok(Vec::new()) };
        loop {
            let page = database.published(None, after, limits::EVENT_BATCH_MAX).map_err(|error| error.to_string())?;
            let Some(last) = page.last() else { return Ok(made) };
            after = last.position;
            for event in page {
                let means = |f: &&Function| f.interface.to_string() == event.interface && f.name == event.function;
                let function = self.functions.imports.iter().find(means);
                let function = function.ok_or_else(|| format!("the component lacks `{}`", event.function))?;
                made.push(MadeCall {
                    interface: function.interface.clone(),
                    function: function.name.clone(),
                    shown: function.shown.clone(),
                    params: Arguments::of(&function.signature).read(&event.data)?,
                });
            }
        }
    }

    /// Problems with calls to other contexts and their answers, since the last call of this function.
    pub fn take_problems(&self) -> Vec<String> {
        self.stubs.take_problems()
    }

    /// Runs statements on the context's own file.
    ///
    /// # Errors
    /// What SQLite reports, or that the context has no store.
    pub fn sql(&self, sql: &str) -> Result<(), String> {
        let database = self.running.database().ok_or("the context has no store")?;
        let run = database.script(sql, deadline(limits::CALL_TIMEOUT_MS));
        run.map_err(|(line, error)| format!("line {line} of the statements: {error}"))
    }

    /// The rows of a SELECT on the context's own file.
    ///
    /// # Errors
    /// What SQLite reports, or that the context has no store.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Cell>>, String> {
        let database = self.running.database().ok_or("the context has no store")?;
        let packed = database.query(sql, &[], deadline(limits::CALL_TIMEOUT_MS)).map_err(|e| e.to_string())?;
        let mut rows = Rows::new(&packed).map_err(|e| e.to_string())?;
        let cell = |value: Value<'_>| match value {
            Value::Null => Cell::Null,
            Value::Integer(n) => Cell::Integer(n),
            Value::Real(n) => Cell::Real(n),
            Value::Text(text) => Cell::Text(text.into_owned()),
            Value::Blob(bytes) => Cell::Text(format!("{} bytes", bytes.len())),
        };
        let (mut all, mut row) = (Vec::new(), Vec::new());
        while rows.next_into(&mut row).map_err(|e| e.to_string())? {
            all.push(row.drain(..).map(cell).collect());
        }
        Ok(all)
    }

    /// The parameters of a call, with each `$name` replaced by its value.
    ///
    /// # Errors
    /// When a name is not bound.
    pub fn params(&self, call: &Call) -> Result<Vec<Val>, String> {
        let value = |pattern: &Pattern| {
            pattern.value(&self.bound).ok_or_else(|| format!("`{}` uses a `$name` that is not bound yet", call.text))
        };
        call.params.iter().map(value).collect()
    }

    /// Calls one of the context's functions. The inner error is why the call failed.
    ///
    /// # Errors
    /// As `params`.
    pub fn call(&mut self, call: &Call, timeout: Duration) -> Result<Result<Option<Val>, Failure>, String> {
        let params = self.params(call)?;
        let function = self.functions.exports.get(call.export).ok_or("the component lacks the function")?;
        let live = self.running.live();
        let exports = live.generation().exports();
        let export = exports.iter().find(|e| e.interface == function.interface && e.function == function.name);
        let export = export.ok_or("the component lacks the function")?;
        // A caller keeps a reserve of its time. It is added here, so that the callee gets the time that the scenario
        // says.
        let timeout = timeout * 100 / (100 - limits::CALL_RESERVE_PERCENT);
        self.stubs.begin(&self.bound, timeout);
        let entered = seam_runtime::call::Call::start(Instant::now() + timeout, Trace::start());
        let answer = live.call(entered, export, &params).map(|results| results.into_iter().next());
        self.transcript.push(match &answer {
            Ok(answer) => answer.as_ref().map(super::pattern::pretty).unwrap_or_default(),
            Err(failure) => failure.to_string(),
        });
        Ok(answer)
    }

    /// Performs a step of a saga, or undoes it, as the host does. Afterwards the saga stands where the host would put
    /// it. The inner error is why the step gave no answer.
    ///
    /// # Errors
    /// What is wrong with the scenario, and what to do about it.
    pub fn perform(&mut self, step: &StepCall, timeout: Duration) -> Result<Result<Val, Failure>, (String, String)> {
        let Some(Val::String(id)) = step.id.value(&self.bound) else {
            let what = format!("`{}` uses a `$name` that is not bound yet", step.text);
            return Err((what, "bind it in an answer before".to_owned()));
        };
        self.stubs.begin(&self.bound, timeout);
        let performed = saga_step::perform(&self.running.live(), step, id, Instant::now() + timeout)?;
        self.transcript.push(match &performed {
            Ok(outcome) => super::pattern::pretty(outcome),
            Err(failure) => failure.to_string(),
        });
        Ok(performed)
    }

    /// Sends a request, with the cookies of earlier responses.
    ///
    /// # Errors
    /// When the context does not answer.
    pub fn request(
        &mut self,
        mut request: buffered_http::Request,
        timeout: Duration,
    ) -> Result<buffered_http::Response, Failure> {
        self.stubs.begin(&self.bound, timeout);
        if !request.headers.iter().any(|(name, _)| name == "cookie") && !self.jar.is_empty() {
            let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.headers.push(("cookie".into(), cookies.join("; ")));
        }
        let entered = seam_runtime::call::Call::start(Instant::now() + timeout, Trace::start());
        let response = self.running.live().handle(entered, request);
        self.transcript.push(match &response {
            Ok(response) => {
                format!("{} {:?}\n{}", response.status, response.headers, String::from_utf8_lossy(&response.body))
            }
            Err(failure) => failure.to_string(),
        });
        let response = response?;
        for (name, value) in &response.headers {
            if name.eq_ignore_ascii_case("set-cookie") {
                self.keep_cookie(value);
            }
        }
        Ok(response)
    }

    fn keep_cookie(&mut self, set: &str) {
        let mut parts = set.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        self.jar.retain(|(known, _)| known != name);
        let expired = parts.any(|part| part.to_ascii_lowercase().replace(' ', "") == "max-age=0");
        if !expired && !value.is_empty() {
            self.jar.push((name.to_owned(), value.to_owned()));
        }
    }

    /// `text` with every bound `$name` replaced by its value: strings as they are, other values as WAVE.
    pub fn filled(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            filled.push_str(before);
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(after.len());
            let (name, behind) = after.split_at(end);
            match self.bound.get(name) {
                Some(Val::String(value)) => filled.push_str(value),
                Some(value) => filled.push_str(&super::pattern::pretty(value)),
                None => {
                    filled.push('$');
                    filled.push_str(name);
                }
            }
            rest = behind;
        }
        filled.push_str(rest);
        filled
    }
}

/// Whether a call failed in this way.
pub fn is(failure: &Failure, failing: FailureKind) -> bool {
    matches!(
        (failure, failing),
        (Failure::Trapped { .. }, FailureKind::Trapped)
            | (Failure::TimedOut { .. }, FailureKind::TimedOut)
            | (Failure::Overloaded { .. }, FailureKind::Overloaded)
            | (Failure::Absent { .. }, FailureKind::Absent)
    )
}

fn deadline(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}
