//! `seam-bench`: what the host costs, beside native programs that do the same. Exit 0 measured, 1 failed, 2 wrong usage.

mod call;
mod figures;
mod load;
mod native;
mod process;
mod rounds;
mod system;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

use figures::{Process, Report};
use native::Native;
use process::Server;
use rounds::{Effort, Variant};
use system::System;

/// Contexts of the bench's own manifest, and of the large one that it is compared with.
const CONTEXTS: [usize; 2] = [7, 100];
/// Albums in a shop unless `--albums` says otherwise, and in the large one of `--only scale`.
const SMALL: u32 = 10_000;
const LARGE: u32 = 1_000_000;
/// What does not grow may measure so much more than the first variant: the rest is noise.
const FLAT: f64 = 1.1;
const START_TARGET_MS: f64 = 300.0;
const STARTS: u32 = 7;

/// Measures the host beside native programs that do the same.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Be one of the native programs (the bench starts them itself).
    #[command(hide = true)]
    Native {
        #[command(subcommand)]
        native: Native,
    },
}

#[derive(clap::Args)]
struct Options {
    /// What to measure; everything but `scale` unless given.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Albums in the shop; with `--only scale`, in the large one.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1_000..=5_000_000))]
    albums: Option<u32>,
    /// How often each variant has its turn.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How long each turn takes.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    turn_ms: u64,
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    connections: u8,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Exit 1 when a target is missed.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A few bytes of text.
    Hello,
    /// One item by its id, as JSON.
    Item,
    /// The album page, which crosses three contexts.
    Page,
    /// The album page with 7 and with 100 contexts loaded.
    Contexts,
    /// One call between two contexts.
    Calls,
    /// From the start of the process to the first page.
    Start,
    /// The album page in a small and in a large shop.
    Scale,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Some(Command::Native { native }) => native::run(native).map(|()| true),
        None => bench(&arguments.options),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether it went as asked: with `--strict`, whether all targets are kept.
fn bench(options: &Options) -> Result<bool> {
    if cfg!(debug_assertions) {
        eprintln!("warning: this is a debug build; its figures mean nothing (use `just bench`)");
    }
    let wants = |part: Part| if options.only.is_empty() { part != Part::Scale } else { options.only.contains(&part) };
    let effort = Effort {
        rounds: options.rounds,
        time: Duration::from_millis(options.turn_ms),
        connections: options.connections.into(),
    };
    let mut bench = Bench::new(options, effort)?;
    for part in Part::value_variants().iter().filter(|part| wants(**part)) {
        bench.measure(*part)?;
    }
    match options.format {
        Format::Text => print!("{}", bench.report.text()),
        Format::Json => println!("{}", serde_json::to_string_pretty(&bench.report)?),
    }
    Ok(!options.strict || bench.report.keeps_targets())
}

struct Bench {
    effort: Effort,
    system: System,
    /// Albums in the large shop of `Part::Scale`.
    large: u32,
    shop: Shop,
    pages: Vec<String>,
    report: Report,
}

/// The same shop three times: behind the host, in one native process, in four.
struct Shop {
    host: Server,
    monolith: Server,
    /// Catalog, warehouse, recommendation, storefront.
    split: Vec<Server>,
}

impl Bench {
    fn new(options: &Options, effort: Effort) -> Result<Self> {
        let scale = options.only.contains(&Part::Scale);
        let albums = options.albums.unwrap_or(if scale { LARGE } else { SMALL });
        let system = System::prepare(if scale { SMALL } else { albums })?;
        let shop = Shop::start(&system)?;
        let pages = system.album_pages();
        Ok(Self { effort, system, large: albums, shop, pages, report: Report::default() })
    }

    fn measure(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Hello => self.page("hello", &["/bench/hello".to_owned()], 4.0, false),
            Part::Item => self.page("item by its id, as JSON", &self.system.item_paths(), 2.0, false),
            Part::Page => self.page("album page, three contexts", &self.pages.clone(), 2.0, true),
            Part::Contexts => self.contexts(),
            Part::Start => self.processes(),
            Part::Calls => {
                eprintln!("one call between contexts");
                self.report.calls = Some(call::run(&self.system.data_folder().with_file_name("calls"))?);
                Ok(())
            }
            Part::Scale => self.scale(),
        }
    }

