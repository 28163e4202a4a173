//! The guest SDK: what a context written in Rust needs, and no more.
