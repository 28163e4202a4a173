//! Why nothing could be verified, and what to do about it.

use seam_runtime::{did_you_mean, serve};
use seam_store::{CopyError, HostFileError};

use crate::{backup, deploy, stopped};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no context `{context}` with a store")]
    NoContext { context: String, known: Vec<String> },
    #[error("cannot see all files at one moment")]
    Moment(#[source] CopyError),
    #[error("cannot load the components")]
    Components(#[source] serve::Error),
    #[error("cannot make a temporary folder")]
    Temporary(#[source] std::io::Error),
    #[error("there is no data folder `{path}`: no host has run here")]
    NoData { path: String },
    #[error("there is no backup `{name}`")]
    NoBackup { name: String },
    #[error(transparent)]
    Backup(Box<backup::Error>),
    #[error(transparent)]
    Deploy(#[from] deploy::Error),
    #[error(transparent)]
    Host(#[from] HostFileError),
}

impl From<stopped::Error> for Error {
    fn from(error: stopped::Error) -> Self {
        match error {
            stopped::Error::Host(error) => Self::Host(error),
            stopped::Error::Deploy(error) => Self::Deploy(error),
        }
    }
}

/// Boxed, since it is larger than all the others.
impl From<backup::Error> for Error {
    fn from(error: backup::Error) -> Self {
        Self::Backup(Box::new(error))
    }
}

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::NoContext { context, known } => did_you_mean::hint(context, known.iter().map(String::as_str)),
            Self::Moment(_) => "try again; `seam contexts` shows which store does not work".to_owned(),
            Self::Components(_) => "`seam check` shows what is wrong with them".to_owned(),
            Self::Temporary(_) => "make room on the disk for temporary files".to_owned(),
            Self::NoData { .. } => {
                "start the host once with `seam up`, or name the right manifest with `-f`".to_owned()
            }
            Self::NoBackup { .. } => {
                "`seam backup --list` shows what there is; name one of them or the folder of a backup".to_owned()
            }
            Self::Backup(error) => error.remedy(),
            Self::Deploy(error) => error.remedy(),
            Self::Host(error) => error.remedy(),
        }
    }
}
