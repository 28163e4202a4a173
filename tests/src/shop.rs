//! The whole shop: its real components, its real manifest, demo data, in a folder of its own.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result, anyhow, bail, ensure};
use parking_lot::Mutex;
use seam::admin::CallRequest;
use seam::admin::client::{self, Client};
use seam::verify::{Check, CheckKind, Outcome, Report, Verdict, VerifyRequest};
use seam_store::private;
use serde_json::Value;

use crate::broker::{Broker, free_port};
use crate::host::{Host, binary, seam};
use crate::placement::{self, Placement};
use crate::{repo, wait};

/// The demo's orders and customers: few, so that a shop starts at once, and enough for every state of an order.
const ORDERS: u32 = 120;
const CUSTOMERS: u32 = 48;
/// How long a test waits for one answer of the admin socket.
const CALL_MS: u64 = 30_000;

/// Commands that are for one host of a system, which `--as` names; the others find the host of the context that they
/// name, or show all hosts.
const OF_ONE_HOST: [&str; 5] = ["audit", "backup", "reconcile", "transactions", "verify"];

/// A shop's folder: manifest, demo data and what the host writes.
pub struct Shop {
    pub folder: tempfile::TempDir,
    pub placement: Placement,
    /// Where finance lives now, in a shop where it moves.
    finance_at: Mutex<Option<&'static str>>,
    /// The NATS server of its copies.
    pub broker: Mutex<Option<Broker>>,
}

