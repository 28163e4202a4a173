//! The checks that every request passes before it is routed: they refuse what hyper accepts, but what the two sides of
//! a proxy could read differently.

use http::header;
use http::request::Parts;
use http::{HeaderValue, Method, Version};

use crate::http::connection_activity::ConnectionActivity;
use crate::http::request_error::RequestError;

pub(super) fn check(parts: &Parts, connection: &ConnectionActivity) -> Result<(), RequestError> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    let authority = parts.uri.authority();
    if second.is_some() {
        return Err(RequestError::Malformed("there is more than one Host header"));
    }
    if host.is_none()
        && (parts.version == Version::HTTP_11 || (parts.version == Version::HTTP_2 && authority.is_none()))
    {
        return Err(RequestError::Malformed("the Host header is missing"));
    }
    if host.is_some_and(|host| !is_host(host)) {
        return Err(RequestError::Malformed("the Host header is not a host"));
    }
    if let (Some(host), Some(authority)) = (host, authority)
        && !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
    {
        return Err(RequestError::Malformed("the Host header differs from the requested address"));
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
    Ok(())
}

/// A name or an address, with or without a port: nothing that changes its meaning in front of a path.
fn is_host(host: &HeaderValue) -> bool {
    host.as_bytes().iter().all(|byte| byte.is_ascii_graphic() && !b"/\\?#@,".contains(byte))
}
