//! The customer context.
