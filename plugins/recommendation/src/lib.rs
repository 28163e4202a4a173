//! The recommendation context.
