//! What the whole-host tests share: components made from a few lines of text, and systems made of them.
//!
//! A test component is a core module in WebAssembly text beside the WIT that it claims to implement; `wit-component`
//! makes of the two what a compiler's tool chain would. So a guest can do what no compiler would write.

pub mod apart;
pub mod background;
pub mod backups;
pub mod books;
pub mod broker;
pub mod browser;
pub mod caller_callee;
pub mod declaring;
pub mod engines;
pub mod events;
pub mod failing_sync;
pub mod fuzz;
pub mod gathering;
pub mod host;
pub mod hostile_input;
pub mod joint;
pub mod moving;
pub mod news;
pub mod page;
pub mod person;
pub mod placed;
pub mod placement;
pub mod proxy;
pub mod publishing;
pub mod shop;
pub mod shopping;
pub mod state;
pub mod tools;
pub mod torture;
pub mod trips;
pub mod two_versions;
pub mod variants;
pub mod version;
pub mod wait;
pub mod workspace;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use seam::manifest::Manifest;
use seam_runtime::call::Call;
use seam_runtime::component::Compiler;
use seam_runtime::component::{ContextProblem, FunctionName};
use seam_runtime::run::{Export, Metrics};
use seam_runtime::serve::{Error, LinkedSystem, Registry};
use seam_store::HostFile;
use seam_store::ids::Trace;
use wasmtime::component::Val;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi};

/// The component of `world` in the WIT package `wit`, implemented by the core module `wat`. Packages of the host
/// (`seam:host`) can be named in it.
pub fn component(wit: &str, world: &str, wat: &str) -> Result<Vec<u8>> {
    let mut resolve = wit_parser::Resolve::default();
    resolve.push_dir(repo().join("wit/host")).context("wit/host")?;
    resolve
        .push_str("logging.wit", "package wasi:logging@0.1.0-draft; interface logging { enum level { trace, debug, info, warn, error, critical } log: func(level: level, context: string, message: string); }")
        .context("wasi:logging")?;
    let package = resolve.push_str("test.wit", wit).context("the test's WIT")?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut module = wat::parse_str(wat).context("the test's WAT")?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode().context("encoding")
}

/// A component that offers what the shop's `context` offers, whose every function breaks. It has no migrations, so it
/// gets no store.
pub fn broken(context: &str) -> Result<Vec<u8>> {
    let mut resolve = wit_parser::Resolve::default();
    for package in ["host", "catalog", "warehouse", "customer", "finance", "orders", "recommendation"] {
        resolve.push_dir(repo().join("wit").join(package)).with_context(|| format!("wit/{package}"))?;
    }
    let mut exports = String::new();
    for (_, package) in resolve.packages.iter().filter(|(_, package)| package.name.name == context) {
        for name in package.interfaces.keys() {
            writeln!(exports, "export {};", package.name.interface_id(name))?;
        }
    }
    let wit = format!("package test:broken; world broken {{ {exports} }}");
    let package = resolve.push_str("broken.wit", &wit)?;
    let world = resolve.select_world(&[package], Some("broken"))?;
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode().context("encoding")
}

/// Where the repository's files are.
pub fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A memory with a bump allocator that each call resets, for modules that pass anything but numbers. 64 KiB, data below
/// 4096.
pub const MEMORY: &str = r#"
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
        (global.set $top (i32.add (local.get $at) (local.get 3)))
        (local.get $at))
"#;

/// A system of test components in a folder of its own.
pub struct System {
    pub folder: tempfile::TempDir,
    manifest: String,
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl System {
    pub fn new() -> Self {
        #[expect(clippy::expect_used, reason = "a test without a temporary folder cannot go on")]
        let folder = tempfile::tempdir().expect("a temporary folder");
        let manifest = "[host]\nlisten = [\"127.0.0.1:0\"]\ndata = \"data\"\n".to_owned();
        Self { folder, manifest }
    }

    /// Adds a context with more lines for its manifest entry.
    pub fn context(mut self, name: &str, wasm: &[u8], lines: &str) -> Result<Self> {
        std::fs::write(self.folder.path().join(format!("{name}.wasm")), wasm)?;
        write!(self.manifest, "\n[context.{name}]\ncomponent = \"{name}.wasm\"\n{lines}\n")?;
        Ok(self)
    }

    /// Adds lines of the manifest that belong to no context.
    pub fn lines(mut self, lines: &str) -> Self {
        self.manifest.push('\n');
        self.manifest.push_str(lines);
        self.manifest.push('\n');
        self
    }

    /// Writes the manifest; its path.
    pub fn write(&self) -> Result<PathBuf> {
        let path = self.folder.path().join("seam.toml");
        std::fs::write(&path, &self.manifest)?;
        Ok(path)
    }

    /// Loads, links and starts everything in this process, without listening.
    ///
    /// # Errors
    /// The outer one when the test itself is at fault, the inner one with what the host says of the system.
    pub fn start(&self) -> Result<Result<Registry, Vec<ContextProblem>>> {
        self.start_with(Compiler::InProcess, &self.folder.path().join("data/cache"))
    }

    /// The same with compiled code in a folder that outlives the system, for components that take long to compile.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_with(&self, compiler: Compiler, cache: &Path) -> Result<Result<Registry, Vec<ContextProblem>>> {
        let manifest = Manifest::load(&self.write()?)?;
        let metrics = Metrics::new(&prometheus::Registry::new())?;
        let data = &manifest.host.data;
        let host = Arc::new(HostFile::open(data)?);
        let started = LinkedSystem::load(&manifest.system(), compiler, cache)
            .and_then(|linked| linked.start(&data.join("stores"), host, &metrics));
        match started {
            Ok(registry) => Ok(Ok(registry)),
            Err(Error::Problems(problems)) => Ok(Err(problems)),
            Err(other) => Err(other.into()),
        }
    }
}

/// Calls `interface.function` (see `FunctionName`) of `context` as a request from the edge with `ms` to live.
pub fn call(registry: &Registry, context: &str, function: &str, params: &[Val], ms: u64) -> Result<Val> {
    let live = registry.live(context)?;
    let exports = live.generation().exports();
    let found = FunctionName::parse(function).find(exports, Export::name);
    anyhow::ensure!(found.len() == 1, "`{context}` has {} functions `{function}`", found.len());
    let export = found.first().and_then(|at| exports.get(*at)).context("its functions changed")?;
    let call = Call::start(Instant::now() + Duration::from_millis(ms), Trace::start());
    let results = live.call(call, export, params)?;
    results.into_iter().next().context("no result")
}

/// The text of `err(unavailable(text))`, if that is what `value` is.
pub fn unavailable(value: &Val) -> Option<&str> {
    let Val::Result(Err(Some(error))) = value else { return None };
    match &**error {
        Val::Variant(case, Some(text)) if case == "unavailable" => match &**text {
            Val::String(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}
