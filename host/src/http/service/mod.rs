//! One request: checked, routed, answered, recorded.

mod mounts;
mod screen;
mod target;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use arc_swap::ArcSwap;
use futures::FutureExt;
use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use seam_store::ids::Trace;

use self::mounts::{MountTable, OpenMount};
use super::authority;
use super::body::{self, Body};
use super::client::Client;
use super::config::{Config, Mount};
use super::connection_activity::ConnectionActivity;
use super::error::Error;
use super::guest::affinity::AffinityConfig;
use super::guest::{Contexts, RoutedRequest};
use super::header_fields;
use super::limits::Limits;
use super::observe::access_log::Entry;
use super::observe::completion::Completion;
use super::observe::metrics::{ContextMetrics, Cut, Metrics};
use super::own::dev::{self, StatusBoard};
use super::own::feeds::{Feeds, Outboxes};
use super::own::{ops, this_machine};
use super::proxies::Proxies;
use super::request_error::RequestError;
use super::response::error_page::error_page;
use super::response::hsts::Hsts;
use super::response::negotiate;
use crate::manifest::Ops;

/// What answers the requests of all connections.
pub struct Service {
    pub limits: Limits,
    pub metrics: Metrics,
    registry: prometheus::Registry,
    mounts: ArcSwap<MountTable>,
    contexts: Contexts,
    affinity: AffinityConfig,
    pub proxies: Proxies,
    hsts: Hsts,
    ops: Ops,
    feeds: Feeds,
    dev: Option<StatusBoard>,
    /// Of the responses of the host itself.
    own_metrics: Arc<ContextMetrics>,
    draining: AtomicBool,
}

impl Service {
    pub fn new(
        config: Config,
        contexts: Contexts,
        outboxes: &Outboxes,
        registry: &prometheus::Registry,
    ) -> Result<Self, Error> {
        let metrics = Metrics::new(registry)?;
        Ok(Self {
            mounts: ArcSwap::from_pointee(MountTable::new(&config.mounts, &metrics, &MountTable::default())?),
            own_metrics: metrics.context("-")?,
            metrics,
            registry: registry.clone(),
            contexts,
            affinity: config.affinity,
            proxies: Proxies::new(config.proxies),
            hsts: Hsts::new(config.hsts_days),
            ops: config.ops,
            feeds: Feeds::open(config.feeds, outboxes, registry)?,
            dev: config.dev,
            draining: AtomicBool::new(false),
            limits: config.limits,
        })
    }

