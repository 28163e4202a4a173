//! Forms that are sent twice, as by a double click without scripts: the second answer, which is the one that the person
//! sees, is as true as the first.

use std::thread;

use anyhow::{Context, Result, ensure};
use seam_tests::books::Books;
use seam_tests::hostile_input::{Fixture, SECRET};
use seam_tests::page::{Form, Page};
use seam_tests::person::Person;

/// Sends the form twice, the second time with the cookies from before the first answer: a browser sends the second
/// click before it has read that answer. Both must lead to the same page.
fn twice(person: &mut Person, form: &Form) -> Result<Page> {
    let mut second = person.clone();
    let first = person.send(form)?;
    let again = second.send(form)?;
    same(form, &first, &again)?;
    let to = again.header("location").context("a redirect")?.to_owned();
    *person = second;
    person.get(&to)
}

fn same(form: &Form, first: &Page, again: &Page) -> Result<()> {
    let to = |page: &Page| page.header("location").map(str::to_owned);
    ensure!(first.status == 303, "{}: {} {}", form.action, first.status, first.words());
    ensure!(
        (again.status, to(again)) == (first.status, to(first)),
        "{}: {:?}, then {} {:?} {}",
        form.action,
        to(first),
        again.status,
        to(again),
        again.words()
    );
    Ok(())
}

#[test]
fn a_customers_form_that_is_sent_twice_is_answered_as_once() -> Result<()> {
    const NEW: &str = "another long enough secret";
    let mut fixture = Fixture::set()?;
    let (placed, shipped, sku) = (fixture.placed.clone(), fixture.shipped.clone(), fixture.sku.clone());
    let person = &mut fixture.person;
    let form = person.get("/account/password")?.form("/account/password")?.typed(&[("old", SECRET), ("new", NEW)])?;
    twice(person, &form)?.must_say("Your password is changed")?;
    let form = person.get("/account/address")?.form("/account/address")?.typed(&[("city", "Bath")])?;
    twice(person, &form)?.must_say("Your address is changed")?;
    let page = format!("/orders/{placed}");
    let form = person.get(&page)?.form(&format!("{page}/cancel"))?;
    twice(person, &form)?.must_say("Your order is cancelled")?;
    let page = format!("/orders/{shipped}");
    let form = person.get(&page)?.form(&format!("{page}/return"))?.with(&format!("copies-{sku}"), "1")?;
    twice(person, &form)?.must_say("Your return is registered")?;
    let form = person.get("/cart")?.form("/cart/change")?.with(&format!("copies-{sku}"), "2")?;
    twice(person, &form)?.must_say("Your cart is changed")?;
    let form = person.get(&format!("/albums/{sku}"))?.form("/cart/add")?;
    twice(person, &form)?.must_say("It is in your cart")?;
    assert_eq!(person.get("/cart")?.form("/cart/change")?.value(&format!("copies-{sku}"))?, "3");
    let form = person.till(seam_tests::shopping::card::APPROVED)?;
    let (first, mut second) = (person.send(&form)?, person.clone());
    ensure!(first.header("location").is_some_and(|to| to.contains("note=placed")), "{:?}", first.headers);
    let again = second.submit(&form)?;
    ensure!(again.path.contains("note=ordered-before"), "{}", again.path);

    // The pages open and close a session.
    let form = person.get("/account")?.form("/sign-out")?;
    let mut after = person.clone();
    twice(person, &form)?.must_say("You are signed out")?;
    // The second click comes when the first answer has been read.
    after.send(&form)?;
    after.submit(&form)?.must_be(200)?.must_say("You are signed out")?;
    let form = after.get("/sign-in")?.form("/sign-in")?.typed(&[("email", "ada@shop.example"), ("password", NEW)])?;
    let mut again = after.clone();
    twice(&mut after, &form)?.must_say("Hello, Ada Listener")?;
    again.send(&form)?;
    again.submit(&form)?.must_be(200)?.must_say("Hello, Ada Listener")?;

    let form = again.get("/account/delete")?.form("/account/delete")?.with("password", NEW)?;
    let mut late = again.clone();
    twice(&mut again, &form)?.must_say("Your account is deleted")?;
    late.submit(&form)?.must_be(200)?.must_say("Your account is deleted")?;
    assert!(late.cookie("session").is_none(), "the page ends the session");
    Ok(())
}

#[test]
fn a_form_of_the_office_that_is_sent_twice_is_answered_as_once() -> Result<()> {
    let mut fixture = Fixture::set()?;
    let (placed, shipped, sku) = (fixture.placed.clone(), fixture.shipped.clone(), fixture.sku.clone());
    let desk = &mut fixture.desk;
    let form = desk.deed(&placed, "ship", &[])?;
    twice(desk, &form)?.must_say("The parcel is on its way")?;
    let form = desk.deed(&shipped, "refund", &[("amount", "1.00"), ("reason", "Bent.")])?;
    twice(desk, &form)?.must_say("Given back: £1.00")?;
    fixture.person.send_back(&placed, &sku, 1)?;
    let desk = &mut fixture.desk;
    let form = desk.deed(&placed, "receive", &[])?;
    twice(desk, &form)?.must_say("The copies are on the shelf again")?;
    let page = format!("/office/records/{sku}");
    for (action, typed, says) in [
        ("restock", &[("copies", "5"), ("note", "Box 7")][..], "The new copies are on the shelf"),
        ("count", &[("counted", "12")], "The shelf now holds what was counted"),
        ("price", &[("price", "19.98")], "The record has its new price"),
        ("discontinue", &[], "The record is no longer sold"),
        ("relist", &[], "The record is sold again"),
    ] {
        let form = desk.get(&page)?.form(&format!("{page}/{action}"))?.typed(typed)?;
        twice(desk, &form)?.must_say(says)?;
    }
    let form = desk.get(&format!("{page}/edit"))?.form(&format!("{page}/edit"))?.with("title", "Kind of Green")?;
    twice(desk, &form)?.must_say("The record is described as you typed it")?;
    let books = Books::read(&fixture.shop)?;
    assert_eq!(books.payments[&shipped].refunded, 100, "once");
    Ok(())
}

/// Both clicks are looked at at the same time: a password's hash takes long enough for it.
#[test]
fn two_clicks_at_once_make_one_account_and_change_one_password() -> Result<()> {
    const NEW: &str = "another long enough secret";
    let fixture = Fixture::set()?;
    let at_once = |person: &Person, form: &Form| -> Result<()> {
        let (mut one, mut other) = (person.clone(), person.clone());
        let (first, second) = thread::scope(|scope| {
            let first = scope.spawn(|| one.send(form));
            let second = other.send(form);
            (first.join().ok(), second)
        });
        same(form, &first.context("a thread")??, &second?)
    };
    for round in 0..3 {
        let mut person = Person::new(&fixture.host);
        let email = format!("eve-{round}@shop.example");
        let form = person.get("/sign-up")?.form("/sign-up")?;
        let form = form.typed(&[("name", "Eve"), ("email", &email), ("password", SECRET)])?;
        at_once(&person, &form)?;
        person.sign_in(&email, SECRET)?.must_say("Hello, Eve")?;
        let form = person.get("/account/password")?.form("/account/password")?;
        at_once(&person, &form.typed(&[("old", SECRET), ("new", NEW)])?)?;
        let form = person.get("/account/delete")?.form("/account/delete")?.with("password", NEW)?;
        at_once(&person, &form)?;
    }
    Ok(())
}
