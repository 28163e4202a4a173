//! What belongs to one person, asked for by another; and what a form hides, changed by its sender. Every address comes
//! from the router's own table.

use anyhow::{Context, Result, ensure};
use seam_tests::books::payments;
use seam_tests::hostile_input::{Fixture, SECRET, led_back};
use seam_tests::page::Form;
use seam_tests::person::Person;
use seam_tests::shopping::{card, order_number};

/// A form with these hidden values, without having seen the page.
fn form(action: &str, token: &str, sku: &str) -> Form {
    let copies = format!("copies-{sku}");
    let fields = [
        ("csrf", token),
        ("key", "00112233445566778899aabbccddeeff"),
        ("was", "1"),
        ("amount", "1.00"),
        ("reason", "Because."),
        ("copies", "1"),
        ("counted", "1"),
        ("price", "1.00"),
        (&*copies, "1"),
    ];
    let empty = Form { action: action.into(), post: true, fields: Vec::new() };
    fields.iter().fold(empty, |form, (name, value)| form.forced(name, value))
}

#[test]
fn what_is_anothers_is_not_found_at_any_address() -> Result<()> {
    let mut fixture = Fixture::set()?;
    let mut eve = Person::new(&fixture.host);
    eve.sign_up("Eve Dropper", "eve@shop.example", SECRET)?.must_be(200)?;
    let token = eve.get("/account")?.form("/sign-out")?.value("csrf")?.to_owned();
    let before = fixture.state()?;
    let mut tried = 0;
    for pattern in storefront::forms().filter(|pattern| pattern.contains('{') || pattern.starts_with("/office")) {
        for order in [&fixture.placed, &fixture.shipped, &fixture.cancelled] {
            let path = pattern.replace("{order}", order).replace("{sku}", &fixture.sku);
            let page = eve.send(&form(&path, &token, &fixture.sku))?;
            ensure!(page.status == 404, "{path}: {} {}", page.status, page.words());
            ensure!(!page.text.contains("Groove Lane") && !page.says("Ada"), "{path}: {}", page.words());
            tried += 1;
        }
    }
    for pattern in storefront::personal_pages().filter(|pattern| pattern.contains('{')) {
        for order in [&fixture.placed, &fixture.shipped, &fixture.cancelled] {
            let path = pattern.replace("{order}", order);
            let page = eve.get(&path)?;
            ensure!(page.status == 404 && !page.text.contains("Groove Lane"), "{path}: {}", page.status);
            tried += 1;
        }
        let path = pattern.replace("{order}", &fixture.shipped);
        fixture.person.get(&path)?.must_be(200)?;
    }
    ensure!(tried >= 3 * (2 + 11 + 2), "the tables are shorter than the shop: {tried}");
    // What has no number shows the visitor's own.
    for path in storefront::personal_pages().filter(|pattern| !pattern.contains('{')) {
        let page = eve.get(path)?.must_be(200)?;
        ensure!(!page.text.contains("Ada") && !page.text.contains("Groove Lane"), "{path}: {}", page.words());
    }
    assert_eq!(fixture.state()?, before);
    Ok(())
}

#[test]
fn changing_what_a_form_hides_does_not_change_the_price() -> Result<()> {
    let mut fixture = Fixture::set()?;
    let (sku, other) = (fixture.sku.clone(), fixture.shop.album("a love supreme", 9)?);
    let person = &mut fixture.person;
    let page = person.get("/checkout")?;
    let honest = page.form("/checkout")?;
    let total: u64 = honest.value("total")?.parse().context("a total")?;
    let orders = |person: &mut Person| anyhow::Ok(person.get("/account")?.all("a[href^='/orders/']").len());
    let before = orders(person)?;
    // What was shown and what is sent differ: nothing is ordered.
    for (field, value) in [
        ("total", "1".to_owned()),
        ("total", "0".into()),
        ("total", String::new()),
        ("total", (total - 1).to_string()),
        ("total", format!("-{total}")),
        ("lines", format!("{sku}.20")),
        ("lines", format!("{sku}.1~{other}.1")),
        ("lines", format!("{other}.3")),
        ("lines", String::new()),
    ] {
        let form = person.till(card::APPROVED)?.forced(field, &value);
        let answer = person.send(&form)?;
        let nowhere = led_back(&answer) == Some("/checkout")
            || answer.header("location").is_some_and(|to| to.starts_with("/cart"));
        ensure!(answer.status == 303 && nowhere, "{field}={value}: {} {:?}", answer.status, answer.headers);
        assert_eq!(orders(person)?, before, "{field}={value}");
    }
    // What no form of ours has changes nothing: the card is charged what the page showed.
    let mut form = person.till(card::APPROVED)?;
    for (field, value) in [
        ("price", "1"),
        ("prices", "1"),
        (&*format!("price-{sku}"), "1"),
        ("sku", &*other),
        ("quantity", "9"),
        ("copies", "9"),
        (&*format!("copies-{sku}"), "9"),
        ("currency", "JPY"),
        ("shipping", "0"),
        ("discount", "99"),
        ("customer", "C-00001"),
        ("operator", "1"),
    ] {
        form = form.forced(field, value);
    }
    let placed = person.submit(&form)?.must_be(200)?;
    let number = order_number(&placed)?;
    let paid = payments(&fixture.shop, &[&number])?;
    assert_eq!(paid[&number].amount, total);
    let order = fixture.shop.call("orders", &format!("desk.get-order({number:?})"))?;
    assert_eq!((&order["currency"], order["total"].as_u64()), (&"GBP".into(), Some(total)));
    assert_eq!(order["lines"].as_array().map(Vec::len), Some(1), "{order}");
    assert_eq!((&order["lines"][0]["sku"], &order["lines"][0]["copies"]), (&sku.into(), &1.into()));

    // A price in the form that fills the cart is no price.
    let add = fixture.person.get(&format!("/albums/{other}"))?.form("/cart/add")?;
    let cart = fixture.person.submit(&add.forced("price", "1").forced("currency", "JPY").forced("total", "1"))?;
    let shown = cart.words();
    let album = fixture.shop.call("catalog", &format!("albums.get-albums([{other:?}])"))?;
    let price = album[0]["price"]["minor-units"].as_u64().context("a price")?;
    ensure!(shown.contains(&format!("£{}.{:02} each", price / 100, price % 100)), "{shown}");
    Ok(())
}
