//! The shop's invariants: they hold with the demo's data and under load, in the running shop, the stopped one and a
//! backup; and each finds what is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use seam::verify::{Check, CheckKind, Outcome, Report, Verdict};
use seam_tests::books::holds;
use seam_tests::host::seam;
use seam_tests::repo;
use seam_tests::shop::Shop;

/// Runs `seam verify` for all hosts, or of the backups that they have made, if there are any: its exit code, and what
/// it says.
fn verify(shop: &Shop, backups: &BTreeMap<&str, String>) -> Result<(i32, Report)> {
    let named = backups.values().flat_map(|backup| ["--backup", backup.as_str()]);
    let args: Vec<&str> = ["verify", "--format", "json"].into_iter().chain(named).collect();
    let output = seam(&shop.manifest(), &args)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).with_context(|| said)?;
    Ok((output.status.code().context("an exit code")?, report))
}

/// Checks by their names, with their contexts and whether they hold.
fn held<'r>(checks: impl IntoIterator<Item = &'r Check>) -> BTreeSet<(String, String, bool)> {
    let one = |check: &Check| {
        let holds = matches!(check.outcome, Outcome::Holds { .. });
        (check.contexts.join(" "), check.name.clone(), holds)
    };
    checks.into_iter().map(one).collect()
}

fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path)?;
        // SQLite makes an empty log for a file that it only reads.
        if !bytes.is_empty() {
            files.insert(name, bytes);
        }
    }
    Ok(files)
}

#[test]
fn everything_that_the_shop_declares_holds_running_stopped_and_in_a_backup() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    shop.until_all_is_delivered()?;
    let running = shop.verify()?;
    holds(&running)?;
    // Not vacuous: every check of every file, every invariant and every total had something to look at.
    let all = held(&running.checks);
    assert!(all.iter().all(|(_, _, holds)| *holds), "{all:?}");
    let count = |kind| running.checks.iter().filter(|check| check.kind == kind).count();
    // A second copy of recommendation has files of its own.
    let copies = shop.placement.copies().count().saturating_sub(1);
    assert_eq!(count(CheckKind::File), 14 + 2 * copies, "{all:?}");
    assert_eq!(count(CheckKind::Total), 5, "{all:?}");
    assert_eq!(count(CheckKind::Invariant), 12, "{all:?}");
    let none = BTreeMap::new();
    let (code, of_command) = verify(&shop, &none)?;
    assert_eq!((code, held(&of_command.checks)), (0, all.clone()));

    let backup = |host| anyhow::Ok((host, shop.seam_as(host, &["backup"])?.trim().to_owned()));
    let backups = shop.hosts().into_iter().map(backup).collect::<Result<BTreeMap<_, _>>>()?;
    let (code, copied) = verify(&shop, &backups)?;
    assert_eq!((code, held(&copied.checks)), (0, all.clone()), "beside the running host");
    assert!(host.stop(Duration::from_secs(10))?.success());
    let (code, copied) = verify(&shop, &backups)?;
    assert_eq!((code, held(&copied.checks)), (0, all.clone()), "without a host");

    let all_files = || shop.hosts().into_iter().map(|host| files(&shop.data_at(host).join("stores")));
    let before = all_files().collect::<Result<Vec<_>>>()?;
    let (code, stopped) = verify(&shop, &none)?;
    assert_eq!((code, held(&stopped.checks)), (0, all));
    assert!(all_files().collect::<Result<Vec<_>>>()? == before, "it changes nothing");

    // One byte of one file of the backup: that file is not trusted, and the others are still checked.
    let file = Path::new(&backups[shop.host_name("warehouse")]).join("warehouse.db");
    let mut bytes = std::fs::read(&file)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes)?;
    let (code, damaged) = verify(&shop, &backups)?;
    assert_eq!((code, damaged.verdict), (1, Verdict::Violated));
    let at = |name: &str| held(&damaged.checks).iter().find(|(_, check, _)| check == name).map(|(_, _, holds)| *holds);
    assert_eq!((at("file-is-there"), at("copies-reserved")), (Some(false), Some(false)));
    assert_eq!(at("money-held"), Some(true), "wherever its contexts live");
    Ok(())
}

