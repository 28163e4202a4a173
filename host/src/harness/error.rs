//! Why the harness cannot run, and what to do about it.

use seam_runtime::did_you_mean;

use crate::manifest::Problems;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Manifest(#[from] Problems),
    #[error(transparent)]
    Contexts(#[from] seam_runtime::serve::Error),
    #[error("there is no context `{name}`")]
    NoContext { name: String, known: Vec<String> },
    #[error("there is no contract for `{interface}`")]
    NoContract { interface: String, known: Vec<String> },
    #[error("{message}")]
    Fixture { message: String },
}

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::NoContext { name, known } => did_you_mean::hint(name, known.iter().map(String::as_str)),
            Self::NoContract { known, .. } if known.is_empty() => {
                "put one into `wit/PACKAGE/contract/`, see `docs/scenarios.md`".to_owned()
            }
            Self::NoContract { interface, known } => {
                match did_you_mean::nearest(interface, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are contracts for: {}", known.join(", ")),
                }
            }
            _ => String::new(),
        }
    }
}
