//! A shop that sells and is deployed to for long takes no more memory and no more disk than at first.
//!
//! It takes the whole machine and would slow down other tests, so it is a binary of its own, which cargo runs apart
//! from the others. `SEAM_SOAK_DEPLOYS` makes it longer.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use seam::admin::client::Client;
use seam::deploy::{DeployOutcome, DeployRequest};
use seam_tests::host::Host;
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, demo_email};
use seam_tests::torture::versions::relabelled;

/// Deploys between two looks at the memory.
const WINDOW: u32 = 15;
/// How much more the last look may show than the one half way. What is kept still warms up then: instances, recorded
/// calls, and above all pages of the contexts' files, of which SQLite may hold 128 MB. A version that stayed, or an
/// arena for each thread, shows as more.
const GROWTH_PERCENT: u64 = 33;
const BUYERS: usize = 3;
const WATCH_MS: u64 = 100;
const CONTEXTS: [&str; 7] = ["catalog", "recommendation", "orders", "finance", "warehouse", "customer", "storefront"];

fn deploys() -> u32 {
    std::env::var("SEAM_SOAK_DEPLOYS").ok().and_then(|text| text.parse().ok()).unwrap_or(WINDOW * 6)
}

/// Memory of the process that is its own, in KB.
fn own_kb(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    Ok(line.split_whitespace().next().context("no number")?.parse()?)
}

fn folder_kb(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|meta| meta.len() >> 10).sum()
}

fn deploy(data: &Path, context: &str, file: &Path) -> Result<()> {
    let request = DeployRequest { watch_ms: WATCH_MS, wait: true, ..DeployRequest::new(context, file) };
    let report = Client::connect(data)?.deploy(&request, &mut |_| {})?;
    ensure!(report.outcome == DeployOutcome::Live, "{report:#?}");
    Ok(())
}

fn buy_on(host: &Host, number: usize, sku: &str, over: &AtomicBool, bought: &AtomicUsize) -> Result<()> {
    let mut person = Person::signed_in(host, &demo_email(number), DEMO_PASSWORD)?;
    while !over.load(Ordering::Relaxed) {
        person.buy(sku, 1)?;
        bought.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Deploys builds that were never compiled before, each to the next of the shop's contexts.
fn deploy_on(shop: &Shop, host: &Host, bought: &AtomicUsize) -> Result<Vec<u64>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("next.wasm");
    let mut own = Vec::new();
    for (n, context) in (1..=deploys()).zip(CONTEXTS.iter().cycle()) {
        let wasm = std::fs::read(seam_tests::repo().join(format!("target/components/{context}.wasm")))?;
        std::fs::write(&file, relabelled(&wasm, n))?;
        deploy(&shop.data(), context, &file)?;
        if n % WINDOW == 0 {
            let (kb, cache_kb) = (own_kb(host.pid())?, folder_kb(&shop.data().join("cache")));
            println!("{n} deploys, {} orders: {kb} KB, cache {cache_kb} KB", bought.load(Ordering::Relaxed));
            ensure!(cache_kb <= (seam_runtime::limits::COMPILED_MB_MAX + 16) << 10, "the cache has {cache_kb} KB");
            own.push(kb);
        }
    }
    Ok(own)
}

#[test]
fn memory_stays_flat_while_orders_are_placed_and_versions_are_deployed() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 1_000_000)?;
    let (over, bought) = (AtomicBool::new(false), AtomicUsize::new(0));
    let own = std::thread::scope(|scope| -> Result<Vec<u64>> {
        let buy = |number| {
            let (host, sku, over, bought) = (&host, &sku, &over, &bought);
            scope.spawn(move || buy_on(host, number, sku, over, bought))
        };
        let buyers: Vec<_> = (1..=BUYERS).map(buy).collect();
        let own = deploy_on(&shop, &host, &bought);
        over.store(true, Ordering::Relaxed);
        buyers.into_iter().try_for_each(|buyer| buyer.join().unwrap())?;
        own
    })?;
    let orders = bought.load(Ordering::Relaxed);
    ensure!(orders > deploys() as usize, "the load was none: {orders} orders");
    let (Some(warm), Some(last)) = (own.get(own.len() / 2 - 1), own.last()) else { bail!("too few deploys: {own:?}") };
    let most = warm * (100 + GROWTH_PERCENT) / 100;
    ensure!(*last <= most, "{last} KB after {} deploys, {warm} KB half way: {own:?}", deploys());
    Ok(())
}
