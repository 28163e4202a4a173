//! Events from one context to another, and what publishing one adds to a call that commits; beside a program that does
//! the same on two SQLite files.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rusqlite::{Connection, params};
use seam::delivery::{ContextHandler, Next, Subscriber};
use seam::manifest::Manifest;
use seam_runtime::call::Call;
use seam_runtime::component::Compiler;
use seam_runtime::run::Metrics;
use seam_runtime::serve::{LinkedSystem, Registry};
use seam_store::ids::Trace;
use seam_store::{HostFile, Source};
use serde::{Deserialize, Serialize};
use wasmtime::component::Val;

use crate::figures::{Events, median};

/// Events of one round.
const EVENTS: u32 = 20_000;
/// Those that are published in one transaction.
const IN_ONE: u32 = 2_000;
/// Those that share a commit of the subscriber.
const BATCH: u32 = 500;
const KEYS: u32 = 1_000;
const ROUNDS: u32 = 5;
/// Calls of one round of each kind.
const CALLS: u64 = 200;

/// Measures all of them in turn.
pub fn run(folder: &Path) -> Result<Events> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    let seam = Seam::new(folder)?;
    let mut native = Native::new(folder)?;
    let (mut seam_us, mut native_us, mut plain_us, mut publishing_us) = (vec![], vec![], vec![], vec![]);
    let (mut seam_cpu_us, mut native_cpu_us) = (vec![], vec![]);
    for round in 0..=u64::from(ROUNDS) {
        let first = round * u64::from(EVENTS);
        let times = [seam.deliver(first)?, native.deliver(first)?];
        let calls = [seam.calls(round * 2 * CALLS, false)?, seam.calls((round * 2 + 1) * CALLS, true)?];
        // The first round fills caches.
        if round > 0 {
            let [seam, native] = times;
            seam_us.push(seam.wall_us);
            native_us.push(native.wall_us);
            seam_cpu_us.push(seam.cpu_us);
            native_cpu_us.push(native.cpu_us);
            plain_us.push(calls[0]);
            publishing_us.push(calls[1]);
        }
    }
    Ok(Events {
        seam_us: median(seam_us),
        native_us: median(native_us),
        seam_cpu_us: median(seam_cpu_us),
        native_cpu_us: median(native_cpu_us),
        plain_call_us: median(plain_us),
        publishing_call_us: median(publishing_us),
    })
}

/// What one event took: on a busy machine, the processor's time says more than the clock's.
struct PerEvent {
    wall_us: f64,
    cpu_us: f64,
}

struct Stopwatch(Instant, Duration);

impl Stopwatch {
    fn start() -> Result<Self> {
        Ok(Self(Instant::now(), cpu()?))
    }

    fn per_event(&self) -> Result<PerEvent> {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(EVENTS);
        Ok(PerEvent { wall_us: each(self.0.elapsed()), cpu_us: each(cpu()? - self.1) })
    }
}

