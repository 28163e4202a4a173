//! One call from one context to another: through the host's registry, plain and to one of two variants, through bare
//! wasmtime, and over loopback HTTP with JSON.
//!
//! The first two run the very same components: `bench-asker` calls `bench-teller` so many times in one call from
//! outside that what that outer call costs is shared by all of them and vanishes, and so few that the host's recorder,
//! which takes down whole calls from outside, twenty a second, sees one among hundreds, as it would in a shop.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use seam::manifest::Manifest;
use seam_runtime::call::Call;
use seam_runtime::component::Compiler;
use seam_runtime::run::Metrics;
use seam_runtime::serve::{LinkedSystem, Live, Registry};
use seam_store::HostFile;
use seam_store::ids::Trace;
use wasmtime::component::{Component, ComponentExportIndex, Func, Instance, Linker, Val};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use crate::client;
use crate::figures::{Calls, median};
use crate::native::{self, Item};

const TELLER: &str = "seambench:shop/teller@0.1.0";
const ASKER: &str = "seambench:shop/asker@0.1.0";
const COMPONENTS: [&str; 2] = ["target/components/bench-teller.wasm", "target/components/bench-asker.wasm"];
/// Calls across the seam in one round: so many that the recorder's share of them is that of a second.
const CALLS: u32 = 20_000;
/// Calls in one round while a call log runs, which holds no more.
const LOGGED_CALLS: u32 = 2_000;
/// Those in one call from outside.
const IN_ONE: u32 = 100;
/// Loopback calls in one round; each takes as long as some twenty of the others.
const HTTP_CALLS: u32 = 200;
const ROUNDS: u32 = 30;

/// Measures all of them in turn.
pub fn run(folder: &Path) -> Result<Calls> {
    let bare = Bare::new()?;
    let seam = Seam::new(&folder.join("plain"), "")?;
    let variant = format!("[context.teller.variant.other]\ncomponent = \"{}\"\n", COMPONENTS[0]);
    let routed = Seam::new(&folder.join("routed"), &variant)?;
    let routed = routed.routed("teller", &["main=1", "other=1"])?;
    let unrecorded = Seam::new(&folder.join("unrecorded"), "[recording]\ncalls_per_s = 0\n")?;
    let logged = Seam::new(&folder.join("logged"), "")?;
    let teller = native::start_teller()?;
    let http = Http::new(teller.address)?;
    // The first round of each fills caches and is not counted.
    let mut by: [Vec<f64>; 6] = Default::default();
    for round in 0..=ROUNDS {
        let times = [
            per_call(CALLS, |n| bare.ask(n))?,
            per_call(CALLS, |n| seam.ask(n))?,
            per_call(CALLS, |n| routed.ask(n))?,
            per_call(CALLS, |n| unrecorded.ask(n))?,
            logged.with_call_log(|| per_call(LOGGED_CALLS, |n| logged.ask(n)))?,
            per_call(HTTP_CALLS, |n| http.ask(n))?,
        ];
        if round > 0 {
            by.iter_mut().zip(times).for_each(|(all, time)| all.push(time));
        }
    }
    let [bare_val_ns, seam_ns, routed_ns, unrecorded_ns, logged_ns, loopback_http_ns] = by.map(median);
    Ok(Calls { seam_ns, routed_ns, unrecorded_ns, logged_ns, bare_val_ns, loopback_http_ns })
}

/// Nanoseconds for each of `calls`; `ask` returns the sum of the prices that it was told.
fn per_call(calls: u32, ask: impl Fn(u32) -> Result<u64>) -> Result<f64> {
    let started = Instant::now();
    let sum = (0..calls / IN_ONE).map(|_| ask(IN_ONE)).sum::<Result<u64>>()?;
    let taken = started.elapsed();
    let expected = u64::from(calls / IN_ONE) * (1..=u64::from(IN_ONE)).map(|id| 999 + id % 1000).sum::<u64>();
    ensure!(sum == expected, "the prices add up to {sum}, not {expected}");
    Ok(taken.as_nanos() as f64 / f64::from(calls))
}

fn sum_in(results: &[Val]) -> Result<u64> {
    match results {
        [Val::Result(Ok(Some(sum)))] => match **sum {
            Val::U64(sum) => Ok(sum),
            _ => bail!("the sum is no number: {sum:?}"),
        },
        other => bail!("the asker failed: {other:?}"),
    }
}

/// wasmtime with the host's settings, dynamically typed values, a pool of idle instances, and nothing else.
struct Bare {
    asker: Mutex<(Store<()>, Func)>,
}

