//! Contexts are swapped again and again under load, good versions and bad ones of every kind, and no client notices.
//!
//! `just torture-swap` does it 600 times; here it is done as often as a test may take. What it measured is printed
//! (`--nocapture`).

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seam::admin::client::Client;
use seam::deploy::{DeployOutcome, DeployReport, DeployRequest};
use seam_tests::host::Host;
use seam_tests::shop::Shop;
use seam_tests::torture::load::{Load, Seen};
use seam_tests::torture::versions::{Kind, front, relabelled, version};
use seam_tests::{System, wait};

/// The distance between two swaps.
const EVERY: Duration = Duration::from_millis(100);

fn swaps(otherwise: u32) -> u32 {
    std::env::var("SEAM_TORTURE_SWAPS").ok().and_then(|swaps| swaps.parse().ok()).unwrap_or(otherwise)
}

/// Longer than any bad version should last.
const WATCH_MS: u64 = 10_000;
/// Requests after which the versions that serve are known to work.
const KNOWN_REQUESTS: usize = 1_000;

fn deploy(data: &Path, context: &str, file: &Path, watch_ms: u64) -> Result<DeployReport> {
    let request = DeployRequest { watch_ms, wait: true, ..DeployRequest::new(context, file) };
    Ok(Client::connect(data)?.deploy(&request, &mut |_| {})?)
}

/// `aaabbb`: three answers of one version of each context.
fn one_version_each(path: &str, status: u16, body: &[u8]) -> Option<String> {
    let same = |part: &[u8]| part.windows(2).all(|two| two.first() == two.last());
    let whole = status == 200 && body.len() == 6 && body.chunks(3).all(same);
    (!whole).then(|| format!("{path}: {status} {}", String::from_utf8_lossy(body)))
}

fn resident_kb(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().next().context("no number")?.parse()?)
}

