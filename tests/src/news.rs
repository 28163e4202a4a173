//! A system of two contexts: `sender` publishes news, `taker` takes them. `tests/bench/guests` has their sources.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};

use crate::host::{self, Host, seam};
use crate::repo;

/// The system in a folder of its own.
pub struct News {
    folder: tempfile::TempDir,
}

impl News {
    /// `subscribes` is the subscription's table, and `lines` come after the two contexts.
    ///
    /// # Errors
    /// When the components cannot be built.
    pub fn new(subscribes: &str, lines: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (sender, taker) = (component("sender")?, component("taker")?);
        let text = format!(
            "[host]\nlisten = [\"127.0.0.1:0\"]\ndata = \"data\"\n\
             [context.sender]\ncomponent = {sender:?}\nstore = true\n\
             publishes.\"seambench:shop/news\" = {{ key = \"key\" }}\n\
             [context.taker]\ncomponent = {taker:?}\nstore = true\n\
             subscribes.\"seambench:shop/news\" = {subscribes}\n{lines}\n"
        );
        std::fs::write(folder.path().join("seam.toml"), text)?;
        Ok(Self { folder })
    }

    pub fn manifest(&self) -> PathBuf {
        self.folder.path().join("seam.toml")
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the host, or starts it again.
    ///
    /// # Errors
    /// As `Host::up`.
    pub fn up(&self) -> Result<Host> {
        Host::up(&self.manifest(), &self.data())
    }

    /// Runs `seam ARGS` to its end; its standard output.
    ///
    /// # Errors
    /// With what it said when it fails.
    pub fn seam(&self, args: &[&str]) -> Result<String> {
        let ended = seam(&self.manifest(), args)?;
        ensure!(ended.status.success(), "seam {args:?}: {}", String::from_utf8_lossy(&ended.stderr));
        Ok(String::from_utf8(ended.stdout)?)
    }

    /// How many different news `taker` has, and how often it got the one that came most often.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn taken(&self, taker: &str) -> Result<(u64, u64)> {
        let answer: serde_json::Value =
            serde_json::from_str(&self.seam(&["call", taker, "taker.count()", "--format", "json"])?)?;
        let number = |name: &str| answer.pointer(&format!("/ok/{name}")).and_then(serde_json::Value::as_u64);
        number("events").zip(number("most")).with_context(|| format!("no count: {answer}"))
    }
}

/// The component of one of the two, or of `waker`, `hotel` or `agency`, built from its sources.
///
/// # Errors
/// With what the build said.
pub fn component(name: &str) -> Result<PathBuf> {
    static BUILT: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    if let Err(error) = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}"))) {
        bail!("{error}");
    }
    Ok(repo().canonicalize()?.join(format!("target/components/bench-{name}.wasm")))
}

/// One process at a time builds; the next ones find everything fresh.
fn build() -> Result<()> {
    std::fs::create_dir_all(repo().join("target/tests"))?;
    let lock = std::fs::File::create(repo().join("target/tests/building"))?;
    lock.lock()?;
    let mut build = host::command()?;
    let ended = build
        .arg("-f")
        .arg(repo().join("tests/bench/seam.toml"))
        .args(["build", "sender", "taker", "waker", "hotel", "agency"])
        .output()?;
    ensure!(ended.status.success(), "not built:\n{}", String::from_utf8_lossy(&ended.stderr));
    Ok(())
}
