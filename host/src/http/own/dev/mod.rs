//! What browsers get during development only: a script in every page. It reads the state of the system from a stream of
//! events, shows what keeps a change from going live, and reloads the page when a new version is live.
//!
//! The script obeys the page's Content-Security-Policy: it is a file of the same origin and adds no style to the page.
//! The policy is extended by that origin where it does not allow it.
//! Not here: what the state contains (`crate::dev`), and who may have it: this machine alone (`this_machine`).

mod policy;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::watch;

use crate::http::body::{Body, BoxError};
use crate::http::request_error::RequestError;
use crate::http::response::uncached;
use crate::limits;

const SCRIPT: &str = include_str!("dev.js");
const SCRIPT_PATH: &str = "/_seam/dev.js";
const EVENTS_PATH: &str = "/_seam/events";

/// The state of the system during development, for open pages to show. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StatusBoard(Arc<watch::Sender<Posted>>);

#[derive(Debug, Clone, Default)]
struct Posted {
    /// One line of JSON.
    text: Arc<str>,
    /// The version of the system that renders the pages.
    version: u64,
    closed: bool,
}

impl Default for StatusBoard {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Posted { text: "{}".into(), ..Posted::default() })))
    }
}

impl StatusBoard {
    /// Replaces the state. Pages that an older `version` rendered reload.
    pub fn post(&self, state: &serde_json::Value, version: u64) {
        let text: Arc<str> = state.to_string().into();
        self.0.send_modify(|posted| *posted = Posted { text, version, closed: posted.closed });
    }

    /// Ends all streams of events; a server that is stopping would wait for them.
    pub(in crate::http) fn close(&self) {
        self.0.send_modify(|posted| posted.closed = true);
    }

    /// The response to a path below `/_seam/`; `None` for every other path.
    pub(in crate::http) fn respond(&self, method: &Method, path: &str) -> Option<Result<Response<Body>, RequestError>> {
        if !path.starts_with("/_seam/") {
            return None;
        }
        if path != SCRIPT_PATH && path != EVENTS_PATH {
            return Some(Err(RequestError::NotFound));
        }
        if method != Method::GET {
            return Some(Err(RequestError::MethodNotAllowed("GET")));
        }
        Some(Ok(match path {
            SCRIPT_PATH => uncached(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT),
            _ => uncached(StatusCode::OK, "text/event-stream", "").map(|_| self.events()),
        }))
    }

    /// The state now, and each state that replaces it.
    fn events(&self) -> Body {
        let mut posted = self.0.subscribe();
        posted.mark_changed();
        let pause = Duration::from_millis(limits::DEV_EVENT_PAUSE_MS);
        let events = futures::stream::unfold(posted, move |mut posted| async move {
            let text = match tokio::time::timeout(pause, posted.changed()).await {
                // A comment, so that the write fails when the browser is gone.
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

    /// Appends the script to an HTML page; any other response stays as it is.
    pub(in crate::http) fn add_script(&self, request: &Parts, mut response: Response<Body>) -> Response<Body> {
        let fields = response.headers();
        let kind = fields.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let page = kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"));
        if !page || fields.contains_key(header::CONTENT_ENCODING) || response.status() == StatusCode::NOT_MODIFIED {
            return response;
        }
        let version = self.0.borrow().version;
        let reloadable = request.method == Method::GET;
        let script = format!(
            "\n<script src=\"{SCRIPT_PATH}\" data-version=\"{version}\" data-reloadable=\"{reloadable}\" \
             defer></script>\n"
        );
        let fields = response.headers_mut();
        // With an ETag, a browser would keep a page without the script, or with that of another version.
        fields.remove(header::ETAG);
        fields.remove(header::CONTENT_LENGTH);
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        policy::allow_own_origin(fields);
        if request.method == Method::HEAD {
            return response;
        }
        response.map(|body| match body {
            Body::Whole(bytes) => Body::Whole([&bytes, script.as_bytes()].concat().into()),
            Body::Streamed(stream) => {
                let stream = http_body_util::BodyStream::new(stream);
                let end = futures::stream::once(async { Ok(Frame::data(Bytes::from(script))) });
                Body::Streamed(Box::pin(StreamBody::new(stream.chain(end))))
            }
            observed @ Body::Observed(_) => observed,
        })
    }
}

/// A static file that the browser asks for each time, so that it never shows an old one.
pub fn revalidated(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Has a page sent in full: what the browser kept from before may lack the script.
pub fn always_send_pages(request: &mut Parts) {
    let accepts = request.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if accepts.is_some_and(|accept| accept.contains("text/html")) {
        request.headers.remove(header::IF_NONE_MATCH);
    }
}
