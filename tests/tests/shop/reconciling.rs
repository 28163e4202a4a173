//! What the shop's contexts disagree on: found, said, mended by orders where an order is over, and left to a person
//! where it stands; also when the host is killed in the middle.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use seam_tests::books::holds;
use seam_tests::repo;
use seam_tests::shop::Shop;
use seam_tests::wait::until;
use serde_json::Value;

/// A shop that looks as often as it may, and does not wait.
fn shop() -> Result<Shop> {
    let shop = Shop::new()?;
    shop.edit("mend = \"orders\"", "mend = \"orders\"\nevery = \"10s\"\nafter = \"0s\"")?;
    Ok(shop)
}

/// Runs `seam reconcile ARGS`: its exit code, and what it answers.
fn reconcile(shop: &Shop, args: &[&str]) -> Result<(i32, Value)> {
    let args: Vec<&str> = ["reconcile"].iter().chain(args).chain(&["--format", "json"]).copied().collect();
    let output = shop.run(&args)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.code().context("an exit code")?, serde_json::from_slice(&output.stdout).with_context(|| said)?))
}

/// Those of a list: key and state.
fn states(list: &Value) -> Vec<(String, String)> {
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let all = list["disagreements"].as_array().into_iter().flatten();
    all.map(|one| (text(one, "key"), text(one, "state"))).collect()
}

fn forget_a_reservation(shop: &Shop, order: &str, sku: &str) -> Result<()> {
    let reserve = format!("fulfilment.reserve({order:?}, [{{sku: {sku:?}, copies: 2}}])");
    shop.call("warehouse", &reserve).map(drop)
}

/// A placed order of two copies.
fn order(shop: &Shop, sku: &str, key: &str) -> Result<String> {
    let quote = shop.call("orders", &format!(r#"ordering.get-quote([{{sku: "{sku}", copies: 2}}])"#))?;
    let total = quote["total"].as_u64().context("a total")?;
    let place = format!(
        r#"ordering.place("{key}", {{customer: "C-{key}", lines: [{{sku: "{sku}", copies: 2}}],
           address: {{name: "Ada Listener", street: "1 Groove Lane", extra: "", city: "Bristol", postcode: "BS1 4DJ", country: "GB"}},
           card: {{number: "4242 4242 4242 4242", holder: "Ada Listener", expiry: "12/40", code: "123"}},
           total: {total}, from: "192.0.2.7"}})"#
    );
    let order = shop.call("orders", &place.replace('\n', " "))?;
    Ok(order["number"].as_str().context("a number")?.to_owned())
}

/// How often copies were put back for an order.
fn released(shop: &Shop, sku: &str, order: &str) -> Result<usize> {
    let history = shop.call("warehouse", &format!("stock.history({sku:?}, 50)"))?;
    let movements = history.as_array().context("movements")?;
    Ok(movements.iter().filter(|one| one["cause"] == "released" && one["reference"] == order).count())
}

