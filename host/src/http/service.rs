//! One request: screened, routed, answered, finished.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use arc_swap::ArcSwap;
use http::header;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use super::access::Record;
use super::body::Body;
use super::connection::{self, Busy, Protocol, Pulse};
use super::dev::{self, Board};
use super::metrics::{Metrics, OfContext};
use super::page::Refusal;
use super::route::{Mount, Routes, Source};
use super::{Config, Error, Limits, Steering, finish, headers, lean, ops, wasi};
use crate::context::run::Serves;
use crate::handoff;
use crate::ids::Trace;

/// What all connections share.
pub(super) struct Edge {
    pub(super) limits: Limits,
    pub(super) protocol: Protocol,
    pub(super) metrics: Metrics,
    pub(super) registry: prometheus::Registry,
    routes: ArcSwap<Routes>,
    source: Source,
    ops: bool,
    steering: Steering,
    /// What browsers are told while somebody works on the system.
    pub(super) dev: Option<Board>,
    /// The numbers of what the host answers itself.
    own: Arc<OfContext>,
    draining: AtomicBool,
}

impl Edge {
    pub(super) fn new(config: Config, source: Source, registry: &prometheus::Registry) -> Result<Self, Error> {
        let metrics = Metrics::new(registry)?;
        Ok(Self {
            protocol: connection::protocol(&config.limits),
            routes: ArcSwap::from_pointee(Routes::new(&config.mounts, &metrics, &Routes::default())?),
            own: metrics.of("-")?,
            metrics,
            registry: registry.clone(),
            source,
            ops: config.ops,
            steering: config.steering,
            dev: config.dev,
            draining: AtomicBool::new(false),
            limits: config.limits,
        })
    }

    /// From now on the server is not ready.
    pub(super) fn drain(&self) {
        self.draining.store(true, Relaxed);
        self.dev.iter().for_each(Board::close);
    }

    /// From now on requests go by these mounts. Those that run keep theirs.
    pub(super) fn mount(&self, mounts: &[super::Mount]) -> Result<(), Error> {
        let routes = Routes::new(mounts, &self.metrics, &self.routes.load())?;
        self.routes.store(Arc::new(routes));
        Ok(())
    }

    pub(super) fn ready(&self) -> bool {
        !self.draining.load(Relaxed)
            && match &self.source {
                Source::Registry(registry) => {
                    self.routes.load().contexts().all(|context| registry.live(context.as_str()).is_ok())
                }
                #[cfg(test)]
                Source::Native(_) => true,
            }
    }
}

/// What is written down once a request's last byte is out: numbers always, a line when the access log is on.
pub(super) struct Finished {
    pub(super) bytes: u64,
    status: StatusCode,
    started: Instant,
    metrics: Arc<OfContext>,
    access: Option<Box<Record>>,
    _busy: Busy,
}

impl Drop for Finished {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.metrics.count(self.status, took, self.bytes);
        if let Some(access) = &self.access {
            access.write(self.status, self.bytes, took);
        }
    }
}

/// Answers a request, whatever it is. HTTP/1.1 runs this on the connection's task, HTTP/2 on a task for each request.
pub(super) async fn answer(
    edge: Arc<Edge>,
    pulse: Arc<Pulse>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let started = Instant::now();
    let busy = pulse.busy();
    let (mut parts, body) = request.into_parts();
    if edge.dev.is_some() {
        dev::whole_pages(&mut parts);
    }
    let trace = headers::trace(&parts.headers);
    let (mount, answer) = dispatch(&edge, &pulse, &parts, body, trace).await;
    let response = answer.unwrap_or_else(|refusal| {
        let response = refusal.into_response(&parts, &trace);
        match &edge.dev {
            Some(board) => board.mark(&parts, response),
            None => response,
        }
    });
    let mut response = finish::without_body(&parts.method, response);
    if let Some(value) = headers::traceparent(&trace) {
        response.headers_mut().insert(headers::TRACEPARENT, value);
    }
    let finished = Finished {
        bytes: 0,
        status: response.status(),
        started,
        metrics: mount.as_ref().map_or(&edge.own, |mount| &mount.metrics).clone(),
        access: Record::new(&parts, mount.as_deref(), pulse.client, trace),
        _busy: busy,
    };
    Ok(response.map(|body| body.watch(finished)))
}

