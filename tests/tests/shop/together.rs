//! Pages whose contexts are pretended to live on other hosts: they are the same, and they wait for several at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seam_tests::host::Host;
use seam_tests::person::Person;
use seam_tests::placement::is_left_out;
use seam_tests::shop::{Shop, first_sku};
use seam_tests::shopping::operator;

/// The best of some, as the machine may be busy.
fn time(work: &mut dyn FnMut() -> Result<()>) -> Result<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..4 {
        let started = Instant::now();
        work()?;
        best = best.min(started.elapsed());
    }
    Ok(best)
}

/// How much longer `work` takes when all of the storefront's calls are slow, beside when those of `one` are.
fn waits(shop: &Shop, one: &str, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let fast = time(&mut work)?;
    shop.seam(&["pretend", &format!("storefront->{one}"), "latency=60ms"])?;
    let slow = time(&mut work)?;
    shop.seam(&["pretend", "storefront->*", "latency=60ms"])?;
    let all = time(&mut work)?;
    shop.seam(&["pretend", "off"])?;
    ensure!(slow > fast, "{fast:?}, {slow:?}");
    Ok(all.saturating_sub(fast).as_secs_f64() / (slow - fast).as_secs_f64())
}

fn texts(host: &Host, paths: &[String]) -> Result<Vec<String>> {
    paths.iter().map(|path| Ok(host.get(path)?.text())).collect()
}

#[test]
fn pages_are_the_same_over_slow_edges_and_wait_for_several_contexts_at_once() -> Result<()> {
    if is_left_out("pages_are_the_same_over_slow_edges_and_wait_for_several_contexts_at_once")? {
        return Ok(());
    }
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = first_sku(&host.get("/search?q=miles%20davis")?.text())?;
    let album = format!("/albums/{sku}");
    let paths = [album.clone(), "/".to_owned(), "/browse?genre=Jazz".to_owned()];
    let before = texts(&host, &paths)?;
    shop.seam(&["pretend", "storefront->*", "latency=0ms"])?;
    assert_eq!(texts(&host, &paths)?, before);
    shop.seam(&["pretend", "off"])?;

    let get = |path: &str| -> Result<()> {
        let status = host.get(path)?.status;
        ensure!(status == 200, "{path}: {status}");
        Ok(())
    };
    // Recommendation, then warehouse and catalog together. Where that leaves places, two more calls fill them, of which
    // the second depends on the first.
    let most = if before[0].contains("More ") { 4.5 } else { 2.5 };
    let waited = waits(&shop, "recommendation", || get(&album))?;
    ensure!(waited < most, "{album}: {waited}");
    let waited = waits(&shop, "catalog", || get("/"))?;
    ensure!(waited < 1.25, "recommendation and facets together, then albums and their stock: {waited}");
    let mut office = operator(&host)?;
    let waited = waits(&shop, "finance", || office_page(&mut office))?;
    ensure!(waited < 2.5, "who asks, then all five parts together: {waited}");
    Ok(())
}

fn office_page(office: &mut Person) -> Result<()> {
    office.get("/office")?.must_be(200).map(drop)
}
