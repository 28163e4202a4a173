//! What goes over the admin socket, as JSON.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::delivery::{Order, Replay, Selection, Which};
use crate::deploy;
use crate::reconcile::{ReconcileActRequest, ReconcileSelection};
use crate::refused::Refused;
use crate::sagas::{SagaActRequest, SagaName, SagaSelection};
use crate::schedule::ScheduleStatus;
use crate::timers::TimerStatus;

/// `POST /call`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    pub context: String,
    /// `interface.function(args)` in WAVE.
    pub text: String,
    pub timeout_ms: u64,
}

/// What the function returned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallResult {
    /// False for the guest's own `err(..)`.
    pub ok: bool,
    pub wave: String,
    pub json: serde_json::Value,
}

/// `GET /schedules`: what happens by time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByTime {
    /// In the order of the manifest.
    pub schedules: Vec<ScheduleStatus>,
    /// Contexts without timers are left out.
    pub timers: Vec<TimerStatus>,
}

/// `POST /route`; the response is the context's `route::Status`. `GET /routes` returns those of all contexts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRequest {
    pub context: String,
    /// `VARIANT=WEIGHT` or `shadow=VARIANT`. Without any, nothing changes.
    pub changes: Vec<String>,
}

/// `POST /record`: starts or stops the recording of every call into a context.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum RecordRequest {
    Start {
        context: String,
        /// Record secret values, too.
        secrets: bool,
        /// The path for a copy of the context's file.
        file: PathBuf,
    },
    Stop {
        context: String,
        head: ScenarioHead,
    },
}

/// The head of the scenario.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioHead {
    pub name: String,
    pub started: RecordingStarted,
    /// The name of the copy of the context's file, in the folder of the scenario.
    pub file: String,
}

/// The response to `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingStarted {
    /// In seconds since 1970, UTC.
    pub clock_s: u64,
    /// Whether the context has a file, and so was copied.
    pub file: bool,
}

/// The response to `stop`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordedScenario {
    /// The text of a scenario file.
    pub scenario: String,
    pub calls: usize,
    /// Calls that cannot be repeated.
    pub left_out: usize,
    /// Calls that are missing because the recording or the file was full.
    pub dropped: usize,
    /// Calls with secret values removed.
    pub blanked: usize,
}

/// `POST /compare`; the response is a `route::Comparison`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareRequest {
    pub context: String,
}

/// `POST /pretend`; the response is the `pretend::PretenceStatus` of each edge that is meant. `GET /pretend` returns
/// all.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretendRequest {
    /// As on the command line: `orders->finance latency=5ms loss=1%`, or `off`.
    pub order: String,
}

/// `POST /forecast`; the response is a `forecast::Forecast`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastRequest {
    /// The context that would move to another host.
    pub context: String,
    pub way: crate::forecast::Way,
}

/// `POST /backup`; the response is the folder of the backup and its list.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// The folder in which the backup gets a folder of its own.
    pub into: PathBuf,
}

/// `POST /events`. The response to `List` is a list of `delivery::Shown`, to `Show` one of them, to `Act` the number of
/// events, to `Replay` a `delivery::ReplayPlan`. `GET /events` returns the `delivery::SubscriptionStatus` of all.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum EventsRequest {
    List { of: Selection, which: Which, from: u64, count: u32 },
    Show { of: Selection, position: u64 },
    Act { of: Selection, order: Order, why: String },
    Replay(Replay),
}

/// `POST /transactions`; the response is the contexts whose files have changed. `GET /transactions` returns a
/// `transactions::Overview`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionsRequest {
    pub transaction: String,
    pub choice: crate::transactions::Choice,
    pub why: String,
}

/// `POST /sagas`. The response to `List` is a `sagas::SagaList`, to `Groups` `sagas::SagaGroups`, to `Show` a
/// `sagas::ShownSaga`, to `Act` a `sagas::SagaPlan`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum SagasRequest {
    List { of: SagaSelection, count: u32 },
    Groups { of: SagaSelection },
    Show(SagaName),
    Act(SagaActRequest),
}

