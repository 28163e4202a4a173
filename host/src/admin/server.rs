//! The host's end of the admin socket.
//!
//! The socket is made inside a private folder and then moved to its place, so there is no moment at which others could connect. A
//! socket that a killed host left behind is replaced by the same move; the data folder's lock says that nobody listens on it.

use std::convert::Infallible;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};

use super::record::record;
use super::{
    CallAnswer, CallRequest, CompareRequest, DeployEvent, Event, RecordRequest, RouteRequest, SeedRequest, Trouble,
    status,
};
use crate::context::serve::Registry;
use crate::deploy::{self, Deployer};
use crate::folder::{self, Folder};
use crate::manifest::Seed;
use crate::{invoke, limits, seed};

/// What the socket's answers come from.
#[derive(Clone)]
pub struct State {
    pub registry: Registry,
    pub deployer: Deployer,
    pub seeds: Arc<[Seed]>,
    pub folder: Arc<Folder>,
    /// One seeding at a time: two would write the list of loaded seeds over each other.
    seeding: Arc<Semaphore>,
}

impl State {
    pub fn new(registry: Registry, deployer: Deployer, seeds: Vec<Seed>, folder: Arc<Folder>) -> Self {
        Self { registry, deployer, seeds: seeds.into(), folder, seeding: Arc::new(Semaphore::new(1)) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on the admin socket `{}`", path.display())]
pub struct Error {
    path: PathBuf,
    source: std::io::Error,
}

/// A bound socket; removed when dropped.
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    state: State,
}

impl Server {
    /// Binds `<data>/seam.sock`. To be called within the runtime.
    ///
    /// # Errors
    /// When the folder cannot be written to, or its path is too long for a socket (about 90 bytes).
    pub fn bind(state: State) -> Result<Self, Error> {
        let path = folder::socket(state.folder.path());
        match bind(state.folder.path(), &path) {
            Ok(listener) => Ok(Self { listener, path, state }),
            Err(source) => Err(Error { path, source }),
        }
    }

    /// Answers until the future is dropped.
    pub async fn run(self) {
        let places = Arc::new(Semaphore::new(limits::ADMIN_CONNECTIONS_MAX));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let state = self.state.clone();
                    tokio::spawn(async move {
                        serve(stream, state).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(target: "admin", %error, "cannot accept connections, trying on");
                    tokio::time::sleep(Duration::from_millis(limits::HTTP_ACCEPT_BACKOFF_MS)).await;
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

fn bind(data: &Path, path: &Path) -> std::io::Result<UnixListener> {
    let private = data.join(format!(".sock-{}", std::process::id()));
    std::fs::remove_dir_all(&private).ok();
    std::fs::DirBuilder::new().mode(0o700).create(&private)?;
    let bound = || {
        let made = private.join("s");
        let listener = UnixListener::bind(&made)?;
        std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&made, path)?;
        Ok(listener)
    };
    let listener = bound();
    std::fs::remove_dir_all(&private).ok();
    listener
}

async fn serve(stream: UnixStream, state: State) {
    let answer = hyper::service::service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(answer(request, state).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits::ADMIN_REQUEST_MS))
        .serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = served.await {
        tracing::debug!(target: "admin", %error, "connection ended");
    }
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(request: Request<Incoming>, state: State) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/contexts") => json(StatusCode::OK, &status::statuses(&state.registry)),
        (&Method::POST, "/call") => match body::<CallRequest>(request).await {
            Ok(asked) => call(asked, state).await,
            Err(trouble) => json(StatusCode::BAD_REQUEST, &trouble),
        },
        (&Method::GET, "/routes") => json(StatusCode::OK, &state.registry.routes()),
        (&Method::POST, "/route") => match body::<RouteRequest>(request).await {
            Ok(asked) => route(asked, state).await,
            Err(trouble) => json(StatusCode::BAD_REQUEST, &trouble),
        },
        (&Method::POST, "/record") => match body::<RecordRequest>(request).await {
            Ok(asked) => {
                // It waits for the writer and copies a file.
                let done = move || match record(&state.registry, &asked) {
                    Ok(answer) => json(StatusCode::OK, &answer),
                    Err(trouble) => json(StatusCode::CONFLICT, &trouble),
                };
                tokio::task::spawn_blocking(done).await.unwrap_or_else(|error| internal(&error))
            }
            Err(trouble) => json(StatusCode::BAD_REQUEST, &trouble),
        },
        (&Method::POST, "/compare") => match body::<CompareRequest>(request).await {
            Ok(asked) => match state.registry.compare(&asked.context) {
                Ok(comparison) => json(StatusCode::OK, &comparison),
                Err(refused) => json(StatusCode::CONFLICT, &Trouble::from(refused)),
            },
            Err(trouble) => json(StatusCode::BAD_REQUEST, &trouble),
        },
        (&Method::POST, "/seed") => match body::<SeedRequest>(request).await {
            Ok(asked) => seed(asked, state),
            Err(trouble) => json(StatusCode::BAD_REQUEST, &trouble),
        },
        (&Method::POST, "/deploy") => match body::<deploy::DeployRequest>(request).await {
            Ok(asked) => change(move |tell| state.deployer.deploy(&asked, tell)),
            Err(trouble) => json(StatusCode::BAD_REQUEST, &trouble),
        },
        (&Method::POST, "/rollback") => match body::<deploy::RollbackRequest>(request).await {
            Ok(asked) => change(move |tell| state.deployer.roll_back(&asked, tell)),
            Err(trouble) => json(StatusCode::BAD_REQUEST, &trouble),
        },
        (&Method::GET, "/history") => match state.deployer.history(None) {
            Ok(entries) => json(StatusCode::OK, &entries),
            Err(error) => internal(&error),
        },
        (method, path) => {
            let message = format!("this host answers no {method} {path} on its admin socket");
            let remedy = "use the `seam` of the host that is running".to_owned();
            json(StatusCode::NOT_FOUND, &Trouble { message, excerpt: None, remedy })
        }
    }
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Trouble> {
    let trouble = |message: String| Trouble { message, excerpt: None, remedy: String::new() };
    let limited = Limited::new(request.into_body(), limits::ADMIN_BODY_BYTES_MAX);
    let all = tokio::time::timeout(Duration::from_millis(limits::ADMIN_REQUEST_MS), limited.collect()).await;
    let all = all.map_err(|_| trouble("the request did not come to its end in time".into()))?;
    let bytes = all.map_err(|error| trouble(format!("the request cannot be read: {error}")))?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| trouble(format!("the request is not understood: {error}")))
}

async fn call(asked: CallRequest, state: State) -> Response<Body> {
    let timeout = Duration::from_millis(asked.timeout_ms.min(limits::CALL_TIMEOUT_MS_MAX));
    let run = move || match invoke::run(&state.registry, &asked.context, &asked.text, timeout) {
        Ok(answer) => json(StatusCode::OK, &CallAnswer::from(&answer)),
        Err(error) => {
            let status = match error {
                invoke::Error::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_REQUEST,
            };
            json(status, &Trouble::from(&error))
        }
    };
    // Guests run for as long as they may; requests keep the workers.
    tokio::task::spawn_blocking(run).await.unwrap_or_else(|error| internal(&error))
}

async fn route(asked: RouteRequest, state: State) -> Response<Body> {
    // It waits for the disk.
    let set = move || match state.registry.route(&asked.context, &asked.changes) {
        Ok(status) => json(StatusCode::OK, &status),
        Err(refused) => json(StatusCode::CONFLICT, &Trouble::from(refused)),
    };
    tokio::task::spawn_blocking(set).await.unwrap_or_else(|error| internal(&error))
}

fn seed(asked: SeedRequest, state: State) -> Response<Body> {
    let Ok(turn) = state.seeding.clone().try_acquire_owned() else {
        let message = "the seeds are being loaded already".to_owned();
        return json(StatusCode::CONFLICT, &Trouble { message, excerpt: None, remedy: "wait for it to end".into() });
    };
    lines(move |tell| {
        let mut progress = |at: &seed::Progress| tell(Event::Progress(at.clone()));
        let done = seed::run(&state.registry, &state.seeds, &state.folder, asked.force, &mut progress);
        drop(turn);
        match done {
            Ok(()) => tell(Event::Done),
            Err(error) => tell(Event::Failed(Trouble::from(&error))),
        }
    })
}

fn change(
    work: impl FnOnce(&mut dyn FnMut(&deploy::Passed)) -> deploy::DeployReport + Send + 'static,
) -> Response<Body> {
    lines(move |tell| {
        let report = work(&mut |passed| tell(DeployEvent::Passed(passed.clone())));
        tell(DeployEvent::Done(Box::new(report)));
    })
}

/// An answer of lines, each an event of `work`, on a thread where guests may run. It goes on when the client goes away.
fn lines<E: Serialize + Send + 'static>(work: impl FnOnce(&dyn Fn(E)) + Send + 'static) -> Response<Body> {
    // A few ahead of the client's reading; a client that stops reading stops the work.
    let (lines, mut sent) = mpsc::channel::<E>(4);
    tokio::task::spawn_blocking(move || work(&|event| drop(lines.blocking_send(event))));
    let frames = futures::stream::poll_fn(move |cx| {
        let line = |event: E| {
            let mut line = serde_json::to_vec(&event).unwrap_or_default();
            line.push(b'\n');
            Ok::<_, Infallible>(Frame::data(Bytes::from(line)))
        };
        sent.poll_recv(cx).map(|event| event.map(line))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed());
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/jsonl"));
    response
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let mut response = Response::new(Full::new(Bytes::from(bytes)).boxed());
            *response.status_mut() = status;
            let json = http::HeaderValue::from_static("application/json");
            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
            response
        }
        Err(error) => internal(&error),
    }
}

fn internal(error: &dyn std::error::Error) -> Response<Body> {
    tracing::error!(target: "admin", %error, "a request failed");
    let trouble = serde_json::json!({ "message": "the host failed; its log says more" }).to_string();
    let mut response = Response::new(Full::new(Bytes::from(trouble)).boxed());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}
