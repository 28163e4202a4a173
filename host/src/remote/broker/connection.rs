//! The connection to the broker: made at the start, and made again when it is lost or this host's files change.
//!
//! Invariant: it is TLS 1.3, and both sides have shown certificates of the system's authority. While the broker cannot
//! be reached, calls fail at once; a task tries again, with growing pauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerError};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::{BrokerConfig, envelope};
use crate::limits;
use crate::pause::pause_ms;
use crate::remote::credentials::{Credentials, Material};
use crate::remote::handshake::{self, Reason};
use crate::remote::metrics::Metrics;
use crate::remote::refusals::Refusals;

/// The connection, as those see it that use it.
#[derive(Clone)]
pub struct Connection(watch::Receiver<Stage>);

/// `Connecting -> Up | Down`, `Up -> Up | Down`, `Down -> Up`.
#[derive(Clone)]
pub enum Stage {
    Connecting,
    Up(Arc<Line>),
    /// Calls fail at once, for this reason.
    Down(Arc<str>),
}

/// A connection that takes messages.
pub struct Line {
    pub client: Client,
    lost: watch::Receiver<bool>,
}

impl Line {
    /// Returns when it has ended.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        // Its sender is dropped with the connection.
        let _ = lost.wait_for(|lost| *lost).await;
    }

    pub fn is_lost(&self) -> bool {
        *self.lost.borrow() || self.lost.has_changed().is_err()
    }
}

impl Connection {
    /// Starts to connect. The future keeps the connection, for ever.
    pub fn start(
        config: BrokerConfig,
        credentials: Credentials,
        metrics: Metrics,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (stage, stages) = watch::channel(Stage::Connecting);
        (Self(stages), keep(Keeper { config, credentials, metrics, stage, refusals: Refusals::default() }))
    }

    /// The connection, once it is there.
    ///
    /// # Errors
    /// For the caller, when the broker cannot be reached.
    pub async fn line(&self) -> Result<Arc<Line>, Arc<str>> {
        let mut stages = self.0.clone();
        let stage = stages.wait_for(|stage| !matches!(stage, Stage::Connecting)).await.map(|stage| stage.clone());
        match stage {
            Ok(Stage::Up(line)) if !line.is_lost() => Ok(line),
            Ok(Stage::Down(reason)) => Err(reason),
            Ok(_) => Err(LOST.into()),
            Err(_) => Err("this host stops".into()),
        }
    }

    pub fn is_down(&self) -> bool {
        matches!(&*self.0.borrow(), Stage::Down(_))
    }

    pub fn stages(&self) -> watch::Receiver<Stage> {
        self.0.clone()
    }
}

const LOST: &str = "the connection to the broker was lost";

struct Keeper {
    config: BrokerConfig,
    credentials: Credentials,
    metrics: Metrics,
    stage: watch::Sender<Stage>,
    refusals: Refusals,
}

impl Keeper {
    fn set(&self, stage: Stage) {
        self.metrics.set_up(&self.config.name, matches!(stage, Stage::Up(_)));
        self.stage.send_replace(stage);
    }

    fn who(&self) -> String {
        format!("the broker at {}", self.config.address)
    }
}

async fn keep(keeper: Keeper) {
    let mut changes = keeper.credentials.changes();
    let mut failures = 0_u32;
    let mut logged = String::new();
    loop {
        let material = changes.borrow_and_update().clone();
        match connect(&keeper, &material).await {
            Ok((line, mut events)) => {
                if failures > 0 {
                    tracing::info!(target: "remote", who = keeper.who(), "the broker can be reached again");
                }
                (failures, logged) = (0, String::new());
                keeper.set(Stage::Up(line.clone()));
                tokio::select! {
                    () = line.lost() => {}
                    () = heed(&keeper, &mut events) => {}
                    // The next connection shows the renewed certificate; calls go on on this one meanwhile.
                    Ok(()) = changes.changed() => continue,
                }
                tracing::warn!(
                    target: "remote", who = keeper.who(), hint = "see whether it runs; this host connects again",
                    "{LOST}: calls through it fail until then"
                );
                keeper.set(Stage::Down(LOST.into()));
                // Many hosts have lost it at the same moment.
                sleep(Duration::from_millis(pause_ms(1, Duration::from_millis(limits::BROKER_PAUSE_MS)))).await;
            }
            Err((why, remedy)) => {
                failures = failures.saturating_add(1);
                if logged != why {
                    tracing::warn!(
                        target: "remote", who = keeper.who(), why, hint = remedy,
                        "cannot reach the broker; calls through it fail until then"
                    );
                    logged = why;
                }
                keeper.set(Stage::Down("the broker cannot be reached".into()));
                let longest = Duration::from_millis(limits::REMOTE_PAUSE_MS_MAX);
                sleep(Duration::from_millis(pause_ms(failures, longest))).await;
            }
        }
    }
}