    /// From now on the server is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
        self.dev.iter().for_each(StatusBoard::close);
        self.feeds.close();
    }

    /// Replaces the mounts. Running requests keep theirs.
    pub fn set_mounts(&self, mounts: &[Mount]) -> Result<(), Error> {
        let mounts = MountTable::new(mounts, &self.metrics, &self.mounts.load())?;
        self.mounts.store(Arc::new(mounts));
        Ok(())
    }

    /// Why the server is not ready; `None` when it is.
    fn not_ready(&self) -> Option<String> {
        if self.draining.load(Relaxed) {
            return Some("the host stops".to_owned());
        }
        self.contexts.not_ready(self.mounts.load().contexts())
    }

    /// HTTP/1.1 runs this on the connection's task, HTTP/2 on one task per request.
    pub async fn respond(
        self: Arc<Self>,
        connection: Arc<ConnectionActivity>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let started = Instant::now();
        let active = connection.begin_request();
        let (mut parts, body) = request.into_parts();
        let mut body = Some(body);
        if self.dev.is_some() {
            dev::always_send_pages(&mut parts);
        }
        let (trace, linked) = header_fields::take_trace(&mut parts.headers, connection.peer_is_trusted);
        let client = self.proxies.client(&connection.peer, connection.peer_is_trusted, &parts.headers);
        let dev = self.dev.as_ref().filter(|_| is_from_this_machine(&connection, &client, &parts));
        // A panic in the host's own code costs this request only, not the other streams of its connection.
        let dispatched =
            AssertUnwindSafe(self.dispatch(&connection, &client, &parts, &mut body, trace, dev)).catch_unwind().await;
        let (mount, answer) = dispatched.unwrap_or_else(|panic| (None, Err(panicked(&*panic))));
        let refused = matches!(answer, Err(RequestError::BadRequest(_) | RequestError::NotFound));
        if let Some(unread) = body.filter(|_| refused) {
            body::skip(unread, &parts).await;
        }
        let metrics = mount.as_ref().map_or(&self.own_metrics, |mount| &mount.metrics);
        match &answer {
            Ok(response) if parts.method == Method::HEAD && response.body().is_streamed() => metrics.cut(Cut::Head),
            Err(RequestError::BodyCut) => metrics.cut(Cut::UploadLeft),
            Err(RequestError::BodyTooSlow) => metrics.cut(Cut::UploadSlow),
            Err(RequestError::BodyTooLarge) => metrics.cut(Cut::UploadLarge),
            Err(RequestError::Panicked(_)) => metrics.count_panic(),
            _ => {}
        }
        let response = answer.unwrap_or_else(|error| with_script(dev, &parts, error_page(error, &parts, &trace)));
        let mut response = negotiate::without_body(&parts.method, response);
        if let Some(value) = header_fields::traceparent(&trace) {
            response.headers_mut().insert(header_fields::TRACEPARENT, value);
        }
        if client.secure {
            let status = response.status();
            self.hsts.add(authority::of(&parts).ok().flatten(), status, response.headers_mut());
        }
        let completion = Completion {
            bytes: 0,
            status: response.status(),
            started,
            metrics: metrics.clone(),
            access: Entry::new(&parts, mount.as_ref().map(|mount| &mount.context), &client, trace, linked),
            trace,
            active,
        };
        response.map(|body| body.observe(completion))
    }

    async fn dispatch(
        &self,
        connection: &ConnectionActivity,
        client: &Client,
        parts: &Parts,
        body: &mut Option<Incoming>,
        trace: Trace,
        dev: Option<&StatusBoard>,
    ) -> (Option<Arc<OpenMount>>, Result<Response<Body>, RequestError>) {
        let host = match screen::check(parts, connection) {
            Ok(host) => host,
            Err(error) => return (None, Err(error)),
        };
        let path = parts.uri.path();
        let from_this_machine = || this_machine::asks(connection, client, parts, host);
        if ops::may_ask(self.ops, connection, from_this_machine)
            && let Some(answer) = ops::respond(&parts.method, path, &self.registry, || self.not_ready())
        {
            return (None, answer);
        }
        if connection.is_for_ops {
            return (None, Err(RequestError::NotFound));
        }
        if let Some(board) = dev
            && let Some(answer) = board.respond(&parts.method, path)
        {
            return (None, answer);
        }
        if let Some(answer) = self.feeds.respond(parts, host, client, from_this_machine) {
            return (None, answer);
        }
        let found = self.mounts.load().find(host, path).map(|(mount, below)| (mount.clone(), below));
        let (mount, path) = match found {
            Ok(found) => found,
            Err(error) => return (None, Err(error)),
        };
        if mount.separation.refuses(&parts.method, &parts.headers) {
            return (Some(mount), Err(RequestError::NotFound));
        }
        if let Some(assets) = &mount.assets
            && let Some(file) = path.strip_prefix("/assets/")
        {
            let answer = assets.respond(parts, file);
            let answer = if self.dev.is_some() { answer.map(dev::revalidated) } else { answer };
            return (Some(mount), answer);
        }
        let routed = RoutedRequest {
            context: &mount.context,
            timeout: mount.timeout,
            path,
            host,
            parts,
            trace,
            client,
            separation: &mount.separation,
            metrics: &mount.metrics,
            limits: &self.limits,
        };
        let Some(body) = body.take() else { return (Some(mount), Err(RequestError::NotFound)) };
        // Dropped unanswered when the client hangs up.
        let waiting = Waiting(&mount.metrics);
        let answer = self.contexts.respond(routed, &self.affinity, body).await;
        std::mem::forget(waiting);
        let answer = answer.map(|response| negotiate::negotiate(parts, with_script(dev, parts, response)));
        (Some(mount), answer)
    }
}

/// Whether the request comes from this machine; not if it does not say which host it is for.
fn is_from_this_machine(connection: &ConnectionActivity, client: &Client, parts: &Parts) -> bool {
    authority::of(parts).is_ok_and(|host| this_machine::asks(connection, client, parts, host))
}

/// The response, with the script of the development loop in its page if the client may have it.
fn with_script(dev: Option<&StatusBoard>, parts: &Parts, response: Response<Body>) -> Response<Body> {
    match dev {
        Some(board) => board.add_script(parts, response),
        None => response,
    }
}

/// Counts a client that hung up before its answer, when it drops; forgotten when there is an answer.
struct Waiting<'m>(&'m ContextMetrics);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.cut(Cut::HangUp);
        }
    }
}

/// The host's own fault: its context is not to blame.
fn panicked(panic: &(dyn Any + Send)) -> RequestError {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref().map(String::as_str));
    RequestError::Panicked(format!("the host panicked: {}", text.unwrap_or("without a message")))
}
