//! The checks that every request passes before it is routed: they refuse what hyper accepts, but what the two sides of
//! a proxy could read differently.

use http::header;
use http::request::Parts;
use http::{Method, Version};

use super::target;
use crate::http::authority;
use crate::http::connection_activity::ConnectionActivity;
use crate::http::request_error::RequestError;

/// The host that the request is for, as [`authority::of`] reads it.
pub(super) fn check<'p>(parts: &'p Parts, connection: &ConnectionActivity) -> Result<Option<&'p str>, RequestError> {
    let authority = authority::of(parts).map_err(RequestError::Malformed)?;
    if authority.is_none() && parts.version > Version::HTTP_10 {
        return Err(RequestError::Malformed("the Host header is missing"));
    }
    if parts.version < Version::HTTP_2 && connection.smuggled() && parts.headers.contains_key(header::TRANSFER_ENCODING)
    {
        return Err(RequestError::Malformed("Content-Length and Transfer-Encoding are in one request"));
    }
    let mut codings = parts.headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next()
        && (parts.version != Version::HTTP_11
            || codings.next().is_some()
            || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(RequestError::Malformed("the Transfer-Encoding is not `chunked` alone"));
    }
    if parts.method == Method::CONNECT || parts.method == Method::TRACE {
        return Err(RequestError::MethodNotAllowed("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    if !parts.uri.path().starts_with('/') {
        return Err(RequestError::BadRequest("the path does not start with a slash"));
    }
    match target::ambiguity(parts.uri.path()) {
        Some(fault) => Err(RequestError::BadRequest(fault)),
        None => Ok(authority),
    }
}
