//! What supervisors and Prometheus ask: `/healthz` (the process answers), `/readyz` (every mounted context is there and the server is not
//! stopping), `/metrics`.

use http::header::{self, HeaderValue};
use http::{Method, Response, StatusCode};
use prometheus::{Encoder, TextEncoder};

use crate::http::body::Body;
use crate::http::response::error_page::Refusal;
use crate::http::service::Edge;

/// The answer to an operators' path; `None` for every other path.
pub fn answer(edge: &Edge, method: &Method, path: &str) -> Option<Result<Response<Body>, Refusal>> {
    let answer = match path {
        "/healthz" => health,
        "/readyz" => readiness,
        "/metrics" => metrics,
        _ => return None,
    };
    let reads = method == Method::GET || method == Method::HEAD;
    Some(if reads { answer(edge) } else { Err(Refusal::Method("GET, HEAD")) })
}

fn health(_: &Edge) -> Result<Response<Body>, Refusal> {
    Ok(text(StatusCode::OK, "ok\n".into(), "text/plain; charset=utf-8"))
}

fn readiness(edge: &Edge) -> Result<Response<Body>, Refusal> {
    let (status, word) =
        if edge.ready() { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") };
    Ok(text(status, word.into(), "text/plain; charset=utf-8"))
}

fn metrics(edge: &Edge) -> Result<Response<Body>, Refusal> {
    let encoder = TextEncoder::new();
    let mut page = Vec::new();
    encoder.encode(&edge.registry.gather(), &mut page).map_err(|error| Refusal::Internal(error.to_string()))?;
    Ok(text(StatusCode::OK, page, "text/plain; version=0.0.4; charset=utf-8"))
}

fn text(status: StatusCode, body: Vec<u8>, kind: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::Whole(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
