//! Components: from the bytes of a `.wasm` file to something that can be linked, with a private cache in between.
//!
//! Invariant: what is deserialised was written by this host into a folder that only its user can write to. A precompiled
//! file from anywhere else would be code execution, so none is ever accepted.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};

use super::interface::InterfaceName;
use crate::limits;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read component `{path}`")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("component `{path}` is {bytes} bytes, more than the {max} allowed")]
    TooLarge { path: PathBuf, bytes: u64, max: u64 },
    #[error("`{path}` is {what}, not a WebAssembly component")]
    NotAComponent { path: PathBuf, what: &'static str },
    #[error("component `{path}` was written to while it was read")]
    Changing { path: PathBuf },
    #[error("component `{path}` does not compile: {reason}")]
    Compile { path: PathBuf, reason: String },
    #[error("cannot use the cache of compiled components `{path}`: {reason}")]
    Cache { path: PathBuf, reason: String },
}

/// The bytes of a `.wasm` file, read once. Whatever becomes of the file, these are what is compiled and kept.
pub struct Artefact {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes, in hex.
    pub hash: String,
}

impl Artefact {
    /// Follows links. What it finds has at least the first bytes of a component.
    ///
    /// # Errors
    /// When there is no such file, it is too large, something else, or being written.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = read_bounded(path)?;
        check_is_component(path, &bytes)?;
        Ok(Self { path: path.to_owned(), hash: hex(&Sha256::digest(&bytes)), bytes })
    }
}

/// A compiled component and what it says of itself.
#[derive(Clone)]
pub struct Component {
    /// SHA-256 of the `.wasm` bytes, in hex.
    pub hash: String,
    pub imports: Vec<Interface>,
    pub exports: Vec<Interface>,
    pub(super) code: wasmtime::component::Component,
}

/// One interface that a component imports or exports.
#[derive(Clone)]
pub struct Interface {
    pub name: InterfaceName,
    pub functions: Vec<(String, ComponentFunc)>,
    /// Names of the resources it defines; they cannot cross a seam.
    pub resources: Vec<String>,
}

/// Who runs cranelift.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// This process: for tests and tools that trust what they compile.
    InProcess,
    /// This process, quickly and to slower code: for the contexts that somebody is working on.
    Quick,
    /// The `seam` binary at this path as a child, whose time and memory are bounded.
    Child(PathBuf),
}

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
            Compiler::Quick => Some(super::engine::compiling_quickly().map_err(|e| refuse(format!("{e:#}")))?),
            _ => None,
        };
        Ok(Self { engine: engine.clone(), compiler, quick, cache: cache.to_owned() })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Reads the file once; those bytes are hashed, and compiled unless the cache has them.
    pub fn load(&self, path: &Path) -> Result<Component, Error> {
        self.load_artefact(&Artefact::read(path)?)
    }

    /// Compiles what was read, unless the cache has it.
    pub fn load_artefact(&self, artefact: &Artefact) -> Result<Component, Error> {
        let hash = artefact.hash.clone();
        let cached = self.place(&hash);
        let code = match self.load_cached(&cached) {
            Some(code) => code,
            None => self.compile(&artefact.path, &artefact.bytes, &cached)?,
        };
        let (imports, exports) = inspect(&self.engine, &code);
        Ok(Component { hash, imports, exports, code })
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

/// What the compiling child does: component on standard input, machine code on standard output. Bounds itself first.
///
/// # Errors
/// When the input is no component or the bounds are hit; the text is for the parent's message.
pub fn compile_child() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let bound = |n| Rlimit { current: Some(n), maximum: Some(n) };
    setrlimit(Resource::As, bound(limits::COMPILE_MEMORY_MB_MAX << 20))?;
    setrlimit(Resource::Cpu, bound(limits::COMPILE_CPU_S_MAX))?;
    setrlimit(Resource::Core, bound(0))?;
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(limits::COMPONENT_MB_MAX << 20).read_to_end(&mut bytes)?;
    let engine = super::engine::compiling().map_err(|e| anyhow::anyhow!("{e:#}"))?;
    let compiled = engine.precompile_component(&bytes).map_err(|e| anyhow::anyhow!("{e:#}"))?;
    std::io::stdout().lock().write_all(&compiled)?;
    Ok(())
}

