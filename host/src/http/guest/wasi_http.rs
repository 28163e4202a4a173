//! A request and its answer through `wasi:http/incoming-handler`: any component of the `proxy` world, unchanged.
//!
//! The guest runs in its own task, so a client that hangs up does not stop it half-way; the mount's timeout bounds it.
//! Each request gets an instance that is dropped after it: components made for other hosts may keep state in globals.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU8,
    Ordering::{Acquire, Release},
};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response, Uri, Version, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Frame, Incoming};
use seam_runtime::buffered_http::check_head;
use seam_runtime::call::{Call, Failure, OutOfTime};
use seam_runtime::serve::{Checkout, Live};
use tokio::sync::oneshot;
use tracing::{Instrument, Span};
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{Error, WasiHttpView};

use super::routed::RoutedRequest;
use crate::http::body::{Body, BoxError};
use crate::http::header_fields;
use crate::http::request_error::RequestError;
use crate::limits;

type GuestRequest = Request<UnsyncBoxBody<Bytes, Error>>;
/// A response that can be sent, or why there is none, as a sentence about the guest.
type GuestResponse = Result<Response<HyperOutgoingBody>, String>;

/// Passes the request to an instance and returns the response that it sets; the body follows while the guest writes it.
pub async fn respond(
    routed: RoutedRequest<'_>,
    live: Live,
    body: Incoming,
    span: Span,
) -> Result<Response<Body>, RequestError> {
    if body.size_hint().lower() > routed.limits.body_bytes as u64 {
        return Err(RequestError::BodyTooLarge);
    }
    let request = request(&routed, body)?;
    let context = routed.context.to_string();
    let call = Call::start(Instant::now() + routed.timeout, routed.trace);
    let scheme = if routed.client.secure { Scheme::Https } else { Scheme::Http };
    let (sender, response) = oneshot::channel();
    let failed = Arc::new(AtomicBool::new(false));
    let client = Arc::new(Client::default());
    let task = tokio::spawn(run(live, call, scheme, request, sender, failed.clone(), client.clone()).instrument(span));
    match response.await {
        Ok(Ok(response)) => Ok(received(response, failed, client)),
        Ok(Err(reason)) => Err(RequestError::InvalidResponse { context, reason }),
        Err(_) => match task.await {
            Ok(Err(failure)) => Err(failure.into()),
            Ok(Ok(())) => {
                Err(RequestError::InvalidResponse { context, reason: "it returned without a response".into() })
            }
            Err(panic) => Err(RequestError::Internal(panic.to_string())),
        },
    }
}

/// Runs the guest to its end, which may come long after the first byte of its response.
async fn run(
    live: Live,
    call: Call,
    scheme: Scheme,
    request: GuestRequest,
    sender: oneshot::Sender<GuestResponse>,
    failed: Arc<AtomicBool>,
    client: Arc<Client>,
) -> Result<(), Failure> {
    let mut guest = live.check_out(call).await?;
    let (deadline, cut_off) = (guest.call().deadline, guest.cut_off());
    let served = Arc::new(AtomicBool::new(false));
    let respond = {
        let (served, client) = (served.clone(), client.clone());
        move |response: Result<Response<HyperOutgoingBody>, ErrorCode>| {
            let response = sendable(response);
            served.store(response.as_ref().is_ok_and(|response| !response.status().is_server_error()), Release);
            // Fails when the client has hung up.
            if let Err(Ok(response)) = sender.send(response) {
                client.forget(response.into_body());
            }
        }
    };
    let _unwinding = FailedOnPanic(failed.clone());
    let handled = tokio::select! {
        biased;
        handled = handle(&mut guest, scheme, request, respond) => handled,
        () = tokio::time::sleep_until(deadline.into()) => Err(OutOfTime.into()),
        () = cut_off.wait() => Err(OutOfTime.into()),
    };
    if handled.is_ok() && !served.load(Acquire) {
        guest.broke();
    }
    handled.map_err(|error| {
        // Set before the instance is dropped: that ends the stream of the response body.
        failed.store(true, Release);
        if client.excuses(&error) {
            tracing::debug!(target: "http", "the guest did not finish a body that its client does not read");
            return Failure::TimedOut { context: guest.context() };
        }
        guest.fail(&error)
    })
}

/// The response, if a server can send its head.
fn sendable(response: Result<Response<HyperOutgoingBody>, ErrorCode>) -> GuestResponse {
    let response = response.map_err(|code| format!("it returned the error {code:?}"))?;
    let bytes = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    check_head(response.status().as_u16(), response.headers().len(), bytes)?;
    Ok(response)
}

