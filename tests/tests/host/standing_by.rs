//! A host that is gone, stands still, or cannot reach the store of backups: the standby of its context goes on, and at
//! no moment do two hosts commit.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use seam::admin::client::Client;
use seam::admin::{CallRequest, ContextStatus};
use seam_store::{Config, Owner};
use seam_tests::System;
use seam_tests::backups::{Bucket, KEYS};
use seam_tests::caller_callee::{asking, numbers};
use seam_tests::host::{Host, seam, signal};
use seam_tests::placed::Placed;
use seam_tests::wait::{TIMEOUT, until};

/// `asking` lives on the host `books`, and `shop` is its standby; `numbers` lives on `shop`.
struct Pair {
    system: System,
    manifest: PathBuf,
}

const BOOKS: &str = "books";
const SHOP: &str = "shop";
const SOON: &str = "takeover = \"2s\"";

impl Pair {
    fn new(backup: &str, lines: &str) -> Result<Self> {
        let asks =
            format!("store = true\nat = \"books\"\nstandby = \"shop\"\n{lines}\nimports = [\"t:numbers/numbers\"]");
        let system = System::new().context("asking", &asking(), &asks)?.context("numbers", &numbers(), "")?;
        let Placed { system, manifest } = Placed::new(system.lines(&format!("[backup]\n{backup}")), &[SHOP, BOOKS])?;
        Ok(Self { system, manifest })
    }

    fn data(&self, host: &str) -> PathBuf {
        self.system.folder.path().join(if host == SHOP { "data" } else { host })
    }

    fn up(&self, host: &str) -> Result<Host> {
        Host::up_as(&self.manifest, &self.data(host), host, &KEYS)
    }

    fn both(&self) -> Result<(Host, Host)> {
        Ok((self.up(BOOKS)?, self.up(SHOP)?))
    }

    /// Writes a number on this host; whether that was acknowledged.
    fn write(&self, host: &str, number: u32) -> Result<bool> {
        let text = format!("asking.run(\"INSERT INTO t (n) VALUES ({number})\")");
        let request = CallRequest { context: "asking".into(), text, timeout_ms: 10_000 };
        Ok(Client::connect(&self.data(host))?.call(&request).is_ok_and(|said| said.wave == "ok(0)"))
    }

    /// Writes it once the host takes it.
    fn until_written(&self, host: &str, number: u32) -> Result<()> {
        until(TIMEOUT, || Ok(if self.write(host, number)? { Ok(()) } else { Err(format!("{host} takes no {number}")) }))
    }

    fn status(&self, host: &str) -> Result<ContextStatus> {
        let all = Client::connect(&self.data(host))?.contexts()?;
        all.into_iter().find(|context| context.context == "asking").context("asking")
    }

    fn until_so(&self, host: &str, what: &str, is: impl Fn(&ContextStatus) -> bool) -> Result<()> {
        until(TIMEOUT, || {
            let status = self.status(host)?;
            Ok(if is(&status) { Ok(()) } else { Err(format!("{host}: not so: {what}: {status:?}")) })
        })
    }

    fn until_serves(&self, host: &str) -> Result<()> {
        self.until_so(host, "it serves", |status| status.at.is_none())
    }

    /// Waits until the standby `host` has all that the other one has committed before now.
    fn until_ready(&self, host: &str) -> Result<()> {
        let other = if host == SHOP { BOOKS } else { SHOP };
        let now = seam::times::now_ms();
        self.until_so(other, "all is stored", |status| {
            status.backup.as_ref().is_some_and(|backup| backup.looked_ms > now && backup.behind_ms == 0)
        })?;
        let stored = self.status(other)?.backup.and_then(|backup| backup.stored_ms);
        self.until_so(host, "it is ready", |status| status.lease.as_ref().and_then(|lease| lease.ready_ms) >= stored)
    }

    /// The numbers in the file of a host that has ended, and its owner.
    fn file(&self, host: &str) -> Result<(Vec<u32>, Option<Owner>)> {
        let path = self.data(host).join("stores/asking.db");
        let owner = seam_store::owner_of(&Config::plain(path.clone(), 64))?;
        let file = rusqlite::Connection::open(&path)?;
        let mut statement = file.prepare("SELECT n FROM t ORDER BY n")?;
        Ok((statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<u32>, _>>()?, owner))
    }

    fn set_aside(&self, host: &str) -> Result<usize> {
        let names = std::fs::read_dir(self.data(host).join("stores"))?.map(|entry| Ok(entry?.file_name()));
        let names = names.collect::<Result<Vec<_>>>()?;
        Ok(names.iter().filter(|name| name.to_string_lossy().ends_with("before-move-1")).count())
    }
}

