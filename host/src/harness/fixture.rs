//! A context on stage: stood up alone, with the file, the clock and the neighbours that a scenario gives it, and called step by step.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wasmtime::component::Val;

use super::check::{Call, ReadyStub};
use super::functions::Known;
use super::pattern::{Bindings, Pattern};
use super::rules::Rules;
use super::scenario::{Cell, Failing};
use super::stubs::{Made, Stubs};
use crate::call::{self, Failure};
use crate::context::lean;
use crate::context::link::Problem;
use crate::context::solo::{Setting, Solo, Stand};
use crate::ids::Trace;
use crate::limits;
use crate::seam::wasi::Fixed;
use crate::store::{Rows, Value};

/// What a context is given at the start.
pub struct Start<'a> {
    pub clock_s: u64,
    pub random: u64,
    /// All of it, what the manifest says among it.
    pub config: &'a std::collections::BTreeMap<String, String>,
    /// A copy of this file becomes the context's own.
    pub file: Option<&'a std::path::Path>,
    pub stubs: &'a [ReadyStub],
}

pub struct Stage {
    stand: Stand,
    known: Known,
    stubs: Arc<Stubs>,
    world: Arc<Fixed>,
    pub bound: Bindings,
    /// Every answer so far: what two runs of one scenario are compared by.
    pub transcript: Vec<String>,
    /// Cookies that responses have set.
    jar: Vec<(String, String)>,
    /// The context's file is in it.
    _folder: TempDir,
}

/// Why a context is not on stage.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("its file cannot be made: {0}")]
    Folder(#[from] std::io::Error),
    #[error("{}", .0.message)]
    Start(Problem),
}

impl Stage {
    /// Stands the context up. With `before`, on an instance that has served there.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(
        solo: &Solo,
        known: &Known,
        rules: &Rules,
        start: &Start<'_>,
        before: Option<&Self>,
    ) -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("seam-stage-").tempdir()?;
        let world = Fixed::new(start.clock_s, start.random);
        if let Some(file) = start.file {
            std::fs::copy(file, folder.path().join(solo.file_name()))?;
        }
        let stubs = Arc::new(Stubs::new(known.clone(), rules.clone()));
        stubs.set(start.stubs);
        let setting =
            Setting { config: start.config, databases: folder.path(), world: world.clone(), others: stubs.clone() };
        let stand = solo.stand(&setting, before.map(|stage| &stage.stand)).map_err(Error::Start)?;
        let (bound, jar) = (Bindings::new(), Vec::new());
        Ok(Self { stand, known: known.clone(), stubs, world, bound, transcript: Vec::new(), jar, _folder: folder })
    }

    pub fn wait(&self, time: Duration) {
        self.world.wait(time);
    }

    pub fn stub(&self, stub: ReadyStub) {
        self.stubs.add(stub);
    }

    /// All calls to others so far.
    pub fn made(&self) -> Vec<Made> {
        self.stubs.made()
    }

    /// What was wrong with calls to others and their answers since the last time.
    pub fn trouble(&self) -> Vec<String> {
        self.stubs.trouble()
    }

    /// Runs statements on the context's own file.
    ///
    /// # Errors
    /// What SQLite says, or that there is no file.
    pub fn sql(&self, sql: &str) -> Result<(), String> {
        let database = self.stand.database().ok_or("the context has no store")?;
        let run = database.script(sql, deadline(limits::CALL_TIMEOUT_MS));
        run.map_err(|(line, error)| format!("line {line} of the statements: {error}"))
    }

    /// The rows of a SELECT on the context's own file.
    ///
    /// # Errors
    /// What SQLite says, or that there is no file.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<Cell>>, String> {
        let database = self.stand.database().ok_or("the context has no store")?;
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

    /// The parameters of a call, with what is bound by now.
    ///
    /// # Errors
    /// When it uses a name that nothing has bound.
    pub fn params(&self, call: &Call) -> Result<Vec<Val>, String> {
        let value = |pattern: &Pattern| {
            pattern.value(&self.bound).ok_or_else(|| format!("`{}` uses a `$name` that nothing has bound", call.text))
        };
        call.params.iter().map(value).collect()
    }

    /// Calls one of the context's functions; the inner error is that it gave no answer.
    ///
    /// # Errors
    /// As `params`.
    pub fn call(&mut self, call: &Call, timeout: Duration) -> Result<Result<Option<Val>, Failure>, String> {
        let params = self.params(call)?;
        let function = self.known.exports.get(call.export).ok_or("the function is gone")?;
        self.stubs.bind(&self.bound);
        let live = self.stand.live();
        let exports = live.generation().exports();
        let export = exports.iter().find(|e| e.interface == function.interface && e.function == function.name);
        let export = export.ok_or("the function is gone")?;
        // What a seam would keep back is given on top: the callee gets what the scenario says.
        let timeout = timeout * 100 / (100 - limits::CALL_RESERVE_PERCENT);
        let entered = call::Call::start(Instant::now() + timeout, Trace::start());
        let answer = live.call(entered, export, &params).map(|results| results.into_iter().next());
        self.transcript.push(match &answer {
            Ok(answer) => answer.as_ref().map(super::pattern::pretty).unwrap_or_default(),
            Err(failure) => failure.to_string(),
        });
        Ok(answer)
    }

    /// Sends a request, with the cookies of earlier responses.
    ///
    /// # Errors
    /// When the context gave no answer.
    pub fn request(&mut self, mut request: lean::Request, timeout: Duration) -> Result<lean::Response, Failure> {
        self.stubs.bind(&self.bound);
        if !request.headers.iter().any(|(name, _)| name == "cookie") && !self.jar.is_empty() {
            let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.headers.push(("cookie".into(), cookies.join("; ")));
        }
        let entered = call::Call::start(Instant::now() + timeout, Trace::start());
        let response = self.stand.live().handle(entered, request);
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
        let over = parts.any(|part| part.to_ascii_lowercase().replace(' ', "") == "max-age=0");
        if !over && !value.is_empty() {
            self.jar.push((name.to_owned(), value.to_owned()));
        }
    }

    /// `text` with every `$name` that is bound replaced: strings as they are, other values as WAVE.
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

/// Whether a call came to nothing in this way.
pub fn is(failure: &Failure, failing: Failing) -> bool {
    matches!(
        (failure, failing),
        (Failure::Trapped { .. }, Failing::Trapped)
            | (Failure::TimedOut { .. }, Failing::TimedOut)
            | (Failure::Overloaded { .. }, Failing::Overloaded)
            | (Failure::Absent { .. }, Failing::Absent)
    )
}

fn deadline(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}
