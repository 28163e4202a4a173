//! A request and its answer through `wasi:http/incoming-handler`: any component of the `proxy` world, unchanged.
//!
//! The guest runs in its own task, so a client that hangs up does not stop it half-way. The mount's timeout bounds its
//! own time, not the time in which it waits for its client (`turns`).
//! Each request gets an instance that is dropped after it: components made for other hosts may keep state in globals.

mod answer;
mod turns;
mod upload;

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri, Version, header, uri};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body as _, Incoming};
use seam_runtime::buffered_http::check_head;
use seam_runtime::call::{Call, Failure, OutOfTime};
use seam_runtime::serve::{Checkout, Live};
use seam_store::ids::Trace;
use tokio::sync::oneshot;
use tracing::{Instrument, Span};
use wasmtime_wasi_http::p2::bindings::Proxy;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{Error, WasiHttpView};

use self::turns::Turns;
use self::upload::Upload;
use super::routed::RoutedRequest;
use crate::http::body::Body;
use crate::http::header_fields;
use crate::http::observe::metrics::ContextMetrics;
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
    let until = Instant::now() + routed.timeout;
    let turns = Arc::new(Turns::new(until, client_time(routed.parts.version)));
    let upload = Upload::new(body, routed.limits.body_bytes, routed.limits.body_time, turns.clone());
    let request = request(&routed, upload)?;
    let context = routed.context.to_string();
    let call = Call::start(until, routed.trace);
    let scheme = if routed.client.secure { Scheme::Https } else { Scheme::Http };
    let (sender, response) = oneshot::channel();
    let failed = Arc::new(AtomicBool::new(false));
    let unwinding = Unwinding { failed: failed.clone(), metrics: routed.metrics.clone(), trace: routed.trace };
    let task = tokio::spawn(run(live, call, scheme, request, sender, turns.clone(), unwinding).instrument(span));
    let response = tokio::select! {
        biased;
        fault = turns.upload_fault() => return Err(fault.into()),
        response = response => response,
    };
    match response {
        Ok(Ok(response)) => Ok(answer::received(response, failed, turns)),
        Ok(Err(reason)) => Err(RequestError::InvalidResponse { context, reason }),
        Err(_) => match task.await {
            // A guest may end before the client's fault is seen here.
            _ if turns.lacks_upload() => Err(turns.upload_fault().await.into()),
            Ok(Err(failure)) => Err(failure.into()),
            Ok(Ok(())) => {
                Err(RequestError::InvalidResponse { context, reason: "it returned without a response".into() })
            }
            Err(panic) => Err(RequestError::Internal(panic.to_string())),
        },
    }
}

/// How long a client may keep a piece of the answer without asking for the next one. In HTTP/1.1 the connection notices
/// a client that stalls; in HTTP/2 its other streams may move.
fn client_time(version: Version) -> Duration {
    let ms = if version == Version::HTTP_2 { limits::HTTP2_STREAM_STALL_MS } else { limits::HTTP_TURN_MS_MAX };
    Duration::from_millis(ms)
}

