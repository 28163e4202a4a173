//! Variants in turn: A B C, B C A, C A B, ... Each has the machine to itself while it runs; the others are up and idle.
//!
//! So what disturbs the machine disturbs all of them, and medians over rounds can be compared.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::client;
use crate::figures::{Table, median};
use crate::load::{self, Work};
use crate::process::Server;
use crate::shopper;

/// How long and how often.
#[derive(Clone, Copy)]
pub struct Effort {
    pub rounds: u32,
    pub time: Duration,
    pub connections: usize,
}

/// A part of the time that goes before the first round, to fill caches and pools.
const WARM_UP: f64 = 0.5;

/// One way to serve the same shop.
pub struct Variant<'a> {
    pub name: &'a str,
    /// All processes that do the work.
    pub servers: Vec<&'a Server>,
    pub address: SocketAddr,
    pub work: Work,
    pub target: Option<f64>,
}

/// Measures all variants; the first is what the others are compared with. `unit` is what a turn is called.
pub fn run(name: &str, unit: &'static str, variants: &[Variant<'_>], effort: Effort) -> Result<Table> {
    same_pages(variants)?;
    eprintln!("{name}: {} variants, {} rounds of {:?}", variants.len(), effort.rounds, effort.time);
    for variant in variants {
        load::run(variant.address, &variant.work, effort.connections, effort.time.mul_f64(WARM_UP))?;
    }
    let mut seen: Vec<Vec<Seen>> = variants.iter().map(|_| Vec::new()).collect();
    for round in 0..effort.rounds as usize {
        for turn in 0..variants.len() {
            let at = (round + turn) % variants.len();
            if let (Some(variant), Some(seen)) = (variants.get(at), seen.get_mut(at)) {
                seen.push(once(variant, effort)?);
            }
        }
    }
    let mut table = Table { name: name.to_owned(), unit, variants: Vec::new() };
    for (variant, seen) in variants.iter().zip(&seen) {
        let of = |figure: fn(&Seen) -> f64| median(seen.iter().map(figure).collect());
        let (cpu, rate) = (of(|s| s.cpu_us), of(|s| s.per_second));
        table.add(variant.name, variant.target, cpu, rate, of(|s| s.p50) as u32, of(|s| s.p99) as u32);
    }
    Ok(table)
}

/// What one round of one variant showed.
struct Seen {
    cpu_us: f64,
    per_second: f64,
    p50: f64,
    p99: f64,
}

fn once(variant: &Variant<'_>, effort: Effort) -> Result<Seen> {
    let cpu = || variant.servers.iter().map(|server| server.cpu()).sum::<Result<Duration>>();
    let before = cpu()?;
    let sample = load::run(variant.address, &variant.work, effort.connections, effort.time)?;
    let used = cpu()? - before;
    ensure!(sample.turns > 0, "{} answered nothing in {:?}", variant.name, effort.time);
    Ok(Seen {
        cpu_us: used.as_secs_f64() * 1e6 / sample.turns as f64,
        per_second: sample.per_second(),
        p50: f64::from(sample.latency(500)),
        p99: f64::from(sample.latency(990)),
    })
}

/// What is compared must be the same: a variant that leaves something out would win. Shops of different sizes have
/// different pages.
fn same_pages(variants: &[Variant<'_>]) -> Result<()> {
    const COMPARED: usize = 25;
    let Some((Variant { work: Work::Pages(paths), .. }, _)) = variants.split_first() else { return Ok(()) };
    let asked: Vec<_> =
        paths.iter().step_by((paths.len() / COMPARED).max(1)).map(|path| (path.clone(), String::new())).collect();
    let same = |variant: &&Variant<'_>| matches!(&variant.work, Work::Pages(other) if other == paths);
    let addresses: Vec<_> = variants.iter().filter(same).map(|variant| (variant.name, variant.address)).collect();
    same_answers(&addresses, &asked)
}

/// Holds all to what the first answers to these paths with these cookies, but for the keys of forms.
pub fn same_answers(variants: &[(&str, SocketAddr)], asked: &[(String, String)]) -> Result<()> {
    let Some((first, others)) = variants.split_first() else { return Ok(()) };
    for (path, cookies) in asked {
        let cookies = Some(cookies.as_str()).filter(|cookies| !cookies.is_empty());
        let page = |(name, address): (&str, SocketAddr)| {
            let answer = client::get_once(address, path, cookies)?;
            ensure!(answer.status == 200, "{name} answers {} to {path}", answer.status);
            Ok(shopper::without_key(&answer.body))
        };
        let expected = page(*first)?;
        for other in others {
            let body = page(*other)?;
            ensure!(
                expected == body,
                "{} and {} answer differently to {path} (`just bench` builds both from the same sources):\n{}",
                first.0,
                other.0,
                difference(&expected, &body)
            );
        }
    }
    Ok(())
}

fn difference(one: &[u8], other: &[u8]) -> String {
    let at = one.iter().zip(other).position(|(a, b)| a != b).unwrap_or(one.len().min(other.len()));
    let near = |text: &[u8]| {
        let from = at.saturating_sub(60);
        String::from_utf8_lossy(text.get(from..(at + 60).min(text.len())).unwrap_or_default()).into_owned()
    };
    format!("  {}\n  {}", near(one), near(other))
}

/// The median time from the start of a process until it has answered `path`.
pub fn start_ms(times: u32, path: &str, start: impl Fn() -> Result<Server>) -> Result<f64> {
    let mut taken = Vec::new();
    for _ in 0..times {
        let server = start()?;
        let asked = std::time::Instant::now();
        let answer = client::get_once(server.address, path, None).context("the first request")?;
        ensure!(answer.status == 200, "the first answer is {}", answer.status);
        taken.push((server.started_in + asked.elapsed()).as_secs_f64() * 1e3);
        server.stop()?;
    }
    Ok(median(taken))
}
