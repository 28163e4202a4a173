//! Loads a `.wasm` file as a component that can be linked, through a private cache of machine code.
//!
//! Invariant: the host deserialises only files that it wrote itself, in a folder that only its user can write to. A
//! precompiled file from elsewhere could run any code in the host.

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
use super::foreign::Foreign;
use crate::limits;

/// Loads components for one engine.
pub struct Loader {
    engine: Engine,
    compiler: Compiler,
    /// The engine of `Compiler::Quick`; kept for its cache of functions.
    quick: Option<Engine>,
    cache: PathBuf,
}

impl Loader {
    /// Creates the folder `cache`, private to this user, when it is missing.
    ///
    /// # Errors
    /// `Error::Cache` when the folder cannot be created or other users could write to it.
    pub fn new(engine: &Engine, compiler: Compiler, cache: &Path) -> Result<Self, Error> {
        let fail = |reason: String| Error::Cache { path: cache.to_owned(), reason };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(cache).map_err(|e| fail(e.to_string()))?;
        let meta = fs::metadata(cache).map_err(|e| fail(e.to_string()))?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(fail("it belongs to another user".into()));
        }
        if meta.permissions().mode() & 0o022 != 0 {
            return Err(fail("other users may write to it; run `chmod go-w` on it".into()));
        }
        prune(cache);
        let quick = match compiler {
            Compiler::Quick => Some(engine::compiling_quickly().map_err(|e| fail(format!("{e:#}")))?),
            _ => None,
        };
        Ok(Self { engine: engine.clone(), compiler, quick, cache: cache.to_owned() })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Reads the file once, and compiles its bytes unless the cache has their code.
    pub fn load(&self, path: &Path) -> Result<Component, Error> {
        self.load_artifact(&Artifact::read(path)?)
    }

    /// Compiles the artifact, unless the cache has its code.
    pub fn load_artifact(&self, artifact: &Artifact) -> Result<Component, Error> {
        let hash = artifact.hash.clone();
        let cached = self.cache_file(&hash);
        let code = match self.load_cached(&cached) {
            Some(code) => code,
            None => self.compile(&artifact.path, &artifact.bytes, &cached)?,
        };
        Ok(Component::new(&self.engine, hash, code))
    }

    /// The cache file for the machine code of the bytes with this hash; it may not exist yet.
    fn cache_file(&self, hash: &str) -> PathBuf {
        let key = engine_key(&self.engine);
        let usual = self.cache.join(format!("{hash}-{key}.cwasm"));
        match self.compiler {
            // A file of its own, as other compilers must not load the slower code. Optimised code is used where it
            // exists.
            Compiler::Quick if !usual.is_file() => self.cache.join(format!("{hash}-{key}-quick.cwasm")),
            _ => usual,
        }
    }

    fn load_cached(&self, cached: &Path) -> Option<wasmtime::component::Component> {
        if !cached.is_file() {
            return None;
        }
        // SAFETY: only this user can write to the folder (checked in `new`), and only `compile` below writes there, by
        // rename.
        let loaded = unsafe { wasmtime::component::Component::deserialize_file(&self.engine, cached) };
        match loaded {
            Ok(code) => {
                // `prune` reads this time. A failure costs at most one more compilation later.
                fs::File::open(cached).and_then(|file| file.set_modified(SystemTime::now())).ok();
                Some(code)
            }
            Err(error) => {
                tracing::warn!(file = %cached.display(), "cannot load a cached component, compiling it again: {error}");
                fs::remove_file(cached).ok();
                None
            }
        }
    }

    fn compile(&self, path: &Path, bytes: &[u8], cached: &Path) -> Result<wasmtime::component::Component, Error> {
        let started = Instant::now();
        let fail = |reason: String| match Foreign::read(bytes) {
            Some(Foreign { what, remedy }) => Error::Foreign { path: path.to_owned(), what, remedy },
            None => Error::Compile { path: path.to_owned(), reason },
        };
        let unusable = |e: std::io::Error| Error::Cache { path: cached.to_owned(), reason: e.to_string() };
        let compiled = match &self.compiler {
            Compiler::Child(seam) => compile_in_child(seam, bytes).map_err(fail)?,
            Compiler::InProcess | Compiler::Quick => {
                let engine = self.quick.as_ref().unwrap_or(&self.engine);
                engine.precompile_component(bytes).map_err(|e| fail(format!("{e:#}")))?
            }
        };
        // A new name for each attempt, as two processes may share a cache.
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
        // SAFETY: this process or its own child has just written these bytes.
        unsafe { wasmtime::component::Component::deserialize_file(&self.engine, cached) }
            .map_err(|e| fail(format!("{e:#}")))
    }
}

/// Deletes the least recently used files beyond `COMPILED_FILES_MAX`; partial files of killed processes are among them.
fn prune(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else { return };
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    files.sort();
    let excess = files.len().saturating_sub(limits::COMPILED_FILES_MAX);
    for (_, path) in files.iter().take(excess) {
        fs::remove_file(path).ok();
    }
}

/// Identifies the wasmtime version, the compile settings and the processor that machine code is for.
fn engine_key(engine: &Engine) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
