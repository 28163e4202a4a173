//! One day in the shop, in each of the four placements: what is in the files of all contexts afterwards is the same.
//!
//! The day comes over HTTP, with keys that the test chooses. What is compared, and what is not, is in `state`.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use seam_tests::books::decided;
use seam_tests::host::Host;
use seam_tests::page::{Form, Page};
use seam_tests::person::Person;
use seam_tests::placement::{ALL, Placement};
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, card, demo_email, operator, order_number};
use seam_tests::state::State;
use seam_tests::wait::{TIMEOUT, until};

const SECRET: &str = "a long enough secret";
const NEW: &str = "another long enough secret";

/// The forms that were sent so far: the number of the last key.
#[derive(Default)]
struct Keys(u64);

impl Keys {
    /// Sends a form; if it has a key, with the next one. That of the checkout is the cart's.
    fn send(&mut self, person: &mut Person, form: Form) -> Result<Page> {
        let form = match form.value("key").is_ok() && form.action != "/checkout" {
            true => {
                self.0 += 1;
                form.forced("key", &format!("{:032x}", self.0))
            }
            false => form,
        };
        person.submit(&form)?.must_be(200)
    }

    /// Sends the form of a page with what is typed into it.
    fn press(&mut self, person: &mut Person, page: &str, action: &str, typed: &[(&str, &str)]) -> Result<Page> {
        let form = person.get(page)?.form(action)?.typed(typed)?;
        self.send(person, form)
    }

    fn buy(&mut self, person: &mut Person, sku: &str, copies: u32) -> Result<String> {
        person.put_into_cart(sku, copies)?;
        let form = person.till(card::APPROVED)?;
        let page = self.send(person, form)?;
        page.must_say("Your order is placed")?;
        order_number(&page)
    }

    fn desk(&mut self, desk: &mut Person, order: &str, action: &str, typed: &[(&str, &str)]) -> Result<Page> {
        let form = desk.deed(order, action, typed)?;
        self.send(desk, form)
    }
}

/// Bought, sent, returned, cancelled, refused, paid back, restocked, counted, priced, renamed, ended and sold again.
fn a_day(shop: &Shop, host: &Host) -> Result<()> {
    let mut keys = Keys::default();
    let (blue, train) = (shop.album("kind of blue", 9)?, shop.album("blue train", 5)?);
    let mut desk = operator(host)?;

    // A new customer buys, gets one copy less than she wanted, and sends one back.
    let mut ada = Person::new(host);
    ada.sign_up("Ada Listener", "ada@shop.example", SECRET)?.must_be(200)?;
    ada.get("/search?q=kind%20of%20blue")?.must_be(200)?;
    let order = keys.buy(&mut ada, &blue, 2)?;
    keys.desk(&mut desk, &order, "ship", &[])?.must_say("Taken from the card")?;
    let page = format!("/orders/{order}");
    keys.press(&mut ada, &page, &format!("{page}/return"), &[(&format!("copies-{blue}"), "1")])?;
    keys.desk(&mut desk, &order, "receive", &[])?.must_say("Given back")?;
    keys.desk(&mut desk, &order, "refund", &[("amount", "1.50"), ("reason", "The sleeve came bent.")])?;

    // Orders that the customer and the office cancel, one that stays, and cards that are refused.
    let mut ben = Person::signed_in(host, &demo_email(1), DEMO_PASSWORD)?;
    let order = keys.buy(&mut ben, &blue, 1)?;
    let page = format!("/orders/{order}");
    keys.press(&mut ben, &page, &format!("{page}/cancel"), &[])?.must_say("Your order is cancelled")?;
    ben.put_into_cart(&blue, 1)?;
    let order = keys.buy(&mut ben, &train, 2)?;
    keys.desk(&mut desk, &order, "cancel", &[("reason", "The last copy has a scratch.")])?;
    keys.buy(&mut ben, &train, 1)?;
    for number in [card::REFUSED, card::NO_MONEY, card::SILENT] {
        ben.put_into_cart(&train, 1)?;
        let form = ben.till(number)?;
        keys.send(&mut ben, form)?;
    }

    // The shelves and the catalogue.
    let record = format!("/office/records/{train}");
    for (action, typed) in [
        ("restock", &[("copies", "5"), ("note", "Box 7")][..]),
        ("count", &[("counted", "8")]),
        ("price", &[("price", "19.98")]),
        ("discontinue", &[]),
        ("relist", &[]),
    ] {
        keys.press(&mut desk, &record, &format!("{record}/{action}"), typed)?;
    }
    let edit = format!("{record}/edit");
    keys.press(&mut desk, &edit, &edit, &[("title", "Green Train")])?;

    // An account that changes, and one that goes.
    keys.press(&mut ada, "/account/address", "/account/address", &[("city", "Bath")])?;
    keys.press(&mut ada, "/account/password", "/account/password", &[("old", SECRET), ("new", NEW)])?;
    let mut cid = Person::new(host);
    cid.sign_up("Cid Listener", "cid@shop.example", SECRET)?.must_be(200)?;
    keys.buy(&mut cid, &blue, 1)?;
    keys.press(&mut cid, "/account/delete", "/account/delete", &[("password", SECRET)])?;
    Ok(())
}

