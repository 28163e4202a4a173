//! Orders that are cut off while they are placed: the customer hangs up, or a commit fails and it is unknown whether it
//! happened. The same form sent again finds the truth: one order each, and the books balance.

use std::time::Duration;

use anyhow::{Result, ensure};
use seam_tests::books::{Books, balance, decided};
use seam_tests::failing_sync::FailingSync;
use seam_tests::fuzz::Random;
use seam_tests::host::Host;
use seam_tests::page::Form;
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, card, demo_email};

/// A customer at the till.
struct Buyer {
    person: Person,
    form: Form,
}

impl Buyer {
    fn new(host: &Host, number: usize, sku: &str) -> Result<Self> {
        let mut person = Person::signed_in(host, &demo_email(number), DEMO_PASSWORD)?;
        person.put_into_cart(sku, 1)?;
        let form = person.till(card::APPROVED)?;
        Ok(Self { person, form })
    }
}

/// Stops the host and starts it again, which goes on with every order; then each buyer sends the form once more. It has
/// placed one order, or none and says so; then the buyer orders by another form. There must be one order for each.
fn ends_well(shop: &Shop, host: Host, buyers: Vec<Buyer>, before: &Books) -> Result<()> {
    ensure!(host.stop(Duration::from_secs(20))?.success(), "it stops");
    let host = shop.up()?;
    decided(shop)?;
    let bought = buyers.len();
    for Buyer { person, form } in buyers {
        let mut person = person.at(&host);
        let page = person.submit(&form)?;
        if !page.says("Your order is placed") {
            assert!(page.says("Nothing was changed") || page.says("Nothing was charged"), "{}", page.words());
            let form = person.till(card::APPROVED)?;
            person.submit(&form)?.must_be(200)?.must_say("Your order is placed")?;
        }
    }
    let after = decided(shop)?;
    let count = |books: &Books, state: &str| books.in_state(state).count();
    assert_eq!(count(&after, "placed"), count(before, "placed") + bought, "one order for each form");
    for (number, _) in after.in_state("rejected").filter(|(number, _)| !before.orders.contains_key(*number)) {
        let payment = after.payments.get(number).map(|payment| payment.stage.as_str());
        assert!(!matches!(payment, Some("authorised" | "captured")), "{number}: {payment:?}");
    }
    ensure!(host.stop(Duration::from_secs(20))?.success(), "it stops");
    Ok(())
}

#[test]
fn a_customer_who_hangs_up_at_any_moment_leaves_no_half_order() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 100)?;
    let before = balance(&shop)?;
    let seed = 13;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut buyers = Vec::new();
    for number in 1..=24 {
        let buyer = Buyer::new(&host, number, &sku)?;
        let whole = number % 4 != 0;
        let part = if whole { 1.0 } else { random.below(1_000) as f64 / 1_000.0 };
        let pause = Duration::from_micros(random.below(30_000));
        buyer.person.hang_up(&buyer.form, part, pause)?;
        buyers.push(buyer);
    }
    ends_well(&shop, host, buyers, &before)
}

#[test]
fn a_commit_whose_outcome_is_unknown_is_decided_by_its_key() -> Result<()> {
    let shop = Shop::new()?;
    let syncs = FailingSync::new(shop.folder.path())?;
    let host = shop.up_with(&syncs.variables()?)?;
    let sku = shop.album("kind of blue", 100)?;
    let before = balance(&shop)?;
    let mut buyers = Vec::new();
    // Each commit of an order: opened, reserved, authorised, cleared, confirmed; and that of the undo in finance.
    let commits = [
        ("orders.db-wal", 0),
        ("warehouse.db-wal", 0),
        ("finance.db-wal", 0),
        ("warehouse.db-wal", 1),
        ("orders.db-wal", 1),
    ];
    for (number, (file, after)) in (1..).zip(commits) {
        let mut buyer = Buyer::new(&host, number, &sku)?;
        syncs.fail(file, after)?;
        let page = buyer.person.submit(&buyer.form)?;
        assert!(syncs.has_failed(), "{file} {after}: no commit failed");
        assert!(!page.text.contains("disk I/O") && !page.text.contains(".db"), "{}", page.words());
        buyers.push(buyer);
        balance(&shop)?;
        // The disk works again, and so does the shop.
        Person::signed_in(&host, &demo_email(30 + number), DEMO_PASSWORD)?;
    }
    let unknown = host.log()?.lines().filter(|line| line.contains("outcome unknown")).count();
    assert_eq!(unknown, commits.len(), "{}", host.log()?);
    ends_well(&shop, host, buyers, &before)
}