#[test]
fn a_forgotten_reservation_is_found_said_and_released_by_itself() -> Result<()> {
    let shop = shop()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 9)?;
    holds(&shop.verify()?)?;
    forget_a_reservation(&shop, "LOST-1", &sku)?;
    ensure!(holds(&shop.verify()?).is_err(), "the warehouse keeps copies for an order that is not there");
    let key = format!("LOST-1 {sku}");
    // By time: the operator does nothing.
    until(Duration::from_secs(60), || {
        let (code, list) = reconcile(&shop, &["--all"])?;
        let is_mended = code == 0 && states(&list) == [(key.clone(), "mended".to_owned())];
        Ok(if is_mended { Ok(()) } else { Err(format!("{code}: {list:#}")) })
    })?;
    holds(&shop.verify()?)?;
    assert_eq!(released(&shop, &sku, "LOST-1")?, 1);
    host.log_line(&["contexts disagree; `orders` is asked to mend it", "LOST-1"])?;
    host.log_line(&["the contexts agree again", "LOST-1", "mended"])?;
    let audit: Value = serde_json::from_str(&shop.seam(&["audit", "--format", "json"])?)?;
    assert_eq!(audit[0]["who"], "the host");
    assert_eq!(audit[0]["command"], format!("seam reconcile mend copies-reserved '{key}'"));
    assert_eq!(audit[0]["outcome"], "done: `orders` says that it has mended it");
    let metrics = shop.host_of(&host, "orders").get("/metrics")?.text();
    for line in [
        "seam_mends_total{answer=\"mended\",total=\"copies-reserved\"} 1",
        "seam_disagreements{state=\"open\",total=\"copies-reserved\"} 0",
        "seam_disagreements_unkept{total=\"copies-with-customers\"} 0",
    ] {
        assert!(metrics.contains(line), "no `{line}` in:\n{metrics}");
    }
    let (code, shown) = reconcile(&shop, &["show", "copies-reserved", &key])?;
    assert_eq!((code, shown["attempts"].as_u64(), shown["answer"].as_str()), (0, Some(1), Some("mended")));
    assert!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn what_orders_cannot_mend_stays_open_until_a_person_has_seen_to_it() -> Result<()> {
    let shop = shop()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 9)?;
    // The warehouse has let the copies of a placed order go.
    let placed = order(&shop, &sku, "a")?;
    shop.call("warehouse", &format!("fulfilment.release({placed:?})"))?;
    // Copies are kept under a number that an order to come will have.
    forget_a_reservation(&shop, "MC-100999", &sku)?;
    let (code, list) = reconcile(&shop, &["run"])?;
    let (missing, ahead) = (format!("{placed} {sku}"), format!("MC-100999 {sku}"));
    let given_up = |key: &str| (key.to_owned(), "given-up".to_owned());
    assert_eq!((code, states(&list)), (1, vec![given_up(&missing), given_up(&ahead)]), "{list:#}");
    let answer = |key: &str| -> Result<String> {
        let (_, shown) = reconcile(&shop, &["show", "copies-reserved", key])?;
        Ok(shown["answer"].as_str().context("an answer")?.to_owned())
    };
    assert!(answer(&missing)?.contains("refused: the order is placed"), "{}", answer(&missing)?);
    assert!(answer(&ahead)?.contains("a new one may get this number"), "{}", answer(&ahead)?);
    host.log_line(&["contexts disagree, and it is not mended", &placed])?;
    let metrics = shop.host_of(&host, "orders").get("/metrics")?.text();
    let line = "seam_disagreements{state=\"given-up\",total=\"copies-reserved\"} 2";
    assert!(metrics.contains(line), "{metrics}");
    // A look does not ask again, and a start forgets nothing.
    assert!(host.stop(Duration::from_secs(10))?.success());
    let host = shop.up()?;
    let (code, list) = reconcile(&shop, &["run", "copies-reserved"])?;
    assert_eq!((code, states(&list).len(), list["disagreements"][0]["attempts"].as_u64()), (1, 2, Some(1)), "{list:#}");

    // A person cancels the order, accepts what is kept, and has both in the audit log.
    let command = ["accept", "copies-reserved", &ahead, "--why", "kept for the fair"];
    let (code, preview) = reconcile(&shop, &command)?;
    assert_eq!((code, preview["done"].as_bool()), (0, Some(false)));
    let (code, done) = reconcile(&shop, &[&command[..], &["--yes"]].concat())?;
    assert_eq!((code, done["disagreement"]["state"].as_str()), (0, Some("accepted")), "{done:#}");
    shop.call("orders", &format!(r#"desk.cancel("c", "{placed}", "no copies")"#))?;
    let (code, list) = reconcile(&shop, &["run", "copies-reserved"])?;
    assert_eq!((code, states(&list)), (0, vec![(ahead.clone(), "accepted".to_owned())]), "{list:#}");
    let (_, shown) = reconcile(&shop, &["show", "copies-reserved", &missing])?;
    assert_eq!(shown["state"], "gone");
    let audit: Value = serde_json::from_str(&shop.seam(&["audit", "--format", "json"])?)?;
    assert_eq!(
        (audit[0]["why"].as_str(), audit[0]["outcome"].as_str()),
        (Some("kept for the fair"), Some("done: accepted until its amounts change"))
    );
    drop(host);
    Ok(())
}

/// Money that is held for orders that are over, in each way that finance can come to hold it.
#[test]
fn money_that_is_held_for_an_order_that_is_over_is_let_go() -> Result<()> {
    let shop = shop()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 9)?;
    let authorise = |order: &str| {
        let call = format!(
            r#"payments.authorise("{order}:authorise", {{order: "{order}", customer: "C-1", lines: [{{sku: "{sku}", quantity: 1, price: 1000}}],
               shipping: 0, currency: "GBP"}}, {{number: "4242 4242 4242 4242", holder: "Ada Listener", expiry: "12/40", code: "123"}})"#
        );
        shop.call("finance", &call.replace('\n', " "))
    };
    authorise("LOST-2")?;
    let (code, list) = reconcile(&shop, &["run", "money-held"])?;
    assert_eq!((code, states(&list)), (0, vec![]), "{list:#}");
    let payment = shop.call("finance", r#"payments.payments(["LOST-2"])"#)?;
    assert_eq!(payment[0]["stage"], "voided");
    holds(&shop.verify()?)?;
    drop(host);
    Ok(())
}

