//! The client of the admin socket, for command line tools. Blocking: a tool does one thing and ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use seam_runtime::pretend::PretenceStatus;
use seam_runtime::route::Comparison;
use seam_runtime::serve::RouteStatus;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::protocol::{
    AuditRequest, BackupRequest, ByTime, CallRequest, CallResult, CompareRequest, DeployEvent, ErrorMessage,
    EventsRequest, ForecastRequest, PretendRequest, ReconcileRequest, RecordRequest, RecordedScenario,
    RecordingStarted, RelocateEvent, RelocateRequest, RouteRequest, SagasRequest, SeedEvent, TransactionsRequest,
    VerifyEvent,
};
use super::status::ContextStatus;
use crate::audit::AuditLine;
use crate::delivery::SubscriptionStatus;
use crate::forecast::Forecast;
use crate::seed::{Progress, SeedRequest};
use crate::transactions::Overview;
use crate::verify::{self, VerifyRequest};
use crate::{backup, deploy, folder, limits, relocate};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no host is running here")]
    NotRunning { socket: PathBuf },
    #[error("the connection to the host at `{}` failed", socket.display())]
    Connection { socket: PathBuf, source: std::io::Error },
    #[error(transparent)]
    ErrorMessage(#[from] ErrorMessage),
}

impl Error {
    /// What to do, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::NotRunning { socket } => format!("start it with `seam up` (looked at `{}`)", socket.display()),
            Self::Connection { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "run this as the user who runs the host".into()
            }
            Self::Connection { .. } => "look for the reason in the host's log: `seam logs`".into(),
            Self::ErrorMessage(message) => message.remedy.clone(),
        }
    }
}

/// A connection to the host that uses one data folder.
pub struct Client {
    socket: PathBuf,
    stream: UnixStream,
}

impl Client {
    /// # Errors
    /// `NotRunning` when no host listens.
    pub fn connect(data: &Path) -> Result<Self, Error> {
        use std::io::ErrorKind::{ConnectionRefused, NotFound};
        let socket = folder::socket(data);
        match UnixStream::connect(&socket) {
            Ok(stream) => Ok(Self { socket, stream }),
            Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => Err(Error::NotRunning { socket }),
            Err(source) => Err(Error::Connection { socket, source }),
        }
    }

    pub fn contexts(self) -> Result<Vec<ContextStatus>, Error> {
        self.ask("GET", "/contexts", None::<&()>, limits::ADMIN_REQUEST_MS)
    }

    pub fn schedules(self) -> Result<ByTime, Error> {
        self.ask("GET", "/schedules", None::<&()>, limits::ADMIN_REQUEST_MS)
    }

    pub fn call(self, request: &CallRequest) -> Result<CallResult, Error> {
        // The host enforces the call's timeout; this one only matters if the host has died.
        self.ask("POST", "/call", Some(request), request.timeout_ms + limits::ADMIN_REQUEST_MS)
    }

    pub fn routes(self) -> Result<Vec<RouteStatus>, Error> {
        self.ask("GET", "/routes", None::<&()>, limits::ADMIN_REQUEST_MS)
    }

    pub fn route(self, request: &RouteRequest) -> Result<RouteStatus, Error> {
        self.ask("POST", "/route", Some(request), limits::ADMIN_REQUEST_MS)
    }

    pub fn start_record(self, request: &RecordRequest) -> Result<RecordingStarted, Error> {
        self.ask("POST", "/record", Some(request), 2 * limits::ADMIN_REQUEST_MS)
    }

    pub fn stop_record(self, request: &RecordRequest) -> Result<RecordedScenario, Error> {
        self.ask("POST", "/record", Some(request), 2 * limits::ADMIN_REQUEST_MS)
    }

    pub fn compare(self, request: &CompareRequest) -> Result<Comparison, Error> {
        self.ask("POST", "/compare", Some(request), limits::ADMIN_REQUEST_MS)
    }

    pub fn pretences(self) -> Result<Vec<PretenceStatus>, Error> {
        self.ask("GET", "/pretend", None::<&()>, limits::ADMIN_REQUEST_MS)
    }

    /// Pretends, or ends it; what is pretended on the edges that are meant, now or until now.
    pub fn pretend(self, request: &PretendRequest) -> Result<Vec<PretenceStatus>, Error> {
        self.ask("POST", "/pretend", Some(request), 2 * limits::ADMIN_REQUEST_MS)
    }

    /// What it would cost to move a context to another host.
    pub fn forecast(self, request: &ForecastRequest) -> Result<Forecast, Error> {
        self.ask("POST", "/forecast", Some(request), limits::ADMIN_REQUEST_MS)
    }

    pub fn subscriptions(self) -> Result<Vec<SubscriptionStatus>, Error> {
        self.ask("GET", "/events", None::<&()>, limits::ADMIN_REQUEST_MS)
    }

