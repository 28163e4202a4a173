//! Settings that the manifest gives to this context.

use crate::bindings::wasi::config::store;

/// The setting `key`; `None` when the manifest does not give it. Natively there are no settings.
pub fn get(key: &str) -> Result<Option<String>, Error> {
    if cfg!(not(target_family = "wasm")) {
        return Ok(None);
    }
    store::get(key).map_err(|error| match error {
        store::Error::Upstream(text) | store::Error::Io(text) => Error(text),
    })
}

/// The settings could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the settings cannot be read: {}", self.0)
    }
}

impl std::error::Error for Error {}
