//! The sagas of a host that is stopped: its contexts' files, read and left as they are.
//!
//! The caller has locked the data folder. Not here: actions on sagas, which go through a running host.

use seam_runtime::component::Compiler;
use seam_store::clock::Clock;
use seam_store::{Config, SagaDefinition, Snapshot, chain};

use super::look::{self, SagaFile};
use super::types::{SagaGroups, SagaList, SagaName, SagaSelection, ShownSaga};
use crate::folder;
use crate::manifest::{ContextSettings, Manifest};
use crate::refused::Refused;
use crate::stopped::{self, Stopped, Unusable};

pub struct StoppedSagas {
    manifest: Manifest,
    compiler: Compiler,
    stopped: Stopped,
    files: Vec<SagaFile<Snapshot>>,
    now_ms: u64,
}

impl StoppedSagas {
    /// Reads the files of the contexts of `manifest`. `compiler` is for `show`, which reads definitions.
    ///
    /// # Errors
    /// When the host's own file cannot be used.
    pub fn open(manifest: Manifest, compiler: Compiler) -> Result<Self, Refused> {
        let stopped = Stopped::open(&manifest).map_err(|error| Refused::new(chain(&error), error.remedy()))?;
        let mut files = Vec::new();
        for context in manifest.here() {
            let (name, Some(store)) = (&context.settings.name, &context.settings.store) else { continue };
            let config = Config::of(name, store, &folder::stores(&manifest.host.data));
            let file = match stopped.file(name, &config) {
                // No saga has been started in it.
                Err(Unusable::Absent) => continue,
                read => read.map_err(|error| error.why()),
            };
            files.push(SagaFile { context: name.to_string(), file });
        }
        Ok(Self { manifest, compiler, stopped, files, now_ms: Clock::system().wall_ms() })
    }

    /// See `SagaOperator::list`.
    ///
    /// # Errors
    /// For an unknown context, kind or state.
    pub fn list(&self, selection: &SagaSelection, most: u32) -> Result<SagaList, Refused> {
        look::list(&self.files, selection, self.now_ms, most)
    }

    /// See `SagaOperator::groups`.
    ///
    /// # Errors
    /// As `list`.
    pub fn groups(&self, selection: &SagaSelection) -> Result<SagaGroups, Refused> {
        look::groups(&self.files, selection, self.now_ms)
    }

    /// See `SagaOperator::show`. The definition is that of the version that a start would serve. Call this on a thread
    /// that has the stack for a guest.
    ///
    /// # Errors
    /// When there is no such saga, or its file cannot be read.
    pub fn show(&self, name: &SagaName) -> Result<ShownSaga, Refused> {
        let file = look::open(look::file(&self.files, &name.context)?)?;
        // Before any component is started.
        look::one(file, name)?;
        look::show(file, name, self.definition(name), self.now_ms)
    }

    /// The saga's definition, or why it is not known.
    fn definition(&self, name: &SagaName) -> Result<SagaDefinition, String> {
        let databases = tempfile::tempdir().map_err(|error| format!("cannot make a temporary folder: {error}"))?;
        let sources = &self.stopped.sources;
        let source = |entry: &ContextSettings| sources.of(entry);
        let probed = stopped::probe(&self.manifest, self.compiler.clone(), &source, databases.path());
        let (_, probed) = probed.map_err(|error| format!("the components cannot be loaded: {}", chain(&error)))?;
        let declared = probed.sagas.iter().find(|(context, _)| context.as_str() == name.context);
        match declared {
            Some((_, definitions)) => look::definition(definitions, &name.kind),
            None => Err(format!("no version of `{}` starts; `seam check` shows why", name.context)),
        }
    }
}
