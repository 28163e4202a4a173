//! The access log: one `access` event a request, after its last byte. While no subscriber wants such events, a request
//! pays one comparison.

use std::time::Duration;

use http::header;
use http::request::Parts;
use http::{Method, StatusCode};
use seam_store::ids::{ContextName, Trace};

use crate::http::client::Client;
use crate::limits;

/// What the line needs of the request.
pub struct Entry {
    method: Method,
    path: String,
    context: String,
    client: Client,
    agent: String,
    trace: Trace,
    /// That of the client, which is not the request's.
    linked: Option<Trace>,
}

impl Entry {
    /// `None` when access events are switched off.
    pub fn new(
        parts: &Parts,
        context: Option<&ContextName>,
        client: &Client,
        trace: Trace,
        linked: Option<Trace>,
    ) -> Option<Box<Self>> {
        if !tracing::enabled!(target: "access", tracing::Level::INFO) {
            return None;
        }
        let agent =
            parts.headers.get(header::USER_AGENT).map(|value| trimmed(&String::from_utf8_lossy(value.as_bytes())));
        Some(Box::new(Self {
            method: parts.method.clone(),
            path: trimmed(parts.uri.path()),
            context: context.map_or_else(|| "-".into(), ToString::to_string),
            client: client.clone(),
            agent: agent.unwrap_or_default(),
            trace,
            linked,
        }))
    }

    pub fn write(&self, status: StatusCode, bytes: u64, took: Duration) {
        tracing::info!(
            target: "access",
            method = %self.method,
            path = %self.path,
            status = status.as_u16(),
            bytes,
            ms = (took.as_secs_f64() * 1e6).round() / 1e3,
            context = %self.context,
            trace = %format_args!("{:032x}", self.trace.trace_id),
            client_trace = self.linked.map(|linked| tracing::field::display(format!("{:032x}", linked.trace_id))),
            client = %self.client,
            agent = %self.agent,
        );
    }
}

/// The start of a text from the client, without control characters.
fn trimmed(text: &str) -> String {
    let mut end = text.len().min(limits::ACCESS_FIELD_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
