//! Loads a `.wasm` file as a component that can be linked, through a private cache of machine code.
//!
//! Invariant: the host deserialises only code that it compiled itself and that is as it was then (`code_cache`).
//! Precompiled code from elsewhere, or damaged code, could do anything in the host.

use std::path::Path;
use std::time::Instant;

use wasmtime::Engine;

use super::artifact::Artifact;
use super::code_cache::CodeCache;
use super::compiled::Component;
use super::compiler::{Compiler, compile_in_child};
use super::engine;
use super::error::Error;
use super::foreign::Foreign;

/// Loads components for one engine.
pub struct Loader {
    engine: Engine,
    compiler: Compiler,
    /// The engine of `Compiler::Quick`; kept for its cache of functions.
    quick: Option<Engine>,
    cache: CodeCache,
}

impl Loader {
    /// Creates the folder `cache`, private to this user, when it is missing.
    ///
    /// # Errors
    /// `Error::Cache` when the folder cannot be created or other users could write to it.
    pub fn new(engine: &Engine, compiler: Compiler, cache: &Path) -> Result<Self, Error> {
        let fail = |reason: String| Error::Cache { path: cache.to_owned(), reason };
        let quick = match compiler {
            Compiler::Quick => Some(engine::compiling_quickly().map_err(|e| fail(format!("{e:#}")))?),
            _ => None,
        };
        Ok(Self { engine: engine.clone(), compiler, quick, cache: CodeCache::open(cache)? })
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
        let cached = self.cache_name(&hash);
        let code = match self.load_cached(&cached) {
            Some(code) => code,
            None => self.compile(&artifact.path, &artifact.bytes, &cached)?,
        };
        Ok(Component::new(&self.engine, hash, code))
    }

    /// A component that stands in the place of one that cannot be loaded.
    ///
    /// # Errors
    /// When not even it can be compiled.
    pub fn placeholder(&self) -> Result<Component, Error> {
        let artifact = Artifact::of(Path::new("placeholder"), EMPTY.to_vec())?;
        Ok(Component { hash: String::new(), ..self.load_artifact(&artifact)? })
    }

    /// The name in the cache for the machine code of the bytes with this hash; it may not be there yet.
    fn cache_name(&self, hash: &str) -> String {
        let key = engine_key(&self.engine);
        let usual = format!("{hash}-{key}.cwasm");
        match self.compiler {
            // A file of its own, as other compilers must not load the slower code. Optimised code is used where it
            // exists.
            Compiler::Quick if !self.cache.has(&usual) => format!("{hash}-{key}-quick.cwasm"),
            _ => usual,
        }
    }

    fn load_cached(&self, cached: &str) -> Option<wasmtime::component::Component> {
        let code = self.cache.read(cached)?;
        match self.deserialize(&code) {
            Ok(code) => Some(code),
            Err(error) => {
                tracing::warn!(file = cached, "cannot load a compiled component, compiling it again: {error}");
                self.cache.remove(cached);
                None
            }
        }
    }

    fn compile(&self, path: &Path, bytes: &[u8], cached: &str) -> Result<wasmtime::component::Component, Error> {
        let started = Instant::now();
        let fail = |reason: String| match Foreign::read(bytes) {
            Some(Foreign { what, remedy }) => Error::Foreign { path: path.to_owned(), what, remedy },
            None => Error::Compile { path: path.to_owned(), reason },
        };
        let compiled = match &self.compiler {
            Compiler::Child(seam) => compile_in_child(seam, bytes).map_err(fail)?,
            Compiler::InProcess | Compiler::Quick => {
                let engine = self.quick.as_ref().unwrap_or(&self.engine);
                engine.precompile_component(bytes).map_err(|e| fail(format!("{e:#}")))?
            }
        };
        let ms = started.elapsed().as_millis();
        match self.cache.write(cached, &compiled) {
            Ok(()) => tracing::info!(component = %path.display(), ms, "compiled and cached"),
            // The code is here, so a full disk stops no deploy.
            Err(error) => tracing::warn!(
                component = %path.display(), ms, file = %self.cache.path(cached).display(),
                "compiled, but it cannot be cached: the next start compiles it again: {error}"
            ),
        }
        self.deserialize(&compiled).map_err(|e| fail(format!("{e:#}")))
    }

    fn deserialize(&self, code: &[u8]) -> wasmtime::Result<wasmtime::component::Component> {
        // SAFETY: this process or its own child has just compiled these bytes, or `CodeCache::read` has checked that
        // this user's host wrote them.
        unsafe { wasmtime::component::Component::deserialize(&self.engine, code) }
    }
}

/// A component without anything in it: the magic number and the version of the format.
const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

/// Identifies the wasmtime version, the compile settings and the processor that machine code is for.
fn engine_key(engine: &Engine) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    fn loader(cache: &Path) -> Loader {
        Loader::new(&engine::compiling().unwrap(), Compiler::InProcess, cache).unwrap()
    }

    fn artifact() -> Artifact {
        let bytes = wat::parse_str("(component (core module (func (export \"f\") (result i32) i32.const 7)))").unwrap();
        Artifact::of(Path::new("x.wasm"), bytes).unwrap()
    }

    /// Without the checksum, wasmtime executes such code.
    #[test]
    fn damaged_code_is_compiled_again_and_good_code_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let loader = loader(folder.path());
        loader.load_artifact(&artifact()).unwrap();
        let path = loader.cache.path(&loader.cache_name(&artifact().hash));
        let good = fs::read(&path).unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        fs::File::open(&path).unwrap().set_modified(long_ago).unwrap();
        loader.load_artifact(&artifact()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), good);
        assert!(fs::metadata(&path).unwrap().modified().unwrap() > long_ago, "a use counts");
        // The text section is near the end; what is flipped there passes wasmtime's own checks of the header.
        for at in (0..good.len()).step_by(good.len() / 40) {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs::write(&path, &bad).unwrap();
            assert!(loader.load_cached(&loader.cache_name(&artifact().hash)).is_none(), "byte {at}");
            fs::write(&path, &bad).unwrap();
            loader.load_artifact(&artifact()).unwrap();
            assert_eq!(fs::read(&path).unwrap(), good, "byte {at}: written as it was");
        }
    }

    #[test]
    fn a_cache_that_cannot_be_written_to_stops_no_load() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let loader = loader(&cache);
        fs::remove_dir_all(&cache).unwrap();
        loader.load_artifact(&artifact()).unwrap();
    }
}