impl Bare {
    fn new() -> Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(true).concurrency_support(false).gc_support(false);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(PoolingAllocationConfig::new()));
        let engine = Engine::new(&config)?;
        let [teller, asker] = COMPONENTS;
        let (teller, asker) = (Component::from_file(&engine, teller)?, Component::from_file(&engine, asker)?);

        let told = export(&teller, TELLER, "get-item")?;
        let ready = Linker::new(&engine).instantiate_pre(&teller)?;
        let (mut store, instance) = start(&engine, |store| ready.instantiate(store))?;
        let func = instance.get_func(&mut store, told).context("get-item")?;
        let idle = Mutex::new(vec![Box::new((store, func))]);

        let mut linker = Linker::new(&engine);
        linker.instance(TELLER)?.func_new("get-item", move |_, _, params, results| {
            let taken = idle.lock().map_err(|_| wasmtime::format_err!("a call panicked"))?.pop();
            let mut taken = taken.ok_or_else(|| wasmtime::format_err!("no idle instance"))?;
            let (store, func) = &mut *taken;
            func.call(store, params, results)?;
            idle.lock().map_err(|_| wasmtime::format_err!("a call panicked"))?.push(taken);
            Ok(())
        })?;
        let ask = export(&asker, ASKER, "ask")?;
        let ready = linker.instantiate_pre(&asker)?;
        let (mut store, instance) = start(&engine, |store| ready.instantiate(store))?;
        let func = instance.get_func(&mut store, ask).context("ask")?;
        Ok(Self { asker: Mutex::new((store, func)) })
    }

    fn ask(&self, times: u32) -> Result<u64> {
        let mut asker = self.asker.lock().map_err(|_| anyhow::anyhow!("a call panicked"))?;
        let (store, func) = &mut *asker;
        let mut results = [Val::Bool(false)];
        func.call(store, &[Val::U32(times)], &mut results)?;
        sum_in(&results)
    }
}

fn export(component: &Component, interface: &str, function: &str) -> Result<ComponentExportIndex> {
    let outer = component.get_export_index(None, interface).with_context(|| interface.to_owned())?;
    component.get_export_index(Some(&outer), function).with_context(|| function.to_owned())
}

fn start(
    engine: &Engine,
    instantiate: impl FnOnce(&mut Store<()>) -> wasmtime::Result<Instance>,
) -> Result<(Store<()>, Instance)> {
    let mut store = Store::new(engine, ());
    // Nothing ticks here; the checks are compiled in all the same.
    store.set_epoch_deadline(1 << 40);
    let instance = instantiate(&mut store)?;
    Ok((store, instance))
}

/// The host's registry in this process, without a listener.
struct Seam {
    asker: Live,
    registry: Registry,
}

impl Seam {
    /// With more lines for the manifest.
    fn new(folder: &Path, lines: &str) -> Result<Self> {
        let here = std::env::current_dir()?;
        let [teller, asker] = COMPONENTS;
        let text = format!(
            "[context.teller]\ncomponent = \"{teller}\"\n[context.asker]\ncomponent = \"{asker}\"\nimports = [\"seambench:shop/teller\"]\n{lines}"
        );
        let manifest =
            Manifest::parse(&text, &here.join("calls.toml")).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let linked = LinkedSystem::load(&manifest.system(), Compiler::InProcess, &folder.join("cache"))?;
        let metrics = Metrics::new(&prometheus::Registry::new())?;
        let registry = linked.start(&folder.join("databases"), Arc::new(HostFile::open(folder)?), &metrics)?;
        let asker = registry.live("asker")?;
        Ok(Self { asker, registry })
    }

    /// From now on with this route.
    fn routed(self, context: &str, changes: &[&str]) -> Result<Self> {
        let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
        self.registry.route(context, &changes)?;
        Ok(Self { asker: self.registry.live("asker")?, ..self })
    }

    /// Runs `calls` while the teller's calls go into a call log, which has room for all of them.
    fn with_call_log<T>(&self, calls: impl FnOnce() -> Result<T>) -> Result<T> {
        let recorder = self.registry.live("teller")?.generation().recorder.clone();
        ensure!(recorder.start_log(false), "a call log runs already");
        let done = calls()?;
        let log = recorder.stop_log().context("the call log")?;
        ensure!(log.calls.len() == LOGGED_CALLS as usize, "{} calls are in the log", log.calls.len());
        Ok(done)
    }

    fn ask(&self, times: u32) -> Result<u64> {
        let export = self.asker.generation().exports().iter().find(|export| export.function == "ask").context("ask")?;
        let call = Call::start(Instant::now() + Duration::from_secs(5), Trace::start());
        sum_in(&self.asker.call(call, export, &[Val::U32(times)])?)
    }
}

/// A hyper client and server that keep their connection.
struct Http {
    runtime: tokio::runtime::Runtime,
    connection: Mutex<client::Client>,
}

impl Http {
    fn new(address: std::net::SocketAddr) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connection = Mutex::new(runtime.block_on(client::Client::connect(address))?);
        Ok(Self { runtime, connection })
    }

    fn ask(&self, times: u32) -> Result<u64> {
        let mut connection = self.connection.lock().map_err(|_| anyhow::anyhow!("a call panicked"))?;
        self.runtime.block_on(async {
            let mut sum = 0;
            for id in 1..=times {
                let body = connection.page(&format!("/{id}"), None).await?;
                sum += u64::from(serde_json::from_slice::<Item>(&body)?.price);
            }
            Ok(sum)
        })
    }
}
