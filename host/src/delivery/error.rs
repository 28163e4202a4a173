//! Why an operator's request is refused, with what to do.

use seam_store::HostFileError;

/// Nothing was changed, unless the message says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub message: String,
    /// What to do; may be empty.
    pub remedy: String,
}

impl Refused {
    pub fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

impl From<HostFileError> for Refused {
    fn from(error: HostFileError) -> Self {
        Self { message: seam_store::chain(&error), remedy: error.remedy() }
    }
}

impl From<seam_store::Error> for Refused {
    fn from(error: seam_store::Error) -> Self {
        Self { message: error.to_string(), remedy: "`seam contexts` shows what is wrong with the file".to_owned() }
    }
}
