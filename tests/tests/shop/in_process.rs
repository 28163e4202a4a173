//! Orders that are in process for a while: what their customers read meanwhile, and how they end, in each of the modes
//! of a checkout.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use seam_tests::books::{balance, decided};
use seam_tests::host::{Host, binary};
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, card, demo_email, operator, order_number};
use seam_tests::{repo, wait};

/// A shop whose checkout is of this kind.
fn shop_with(checkout: &str) -> Result<Shop> {
    let shop = Shop::new()?;
    shop.edit("checkout = \"saga\"", &format!("checkout = \"{checkout}\""))?;
    Ok(shop)
}

/// Orders the record with this card; the order's number, and the page that follows.
fn order_taken(person: &mut Person, sku: &str, card: &str) -> Result<(String, seam_tests::page::Page)> {
    person.put_into_cart(sku, 1)?;
    let form = person.till(card)?;
    let page = person.submit(&form)?.must_be(200)?;
    Ok((order_number(&page)?, page))
}

#[test]
fn an_order_that_is_taken_while_the_warehouse_is_away_completes_by_itself() -> Result<()> {
    let shop = shop_with("retry-later")?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 9)?;
    let mut buyer = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
    let mut poor = Person::signed_in(&host, &demo_email(2), DEMO_PASSWORD)?;
    let before = balance(&shop)?;
    let stop = |host: Host| host.stop(Duration::from_secs(20));
    assert!(stop(host)?.success());
    let manifest = shop.break_context("warehouse")?;
    let host = shop.up()?;
    (buyer, poor) = (buyer.at(&host), poor.at(&host));

    let (order, page) = order_taken(&mut buyer, &sku, card::APPROVED)?;
    for words in ["We have your order", "warehouse does not answer just now", "In process"] {
        page.must_say(words)?;
    }
    let account = buyer.get("/account")?;
    account.must_say(&order)?;
    account.must_say("warehouse does not answer just now")?;
    let (declined, _) = order_taken(&mut poor, &sku, card::REFUSED)?;
    assert_ne!(order, declined);

    // It is known again, and nothing has to be done for it.
    assert!(stop(host)?.success());
    shop.write_manifest(&manifest)?;
    let host = shop.up()?;
    let books = decided(&shop)?;
    assert_eq!((books.orders[&order].state.as_str(), books.orders[&declined].state.as_str()), ("placed", "rejected"));
    assert_eq!(books.tally.reserved, before.tally.reserved + 1);
    (buyer, poor) = (buyer.at(&host), poor.at(&host));
    let page = buyer.get(&format!("/orders/{order}"))?;
    page.must_say("What happens next")?;
    page.must_say("held on the card ending 4242")?;
    assert!(buyer.get("/cart")?.says("Nothing in it yet"), "what was ordered is out of the cart");
    let page = poor.get(&format!("/orders/{declined}"))?;
    page.must_say("Not placed")?;
    page.must_say("Nothing was charged")?;
    operator(&host)?.desk(&order, "ship", &[])?.must_be(200)?;
    balance(&shop)?;
    Ok(())
}

#[test]
fn in_two_phases_an_order_is_there_in_all_files_or_in_none() -> Result<()> {
    let shop = shop_with("two-phase")?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 9)?;
    let mut buyer = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
    let before = balance(&shop)?;
    buyer.put_into_cart(&sku, 1)?;
    for (card, words) in [(card::REFUSED, "declined"), (card::SILENT, "did not answer in time")] {
        let form = buyer.till(card)?;
        buyer.submit(&form)?.must_say(words)?;
    }
    assert!(balance(&shop)? == before, "nothing of them is there");
    let form = buyer.till(card::APPROVED)?;
    let page = buyer.submit(&form)?.must_be(200)?;
    page.must_say("Your order is placed")?;
    let order = order_number(&page)?;
    let books = balance(&shop)?;
    assert_eq!((books.orders[&order].state.as_str(), books.payments[&order].stage.as_str()), ("placed", "authorised"));
    operator(&host)?.desk(&order, "ship", &[])?.must_be(200)?;
    assert_eq!(balance(&shop)?.orders[&order].state, "shipped");
    Ok(())
}

/// Each command of the section of the page about sagas, in its order.
#[test]
fn a_return_whose_data_are_wrong_is_corrected_and_resumed_as_the_page_says() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 9)?;
    let mut buyer = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
    let order = buyer.buy(&sku, 2)?;
    operator(&host)?.desk(&order, "ship", &[])?.must_be(200)?;
    let number = |of: &serde_json::Value| of.as_u64().context("a number");
    let before = shop.call("orders", &format!("desk.get-order({order:?})"))?;
    let customer = before["customer"].as_str().context("a customer")?;
    let announced = format!("ordering.request-return(\"k\", {customer:?}, {order:?}, [{{sku: {sku:?}, copies: 2}}])");
    assert_eq!(shop.call("orders", &announced)?["state"], "return-requested");
    let waits = || {
        let shown = shop.seam(&["sagas", "show", "orders", "return", &order])?;
        Ok(if shown.contains("waiting at arrive") { Ok(()) } else { Err(shown) })
    };
    wait::until(wait::TIMEOUT, waits)?;

    let page = std::fs::read_to_string(repo().join("docs/sagas.md"))?;
    let (_, page) = page.split_once("## Correct what a saga works with\n").context("the section")?;
    let (page, _) = page.split_once("\n## ").unwrap_or((page, ""));
    let page = page.replace("MC-100121", &order).replace("MC-0042", &sku);
    let seam = binary()?;
    let path = format!("{}:{}", seam.parent().context("a folder")?.display(), std::env::var("PATH")?);
    let mut commands = 0;
    for line in page.split("```sh\n").skip(1).flat_map(|block| block.lines().take_while(|line| *line != "```")) {
        let mut shell = std::process::Command::new("sh");
        let ended = shell.args(["-c", line]).current_dir(shop.folder.path()).env("PATH", &path).output()?;
        let said = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
        ensure!(ended.status.success() && said.contains(&order) | line.contains("resume"), "{line}: {said}");
        commands += 1;
    }
    ensure!(commands == 4, "{commands} commands");

    let returned = || {
        let now = shop.call("orders", &format!("desk.get-order({order:?})"))?;
        Ok(if now["state"] == "returned" { Ok(now) } else { Err(format!("{now}")) })
    };
    let now = wait::until(wait::TIMEOUT, returned)?;
    assert_eq!(number(&now["lines"][0]["returned"])?, 1);
    let books = balance(&shop)?;
    assert_eq!(books.payments[&order].refunded, number(&now["lines"][0]["price"])?);
    Ok(())
}

#[test]
fn a_kind_of_checkout_that_there_is_not_is_named_with_those_that_there_are() -> Result<()> {
    let shop = shop_with("at-once")?;
    let host = shop.up()?;
    let mut person = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
    let sku = shop.album("kind of blue", 9)?;
    person.put_into_cart(&sku, 1)?;
    let form = person.till(card::APPROVED)?;
    person.submit(&form)?.must_be(503)?;
    let error = shop
        .call(
            "orders",
            "ordering.place(\"k\", {customer: \"C-1\", from: \"192.0.2.1\", lines: [], total: 0, \
             address: {name: \"\", street: \"\", extra: \"\", city: \"\", postcode: \"\", country: \"\"}, \
             card: {number: \"\", holder: \"\", expiry: \"\", code: \"\"}})",
        )
        .err()
        .context("an error")?
        .to_string();
    assert!(["at-once", "`saga`", "`retry-later`", "`two-phase`"].iter().all(|name| error.contains(name)), "{error}");
    Ok(())
}
