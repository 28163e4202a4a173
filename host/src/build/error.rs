//! Why a build fails, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use seam_store::ids::ContextName;

use super::rust::{OLDEST, TARGET};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the manifest has no context `{name}`")]
    NoContext { name: ContextName, known: String },
    #[error("`{}` is not there, and the manifest does not say how to build it", component.display())]
    NoBuild { component: PathBuf },
    #[error("contexts in Rust cannot be compiled: {missing}")]
    Toolchain { missing: MissingTool },
    #[error("the standard library for wasm could not be compiled; the command was: {command}")]
    Std { command: String },
    #[error("cannot start: {command}")]
    Start { command: String, source: io::Error },
    #[error("cargo cannot read the workspace of `{}`; the command was: {command}\n{output}", folder.display())]
    Workspace { folder: PathBuf, command: String, output: String },
    #[error("the workspace in `{}` has no package `{package}`", root.display())]
    NoPackage { package: String, root: PathBuf, known: Vec<String> },
    #[error("`{}` does not build a wasm module", manifest.display())]
    NoCdylib { manifest: PathBuf },
    #[error("package `{package}` does not compile; the command was: {command}")]
    Compile { package: String, command: String },
    #[error("`{}` cannot be made a component: {detail}", module.display())]
    Encode { module: PathBuf, detail: String },
    #[error("the build command ended with {status}: {command}")]
    Command { command: String, status: String },
    #[error("the build command did not write `{}`: {command}", component.display())]
    NoOutput { component: PathBuf, command: String },
    #[error("`{}` is not a component: {detail}", component.display())]
    NotComponent { component: PathBuf, detail: String },
    #[error("`{}` holds too many source files", folder.display())]
    TooManySources { folder: PathBuf },
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// What keeps contexts in Rust from being compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingTool {
    Rust,
    OutdatedRust { found: String },
    Target,
    Linker,
}

impl fmt::Display for MissingTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rust => f.write_str("no `rustc` with a `cargo` on the PATH"),
            Self::OutdatedRust { found } => write!(f, "Rust {OLDEST} or later is needed, found {found}"),
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
            Self::Std { .. } => "see the first error above; cargo downloads the library's dependencies once".into(),
            Self::NoPackage { known, .. } if known.is_empty() => "no package of it builds a `cdylib`".into(),
            Self::NoPackage { known, .. } => format!("packages that build a `cdylib`: {}", known.join(", ")),
            Self::NoCdylib { .. } => "add `[lib]` with `crate-type = [\"cdylib\", \"rlib\"]`".into(),
            Self::Encode { .. } => {
                "look at `wit_bindgen::generate!` and `export!` in the crate, which define its interfaces".into()
            }
            Self::NotComponent { .. } => {
                "make a component of the core module with `wasm-tools component new`, or with the language's own tool"
                    .into()
            }
            Self::TooManySources { .. } => "name narrower folders in `sources`".into(),
            Self::Write { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make space on the disk".into(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "give the user who builds permission to write there".into()
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
