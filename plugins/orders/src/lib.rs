//! The orders context.