#[test]
fn the_standby_goes_on_when_the_owner_is_killed_and_when_it_stands_still() -> Result<()> {
    let pair = Pair::new("to = \"copies\"", SOON)?;
    let (books, shop) = pair.both()?;
    for number in 0..10 {
        pair.until_written(BOOKS, number)?;
    }
    pair.until_ready(SHOP)?;
    ensure!(!pair.write(SHOP, 99)?, "the standby takes no writes");
    books.kill()?;
    pair.until_serves(SHOP)?;
    pair.until_written(SHOP, 10)?;
    shop.log_line(&["has not renewed its lease", "asking"])?;

    // The old owner is the standby now. Its file is kept.
    let books = pair.up(BOOKS)?;
    assert_eq!(pair.status(BOOKS)?.at.as_deref(), Some(SHOP));
    ensure!(!pair.write(BOOKS, 98)?, "it takes no writes");
    pair.until_ready(BOOKS)?;
    books.log_line(&["commits that no other host has"])?;
    assert_eq!(pair.set_aside(BOOKS)?, 1);

    // The new owner stands still, and comes back.
    signal(shop.pid(), "STOP")?;
    pair.until_serves(BOOKS)?;
    pair.until_written(BOOKS, 11)?;
    signal(shop.pid(), "CONT")?;
    pair.until_so(SHOP, "it has seen the lease", |status| status.at.as_deref() == Some(BOOKS))?;
    ensure!(!pair.write(SHOP, 97)?, "it takes no writes any more");
    pair.until_ready(SHOP)?;

    // A planned move between the two takes the lease along.
    let moved = seam(&pair.manifest, &["extract", "asking", "--to", SHOP, "--as", BOOKS])?;
    ensure!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    pair.until_written(SHOP, 12)?;
    ensure!(!pair.write(BOOKS, 96)?);
    ensure!(shop.stop(TIMEOUT)?.success() && books.stop(TIMEOUT)?.success());
    let (numbers, owner) = pair.file(SHOP)?;
    assert_eq!(numbers, (0..13).collect::<Vec<_>>());
    assert_eq!(owner, Some(Owner { host: SHOP.to_owned(), token: 4 }));
    Ok(())
}

#[test]
fn an_owner_that_does_not_reach_the_store_of_backups_stops_to_commit_before_its_standby_begins() -> Result<()> {
    let pair = Pair::new("to = \"copies\"", SOON)?;
    let (books, shop) = pair.both()?;
    pair.until_written(BOOKS, 0)?;
    pair.until_ready(SHOP)?;
    // Away for both: nothing is taken over.
    let (copies, away) = (pair.system.folder.path().join("copies"), pair.system.folder.path().join("away"));
    std::fs::rename(&copies, &away)?;
    std::fs::write(&copies, "away")?;
    let ended = |status: &ContextStatus| status.lease.as_ref().is_some_and(|lease| lease.left_ms == Some(0));
    pair.until_so(BOOKS, "its time is over", ended)?;
    ensure!(!pair.write(BOOKS, 99)?, "nothing is committed");
    books.log_line(&["nothing is committed any more"])?;
    let said = seam(&pair.manifest, &["contexts", "--as", BOOKS])?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(said.contains("nothing is committed, its lease is not renewed"), "{said}");
    assert_eq!(pair.status(SHOP)?.at.as_deref(), Some(BOOKS));
    // It is back: the owner goes on.
    std::fs::remove_file(&copies)?;
    std::fs::rename(&away, &copies)?;
    let deadline = std::time::Instant::now() + TIMEOUT;
    let host = loop {
        match (pair.write(BOOKS, 1)?, pair.status(SHOP)?.at.is_none()) {
            (true, _) => break BOOKS,
            (_, true) => break SHOP,
            _ if std::time::Instant::now() > deadline => bail!("no host goes on"),
            _ => {}
        }
    };
    pair.until_written(host, 2)?;
    ensure!(books.stop(TIMEOUT)?.success() && shop.stop(TIMEOUT)?.success());
    let (numbers, _) = pair.file(host)?;
    ensure!(numbers.starts_with(&[0]) && numbers.ends_with(&[2]), "{numbers:?}");
    Ok(())
}

#[test]
fn no_write_that_was_answered_is_lost_where_the_context_asks_for_that() -> Result<()> {
    let pair = Pair::new("to = \"copies\"\nevery = \"1h\"", &format!("{SOON}\nacknowledge = \"replicated\""))?;
    let (books, shop) = pair.both()?;
    pair.until_written(BOOKS, 0)?;
    let (stop, written) = (AtomicBool::new(false), AtomicU32::new(1));
    let answered = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut answered = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        let number = written.fetch_add(1, Ordering::SeqCst);
                        // The host may be gone in the middle of it.
                        if pair.write(BOOKS, number).unwrap_or(false) {
                            answered.push(number);
                        }
                    }
                    answered
                })
            })
            .collect();
        let enough = until(TIMEOUT, || {
            let so_far = written.load(Ordering::SeqCst);
            Ok(if so_far > 100 { Ok(()) } else { Err(format!("{so_far} writes")) })
        });
        let killed = enough.and_then(|()| books.kill());
        stop.store(true, Ordering::SeqCst);
        let mut answered = Vec::new();
        for writer in writers {
            answered.extend(writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))?);
        }
        killed.map(|()| answered)
    })?;
    pair.until_written(SHOP, 1_000_000)?;
    ensure!(shop.stop(TIMEOUT)?.success());
    let (numbers, _) = pair.file(SHOP)?;
    let lost: Vec<_> = answered.iter().filter(|number| !numbers.contains(number)).collect();
    ensure!(lost.is_empty() && answered.len() > 50, "lost of {}: {lost:?}", answered.len());
    Ok(())
}

#[test]
fn a_lease_in_a_bucket_is_taken_over() -> Result<()> {
    let bucket = Bucket::start()?;
    let pair = Pair::new(
        &format!("to = \"s3://{}/shop\"\nendpoint = \"{}\"", bucket.name, bucket.endpoint()),
        "takeover = \"5s\"",
    )?;
    let (books, shop) = pair.both()?;
    pair.until_written(BOOKS, 0)?;
    pair.until_ready(SHOP)?;
    books.kill()?;
    pair.until_written(SHOP, 1)?;
    ensure!(shop.stop(Duration::from_secs(60))?.success());
    assert_eq!(pair.file(SHOP)?.0, [0, 1]);
    Ok(())
}
