//! What the admin socket responds to each request.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use seam_runtime::serve::Registry;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, mpsc};

use super::protocol::{
    AuditRequest, BackupRequest, ByTime, CallRequest, CallResult, CompareRequest, DeployEvent, ErrorMessage,
    EventsRequest, ForecastRequest, PretendRequest, ReconcileRequest, RecordRequest, RelocateRequest, RouteRequest,
    SagasRequest, SeedEvent, TransactionsRequest, VerifyEvent,
};
use super::{events, pretend, reconcile, record, relocate, sagas, status};
use crate::audit;
use crate::backup::continuous;
use crate::delivery::Operator;
use crate::deploy::{self, Deployer};
use crate::folder::Folder;
use crate::forecast::{self, Forecast, Snapshot};
use crate::reconcile::{Reconciler, RunningContexts};
use crate::refused::Refused;
use crate::relocate::Relocator;
use crate::sagas::SagaOperator;
use crate::schedule::Board;
use crate::seed::{SeedRequest, Seeds};
use crate::verify::{self, VerifyRequest};
use crate::{backup, invoke, limits, seed, timers, transactions};

/// What responses are made from.
#[derive(Clone)]
pub struct State {
    pub registry: Registry,
    pub deployer: Deployer,
    pub operator: Operator,
    pub sagas: SagaOperator,
    pub reconciler: Arc<Reconciler<RunningContexts>>,
    pub seeds: Arc<Seeds>,
    pub folder: Arc<Folder>,
    pub schedules: Arc<Board>,
    /// `None` when all contexts live in one process.
    pub relocator: Option<Arc<Relocator>>,
    pub backups: Arc<continuous::Board>,
    /// When the host started.
    started: Instant,
    /// One seeding at a time: two would overwrite each other's list of loaded seeds.
    seeding: Arc<Semaphore>,
    /// One verification at a time: each keeps the write-ahead logs of all files from being cut.
    verifying: Arc<Semaphore>,
}

impl State {
    pub fn new(
        registry: Registry,
        deployer: Deployer,
        (operator, sagas, reconciler): (Operator, SagaOperator, Arc<Reconciler<RunningContexts>>),
        seeds: Seeds,
        folder: Arc<Folder>,
        (schedules, backups): (Arc<Board>, Arc<continuous::Board>),
        relocator: Option<Relocator>,
    ) -> Self {
        let one = || Arc::new(Semaphore::new(1));
        Self {
            registry,
            deployer,
            operator,
            sagas,
            reconciler,
            seeds: Arc::new(seeds),
            folder,
            schedules,
            relocator: relocator.map(Arc::new),
            backups,
            started: Instant::now(),
            seeding: one(),
            verifying: one(),
        }
    }
}

impl State {
    fn transactions(&self) -> transactions::Operator {
        transactions::Operator::new(self.registry.clone(), self.operator.audit_log().clone())
    }
}

type Body = BoxBody<Bytes, Infallible>;

/// `user` is the number of the user who asks, if the kernel says it.
pub(super) async fn respond(request: Request<Incoming>, state: State, user: Option<u32>) -> Response<Body> {
    dispatch(request, state, user).await.unwrap_or_else(|error| json(StatusCode::BAD_REQUEST, &error))
}

