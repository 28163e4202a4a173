//! What is measured: a shop of so many albums, once behind the host and once as files for the native programs.
//!
//! Everything is made in `run/bench/COUNT/`, from a seed, and kept for the next time, until what it was made from has
//! changed. What is kept is only read: benches that order something get fresh copies of their own.

mod brokered;
mod data;
mod files;
mod placed;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use shop_data::bulk::{selling, selling_album, sku};

use crate::client::{self, Client};
use crate::native;
use crate::process::Server;
use crate::shopper::Market;

/// The manifest as it stands in the repository, for so many albums.
const MANIFEST: &str = "tests/bench/seam.toml";
const MANIFEST_ALBUMS: u32 = 10_000;
/// Folders, and endings of the files in them, a change of which makes what is kept stale: schemas, and what fills them.
/// Code of contexts is not among them: it changes far more often than what it stores.
const MADE_FROM: [(&str, &str); 7] = [
    ("plugins", "sql"),
    ("tests/bench/guests", "sql"),
    ("tests/bench/src/native", "sql"),
    ("tests/bench/src/native/files.rs", "rs"),
    ("tests/bench/src/system", "rs"),
    ("data", "rs"),
    (MANIFEST, "toml"),
];
/// Albums whose pages are asked for: the same number in a shop of any size, spread over all of it.
const PAGES: u32 = 2_000;
/// How orders are placed, as the manifest has it.
const CHECKOUT: &str = "checkout = \"saga\"";
/// The copies of files that orders are placed in.
const MARKET: &str = "market";

pub struct System {
    pub albums: u32,
    manifest: PathBuf,
    folder: PathBuf,
    seam: PathBuf,
}

impl System {
    /// Builds the components, makes the data and loads it, as far as that is not done yet.
    pub fn prepare(albums: u32) -> Result<Self> {
        ensure!(
            Path::new(MANIFEST).is_file(),
            "run the benches in the repository's folder: there is no {MANIFEST} here"
        );
        let seam = std::env::current_exe()?.with_file_name("seam");
        ensure!(seam.is_file(), "`{}` is missing; run `cargo build --release -p seam -p seam-bench`", seam.display());
        let folder = PathBuf::from(format!("run/bench/{albums}"));
        let system = Self { albums, manifest: folder.with_extension("toml"), folder, seam };
        seam_store::private::folder(Path::new("run/bench"))?;
        system.write_manifest(&system.manifest, "data")?;
        system.seam(&["build"])?;

        let (mark, made_from) = (system.folder.join("made-from"), files::fingerprint(&MADE_FROM)?);
        if std::fs::read_to_string(&mark).ok().as_deref() != Some(&made_from) {
            files::remove(&system.folder)?;
            eprintln!("making {albums} albums in {}", system.folder.display());
            data::make(&system.folder, albums)?;
            system.seam(&["seed"])?;
            native::files::make(&system.data_folder(), &system.native_folder())?;
            std::fs::write(mark, made_from)?;
        }
        Ok(system)
    }

    /// The repository's manifest with this shop's files, and with the databases in `data`.
    fn write_manifest(&self, to: &Path, data: &str) -> Result<()> {
        let text = std::fs::read_to_string(MANIFEST)?;
        let text = text.replace(&format!("/bench/{MANIFEST_ALBUMS}/"), &format!("/bench/{}/", self.albums));
        let text = text.replace(&format!("/bench/{}/data\"", self.albums), &format!("/bench/{}/{data}\"", self.albums));
        Ok(std::fs::write(to, text)?)
    }

    fn seam(&self, arguments: &[&str]) -> Result<()> {
        self.seam_with(&self.manifest, arguments)
    }

    fn seam_with(&self, manifest: &Path, arguments: &[&str]) -> Result<()> {
        eprintln!("seam {}", arguments.join(" "));
        let mut command = Command::new(&self.seam);
        let status = command.arg("-f").arg(manifest).args(arguments).stdout(std::process::Stdio::null()).status()?;
        if !status.success() {
            let command = format!("seam -f {} {}", manifest.display(), arguments.join(" "));
            bail!("`{command}` failed\nhint: when what is in run/bench cannot be used any more, `rm -r run/bench`");
        }
        Ok(())
    }

