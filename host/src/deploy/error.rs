//! The errors that make every deploy impossible.

use std::path::PathBuf;

use seam_runtime::serve;
use seam_store::HostFileError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    History(#[from] HostFileError),
    #[error(transparent)]
    Contexts(serve::Error),
    #[error("cannot use the folder for deployed components `{}`", path.display())]
    ArtifactStore { path: PathBuf, source: std::io::Error },
}

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::History(error) => error.remedy(),
            Self::Contexts(_) => "see the log".to_owned(),
            Self::ArtifactStore { .. } => "fix its permissions, or name another `data` folder in `[host]`".to_owned(),
        }
    }
}
