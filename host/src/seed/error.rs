//! Why a seed is not loaded, and what to do about it.

use std::path::PathBuf;

use seam_runtime::call::Failure;

use crate::invoke;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}:{line}: {message}", path.display())]
    Row { path: PathBuf, line: u64, message: String },
    #[error("{}:{first}-{last}: `{context}` rejected these rows: {answer}", path.display())]
    Rejected { path: PathBuf, first: u64, last: u64, context: String, answer: String },
    #[error("{}:{first}-{last}: {failure}", path.display())]
    Failed { path: PathBuf, first: u64, last: u64, failure: Failure },
    #[error("`{call}` of `{context}` does not take one list")]
    NotAList { context: String, call: String, signature: String },
    #[error(transparent)]
    Call(#[from] invoke::Error),
    #[error("cannot write the list of loaded seeds `{}`", path.display())]
    Remember { path: PathBuf, source: std::io::Error },
}

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Read { .. } => {
                "create the file, or remove its `[[seed]]`; `seam up --no-seeds` starts without seeds".into()
            }
            Self::Row { .. } | Self::Rejected { .. } => {
                "correct the file and run `seam seed`: it starts from the first row, and rows already taken change nothing".into()
            }
            Self::Failed { failure: Failure::Trapped { context, .. }, .. } => {
                format!("see `seam logs {context} --level warn`, then run `seam seed` again")
            }
            Self::Failed { .. } => "run `seam seed` again".into(),
            Self::NotAList { signature, .. } => {
                format!("name a function that takes one list of rows; this one is {signature}")
            }
            Self::Call(error) => error.remedy(),
            Self::Remember { .. } => "check the permissions of the data folder and the space on its disk".into(),
        }
    }
}
