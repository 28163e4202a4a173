//! What is noted about requests: metrics and the access log.

pub mod access_log;
pub mod metrics;
