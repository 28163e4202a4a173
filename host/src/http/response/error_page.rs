//! The page that a client gets when its request fails.

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use seam_store::ids::Trace;

use super::uncached::uncached;
use crate::http::body::Body;
use crate::http::request_error::RequestError;

/// Logs the reason and renders the page, as HTML or, for clients that ask for it, as `application/problem+json` (RFC
/// 9457).
pub fn error_page(error: RequestError, parts: &Parts, trace: &Trace) -> Response<Body> {
    error.log(parts, trace);
    let status = error.status();
    let (kind, text) = if wants_json(&parts.headers) {
        ("application/problem+json", json(status, error.sentence(), trace))
    } else {
        ("text/html; charset=utf-8", html(status, error.sentence(), trace))
    };
    let mut response = uncached(status, kind, text);
    let headers = response.headers_mut();
    match error {
        RequestError::MethodNotAllowed(allowed) => {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        RequestError::RangeNotSatisfiable(length) => {
            if let Ok(value) = HeaderValue::try_from(format!("bytes */{length}")) {
                headers.insert(header::CONTENT_RANGE, value);
            }
        }
        // The rest of the body may still be arriving: what follows cannot be read as a request.
        RequestError::Malformed(_) | RequestError::BodyTooLarge | RequestError::BodyTooSlow
            if parts.version < http::Version::HTTP_2 =>
        {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ if status == StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("json") && !accept.contains("text/html")
}

fn json(status: StatusCode, sentence: &str, trace: &Trace) -> String {
    let title = status.canonical_reason().unwrap_or("Error");
    format!(
        "{{\"status\":{},\"title\":\"{title}\",\"detail\":\"{sentence}\",\"trace\":\"{:032x}\"}}\n",
        status.as_u16(),
        trace.trace_id
    )
}

fn html(status: StatusCode, sentence: &str, trace: &Trace) -> String {
    let (code, title) = (status.as_u16(), status.canonical_reason().unwrap_or("Error"));
    let id = trace.trace_id;
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{code} {title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1.05rem/1.6 system-ui, sans-serif; }}
main {{ max-width: 32rem; padding: 2rem; }}
.code {{ margin: 0; font-size: 4.5rem; line-height: 1; font-weight: 200; letter-spacing: -.03em; }}
h1 {{ margin: .75rem 0 .25rem; font-size: 1.3rem; font-weight: 600; }}
p {{ margin: .25rem 0; }}
.trace {{ margin-top: 2rem; font-size: .8rem; opacity: .65; }}
code {{ user-select: all; }}
</style>
</head>
<body>
<main>
<p class="code">{code}</p>
<h1>{title}</h1>
<p>{sentence}</p>
<p class="trace">If this keeps happening, send us this number: <code>{id:032x}</code></p>
</main>
</body>
</html>
"#
    )
}
