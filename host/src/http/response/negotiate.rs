//! What this client gets of a guest's answer: no body if it has the page already or asked for the head, compressed if
//! that helps.

use bytes::Bytes;
use headers::{ETag, HeaderMapExt, IfNoneMatch};
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};

use super::compress::{self, Coding};
use crate::http::body::Body;
use crate::http::header_fields;
use crate::limits;

/// Applies the request's conditions and codings to a guest's answer.
pub fn negotiate(parts: &Parts, mut response: Response<Body>) -> Response<Body> {
    if is_unchanged(parts, &response) {
        if compressible(&response) {
            header_fields::vary(response.headers_mut(), "accept-encoding");
        }
        return not_modified(response);
    }
    if !compressible(&response) {
        return response;
    }
    header_fields::vary(response.headers_mut(), "accept-encoding");
    // A page is compressed for one request: gzip takes a fifth of Brotli's time for a tenth more bytes.
    let coding = compress::choose(&parts.headers, [Coding::Gzip, Coding::Brotli]);
    match coding {
        Some(coding) => encoded(response, coding, parts.method == Method::HEAD),
        None => response,
    }
}

/// Whether the client has this very page. Requests without `If-None-Match` pay one lookup.
fn is_unchanged(parts: &Parts, response: &Response<Body>) -> bool {
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    reads
        && response.status() == StatusCode::OK
        && parts.headers.contains_key(header::IF_NONE_MATCH)
        && response.headers().typed_get::<ETag>().is_some_and(|etag| is_known(&parts.headers, &etag))
}

/// Whether `If-None-Match` names `etag`, compared weakly (RFC 9110 13.1.2).
pub fn is_known(request: &HeaderMap, etag: &ETag) -> bool {
    request.typed_get::<IfNoneMatch>().is_some_and(|known| !known.precondition_passes(etag))
}

/// 304 without the body and the headers that describe it (RFC 9110 15.4.5).
fn not_modified(mut response: Response<Body>) -> Response<Body> {
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE] {
        response.headers_mut().remove(name);
    }
    response.map(|_| Body::empty())
}

fn compressible(response: &Response<Body>) -> bool {
    let headers = response.headers();
    let status = response.status();
    let long_enough = match response.body() {
        Body::Whole(bytes) => bytes.len() >= limits::HTTP_COMPRESS_BYTES_MIN,
        streamed => streamed.is_streamed(),
    };
    long_enough
        && status.is_success()
        && status != StatusCode::PARTIAL_CONTENT
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
        && headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.to_str().is_ok_and(compress::is_compressible))
        && !forbids_transforming(headers)
}

fn forbids_transforming(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|directive| directive.trim().eq_ignore_ascii_case("no-transform"))
}

fn encoded(response: Response<Body>, coding: Coding, head: bool) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let body = match body {
        _ if head => Body::empty(),
        Body::Whole(bytes) => match compress::page(&bytes, coding) {
            Some(less) => Body::Whole(Bytes::from(less)),
            None => return Response::from_parts(parts, Body::Whole(bytes)),
        },
        Body::Streamed(stream) => Body::Streamed(compress::stream(stream, coding)),
        observed @ Body::Observed(_) => return Response::from_parts(parts, observed),
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::ACCEPT_RANGES);
    // The guest's strong tag stands for the bytes before compression.
    if let Some(etag) = parts.headers.get(header::ETAG)
        && !etag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat())
    {
        parts.headers.insert(header::ETAG, weak);
    }
    Response::from_parts(parts, body)
}

/// Removes the body where HTTP has none: from responses to HEAD, which keep its length, and from 204 and 304.
pub fn without_body(method: &Method, mut response: Response<Body>) -> Response<Body> {
    let status = response.status();
    if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return response.map(|_| Body::empty());
    }
    if method != Method::HEAD {
        return response;
    }
    if let Body::Whole(bytes) = response.body()
        && !response.headers().contains_key(header::CONTENT_ENCODING)
        && !response.headers().contains_key(header::CONTENT_LENGTH)
    {
        let length = HeaderValue::from(bytes.len());
        response.headers_mut().insert(header::CONTENT_LENGTH, length);
    }
    response.map(|_| Body::empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn etags_are_compared_weakly_and_may_contain_commas() {
        let check = |sent: &'static str, etag: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(sent));
            is_known(&headers, &etag.parse().unwrap())
        };
        assert!(check("\"a\"", "\"a\""));
        assert!(check("W/\"a\"", "\"a\""));
        assert!(check("\"x\", W/\"a,b\"", "W/\"a,b\""));
        assert!(check("*", "\"a\""));
        assert!(!check("\"a\"", "\"b\""));
        assert!(!check("a", "\"a\""));
        assert!(!check("\"a", "\"a\""));
        assert!(!is_known(&HeaderMap::new(), &"\"a\"".parse().unwrap()));
    }
}
