//! `seam-bench`: what the host costs, beside native programs that do the same. Exit 0 measured, 1 failed, 2 wrong
//! usage.

mod call;
mod client;
mod deliveries;
mod dev;
mod engines;
mod figures;
mod load;
mod native;
mod placement;
mod process;
mod rounds;
mod shopper;
mod system;
#[path = "../../src/tools.rs"]
mod tools;
mod transactions;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

use figures::{Process, Report};
use load::Work;
use native::Native;
use process::Server;
use rounds::{Effort, Variant};
use shopper::Market;
use system::{Shop, System};

/// Contexts of the bench's own manifest, and of the large one that it is compared with.
const CONTEXTS: [usize; 2] = [10, 100];
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
    /// The same orders under the same faults, in each way to answer a split transaction and in the monolith
    CompareTransactions {
        /// What goes wrong; all of them, one after the other, unless given
        #[arg(long = "fault", value_enum, value_delimiter = ',')]
        faults: Vec<transactions::Fault>,
        /// Orders for each way and fault.
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
        orders: u32,
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
        connections: u8,
    },
    /// Be one of the native programs (the bench starts them itself).
    #[command(hide = true)]
    Native {
        #[command(subcommand)]
        native: Native,
    },
}

#[derive(clap::Args)]
struct Options {
    /// What to measure; everything but `placement`, `scale`, `engines` and `dev` unless given.
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
    /// One order: four contexts change something, and all of it is on the disk.
    Order,
    /// What a shopper does: twenty pages, and one order.
    Session,
    /// The album page with few and with 100 contexts loaded.
    Contexts,
    /// One call between two contexts.
    Calls,
    /// Events from one context to another.
    Events,
    /// From the start of the process to the first page.
    Start,
    /// One call and the album page with the callees on other hosts.
    Placement,
    /// The album page in a small and in a large shop.
    Scale,
    /// A suggestion in each language that an engine is written in. Stands alone: it needs what docs/engines.md builds,
    /// and no native program.
    Engines,
    /// From a saved line to what is live. Stands alone: it compiles, and needs no native program.
    Dev,
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
        Some(Command::CompareTransactions { faults, orders, connections }) => {
            transactions::run(SMALL, &faults, orders as usize, connections.into())
        }
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
    if options.only == [Part::Engines] {
        print!("{}", engines::run()?);
        return Ok(true);
    }
    if options.only == [Part::Dev] {
        let (text, kept) = dev::run(options.rounds)?;
        print!("{text}");
        return Ok(!options.strict || kept);
    }
    let aside = [Part::Placement, Part::Scale, Part::Engines, Part::Dev];
    let wants = |part: &Part| if options.only.is_empty() { !aside.contains(part) } else { options.only.contains(part) };
    let effort = Effort {
        rounds: options.rounds,
        time: Duration::from_millis(options.turn_ms),
        connections: options.connections.into(),
    };
    let mut bench = Bench::new(options, effort)?;
    for part in Part::value_variants().iter().filter(|part| wants(part)) {
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
    /// The shop that is only looked at; there from the first part on that needs it.
    shop: Option<Shop>,
    /// The shop that orders are placed in; likewise.
    market: Option<(Arc<Market>, Shop)>,
    report: Report,
}

impl Bench {
    fn new(options: &Options, effort: Effort) -> Result<Self> {
        let scale = options.only.contains(&Part::Scale);
        let albums = options.albums.unwrap_or(if scale { LARGE } else { SMALL });
        let system = System::prepare(if scale { SMALL } else { albums })?;
        Ok(Self { effort, system, large: albums, shop: None, market: None, report: Report::default() })
    }

    fn measure(&mut self, part: Part) -> Result<()> {
        let (items, pages) = (self.system.item_paths(), self.system.album_pages());
        match part {
            Part::Hello => self.page("hello", Arc::new(["/bench/hello".to_owned()]), 4.0, false),
            Part::Item => self.page("item by its id, as JSON", items, 2.0, false),
            Part::Page => self.page("album page, three contexts", pages, 2.0, true),
            Part::Order => self.shopping("place order", "order", Work::Orders),
            Part::Session => self.shopping("session: 20 pages, one order", "session", Work::Sessions),
            Part::Contexts => self.contexts(),
            Part::Start => self.processes(),
            Part::Calls => {
                eprintln!("one call between contexts");
                self.report.calls = Some(call::run(&self.system.data_folder().with_file_name("calls"))?);
                Ok(())
            }
            Part::Events => {
                eprintln!("events from one context to another");
                self.report.events = Some(deliveries::run(&self.system.data_folder().with_file_name("events"))?);
                Ok(())
            }
            Part::Placement => {
                let shop = shop(&mut self.shop, &self.system)?;
                self.report.pages.extend(placement::run(&self.system, shop, self.effort)?);
                Ok(())
            }
            Part::Scale => self.scale(),
            Part::Engines | Part::Dev => anyhow::bail!("`--only engines` and `--only dev` stand alone"),
        }
    }

