//! The host of finance is killed while records are bought: the shop's host takes finance over, with its keys, and no
//! order that was answered is lost.

use std::time::Duration;

use anyhow::{Result, ensure};
use seam::admin::client::Client;
use seam_tests::books::balance;
use seam_tests::person::Person;
use seam_tests::shop::{BOOKS, SHOP, Shop};
use seam_tests::shopping::{DEMO_PASSWORD, demo_email};
use seam_tests::wait::{TIMEOUT, until};

#[test]
fn finance_is_taken_over_with_its_keys_and_no_order_that_was_answered_is_lost() -> Result<()> {
    let shop = Shop::in_one_process()?.apart()?;
    let keys = "at = \"books\"\nstandby = \"shop\"\ntakeover = \"3s\"\nacknowledge = \"replicated\"\n";
    shop.edit("at = \"books\"\n", keys)?;
    shop.edit("two_phase = [\"warehouse\", \"finance\"]", "two_phase = [\"warehouse\"]")?;
    shop.edit("[placement]\n", "[backup]\nto = \"copies\"\n\n[placement]\n")?;
    let books = shop.up_as(BOOKS, &[])?;
    let host = shop.up_as(SHOP, &[])?;
    until(TIMEOUT, || {
        let all = Client::connect(&shop.data())?.contexts()?;
        let lease = all.into_iter().find(|context| context.context == "finance").and_then(|context| context.lease);
        let ready = lease.as_ref().is_some_and(|lease| lease.ready_ms.is_some() && lease.is_equipped);
        Ok(if ready { Ok(()) } else { Err(format!("the standby is not ready: {lease:?}")) })
    })?;
    let before = balance(&shop)?.orders.len();
    let sku = shop.album("kind of blue", 50)?;
    let mut person = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
    for _ in 0..3 {
        person.buy(&sku, 1)?;
    }
    books.kill()?;
    shop.finance_lives_at(SHOP);
    until(TIMEOUT, || {
        let status = person.get("/account/statement")?.status;
        Ok(if status == 200 { Ok(()) } else { Err(format!("{status}")) })
    })?;
    person.buy(&sku, 1)?;
    let now = balance(&shop)?;
    assert_eq!((now.orders.len(), now.payments.len() >= 4), (before + 4, true));
    ensure!(shop.data().join("keys/finance.key").exists(), "the keys came before they were needed");
    ensure!(host.stop(Duration::from_secs(60))?.success());
    Ok(())
}
