//! The files of a host that is stopped, with the logs that it left, as a start would find them, and the components that
//! a start would serve.
//!
//! Invariant: the files are looked at and left as they are. The caller has locked their folder (`folder::Folder`), so
//! that no host starts meanwhile.

use std::path::Path;
use std::sync::Arc;

use seam_runtime::alone::probe::{self, Probed};
use seam_runtime::component::Compiler;
use seam_runtime::serve::{self, LinkedSystem, Source};
use seam_store::ids::ContextName;
use seam_store::{Config, HostFile, HostFileError, Misfit, OpenError, Register, RegisterError, Snapshot, chain};

use crate::deploy::{self, History, Sources};
use crate::manifest::{ContextSettings, Manifest};

/// What a stopped host has left in its data folder.
pub struct Stopped {
    register: Register,
    /// Where the components come from that a start would serve.
    pub sources: Sources,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Host(#[from] HostFileError),
    #[error(transparent)]
    Deploy(#[from] deploy::Error),
}

impl Error {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Host(error) => error.remedy(),
            Self::Deploy(error) => error.remedy(),
        }
    }
}

/// Why the file of a context cannot be read.
#[derive(Debug)]
pub enum Unusable {
    /// There is none, and there should be none yet.
    Absent,
    /// It is not the file that the host has seen last, or is damaged.
    Unfit(RegisterError),
    Unreadable(OpenError),
}

impl Unusable {
    pub fn why(&self) -> String {
        match self {
            Self::Absent => "the context has no file yet".to_owned(),
            Self::Unfit(error) => chain(error),
            Self::Unreadable(error) => chain(error),
        }
    }

    /// What to do about it; may be empty.
    pub fn remedy(&self, context: &str) -> String {
        match self {
            Self::Absent => String::new(),
            Self::Unfit(error) => error.remedy(context),
            Self::Unreadable(error) => error.remedy(),
        }
    }

    /// Whether it is the right file, and damaged.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Unfit(RegisterError::Misfit(Misfit::Damaged { .. })))
    }
}

impl Stopped {
    /// # Errors
    /// When the host's own file cannot be used.
    pub fn open(manifest: &Manifest) -> Result<Self, Error> {
        let host = Arc::new(HostFile::open(&manifest.host.data)?);
        let register = Register::open(host.clone())?;
        let sources = deploy::standing(manifest, &History::new(host)?)?;
        Ok(Self { register, sources })
    }

    /// The file of a context.
    ///
    /// # Errors
    /// When a start would not use it.
    pub fn file(&self, context: &ContextName, config: &Config) -> Result<Snapshot, Unusable> {
        self.register.compare(context, config).map_err(Unusable::Unfit)?;
        match config.path.is_file() {
            true => Snapshot::of_stopped(config).map_err(Unusable::Unreadable),
            false => Err(Unusable::Absent),
        }
    }
}

/// Loads the components of `manifest`, each from where `source` says, and starts each by itself, on an empty file in
/// `databases`.
///
/// # Errors
/// When no component can be loaded.
pub fn probe(
    manifest: &Manifest,
    compiler: Compiler,
    source: &(dyn Fn(&ContextSettings) -> Source + Sync),
    databases: &Path,
) -> Result<(LinkedSystem, Probed), serve::Error> {
    let cache = manifest.host.data.join("cache");
    let system = LinkedSystem::load_what_can(&manifest.together().system(), compiler, &cache, source)?;
    let probed = probe::start_each(&system, databases);
    Ok((system, probed))
}
