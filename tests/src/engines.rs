//! The engines of the recommendation context, each in its language: built when they are stale, and started alone on
//! fresh files.
//!
//! What they are built with is installed by their own builds. Compiled code is kept between runs: CPython takes the
//! compiler 20 seconds.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use seam::invoke;
use seam_runtime::component::Compiler;
use seam_runtime::serve::Registry;
use wasmtime::component::Val;

use crate::{System, host, repo};

/// The engines, by the variants' names in the shop's manifest.
pub const ENGINES: [&str; 4] = ["rust", "js", "cljs", "python"];

/// The component of an engine, or of a context of `tests/guests/seam.toml`, as `seam build` makes it now.
///
/// # Errors
/// With what the build said.
pub fn component(name: &str) -> Result<Vec<u8>> {
    static BUILT: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| compiled().and_then(|_| build()).map_err(|error| format!("{error:#}")));
    if let Err(error) = built {
        bail!("{error}");
    }
    let file = match name {
        "rust" => "recommendation",
        "js" => "recommendation-js",
        "cljs" => "recommendation-cljs",
        "python" => "recommendation-python",
        other => other,
    };
    let path = repo().join(format!("target/components/{file}.wasm"));
    std::fs::read(&path).with_context(|| format!("`{}`; run `seam build`", path.display()))
}

/// One process at a time builds; the next ones find everything fresh.
fn build() -> Result<()> {
    let lock = std::fs::File::create(repo().join("target/tests/building"))?;
    lock.lock()?;
    let variants: Vec<_> = ENGINES[1..].iter().map(|engine| format!("recommendation@{engine}")).collect();
    let guests = ["clumsy", "keeper-js", "keeper-python"].map(str::to_owned).to_vec();
    for (manifest, contexts) in [("seam.toml", variants), ("tests/guests/seam.toml", guests)] {
        let mut build = host::command()?;
        let ended = build.arg("-f").arg(repo().join(manifest)).arg("build").args(contexts).output()?;
        ensure!(ended.status.success(), "{manifest} is not built:\n{}", String::from_utf8_lossy(&ended.stderr));
    }
    Ok(())
}

/// Compiled code, for all tests of real components.
fn compiled() -> Result<PathBuf> {
    let cache = repo().join("target/tests/compiled");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&cache)?;
    Ok(cache)
}

/// Engines and guests under their names, running in this process.
pub struct Running {
    registry: Registry,
    _system: System,
}

impl Running {
    /// Starts `names` on fresh files of at most `store_mb`.
    ///
    /// # Errors
    /// When one is not built, or does not start.
    pub fn start(names: &[&str], store_mb: u32) -> Result<Self> {
        let lines = format!("store = {{ max_mb = {store_mb} }}\ncapabilities = [\"wasi\"]");
        let system = names
            .iter()
            .try_fold(System::new(), |system, name| anyhow::Ok(system.context(name, &component(name)?, &lines)?))?;
        let started = system.start_with(Compiler::Child(host::binary()?), &compiled()?)?;
        let registry = started.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
        Ok(Self { registry, _system: system })
    }

    /// Calls what `text` says in WAVE, as a request that has five seconds; the answer in WAVE.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn ask(&self, name: &str, text: &str) -> Result<String> {
        Ok(self.answer(name, text, 5_000)?.wave())
    }

    /// The same for a request that has `ms`.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn answer(&self, name: &str, text: &str, ms: u64) -> Result<invoke::ReturnValue, invoke::Error> {
        invoke::run(&self.registry, name, text, Duration::from_millis(ms))
    }

    /// What an engine suggests, best first.
    ///
    /// # Errors
    /// When it does not answer with suggestions.
    pub fn suggest(&self, name: &str, skus: &[&str], count: u32) -> Result<Vec<(String, f64)>> {
        let text = format!("engine.suggest({skus:?}, {count})");
        let answer = self.answer(name, &text, 5_000)?;
        let Some(Val::Result(Ok(Some(list)))) = &answer.value else { bail!("{text} is {}", answer.wave()) };
        let Val::List(list) = &**list else { bail!("{text} is no list") };
        let one = |value: &Val| match value {
            Val::Record(fields) => match fields.as_slice() {
                [(_, Val::String(sku)), (_, Val::Float64(score))] => Some((sku.clone(), *score)),
                _ => None,
            },
            _ => None,
        };
        list.iter().map(one).collect::<Option<_>>().context("suggestions")
    }
}