/// The processor's time of this thread. All of a delivery happens on it.
fn cpu() -> Result<Duration> {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let ns = schedstat.split_whitespace().next().context("no time in /proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(ns.parse()?))
}

/// The host's registry in this process, without a listener and without the threads of deliveries.
struct Seam {
    registry: Registry,
}

impl Seam {
    fn new(folder: &Path) -> Result<Self> {
        let here = std::env::current_dir()?;
        let text = format!(
            "[context.sender]\ncomponent = \"target/components/bench-sender.wasm\"\nstore = true\n\
             publishes.\"seambench:shop/news\" = {{ key = \"key\" }}\n\
             [context.taker]\ncomponent = \"target/components/bench-taker.wasm\"\nstore = true\n\
             subscribes.\"seambench:shop/news\" = {{ batch = {BATCH} }}\n"
        );
        let manifest =
            Manifest::parse(&text, &here.join("deliveries.toml")).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let linked = LinkedSystem::load(&manifest.system(), Compiler::InProcess, &folder.join("cache"))?;
        let metrics = Metrics::new(&prometheus::Registry::new())?;
        let registry = linked.start(&folder.join("stores"), Arc::new(HostFile::open(folder)?), &metrics)?;
        Ok(Self { registry })
    }

    fn call(&self, context: &str, function: &str, params: &[Val]) -> Result<Val> {
        let live = self.registry.live(context)?;
        let export = live.generation().exports().iter().find(|export| export.function == function).context("export")?;
        let call = Call::start(Instant::now() + Duration::from_secs(20), Trace::start());
        match live.call(call, export, params)?.as_slice() {
            [Val::Result(Ok(answer))] => Ok(answer.as_deref().cloned().unwrap_or(Val::Bool(true))),
            other => bail!("{context}.{function} failed: {other:?}"),
        }
    }

    /// What each event takes from the outbox to the commit of its handler.
    fn deliver(&self, first: u64) -> Result<PerEvent> {
        for part in 0..EVENTS / IN_ONE {
            let from = first + u64::from(part * IN_ONE);
            self.call("sender", "send", &[Val::U64(from), Val::U32(IN_ONE), Val::U32(KEYS)])?;
        }
        let handler = ContextHandler::new(self.registry.clone(), "taker");
        let taker = self.registry.live("taker")?;
        let subscription = taker.generation().spec().settings.subscribes.first().context("it subscribes")?;
        let (publisher, outbox) = self.registry.publishers(&subscription.interface).pop().context("a publisher")?;
        let source = Source { publisher: publisher.to_string(), interface: "seambench:shop/news".into() };
        let subscriber = Subscriber { handler: &handler, subscription, source, outbox, tally: Arc::default() };
        let started = Stopwatch::start()?;
        while match subscriber.step() {
            Next::Now => true,
            Next::Later(None) => false,
            other => bail!("events are not delivered: {other:?}"),
        } {}
        let taken = started.per_event()?;
        let Val::Record(count) = self.call("taker", "count", &[])? else { bail!("no count") };
        let expected = first + u64::from(EVENTS);
        let counts: Vec<&Val> = count.iter().map(|(_, value)| value).collect();
        // `note` publishes, too: those come from `calls`.
        ensure!(matches!(counts[..], [Val::U64(events), Val::U64(1)] if *events >= expected), "{count:?}");
        Ok(taken)
    }

    /// Microseconds for one call that writes a row and commits.
    fn calls(&self, first: u64, publishes: bool) -> Result<f64> {
        let started = Instant::now();
        for id in first..first + CALLS {
            // Their ids are above those of all rounds.
            self.call("sender", "note", &[Val::U64(1 << 40 | id), Val::Bool(publishes)])?;
        }
        Ok(started.elapsed().as_secs_f64() * 1e6 / CALLS as f64)
    }
}

#[derive(Serialize, Deserialize)]
struct Item {
    id: u64,
    key: String,
    title: String,
}

/// An outbox and an inbox as one would write them for one program.
struct Native {
    outbox: Connection,
    inbox: Connection,
}

impl Native {
    fn new(folder: &Path) -> Result<Self> {
        let open = |name: &str, sql: &str| -> Result<Connection> {
            let connection = Connection::open(folder.join(name))?;
            connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
            connection.execute_batch(sql)?;
            Ok(connection)
        };
        let outbox = open(
            "native-outbox.db",
            "CREATE TABLE outbox (position INTEGER PRIMARY KEY, key TEXT NOT NULL, data TEXT NOT NULL) STRICT",
        )?;
        let inbox = open(
            "native-inbox.db",
            "CREATE TABLE taken (id INTEGER PRIMARY KEY, key TEXT NOT NULL, title TEXT NOT NULL, times INTEGER NOT NULL)
             STRICT;
             CREATE TABLE inbox (at INTEGER NOT NULL) STRICT; INSERT INTO inbox VALUES (0)",
        )?;
        Ok(Self { outbox, inbox })
    }

    fn deliver(&mut self, first: u64) -> Result<PerEvent> {
        for part in 0..EVENTS / IN_ONE {
            let from = first + u64::from(part * IN_ONE);
            let tx = self.outbox.transaction()?;
            for id in from..from + u64::from(IN_ONE) {
                let key = format!("key-{}", id % u64::from(KEYS));
                let data = serde_json::to_string(&Item { id, key: key.clone(), title: format!("Long Player {id}") })?;
                tx.prepare_cached("INSERT INTO outbox (key, data) VALUES (?1, ?2)")?.execute(params![key, data])?;
            }
            tx.commit()?;
        }
        let started = Stopwatch::start()?;
        loop {
            let at: i64 = self.inbox.query_row("SELECT at FROM inbox", [], |row| row.get(0))?;
            let mut page = self
                .outbox
                .prepare_cached("SELECT position, data FROM outbox WHERE position > ?1 ORDER BY position LIMIT ?2")?;
            let events: Vec<(i64, String)> =
                page.query_map(params![at, BATCH], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
            let Some((last, _)) = events.last() else { break };
            let tx = self.inbox.transaction()?;
            for (_, data) in &events {
                let item: Item = serde_json::from_str(data)?;
                tx.prepare_cached(
                    "INSERT INTO taken (id, key, title, times) VALUES (?1, ?2, ?3, 1)
                     ON CONFLICT (id) DO UPDATE SET times = times + 1",
                )?
                .execute(params![item.id as i64, item.key, item.title])?;
            }
            tx.execute("UPDATE inbox SET at = ?1", [last])?;
            tx.commit()?;
        }
        started.per_event()
    }
}