    pub fn data_folder(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn native_folder(&self) -> PathBuf {
        self.folder.join("native")
    }

    /// The addresses of the album pages to ask for: albums that sell, spread over all of the shop.
    pub fn album_pages(&self) -> Arc<[String]> {
        let numbers = spread(selling(self.albums)).map(|at| selling_album(at, self.albums));
        numbers.map(|number| format!("/albums/{}", sku(number))).collect()
    }

    /// The address that makes so many calls of a teller, one after the other.
    pub fn asking(calls: u32) -> Arc<[String]> {
        Arc::new([format!("/bench/ask/{calls}")])
    }

    /// Where what belongs to neither shop is made.
    pub fn folder_for(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The addresses of the items to ask for.
    pub fn item_paths(&self) -> Arc<[String]> {
        spread(self.albums.min(data::ITEMS_MAX)).map(|at| format!("/bench/items/{}", sku(at + 1))).collect()
    }

    fn host_with(&self, manifest: &Path) -> Result<Server> {
        let mut command = Command::new(&self.seam);
        command.arg("-f").arg(manifest).arg("up");
        Server::start(command)
    }

    /// Another host with the same shop, from a copy of its files: two hosts never share a folder.
    pub fn second_host(&self) -> Result<Server> {
        self.host_with_contexts(0)
    }

    /// The shop for benches that only read.
    pub fn shop(&self) -> Result<Shop> {
        Shop::start(self.host_with(&self.manifest)?, &self.native_folder())
    }

    /// Another native process with all of this shop.
    pub fn second_monolith(&self) -> Result<Server> {
        native::start_monolith(&self.native_folder())
    }

    /// The host with the same shop and more contexts beside it, `count` in all (or as few as there are), from
    /// a copy of its files.
    pub fn host_with_contexts(&self, count: usize) -> Result<Server> {
        let data = format!("data-{count}");
        let manifest = self.folder.with_file_name(format!("{}-{count}.toml", self.albums));
        self.write_manifest(&manifest, &data)?;
        let mut text = std::fs::read_to_string(&manifest)?;
        let own = text.lines().filter(|line| line.starts_with("[context.") && line.matches('.').count() == 1).count();
        for number in own..count {
            text.push_str(&format!(
                "\n[context.copy-{number}]\nbuild = {{ cargo = \"bench-asker\" }}\ncomponent = \"../../target/components/bench-asker.wasm\"\n\
                 imports = [\"seambench:shop/teller\"]\n"
            ));
        }
        std::fs::write(&manifest, text)?;
        let to = self.folder.join(data);
        if !to.exists() {
            files::copy(&self.data_folder(), &to)?;
        }
        self.host_with(&manifest)
    }

    /// The shop as it was made, in files of its own, and customers who have signed in at all its variants.
    pub fn market(&self, connections: usize) -> Result<(Market, Shop)> {
        let market = self.market_files(connections)?;
        let manifest = self.market_manifest(MARKET)?;
        Ok((market, Shop::start(self.host_with(&manifest)?, &self.market_folder(MARKET).join("native"))?))
    }

    /// The files of such a shop, which does not run, and its customers.
    pub fn market_files(&self, connections: usize) -> Result<Market> {
        let folder = self.market_folder(MARKET);
        files::remove(&folder)?;
        let (data, native) = (folder.join("data"), folder.join("native"));
        files::copy(&self.data_folder(), &data)?;
        files::copy(&self.native_folder(), &native)?;
        let manifest = self.market_manifest(MARKET)?;

        eprintln!("customers sign in");
        let host = self.host_with(&manifest)?;
        let picks = data::picks(&self.folder, self.albums)?;
        let market = client::once(host.address, async |client: &mut Client| {
            Market::open(client, picks, connections, data::email, data::PASSWORD).await
        })?;
        host.stop()?;
        native::files::take_sessions(&data, &native)?;
        Ok(market)
    }

    /// A fresh copy of those files.
    pub fn market_copy(&self, name: &str) -> Result<PathBuf> {
        let to = self.market_folder(name);
        files::remove(&to)?;
        files::copy(&self.market_folder(MARKET), &to)?;
        Ok(to)
    }

    pub fn market_folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The manifest of such a copy. If `name` is a mode of the checkout, orders are placed in that mode.
    pub fn market_manifest(&self, name: &str) -> Result<PathBuf> {
        let manifest = self.folder.with_file_name(format!("{}-{name}.toml", self.albums));
        self.write_manifest(&manifest, &format!("{name}/data"))?;
        if name != MARKET {
            let text = std::fs::read_to_string(&manifest)?;
            ensure!(text.contains(CHECKOUT), "{MANIFEST} has no `{CHECKOUT}`");
            std::fs::write(&manifest, text.replace(CHECKOUT, &format!("checkout = \"{name}\"")))?;
        }
        Ok(manifest)
    }

    /// The command.
    pub fn seam_binary(&self) -> &Path {
        &self.seam
    }
}

/// The same shop three times: behind the host, in one native process, in one for each context.
pub struct Shop {
    pub host: Server,
    pub monolith: Server,
    /// The last one is the storefront.
    pub split: Vec<Server>,
}

impl Shop {
    fn start(host: Server, native: &Path) -> Result<Self> {
        Ok(Self { host, monolith: native::start_monolith(native)?, split: native::start_split(native)? })
    }
}

/// `PAGES` numbers from 0 up to `of`, far from each other in turn.
fn spread(of: u32) -> impl Iterator<Item = u32> {
    // A prime step visits each of the places once, unless their number is a multiple of it.
    const STEP: u64 = 577;
    let pages = u64::from(PAGES.min(of).max(1));
    (0..pages).map(move |turn| u32::try_from(turn * STEP % pages * u64::from(of) / pages).unwrap_or(0))
}