/// `POST /reconcile`. The response to `List` and `Run` is a `reconcile::ReconcileList`, to `Show` a
/// `reconcile::ShownDisagreement`, to `Act` a `reconcile::ReconcileAct`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum ReconcileRequest {
    List(ReconcileSelection),
    Show { total: String, key: String },
    Run { total: Option<String> },
    Act(ReconcileActRequest),
}

/// `POST /audit`; the response is the newest lines, a list of `audit::AuditLine`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRequest {
    pub count: u32,
}

/// One line of the response to `POST /seed`, whose request is a `seed::SeedRequest`. The last is `Done` or `Failed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedEvent {
    Progress(crate::seed::Progress),
    Done,
    Failed(ErrorMessage),
}

/// One line of the response to `POST /verify`, whose request is a `verify::VerifyRequest`. The last is `Done` or
/// `Failed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerifyEvent {
    Progress(crate::verify::Progress),
    Done(Box<crate::verify::Report>),
    Failed(ErrorMessage),
}

/// One line of the response to `POST /deploy`, whose request is a `deploy::DeployRequest`, and to `POST /rollback`,
/// whose request is a `deploy::RollbackRequest`. The last is `Done`, also after a failure.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeployEvent {
    Passed(deploy::Passed),
    Done(Box<deploy::DeployReport>),
}

/// `POST /relocate`; the response is lines of `RelocateEvent`. `GET /moves` returns the `relocate::MoveReview` of the
/// last move of each context.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum RelocateRequest {
    /// From this host to another one.
    Extract { context: String, to: String },
    /// From the host where it lives to this one.
    Absorb { context: String },
    /// The copy that arrived on this host under this token, although its source cannot be asked.
    Take { context: String, token: u64, why: String },
    /// What `Extract` would take and cost; changes nothing.
    PredictExtract { context: String, to: String },
    /// What `Absorb` would take and cost; changes nothing.
    PredictAbsorb { context: String },
}

/// The last is `Done` or `Failed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelocateEvent {
    Progress(crate::relocate::Progress),
    Done(Box<crate::relocate::Moved>),
    /// Instead of `Done`.
    Taken(Box<crate::relocate::Taken>),
    /// Instead of `Done`.
    Predicted(Box<crate::relocate::Prediction>),
    Failed(ErrorMessage),
}

/// An error, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ErrorMessage {
    pub message: String,
    /// The text of the call, with a caret under the error in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// What to do; may be empty.
    #[serde(default)]
    pub remedy: String,
}

impl From<&crate::invoke::Error> for ErrorMessage {
    fn from(error: &crate::invoke::Error) -> Self {
        Self { message: error.to_string(), excerpt: error.excerpt(), remedy: error.remedy() }
    }
}

impl From<seam_runtime::route::RouteRejected> for ErrorMessage {
    fn from(refused: seam_runtime::route::RouteRejected) -> Self {
        Self { message: refused.to_string(), excerpt: None, remedy: refused.remedy() }
    }
}

impl From<&crate::seed::Error> for ErrorMessage {
    fn from(error: &crate::seed::Error) -> Self {
        let mut message = error.to_string();
        // A `Call` error contains its source's text.
        if !matches!(error, crate::seed::Error::Call(_))
            && let Some(source) = std::error::Error::source(error)
        {
            message.push_str(&format!(": {source}"));
        }
        Self { message, excerpt: None, remedy: error.remedy() }
    }
}

impl From<Refused> for ErrorMessage {
    fn from(refused: Refused) -> Self {
        Self { message: refused.message, excerpt: None, remedy: refused.remedy }
    }
}

impl From<&crate::backup::Error> for ErrorMessage {
    fn from(error: &crate::backup::Error) -> Self {
        Self { message: seam_store::chain(error), excerpt: None, remedy: error.remedy() }
    }
}

impl From<&crate::verify::Error> for ErrorMessage {
    fn from(error: &crate::verify::Error) -> Self {
        Self { message: seam_store::chain(error), excerpt: None, remedy: error.remedy() }
    }
}

impl From<&crate::invoke::ReturnValue> for CallResult {
    fn from(answer: &crate::invoke::ReturnValue) -> Self {
        Self { ok: answer.ok(), wave: answer.wave(), json: answer.json() }
    }
}