/// Logs what the broker refuses. Returns when it is about to stop.
async fn heed(keeper: &Keeper, events: &mut mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::ServerError(ServerError::Other(why)) => {
                const REMEDY: &str = "let the broker's configuration allow it: docs/placement.md, \"Many copies\"";
                keeper.refusals.log(&keeper.who(), "a message of this host, or what it asks for", &why, REMEDY);
            }
            Event::ServerError(error) => {
                keeper.refusals.log(&keeper.who(), "this host", &error.to_string(), "see the log of the broker");
            }
            Event::SlowConsumer(_) => {
                const WHY: &str = "more messages wait than this host holds; some were dropped";
                keeper.refusals.log(&keeper.who(), "messages of", WHY, "add another copy");
            }
            Event::LameDuckMode => return,
            _ => {}
        }
    }
}

type Connected = (Arc<Line>, mpsc::Receiver<Event>);

/// # Errors
/// For the log: why the broker cannot be reached, and what to do.
async fn connect(keeper: &Keeper, material: &Material) -> Result<Connected, Reason> {
    let config = &keeper.config;
    let tls = material.broker(&config.name).map_err(|error| handshake::explain(&error))?;
    let (lost, is_lost) = watch::channel(false);
    let lost = Arc::new(lost);
    let (said, events) = mpsc::channel(limits::BROKER_EVENTS);
    let first = AtomicBool::new(true);
    let ping = Duration::from_millis(limits::REMOTE_PING_MS);
    let options = ConnectOptions::new()
        .name(format!("seam {}", config.this))
        .require_tls(true)
        .tls_client_config(tls)
        .ignore_discovered_servers()
        .custom_inbox_prefix(envelope::replies(&config.this))
        .ping_interval(ping)
        .connection_timeout(Duration::from_millis(limits::REMOTE_CONNECT_MS))
        .request_timeout(None)
        .subscription_capacity(limits::BROKER_WAITING)
        .client_capacity(limits::BROKER_WAITING)
        .event_callback(move |event| {
            let (lost, said) = (lost.clone(), said.clone());
            async move {
                if matches!(event, Event::Disconnected | Event::Closed) {
                    lost.send_replace(true);
                }
                // What does not fit is a line of the log that is missing.
                let _ = said.try_send(event);
            }
        })
        // This task connects again, with the files of then: the library's own try comes when nothing uses it any more.
        .max_reconnects(1)
        .reconnect_delay_callback(move |_| match first.swap(false, Relaxed) {
            true => Duration::ZERO,
            false => Duration::from_millis(2 * limits::REMOTE_PAUSE_MS_MAX),
        });
    let connecting = options.connect(format!("tls://{}", config.address));
    let connected = timeout(Duration::from_millis(2 * limits::REMOTE_CONNECT_MS), connecting).await;
    let client = match connected {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(explain(&error)),
        Err(_) => return Err(explained(ConnectErrorKind::TimedOut, String::new())),
    };
    Ok((Arc::new(Line { client, lost: is_lost }), events))
}

fn explain(error: &async_nats::ConnectError) -> Reason {
    let why = seam_store::chain(error);
    // What TLS refuses has its own remedies.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return handshake::explain(io);
        }
        cause = error.source();
    }
    explained(error.kind(), why)
}

fn explained(kind: ConnectErrorKind, why: String) -> Reason {
    match kind {
        ConnectErrorKind::TimedOut => (
            "it does not answer in time".to_owned(),
            "check the network, and whether the broker runs; `at` names its address for clients",
        ),
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => (
            format!("it does not know this host: {why}"),
            "add a user for this host to the broker's configuration: docs/placement.md, \"Many copies\"",
        ),
        ConnectErrorKind::Dns => (why, "correct the address in `at`, or the name server"),
        _ => (why, "see whether it runs, and the log of the broker"),
    }
}