pub use crate::placement::{BOOKS, SHOP};

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
    /// The shop's own manifest on a free port, with data of its own, in the placement of this run.
    ///
    /// # Errors
    /// When the components have not been built.
    pub fn new() -> Result<Self> {
        Self::with(ORDERS, CUSTOMERS)
    }

    /// The same with all contexts in one process, whatever the placement of this run.
    ///
    /// # Errors
    /// As `new`.
    pub fn in_one_process() -> Result<Self> {
        Self::make(ORDERS, CUSTOMERS, &[])
    }

    /// With so many past orders and so many customers.
    pub fn with(orders: u32, customers: u32) -> Result<Self> {
        Self::make(orders, customers, &[])?.placed(Placement::of_environment()?)
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
        Self::make(ORDERS, CUSTOMERS, engines)?.placed(Placement::of_environment()?)
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
        Ok(Self { folder, placement: Placement::Together, finance_at: Mutex::default(), broker: Mutex::default() })
    }

    /// The same shop with finance on a host of its own, `books`.
    ///
    /// # Errors
    /// As `placed`.
    pub fn apart(self) -> Result<Self> {
        self.placed(Placement::Finance)
    }

    /// The same shop with finance on the host `books` and recommendation on the host `engines`: events cross hosts.
    ///
    /// # Errors
    /// As `placed`.
    pub fn on_three_hosts(self) -> Result<Self> {
        self.placed(Placement::Three)
    }

    /// The same shop on two hosts, `shop` and `books`, with finance on `shop`. Both may have it.
    ///
    /// # Errors
    /// As `placed`.
    pub fn with_books_to_come(self) -> Result<Self> {
        self.placed_with(Placement::Finance, Some(SHOP))
    }

    /// The same shop in this placement.
    ///
    /// # Errors
    /// When it is in another one already, there are no free ports, or no certificates can be made.
    pub fn placed(self, placement: Placement) -> Result<Self> {
        match placement {
            Placement::Together => Ok(self),
            placement => self.placed_with(placement, None),
        }
    }

    fn placed_with(self, placement: Placement, finance_at: Option<&'static str>) -> Result<Self> {
        ensure!(self.placement == Placement::Together, "the shop is on several hosts already");
        let text = std::fs::read_to_string(self.manifest())?;
        let broker = free_port()?;
        self.write_manifest(&placement.write(&text, finance_at, broker)?)?;
        self.seam(&["cert", "authority"])?;
        for (host, _) in placement.hosts() {
            self.seam(&["cert", "host", host, "--contexts", &placement.certified(host)])?;
            if *host != SHOP {
                let data = self.folder.path().join(host);
                private::folder(&data)?;
                symlink(self.data().join("cache").canonicalize()?, data.join("cache"))?;
            }
        }
        let mut of_copies = None;
        if placement.copies().next().is_some() {
            self.seam(&["cert", "broker"])?;
            let configuration = placement::broker_configuration(&self.data())?;
            of_copies = Some(Broker::start(&placement::tests(), &configuration, broker)?);
        }
        Ok(Self { placement, finance_at: Mutex::new(finance_at), broker: Mutex::new(of_copies), ..self })
    }

    /// The name of the host on which a context, or a variant of one, lives; of copies the one that browsers go to.
    pub fn host_name(&self, context: &str) -> &'static str {
        match *self.finance_at.lock() {
            Some(host) if context == "finance" => host,
            _ => self.placement.host_of(context),
        }
    }

    /// The data folder of that host.
    pub fn data_of(&self, context: &str) -> PathBuf {
        self.data_at(self.host_name(context))
    }

    /// The data folder of this host.
    pub fn data_at(&self, host: &str) -> PathBuf {
        if host == SHOP { self.data() } else { self.folder.path().join(host) }
    }

    /// The file of a context.
    pub fn store(&self, context: &str) -> PathBuf {
        self.data_of(context).join(format!("stores/{context}.db"))
    }

    /// Of the running shop `front`, the host on which a context lives.
    pub fn host_of<'h>(&self, front: &'h Host, context: &str) -> &'h Host {
        let name = self.host_name(context);
        front.others.iter().find(|host| host.name.as_deref() == Some(name)).unwrap_or(front)
    }

    /// The names of its hosts; one that stands for the only process.
    pub fn hosts(&self) -> Vec<&'static str> {
        match self.placement.hosts() {
            [] => vec![SHOP],
            hosts => hosts.iter().map(|(host, _)| *host).collect(),
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
        // It stays where it lives.
        let at = rest.lines().next().filter(|line| line.starts_with("at = ")).map(|line| format!("{line}\n"));
        let at = at.unwrap_or_default();
        let mut after = format!("{above}{head}{at}component = \"{file}\"\n{below}");
        // Who would get the events of a context that publishes nothing does not fit.
        let events = format!("subscribes.\"musiccorp:{context}/");
        after = after.split_inclusive('\n').filter(|line| !line.starts_with(&events)).collect();
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
        self.up_with(&[])
    }

    /// The same with these variables in the environment of each host.
    ///
    /// # Errors
    /// When a host does not serve.
    pub fn up_with(&self, variables: &[(&str, &str)]) -> Result<Host> {
        if self.placement == Placement::Together {
            return Host::up_with(&self.manifest(), &self.data(), variables);
        }
        let front = self.placement.front();
        let others: Vec<_> = self.placement.hosts().iter().map(|(host, _)| *host).filter(|h| *h != front).collect();
        let others = std::thread::scope(|scope| {
            let up = |host: &&'static str| {
                let host = *host;
                scope.spawn(move || self.up_as(host, variables))
            };
            let starting: Vec<_> = others.iter().map(up).collect();
            let started = starting.into_iter().map(|host| host.join().map_err(|_| anyhow!("a thread panicked"))?);
            started.collect::<Result<Vec<_>>>()
        })?;
        let mut host = self.up_as(front, variables)?;
        host.others = others;
        self.placement.copies().try_for_each(|copy| self.until_it_has_learned(copy))?;
        Ok(host)
    }

    /// Waits until each subscriber has had all events, by what all hosts say.
    ///
    /// # Errors
    /// With the subscriptions that are behind, after a minute.
    pub fn until_all_is_delivered(&self) -> Result<()> {
        wait::until(wait::TIMEOUT, || {
            let mut behind = Vec::new();
            for host in self.hosts() {
                let all = Client::connect(&self.data_at(host))?.subscriptions()?;
                behind.extend(all.into_iter().filter(|one| one.lag != Some(0) || one.away.is_some()));
            }
            Ok(if behind.is_empty() { Ok(()) } else { Err(format!("{behind:?}")) })
        })
    }

    /// Waits until the copies of this host have had all events: they take no calls before. Not for those of a context
    /// that is out of service.
    fn until_it_has_learned(&self, host: &str) -> Result<()> {
        let publisher = Client::connect(&self.data_of("orders"))?.contexts()?;
        if publisher.iter().any(|context| context.context == "orders" && context.out_of_service.is_some()) {
            return Ok(());
        }
        wait::until(wait::TIMEOUT, || {
            let out = Client::connect(&self.data_at(host))?.contexts()?;
            let out = |name: &str| out.iter().any(|one| one.context == name && one.out_of_service.is_some());
            let all = Client::connect(&self.data_at(host))?.subscriptions()?;
            let learned = all.iter().all(|one| one.lag == Some(0) && one.away.is_none() || out(&one.subscriber));
            Ok(if learned { Ok(()) } else { Err(format!("{host}: {all:?}")) })
        })
    }

    /// Serves the host `shop` alone, of those that there are.
    pub fn up_alone(&self) -> Result<Host> {
        self.up_as(SHOP, &[])
    }

    /// Serves this host alone, with these variables in its environment.
    pub fn up_as(&self, host: &str, variables: &[(&str, &str)]) -> Result<Host> {
        Host::up_as(&self.manifest(), &self.data_at(host), host, variables)
    }

    /// Serves the host of a context alone.
    pub fn up_of(&self, context: &str) -> Result<Host> {
        self.up_as(self.host_name(context), &[])
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

    /// Verifies the hosts that run, as `seam verify` does.
    pub fn verify(&self) -> Result<Report> {
        let mut reports = Vec::new();
        for host in self.hosts() {
            match Client::connect(&self.data_at(host)) {
                Ok(client) => reports.push(client.verify(&VerifyRequest::default(), &mut |_| {})?),
                // One that a test has killed. What asks a context that lives there fails.
                Err(client::Error::NotRunning { .. }) if self.placement != Placement::Together => {}
                Err(error) => return Err(error.into()),
            }
        }
        whole(reports)
    }

    /// Runs `seam ARGS` on it, and for the host with most of the contexts where a command is for one host; its standard
    /// output.
    pub fn seam(&self, args: &[&str]) -> Result<String> {
        printed(self.run(args)?, args)
    }

    /// Runs `seam --as HOST ARGS`, or `seam ARGS` if there is one process; its standard output.
    pub fn seam_as(&self, host: &str, args: &[&str]) -> Result<String> {
        printed(self.run_as(host, args)?, args)
    }

    /// As `seam`, however it ends.
    pub fn run(&self, args: &[&str]) -> Result<Output> {
        match args.first().is_some_and(|command| OF_ONE_HOST.contains(command)) {
            true => self.run_as(SHOP, args),
            false => seam(&self.manifest(), args),
        }
    }

    /// As `seam_as`, however it ends.
    pub fn run_as(&self, host: &str, args: &[&str]) -> Result<Output> {
        match self.placement {
            Placement::Together => seam(&self.manifest(), args),
            _ => seam(&self.manifest(), &[&["--as", host], args].concat()),
        }
    }
}