/// # Errors
/// When the body of the request cannot be read or parsed.
async fn dispatch(request: Request<Incoming>, state: State, user: Option<u32>) -> Result<Response<Body>, ErrorMessage> {
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/contexts") => {
            json(StatusCode::OK, &status::statuses(&state.registry, &state.deployer, &state.backups))
        }
        (&Method::GET, "/schedules") => schedules(state).await,
        (&Method::POST, "/call") => call(body(request).await?, state).await,
        (&Method::GET, "/routes") => json(StatusCode::OK, &state.registry.routes()),
        (&Method::POST, "/route") => route(body(request).await?, state).await,
        (&Method::POST, "/record") => record(body(request).await?, state).await,
        (&Method::POST, "/compare") => compare(&body(request).await?, &state),
        (&Method::GET, "/pretend") => json(StatusCode::OK, &state.registry.pretences()),
        (&Method::POST, "/pretend") => {
            let request: PretendRequest = body(request).await?;
            let who = user.map_or_else(|| "unknown".to_owned(), audit::user);
            blocking(move || pretend::respond(&state.registry, state.operator.audit_log(), &who, &request)).await
        }
        (&Method::POST, "/forecast") => {
            let request: ForecastRequest = body(request).await?;
            // Looks at the sizes of files.
            blocking(move || forecast(&state, &request)).await
        }
        (&Method::POST, "/backup") => take_backup(body(request).await?, state).await,
        (&Method::GET, "/events") => blocking(move || Ok(state.operator.statuses())).await,
        (&Method::POST, "/events") => {
            let request: EventsRequest = body(request).await?;
            let who = user.map_or_else(|| "unknown".to_owned(), audit::user);
            blocking(move || events::respond(&state.operator, &who, request)).await
        }
        (&Method::GET, "/transactions") => blocking(move || Ok(state.transactions().overview())).await,
        (&Method::POST, "/transactions") => {
            let TransactionsRequest { transaction, choice, why } = body(request).await?;
            let who = user.map_or_else(|| "unknown".to_owned(), audit::user);
            blocking(move || Ok(state.transactions().choose(&who, &transaction, choice, &why)?)).await
        }
        (&Method::POST, "/sagas") => {
            let request: SagasRequest = body(request).await?;
            let who = user.map_or_else(|| "unknown".to_owned(), audit::user);
            blocking(move || sagas::respond(&state.sagas, &who, request)).await
        }
        (&Method::POST, "/reconcile") => {
            let request: ReconcileRequest = body(request).await?;
            let who = user.map_or_else(|| "unknown".to_owned(), audit::user);
            blocking(move || reconcile::respond(&state.reconciler, &who, request)).await
        }
        (&Method::POST, "/audit") => {
            let request: AuditRequest = body(request).await?;
            blocking(move || Ok(state.operator.audit(request.count)?)).await
        }
        (&Method::POST, "/verify") => verify(body(request).await?, state),
        (&Method::POST, "/seed") => seed(body(request).await?, state),
        (&Method::POST, "/deploy") => {
            let request: deploy::DeployRequest = body(request).await?;
            change(move |passed| state.deployer.deploy(&request, passed))
        }
        (&Method::POST, "/relocate") => {
            let request: RelocateRequest = body(request).await?;
            let (send, sent) = mpsc::channel(4);
            let who = user.map_or_else(|| "unknown".to_owned(), audit::user);
            tokio::spawn(relocate::run(state.relocator, who, request, send));
            stream_of(sent)
        }
        (&Method::GET, "/moves") => {
            blocking(move || Ok(state.relocator.map(|moves| moves.moves()).unwrap_or_default())).await
        }
        (&Method::POST, "/rollback") => {
            let request: deploy::RollbackRequest = body(request).await?;
            change(move |passed| state.deployer.roll_back(&request, passed))
        }
        (&Method::GET, "/history") => match state.deployer.history(None) {
            Ok(entries) => json(StatusCode::OK, &entries),
            Err(error) => internal(&error),
        },
        (method, path) => {
            let message = format!("the host does not know the request {method} {path} on its admin socket");
            let remedy = "use the `seam` binary that the running host was started from".to_owned();
            json(StatusCode::NOT_FOUND, &ErrorMessage { message, excerpt: None, remedy })
        }
    })
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, ErrorMessage> {
    let error = |message: String| ErrorMessage { message, excerpt: None, remedy: String::new() };
    let limited = Limited::new(request.into_body(), limits::ADMIN_BODY_BYTES_MAX);
    let all = tokio::time::timeout(Duration::from_millis(limits::ADMIN_REQUEST_MS), limited.collect()).await;
    let all = all.map_err(|_| error("the request did not arrive in time".into()))?;
    let bytes = all.map_err(|cause| error(format!("cannot read the request: {cause}")))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|cause| error(format!("cannot parse the request: {cause}")))
}

