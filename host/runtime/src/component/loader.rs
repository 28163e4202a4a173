//! Components: from the bytes of a `.wasm` file to something that can be linked, with a private cache in between.
//!
//! Invariant: what is deserialised was written by this host into a folder that only its user can write to. A precompiled
//! file from anywhere else would be code execution, so none is ever accepted.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use wasmtime::Engine;

use super::artifact::Artifact;
use super::compiled::Component;
use super::compiler::{Compiler, compile_in_child};
use super::engine;
use super::error::Error;
use crate::limits;

/// Loads components of one engine.
pub struct Loader {
    engine: Engine,
    compiler: Compiler,
    /// What compiles for `Compiler::Quick`; kept, because it knows functions again.
    quick: Option<Engine>,
    cache: PathBuf,
}

impl Loader {
    /// `cache` is created, private to this user, when it is missing.
    ///
    /// # Errors
    /// `Error::Cache` when the folder cannot be made or others could write to it.
    pub fn new(engine: &Engine, compiler: Compiler, cache: &Path) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Cache { path: cache.to_owned(), reason };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(cache).map_err(|e| refuse(e.to_string()))?;
        let meta = fs::metadata(cache).map_err(|e| refuse(e.to_string()))?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(refuse("it belongs to another user".into()));
        }
        if meta.permissions().mode() & 0o022 != 0 {
            return Err(refuse("others may write to it; `chmod go-w` it".into()));
        }
        prune(cache);
        let quick = match compiler {
            Compiler::Quick => Some(engine::compiling_quickly().map_err(|e| refuse(format!("{e:#}")))?),
            _ => None,
        };
        Ok(Self { engine: engine.clone(), compiler, quick, cache: cache.to_owned() })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Reads the file once; those bytes are hashed, and compiled unless the cache has them.
    pub fn load(&self, path: &Path) -> Result<Component, Error> {
        self.load_artifact(&Artifact::read(path)?)
    }

    /// Compiles what was read, unless the cache has it.
    pub fn load_artifact(&self, artifact: &Artifact) -> Result<Component, Error> {
        let hash = artifact.hash.clone();
        let cached = self.place(&hash);
        let code = match self.load_cached(&cached) {
            Some(code) => code,
            None => self.compile(&artifact.path, &artifact.bytes, &cached)?,
        };
        Ok(Component::new(&self.engine, hash, code))
    }

    /// Where the machine code of these bytes is or would be.
    fn place(&self, hash: &str) -> PathBuf {
        let key = engine_key(&self.engine);
        let usual = self.cache.join(format!("{hash}-{key}.cwasm"));
        match self.compiler {
            // Apart from the others, for whom it is too slow. Better code that is there already is welcome.
            Compiler::Quick if !usual.is_file() => self.cache.join(format!("{hash}-{key}-quick.cwasm")),
            _ => usual,
        }
    }

    fn load_cached(&self, cached: &Path) -> Option<wasmtime::component::Component> {
        if !cached.is_file() {
            return None;
        }
        // SAFETY: only this user can write to the folder (checked in `new`), and only `compile` below writes there, by rename.
        let loaded = unsafe { wasmtime::component::Component::deserialize_file(&self.engine, cached) };
        match loaded {
            Ok(code) => {
                // So that `prune` sees what is in use. Failing at it costs one compilation some day.
                fs::File::open(cached).and_then(|file| file.set_modified(SystemTime::now())).ok();
                Some(code)
            }
            Err(error) => {
                tracing::warn!(file = %cached.display(), "a compiled component is unusable and is compiled again: {error}");
                fs::remove_file(cached).ok();
                None
            }
        }
    }

    fn compile(&self, path: &Path, bytes: &[u8], cached: &Path) -> Result<wasmtime::component::Component, Error> {
        let started = Instant::now();
        let refuse = |reason: String| Error::Compile { path: path.to_owned(), reason };
        let unusable = |e: std::io::Error| Error::Cache { path: cached.to_owned(), reason: e.to_string() };
        let compiled = match &self.compiler {
            Compiler::Child(seam) => compile_in_child(seam, bytes).map_err(refuse)?,
            Compiler::InProcess | Compiler::Quick => {
                let engine = self.quick.as_ref().unwrap_or(&self.engine);
                engine.precompile_component(bytes).map_err(|e| refuse(format!("{e:#}")))?
            }
        };
        // A name of its own for each attempt: two hosts' tests may share a cache.
        let partial = cached.with_extension(format!("{:016x}.tmp", rand::random::<u64>()));
        let written = fs::write(&partial, &compiled).and_then(|()| fs::rename(&partial, cached));
        if let Err(error) = written {
            fs::remove_file(&partial).ok();
            return Err(unusable(error));
        }
        tracing::info!(
            component = %path.display(),
            ms = started.elapsed().as_millis(),
            "compiled and cached"
        );
        // SAFETY: this process or its own child has just made these bytes.
        unsafe { wasmtime::component::Component::deserialize_file(&self.engine, cached) }
            .map_err(|e| refuse(format!("{e:#}")))
    }
}

/// Drops what was used longest ago beyond `COMPILED_FILES_MAX`, leftovers of attempts that were killed among it.
fn prune(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    files.sort();
    let spare = files.len().saturating_sub(limits::COMPILED_FILES_MAX);
    for (_, path) in files.iter().take(spare) {
        fs::remove_file(path).ok();
    }
}

/// Machine code fits one wasmtime version, one set of compile settings and one processor.
fn engine_key(engine: &Engine) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
