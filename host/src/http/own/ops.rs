//! What supervisors and Prometheus ask: `/healthz` (the process responds), `/readyz` (every context serves, every store
//! can be written, and the server is not stopping), `/metrics`.
//!
//! Invariant: unless the manifest says otherwise, a client on another machine does not learn that these pages exist.

use http::request::Parts;
use http::uri::Authority;
use http::{Method, Response, StatusCode, Version, header};
use prometheus::{Encoder, Registry, TextEncoder};

use crate::http::body::Body;
use crate::http::client::Client;
use crate::http::connection_activity::ConnectionActivity;
use crate::http::header_fields;
use crate::http::request_error::RequestError;
use crate::http::response::uncached;
use crate::manifest::Ops;

const TEXT: &str = "text/plain; charset=utf-8";

/// Whether the client may ask for the pages of operators.
pub fn may_ask(ops: Ops, connection: &ConnectionActivity, client: &Client, parts: &Parts) -> bool {
    match ops {
        Ops::Off => false,
        Ops::Public => true,
        Ops::Address(_) => connection.is_for_ops,
        Ops::Loopback => is_from_this_machine(connection, client, parts),
    }
}

/// Whether the request comes from this machine, and not from a customer through a proxy on it. Of a proxy that is not
/// trusted, this looks at what it may have left in the request: a header of its own, the name that the customer asked
/// for, and HTTP/1.0, which nginx speaks with what is behind it.
fn is_from_this_machine(connection: &ConnectionActivity, client: &Client, parts: &Parts) -> bool {
    connection.peer.address.is_loopback()
        && client.address.is_loopback()
        && (connection.peer_is_trusted || !header_fields::passed_a_proxy(&parts.headers))
        && parts.version > Version::HTTP_10
        && asks_for_this_machine(parts)
}

/// Whether the request's host is a name or an address of this machine alone.
fn asks_for_this_machine(parts: &Parts) -> bool {
    let field = parts.headers.get(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let Some(authority) = field.as_ref().or(parts.uri.authority()) else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    is_loopback || host.eq_ignore_ascii_case("localhost")
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
