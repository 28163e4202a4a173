//! What a browser is given while somebody works on the system, and never else: a script in every page that reads what goes on from
//! a stream of events, shows what keeps a change from being live, and loads the page anew when one is.
//!
//! Page and script obey the page's own policy: the script is a file of the same origin and puts no style into the page. What the
//! policy says of scripts and connections is widened by that origin where it leaves it out.
//! Not here: what is told (`crate::dev`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::header::{self, Entry, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::watch;

use crate::http::body::{Body, BoxError};
use crate::http::response::error_page::Refusal;
use crate::limits;

const SCRIPT: &str = include_str!("dev.js");
const SCRIPT_PATH: &str = "/_seam/dev.js";
const EVENTS_PATH: &str = "/_seam/events";

/// Where what goes on is put up for browsers to read. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Board(Arc<watch::Sender<Posted>>);

#[derive(Debug, Clone, Default)]
struct Posted {
    /// One line of JSON.
    text: Arc<str>,
    /// Which version of the system pages are made by.
    version: u64,
    closed: bool,
}

impl Default for Board {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Posted { text: "{}".into(), ..Posted::default() })))
    }
}

impl Board {
    /// Puts up `state`, in the place of what stood there. A page of another `version` than its own loads itself anew.
    pub fn post(&self, state: &serde_json::Value, version: u64) {
        let text: Arc<str> = state.to_string().into();
        self.0.send_modify(|posted| *posted = Posted { text, version, closed: posted.closed });
    }

    /// Ends all streams: a server that stops waits for them otherwise.
    pub(in crate::http) fn close(&self) {
        self.0.send_modify(|posted| posted.closed = true);
    }

    /// The answer to a path of ours; `None` for every other one.
    pub(in crate::http) fn answer(&self, method: &Method, path: &str) -> Option<Result<Response<Body>, Refusal>> {
        let body = match path {
            SCRIPT_PATH => Body::Whole(Bytes::from_static(SCRIPT.as_bytes())),
            EVENTS_PATH => self.events(),
            _ if path.starts_with("/_seam/") => return Some(Err(Refusal::NotFound)),
            _ => return None,
        };
        if method != Method::GET {
            return Some(Err(Refusal::Method("GET")));
        }
        let kind = if path == SCRIPT_PATH { "text/javascript; charset=utf-8" } else { "text/event-stream" };
        let mut response = Response::new(body);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        Some(Ok(response))
    }

    /// What is put up now, and from then on whatever replaces it.
    fn events(&self) -> Body {
        let mut posted = self.0.subscribe();
        posted.mark_changed();
        let pause = Duration::from_millis(limits::DEV_EVENT_PAUSE_MS);
        let events = futures::stream::unfold(posted, move |mut posted| async move {
            let text = match tokio::time::timeout(pause, posted.changed()).await {
                // So that a browser that is gone is noticed.
                Err(_) => ":\n\n".to_owned(),
                Ok(Err(_)) => return None,
                Ok(Ok(())) => {
                    let now = posted.borrow_and_update().clone();
                    if now.closed {
                        return None;
                    }
                    format!("retry: 500\ndata: {}\n\n", now.text)
                }
            };
            Some((Ok::<_, BoxError>(Frame::data(Bytes::from(text))), posted))
        });
        Body::Streamed(Box::pin(StreamBody::new(events)))
    }

