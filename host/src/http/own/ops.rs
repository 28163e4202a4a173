//! What supervisors and Prometheus ask: `/healthz` (the process responds), `/readyz` (every context serves, every store
//! can be written, and the server is not stopping), `/metrics`.
//!
//! Invariant: unless the manifest says otherwise, a client on another machine does not learn that these pages exist.

use http::{Method, Response, StatusCode};
use prometheus::{Encoder, Registry, TextEncoder};

use crate::http::body::Body;
use crate::http::connection_activity::ConnectionActivity;
use crate::http::request_error::RequestError;
use crate::http::response::uncached;
use crate::manifest::Ops;

const TEXT: &str = "text/plain; charset=utf-8";

/// Whether the client may ask for the pages of operators. `from_this_machine` says what [`this_machine::asks`] says.
///
/// [`this_machine::asks`]: super::this_machine::asks
pub fn may_ask(ops: Ops, connection: &ConnectionActivity, from_this_machine: impl FnOnce() -> bool) -> bool {
    match ops {
        Ops::Off => false,
        Ops::Public => true,
        Ops::Address(_) => connection.is_for_ops,
        Ops::Loopback => from_this_machine(),
    }
}

/// The response to an operator's path; `None` for every other path.
pub fn respond(
    method: &Method,
    path: &str,
    registry: &Registry,
    not_ready: impl FnOnce() -> Option<String>,
) -> Option<Result<Response<Body>, RequestError>> {
    if !matches!(path, "/healthz" | "/readyz" | "/metrics") {
        return None;
    }
    if method != Method::GET && method != Method::HEAD {
        return Some(Err(RequestError::MethodNotAllowed("GET, HEAD")));
    }
    Some(match path {
        "/healthz" => Ok(uncached(StatusCode::OK, TEXT, "ok\n")),
        "/readyz" => Ok(match not_ready() {
            None => uncached(StatusCode::OK, TEXT, "ready\n"),
            Some(why) => uncached(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {why}\n")),
        }),
        _ => metrics(registry),
    })
}

fn metrics(registry: &Registry) -> Result<Response<Body>, RequestError> {
    let mut page = Vec::new();
    let encoded = TextEncoder::new().encode(&registry.gather(), &mut page);
    encoded.map_err(|error| RequestError::Internal(format!("cannot encode the metrics: {error}")))?;
    Ok(uncached(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page))
}
