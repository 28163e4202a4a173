//! The whole shop: its real components, its real manifest, demo data, in a folder of its own.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use seam::admin::CallRequest;
use seam::admin::client::Client;
use seam::verify::{Report, VerifyRequest};
use seam_store::private;
use serde_json::Value;

use crate::host::{Host, binary, seam};
use crate::repo;

/// The demo's orders and customers: few, so that a shop starts at once, and enough for every state of an order.
const ORDERS: u32 = 120;
const CUSTOMERS: u32 = 48;
/// How long a test waits for one answer of the admin socket.
const CALL_MS: u64 = 30_000;

/// A shop's folder: manifest, demo data and what the host writes.
pub struct Shop {
    pub folder: tempfile::TempDir,
    /// The contexts that live on another host than `shop`, each on one of its own.
    apart: Placed,
    /// Where finance lives now, in a shop where it moves.
    finance_at: Mutex<Option<&'static str>>,
}

/// Contexts, each with its host.
type Placed = &'static [(&'static str, &'static str)];

/// The host of everything that has no other one.
pub const SHOP: &str = "shop";
/// The host of finance, where it has one of its own.
pub const BOOKS: &str = "books";
/// That of the engines.
const ENGINES: &str = "engines";

/// Calls cross hosts; calls and events do.
const TWO_HOSTS: Placed = &[("finance", BOOKS)];
const THREE_HOSTS: Placed = &[("finance", BOOKS), ("recommendation", ENGINES)];

/// Set to have every test of the shop run with finance on a host of its own; to `three` for three hosts.
const APART: &str = "SEAM_TEST_APART";

/// The manifest with no variants but those in `built`: a test must not depend on what was built on this machine.
fn with_variants(manifest: &str, built: &[&str]) -> String {
    let mut kept = true;
    let mut lines = String::new();
    for line in manifest.split_inclusive('\n') {
        if line.starts_with('[') {
            let variant = line.split_once(".variant.").map(|(_, variant)| variant.trim().trim_end_matches(']'));
            kept = variant.is_none_or(|variant| built.contains(&variant));
        }
        if kept {
            lines.push_str(line);
        }
    }
    lines
}

impl Shop {
    /// The shop's own manifest on a free port, with data of its own.
    ///
    /// # Errors
    /// When the components have not been built.
    pub fn new() -> Result<Self> {
        Self::with(ORDERS, CUSTOMERS)
    }

    /// With so many past orders and so many customers.
    pub fn with(orders: u32, customers: u32) -> Result<Self> {
        Self::make(orders, customers, &[])
    }

    /// With finance's file in the clear: for what is not done to encrypted files, such as recordings.
    ///
    /// # Errors
    /// When the manifest does not encrypt it.
    pub fn in_the_clear() -> Result<Self> {
        let shop = Self::new()?;
        let text = std::fs::read_to_string(shop.manifest())?;
        ensure!(text.contains("encrypted = true, "), "the manifest's line has changed");
        std::fs::write(shop.manifest(), text.replace("encrypted = true, ", ""))?;
        Ok(shop)
    }

    /// With these engines beside the one in Rust.
    ///
    /// # Errors
    /// When one cannot be built.
    pub fn with_engines(engines: &[&str]) -> Result<Self> {
        engines.iter().try_for_each(|engine| crate::engines::component(engine).map(drop))?;
        Self::make(ORDERS, CUSTOMERS, engines)
    }

    fn make(orders: u32, customers: u32, variants: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let root = repo().canonicalize()?;
        let built = root.join("target/components/storefront.wasm");
        ensure!(built.is_file(), "`{}` is missing; run `seam build`", built.display());
        // The manifest's paths start in its folder; what they lead to stays where it is.
        for shared in ["target", "plugins", "data"] {
            symlink(root.join(shared), folder.path().join(shared))?;
        }
        let manifest = std::fs::read_to_string(root.join("seam.toml"))?.replace("127.0.0.1:8080", "127.0.0.1:0");
        let manifest = with_variants(&manifest, variants);
        std::fs::write(folder.path().join("seam.toml"), manifest)?;
        let demo = folder.path().join("run/demo");
        private::folder(&demo)?;
        // Compiling seven components takes longer than most tests: the first test does it for all.
        let cache = root.join("target/tests/compiled");
        private::folder(&cache)?;
        symlink(cache, folder.path().join("run/cache"))?;
        let made = Command::new(binary()?.with_file_name("shop-data"))
            .current_dir(&root)
            .args(["demo", "--orders", &orders.to_string(), "--customers", &customers.to_string(), "--out"])
            .arg(&demo)
            .output()
            .context("shop-data")?;
        if !made.status.success() {
            bail!("shop-data: {}", String::from_utf8_lossy(&made.stderr));
        }
        let shop = Self { folder, apart: &[], finance_at: Mutex::default() };
        match std::env::var(APART).ok().as_deref() {
            None => Ok(shop),
            Some("three") => shop.on_three_hosts(),
            Some(_) => shop.apart(),
        }
    }