    /// A page with our script at its end; anything else as it is.
    pub(in crate::http) fn mark(&self, request: &Parts, mut response: Response<Body>) -> Response<Body> {
        let fields = response.headers();
        let kind = fields.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let page = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"));
        if !page || fields.contains_key(header::CONTENT_ENCODING) || response.status() == StatusCode::NOT_MODIFIED {
            return response;
        }
        let version = self.0.borrow().version;
        let again = request.method == Method::GET;
        let tag = format!(
            "\n<script src=\"{SCRIPT_PATH}\" data-version=\"{version}\" data-again=\"{again}\" defer></script>\n"
        );
        let fields = response.headers_mut();
        // A page of an earlier version under the same tag would come without the script, or with that of another version.
        fields.remove(header::ETAG);
        fields.remove(header::CONTENT_LENGTH);
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        allow_own(fields);
        if request.method == Method::HEAD {
            return response;
        }
        response.map(|body| match body {
            Body::Whole(bytes) => Body::Whole([&bytes, tag.as_bytes()].concat().into()),
            Body::Streamed(stream) => {
                let stream = http_body_util::BodyStream::new(stream);
                let end = futures::stream::once(async { Ok(Frame::data(Bytes::from(tag))) });
                Body::Streamed(Box::pin(StreamBody::new(stream.chain(end))))
            }
            watched @ Body::Watched(_) => watched,
        })
    }
}

/// A static file that the browser asks for each time, so that it never shows an old one.
pub fn always_asked_for(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Whoever opens a page gets it whole: what the browser kept from another time may be without our script.
pub fn whole_pages(request: &mut Parts) {
    let accepts = request.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accepts.is_some_and(|accept| accept.contains("text/html")) {
        request.headers.remove(header::IF_NONE_MATCH);
    }
}

/// Widens the policies of a page so that it may load our script and read our events.
fn allow_own(fields: &mut HeaderMap) {
    let Entry::Occupied(mut policies) = fields.entry(header::CONTENT_SECURITY_POLICY) else { return };
    for policy in policies.iter_mut() {
        if let Some(wider) = policy.to_str().ok().and_then(|text| HeaderValue::try_from(widened(text)).ok()) {
            *policy = wider;
        }
    }
}

/// A content security policy that allows scripts and connections of the page's own origin.
fn widened(policy: &str) -> String {
    let mut directives: Vec<(String, Vec<String>)> = Vec::new();
    for directive in policy.split(';').map(str::trim).filter(|directive| !directive.is_empty()) {
        let mut words = directive.split_ascii_whitespace().map(str::to_owned);
        if let Some(name) = words.next() {
            directives.push((name.to_ascii_lowercase(), words.collect()));
        }
    }
    let values = |directives: &[(String, Vec<String>)], name: &str| {
        directives.iter().find(|(n, _)| n == name).map(|(_, values)| values.clone())
    };
    let default = values(&directives, "default-src");
    let script = values(&directives, "script-src").or_else(|| default.clone());
    // Without any of these, a policy restricts neither.
    for (name, fallback) in [("script-src-elem", script), ("connect-src", default)] {
        let Some(mut sources) = values(&directives, name).or(fallback) else { continue };
        let own = |source: &String| source.eq_ignore_ascii_case("'self'");
        if sources.iter().any(own) {
            continue;
        }
        sources.retain(|source| !source.eq_ignore_ascii_case("'none'"));
        sources.push("'self'".into());
        directives.retain(|(n, _)| n != name);
        directives.push((name.into(), sources));
    }
    let written = directives.iter().map(|(name, values)| format!("{name} {}", values.join(" ")).trim().to_owned());
    written.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_widened_by_the_own_origin_and_no_further() {
        for (policy, expect) in [
            (
                "default-src 'none'; style-src 'self'; script-src 'self'",
                "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'",
            ),
            ("default-src 'self'", "default-src 'self'"),
            ("frame-ancestors 'none'", "frame-ancestors 'none'"),
            (
                "default-src https://a.example; connect-src 'none'; sandbox",
                "default-src https://a.example; sandbox; script-src-elem https://a.example 'self'; connect-src 'self'",
            ),
            (
                "script-src 'nonce-x' 'strict-dynamic'",
                "script-src 'nonce-x' 'strict-dynamic'; script-src-elem 'nonce-x' 'strict-dynamic' 'self'",
            ),
            ("", ""),
        ] {
            assert_eq!(widened(policy), expect, "{policy}");
        }
    }
}
