//! A request and its answer through `wasi:http/incoming-handler`: any component of the `proxy` world, unchanged.
//!
//! The guest runs in a task of its own, so that a client that hangs up does not stop it half-way; the mount's time bounds it. Each request
//! gets an instance that is thrown away after it: components made for other hosts may keep what they like in globals.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, Uri, Version, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Frame, Incoming};
use tokio::sync::oneshot;
use tracing::{Instrument, Span};
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{Error, WasiHttpView};

use super::body::{Body, BoxError};
use super::connection::Pulse;
use super::page::Refusal;
use super::route::Mount;
use super::{Limits, headers};
use crate::call::{Call, Failure, OutOfTime};
use crate::context::serve::{Checkout, Live};
use crate::ids::Trace;

/// A routed request without its body.
pub(super) struct Ask<'a> {
    pub(super) mount: &'a Mount,
    pub(super) below: &'a str,
    pub(super) parts: &'a Parts,
    pub(super) trace: Trace,
    pub(super) pulse: &'a Pulse,
    pub(super) limits: &'a Limits,
}

type Answer = Result<Response<HyperOutgoingBody>, ErrorCode>;
type Asked = Request<http_body_util::combinators::UnsyncBoxBody<Bytes, Error>>;

/// Hands the request to a fresh instance and answers with what it sets; its body follows as the guest writes it.
pub(super) async fn answer(ask: Ask<'_>, live: Live, body: Incoming, span: Span) -> Result<Response<Body>, Refusal> {
    if body.size_hint().lower() > ask.limits.body_bytes as u64 {
        return Err(Refusal::BodyTooLarge);
    }
    let request = request(&ask, body)?;
    let context = ask.mount.context.to_string();
    let call = Call::start(Instant::now() + ask.mount.timeout, ask.trace);
    let scheme = if ask.pulse.secure { Scheme::Https } else { Scheme::Http };
    let (sender, answer) = oneshot::channel();
    let broken = Arc::new(AtomicBool::new(false));
    let task = tokio::spawn(run(live, call, scheme, request, sender, broken.clone()).instrument(span));
    match answer.await {
        Ok(Ok(response)) => Ok(received(response, broken)),
        Ok(Err(code)) => Err(Refusal::BadAnswer { context, reason: format!("it answered the error {code:?}") }),
        Err(_) => match task.await {
            Ok(Err(failure)) => Err(failure.into()),
            Ok(Ok(())) => Err(Refusal::BadAnswer { context, reason: "it ended without an answer".into() }),
            Err(panic) => Err(Refusal::Internal(panic.to_string())),
        },
    }
}

/// Runs the guest to its end, which may come long after its answer began.
async fn run(
    live: Live,
    call: Call,
    scheme: Scheme,
    request: Asked,
    sender: oneshot::Sender<Answer>,
    broken: Arc<AtomicBool>,
) -> Result<(), Failure> {
    let mut guest = live.check_out(call).await?;
    let deadline = guest.call().deadline;
    let served = Arc::new(AtomicBool::new(false));
    let well = served.clone();
    let answer = move |answer: Answer| {
        well.store(answer.as_ref().is_ok_and(|response| !response.status().is_server_error()), Release);
        // Nobody waits any more when the client has hung up.
        let _ = sender.send(answer);
    };
    let handled = match tokio::time::timeout_at(deadline.into(), handle(&mut guest, scheme, request, answer)).await {
        Ok(handled) => handled,
        Err(_) => Err(OutOfTime.into()),
    };
    if handled.is_ok() && !served.load(Acquire) {
        guest.broke();
    }
    handled.map_err(|error| {
        // Before the instance goes, and with it the end of the stream that its answer's body comes from.
        broken.store(true, Release);
        guest.fail(&error)
    })
}

async fn handle(
    guest: &mut Checkout,
    scheme: Scheme,
    request: Asked,
    answer: impl FnOnce(Answer) + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    let Some((store, instance)) = guest.parts() else { wasmtime::bail!("the instance is gone") };
    let proxy = Proxy::new(&mut *store, instance)?;
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(scheme, request)?;
    let out = http.new_response_outparam_from_callback(answer)?;
    proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, out).await
}

/// The request as the guest sees it: its path below the mount, a body that ends in an error beyond the limit.
fn request(ask: &Ask<'_>, body: Incoming) -> Result<Asked, Refusal> {
    let mut uri = ask.parts.uri.clone().into_parts();
    let target = match ask.parts.uri.query() {
        Some(query) => format!("{}?{query}", ask.below),
        None => ask.below.to_owned(),
    };
    uri.path_and_query = Some(target.parse().map_err(|_| Refusal::Bad("the path cannot be read"))?);
    if uri.authority.is_none() {
        uri.scheme = None;
    }
    let limited = Limited::new(body, ask.limits.body_bytes).map_err(body_error).boxed_unsync();
    let mut request = Request::new(limited);
    *request.method_mut() = ask.parts.method.clone();
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| Refusal::Bad("the address cannot be read"))?;
    *request.headers_mut() = ask.parts.headers.clone();
    headers::strip_hop_by_hop(request.headers_mut());
    request.headers_mut().insert(header::FORWARDED, ask.pulse.forwarded.clone());
    if ask.parts.version < Version::HTTP_11 && !request.headers().contains_key(header::HOST) {
        return Err(Refusal::Malformed("no Host"));
    }
    if let Some(value) = headers::traceparent(&ask.trace) {
        request.headers_mut().insert(headers::TRACEPARENT, value);
    }
    Ok(request)
}

fn body_error(error: BoxError) -> Error {
    if error.is::<LengthLimitError>() {
        return Error::HttpRequestBodySize(None);
    }
    match error.downcast::<hyper::Error>() {
        Ok(error) => Error::Hyper(*error),
        Err(error) => Error::InternalError(Some(error.to_string())),
    }
}

fn received(response: Response<HyperOutgoingBody>, broken: Arc<AtomicBool>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    headers::strip_hop_by_hop(&mut parts.headers);
    Response::from_parts(parts, Body::Streamed(Box::pin(Written { body, broken })))
}

/// What the guest writes. Its end alone does not tell whether the guest finished the body or broke off.
struct Written {
    body: HyperOutgoingBody,
    broken: Arc<AtomicBool>,
}

impl hyper::body::Body for Written {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            // The connection is cut off: a client must not take a part for the whole.
            None if self.broken.load(Acquire) => Poll::Ready(Some(Err("the guest broke off".into()))),
            frame => Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from))),
        }
    }
}
