//! The shop with a store that is lost, older, damaged or of another context: that context is out of service until the
//! operator decides, the others serve, and nothing is mixed or deleted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use seam_tests::books::balance;
use seam_tests::host::Host;
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, demo_email};
use serde_json::Value;

/// What `seam contexts` says of the contexts that are out of service, by name.
fn out_of_service(shop: &Shop) -> Result<Vec<(String, String)>> {
    let all: Value = serde_json::from_str(&shop.seam(&["contexts", "--format", "json"])?)?;
    let why = |context: &Value| {
        let why = context["out_of_service"].as_str()?;
        Some((context["context"].as_str()?.to_owned(), why.to_owned()))
    };
    Ok(all.as_array().context("a list")?.iter().filter_map(why).collect())
}

fn stop(host: Host) -> Result<()> {
    assert!(host.stop(Duration::from_secs(20))?.success());
    Ok(())
}

fn log_of(file: &Path) -> PathBuf {
    file.with_extension("db-wal")
}

/// That every context serves, and what is there adds up.
fn is_whole(shop: &Shop, host: &Host) -> Result<()> {
    assert_eq!(out_of_service(shop)?, []);
    assert!(std::iter::once(host).chain(&host.others).all(|host| host.get("/readyz").is_ok_and(|a| a.status == 200)));
    balance(shop).map(drop)
}

#[test]
fn an_older_file_beside_a_newer_log_is_not_mixed_with_it() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 50)?;
    let mut person = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
    person.buy(&sku, 1)?;
    stop(host)?;
    let orders = shop.store("orders");
    assert!(!log_of(&orders).exists(), "a clean stop leaves no log");
    let old = std::fs::read(&orders)?;
    let host = shop.up()?;
    let mut person = person.at(&host);
    (0..3).try_for_each(|_| person.buy(&sku, 1).map(drop))?;
    stop(host)?;
    let host = shop.up()?;
    let mut person = person.at(&host);
    let last = person.buy(&sku, 1)?;
    host.kill()?;
    let (file, log) = (std::fs::read(&orders)?, std::fs::read(log_of(&orders))?);
    assert!(!log.is_empty(), "a killed host leaves a log");

    // What the operator put there, and what the host says of it.
    let mut flipped = log.clone();
    flipped[4200] ^= 1;
    for (file, log, words) in [
        (&old, &log, "do not belong together"),
        (&old, &Vec::new(), "is older than the host has seen it"),
        (&file, &flipped, "commits"),
    ] {
        std::fs::write(&orders, file)?;
        std::fs::write(log_of(&orders), log)?;
        let host = shop.up()?;
        let mut person = person.at(&host);
        assert!(
            host.all_startup().iter().any(|line| line.contains("out of service") && line.contains(words)),
            "{words}"
        );
        let found = out_of_service(&shop)?;
        let [(context, why)] = &found[..] else { panic!("{words}: {found:?}") };
        assert!(context == "orders" && why.contains(words), "{why}");
        assert!(why.contains("seam accept orders") && why.contains("restore a backup"), "{why}");
        let ready = shop.host_of(&host, "orders").get("/readyz")?;
        assert_eq!((ready.status, ready.text().as_str()), (503, "not ready: `orders` is out of service\n"));
        person.get(&format!("/albums/{sku}"))?.must_be(200)?;
        person.get("/account/statement")?.must_be(200)?;
        person.get(&format!("/orders/{last}"))?.must_be(503)?;
        stop(host)?;
        assert!(std::fs::read(&orders)? == *file && std::fs::read(log_of(&orders))? == *log, "{words}: not touched");
    }

    // The control: the file and the log as the kill left them.
    std::fs::write(&orders, &file)?;
    std::fs::write(log_of(&orders), &log)?;
    let host = shop.up()?;
    is_whole(&shop, &host)?;
    person.at(&host).get(&format!("/orders/{last}"))?.must_be(200)?;
    stop(host)?;

    // The way out: the old file without the log, by a command that stands in the history.
    std::fs::write(&orders, &old)?;
    std::fs::write(log_of(&orders), &log)?;
    shop.seam(&["accept", "orders"])?;
    assert!(std::fs::read(orders.with_extension("db-wal.aside-1"))? == log, "the log is kept");
    let history: Value = serde_json::from_str(&shop.seam(&["history", "orders", "--format", "json"])?)?;
    assert_eq!((&history[0]["kind"], &history[0]["state"]), (&"accept".into(), &"done".into()), "{history}");
    assert!(history[0]["why"].as_str().is_some_and(|why| why.contains("do not belong together")), "{history}");
    let host = shop.up()?;
    let ready = shop.host_of(&host, "orders").get("/readyz")?.status;
    assert_eq!((out_of_service(&shop)?, ready), (Vec::new(), 200));
    person.at(&host).get(&format!("/orders/{last}"))?.must_be(404)?;
    stop(host)
}

