//! The languages that a new context can be written in.

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    #[default]
    Rust,
    /// JavaScript
    Js,
    Python,
}
