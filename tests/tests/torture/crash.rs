//! The power goes while orders are being placed: afterwards every order is one or none, and so are its copies and its
//! money.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use seam_tests::books::{balance, decided, payments};
use seam_tests::host::Host;
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, demo_email, operator};
use seam_tests::wait;

const BUYERS: usize = 6;
/// Orders that are confirmed before each cut. What the other buyers have reached by then differs each time.
const CUTS: [usize; 4] = [5, 6, 7, 8];

/// Buys until the power has gone; the numbers of the orders that were confirmed.
fn buy_on(mut person: Person, sku: &str, over: &AtomicBool, count: &AtomicUsize) -> Vec<String> {
    let mut confirmed = Vec::new();
    while !over.load(Ordering::Relaxed) {
        // Whatever an order's page says while the power goes, only a number counts.
        if let Ok(number) = person.buy(sku, 1) {
            confirmed.push(number);
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
    confirmed
}

/// All buy at once, and after so many orders the power goes. The orders that were confirmed to customers.
fn load_and_cut(host: &Host, people: &[Person], sku: &str, orders: usize) -> Result<Vec<String>> {
    let (over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let buy = |person: &Person| {
            let (person, over, count) = (person.at(host), &over, &count);
            scope.spawn(move || buy_on(person, sku, over, count))
        };
        let buying: Vec<_> = people.iter().map(buy).collect();
        let enough = wait::until(wait::TIMEOUT, || {
            let confirmed = count.load(Ordering::Relaxed);
            Ok((confirmed >= orders)
                .then_some(())
                .ok_or_else(|| format!("{confirmed} orders are confirmed, not {orders}")))
        });
        let cut = host.kill();
        over.store(true, Ordering::Relaxed);
        let confirmed = buying.into_iter().flat_map(|one| one.join().unwrap()).collect();
        enough.and(cut).map(|()| confirmed)
    })
}

/// The orders that are in process in the file of a host that was killed. Looks at a copy: the file is the host's.
fn in_process(shop: &Shop) -> Result<Vec<String>> {
    let copy = tempfile::tempdir()?;
    for name in ["orders.db", "orders.db-wal"] {
        std::fs::copy(shop.data().join("stores").join(name), copy.path().join(name))?;
    }
    let file = rusqlite::Connection::open(copy.path().join("orders.db"))?;
    let mut placing = file.prepare("SELECT number FROM orders WHERE state = 'placing'")?;
    let numbers = placing.query_map([], |row| row.get(0))?;
    Ok(numbers.collect::<rusqlite::Result<_>>()?)
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
    for orders in CUTS {
        confirmed.extend(load_and_cut(&host, &people, &sku, orders)?);

        // What was cut off is not lost: the host goes on with it, and each order comes to its end.
        let cut = in_process(&shop)?;
        cut_off += cut.len();
        host = shop.up()?;
        let books = decided(&shop)?;
        operator(&host)?.get("/office")?.must_be(200)?.must_say("Nothing is half done.")?;
        for number in cut {
            assert!(matches!(books.orders[&number].state.as_str(), "placed" | "rejected"), "{number}");
        }
    }
    assert!(confirmed.len() > 20, "hardly any load: {confirmed:?}");
    println!("{} orders confirmed, {cut_off} cut off", confirmed.len());

    // Confirmed orders stand, and nothing else is reserved or held.
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
    told("orders", copy, &copy.replace("+ 1", "- 1"), "prices-add-up")?;
    let total = "UPDATE orders SET total = total + 1 WHERE number = 'D-000001'";
    told("orders", total, &total.replace("+ 1", "- 1"), "money-")?;
    let host = shop.up()?;
    balance(&shop)?;
    drop(host);
    Ok(())
}
