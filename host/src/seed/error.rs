//! Why a seed is not loaded, and what to do about it.

use std::path::PathBuf;

use seam_runtime::call::Failure;
use seam_runtime::did_you_mean;

use crate::invoke;
use crate::manifest::Place;

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
    /// Between the check and the load, another version was deployed.
    #[error("`{call}` of `{context}` no longer takes one list")]
    Changed { context: String, call: String },
    #[error(transparent)]
    Call(#[from] invoke::Error),
    /// The manifest asks for something that the context cannot do.
    #[error("{}:{}:{}: {message}", manifest.display(), place.line, place.column)]
    Misfit { manifest: PathBuf, place: Place, message: String, remedy: String },
    #[error("no `[[seed]]` is for the context `{context}`")]
    NoSeed { context: String, known: Vec<String> },
    #[error("nothing was loaded: {overwritten} rows would be overwritten")]
    OnlyTried { context: Option<String>, overwritten: u64 },
    #[error("cannot try a seed on a copy of the file of `{context}`: {why}")]
    Copy { context: String, why: String },
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
            Self::Failed { .. } | Self::Changed { .. } => "run `seam seed` again".into(),
            Self::Call(error) => error.remedy(),
            Self::Misfit { remedy, .. } => remedy.clone(),
            Self::NoSeed { context, known } => did_you_mean::hint(context, known.iter().map(String::as_str)),
            Self::OnlyTried { context, .. } => {
                let context = context.as_ref().map(|context| format!(" {context}")).unwrap_or_default();
                format!("`seam seed{context} --again --overwrite` loads it; `seam backup` keeps what is there now")
            }
            Self::Copy { .. } => "make room on the disk of the data folder, and see the log".into(),
            Self::Remember { .. } => "check the permissions of the data folder and the space on its disk".into(),
        }
    }
}