    /// The same shop with finance on a host of its own, `books`.
    ///
    /// # Errors
    /// When there are no free ports, or no certificates can be made.
    pub fn apart(self) -> Result<Self> {
        self.placed(TWO_HOSTS, None)
    }

    /// The same shop with finance on the host `books` and recommendation on the host `engines`: events cross hosts.
    ///
    /// # Errors
    /// As `apart`.
    pub fn on_three_hosts(self) -> Result<Self> {
        self.placed(THREE_HOSTS, None)
    }

    /// The same shop on two hosts, `shop` and `books`, with finance on `shop`. Both may have it.
    ///
    /// # Errors
    /// As `apart`; when it is on several hosts already.
    pub fn with_books_to_come(self) -> Result<Self> {
        ensure!(self.apart.is_empty(), "the shop is on several hosts already");
        self.placed(TWO_HOSTS, Some(SHOP))
    }

    fn placed(self, apart: Placed, finance_at: Option<&'static str>) -> Result<Self> {
        if !self.apart.is_empty() {
            return Ok(self);
        }
        let port = || -> Result<u16> { Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
        let mut text = std::fs::read_to_string(self.manifest())?;
        let mut hosts = format!("[hosts.shop]\naddress = \"127.0.0.1:{}\"\n", port()?);
        for (context, host) in apart {
            let at = finance_at.filter(|_| *context == "finance").unwrap_or(host);
            text = text.replace(&format!("[context.{context}]\n"), &format!("[context.{context}]\nat = \"{at}\"\n"));
            let address = format!("127.0.0.1:{}", port()?);
            writeln!(
                hosts,
                "\n[hosts.{host}]\naddress = \"{address}\"\nlisten = [\"127.0.0.1:0\"]\ndata = \"{host}\""
            )?;
        }
        self.write_manifest(&format!("{text}\n{hosts}\n[placement]\ndefault = \"shop\"\n"))?;
        self.seam(&["cert", "authority"])?;
        let all = "storefront,catalog,warehouse,customer,orders,recommendation,finance";
        self.seam(&["cert", "host", SHOP, "--contexts", all])?;
        for (context, host) in apart {
            let data = self.folder.path().join(host);
            private::folder(&data)?;
            symlink(self.data().join("cache").canonicalize()?, data.join("cache"))?;
            self.seam(&["cert", "host", host, "--contexts", context])?;
        }
        Ok(Self { apart, finance_at: Mutex::new(finance_at), ..self })
    }

    /// The data folder of the host on which a context lives.
    pub fn data_of(&self, context: &str) -> PathBuf {
        if context == "finance" && *self.finance_at.lock() == Some(SHOP) {
            return self.data();
        }
        match self.apart.iter().find(|(name, _)| *name == context) {
            Some((_, host)) => self.folder.path().join(host),
            None => self.data(),
        }
    }

    /// From now on finance is looked for on this host.
    pub fn finance_lives_at(&self, host: &'static str) {
        *self.finance_at.lock() = Some(host);
    }

    /// The data folder of the host `books`.
    pub fn books_data(&self) -> PathBuf {
        self.folder.path().join(BOOKS)
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

    /// Replaces `context`, from the next start on, by one whose every function traps, and which publishes nothing. Its
    /// file stays, unopened. Returns the manifest from before, for [`Shop::write_manifest`].
    pub fn break_context(&self, context: &str) -> Result<String> {
        let before = std::fs::read_to_string(self.manifest())?;
        let file = format!("broken-{context}.wasm");
        std::fs::write(self.folder.path().join(&file), crate::broken(context)?)?;
        let head = format!("[context.{context}]\n");
        let (above, rest) = before.split_once(&head).with_context(|| format!("the manifest has no `{context}`"))?;
        let below = rest.find("\n[").map_or("", |at| &rest[at..]);
        let mut after = format!("{above}{head}component = \"{file}\"\n{below}");
        // Who would get the events of a context that publishes nothing does not fit.
        after = after.split_inclusive('\n').filter(|line| !line.starts_with("subscribes.")).collect();
        // A context without a store can take no part in a transaction over several files.
        let alone = |line: &str| match line.starts_with("two_phase = ") {
            true => line.replace(&format!("{context:?}, "), "").replace(&format!(", {context:?}]"), "]"),
            false => line.to_owned(),
        };
        after = after.split_inclusive('\n').map(alone).collect();
        writeln!(after)?;
        self.write_manifest(&after)?;
        Ok(before)
    }

    pub fn write_manifest(&self, text: &str) -> Result<()> {
        Ok(std::fs::write(self.manifest(), text)?)
    }

    /// Serves; the demo data is in when it does.
    pub fn up(&self) -> Result<Host> {
        if self.apart.is_empty() {
            return Host::up(&self.manifest(), &self.data());
        }
        let others = self.apart.iter().map(|(context, _)| self.up_of(context)).collect::<Result<_>>()?;
        let mut host = self.up_alone()?;
        host.others = others;
        Ok(host)
    }

    /// Serves the host `shop` alone, of those that there are.
    pub fn up_alone(&self) -> Result<Host> {
        self.up_as(SHOP, &[])
    }

    /// Serves this host alone, with these variables in its environment.
    pub fn up_as(&self, host: &str, variables: &[(&str, &str)]) -> Result<Host> {
        let data = if host == SHOP { self.data() } else { self.folder.path().join(host) };
        Host::up_as(&self.manifest(), &data, host, variables)
    }

    /// Serves the host of a context alone, where that has one of its own.
    pub fn up_of(&self, context: &str) -> Result<Host> {
        let (_, host) = self.apart.iter().find(|(name, _)| *name == context).context("it lives in the shop")?;
        self.up_as(host, &[])
    }

    /// Calls a function of a context of the running host, as `seam call` does; what comes with its `ok`.
    pub fn call(&self, context: &str, text: &str) -> Result<Value> {
        let request = CallRequest { context: context.into(), text: text.into(), timeout_ms: CALL_MS };
        let answer =
            Client::connect(&self.data_of(context))?.call(&request).with_context(|| format!("{context} {text}"))?;
        ensure!(answer.ok, "{context} {text}: {}", answer.wave);
        Ok(answer.json["ok"].clone())
    }

    /// Sets how many copies of an album the warehouse counted.
    pub fn count(&self, sku: &str, copies: u32) -> Result<()> {
        let counted = self.call("warehouse", &format!("stock.stocktake([{{sku: {sku:?}, on-hand: {copies}}}])"))?;
        ensure!(counted == 1, "{counted}");
        Ok(())
    }

    /// An album that is sold, of which so many copies are there now.
    pub fn album(&self, words: &str, copies: u32) -> Result<String> {
        let found = self.call("catalog", &format!("albums.search({words:?}, {{page: 1, size: 1}})"))?;
        let sku = found["albums"][0]["sku"].as_str().with_context(|| format!("an album for `{words}`"))?;
        self.count(sku, copies)?;
        Ok(sku.to_owned())
    }

    /// Verifies the running host, as `seam verify` does.
    pub fn verify(&self) -> Result<Report> {
        Ok(Client::connect(&self.data())?.verify(&VerifyRequest::default(), &mut |_| {})?)
    }

    /// Runs `seam ARGS` on it; its standard output.
    pub fn seam(&self, args: &[&str]) -> Result<String> {
        self.seam_of(if self.apart.is_empty() { &[] } else { &["--as", SHOP] }, args)
    }

    /// Runs `seam --as HOST ARGS`; its standard output.
    pub fn seam_as(&self, host: &str, args: &[&str]) -> Result<String> {
        self.seam_of(&["--as", host], args)
    }

    fn seam_of(&self, here: &[&str], args: &[&str]) -> Result<String> {
        let output = seam(&self.manifest(), &[here, args].concat())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "seam {args:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// Where screenshots and other things to look at go.
pub fn artifacts() -> Result<PathBuf> {
    let folder = repo().join("target/artifacts");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The first SKU of a page of albums.
pub fn first_sku(page: &str) -> Result<String> {
    let (_, after) = page.split_once("href=\"/albums/").context("a page with an album")?;
    Ok(after.split(['"', '?', '#']).next().unwrap_or_default().to_owned())
}
