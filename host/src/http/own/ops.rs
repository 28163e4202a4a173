//! What supervisors and Prometheus ask: `/healthz` (the process responds), `/readyz` (every context serves, every store
//! can be written, and the server is not stopping), `/metrics`.

use http::{Method, Response, StatusCode};
use prometheus::{Encoder, Registry, TextEncoder};

use crate::http::body::Body;
use crate::http::request_error::RequestError;
use crate::http::response::uncached;

const TEXT: &str = "text/plain; charset=utf-8";

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
