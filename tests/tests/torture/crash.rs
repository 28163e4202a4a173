//! The power goes while orders are being placed: afterwards every order is one or none, and so are its copies and its money.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use seam_tests::books::{balance, payments};
use seam_tests::host::Host;
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::trade::{DEMO_PASSWORD, demo_email, operator};

const BUYERS: usize = 6;
/// From the start of the load to the cut, one after the other: the cut falls into another step each time.
const CUTS_MS: [u64; 4] = [400, 523, 671, 811];

/// Buys until the host is gone; the numbers of the orders that were confirmed.
fn buy_on(mut person: Person, sku: &str, over: &AtomicBool) -> Vec<String> {
    let mut confirmed = Vec::new();
    while !over.load(Ordering::Relaxed) {
        match person.buy(sku, 1) {
            Ok(number) => confirmed.push(number),
            // Whatever is said of an order while the power goes, only a number counts.
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
    confirmed
}

/// Everybody buys, and after a while the power goes. The orders that customers were told of.
fn load_and_cut(host: Host, people: &[Person], sku: &str, after: Duration) -> Result<Vec<String>> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let buying: Vec<_> = people.iter().map(|person| scope.spawn(|| buy_on(person.at(&host), sku, &over))).collect();
        thread::sleep(after);
        let killed = host.pid();
        // The others still ask the host meanwhile.
        std::process::Command::new("kill").args(["-KILL", &killed.to_string()]).status()?;
        thread::sleep(Duration::from_millis(50));
        over.store(true, Ordering::Relaxed);
        Ok(buying.into_iter().flat_map(|one| one.join().unwrap()).collect())
    })
}

#[test]
fn cut_off_in_the_middle_of_orders_the_shop_comes_back_with_books_that_balance() -> Result<()> {
    let shop = Shop::new()?;
    let mut host = shop.up()?;
    let sku = shop.album("kind of blue", 10_000)?;
    let sign_in = |number| Person::signed_in(&host, &demo_email(number), DEMO_PASSWORD);
    let people: Vec<Person> = (1..=BUYERS).map(sign_in).collect::<Result<_>>()?;
    let before = balance(&shop)?;
    let mut confirmed = BTreeSet::new();
    let mut cut_off = 0;
    for after in CUTS_MS {
        confirmed.extend(load_and_cut(host, &people, &sku, Duration::from_millis(after))?);

        // At once, what was cut off is still in hand: seen by the operator, and left alone until it is old enough.
        host = shop.up()?;
        let books = balance(&shop)?;
        let placing: Vec<&String> = books.in_state("placing").map(|(number, _)| number).collect();
        cut_off += placing.len();
        assert_eq!(shop.call("orders", "desk.settle()")?, 0, "too young to be settled");
        let mut desk = operator(&host)?;
        let page = desk.get("/office/orders?state=placing")?;
        assert!(placing.iter().all(|number| page.says(number)), "{placing:?}: {}", page.words());

        // A minute later it is brought to its end, by a button of the office.
        assert!(host.stop(Duration::from_secs(10))?.success());
        assert_eq!(shop.age_orders(Duration::from_secs(61))?, placing.len());
        host = shop.up()?;
        let mut desk = desk.at(&host);
        if !placing.is_empty() {
            desk.press("/office", "/office/settle", &[])?.must_be(200)?.must_say("brought to an end")?;
        }
        let settled = balance(&shop)?;
        assert_eq!(settled.in_state("placing").count(), 0);
        for number in placing {
            assert_eq!(settled.orders[number].state, "rejected");
        }
    }
    assert!(confirmed.len() > 20, "hardly any load: {confirmed:?}");
    println!("{} orders confirmed, {cut_off} cut off", confirmed.len());

    // What a customer was told of stands, and nothing else is reserved or held.
    let books = balance(&shop)?;
    for number in &confirmed {
        assert_eq!(books.orders[number].state, "placed", "{number}");
    }
    let placed = books.in_state("placed").count() - before.in_state("placed").count();
    assert!(placed >= confirmed.len(), "{placed} placed, {} confirmed", confirmed.len());
    let all: Vec<String> = (100_001..100_001 + 2 * books.orders.len()).map(|number| format!("MC-{number}")).collect();
    let held = payments(&shop, &all.iter().map(String::as_str).collect::<Vec<_>>())?;
    for (number, payment) in &held {
        let order = books.orders.get(number).unwrap_or_else(|| panic!("finance knows {number}, orders does not"));
        assert_eq!(payment.stage == "authorised", order.state == "placed", "{number}: {} and {payment:?}", order.state);
    }
    // The shop goes on.
    let mut person = people[0].at(&host);
    person.buy(&sku, 1)?;
    balance(&shop)?;
    Ok(())
}

#[test]
fn books_that_do_not_balance_are_noticed() -> Result<()> {
    let shop = Shop::new()?;
    shop.up()?.stop(Duration::from_secs(10))?;
    let told = |store: &str, sql: &str, back: &str, complaint: &str| -> Result<()> {
        let file = || rusqlite::Connection::open(shop.data().join(format!("stores/{store}.db")));
        assert_eq!(file()?.execute(sql, [])?, 1, "{sql}");
        let host = shop.up()?;
        let error = balance(&shop).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(complaint), "{sql}: {error}");
        host.stop(Duration::from_secs(10))?;
        file()?.execute(back, [])?;
        Ok(())
    };
    let copy = "UPDATE orders SET copies = copies + 1 WHERE number = 'D-000001'";
    told("orders", copy, &copy.replace("+ 1", "- 1"), "with customers by the warehouse")?;
    let total = "UPDATE orders SET total = total + 1 WHERE number = 'D-000001'";
    told("orders", total, &total.replace("+ 1", "- 1"), "costs")?;
    let host = shop.up()?;
    balance(&shop)?;
    drop(host);
    Ok(())
}
