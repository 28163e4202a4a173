//! The end of a request, after the last byte of its response: counted in the metrics, and a line in the access log.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;
use seam_store::ids::Trace;

use super::access_log::Entry;
use super::metrics::{ContextMetrics, Cut};
use crate::http::connection_activity::ActiveRequest;

/// Records the request when it drops. Travels with the body: until then its connection has an active request.
pub struct Completion {
    /// Of the body, as sent.
    pub bytes: u64,
    pub status: StatusCode,
    pub started: Instant,
    pub metrics: Arc<ContextMetrics>,
    /// `None` when the access log is off.
    pub access: Option<Box<Entry>>,
    pub trace: Trace,
    pub active: ActiveRequest,
}

impl Completion {
    /// The client left before the last byte.
    pub fn cut(&self) {
        self.metrics.cut(if self.active.stalled() { Cut::Stalled } else { Cut::HangUp });
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.metrics.count(self.status, took, self.bytes);
        if let Some(access) = &self.access {
            access.write(self.status, self.bytes, took);
        }
    }
}
