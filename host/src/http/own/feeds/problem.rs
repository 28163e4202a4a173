//! Why a reader with a token does not get what it asks for, as `application/problem+json` (RFC 9457).

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::fields::own_fields;
use crate::http::body::Body;
use crate::http::response::uncached;
use crate::limits;

#[derive(Debug, PartialEq)]
pub struct Problem {
    status: StatusCode,
    members: Map<String, Value>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        let mut members = Map::new();
        members.insert("status".into(), status.as_u16().into());
        members.insert("title".into(), title.into());
        members.insert("detail".into(), detail.into().into());
        Self { status, members }
    }

    /// Events after the reader's position are no longer kept.
    pub fn behind(path: &str, kept_after: u64, head: u64) -> Self {
        let detail = format!(
            "events up to {kept_after} are no longer kept, and you have not read all of them. Fetch the state of what \
             you follow from its context, then go on with `after={kept_after}`"
        );
        let mut problem = Self::new(StatusCode::GONE, detail);
        problem.members.insert("kept-after".into(), kept_after.to_string().into());
        problem.members.insert("head".into(), head.to_string().into());
        problem.members.insert("restart".into(), json!(format!("{path}?after={kept_after}")));
        problem
    }

    /// The reader's position was never given.
    pub fn ahead(head: u64) -> Self {
        let detail = format!(
            "no event has this position yet: the last one is {head}. Check that the position is one of this feed's; \
             without `after` you get what is kept, from the oldest event on"
        );
        let mut problem = Self::new(StatusCode::BAD_REQUEST, detail);
        problem.members.insert("head".into(), head.to_string().into());
        problem
    }

    /// The context's file cannot be read now.
    pub fn away() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the events cannot be read now; ask again with the same position")
    }

    pub fn crowded() -> Self {
        let detail = "too many streams are open; ask again, or read pages";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// Whether the reader is behind what is kept.
    pub fn is_gone(&self) -> bool {
        self.status == StatusCode::GONE
    }

    pub fn text(&self) -> String {
        Value::Object(self.members.clone()).to_string()
    }

    pub fn response(&self) -> Response<Body> {
        let mut response = uncached(self.status, "application/problem+json", self.text() + "\n");
        own_fields(response.headers_mut());
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(limits::FEED_RETRY_AFTER_S));
        }
        response
    }
}
