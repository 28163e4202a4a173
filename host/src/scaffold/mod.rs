//! `seam new`: the files of a context that builds, passes its tests and serves at the first try.
//!
//! `plan` determines the new files and the new texts of changed ones; `write` writes all of them or, after an error,
//! none.
//! Not here: building a context (`build`), the meaning of a manifest (`manifest`).

mod cargo;
mod entry;
mod error;
mod events;
mod example;
mod interface;
mod language;
mod name;
mod plan;
mod sdk;
mod templates;
#[cfg(test)]
mod tests;
mod toml;
mod words;
mod write;

pub use error::Error;
pub use language::Language;
pub use plan::{EventNames, Plan, plan};