async fn call(request: CallRequest, state: State) -> Response<Body> {
    let timeout = Duration::from_millis(request.timeout_ms.min(limits::CALL_TIMEOUT_MS_MAX));
    // A guest may run for long: not on a worker.
    let work = move || match invoke::run(&state.registry, &request.context, &request.text, timeout) {
        Ok(answer) => json(StatusCode::OK, &CallResult::from(&answer)),
        Err(error) => {
            let status = match error {
                invoke::Error::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_REQUEST,
            };
            json(status, &ErrorMessage::from(&error))
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| internal(&error))
}

async fn schedules(state: State) -> Response<Body> {
    // Reads files.
    let work = move || {
        let timers = timers::statuses(&state.registry);
        let mut schedules = state.schedules.statuses();
        schedules.retain(|status| state.registry.lives_elsewhere(&status.context).is_none());
        json(StatusCode::OK, &ByTime { schedules, timers })
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| internal(&error))
}

async fn route(request: RouteRequest, state: State) -> Response<Body> {
    // Changing routes waits for the disk.
    let work = move || match state.registry.route(&request.context, &request.changes) {
        Ok(status) => json(StatusCode::OK, &status),
        Err(refused) => json(StatusCode::CONFLICT, &ErrorMessage::from(refused)),
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| internal(&error))
}

async fn record(request: RecordRequest, state: State) -> Response<Body> {
    // Starting a recording waits for the writer and copies a file.
    let work = move || match record::record(&state.registry, &request) {
        Ok(response) => json(StatusCode::OK, &response),
        Err(error) => json(StatusCode::CONFLICT, &error),
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| internal(&error))
}

async fn take_backup(request: BackupRequest, state: State) -> Response<Body> {
    let work = move || match backup::take(&state.registry, state.folder.path(), &request.into) {
        Ok(taken) => json(StatusCode::OK, &taken),
        Err(error) => json(StatusCode::CONFLICT, &ErrorMessage::from(&error)),
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| internal(&error))
}

/// Responds with what `work` returns, which may wait for a disk.
async fn blocking<T: Serialize>(work: impl FnOnce() -> Result<T, ErrorMessage> + Send + 'static) -> Response<Body> {
    let respond = move || match work() {
        Ok(response) => json(StatusCode::OK, &response),
        Err(error) => json(StatusCode::CONFLICT, &error),
    };
    tokio::task::spawn_blocking(respond).await.unwrap_or_else(|error| internal(&error))
}

fn forecast(state: &State, request: &ForecastRequest) -> Result<Forecast, ErrorMessage> {
    let ForecastRequest { context, way } = request;
    if !state.registry.generations().iter().any(|generation| generation.context().as_str() == context) {
        if let Some(host) = state.registry.lives_elsewhere(context) {
            return Err(Refused::elsewhere(context, &host).into());
        }
        let remedy = "`seam contexts` lists the contexts";
        return Err(Refused::new(format!("there is no context `{context}`"), remedy).into());
    }
    let snapshot = Snapshot::of(&state.registry, state.started.elapsed().as_secs_f64());
    Ok(forecast::forecast(&snapshot, context, *way))
}

fn compare(request: &CompareRequest, state: &State) -> Response<Body> {
    match state.registry.compare(&request.context) {
        Ok(comparison) => json(StatusCode::OK, &comparison),
        Err(refused) => json(StatusCode::CONFLICT, &ErrorMessage::from(refused)),
    }
}

fn seed(request: SeedRequest, state: State) -> Response<Body> {
    let Ok(permit) = state.seeding.clone().try_acquire_owned() else {
        let message = "the seeds are already being loaded".to_owned();
        return json(
            StatusCode::CONFLICT,
            &ErrorMessage { message, excerpt: None, remedy: "wait until they are loaded".into() },
        );
    };
    lines(move |send| {
        let mut progress = |at: &seed::Progress| send(SeedEvent::Progress(at.clone()));
        let done = seed::run(&state.registry, &state.seeds, &state.folder, &request, &mut progress);
        drop(permit);
        match done {
            Ok(()) => send(SeedEvent::Done),
            Err(error) => send(SeedEvent::Failed(ErrorMessage::from(&error))),
        }
    })
}

fn verify(request: VerifyRequest, state: State) -> Response<Body> {
    let Ok(permit) = state.verifying.clone().try_acquire_owned() else {
        let message = "the host is being verified already".to_owned();
        return json(
            StatusCode::CONFLICT,
            &ErrorMessage { message, excerpt: None, remedy: "try again in a moment".into() },
        );
    };
    lines(move |send| {
        let mut progress = |at: &verify::Progress| send(VerifyEvent::Progress(at.clone()));
        let elsewhere = &state.reconciler.world().elsewhere;
        let verified = verify::verify_live(&state.registry, elsewhere, &request, &mut progress);
        drop(permit);
        match verified {
            Ok(report) => send(VerifyEvent::Done(Box::new(report))),
            Err(error) => send(VerifyEvent::Failed(ErrorMessage::from(&error))),
        }
    })
}

fn change(
    work: impl FnOnce(&mut dyn FnMut(&deploy::Passed)) -> deploy::DeployReport + Send + 'static,
) -> Response<Body> {
    lines(move |send| {
        let report = work(&mut |passed| send(DeployEvent::Passed(passed.clone())));
        send(DeployEvent::Done(Box::new(report)));
    })
}

/// A response of lines, each an event of `work`, which runs on a thread of its own. It continues when the client hangs
/// up.
fn lines<E: Serialize + Send + 'static>(work: impl FnOnce(&dyn Fn(E)) + Send + 'static) -> Response<Body> {
    // A client that stops reading stops the work after a few events.
    let (lines, sent) = mpsc::channel::<E>(4);
    tokio::task::spawn_blocking(move || work(&|event| drop(lines.blocking_send(event))));
    stream_of(sent)
}

fn stream_of<E: Serialize + Send + 'static>(mut sent: mpsc::Receiver<E>) -> Response<Body> {
    let frames = futures::stream::poll_fn(move |cx| {
        let line = |event: E| {
            let mut line = serde_json::to_vec(&event).unwrap_or_default();
            line.push(b'\n');
            Ok::<_, Infallible>(Frame::data(Bytes::from(line)))
        };
        sent.poll_recv(cx).map(|event| event.map(line))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    response
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let mut response = Response::new(Full::new(Bytes::from(bytes)).boxed());
            *response.status_mut() = status;
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Err(error) => internal(&error),
    }
}

fn internal(error: &dyn std::error::Error) -> Response<Body> {
    tracing::error!(target: "admin", %error, "request failed");
    let message = serde_json::json!({ "message": "the host failed; its log has the reason" }).to_string();
    let mut response = Response::new(Full::new(Bytes::from(message)).boxed());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