#[test]
fn stores_that_are_gone_garbage_or_foreign_stop_their_contexts_alone_and_a_restore_leads_out() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    is_whole(&shop, &host)?;
    // Each host takes one of its own files.
    let backup = |host| anyhow::Ok((host, shop.seam_as(host, &["backup"])?.trim().to_owned()));
    let backups = shop.hosts().into_iter().map(backup).collect::<Result<BTreeMap<_, _>>>()?;
    stop(host)?;
    let [finance, recommendation, customer] = ["finance", "recommendation", "customer"].map(|name| shop.store(name));
    let files = [&finance, &recommendation, &customer];
    assert!(files.iter().all(|file| !log_of(file).exists()), "a clean stop leaves no log");
    let books = std::fs::read(&finance)?;
    std::fs::remove_file(&finance)?;
    std::fs::write(&recommendation, [7; 8192])?;
    std::fs::copy(shop.store("catalog"), &customer)?;

    let host = shop.up()?;
    let found = out_of_service(&shop)?;
    let says = |context: &str, words: &[&str]| {
        let why = found.iter().find(|(name, _)| name == context).map(|(_, why)| why.as_str()).unwrap_or_default();
        words.iter().all(|word| why.contains(word))
    };
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(says("finance", &["finance.db` is gone", "seam accept finance"]), "{found:?}");
    assert!(
        says("recommendation", &["recommendation.db", "restore a backup", "seam accept recommendation"]),
        "{found:?}"
    );
    assert!(says("customer", &["belongs to the context `catalog`"]), "{found:?}");
    assert!(!finance.exists(), "no empty file took its place");
    let mut left_out = 0;
    for name in shop.hosts() {
        let partial: Value = serde_json::from_str(&shop.seam_as(name, &["backup", "--format", "json"])?)?;
        left_out += partial["left_out"].as_array().map_or(0, Vec::len);
    }
    assert_eq!(left_out, 3, "a backup names what it lacks");
    assert_eq!(shop.host_of(&host, "finance").get("/readyz")?.status, 503);
    for page in ["/", "/search?q=kind%20of%20blue"] {
        assert_eq!(host.get(page)?.status, 200, "{page}");
    }
    stop(host)?;

    // One file is put back, the others come from the backup. The restore is cut off first: its folder cannot be made.
    std::fs::write(&finance, books)?;
    let obstacle = shop.data_of("customer").join("replaced");
    std::fs::write(&obstacle, "")?;
    // Those of one host at once.
    let restore = |contexts: &[&str]| {
        let from = &backups[shop.host_name(contexts[0])];
        shop.seam(&[&["restore", "--from", from.as_str(), "--replace"][..], contexts].concat())
    };
    let one_host = shop.host_name("recommendation") == shop.host_name("customer");
    let both: &[&[&str]] =
        if one_host { &[&["recommendation", "customer"]] } else { &[&["recommendation"], &["customer"]] };
    assert!(both.iter().any(|contexts| restore(contexts).is_err()));
    let host = shop.up()?;
    let found = out_of_service(&shop)?;
    assert_eq!(found.len(), if one_host { 2 } else { 1 }, "a restore that was cut off: {found:?}");
    stop(host)?;
    std::fs::remove_file(&customer)?;
    let host = shop.up()?;
    let gone = |(context, why): &(String, String)| context == "customer" && why.contains("is gone");
    assert!(out_of_service(&shop)?.iter().any(gone), "not a new context: {found:?}");
    stop(host)?;
    std::fs::remove_file(obstacle)?;
    // The other one was restored by then.
    restore(both.last().context("the last")?)?;
    let history: Value = serde_json::from_str(&shop.seam(&["history", "customer", "--format", "json"])?)?;
    assert_eq!((&history[0]["kind"], &history[0]["state"]), (&"restore".into(), &"done".into()), "{history}");
    let host = shop.up()?;
    is_whole(&shop, &host)?;
    stop(host)
}
