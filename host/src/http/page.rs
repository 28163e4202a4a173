//! What a client sees when the host answers itself, and what the log says about it: the one place where failures become statuses.
//!
//! Invariant: the client gets the status, a sentence for it and the trace id; reasons go to the log alone.

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};

use super::body::Body;
use crate::call::{Failure, RefusalReason};
use crate::ids::Trace;

/// Why a request was not answered by what it was meant for.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Not HTTP as this host accepts it; the connection closes after it.
    Malformed(&'static str),
    Bad(&'static str),
    NotFound,
    /// With what is allowed instead.
    Method(&'static str),
    BodyTooLarge,
    BodyTooSlow,
    /// The range of a file that was asked for is not in it; the file's length.
    Range(u64),
    Failure(Failure),
    /// The context answered something that is not HTTP.
    BadAnswer {
        context: String,
        reason: String,
    },
    /// The host's own fault.
    Internal(String),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Range(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::BadAnswer { .. } | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Failure(failure) => match failure {
                Failure::Trapped { .. } => StatusCode::INTERNAL_SERVER_ERROR,
                Failure::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
                Failure::Overloaded { .. } | Failure::Absent { .. } => StatusCode::SERVICE_UNAVAILABLE,
                Failure::Refused { reason: RefusalReason::Reentry, .. } => StatusCode::LOOP_DETECTED,
                Failure::Refused {
                    reason: RefusalReason::TooDeep | RefusalReason::Shadow | RefusalReason::TransactionOpen,
                    ..
                } => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    /// For people, about this request and not about the host.
    fn sentence(&self) -> &'static str {
        match self.status().as_u16() {
            400 => "The request could not be understood.",
            404 => "There is nothing at this address.",
            405 => "This address does not take this kind of request.",
            408 => "The request took too long to arrive.",
            413 => "The request is too large.",
            416 => "The file does not have that part.",
            503 => "This is not available just now. Please try again in a moment.",
            504 => "This took too long. Please try again in a moment.",
            _ => "Something went wrong on our side.",
        }
    }

    fn log(&self, parts: &Parts, trace: &Trace) {
        let (method, path) = (&parts.method, parts.uri.path());
        let id = format_args!("{:032x}", trace.trace_id);
        match self {
            // What a guest did wrong has been told where it happened; here it gets the request's name.
            Self::Failure(failure) => {
                tracing::warn!(target: "http", trace = %id, %method, path, "request failed: {}", failure.for_caller());
            }
            Self::BadAnswer { context, reason } => {
                tracing::error!(target: "http", trace = %id, %method, path, context, reason, "the context's answer cannot be sent");
            }
            Self::Internal(reason) => {
                tracing::error!(target: "http", trace = %id, %method, path, reason, "request failed");
            }
            Self::Malformed(reason) | Self::Bad(reason) => {
                tracing::debug!(target: "http", trace = %id, %method, path, reason, "request refused");
            }
            _ => {
                tracing::debug!(target: "http", trace = %id, %method, path, status = %self.status(), "request refused")
            }
        }
    }

    /// Logs the reason and renders the page, as HTML or, for clients that ask for it, as `application/problem+json` (RFC 9457).
    pub(super) fn into_response(self, parts: &Parts, trace: &Trace) -> Response<Body> {
        self.log(parts, trace);
        let status = self.status();
        let (kind, text) = if wants_json(&parts.headers) {
            ("application/problem+json", json(status, self.sentence(), trace))
        } else {
            ("text/html; charset=utf-8", html(status, self.sentence(), trace))
        };
        let mut response = Response::new(Body::Whole(text.into()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match self {
            Self::Method(allowed) => {
                headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
            }
            Self::Range(length) => {
                if let Ok(value) = HeaderValue::try_from(format!("bytes */{length}")) {
                    headers.insert(header::CONTENT_RANGE, value);
                }
            }
            // Whether the rest of the body is still on its way is unknown: nothing after it can be read as a request.
            Self::Malformed(_) | Self::BodyTooLarge | Self::BodyTooSlow if parts.version < http::Version::HTTP_2 => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
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
<p class="trace">If this goes on, tell us this number: <code>{id:032x}</code></p>
</main>
</body>
</html>
"#
    )
}
