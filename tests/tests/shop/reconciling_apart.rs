//! The shop's own totals while finance moves to another host and comes home: they are compared all the time, on
//! whichever host it is, and what was planted is found and let go.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use seam_tests::books::holds;
use seam_tests::host::seam;
use seam_tests::person::Person;
use seam_tests::shop::{BOOKS, SHOP, Shop};
use seam_tests::shopping::{DEMO_PASSWORD, demo_email};
use serde_json::Value;

/// Runs `seam reconcile run` on a host: its exit code, and what it answers.
fn look(shop: &Shop, host: &str) -> Result<(i32, Value)> {
    let output = seam(&shop.manifest(), &["--as", host, "reconcile", "run", "--format", "json"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.code().context("an exit code")?, serde_json::from_slice(&output.stdout).with_context(|| said)?))
}

/// The totals at which the host has looked, with how many keys; an error if one could not be seen.
fn looked(list: &Value) -> Result<Vec<(String, u64)>> {
    let totals = list["totals"].as_array().context("totals")?;
    let one = |one: &Value| -> Result<(String, u64)> {
        ensure!(one["problem"].is_null(), "{one:#}");
        let name = one["total"].as_str().context("a name")?;
        Ok((name.to_owned(), one["keys"].as_u64().with_context(|| format!("{one:#}"))?))
    };
    totals.iter().map(one).collect()
}

fn authorise(shop: &Shop, order: &str, sku: &str) -> Result<()> {
    let call = format!(
        r#"payments.authorise("{order}:authorise", {{order: "{order}", customer: "C-1", lines: [{{sku: "{sku}", quantity: 1, price: 1000}}],
           shipping: 0, currency: "GBP"}}, {{number: "4242 4242 4242 4242", holder: "Ada Listener", expiry: "12/40", code: "123"}})"#
    );
    shop.call("finance", &call.replace('\n', " ")).map(drop)
}

#[test]
fn the_shops_totals_are_compared_wherever_finance_lives() -> Result<()> {
    let shop = Shop::in_one_process()?;
    shop.edit("mend = \"orders\"", "mend = \"orders\"\nevery = \"10s\"\nafter = \"0s\"")?;
    let shop = shop.with_books_to_come()?;
    let (books, host) = (shop.up_as(BOOKS, &[])?, shop.up_as(SHOP, &[])?);
    let sku = shop.album("kind of blue", 9)?;
    let mut person = Person::signed_in(&host, &demo_email(1), DEMO_PASSWORD)?;
    let (code, list) = look(&shop, SHOP)?;
    ensure!(code == 0 && looked(&list)?.len() == 5, "{code}: {list:#}");

    shop.seam_as(SHOP, &["extract", "finance", "--to", BOOKS])?;
    shop.finance_lives_at(BOOKS);
    person.buy(&sku, 1)?;
    // Each host looks at some of them, both together at all, and no other run is needed for that.
    let ((code, here), (other, there)) = (look(&shop, SHOP)?, look(&shop, BOOKS)?);
    ensure!(code == 0 && other == 0, "{code}: {here:#}, {other}: {there:#}");
    let mut all = [looked(&here)?, looked(&there)?].concat();
    all.sort();
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["copies-reserved", "copies-with-customers", "money-given-back", "money-held", "money-taken"]);
    ensure!(all.iter().all(|(name, keys)| *keys > 0 || name == "money-given-back"), "{all:?}");
    holds(&shop.verify()?)?;

    // What is under way between the hosts is never found, although nothing waits before it is said.
    let mut looks = 0;
    std::thread::scope(|scope| -> Result<()> {
        let buying = scope.spawn(|| (0..5).try_for_each(|_| person.buy(&sku, 1).map(drop)));
        while looks < 3 || !buying.is_finished() {
            let (code, list) = look(&shop, SHOP)?;
            ensure!(code == 0, "{code}: {list:#}");
            holds(&shop.verify()?)?;
            looks += 1;
        }
        buying.join().map_err(|_| anyhow::anyhow!("the shopper panicked"))?
    })?;

    // Orders, here, has the money let go that finance holds there for an order that is none.
    authorise(&shop, "LOST-2", &sku)?;
    let (code, list) = look(&shop, SHOP)?;
    ensure!(code == 0, "{list:#}");
    let payment = shop.call("finance", r#"payments.payments(["LOST-2"])"#)?;
    assert_eq!(payment[0]["stage"], "voided");
    // What it may not let go stands, there and after the way home.
    authorise(&shop, "MC-100999", &sku)?;
    let stands = |list: &Value| {
        let one = &list["disagreements"][0];
        (one["key"].clone(), one["state"].clone()) == ("MC-100999".into(), "given-up".into())
    };
    let (code, list) = look(&shop, SHOP)?;
    ensure!(code == 1 && stands(&list), "{code}: {list:#}");
    host.log_line(&["contexts disagree, and it is not mended", "MC-100999"])?;
    let said = holds(&shop.verify()?).err().context("it holds")?.to_string();
    ensure!(said.contains("money-held") && said.contains("MC-100999"), "{said}");

    shop.seam_as(SHOP, &["absorb", "finance"])?;
    shop.finance_lives_at(SHOP);
    let (code, list) = look(&shop, SHOP)?;
    ensure!(code == 1 && stands(&list) && looked(&list)?.len() == 5, "{code}: {list:#}");
    ensure!(host.stop(Duration::from_secs(20))?.success() && books.stop(Duration::from_secs(20))?.success());
    Ok(())
}
