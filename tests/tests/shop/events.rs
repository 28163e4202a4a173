//! What the shop's contexts publish reaches those who subscribe: also after the host was killed in between.

use anyhow::{Context, Result};
use seam_tests::engines::{ENGINES, Running};
use seam_tests::host::Host;
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::wait;

/// Two albums that no purchase of the demo has together.
struct Pair {
    one: String,
    other: String,
}

impl Pair {
    fn of(shop: &Shop) -> Result<Self> {
        Ok(Self { one: shop.album("kind of blue", 9)?, other: shop.album("homogenic", 9)? })
    }

    /// Buys both in one order; its number.
    fn buy(&self, person: &mut Person) -> Result<String> {
        person.put_into_cart(&self.one, 1)?;
        person.buy(&self.other, 1)
    }
}

fn signed_up(host: &Host, name: &str) -> Result<Person> {
    let mut person = Person::new(host);
    person.sign_up(name, &format!("{name}@shop.example"), "a long enough secret")?.must_be(200)?;
    Ok(person)
}

/// Whether this engine suggests `other` beside `one`.
fn suggests(shop: &Shop, engine: &str, pair: &Pair) -> Result<bool> {
    let said = shop.call(engine, &format!("engine.suggest([{:?}], 50)", pair.one))?;
    Ok(said.as_array().context("suggestions")?.iter().any(|one| one["sku"] == pair.other.as_str()))
}

fn until_suggested(shop: &Shop, engine: &str, pair: &Pair) -> Result<()> {
    wait::until(wait::TIMEOUT, || {
        Ok(if suggests(shop, engine, pair)? { Ok(()) } else { Err(format!("{engine} does not know the order")) })
    })
}

/// How often a purchase with both albums was counted. Only while no host runs.
fn together(shop: &Shop, pair: &Pair) -> Result<u32> {
    let file = rusqlite::Connection::open(shop.store("recommendation"))?;
    let sql = "SELECT coalesce(sum(together), 0) FROM pairs WHERE sku = ?1 AND other = ?2";
    Ok(file.query_row(sql, [&pair.one, &pair.other], |row| row.get(0))?)
}

#[test]
fn an_order_reaches_every_engine_that_runs() -> Result<()> {
    let engines = &ENGINES[1..];
    let shop = Shop::with_engines(engines)?;
    // Compiling CPython takes longer than a host may take to start.
    drop(Running::start(&ENGINES, 16)?);
    let host = shop.up()?;
    let pair = Pair::of(&shop)?;
    // They have had all orders of the demo.
    wait::until(wait::TIMEOUT, || {
        let routes = shop.seam(&["route", "--format", "json"])?;
        let routes: serde_json::Value = serde_json::from_str(&routes)?;
        let ready = routes[0]["variants"].as_array().context("variants")?.iter().all(|one| one["state"] == "ready");
        Ok(if ready { Ok(()) } else { Err(routes.to_string()) })
    })?;
    assert!(!suggests(&shop, "recommendation", &pair)?, "the demo has the pair: choose others");
    // One purchase in common may be chance.
    for name in ["ada", "ben", "cid"] {
        pair.buy(&mut signed_up(&host, name)?)?;
    }
    until_suggested(&shop, "recommendation", &pair)?;
    for engine in engines {
        until_suggested(&shop, &format!("recommendation@{engine}"), &pair)?;
    }
    Ok(())
}

#[test]
fn an_order_that_was_placed_before_the_host_was_killed_arrives_after_the_restart_once() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let pair = Pair::of(&shop)?;
    let person = signed_up(&host, "ada")?;
    assert!(host.stop(std::time::Duration::from_secs(10))?.success());
    let before = together(&shop, &pair)?;

    // No context takes the event before the host is killed.
    let manifest = shop.break_context("recommendation")?;
    let host = shop.up()?;
    pair.buy(&mut person.at(&host))?;
    host.kill()?;
    drop(host);
    assert_eq!(together(&shop, &pair)?, before);

    shop.write_manifest(&manifest)?;
    let host = shop.up()?;
    until_suggested(&shop, "recommendation", &pair)?;
    assert!(host.stop(std::time::Duration::from_secs(10))?.success());
    let host = shop.up()?;
    until_suggested(&shop, "recommendation", &pair)?;
    assert!(host.stop(std::time::Duration::from_secs(10))?.success());
    assert_eq!(together(&shop, &pair)?, before + 1);
    Ok(())
}
