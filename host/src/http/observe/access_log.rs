//! The access log: one `access` event a request, after its last byte. When nobody listens to it, it costs one comparison.

use std::net::SocketAddr;
use std::time::Duration;

use http::header;
use http::request::Parts;
use http::{Method, StatusCode};

use crate::http::service::mounts::Mount;
use crate::ids::Trace;
use crate::limits;

/// What the line needs and the response no longer knows.
pub struct Record {
    method: Method,
    path: String,
    context: String,
    client: SocketAddr,
    agent: String,
    trace: Trace,
}

impl Record {
    /// `None` when access events are switched off.
    pub fn new(parts: &Parts, mount: Option<&Mount>, client: SocketAddr, trace: Trace) -> Option<Box<Self>> {
        if !tracing::enabled!(target: "access", tracing::Level::INFO) {
            return None;
        }
        let agent =
            parts.headers.get(header::USER_AGENT).map(|value| trimmed(&String::from_utf8_lossy(value.as_bytes())));
        Some(Box::new(Self {
            method: parts.method.clone(),
            path: trimmed(parts.uri.path()),
            context: mount.map_or_else(|| "-".into(), |mount| mount.context.to_string()),
            client,
            agent: agent.unwrap_or_default(),
            trace,
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
            client = %self.client,
            agent = %self.agent,
        );
    }
}

fn trimmed(text: &str) -> String {
    let mut end = text.len().min(limits::ACCESS_FIELD_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
