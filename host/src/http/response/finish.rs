//! What a guest answered, made into what this client may get of it: nothing when it has it already, compressed when that helps,
//! without a body when it asked for the head.

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};

use crate::http::body::Body;
use crate::http::header_fields;
use crate::http::response::compress::{self, Coding};
use crate::limits;

/// Applies the request's conditions and codings to a guest's answer.
pub fn response(parts: &Parts, mut response: Response<Body>) -> Response<Body> {
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    let unchanged = reads
        && response.status() == StatusCode::OK
        && response.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok()).is_some_and(|etag| {
            parts.headers.contains_key(header::IF_NONE_MATCH) && header_fields::none_match(&parts.headers, etag)
        });
    if unchanged {
        if compressible(&response) {
            header_fields::vary(response.headers_mut(), "accept-encoding");
        }
        return not_modified(response);
    }
    if !compressible(&response) {
        return response;
    }
    header_fields::vary(response.headers_mut(), "accept-encoding");
    // For a page made for one request gzip is the better bargain: a fifth of the time for a tenth more bytes.
    let coding = compress::choose(&parts.headers, [Coding::Gzip, Coding::Brotli]);
    match coding {
        Some(coding) => encoded(response, coding, parts.method == Method::HEAD),
        None => response,
    }
}

/// 304 with what may have changed about the answer and nothing of its body (RFC 9110 15.4.5).
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
        && headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.to_str().is_ok_and(compress::worth))
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
        watched @ Body::Watched(_) => return Response::from_parts(parts, watched),
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::ACCEPT_RANGES);
    // The bytes are no longer those that the guest's strong tag stands for.
    if let Some(etag) = parts.headers.get(header::ETAG)
        && !etag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat())
    {
        parts.headers.insert(header::ETAG, weak);
    }
    Response::from_parts(parts, body)
}

/// Takes the body away where HTTP has none: in answers to HEAD, which keep its length, and with 204 and 304.
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
