//! Why a context is not made, and what to do about each.

use std::io;
use std::path::PathBuf;

use crate::ids::ContextName;
use crate::manifest::Problems;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{name}` is no name for a context: {why}")]
    Name { name: String, why: &'static str },
    #[error("`{}` has a context `{name}`", manifest.display())]
    ContextExists { name: ContextName, manifest: PathBuf },
    #[error("there is already: {}", list(paths))]
    FilesExist { paths: Vec<PathBuf> },
    /// Says itself where and what to do.
    #[error("the manifest is wrong")]
    Manifest(Problems),
    #[error("`{}` cannot be changed: {reason}", path.display())]
    Edit { path: PathBuf, reason: String },
    #[error("a template is wrong: {reason}")]
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
            Self::Name { .. } => {
                "use lower-case words joined by single hyphens, each beginning with a letter: `guest-book`"
            }
            Self::ContextExists { .. } => "choose another name",
            Self::FilesExist { .. } => "choose another name, or move them away",
            Self::Edit { .. } => "add the context by hand as docs/new-context.md shows, or mend the file",
            Self::Read { .. } | Self::Write { .. } => {
                "look at the permissions of the folder, and at the space on the disk"
            }
            Self::Manifest(_) | Self::Template { .. } => "",
        }
    }
}
