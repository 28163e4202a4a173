//! What can go wrong in a build, and what to do about each.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::rust::{OLDEST, TARGET};
use crate::ids::ContextName;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the manifest has no context `{name}`")]
    NoContext { name: ContextName, known: String },
    #[error("`{}` is not there, and the manifest does not say how to build it", component.display())]
    NoBuild { component: PathBuf },
    #[error("plugins in Rust cannot be compiled: {lack}")]
    Toolchain { lack: Lack },
    #[error("the standard library for wasm could not be compiled; the command was: {command}")]
    Std { command: String },
    #[error("cannot start: {command}")]
    Start { command: String, source: io::Error },
    #[error("cargo cannot read the workspace around `{}`; the command was: {command}\n{words}", folder.display())]
    Workspace { folder: PathBuf, command: String, words: String },
    #[error("the workspace in `{}` has no package `{package}`", root.display())]
    NoPackage { package: String, root: PathBuf, known: Vec<String> },
    #[error("`{}` does not build a module for wasm", manifest.display())]
    NoCdylib { manifest: PathBuf },
    #[error("package `{package}` does not compile; the command was: {command}")]
    Compile { package: String, command: String },
    #[error("`{}` cannot be made a component: {detail}", module.display())]
    Encode { module: PathBuf, detail: String },
    #[error("its build command ended with {status}: {command}")]
    Command { command: String, status: String },
    #[error("its build command did not write `{}`: {command}", component.display())]
    NoOutput { component: PathBuf, command: String },
    #[error("`{}` is not a component: {detail}", component.display())]
    NotComponent { component: PathBuf, detail: String },
    #[error("`{}` and below has too many source files", folder.display())]
    TooManySources { folder: PathBuf },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// What is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    Rust,
    Recent { found: String },
    Target,
    Linker,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rust => f.write_str("no `rustc` with a `cargo` on the PATH"),
            Self::Recent { found } => write!(f, "Rust {OLDEST} or later is needed, found {found}"),
            Self::Target => write!(f, "no Rust here has the target {TARGET} or the sources to compile it from"),
            Self::Linker => f.write_str("no wasm linker (`rust-lld` or `wasm-ld`)"),
        }
    }
}

impl Error {
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Write { path, source }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoContext { known, .. } => format!("it has: {known}"),
            Self::NoBuild { .. } => {
                "add `build = { cargo = \"PACKAGE\" }` or `build = { command = \"...\", sources = [\"...\"] }`".into()
            }
            Self::Toolchain { .. } => "`seam doctor` shows what is missing, `seam doctor --fix` installs it".into(),
            Self::Std { .. } => "the first error above says why; its dependencies come from the network once".into(),
            Self::NoPackage { known, .. } if known.is_empty() => "it has no package that builds a `cdylib`".into(),
            Self::NoPackage { known, .. } => format!("packages that build a `cdylib`: {}", known.join(", ")),
            Self::NoCdylib { .. } => "add `[lib]` with `crate-type = [\"cdylib\", \"rlib\"]`".into(),
            Self::Encode { .. } => {
                "its interfaces come from `wit_bindgen::generate!` and `export!` in the crate".into()
            }
            Self::NotComponent { .. } => {
                "a core module becomes a component with `wasm-tools component new`, or with the language's own tool"
                    .into()
            }
            Self::TooManySources { .. } => "name narrower folders in `sources`".into(),
            Self::Write { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make space on the disk".into(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "the user who builds must be allowed to write there".into()
                }
                _ => return None,
            },
            Self::Workspace { .. }
            | Self::Start { .. }
            | Self::Compile { .. }
            | Self::Command { .. }
            | Self::NoOutput { .. }
            | Self::Read { .. } => return None,
        })
    }
}