fn printed(output: Output, args: &[&str]) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "seam {args:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// What the hosts of a system have verified, each its files, as one report. Of a total that several hosts know, the one
/// that has compared most contexts says what holds.
///
/// # Errors
/// Without reports.
pub fn whole(reports: Vec<Report>) -> Result<Report> {
    let mut all = reports.into_iter();
    let mut whole = all.next().context("a report")?;
    for Report { checks, .. } in all {
        for check in checks {
            let same =
                |one: &&mut Check| one.kind == CheckKind::Total && one.kind == check.kind && one.name == check.name;
            match whole.checks.iter_mut().find(same) {
                Some(known) if known.contexts.len() >= check.contexts.len() => {}
                Some(known) => *known = check,
                None => whole.checks.push(check),
            }
        }
    }
    let any = |is: fn(&Check) -> bool| whole.checks.iter().any(is);
    whole.verdict = if any(|check| matches!(check.outcome, Outcome::Violated { .. })) {
        Verdict::Violated
    } else if any(|check| matches!(check.outcome, Outcome::Unchecked { .. })) {
        Verdict::Unchecked
    } else if any(|check| check.kind != CheckKind::File && matches!(check.outcome, Outcome::Holds { .. })) {
        Verdict::Holds
    } else {
        Verdict::Nothing
    };
    Ok(whole)
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
