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
    #[error("`{name}` cannot be the name of an events interface")]
    InterfaceName { name: String },
    #[error("there is no interface `{name}` in `wit`")]
    NoInterface { name: String, near: Option<String> },
    #[error("`{name}` is no events interface: {why}")]
    NotEvents { name: String, why: String },
    #[error("`{name}` is both published and subscribed to")]
    BothWays { name: String },
    #[error("`seam new` has no example of an event `{function}` of `{name}`: {why}")]
    NoExample { name: String, function: String, why: String },
    #[error("`{}` cannot be read: {reason}", path.display())]
    Wit { path: PathBuf, reason: String },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write `{}`; nothing was changed", path.display())]
    Write { path: PathBuf, source: io::Error },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}

impl Error {
    pub fn remedy(&self) -> String {
        let text = match self {
            Self::Name { .. } => "choose another one: lower-case words joined by single hyphens, such as `guest-book`",
            Self::ContextExists { .. } => "choose another name",
            Self::FilesExist { .. } => "choose another name, or move these files",
            Self::Edit { .. } => "correct the file, or add the context by hand as docs/new-context.md shows",
            Self::Read { .. } | Self::Write { .. } => {
                "check the permissions of the folder and the free space on the disk"
            }
            Self::InterfaceName { .. } => {
                "write `package/interface`, `namespace:package/interface@1.2.3` or, to publish, `events` for one of the \
                 new context's own; `entries` and words of WIT and Rust are taken"
            }
            Self::NoInterface { near: Some(near), .. } => return format!("did you mean `{near}`?"),
            Self::NoInterface { name, near: None } => {
                return format!("make its publisher first: `seam new PUBLISHER --publishes {name}`");
            }
            Self::NotEvents { .. } => {
                "an event returns `result<_, error>`, and the error is a variant with the case `unavailable(string)`: \
                 docs/events.md"
            }
            Self::BothWays { .. } => {
                "leave one of the two out; a context that sends events to itself sets timers: docs/timers.md"
            }
            Self::NoExample { .. } => "leave the interface out, and add it by hand as docs/new-context.md shows",
            Self::Wit { .. } => "correct the file first: no build can read it",
            Self::Manifest(_) | Self::Template { .. } => "",
        };
        text.to_owned()
    }
}