    /// The type of the response depends on the request: see `EventsRequest`.
    pub fn events<T: DeserializeOwned>(self, request: &EventsRequest) -> Result<T, Error> {
        self.ask("POST", "/events", Some(request), 2 * limits::ADMIN_REQUEST_MS)
    }

    pub fn transactions(self) -> Result<Overview, Error> {
        self.ask("GET", "/transactions", None::<&()>, 2 * limits::ADMIN_REQUEST_MS)
    }

    /// Makes an operator's choice; the contexts whose files it has changed.
    pub fn choose(self, request: &TransactionsRequest) -> Result<Vec<String>, Error> {
        self.ask("POST", "/transactions", Some(request), 2 * limits::ADMIN_REQUEST_MS)
    }

    /// The type of the response depends on the request: see `SagasRequest`.
    pub fn sagas<T: DeserializeOwned>(self, request: &SagasRequest) -> Result<T, Error> {
        self.ask("POST", "/sagas", Some(request), 2 * limits::ADMIN_REQUEST_MS)
    }

    /// The type of the response depends on the request: see `ReconcileRequest`. Looking takes as long as verifying.
    pub fn reconcile<T: DeserializeOwned>(self, request: &ReconcileRequest) -> Result<T, Error> {
        self.ask("POST", "/reconcile", Some(request), limits::RECONCILE_COMMAND_MS)
    }

    pub fn audit(self, request: &AuditRequest) -> Result<Vec<AuditLine>, Error> {
        self.ask("POST", "/audit", Some(request), limits::ADMIN_REQUEST_MS)
    }

    /// Takes a backup; its folder and its list.
    pub fn backup(self, request: &BackupRequest) -> Result<(PathBuf, backup::Backup), Error> {
        self.ask("POST", "/backup", Some(request), limits::BACKUP_MS_MAX)
    }

    /// Loads the host's seeds and calls `progress` for each batch.
    pub fn seed(self, request: &SeedRequest, progress: &mut dyn FnMut(&Progress)) -> Result<(), Error> {
        self.follow("/seed", request, limits::SEED_CALL_MS, |event| match event {
            SeedEvent::Progress(at) => {
                progress(&at);
                None
            }
            SeedEvent::Done => Some(Ok(())),
            SeedEvent::Failed(message) => Some(Err(message)),
        })
    }

    /// Verifies the running system, and calls `progress` before each check.
    pub fn verify(
        self,
        request: &VerifyRequest,
        progress: &mut dyn FnMut(&verify::Progress),
    ) -> Result<verify::Report, Error> {
        self.follow("/verify", request, limits::VERIFY_LIVE_MS, |event| match event {
            VerifyEvent::Progress(at) => {
                progress(&at);
                None
            }
            VerifyEvent::Done(report) => Some(Ok(*report)),
            VerifyEvent::Failed(message) => Some(Err(message)),
        })
    }

    /// Moves a context to another host or from there, and calls `progress` as it goes on.
    pub fn relocate(
        self,
        request: &RelocateRequest,
        progress: &mut dyn FnMut(&relocate::Progress),
    ) -> Result<relocate::Moved, Error> {
        self.follow("/relocate", request, limits::MOVE_S_MAX * 1_000, |event| match event {
            RelocateEvent::Progress(at) => {
                progress(&at);
                None
            }
            RelocateEvent::Done(moved) => Some(Ok(*moved)),
            RelocateEvent::Failed(message) => Some(Err(message)),
            RelocateEvent::Predicted(_) | RelocateEvent::Taken(_) => None,
        })
    }

    /// Has this host serve a copy whose source is lost.
    pub fn take(self, request: &RelocateRequest) -> Result<relocate::Taken, Error> {
        self.follow("/relocate", request, limits::MOVE_STEP_MS_MAX, |event| match event {
            RelocateEvent::Taken(taken) => Some(Ok(*taken)),
            RelocateEvent::Failed(message) => Some(Err(message)),
            RelocateEvent::Progress(_) | RelocateEvent::Done(_) | RelocateEvent::Predicted(_) => None,
        })
    }

    /// What a move would take and cost.
    pub fn predict(self, request: &RelocateRequest) -> Result<relocate::Prediction, Error> {
        self.follow("/relocate", request, 2 * limits::MOVE_PREDICT_MS_MAX, |event| match event {
            RelocateEvent::Predicted(prediction) => Some(Ok(*prediction)),
            RelocateEvent::Failed(message) => Some(Err(message)),
            RelocateEvent::Progress(_) | RelocateEvent::Done(_) | RelocateEvent::Taken(_) => None,
        })
    }