    /// One kind of page, native and behind the host.
    fn page(&mut self, name: &str, paths: &[String], target: f64, split: bool) -> Result<()> {
        let Shop { host, monolith, split: services } = &self.shop;
        let (host_alone, monolith_alone, services): ([_; 1], [_; 1], Vec<_>) =
            ([host], [monolith], services.iter().collect());
        let mut variants = vec![
            Variant {
                name: "native, one process",
                servers: &monolith_alone,
                address: monolith.address,
                paths,
                target: None,
            },
            Variant { name: "seam", servers: &host_alone, address: host.address, paths, target: Some(target) },
        ];
        if let (true, Some(entrance)) = (split, services.last()) {
            let name = "native, HTTP between services";
            variants.push(Variant { name, servers: &services, address: entrance.address, paths, target: None });
        }
        self.report.pages.push(rounds::run(name, &variants, self.effort)?);
        Ok(())
    }

    /// The album page of the same shop with few and with many contexts loaded.
    fn contexts(&mut self) -> Result<()> {
        let [few, many] = CONTEXTS;
        let (small, large) = (self.system.host_with_contexts(few)?, self.system.host_with_contexts(many)?);
        let (few, many) = (format!("seam, {few} contexts"), format!("seam, {many} contexts"));
        let (a, b, paths) = ([&small], [&large], &self.pages[..]);
        let variants = [
            Variant { name: &few, servers: &a, address: small.address, paths, target: None },
            Variant { name: &many, servers: &b, address: large.address, paths, target: Some(FLAT) },
        ];
        self.report.pages.push(rounds::run("album page, loaded contexts", &variants, self.effort)?);
        Ok(())
    }

    /// The album page of a small and of a large shop, native and behind the host.
    fn scale(&mut self) -> Result<()> {
        let large = System::prepare(self.large)?;
        let (paths, shop) = (large.album_pages(), Shop::start(&large)?);
        let name = |what: &str, albums: u32| format!("{what}, {albums} albums");
        let pairs = [("native", &self.shop.monolith, &shop.monolith), ("seam", &self.shop.host, &shop.host)];
        for (what, small, big) in pairs {
            let (small_name, big_name, a, b) =
                (name(what, self.system.albums), name(what, large.albums), [small], [big]);
            // The native program is the measure of what the data itself costs; it has no target.
            let target = (what == "seam").then_some(FLAT);
            let variants = [
                Variant { name: &small_name, servers: &a, address: small.address, paths: &self.pages, target: None },
                Variant { name: &big_name, servers: &b, address: big.address, paths: &paths, target },
            ];
            self.report.pages.push(rounds::run("album page, size of the shop", &variants, self.effort)?);
        }
        Ok(())
    }

    /// How long processes take to their first page, and the most memory that those under load so far have had.
    fn processes(&mut self) -> Result<()> {
        eprintln!("start-up, {STARTS} times each");
        let page = self.pages.first().context("there is no page")?;
        let Shop { host, monolith, split } = &self.shop;
        let peak_mb = |servers: &[&Server]| -> Result<f64> {
            Ok(servers.iter().map(|server| server.peak_memory()).sum::<Result<u64>>()? as f64 / f64::from(1 << 20))
        };
        self.report.processes = vec![
            Process {
                name: "native, one process".into(),
                start_ms: Some(rounds::start_ms(STARTS, page, || self.system.monolith())?),
                start_ms_target: None,
                peak_mb: peak_mb(&[monolith])?,
            },
            Process {
                name: "seam, components compiled before".into(),
                start_ms: Some(rounds::start_ms(STARTS, page, || self.system.second_host())?),
                start_ms_target: Some(START_TARGET_MS),
                peak_mb: peak_mb(&[host])?,
            },
            Process {
                name: "native, HTTP between services".into(),
                start_ms: None,
                start_ms_target: None,
                peak_mb: peak_mb(&split.iter().collect::<Vec<_>>())?,
            },
        ];
        Ok(())
    }
}

impl Shop {
    fn start(system: &System) -> Result<Self> {
        let mut split =
            vec![system.service("catalog")?, system.service("warehouse")?, system.service("recommendation")?];
        let mut storefront = vec!["storefront".to_owned()];
        storefront.extend(split.iter().map(|server| server.address.to_string()));
        split.push(system::native(&storefront)?);
        Ok(Self { host: system.host()?, monolith: system.monolith()?, split })
    }
}
