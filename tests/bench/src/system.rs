//! What is measured: a shop of so many albums, once behind the host and once as files for the native programs.
//!
//! Everything is made in `run/bench/COUNT/`, from a seed, and kept for the next time.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use shop_data::album::Album;
use shop_data::bulk::{Bulk, selling, selling_album, sku};
use shop_data::output::Lines;

use crate::process::Server;

/// The manifest as it stands in the repository, for so many albums.
const MANIFEST: &str = "tests/bench/seam.toml";
const MANIFEST_ALBUMS: u32 = 10_000;
const SEED: u64 = 7;
/// Enough to know what is bought together with an album that sells.
const PURCHASES_EACH: u32 = 8;
/// Items for the bench of one item by its id.
const ITEMS_MAX: u32 = 10_000;
/// Albums whose pages are asked for: the same number in a shop of any size, spread over all of it.
const PAGES: u32 = 2_000;
/// Contexts whose files the native programs read.
const STORES: [&str; 4] = ["catalog", "warehouse", "recommendation", "items"];

pub struct System {
    pub albums: u32,
    pub manifest: PathBuf,
    folder: PathBuf,
    seam: PathBuf,
}

/// `seambench:shop/items.item`
#[derive(Serialize)]
struct Item<'a> {
    sku: &'a str,
    artist: &'a str,
    title: &'a str,
    year: u16,
    price: u32,
    notes: &'a str,
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
        std::fs::create_dir_all(&folder)?;
        let text = std::fs::read_to_string(MANIFEST)?;
        let manifest = folder.with_extension("toml");
        let text = text.replace(&format!("/bench/{MANIFEST_ALBUMS}/"), &format!("/bench/{albums}/"));
        std::fs::write(&manifest, text)?;
        let system = Self { albums, manifest, folder, seam };
        system.make_data()?;
        system.seam(&["build"])?;
        system.seam(&["seed"])?;
        system.copy_stores()?;
        Ok(system)
    }

    fn make_data(&self) -> Result<()> {
        let [albums, stock, purchases, items] =
            ["albums", "stock", "purchases", "items"].map(|name| self.folder.join(format!("{name}.jsonl")));
        if items.is_file() {
            return Ok(());
        }
        eprintln!("making {} albums in {}", self.albums, self.folder.display());
        let bulk = Bulk {
            seed: SEED,
            albums: self.albums,
            purchases: selling(self.albums) * PURCHASES_EACH,
            albums_to: &albums,
            stock_to: Some(&stock),
            purchases_to: Some(&purchases),
        };
        bulk.write(|| ())?;
        let text = std::io::BufRead::lines(std::io::BufReader::new(std::fs::File::open(&albums)?));
        let mut lines = Lines::create(&items)?;
        for line in text.take(ITEMS_MAX as usize) {
            let Album { sku, artist, title, year, price, notes, .. } = &serde_json::from_str(&line?)?;
            lines.row(&Item { sku, artist, title, year: *year, price: price.minor_units, notes })?;
        }
        Ok(lines.finish()?)
    }

    fn seam(&self, arguments: &[&str]) -> Result<()> {
        eprintln!("seam {}", arguments.join(" "));
        let mut command = Command::new(&self.seam);
        let status =
            command.arg("-f").arg(&self.manifest).args(arguments).stdout(std::process::Stdio::null()).status()?;
        if !status.success() {
            bail!("`seam -f {} {}` failed", self.manifest.display(), arguments.join(" "));
        }
        Ok(())
    }

    fn copy_stores(&self) -> Result<()> {
        let to = self.native_folder();
        std::fs::create_dir_all(&to)?;
        for context in STORES {
            let name = format!("{context}.db");
            let from = find(&self.data_folder(), &name)?.with_context(|| format!("`seam seed` has made no {name}"))?;
            let to = to.join(&name);
            let age = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
            if age(&to) < age(&from) {
                std::fs::copy(&from, &to)?;
            }
        }
        Ok(())
    }

    pub fn data_folder(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn native_folder(&self) -> PathBuf {
        self.folder.join("native")
    }

    /// The addresses of the album pages to ask for: albums that sell, spread over all of the shop.
    pub fn album_pages(&self) -> Vec<String> {
        let numbers = spread(selling(self.albums)).map(|at| selling_album(at, self.albums));
        numbers.map(|number| format!("/albums/{}", sku(number))).collect()
    }

    /// The addresses of the items to ask for.
    pub fn item_paths(&self) -> Vec<String> {
        spread(self.albums.min(ITEMS_MAX)).map(|at| format!("/bench/items/{}", sku(at + 1))).collect()
    }

    /// The host with this shop.
    pub fn host(&self) -> Result<Server> {
        self.host_with(&self.manifest)
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

    /// All of it in one native process.
    pub fn monolith(&self) -> Result<Server> {
        self.service("monolith")
    }

    /// A native program that reads this shop's files.
    pub fn service(&self, name: &str) -> Result<Server> {
        native(&[name.to_owned(), self.native_folder().to_string_lossy().into_owned()])
    }

    /// The host with the same shop and more contexts beside it, `count` in all (or as few as there are), from
    /// a copy of its files.
    pub fn host_with_contexts(&self, count: usize) -> Result<Server> {
        let mut text = std::fs::read_to_string(&self.manifest)?;
        let own = text.lines().filter(|line| line.starts_with("[context.") && line.matches('.').count() == 1).count();
        let data = format!("data-{count}");
        text = text.replace(&format!("/bench/{}/data\"", self.albums), &format!("/bench/{}/{data}\"", self.albums));
        for number in own..count {
            text.push_str(&format!(
                "\n[context.copy-{number}]\nbuild = {{ cargo = \"bench-asker\" }}\ncomponent = \"../../target/components/bench-asker.wasm\"\n\
                 imports = [\"seambench:shop/teller\"]\n"
            ));
        }
        let manifest = self.folder.with_file_name(format!("{}-{count}.toml", self.albums));
        std::fs::write(&manifest, text)?;
        let to = self.folder.join(data);
        if !to.exists() {
            copy_folder(&self.data_folder(), &to)?;
        }
        self.host_with(&manifest)
    }
}

/// `PAGES` numbers from 0 up to `of`, far from each other in turn.
fn spread(of: u32) -> impl Iterator<Item = u32> {
    // A prime step visits each of the places once, unless their number is a multiple of it.
    const STEP: u64 = 577;
    let pages = u64::from(PAGES.min(of).max(1));
    (0..pages).map(move |turn| u32::try_from(turn * STEP % pages * u64::from(of) / pages).unwrap_or(0))
}

/// A native program of this binary.
pub fn native(arguments: &[String]) -> Result<Server> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("native").args(arguments);
    Server::start(command)
}

/// The file of that name in `folder` or below it.
fn find(folder: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if let Some(found) = find(&entry.path(), name)? {
                return Ok(Some(found));
            }
        } else if entry.file_name() == name {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

/// Files and folders; a running host's socket is neither.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
