//! The whole shop: its real components, its real manifest, demo data, in a folder of its own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::host::{Host, binary, seam};
use crate::repo;

/// A shop's folder: manifest, demo data and whatever the host makes.
pub struct Shop {
    pub folder: tempfile::TempDir,
}

impl Shop {
    /// The shop's own manifest on a free port, with data of its own.
    ///
    /// # Errors
    /// When the components have not been built.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = repo().canonicalize()?;
        let built = root.join("target/components/storefront.wasm");
        ensure!(built.is_file(), "`{}` is missing; run `seam build`", built.display());
        // The manifest's paths start in its folder; what they lead to stays where it is.
        for shared in ["target", "plugins"] {
            std::os::unix::fs::symlink(root.join(shared), folder.path().join(shared))?;
        }
        let manifest = std::fs::read_to_string(root.join("seam.toml"))?.replace("127.0.0.1:8080", "127.0.0.1:0");
        std::fs::write(folder.path().join("seam.toml"), manifest)?;
        let generator = binary()?.with_file_name("shop-data");
        let demo = folder.path().join("run/demo");
        std::fs::create_dir_all(&demo)?;
        let made = Command::new(&generator)
            .current_dir(&root)
            .args(["demo", "--out"])
            .arg(&demo)
            .output()
            .context("shop-data")?;
        if !made.status.success() {
            bail!("shop-data: {}", String::from_utf8_lossy(&made.stderr));
        }
        Ok(Self { folder })
    }

    pub fn manifest(&self) -> PathBuf {
        self.folder.path().join("seam.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Replaces text of the manifest.
    pub fn edit(&self, from: &str, to: &str) -> Result<()> {
        let text = std::fs::read_to_string(self.manifest())?;
        ensure!(text.contains(from), "the manifest has no `{from}`");
        Ok(std::fs::write(self.manifest(), text.replace(from, to))?)
    }

    /// Serves; the demo data is in when it does.
    pub fn up(&self) -> Result<Host> {
        Host::up(&self.manifest(), &self.data())
    }

    /// Runs `seam ARGS` on it; its standard output.
    pub fn seam(&self, args: &[&str]) -> Result<String> {
        let output = seam(&self.manifest(), args)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "seam {args:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Where screenshots and other things to look at go.
pub fn artefacts() -> Result<PathBuf> {
    let folder = repo().join("target/artefacts");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The first SKU of a page of albums.
pub fn first_sku(page: &str) -> Result<String> {
    let (_, after) = page.split_once("href=\"/albums/").context("a page with an album")?;
    Ok(after.split(['"', '?', '#']).next().unwrap_or_default().to_owned())
}
