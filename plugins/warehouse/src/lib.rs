//! The warehouse context.