/// Waits until nothing goes on: every order is decided, each saga has ended or waits for the parcel, and each
/// subscriber has had all events.
fn at_rest(shop: &Shop) -> Result<()> {
    decided(shop)?;
    until(TIMEOUT, || {
        let sagas = shop.seam(&["sagas", "--context", "orders", "--format", "json"])?;
        let sagas: serde_json::Value = serde_json::from_str(&sagas)?;
        let none = sagas["sagas"].as_array().is_some_and(|all| all.iter().all(|saga| saga["state"] == "waiting"));
        Ok(if none { Ok(()) } else { Err(sagas.to_string()) })
    })?;
    shop.until_all_is_delivered()
}

/// The shop after its day, stopped.
fn day_at(placement: Placement) -> Result<(Shop, State)> {
    let shop = Shop::in_one_process()?.placed(placement)?;
    let host = shop.up()?;
    a_day(&shop, &host)?;
    at_rest(&shop)?;
    ensure!(host.stop(Duration::from_secs(20))?.success(), "it stops");
    let state = State::of(&shop)?;
    Ok((shop, state))
}

#[test]
fn a_day_in_the_shop_leaves_the_same_state_wherever_its_contexts_live() -> Result<()> {
    let days = thread::scope(|scope| {
        let days =
            ALL.map(|placement| scope.spawn(move || day_at(placement).with_context(|| format!("{placement:?}"))));
        let days = days.into_iter().map(|day| day.join().map_err(|_| anyhow!("a day panicked"))?);
        days.collect::<Result<Vec<_>>>()
    })?;
    let [(shop, together), others @ ..] = &days[..] else { anyhow::bail!("no days") };
    for ((_, other), placement) in others.iter().zip(&ALL[1..]) {
        let differing = together.differing(other);
        ensure!(differing.is_empty(), "{placement:?}: {differing:#?}");
        assert_eq!(together.hash(), other.hash(), "{placement:?}");
    }
    println!("{} rows, {}", together.rows(), together.hash());
    ensure!(together.rows() > 2_000, "{} rows are no shop", together.rows());

    // The control: one row that one placement would have otherwise.
    let file = rusqlite::Connection::open(shop.store("warehouse"))?;
    let changed =
        file.execute("UPDATE movements SET reference = 'LOST-1' WHERE id = (SELECT max(id) FROM movements)", [])?;
    drop(file);
    let after = State::of(shop)?;
    ensure!(
        changed == 1 && after.hash() != together.hash() && after.differing(together).len() == 2,
        "it does not show"
    );
    Ok(())
}