/// Marks the answer as incomplete when the host panics: the end of the stream alone does not show it. Declared after
/// the instance, so that it drops first.
struct FailedOnPanic(Arc<AtomicBool>);

impl Drop for FailedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Release);
        }
    }
}

async fn handle(
    guest: &mut Checkout,
    scheme: Scheme,
    request: GuestRequest,
    respond: impl FnOnce(Result<Response<HyperOutgoingBody>, ErrorCode>) + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    let Some((store, instance)) = guest.parts() else { wasmtime::bail!("the instance is gone") };
    let proxy = Proxy::new(&mut *store, instance)?;
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(scheme, request)?;
    let out = http.new_response_outparam_from_callback(respond)?;
    proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, out).await
}

/// The request as the guest sees it: with the path below the mount, and a body that fails beyond the limit.
fn request(routed: &RoutedRequest<'_>, body: Incoming) -> Result<GuestRequest, RequestError> {
    let parts = routed.parts;
    let mut uri = parts.uri.clone().into_parts();
    let target = match parts.uri.query() {
        Some(query) => format!("{}?{query}", routed.path),
        None => routed.path.to_owned(),
    };
    uri.path_and_query = Some(target.parse().map_err(|_| RequestError::BadRequest("the path cannot be parsed"))?);
    if uri.authority.is_none() {
        uri.scheme = None;
    }
    let limited = Limited::new(body, routed.limits.body_bytes).map_err(body_error).boxed_unsync();
    let mut request = Request::new(limited);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| RequestError::BadRequest("the address cannot be parsed"))?;
    *request.headers_mut() = parts.headers.clone();
    header_fields::strip_hop_by_hop(request.headers_mut());
    header_fields::strip_client_names(request.headers_mut());
    request.headers_mut().insert(header::FORWARDED, routed.client.forwarded.clone());
    if parts.version < Version::HTTP_11 && !request.headers().contains_key(header::HOST) {
        return Err(RequestError::Malformed("the Host header is missing"));
    }
    if let Some(value) = header_fields::traceparent(&routed.trace) {
        request.headers_mut().insert(header_fields::TRACEPARENT, value);
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

fn received(response: Response<HyperOutgoingBody>, failed: Arc<AtomicBool>, client: Arc<Client>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    header_fields::strip_hop_by_hop(&mut parts.headers);
    Response::from_parts(parts, Body::Streamed(Box::pin(Written { body: Some(body), failed, client })))
}

/// What the guest writes. The end of the stream alone does not show whether the guest finished the body or failed.
struct Written {
    /// `None` after its end.
    body: Option<HyperOutgoingBody>,
    failed: Arc<AtomicBool>,
    client: Arc<Client>,
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            self.client.forget(body);
        }
    }
}

/// Whether the client still reads the answer. What it leaves, after HEAD or because it hung up, is read here and
/// forgotten, so that the guest ends as if the client had read it: what a client does is no fault of the guest.
#[derive(Default)]
struct Client(AtomicU8);

const LEFT: u8 = 1;
const CLOSED: u8 = 2;

impl Client {
    /// Reads the rest of `body`, up to `HTTP_FORGOTTEN_BYTES`; a guest that writes more finds its stream closed.
    fn forget(self: &Arc<Self>, mut body: HyperOutgoingBody) {
        self.0.store(LEFT, Release);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return self.0.store(CLOSED, Release) };
        let client = self.clone();
        runtime.spawn(async move {
            let mut left = limits::HTTP_FORGOTTEN_BYTES;
            while let Some(Ok(frame)) = body.frame().await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    return client.0.store(CLOSED, Release);
                }
            }
        });
    }

    /// Whether `error` came from the client's leaving: its stream was closed, or it wrote on until its time was over.
    fn excuses(&self, error: &wasmtime::Error) -> bool {
        match self.0.load(Acquire) {
            CLOSED => true,
            LEFT => error.is::<OutOfTime>(),
            _ => false,
        }
    }
}

impl hyper::body::Body for Written {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if frame.is_none() {
            self.body = None;
        }
        match frame {
            // The error closes the connection, so that the client does not take a part for the whole.
            None if self.failed.load(Acquire) => Poll::Ready(Some(Err("the guest failed in the body".into()))),
            frame => Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from))),
        }
    }
}