    /// The last move of each context, beside what was predicted.
    pub fn moves(self) -> Result<Vec<relocate::MoveReview>, Error> {
        self.ask("GET", "/moves", None::<&()>, limits::ADMIN_REQUEST_MS)
    }

    /// Deploys a version in place of the one that serves, and calls `passed` for each step.
    pub fn deploy(
        self,
        request: &deploy::DeployRequest,
        passed: &mut dyn FnMut(&deploy::Passed),
    ) -> Result<deploy::DeployReport, Error> {
        self.change("/deploy", request, passed)
    }

    /// Restores the version before the one that serves, and calls `passed` for each step.
    pub fn roll_back(
        self,
        request: &deploy::RollbackRequest,
        passed: &mut dyn FnMut(&deploy::Passed),
    ) -> Result<deploy::DeployReport, Error> {
        self.change("/rollback", request, passed)
    }

    fn change(
        self,
        path: &str,
        request: &impl Serialize,
        passed: &mut dyn FnMut(&deploy::Passed),
    ) -> Result<deploy::DeployReport, Error> {
        self.follow(path, request, limits::DEPLOY_STEP_MS, |event| match event {
            DeployEvent::Passed(step) => {
                passed(&step);
                None
            }
            DeployEvent::Done(report) => Some(Ok(*report)),
        })
    }

    pub fn history(self) -> Result<Vec<deploy::HistoryEntry>, Error> {
        self.ask("GET", "/history", None::<&()>, limits::ADMIN_REQUEST_MS)
    }

    /// Sends a request whose response is lines, and reads them until `each` returns a result. Between two lines at most
    /// `ms` may pass.
    fn follow<E: DeserializeOwned, T>(
        self,
        path: &str,
        request: &impl Serialize,
        ms: u64,
        mut each: impl FnMut(E) -> Option<Result<T, ErrorMessage>>,
    ) -> Result<T, Error> {
        let socket = self.socket.clone();
        let connection_error = |source| Error::Connection { socket: socket.clone(), source };
        let (status, body) = self.send("POST", path, Some(request), ms + limits::ADMIN_REQUEST_MS)?;
        if status != 200 {
            return Err(host_error(&socket, body));
        }
        for line in BufReader::new(body).lines() {
            if let Some(end) = each(parse(&socket, line.map_err(connection_error)?.as_bytes())?) {
                return Ok(end?);
            }
        }
        Err(connection_error(std::io::ErrorKind::UnexpectedEof.into()))
    }

    fn ask<T: DeserializeOwned>(
        self,
        method: &str,
        path: &str,
        body: Option<&impl Serialize>,
        ms: u64,
    ) -> Result<T, Error> {
        let socket = self.socket.clone();
        let (status, mut response) = self.send(method, path, body, ms)?;
        if status != 200 {
            return Err(host_error(&socket, response));
        }
        let mut bytes = Vec::new();
        response.read_to_end(&mut bytes).map_err(|source| Error::Connection { socket: socket.clone(), source })?;
        parse(&socket, &bytes)
    }

    /// Speaks HTTP/1.0: a response ends with its connection.
    fn send(
        self,
        method: &str,
        path: &str,
        body: Option<&impl Serialize>,
        ms: u64,
    ) -> Result<(u16, Box<dyn Read>), Error> {
        let Self { socket, stream } = self;
        let exchange = || -> std::io::Result<(u16, Box<dyn Read>)> {
            stream.set_read_timeout(Some(Duration::from_millis(ms)))?;
            stream.set_write_timeout(Some(Duration::from_millis(limits::ADMIN_REQUEST_MS)))?;
            let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
            let head = format!(
                "{method} {path} HTTP/1.0\r\nhost: seam\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            (&stream).write_all(head.as_bytes())?;
            (&stream).write_all(&body)?;
            let mut reader = BufReader::new(stream).take(limits::ADMIN_ANSWER_BYTES_MAX as u64);
            let mut status = 0;
            let mut line = String::new();
            loop {
                line.clear();
                if reader.read_line(&mut line)? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                if status == 0 {
                    let code = line.split(' ').nth(1).and_then(|code| code.parse().ok());
                    status = code.ok_or(std::io::ErrorKind::InvalidData)?;
                } else if line == "\r\n" {
                    return Ok((status, Box::new(reader)));
                }
            }
        };
        exchange().map_err(|source| Error::Connection { socket, source })
    }
}

fn host_error(socket: &Path, mut body: Box<dyn Read>) -> Error {
    let mut bytes = Vec::new();
    match body.read_to_end(&mut bytes) {
        Ok(_) => parse::<ErrorMessage>(socket, &bytes).map_or_else(|error| error, Error::ErrorMessage),
        Err(source) => Error::Connection { socket: socket.to_owned(), source },
    }
}

fn parse<T: DeserializeOwned>(socket: &Path, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Connection { socket: socket.to_owned(), source: error.into() })
}
