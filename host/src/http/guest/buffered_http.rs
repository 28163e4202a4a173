//! A request and its answer through `seam:host/http-handler`: buffered, one typed call, inline on this worker.
//!
//! The hot path of pages. A body is copied once, into the guest.

use std::time::Instant;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use hyper::body::Incoming;
use seam_runtime::buffered_http;
use seam_runtime::call::{Call, Failure};
use seam_runtime::serve::Live;
use tracing::Instrument as _;

use super::routed::RoutedRequest;
use crate::http::body::{self, Body};
use crate::http::header_fields;
use crate::http::request_error::RequestError;

/// Reads the body and runs `handle`. The timeout starts after the body: a slow client does not use it up.
pub async fn respond(
    routed: RoutedRequest<'_>,
    body: Incoming,
    handle: impl FnOnce(Call, buffered_http::Request) -> Result<buffered_http::Response, Failure>,
) -> Result<Response<Body>, RequestError> {
    let body = body::read(body, routed.limits.body_bytes, routed.limits.body_time).await?;
    let request = request(&routed, body)?;
    let call = Call::start(Instant::now() + routed.timeout, routed.trace);
    let answer = handle(call, request)?;
    let invalid = |reason| RequestError::InvalidResponse { context: routed.context.to_string(), reason };
    response(answer, routed.limits.response_bytes).map_err(invalid)
}

/// Like `respond`, for a context whose calls may wait for another host. The request goes on if its client hangs up, as
/// one that runs inline does.
pub async fn respond_async(
    routed: RoutedRequest<'_>,
    body: Incoming,
    live: Live,
    span: tracing::Span,
) -> Result<Response<Body>, RequestError> {
    let body = body::read(body, routed.limits.body_bytes, routed.limits.body_time).await?;
    let request = request(&routed, body)?;
    let call = Call::start(Instant::now() + routed.timeout, routed.trace);
    let task = tokio::spawn(live.handle_async(call, request).instrument(span));
    let broken = |error: tokio::task::JoinError| {
        let (context, reason) = (routed.context.to_string(), format!("the host failed: {error}"));
        Failure::Trapped { context, reason }
    };
    let answer = task.await.map_err(broken)??;
    let invalid = |reason| RequestError::InvalidResponse { context: routed.context.to_string(), reason };
    response(answer, routed.limits.response_bytes).map_err(invalid)
}

fn request(routed: &RoutedRequest<'_>, body: Vec<u8>) -> Result<buffered_http::Request, RequestError> {
    let parts = routed.parts;
    // A guest gets HEAD as GET; the body of its answer is dropped later.
    let method = if parts.method == Method::HEAD { Method::GET.as_str() } else { parts.method.as_str() };
    let connection = parts.headers.contains_key(header::CONNECTION);
    let mut fields: Vec<(String, String)> = Vec::with_capacity(parts.headers.len() + 2);
    fields.push(("forwarded".into(), routed.client.forwarded.to_str().unwrap_or_default().into()));
    if let Some(host) = routed.host {
        fields.push(("host".into(), host.into()));
    }
    for (name, value) in &parts.headers {
        if name == header::HOST
            || header_fields::names_client(name)
            || header_fields::hop_by_hop(name)
            || (connection && header_fields::named_by_connection(&parts.headers, name))
        {
            continue;
        }
        let Some(seen) = routed.separation.visible(name, value.as_bytes()) else { continue };
        let value = std::str::from_utf8(&seen).map_err(|_| RequestError::BadRequest("a header is not UTF-8"))?;
        // HTTP/2 clients may split a cookie into several headers (RFC 9113 8.2.3).
        if name == header::COOKIE
            && let Some((_, whole)) = fields.iter_mut().find(|(name, _)| name == "cookie")
        {
            whole.push_str("; ");
            whole.push_str(value);
            continue;
        }
        fields.push((name.as_str().into(), value.into()));
    }
    Ok(buffered_http::Request {
        method: method.into(),
        path: routed.path.into(),
        query: parts.uri.query().map(Into::into),
        headers: fields,
        body,
    })
}