fn compile_in_child(seam: &Path, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = Command::new(seam)
        .arg("compile-component")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start `{}` to compile it: {e}", seam.display()))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let read = |stream: Option<Box<dyn Read + Send>>| {
        let mut all = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut all).ok();
        }
        all
    };
    let deadline = Instant::now() + Duration::from_secs(limits::COMPILE_WALL_S_MAX);
    std::thread::scope(|scope| {
        // Each pipe has its own thread: whoever fills up first would otherwise stop the rest.
        let writer = scope.spawn(move || {
            // A child that dies early closes the pipe; its own message says more than the broken pipe does.
            stdin.map(|mut s| s.write_all(bytes).ok())
        });
        let out = scope.spawn(move || read(stdout.map(|s| Box::new(s) as Box<dyn Read + Send>)));
        let err = scope.spawn(move || read(stderr.map(|s| Box::new(s) as Box<dyn Read + Send>)));
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                Ok(None) => {
                    child.kill().ok();
                    child.wait().ok();
                    break Err(format!("compiling takes longer than {} s", limits::COMPILE_WALL_S_MAX));
                }
                Err(e) => break Err(e.to_string()),
            }
        };
        writer.join().ok();
        let out = out.join().unwrap_or_default();
        let err = err.join().unwrap_or_default();
        match status? {
            status if status.success() => Ok(out),
            status => {
                let said = String::from_utf8_lossy(&err);
                let said = said.trim().trim_start_matches("error: ");
                Err(if said.is_empty() || status.code().is_none() {
                    format!(
                        "the compiler was stopped ({status}); its bounds are {} MB and {} s of CPU {said}",
                        limits::COMPILE_MEMORY_MB_MAX,
                        limits::COMPILE_CPU_S_MAX
                    )
                } else {
                    said.to_owned()
                })
            }
        }
    })
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

fn read_bounded(path: &Path) -> Result<Vec<u8>, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    // Opening a pipe would wait for whoever writes into it.
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).custom_flags(nonblocking()).open(path).map_err(read)?;
    let before = file.metadata().map_err(read)?;
    let max = limits::COMPONENT_MB_MAX << 20;
    match before.len() {
        _ if before.is_dir() => return Err(Error::NotAComponent { path: path.to_owned(), what: "a folder" }),
        _ if !before.is_file() => return Err(Error::NotAComponent { path: path.to_owned(), what: "no regular file" }),
        bytes if bytes > max => return Err(Error::TooLarge { path: path.to_owned(), bytes, max }),
        _ => {}
    }
    let mut bytes = Vec::new();
    (&file).take(max + 1).read_to_end(&mut bytes).map_err(read)?;
    let after = file.metadata().map_err(read)?;
    let still = (after.len(), after.modified().ok()) == (before.len(), before.modified().ok());
    match bytes.len() as u64 == before.len() && still {
        true => Ok(bytes),
        false => Err(Error::Changing { path: path.to_owned() }),
    }
}

fn nonblocking() -> i32 {
    rustix::fs::OFlags::NONBLOCK.bits().cast_signed()
}

fn check_is_component(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let what = match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => return Ok(()),
        Some(b"\0asm\x01\0\0\0") => "a core WebAssembly module",
        _ if bytes.is_empty() => "empty",
        _ if bytes.starts_with(b"\x7fELF") => "a native or precompiled binary",
        _ => "something else",
    };
    Err(Error::NotAComponent { path: path.to_owned(), what })
}

fn inspect(engine: &Engine, code: &wasmtime::component::Component) -> (Vec<Interface>, Vec<Interface>) {
    let interface = |name: &str, item: ComponentItem| {
        let name = InterfaceName::parse(name)?;
        let ComponentItem::ComponentInstance(instance) = item else { return None };
        let (mut functions, mut resources) = (Vec::new(), Vec::new());
        for (name, item) in instance.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(ty) => functions.push((name.to_owned(), ty)),
                ComponentItem::Resource(_) => resources.push(name.to_owned()),
                _ => {}
            }
        }
        Some(Interface { name, functions, resources })
    };
    let ty = code.component_type();
    let imports = ty.imports(engine).filter_map(|(name, item)| interface(name, item.ty)).collect();
    let exports = ty.exports(engine).filter_map(|(name, item)| interface(name, item.ty)).collect();
    (imports, exports)
}

/// Machine code fits one wasmtime version, one set of compile settings and one processor.
fn engine_key(engine: &Engine) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
