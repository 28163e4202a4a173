//! The bounds of one server. Their defaults, each with its reason, are in `crate::limits`.

use std::time::Duration;

use crate::limits;
use crate::manifest::Http;

#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections on all addresses together. When all are taken, clients wait in the kernel's backlog.
    pub connections: usize,
    /// From the first byte of a request's head to its last. For the first request, from the start of the connection.
    pub header_time: Duration,
    pub header_bytes: usize,
    pub header_count: usize,
    pub body_bytes: usize,
    /// From the end of the head to the last byte of the body.
    pub body_time: Duration,
    pub response_bytes: usize,
    /// How long a connection may stay without a request, or its client without reading.
    pub idle_time: Duration,
    /// How long running requests have to finish once the server is stopping.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: limits::HTTP_CONNECTIONS,
            header_time: Duration::from_millis(limits::HTTP_HEADER_MS),
            header_bytes: limits::HTTP_HEADER_BYTES,
            header_count: limits::HTTP_HEADERS,
            body_bytes: limits::HTTP_BODY_BYTES,
            body_time: Duration::from_millis(limits::HTTP_BODY_MS),
            response_bytes: limits::HTTP_RESPONSE_BYTES,
            idle_time: Duration::from_millis(limits::HTTP_IDLE_MS),
            drain_time: Duration::from_millis(limits::HTTP_DRAIN_MS),
        }
    }
}

impl Limits {
    pub fn from_manifest(http: &Http) -> Self {
        Self {
            connections: http.connections,
            header_time: http.header_time,
            header_bytes: http.header_bytes,
            header_count: http.header_count,
            body_bytes: http.body_bytes,
            body_time: http.body_time,
            idle_time: http.idle_time,
            drain_time: http.drain_time,
            ..Self::default()
        }
    }
}
