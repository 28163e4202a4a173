//! What a developer does: `seam dev` while sources are edited, and `seam new`. These tests compile Rust.

mod edits;
mod new;
