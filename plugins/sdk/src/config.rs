//! Settings that the manifest gives to this context.

#[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
use crate::bindings::wasi::config::store;

/// The setting `key`; `None` when the manifest does not give it. A value of a shared file is called `FILE.NAME`, as
/// `reference.countries`. Natively there are those of [`native::settings`](crate::native::settings).
pub fn get(key: &str) -> Result<Option<String>, Error> {
    #[cfg(all(feature = "native", not(target_family = "wasm")))]
    return Ok(crate::native::setting(key));
    #[cfg(not(all(feature = "native", not(target_family = "wasm"))))]
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
