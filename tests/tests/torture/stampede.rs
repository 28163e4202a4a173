//! Many requests at once: a hundred buyers for ten copies, and one buyer who sends everything ten times.

use std::sync::Barrier;
use std::thread;

use anyhow::Result;
use seam_tests::books::{balance, payments};
use seam_tests::host::Host;
use seam_tests::page::{Form, Page};
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, card, demo_email, order_number};

const BUYERS: usize = 100;
const COPIES: u32 = 10;
/// People who sign in at the same time: checking a password takes a processor a tenth of a second.
const SIGN_INS: usize = 4;

/// The demo's customers, each with an address, with one copy in the cart and the page of the checkout open.
fn buyers(host: &Host, sku: &str, count: usize) -> Vec<(Person, Form)> {
    thread::scope(|scope| {
        let some = |first: usize| {
            scope.spawn(move || {
                let ready = |number| {
                    // Of one address, 20 cards are looked at together at most.
                    let mut person = Person::new(host).with_address(format!("198.51.100.{number}"));
                    person.sign_in(&demo_email(number), DEMO_PASSWORD)?;
                    person.put_into_cart(sku, 1)?;
                    let form = person.till(card::APPROVED)?;
                    anyhow::Ok((person, form))
                };
                (first..=count).step_by(SIGN_INS).map(|number| ready(number).unwrap()).collect::<Vec<_>>()
            })
        };
        let groups: Vec<_> = (1..=SIGN_INS).map(some).collect();
        groups.into_iter().flat_map(|group| group.join().unwrap()).collect()
    })
}

/// All of them press the button at once; the answers as they are.
fn at_once(buyers: Vec<(Person, Form)>) -> Vec<(Person, Page)> {
    let start = Barrier::new(buyers.len());
    thread::scope(|scope| {
        let press = |(mut person, form): (Person, Form)| {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                let page = person.send(&form).unwrap();
                (person, page)
            })
        };
        let pressed: Vec<_> = buyers.into_iter().map(press).collect();
        pressed.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[test]
fn of_a_hundred_buyers_of_ten_copies_ten_get_one_and_only_they_pay() -> Result<()> {
    let shop = Shop::with(60, BUYERS as u32)?;
    shop.edit("[http]\n", "[http]\ntrusted_proxies = [\"127.0.0.1\"]\n")?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", COPIES)?;
    let before = balance(&shop)?;
    let buyers = buyers(&host, &sku, BUYERS);
    assert_eq!(buyers.len(), BUYERS);

    let mut numbers = Vec::new();
    let mut sold_out = 0;
    for (mut person, page) in at_once(buyers) {
        match page.status {
            303 if page.header("location") == Some("/cart?note=short") => {
                let cart = person.get("/cart?note=short")?.must_be(200)?;
                cart.must_say("nothing was charged")?;
                cart.must_say("Sold out. Remove it to check out.")?;
                sold_out += 1;
            }
            303 => {
                let order = person.get(page.header("location").unwrap())?.must_be(200)?;
                order.must_say("Your order is placed")?;
                numbers.push(order_number(&order)?);
                assert!(person.get("/cart")?.says("Nothing in it yet"));
            }
            other => panic!("{other}: {}", page.words()),
        }
    }
    assert_eq!((numbers.len(), sold_out), (COPIES as usize, BUYERS - COPIES as usize));

    let books = balance(&shop)?;
    for number in &numbers {
        assert_eq!((books.orders[number].state.as_str(), books.orders[number].copies), ("placed", 1));
    }
    let placed = books.in_state("placed").count() - before.in_state("placed").count();
    assert_eq!(placed, numbers.len());
    assert_eq!(books.tally.reserved, before.tally.reserved + u64::from(COPIES));
    assert_eq!(books.tally.received, before.tally.received);
    let level = shop.call("warehouse", &format!("stock.levels([{sku:?}])"))?;
    assert_eq!(level[0]["on-hand"], 0);

    // Finance is asked for every number that there may be, not only for those of confirmed orders.
    let all: Vec<String> = (1..=2 * BUYERS).map(|number| format!("MC-{}", 100_000 + number)).collect();
    let held = payments(&shop, &all.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut live: Vec<String> = Vec::new();
    for (number, payment) in held {
        match payment.stage.as_str() {
            "authorised" => live.push(number),
            "voided" | "declined" => {}
            other => panic!("{number}: {other}"),
        }
    }
    numbers.sort();
    assert_eq!(live, numbers, "money is held for the ten that are placed, and for nothing else");
    Ok(())
}

#[test]
fn one_checkout_sent_ten_times_at_once_and_again_later_is_one_order() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("blue train", 20)?;
    let before = balance(&shop)?;
    let (person, form) = buyers(&host, &sku, 1).pop().unwrap();
    let mut numbers = Vec::new();
    for (mut person, page) in at_once(vec![(person.clone(), form.clone()); 10]) {
        assert_eq!(page.status, 303, "{}", page.words());
        let order = person.get(page.header("location").unwrap())?.must_be(200)?;
        assert!(order.says("Your order is placed") || order.says("We have your order"), "{}", order.words());
        numbers.push(order_number(&order)?);
    }
    let mut person = person;
    for _ in 0..3 {
        let page = person.submit(&form)?.must_be(200)?;
        page.must_say("Your order is placed")?;
        numbers.push(order_number(&page)?);
    }
    // The same form with another address: still the order that it was.
    let other = form.clone().with("street", "2 Groove Lane")?;
    numbers.push(order_number(&person.submit(&other)?)?);
    numbers.dedup();
    assert_eq!(numbers.len(), 1, "{numbers:?}");
    let books = balance(&shop)?;
    assert_eq!(books.orders.len(), before.orders.len() + 1);
    assert_eq!(books.tally.reserved, before.tally.reserved + 1);

    // So are a shipment and a return that are sent ten times.
    let order = &numbers[0];
    let mut desk = seam_tests::shopping::operator(&host)?;
    let ship = desk.deed(order, "ship", &[])?;
    for (_, page) in at_once(vec![(desk.clone(), ship); 10]) {
        assert!(matches!(page.status, 303 | 409), "{}: {}", page.status, page.words());
    }
    let books = balance(&shop)?;
    assert_eq!(books.orders[order].state, "shipped");
    let page = person.get(&format!("/orders/{order}"))?;
    let back = page.form(&format!("/orders/{order}/return"))?.with(&format!("copies-{sku}"), "1")?;
    for (_, page) in at_once(vec![(person.clone(), back); 10]) {
        assert!(matches!(page.status, 303 | 409), "{}: {}", page.status, page.words());
    }
    let receive = desk.deed(order, "receive", &[])?;
    for (_, page) in at_once(vec![(desk.clone(), receive); 10]) {
        assert!(matches!(page.status, 303 | 409), "{}: {}", page.status, page.words());
    }
    let books = balance(&shop)?;
    assert_eq!(books.orders[order].state, "returned");
    assert_eq!(books.tally.on_hand, before.tally.on_hand);
    Ok(())
}
