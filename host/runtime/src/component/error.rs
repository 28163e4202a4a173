//! Why a component cannot be loaded.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read component `{path}`")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("component `{path}` is {bytes} bytes, more than the {max} allowed")]
    TooLarge { path: PathBuf, bytes: u64, max: u64 },
    #[error("`{path}` is {what}, not a WebAssembly component")]
    NotAComponent { path: PathBuf, what: &'static str },
    /// A component for another host. `what` is the end of a sentence that starts with its name.
    #[error("component `{path}` {what}")]
    Foreign { path: PathBuf, what: String, remedy: String },
    #[error("component `{path}` changed while the host read it")]
    Changing { path: PathBuf },
    #[error("the kept component `{path}` is damaged: its bytes have the SHA-256 {found}, not that of its name")]
    Changed { path: PathBuf, found: String },
    #[error("component `{path}` does not compile: {reason}")]
    Compile { path: PathBuf, reason: String },
    #[error("cannot use the cache of compiled components `{path}`: {reason}")]
    Cache { path: PathBuf, reason: String },
}
