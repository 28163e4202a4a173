//! `seam new`: the files of a context that builds, passes its tests and serves at the first try.
//!
//! Everything is worked out before anything is written: the new files, and the new text of those that change. What was written when
//! something fails is taken back.
//! Not here: building it (`build`), and what a manifest means (`manifest`).

mod cargo;
mod entry;
mod error;
mod language;
mod name;
mod plan;
mod sdk;
mod templates;
#[cfg(test)]
mod tests;
mod toml;
mod write;

pub use error::Error;
pub use language::Language;
pub use plan::{Plan, plan};