#[test]
fn killed_in_the_middle_of_a_mend_it_is_mended_once_after_the_start() -> Result<()> {
    for point in ["reconcile.before-mend", "reconcile.after-mend"] {
        let shop = shop()?;
        let fault = shop.folder.path().join("fault");
        let armed = format!("@{}", fault.display());
        let host = shop.up_with(&[("SEAM_FAULT", &armed)])?;
        let sku = shop.album("kind of blue", 9)?;
        std::fs::write(&fault, format!("{point}:kill:1"))?;
        forget_a_reservation(&shop, "LOST-1", &sku)?;
        // The host dies before it answers.
        ensure!(!shop.run(&["reconcile", "run"])?.status.success(), "{point}");
        shop.host_of(&host, "orders").dies(Duration::from_secs(10))?;
        host.kill()?;
        let host = shop.up()?;
        // It is known to have been asked, and nothing was answered.
        let (_, before) = reconcile(&shop, &["show", "copies-reserved", &format!("LOST-1 {sku}")])?;
        assert_eq!((before["attempts"].as_u64(), before["answer"].as_str()), (Some(1), None), "{point}: {before:#}");
        let (code, list) = reconcile(&shop, &["run"])?;
        assert_eq!((code, states(&list)), (0, vec![]), "{point}: {list:#}");
        assert_eq!(released(&shop, &sku, "LOST-1")?, 1, "{point}: the copies went back once");
        let (_, after) = reconcile(&shop, &["show", "copies-reserved", &format!("LOST-1 {sku}")])?;
        assert_eq!((&after["state"], &after["id"]), (&Value::from("mended"), &before["id"]), "{point}");
        let audit: Value = serde_json::from_str(&shop.seam(&["audit", "--format", "json"])?)?;
        let cut_off = audit.as_array().into_iter().flatten().filter(|line| line["outcome"].is_null()).count();
        assert_eq!(cut_off, 1, "{point}: {audit:#}");
        holds(&shop.verify()?)?;
        drop(host);
    }
    Ok(())
}

#[test]
fn the_page_about_reconciling_does_what_it_says() -> Result<()> {
    let page = std::fs::read_to_string(repo().join("docs/reconcile.md"))?;
    let shop = shop()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 9)?;
    let commands: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("    seam ")).collect();
    assert!(commands.len() >= 6, "{commands:?}");
    // The page's key: copies that are kept under a number that an order to come will have.
    forget_a_reservation(&shop, "MC-100121", &sku)?;
    for line in &commands {
        let command = line.split(" # ").next().unwrap_or_default().trim().replace("MC-0042", &sku);
        let (mut args, mut quoted) = (Vec::new(), command.split('\''));
        while let Some(plain) = quoted.next() {
            args.extend(plain.split_whitespace().map(str::to_owned));
            args.extend(quoted.next().map(str::to_owned));
        }
        let output = shop.run(&args.iter().map(String::as_str).collect::<Vec<_>>())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // While it stands, commands end with 1; none is wrong usage.
        ensure!(matches!(output.status.code(), Some(0 | 1)) && !said.contains("error"), "seam {command}: {said}");
    }
    let (code, list) = reconcile(&shop, &[])?;
    assert_eq!((code, states(&list)), (0, vec![(format!("MC-100121 {sku}"), "accepted".to_owned())]), "{list:#}");
    drop(host);
    Ok(())
}