    /// One kind of page, native and behind the host.
    fn page(&mut self, name: &str, paths: Arc<[String]>, target: f64, split: bool) -> Result<()> {
        let shop = shop(&mut self.shop, &self.system)?;
        let mut variants = variants(shop, &Work::Pages(paths), target);
        variants.truncate(if split { 3 } else { 2 });
        self.report.pages.push(rounds::run(name, "request", &variants, self.effort)?);
        Ok(())
    }

    /// What changes something, native and behind the host.
    fn shopping(&mut self, name: &str, unit: &'static str, work: fn(Arc<Market>) -> Work) -> Result<()> {
        let (market, shop) = match &mut self.market {
            Some(open) => open,
            closed => {
                let (market, shop) = self.system.market(self.effort.connections)?;
                let alike = variants(&shop, &Work::Pages(Arc::new([])), 0.0);
                let alike: Vec<_> = alike.iter().map(|variant| (variant.name, variant.address)).collect();
                rounds::same_answers(&alike, &market.compared()?)?;
                closed.insert((Arc::new(market), shop))
            }
        };
        let variants = variants(shop, &work(market.clone()), 2.0);
        self.report.pages.push(rounds::run(name, unit, &variants, self.effort)?);
        Ok(())
    }

    /// The album page of the same shop with few and with many contexts loaded.
    fn contexts(&mut self) -> Result<()> {
        let [few, many] = CONTEXTS;
        let (small, large) = (self.system.host_with_contexts(few)?, self.system.host_with_contexts(many)?);
        let (few, many) = (format!("seam, {few} contexts"), format!("seam, {many} contexts"));
        let work = Work::Pages(self.system.album_pages());
        let variants = [variant(&few, &small, &work, None), variant(&many, &large, &work, Some(FLAT))];
        self.report.pages.push(rounds::run("album page, loaded contexts", "request", &variants, self.effort)?);
        Ok(())
    }

    /// The album page of a small and of a large shop, native and behind the host.
    fn scale(&mut self) -> Result<()> {
        let large = System::prepare(self.large)?;
        let (small, big) = (shop(&mut self.shop, &self.system)?, large.shop()?);
        let name = |what: &str, albums: u32| format!("{what}, {albums} albums");
        let works = [&self.system, &large].map(|system| Work::Pages(system.album_pages()));
        for (what, one, other) in [("native", &small.monolith, &big.monolith), ("seam", &small.host, &big.host)] {
            let names = [name(what, self.system.albums), name(what, large.albums)];
            // The native program is the measure of what the data itself costs; it has no target.
            let target = (what == "seam").then_some(FLAT);
            let variants = [variant(&names[0], one, &works[0], None), variant(&names[1], other, &works[1], target)];
            self.report.pages.push(rounds::run("album page, size of the shop", "request", &variants, self.effort)?);
        }
        Ok(())
    }

    /// How long processes take to their first page, and the most memory that those under load so far have had.
    fn processes(&mut self) -> Result<()> {
        eprintln!("start-up, {STARTS} times each");
        let pages = self.system.album_pages();
        let page = pages.first().context("there is no page")?;
        let Shop { host, monolith, split } = shop(&mut self.shop, &self.system)?;
        let peak_mb = |servers: &[Server]| -> Result<f64> {
            Ok(servers.iter().map(|server| server.peak_memory()).sum::<Result<u64>>()? as f64 / f64::from(1 << 20))
        };
        let process = |name: &str, start_ms: Option<f64>, start_ms_target: Option<f64>, servers: &[Server]| {
            anyhow::Ok(Process { name: name.into(), start_ms, start_ms_target, peak_mb: peak_mb(servers)? })
        };
        let native_ms = rounds::start_ms(STARTS, page, || self.system.second_monolith())?;
        let seam_ms = rounds::start_ms(STARTS, page, || self.system.second_host())?;
        self.report.processes = vec![
            process("native, one process", Some(native_ms), None, std::slice::from_ref(monolith))?,
            process(
                "seam, components compiled before",
                Some(seam_ms),
                Some(START_TARGET_MS),
                std::slice::from_ref(host),
            )?,
            process("native, HTTP between services", None, None, split)?,
        ];
        Ok(())
    }
}

fn shop<'a>(shop: &'a mut Option<Shop>, system: &System) -> Result<&'a Shop> {
    Ok(match shop {
        Some(shop) => shop,
        closed => closed.insert(system.shop()?),
    })
}

fn variant<'a>(name: &'a str, server: &'a Server, work: &Work, target: Option<f64>) -> Variant<'a> {
    Variant { name, servers: vec![server], address: server.address, work: work.clone(), target }
}

/// The native monolith, the host, the native split.
fn variants<'a>(shop: &'a Shop, work: &Work, target: f64) -> Vec<Variant<'a>> {
    let Shop { host, monolith, split } = shop;
    let mut variants =
        vec![variant("native, one process", monolith, work, None), variant("seam", host, work, Some(target))];
    if let Some(entrance) = split.last() {
        let mut all = variant("native, HTTP between services", entrance, work, None);
        all.servers = split.iter().collect();
        variants.push(all);
    }
    variants
}