async fn dispatch(
    edge: &Edge,
    pulse: &Pulse,
    parts: &Parts,
    body: Incoming,
    trace: Trace,
) -> (Option<Arc<Mount>>, Result<Response<Body>, Refusal>) {
    if let Err(refusal) = screen(parts, pulse) {
        return (None, Err(refusal));
    }
    let path = parts.uri.path();
    if edge.ops
        && let Some(answer) = ops::answer(edge, &parts.method, path)
    {
        return (None, answer);
    }
    if let Some(board) = &edge.dev
        && let Some(answer) = board.answer(&parts.method, path)
    {
        return (None, answer);
    }
    let found = edge.routes.load().find(path).map(|(mount, below)| (mount.clone(), below));
    let Some((mount, below)) = found else { return (None, Err(Refusal::NotFound)) };
    let answer = ask(edge, pulse, &mount, below, parts, body, trace).await;
    (Some(mount), answer)
}

async fn ask(
    edge: &Edge,
    pulse: &Pulse,
    mount: &Mount,
    below: &str,
    parts: &Parts,
    body: Incoming,
    trace: Trace,
) -> Result<Response<Body>, Refusal> {
    if let Some(assets) = &mount.assets
        && let Some(file) = below.strip_prefix("/assets/")
    {
        let answer = assets.answer(parts, file)?;
        return Ok(if edge.dev.is_some() { dev::always_asked_for(answer) } else { answer });
    }
    let span = tracing::info_span!(
        target: "http",
        "request",
        trace = %format_args!("{:032x}", trace.trace_id),
        method = %parts.method,
        path = below,
        context = %mount.context,
    );
    let response = match &edge.source {
        #[cfg(test)]
        Source::Native(native) => {
            let ask = lean::Ask { mount, below, parts, trace, forwarded: &pulse.forwarded, limits: &edge.limits };
            lean::answer(ask, body, |call, request| span.in_scope(|| native(call, request))).await?
        }
        Source::Registry(registry) => {
            let (steer, wanted) = (edge.steering.steer(&parts.headers, trace), edge.steering.wanted(&parts.headers));
            let query = parts.uri.query().filter(|_| parts.method == Method::GET);
            let live = registry.live_for(mount.context.as_str(), steer, wanted, query)?;
            match live.serves() {
                Serves::BufferedHttp => {
                    let ask =
                        lean::Ask { mount, below, parts, trace, forwarded: &pulse.forwarded, limits: &edge.limits };
                    let handle = |call, request| span.in_scope(|| live.handle(call, request));
                    match parts.method.is_safe() {
                        true => lean::answer(ask, body, handle).await?,
                        // It will write, and wait for the disk several times: the worker is handed over once for all of them.
                        false => {
                            lean::answer(ask, body, |call, request| handoff::blocking(|| handle(call, request))).await?
                        }
                    }
                }
                Serves::WasiHttp => {
                    let ask = wasi::Ask { mount, below, parts, trace, pulse, limits: &edge.limits };
                    wasi::answer(ask, live, body, span).await?
                }
                Serves::Nothing => return Err(Refusal::NotFound),
            }
        }
    };
    let response = match &edge.dev {
        Some(board) => board.mark(parts, response),
        None => response,
    };
    Ok(finish::response(parts, response))
}

/// Refuses what hyper lets pass and what one side of a proxy could read differently from the other.
fn screen(parts: &Parts, pulse: &Pulse) -> Result<(), Refusal> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    let authority = parts.uri.authority();
    if second.is_some() {
        return Err(Refusal::Malformed("more than one Host"));
    }
    if host.is_none()
        && (parts.version == Version::HTTP_11 || (parts.version == Version::HTTP_2 && authority.is_none()))
    {
        return Err(Refusal::Malformed("no Host"));
    }
    if host.is_some_and(|host| !plausible(host)) {
        return Err(Refusal::Malformed("the Host is not a host"));
    }
    if let (Some(host), Some(authority)) = (host, authority)
        && !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
    {
        return Err(Refusal::Malformed("the Host differs from the address asked for"));
    }
    if parts.version < Version::HTTP_2 && pulse.smuggled() && parts.headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::Malformed("Content-Length and Transfer-Encoding together"));
    }
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(Refusal::Method("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    if !parts.uri.path().starts_with('/') {
        return Err(Refusal::Bad("the path has no slash at its begin"));
    }
    Ok(())
}

/// A name or an address with or without a port; not what would be something else in front of a path.
fn plausible(host: &HeaderValue) -> bool {
    host.as_bytes().iter().all(|byte| byte.is_ascii_graphic() && !b"/\\?#@,".contains(byte))
}
