//! What is recorded about requests: metrics and the access log.

pub mod access_log;
pub mod completion;
pub mod metrics;
