//! Orders that are in process for a while: what their customers read meanwhile, and how they end, in each of the modes
//! of a checkout.

use std::time::Duration;

use anyhow::{Context as _, Result};
use seam_tests::books::{balance, decided};
use seam_tests::host::Host;
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, card, demo_email, operator, order_number};

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
