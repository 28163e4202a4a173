//! What a suggestion costs in each language, beside Rust, on the shop's own history.
//!
//! Each engine learns all purchases of the demo data and is then asked about every album, all engines in turn, so that
//! a busy machine is busy for all. The answers are compared too: algorithms that agree on everything would be one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use seam::invoke;
use seam::manifest::Manifest;
use seam_runtime::component::Compiler;
use seam_runtime::run::Metrics;
use seam_runtime::serve::{LinkedSystem, Registry};
use seam_store::HostFile;
use serde::Deserialize;
use wasmtime::component::Val;

const HISTORY: &str = "run/demo/purchases.jsonl";
/// The components, under the names that their contexts have here.
const ENGINES: [(&str, &str); 4] = [
    ("rust", "recommendation"),
    ("javascript", "recommendation-js"),
    ("clojurescript", "recommendation-cljs"),
    ("python", "recommendation-python"),
];
const BATCH: usize = 500;
const ROUNDS: usize = 5;
/// As many as the album page asks for.
const COUNT: usize = 6;
const CALL: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Purchase {
    id: String,
    customer: String,
    skus: Vec<String>,
    at: u64,
}

/// What was measured of one engine.
#[derive(Default)]
struct Measured {
    learning: Duration,
    times: Vec<Duration>,
    answers: BTreeMap<String, BTreeSet<String>>,
    memory_bytes: u64,
}

/// Measures all engines; a table.
pub fn run() -> Result<String> {
    let history = std::fs::read_to_string(HISTORY).with_context(|| format!("{HISTORY}; `just demo-data` makes it"))?;
    let purchases: Vec<Purchase> = history.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let albums: BTreeSet<&str> = purchases.iter().flat_map(|p| &p.skus).map(String::as_str).collect();
    let folder = std::env::temp_dir().join(format!("seam-engines-{}", std::process::id()));
    let measured = start(&folder).and_then(|registry| measure(&registry, &purchases, &albums));
    std::fs::remove_dir_all(&folder).ok();
    Ok(table(&measured?, purchases.len(), albums.len()))
}

/// The engines on fresh files, without a listener.
fn start(folder: &Path) -> Result<Registry> {
    let here = std::env::current_dir()?;
    let mut text = String::new();
    for (name, component) in ENGINES {
        let path = format!("target/components/{component}.wasm");
        ensure!(Path::new(&path).is_file(), "`{path}` is missing; docs/engines.md says how it is built");
        writeln!(text, "[context.{name}]\ncomponent = {path:?}\nstore = true\ncapabilities = [\"wasi\"]")?;
    }
    let manifest =
        Manifest::parse(&text, &here.join("engines.toml")).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    let linked = LinkedSystem::load(&manifest.system(), Compiler::InProcess, &here.join("run/cache"))?;
    let host = Arc::new(HostFile::open(folder)?);
    Ok(linked.start(folder, host, &Metrics::new(&prometheus::Registry::new())?)?)
}

fn measure(registry: &Registry, purchases: &[Purchase], albums: &BTreeSet<&str>) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    for (engine, _) in ENGINES {
        let started = Instant::now();
        for batch in purchases.chunks(BATCH) {
            let said = invoke::run(registry, engine, &learn(batch)?, CALL)?.wave();
            ensure!(said == format!("ok({})", batch.len()), "{engine} says {said}");
        }
        measured.push(Measured { learning: started.elapsed(), ..Measured::default() });
    }
    // The first round fills caches and is not counted.
    for round in 0..=ROUNDS {
        for album in albums {
            for ((engine, _), measured) in ENGINES.iter().zip(&mut measured) {
                let question = format!("engine.suggest([{album:?}], {COUNT})");
                let started = Instant::now();
                let answer = invoke::run(registry, engine, &question, CALL)?;
                let taken = started.elapsed();
                match round {
                    0 => drop(measured.answers.insert((*album).to_owned(), skus(&answer)?)),
                    _ => measured.times.push(taken),
                }
            }
        }
    }
    for (generation, measured) in registry.generations().iter().zip(&mut measured) {
        measured.memory_bytes = generation.memory_bytes();
    }
    Ok(measured)
}

fn learn(batch: &[Purchase]) -> Result<String> {
    let mut text = "engine.learn([".to_owned();
    for Purchase { id, customer, skus, at } in batch {
        write!(text, "{{id: {id:?}, customer: {customer:?}, skus: {skus:?}, at: {at}}},")?;
    }
    Ok(text + "])")
}

fn skus(answer: &invoke::ReturnValue) -> Result<BTreeSet<String>> {
    let Some(Val::Result(Ok(Some(list)))) = &answer.value else { bail!("the answer is {}", answer.wave()) };
    let Val::List(list) = &**list else { bail!("the answer is no list") };
    let sku = |value: &Val| match value {
        Val::Record(fields) => match fields.first() {
            Some((_, Val::String(sku))) => Some(sku.clone()),
            _ => None,
        },
        _ => None,
    };
    list.iter().map(sku).collect::<Option<_>>().context("a suggestion has a SKU")
}

fn table(measured: &[Measured], purchases: usize, albums: usize) -> String {
    let mut text = format!(
        "{purchases} purchases; {COUNT} suggestions for each of {albums} albums, {ROUNDS} times\n\
         | engine | median | times Rust's | 99 of 100 within | learning all | memory | the same as Rust's |\n|---|---|---|---|---|---|---|\n"
    );
    let Some(rust) = measured.first() else { return text };
    for ((engine, _), own) in ENGINES.iter().zip(measured) {
        let same: usize =
            own.answers.iter().map(|(album, answer)| answer.intersection(&rust.answers[album]).count()).sum();
        let wanted: usize = rust.answers.values().map(BTreeSet::len).sum();
        let line = format!(
            "| {engine} | {:.2} ms | {:.1} | {:.2} ms | {:.1} s | {:.1} MiB | {:.0} % |\n",
            percentile(&own.times, 50) * 1e3,
            percentile(&own.times, 50) / percentile(&rust.times, 50),
            percentile(&own.times, 99) * 1e3,
            own.learning.as_secs_f64(),
            own.memory_bytes as f64 / f64::from(1 << 20),
            100.0 * same as f64 / wanted as f64,
        );
        text.push_str(&line);
    }
    text
}

fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() * percent / 100).map_or(f64::NAN, Duration::as_secs_f64)
}
