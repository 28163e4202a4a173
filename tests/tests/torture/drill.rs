//! The drill: a backup of a shop that takes orders, restored elsewhere. And: while backups, deploys and rollbacks copy
//! and hash files under load, no other process gets into one of them.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seam_tests::books::{balance, decided};
use seam_tests::host::seam;
use seam_tests::person::Person;
use seam_tests::shop::Shop;
use seam_tests::shopping::{DEMO_PASSWORD, demo_email};
use seam_tests::{repo, wait};

/// What another process, this one, gets from a file of the host: `None` when it is kept out.
fn look_into(file: &Path) -> Result<Option<i64>> {
    let other = rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    other.busy_timeout(Duration::ZERO)?;
    match other.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)) {
        Ok(tables) => Ok(Some(tables)),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

const CONTEXTS: [&str; 5] = ["catalog", "customer", "finance", "orders", "warehouse"];

#[test]
fn a_backup_under_load_restores_a_shop_whose_books_agree_and_lets_no_other_process_in() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let sku = shop.album("kind of blue", 10_000)?;
    let files = CONTEXTS.map(|context| shop.data().join(format!("stores/{context}.db")));
    let people: Vec<Person> =
        (1..=4).map(|number| Person::signed_in(&host, &demo_email(number), DEMO_PASSWORD)).collect::<Result<_>>()?;
    let (over, confirmed, looks) = (AtomicBool::new(false), Mutex::new(Vec::new()), AtomicUsize::new(0));
    let count = || confirmed.lock().unwrap().len();
    let grown_by = |more: usize| {
        let before = count();
        wait::until(wait::TIMEOUT, || {
            Ok((count() >= before + more).then_some(()).ok_or_else(|| "no orders".to_owned()))
        })
    };
    // The warehouse as another version: a section of its own at the end, which means nothing.
    let mut version = std::fs::read(repo().join("target/components/warehouse.wasm"))?;
    version.extend(*b"\0\x05\x04note");
    let other = shop.folder.path().join("warehouse-2.wasm");
    std::fs::write(&other, version)?;
    let (before, backup) = thread::scope(|scope| -> Result<_> {
        for person in people {
            scope.spawn(|| {
                let mut person = person;
                while !over.load(Ordering::Relaxed) {
                    if let Ok(number) = person.buy(&sku, 1) {
                        confirmed.lock().unwrap().push(number);
                    }
                }
            });
        }
        let looking = scope.spawn(|| -> Result<()> {
            while !over.load(Ordering::Relaxed) {
                for file in &files {
                    ensure!(look_into(file)?.is_none(), "another process is in `{}`", file.display());
                }
                looks.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        let work = || -> Result<_> {
            grown_by(5)?;
            let before = confirmed.lock().unwrap().clone();
            let backup = shop.seam(&["backup", shop.folder.path().join("backups").to_str().context("a path")?])?;
            grown_by(3)?;
            shop.seam(&["deploy", "warehouse", other.to_str().context("a path")?])?;
            shop.seam(&["rollback", "warehouse"])?;
            grown_by(3)?;
            Ok((before, backup.trim().to_owned()))
        };
        let worked = work();
        over.store(true, Ordering::Relaxed);
        looking.join().unwrap()?;
        worked
    })?;
    assert!(looks.load(Ordering::Relaxed) > 10, "it was tried often");
    balance(&shop)?;
    assert!(host.stop(Duration::from_secs(10))?.success());
    assert!(look_into(&files[0])?.is_some(), "of a stopped host, the same look reads");

    let list: serde_json::Value = serde_json::from_slice(&std::fs::read(Path::new(&backup).join("backup.json"))?)?;
    println!("{} orders, commits waited {} ms", count(), list["held_ms"]);
    let elsewhere = Shop::new()?;
    // The ledger is sealed: without the key, its file is worth nothing.
    let refused = seam(&elsewhere.manifest(), &["restore", "--from", &backup])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(!refused.status.success() && said.contains("put the key back as"), "{said}");
    let keys = |shop: &Shop| shop.data().join("keys");
    seam_store::private::folder(&keys(&elsewhere))?;
    for key in ["finance.seal", "finance.key"] {
        seam_store::private::copy(&keys(&shop).join(key), &keys(&elsewhere).join(key))?;
    }
    elsewhere.seam(&["restore", "--from", &backup])?;
    // What the moment cut off is brought to its end, as after a power cut.
    let host = elsewhere.up()?;
    let books = decided(&elsewhere)?;
    for number in &before {
        assert_eq!(books.orders.get(number).map(|order| order.state.as_str()), Some("placed"), "order {number}");
    }
    assert!(books.orders.len() < 120 + count() + 1, "later orders are not in it");
    assert!(host.stop(Duration::from_secs(10))?.success());

    // Over a shop with files of its own, it says what is lost and waits for the flag; what it replaces is kept.
    let manifest = elsewhere.manifest();
    let run = |args: &[&str]| -> Result<(bool, String)> {
        let output = seam(&manifest, args)?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };
    let (ok, said) = run(&["restore", "orders", "finance", "--from", &backup])?;
    assert!(
        !ok && said.contains("would replace the file of `orders`, `finance`") && said.contains("--replace"),
        "{said}"
    );
    let (ok, said) = run(&["restore", "orders", "--from", &backup, "--replace"])?;
    assert!(ok && said.contains("replaced/"), "{said}");

    // Each file that is not what it was is refused by name.
    let file = |name: &str| Path::new(&backup).join(name);
    let orders = std::fs::read(file("orders.db"))?;
    let refused = |why: &str| -> Result<()> {
        let (ok, said) = run(&["restore", "orders", "--from", &backup, "--replace"])?;
        assert!(!ok && said.contains(why), "{why}: {said}");
        Ok(())
    };
    std::fs::write(file("orders.db-wal"), b"")?;
    refused("orders.db-wal` lies beside")?;
    std::fs::remove_file(file("orders.db-wal"))?;
    std::fs::copy(file("finance.db"), file("orders.db"))?;
    refused("is the file of `finance`, not of `orders`")?;
    std::fs::write(file("orders.db"), &orders[..orders.len() / 2])?;
    refused("it is cut off or another file")?;
    let mut changed = orders.clone();
    changed[orders.len() / 2] ^= 1;
    std::fs::write(file("orders.db"), &changed)?;
    refused("its SHA-256 is another")?;
    std::fs::write(file("orders.db"), &orders)?;
    let (ok, said) = run(&["restore", "orders", "--from", &backup, "--replace"])?;
    assert!(ok, "{said}");
    Ok(())
}