/// Runs the guest to its end, which may come long after the first byte of its response.
async fn run(
    live: Live,
    call: Call,
    scheme: Scheme,
    request: GuestRequest,
    sender: oneshot::Sender<GuestResponse>,
    turns: Arc<Turns>,
    unwinding: Unwinding,
) -> Result<(), Failure> {
    let mut guest = live.check_out(call).await?;
    // Declared after the instance, so that it drops first.
    let unwinding = unwinding;
    turns.start(guest.deadline(), guest.timeout());
    let cut_off = guest.cut_off();
    let served = Arc::new(AtomicBool::new(false));
    let respond = {
        let (served, turns) = (served.clone(), turns.clone());
        move |response: Result<Response<HyperOutgoingBody>, ErrorCode>| {
            let response = sendable(response);
            served.store(response.as_ref().is_ok_and(|response| !response.status().is_server_error()), Release);
            // Fails when the client has hung up.
            if let Err(Ok(response)) = sender.send(response) {
                answer::forget(response.into_body(), &turns);
            }
        }
    };
    let handled = tokio::select! {
        biased;
        handled = handle(&mut guest, scheme, request, respond) => handled,
        late = turns.over() => Err(late.into()),
        () = cut_off.wait() => Err(OutOfTime.into()),
    };
    guest.waited_for_client(turns.waited());
    if handled.is_ok() && !served.load(Acquire) && !turns.lacks_upload() {
        guest.broke();
    }
    handled.map_err(|error| {
        // Set before the instance is dropped: that ends the stream of the response body.
        unwinding.failed.store(true, Release);
        if turns.excuse(&error) || (cut_off.is_given() && served.load(Acquire)) {
            tracing::debug!(target: "http", %error, "the guest did not finish, which is no fault of its own");
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

/// A panic of the host in the guest's task: marks the answer as incomplete, which the end of the stream alone does not
/// show, and counts the panic as the host's.
struct Unwinding {
    failed: Arc<AtomicBool>,
    metrics: Arc<ContextMetrics>,
    trace: Trace,
}

impl Drop for Unwinding {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.failed.store(true, Release);
            self.metrics.panicked(&self.trace, "in the task of a guest");
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

/// The request as the guest sees it: with the path below the mount.
fn request(routed: &RoutedRequest<'_>, body: Upload) -> Result<GuestRequest, RequestError> {
    let parts = routed.parts;
    let mut uri = parts.uri.clone().into_parts();
    let target = match parts.uri.query() {
        Some(query) => format!("{}?{query}", routed.path),
        None => routed.path.to_owned(),
    };
    uri.path_and_query = Some(target.parse().map_err(|_| RequestError::BadRequest("the path cannot be parsed"))?);
    let host = routed.host.ok_or(RequestError::Malformed("the Host header is missing"))?;
    uri.authority = Some(host.parse().map_err(|_| RequestError::BadRequest("the host cannot be parsed"))?);
    uri.scheme = Some(if routed.client.secure { uri::Scheme::HTTPS } else { uri::Scheme::HTTP });
    let mut request = Request::new(body.boxed_unsync());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| RequestError::BadRequest("the address cannot be parsed"))?;
    *request.headers_mut() = fields(routed);
    Ok(request)
}

/// The headers that the guest sees.
fn fields(routed: &RoutedRequest<'_>) -> HeaderMap {
    let mut fields = routed.parts.headers.clone();
    header_fields::strip_hop_by_hop(&mut fields);
    header_fields::strip_client_names(&mut fields);
    routed.separation.keep_visible(&mut fields);
    fields.insert(header::FORWARDED, routed.client.forwarded.clone());
    if let Some(value) = header_fields::traceparent(&routed.trace) {
        fields.insert(header_fields::TRACEPARENT, value);
    }
    fields
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use seam_store::ids::ContextName;

    use super::*;
    use crate::http::guest::routed::with;
    use crate::http::separation::Separation;
    use crate::manifest::Company;

    #[test]
    fn a_guest_sees_its_own_cookies_and_the_client_that_the_host_names() {
        let request = Request::get("/a").header("cookie", "session=1; own=2").header("x-forwarded-for", "evil");
        let (parts, ()) = request.header("te", "trailers").body(()).unwrap().into_parts();
        let seen = |company, cookies: Option<&str>| {
            let cookies = cookies.map(|name| vec![name.to_owned()]);
            let raw = Separation::new(ContextName::new("raw").unwrap(), "/raw", company, cookies, Vec::new());
            let mut fields = with(&parts, &raw, fields);
            assert!(fields.remove("traceparent").is_some());
            assert_eq!(fields.remove("forwarded").unwrap(), "for=192.0.2.1;proto=http");
            let cookie = fields.remove("cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
            assert!(fields.is_empty(), "{fields:?}");
            cookie
        };
        assert_eq!(seen(Company::SameOrigin, Some("own")).as_deref(), Some("own=2"));
        assert_eq!(seen(Company::SameOrigin, None), None);
        assert_eq!(seen(Company::OtherOrigins, None).as_deref(), Some("session=1; own=2"));
    }
}