/// The guest's answer as a response, or why it is not valid.
fn response(answer: buffered_http::Response, bytes_max: usize) -> Result<Response<Body>, String> {
    if answer.body.len() > bytes_max {
        return Err(format!("its body is larger than {bytes_max} bytes"));
    }
    answer.check_head()?;
    let status = StatusCode::from_u16(answer.status).map_err(|error| error.to_string())?;
    let mut fields = HeaderMap::with_capacity(answer.headers.len() + 4);
    for (name, value) in answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{}` is not a valid header name", name.escape_debug()))?;
        // hyper sets the real length of the body.
        if name == header::CONTENT_LENGTH || header_fields::hop_by_hop(&name) {
            continue;
        }
        let value = HeaderValue::from_maybe_shared(Bytes::from(value))
            .map_err(|_| format!("the value of the header `{name}` is not valid"))?;
        fields.try_append(name, value).map_err(|error| error.to_string())?;
    }
    let mut response = Response::new(Body::Whole(answer.body.into()));
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    Ok(response)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use seam_store::ids::ContextName;

    use super::*;
    use crate::http::guest::routed::with;
    use crate::http::separation::Separation;
    use crate::manifest::Company;

    fn answer(status: u16, headers: &[(&str, &str)]) -> buffered_http::Response {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        buffered_http::Response { status, headers, body: b"hello".to_vec() }
    }

    #[test]
    fn answers_that_are_not_valid_http_are_refused() {
        assert!(response(answer(200, &[("content-type", "text/plain")]), 5).is_ok());
        assert!(response(answer(200, &[]), 4).is_err());
        for status in [0, 99, 100, 101, 600, 1000, u16::MAX] {
            assert!(response(answer(status, &[]), 5).is_err(), "{status}");
        }
        for (name, value) in [("a b", "1"), ("", "1"), ("x\r\ny", "1"), ("x", "1\r\nset-cookie: a"), ("x", "\0")] {
            assert!(response(answer(200, &[(name, value)]), 5).is_err(), "{name:?}: {value:?}");
        }
    }

    #[test]
    fn a_guest_cannot_set_headers_of_the_connection() {
        let response = response(
            answer(
                200,
                &[("Content-Length", "9999"), ("Connection", "x"), ("Transfer-Encoding", "chunked"), ("X-Own", "1")],
            ),
            5,
        );
        let names: Vec<_> = response.unwrap().headers().keys().map(|name| name.as_str().to_owned()).collect();
        assert_eq!(names, ["x-own"]);
    }

    #[test]
    fn a_guest_gets_one_host_and_one_cookie_in_every_http_version() {
        let (parts, ()) = http::Request::builder()
            .method("HEAD")
            .uri("http://shop.example/a?b=c")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("connection", "x-own")
            .header("x-own", "1")
            .header("forwarded", "for=evil")
            .header("x-forwarded-for", "evil")
            .header("x-real-ip", "evil")
            .body(())
            .unwrap()
            .into_parts();
        let own = |cookies: Option<&str>| {
            let cookies = cookies.map(|name| vec![name.to_owned()]);
            Separation::new(ContextName::new("shop").unwrap(), "/", Company::SameOrigin, cookies, Vec::new())
        };
        let cookies = |separation: &Separation| {
            let request = with(&parts, separation, |routed| request(routed, Vec::new())).unwrap();
            request.headers.into_iter().find(|(name, _)| name == "cookie").map(|(_, value)| value)
        };
        assert_eq!(cookies(&own(Some("b"))).as_deref(), Some("b=2"), "the mount's own");
        assert_eq!(cookies(&own(None)), None);
        let all = Separation::new(ContextName::new("shop").unwrap(), "/", Company::Alone, None, Vec::new());
        let request = with(&parts, &all, |routed| request(routed, Vec::new())).unwrap();
        assert_eq!(
            (request.method.as_str(), request.path.as_str(), request.query.as_deref()),
            ("GET", "/a", Some("b=c"))
        );
        let expect = [("forwarded", "for=192.0.2.1;proto=http"), ("host", "shop.example"), ("cookie", "a=1; b=2")];
        assert_eq!(request.headers, expect.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