/// A change of one row of a store that no code of the shop makes, and a check that names it.
const DAMAGE: &[(&str, &str, &str)] = &[
    ("finance", "UPDATE lines SET amount = amount + 1 WHERE entry = 1 AND position = 0", "ledger-sums-to-zero"),
    (
        "finance",
        "UPDATE lines SET account = 'refunds' WHERE entry = 1 AND position = 1",
        "lines-are-those-of-their-entry",
    ),
    ("finance", "UPDATE totals SET debit = debit + 1 WHERE account = 'receivable'", "accounts-follow-lines"),
    (
        "finance",
        "UPDATE balances SET balance = 5 WHERE customer = (SELECT min(customer) FROM balances)",
        "customers-owe-nothing",
    ),
    (
        "finance",
        "UPDATE payments SET refunded = refunded + 1
         WHERE number = (SELECT min(number) FROM payments WHERE stage = 'captured' AND refunded < amount)",
        "paid-is-captured-less-refunded",
    ),
    ("finance", "DELETE FROM payments WHERE invoice = (SELECT min(invoice) + 1 FROM payments)", "numbers-have-no-gap"),
    (
        "finance",
        "UPDATE payments SET stage = 'voided', voided = 1
         WHERE number = (SELECT min(number) FROM payments WHERE stage = 'authorised')",
        "money-held",
    ),
    (
        "finance",
        "UPDATE payments SET amount = amount + 1
         WHERE number = (SELECT min(number) FROM payments WHERE stage = 'captured')",
        "money-taken",
    ),
    (
        "finance",
        "UPDATE payments SET refunded = 0 WHERE number = (SELECT min(number) FROM payments WHERE refunded > 0)",
        "money-given-back",
    ),
    (
        "orders",
        "UPDATE orders SET state = 'cancelled' WHERE number = (SELECT min(number) FROM orders WHERE state = 'placed')",
        "history-ends-in-the-state",
    ),
    ("orders", "UPDATE orders SET total = total + 1 WHERE id = 1", "prices-add-up"),
    (
        "orders",
        "UPDATE orders SET doing = 'ship', doing_since = at
         WHERE number = (SELECT min(number) FROM orders WHERE state = 'placed')",
        "nothing-stays-half-done",
    ),
    (
        "orders",
        "UPDATE orders SET state = 'rejected' WHERE number = (SELECT min(number) FROM orders WHERE state = 'placed')",
        "copies-reserved",
    ),
    (
        "warehouse",
        "UPDATE levels SET on_hand = on_hand - 1 WHERE sku = (SELECT min(sku) FROM levels WHERE on_hand > 0)",
        "copies-add-up",
    ),
    (
        "warehouse",
        "UPDATE levels SET on_hand = on_hand - 1, received = received - 1
         WHERE sku = (SELECT min(l.sku) FROM levels AS l JOIN movements AS m ON m.sku = l.sku WHERE l.on_hand > 0)",
        "stock-follows-movements",
    ),
    (
        "warehouse",
        "UPDATE levels SET reserved = reserved + 1, received = received + 1
         WHERE sku = (SELECT min(sku) FROM levels)",
        "levels-follow-orders",
    ),
    (
        "warehouse",
        "UPDATE lines SET returned = returned + 1 WHERE (number, sku) = (
           SELECT l.number, l.sku FROM lines AS l JOIN orders AS o ON o.number = l.number
           WHERE o.stage = 2 AND l.returned < l.copies LIMIT 1)",
        "copies-with-customers",
    ),
    ("recommendation", "UPDATE seam_inbox SET at = at + 1000000000000", "musiccorp:orders/events"),
    ("warehouse", "INSERT INTO lines (number, sku, copies) VALUES ('NOWHERE', 'A', 1)", "foreign-keys-hold"),
];

/// Runs `sql`, which changes one row, without the triggers and checks that would refuse it.
fn damage(file: &Path, sql: &str) -> Result<()> {
    let store = rusqlite::Connection::open(file)?;
    store.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")?;
    let triggers: Vec<(String, String)> = store
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (name, _) in &triggers {
        store.execute_batch(&format!("DROP TRIGGER {name}"))?;
    }
    let changed = store.execute(sql, [])?;
    triggers.iter().try_for_each(|(_, sql)| store.execute_batch(sql))?;
    ensure!(changed == 1, "{changed} rows: {sql}");
    Ok(())
}

#[test]
fn every_invariant_finds_what_it_is_there_for() -> Result<()> {
    let shop = Shop::new()?;
    // Seals would name what is damaged before any invariant is asked. An encrypted file is not damaged from here.
    let manifest = std::fs::read_to_string(shop.manifest())?;
    let unsealed = manifest.replace("{ encrypted = true, sealed = [\"entries\", \"givers\", \"lines\"] }", "true");
    ensure!(unsealed != manifest, "the ledger is sealed otherwise");
    std::fs::write(shop.manifest(), unsealed)?;
    let host = shop.up()?;
    shop.until_all_is_delivered()?;
    assert!(host.stop(Duration::from_secs(10))?.success());
    let none = BTreeMap::new();
    let (_, sound) = verify(&shop, &none)?;
    holds(&sound)?;
    let kept = tempfile::tempdir()?;
    // What two contexts must agree on is looked at where both have their files.
    let beside = |context: &str| shop.host_name(context) == shop.host_name("orders");
    let compared = |name: &str| match name {
        "musiccorp:orders/events" => beside("recommendation"),
        name => !name.starts_with("money-") || beside("finance"),
    };
    for (context, sql, name) in DAMAGE.iter().filter(|(_, _, name)| compared(name)) {
        let file = shop.store(context);
        let copy = kept.path().join("kept.db");
        std::fs::copy(&file, &copy)?;
        damage(&file, sql).with_context(|| format!("{context}: {sql}"))?;
        let (code, report) = verify(&shop, &none)?;
        let check =
            report.checks.iter().find(|check| check.name == *name && check.contexts.iter().any(|one| one == context));
        let check = check.with_context(|| format!("no check {name} of {context}"))?;
        ensure!(code == 1 && report.verdict == Verdict::Violated, "{name}: {report:#?}");
        let Outcome::Violated { count, examples, .. } = &check.outcome else {
            anyhow::bail!("{name} after {sql}: {check:?}");
        };
        ensure!(*count >= 1 && !examples[0][0].is_empty(), "{check:?}");
        std::fs::copy(&copy, &file)?;
    }
    // Each invariant and each total has found something.
    let declared = sound.checks.iter().filter(|check| check.kind != CheckKind::File).map(|check| check.name.as_str());
    let damaged: BTreeSet<&str> = DAMAGE.iter().map(|(_, _, name)| *name).collect();
    let untested: Vec<_> = declared.filter(|name| !damaged.contains(name)).collect();
    assert!(untested.is_empty(), "{untested:?}");
    let (code, _) = verify(&shop, &none)?;
    assert_eq!(code, 0, "all is as it was");
    Ok(())
}

