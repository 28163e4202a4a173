//! The shop with its books on a host of their own, over mutual TLS: nothing of it is changed but where finance lives.

use std::time::Duration;

use anyhow::{Context, Result};
use seam::admin::client::Client;
use seam_tests::books::balance;
use seam_tests::host::signal;
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, card, demo_email};
use seam_tests::wait::{TIMEOUT, until};

/// Waits until the engines, on a host of their own, have all events of orders, by what both hosts say.
fn until_learned(shop: &Shop) -> Result<()> {
    for context in ["recommendation", "orders"] {
        until(TIMEOUT, || {
            let all = Client::connect(&shop.data_of(context))?.subscriptions()?;
            let learned = all.iter().all(|status| status.lag == Some(0) && status.away.is_none());
            Ok(if learned && !all.is_empty() { Ok(()) } else { Err(format!("{all:?}")) })
        })?;
    }
    Ok(())
}

#[test]
fn engines_on_a_host_of_their_own_learn_each_order_once_also_when_either_host_is_killed() -> Result<()> {
    let shop = Shop::in_one_process()?.on_three_hosts()?;
    let mut host = shop.up()?;
    let (engines, books) = (host.others.pop().context("the engines")?, host.others.pop().context("the books")?);
    until_learned(&shop)?;
    let sku = shop.album("kind of blue", 9)?;
    let mut person = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
    person.get(&format!("/albums/{sku}"))?.must_be(200)?;

    // Orders go on without the engines, which learn them later.
    engines.kill()?;
    person.buy(&sku, 1)?;
    let status = Client::connect(&shop.data())?.subscriptions()?.pop().context("a subscription")?;
    anyhow::ensure!(status.lag.is_some_and(|lag| lag > 0) && status.at.as_deref() == Some("engines"), "{status:?}");
    let engines = shop.up_of("recommendation")?;
    until_learned(&shop)?;

    // The host of the orders is killed right after an order.
    person.buy(&sku, 1)?;
    host.kill()?;
    let host = shop.up_alone()?;
    until_learned(&shop)?;
    let told = Client::connect(&shop.data_of("recommendation"))?.subscriptions()?;
    anyhow::ensure!(told.iter().all(|status| (status.dead, status.retry) == (Some(0), Some(0))), "{told:?}");
    for host in [engines, host, books] {
        host.stop(Duration::from_secs(20))?;
    }
    Ok(())
}

#[test]
fn records_are_bought_while_the_books_are_on_another_host_and_its_end_loses_and_repeats_nothing() -> Result<()> {
    let shop = Shop::in_one_process()?.apart()?;
    let mut host = shop.up()?;
    let books = host.others.pop().context("the host of the books")?;
    let sku = shop.album("kind of blue", 9)?;
    let mut person = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
    let before = balance(&shop)?.orders.len();
    let order = person.buy(&sku, 2)?;
    assert!(balance(&shop)?.payments.contains_key(&order), "the payment is in the books over there");
    person.get("/account/statement")?.must_be(200)?;

    person.put_into_cart(&sku, 1)?;
    let form = person.till(card::APPROVED)?;
    books.kill()?;
    person.submit(&form)?.must_be(503)?.must_say("Our bookkeeping cannot be reached. Nothing was changed")?;
    person.get("/account/statement")?.must_be(503)?.must_say("Our bookkeeping cannot be reached")?;
    person.get("/")?.must_be(200)?;
    person.get(&format!("/orders/{order}"))?.must_be(200)?;

    let _books = shop.up_of("finance")?;
    let again = |person: &mut Person| -> Result<_> {
        let csrf = person.get("/checkout")?.form("/checkout")?.value("csrf")?.to_owned();
        person.submit(&form.clone().forced("csrf", &csrf))
    };
    // The very form that had no answer, until the hosts have found each other again.
    until(TIMEOUT, || {
        let page = again(&mut person)?;
        Ok(if page.status == 200 { Ok(()) } else { Err(format!("{} after the restart", page.status)) })
    })?;
    assert_eq!(balance(&shop)?.orders.len(), before + 2, "each form is one order");
    Ok(())
}

#[test]
fn a_host_that_is_frozen_holds_up_only_the_pages_that_ask_it() -> Result<()> {
    let shop = Shop::in_one_process()?.apart()?;
    let host = shop.up()?;
    let books = host.others.first().context("the host of the books")?;
    let mut person = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
    person.get("/account/statement")?.must_be(200)?;
    signal(books.pid(), "STOP")?;
    std::thread::scope(|scope| {
        let mut other = person.at(&host);
        let asks = scope.spawn(move || other.get("/account/statement")?.must_be(503).map(drop));
        for _ in 0..20 {
            person.get("/")?.must_be(200)?;
        }
        asks.join().map_err(|_| anyhow::anyhow!("it panicked"))?
    })?;
    signal(books.pid(), "CONT")?;
    until(TIMEOUT, || {
        let status = person.get("/account/statement")?.status;
        Ok(if status == 200 { Ok(()) } else { Err(format!("{status} after it goes on")) })
    })?;
    host.stop(Duration::from_secs(20))?;
    Ok(())
}