/// The small system, serving version 0 of both contexts.
fn small() -> Result<(System, Host)> {
    let limits = "store = true\nlimits = { timeout_ms = 1000 }";
    let system = System::new()
        .context("catalog", &version("catalog", 0, Kind::Good)?, limits)?
        .context("recommendation", &version("recommendation", 0, Kind::Good)?, limits)?
        .context("front", &front()?, r#"imports = ["t:catalog/numbers", "t:recommendation/numbers"]"#)?
        .lines("[[mount]]\npath = \"/\"\ncontext = \"front\"");
    let host = Host::up(&system.write()?, &system.folder.path().join("data"))?;
    Ok((system, host))
}

#[test]
fn no_client_notices_hundreds_of_swaps_and_no_bad_version_gets_in() -> Result<()> {
    let swaps = swaps(60);
    let (system, host) = small()?;
    let data = system.folder.path().join("data");
    let pages = ["/".to_owned()];
    let load = Load::start(&host.url, &pages, 3, Duration::from_millis(1), one_version_each);
    let (mut published, mut refused, mut resident_before) = (0, 0, 0);
    // Of those that turned bad once they served: from their publishing to the version before serving again.
    let mut gone_ms = Vec::new();
    // What breaks one call in fifty is bad beside versions that are known to work.
    wait::until(Duration::from_secs(60), || {
        Ok((load.requests() >= KNOWN_REQUESTS).then_some(()).ok_or_else(|| "too few requests".to_owned()))
    })?;
    for number in 1..=swaps {
        let began = Instant::now();
        // The first swaps warm up what is kept: compiled components, restore points, log files.
        if number == swaps / 4 {
            resident_before = resident_kb(host.pid())?;
        }
        let context = if number % 2 == 0 { "catalog" } else { "recommendation" };
        let kind = Kind::of(number);
        let file = system.folder.path().join("next.wasm");
        std::fs::write(&file, version(context, number, kind)?)?;
        let watch_ms = if kind == Kind::TrapsLater { WATCH_MS } else { 0 };
        let report = deploy(&data, context, &file, watch_ms)?;
        let expected = match kind {
            Kind::Good => DeployOutcome::Live,
            Kind::TrapsLater => DeployOutcome::RolledBack,
            _ => DeployOutcome::Refused,
        };
        ensure!(report.outcome == expected, "version {number} ({kind:?}): {report:#?}");
        match expected {
            DeployOutcome::Live => published += 1,
            DeployOutcome::RolledBack => {
                let before: f64 = report.steps.iter().map(|step| step.ms).sum();
                gone_ms.push(began.elapsed().as_secs_f64() * 1e3 - before);
            }
            _ => refused += 1,
        }
        std::thread::sleep(EVERY.saturating_sub(began.elapsed()));
    }
    let resident_after = resident_kb(host.pid())?;
    let seen = load.stop();
    gone_ms.sort_by(f64::total_cmp);
    let longest_ms = gone_ms.last().copied().unwrap_or_default();
    println!(
        "{swaps} swaps: {published} versions served, {refused} were refused, {} were rolled back after at most {longest_ms:.0} ms; {} requests, \
         {} failed; p50 {} us, p99 {} us; resident {resident_before} KB, then {resident_after} KB",
        gone_ms.len(),
        seen.requests,
        seen.failures.len(),
        seen.latency_us(500),
        seen.latency_us(990),
    );
    ensure!(seen.failures.is_empty(), "{:#?}", seen.failures);
    ensure!(seen.requests > swaps as usize, "the load was none: {} requests", seen.requests);
    ensure!(refused > 0 && published > refused, "{published} and {refused}");
    // The host noticed by itself, long before the watch would have ended.
    ensure!(!gone_ms.is_empty() && longest_ms < WATCH_MS as f64 / 2.0, "{gone_ms:?}");
    // A version that stayed would keep a megabyte or more of instances and code.
    let grown = resident_after.saturating_sub(resident_before);
    ensure!(grown < u64::from(swaps) * 256, "{grown} KB more after {swaps} swaps");
    wait_until_drained(&data)
}

/// Replaced versions are gone soon after the last request.
fn wait_until_drained(data: &Path) -> Result<()> {
    wait::until(Duration::from_secs(10), || {
        let contexts = Client::connect(data)?.contexts()?;
        let drained = contexts.iter().all(|context| context.running == 0);
        Ok(drained.then_some(()).ok_or_else(|| format!("still running: {contexts:#?}")))
    })
}

fn album_page(path: &str, status: u16, body: &[u8]) -> Option<String> {
    let whole = status == 200 && body.trim_ascii_end().ends_with(b"</html>");
    (!whole).then(|| format!("{path}: {status}, {} bytes", body.len()))
}

#[test]
fn the_shops_pages_come_as_before_while_its_catalog_and_its_recommendations_are_swapped() -> Result<()> {
    let swaps = swaps(40);
    let shop = Shop::new()?;
    let host = shop.up()?;
    let components = seam_tests::repo().join("target/components");
    let skus: Vec<String> = (1..=20).map(|number| format!("/albums/MC-{number:04}")).collect();
    // Eight builds of each: what costs here is the swap, not the compiler.
    let folder = tempfile::tempdir()?;
    let mut builds = Vec::new();
    for label in 0..8 {
        for context in ["catalog", "recommendation"] {
            let file = folder.path().join(format!("{context}-{label}.wasm"));
            let wasm = std::fs::read(components.join(format!("{context}.wasm")))?;
            std::fs::write(&file, relabelled(&wasm, label))?;
            builds.push((context, file));
        }
    }
    for (context, file) in &builds {
        let report = deploy(&shop.data(), context, file, 0)?;
        ensure!(report.outcome == DeployOutcome::Live, "{report:#?}");
    }
    let calm = measured(&host, &skus, || {
        std::thread::sleep(EVERY * swaps);
        Ok(())
    })?;
    let swapped = measured(&host, &skus, || {
        for (context, file) in builds.iter().cycle().take(swaps as usize) {
            let began = Instant::now();
            let report = deploy(&shop.data(), context, file, 0)?;
            ensure!(report.outcome == DeployOutcome::Live, "{report:#?}");
            std::thread::sleep(EVERY.saturating_sub(began.elapsed()));
        }
        Ok(())
    })?;
    println!(
        "album page: p50 {} us and p99 {} us without swaps ({} requests), {} us and {} us during {swaps} swaps ({} requests)",
        calm.latency_us(500),
        calm.latency_us(990),
        calm.requests,
        swapped.latency_us(500),
        swapped.latency_us(990),
        swapped.requests,
    );
    ensure!(calm.failures.is_empty() && swapped.failures.is_empty(), "{:#?} {:#?}", calm.failures, swapped.failures);
    ensure!(swapped.requests > swaps as usize);
    Ok(())
}

fn measured(host: &Host, pages: &[String], meanwhile: impl FnOnce() -> Result<()>) -> Result<Seen> {
    let load = Load::start(&host.url, pages, 2, Duration::from_millis(2), album_page);
    let done = meanwhile();
    let seen = load.stop();
    done.map(|()| seen)
}