/// How many orders are made under load, by so many people at once.
const ORDERS: usize = 240;
const PEOPLE: usize = 4;

/// Places an order, and does with it what its number says: nothing, cancel, ship, or ship and take back.
fn one_order(shop: &Shop, sku: &str, price: u64, number: usize) -> Result<()> {
    let place = format!(
        r#"ordering.place("load-{number}", {{customer: "C-load-{number}", lines: [{{sku: "{sku}", copies: 1}}],
           address: {{name: "Ada Listener", street: "1 Groove Lane", extra: "", city: "Bristol", postcode: "BS1 4DJ", country: "GB"}},
           card: {{number: "4242 4242 4242 4242", holder: "Ada Listener", expiry: "12/40", code: "123"}},
           total: {price}, from: "192.0.2.{}"}})"#,
        number % 200
    );
    let order = shop.call("orders", &place.replace('\n', " "))?["number"].as_str().context("a number")?.to_owned();
    let does = |call: String| shop.call("orders", &call).map(drop);
    if number.is_multiple_of(4) {
        return does(format!(r#"desk.cancel("c-{number}", "{order}", "changed my mind")"#));
    }
    if number % 4 >= 2 {
        does(format!(r#"desk.ship("s-{number}", "{order}")"#))?;
    }
    if number % 4 == 3 {
        let lines = format!(r#"[{{sku: "{sku}", copies: 1}}]"#);
        does(format!(r#"ordering.request-return("r-{number}", "C-load-{number}", "{order}", {lines})"#))?;
        does(format!(r#"desk.receive-return("b-{number}", "{order}")"#))?;
    }
    Ok(())
}

#[test]
fn work_in_flight_gives_no_false_alarm() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 10_000)?;
    let quote = shop.call("orders", &format!(r#"ordering.get-quote([{{sku: "{sku}", copies: 1}}])"#))?;
    let price = quote["total"].as_u64().context("a total")?;
    let (done, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let in_flight = std::thread::scope(|scope| -> Result<usize> {
        let people: Vec<_> = (0..PEOPLE)
            .map(|person| {
                let (shop, sku, done) = (&shop, &sku, &done);
                scope.spawn(move || -> Result<()> {
                    for number in (person..ORDERS).step_by(PEOPLE) {
                        one_order(shop, sku, price, number)?;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        let verifying = scope.spawn(|| -> Result<usize> {
            let mut in_flight = 0;
            while !over.load(Ordering::Relaxed) {
                let before = done.load(Ordering::Relaxed);
                holds(&shop.verify()?)?;
                in_flight += usize::from((1..ORDERS).contains(&before));
            }
            Ok(in_flight)
        });
        let ended: Vec<_> = people.into_iter().map(|person| person.join().expect("no panic")).collect();
        over.store(true, Ordering::Relaxed);
        let verified = verifying.join().expect("no panic");
        ended.into_iter().collect::<Result<()>>()?;
        verified
    })?;
    println!("verified {in_flight} times while {ORDERS} orders were under way");
    assert!(in_flight >= 5, "hardly any verification fell into the load: {in_flight}");
    holds(&shop.verify()?)?;
    drop(host);
    Ok(())
}

#[test]
fn the_page_about_verifying_does_what_it_says() -> Result<()> {
    let page = std::fs::read_to_string(repo().join("docs/verify.md"))?;
    let shop = Shop::new()?;
    let host = shop.up()?;
    let backup = shop.seam(&["backup"])?;
    let name = Path::new(backup.trim()).file_name().context("a name")?.to_string_lossy().into_owned();
    let commands: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("    seam ")).collect();
    assert!(commands.len() >= 4, "{commands:?}");
    for line in &commands {
        let command = line.split(" # ").next().unwrap_or_default().trim();
        let args: Vec<String> = command.split_whitespace().map(|word| word.replace("NAME", &name)).collect();
        let output = shop.run(&args.iter().map(String::as_str).collect::<Vec<_>>())?;
        // A backup of one host of several does not say what the others have.
        let is_a_part = shop.hosts().len() > 1 && command.contains("--backup");
        let expected = if is_a_part { 2 } else { 0 };
        ensure!(output.status.code() == Some(expected), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    drop(host);
    Ok(())
}
