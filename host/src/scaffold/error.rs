//! Why `seam new` makes no context, and what to do about it.

use std::io;
use std::path::PathBuf;

use seam_store::ids::ContextName;

use crate::manifest::Problems;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{name}` cannot be the name of a context: {why}")]
    Name { name: String, why: &'static str },
    #[error("`{}` already has a context `{name}`", manifest.display())]
    ContextExists { name: ContextName, manifest: PathBuf },
    #[error("these files exist already: {}", list(paths))]
    FilesExist { paths: Vec<PathBuf> },
    /// Its problems have their own places and hints.
    #[error("the manifest has problems")]
    Manifest(Problems),
    #[error("`{}` cannot be changed: {reason}", path.display())]
    Edit { path: PathBuf, reason: String },
    #[error("a template cannot be filled in: {reason}")]
    Template { reason: String },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write `{}`; nothing was changed", path.display())]
    Write { path: PathBuf, source: io::Error },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}

impl Error {
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Name { .. } => "choose another one: lower-case words joined by single hyphens, such as `guest-book`",
            Self::ContextExists { .. } => "choose another name",
            Self::FilesExist { .. } => "choose another name, or move these files",
            Self::Edit { .. } => "correct the file, or add the context by hand as docs/new-context.md shows",
            Self::Read { .. } | Self::Write { .. } => {
                "check the permissions of the folder and the free space on the disk"
            }
            Self::Manifest(_) | Self::Template { .. } => "",
        }
    }
}
