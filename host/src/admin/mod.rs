//! The admin socket of a running host: what `seam contexts`, `call`, `deploy`, `rollback`, `history`, `route` and `seed` say to it, as HTTP and JSON.
//!
//! `GET /contexts`, `POST /call`, `POST /deploy`, `POST /rollback`, `GET /history`, `GET /routes`, `POST /route`, `POST /record`,
//! `POST /compare`, `POST /seed`.
//! Invariant: only who may write to the data folder can connect; every request and answer is
//! bounded. Not here: serving the world (`http`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::deploy;

pub mod client;
mod record;
mod server;
mod status;

pub use server::{Error, Server, State};
pub use status::{ContextStatus, statuses};

/// `POST /call`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    pub context: String,
    /// `interface.function(args)` in WAVE.
    pub text: String,
    pub timeout_ms: u64,
}

/// What a function returned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallAnswer {
    /// False for the guest's own `err(..)`.
    pub ok: bool,
    pub wave: String,
    pub json: serde_json::Value,
}

/// `POST /route`; the answer is the context's `route::Status`, `GET /routes` has those of all.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRequest {
    pub context: String,
    /// `VARIANT=WEIGHT` or `shadow=VARIANT`; none: nothing is changed.
    pub changes: Vec<String>,
}

/// `POST /record`: every call into a context goes on a tape, until it is stopped.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum RecordRequest {
    Start {
        context: String,
        /// Keep what is secret, too.
        secrets: bool,
        /// Where a copy of its file goes.
        file: PathBuf,
    },
    Stop {
        context: String,
        head: RecordHead,
    },
}

/// What the scenario begins with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordHead {
    pub name: String,
    pub begun: RecordBegun,
    /// What the copy of its file is called beside the scenario.
    pub file: String,
}

/// The answer to `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordBegun {
    /// In seconds since 1970, UTC.
    pub clock_s: u64,
    /// It has a file, and there is a copy of it.
    pub file: bool,
}

/// The answer to `stop`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recording {
    /// The text of a scenario file.
    pub scenario: String,
    pub calls: usize,
    /// Calls that found no room.
    pub dropped: usize,
    /// Calls with something blanked out.
    pub blanked: usize,
}

/// `POST /compare`; the answer is a `route::Comparison`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareRequest {
    pub context: String,
}

/// `POST /seed`; the answer is a stream of lines, each an `Event`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedRequest {
    /// Feed those that have been loaded, too.
    pub force: bool,
}

/// One line of the answer to `POST /seed`. The last is `Done` or `Failed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    Progress(crate::seed::Progress),
    Done,
    Failed(Trouble),
}

/// One line of the answer to `POST /deploy`, whose request is a `deploy::DeployRequest`, and to `POST /rollback`, whose request is a
/// `deploy::RollbackRequest`. The last is `Done`, whatever the outcome.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeployEvent {
    Passed(deploy::Passed),
    Done(Box<deploy::DeployReport>),
}

/// Why there is no answer, as a person is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    pub message: String,
    /// The call's text with a caret under what is wrong in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
    /// What to do about it; may be empty.
    #[serde(default)]
    pub remedy: String,
}

impl From<&crate::invoke::Error> for Trouble {
    fn from(error: &crate::invoke::Error) -> Self {
        Self { message: error.to_string(), excerpt: error.excerpt(), remedy: error.remedy() }
    }
}

impl From<crate::context::route::RouteRejected> for Trouble {
    fn from(refused: crate::context::route::RouteRejected) -> Self {
        Self { message: refused.to_string(), excerpt: None, remedy: refused.remedy() }
    }
}

impl From<&crate::seed::Error> for Trouble {
    fn from(error: &crate::seed::Error) -> Self {
        let mut message = error.to_string();
        // A `Call` error shows its own text.
        if !matches!(error, crate::seed::Error::Call(_))
            && let Some(source) = std::error::Error::source(error)
        {
            message.push_str(&format!(": {source}"));
        }
        Self { message, excerpt: None, remedy: error.remedy() }
    }
}

impl From<&crate::invoke::ReturnValue> for CallAnswer {
    fn from(answer: &crate::invoke::ReturnValue) -> Self {
        Self { ok: answer.ok(), wave: answer.wave(), json: answer.json() }
    }
}
