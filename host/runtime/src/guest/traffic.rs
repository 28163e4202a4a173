//! How often a function of a seam is called, and how many bytes its calls would take between hosts.
//!
//! A call costs one atomic addition. The bytes are those of one call in `limits::TRAFFIC_SAMPLE_CALLS`, as `codec`
//! writes them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::limits;

#[derive(Debug, Default)]
pub struct Traffic {
    calls: AtomicU64,
    sampled: AtomicU64,
    request_bytes: AtomicU64,
    answer_bytes: AtomicU64,
}

/// The counts at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrafficCounts {
    pub calls: u64,
    /// Calls whose bytes were counted, and the bytes of all of these together.
    pub sampled: u64,
    pub request_bytes: u64,
    pub answer_bytes: u64,
}

impl Traffic {
    /// Counts a call. Whether its bytes are to be counted, too.
    pub fn takes(&self) -> bool {
        self.calls.fetch_add(1, Relaxed).is_multiple_of(limits::TRAFFIC_SAMPLE_CALLS)
    }

    pub fn add(&self, request_bytes: usize, answer_bytes: usize) {
        self.sampled.fetch_add(1, Relaxed);
        self.request_bytes.fetch_add(request_bytes as u64, Relaxed);
        self.answer_bytes.fetch_add(answer_bytes as u64, Relaxed);
    }

    pub fn counts(&self) -> TrafficCounts {
        TrafficCounts {
            calls: self.calls.load(Relaxed),
            sampled: self.sampled.load(Relaxed),
            request_bytes: self.request_bytes.load(Relaxed),
            answer_bytes: self.answer_bytes.load(Relaxed),
        }
    }
}
