//! Events between two running hosts, over mutual TLS: either of them is killed, and each event has its effect once.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seam::admin::CallRequest;
use seam::admin::client::Client;
use seam::delivery::SubscriptionStatus;
use seam_store::{Config, Database, Rows, Value as Stored};
use seam_tests::System;
use seam_tests::host::{Host, seam, signal};
use seam_tests::placed::Placed;
use seam_tests::publishing::{PUBLISHES, Reader, publisher};
use seam_tests::wait::{TIMEOUT, until};
use serde_json::Value;

/// `book` lives on the host `shop`, `reader` on `books`.
struct Two {
    system: System,
    manifest: PathBuf,
}

impl Two {
    fn new() -> Result<Self> {
        let subscribes = "store = true\nat = \"books\"\nsubscribes.\"t:book/events\" = { batch = 10 }";
        let system = System::new().context("book", &publisher()?, PUBLISHES)?.context(
            "reader",
            &Reader::default().component()?,
            subscribes,
        )?;
        let Placed { system, manifest } = Placed::new(system, &["shop", "books"])?;
        Ok(Self { system, manifest })
    }

    fn data(&self, host: &str) -> PathBuf {
        self.system.folder.path().join(if host == "shop" { "data" } else { host })
    }

    fn up(&self, host: &str) -> Result<Host> {
        Host::up_as(&self.manifest, &self.data(host), host, &[])
    }

    /// Publishes `count` numbers from `first` on.
    fn write(&self, first: u32, count: u32) -> Result<()> {
        let request = CallRequest {
            context: "book".into(),
            text: format!("writing.write({first}, {count}, 1)"),
            timeout_ms: 20_000,
        };
        let answer = Client::connect(&self.data("shop"))?.call(&request)?;
        ensure!(answer.ok, "{}", answer.wave);
        Ok(())
    }

    /// The subscription, as this host shows it.
    fn status(&self, host: &str) -> Result<SubscriptionStatus> {
        let mut all = Client::connect(&self.data(host))?.subscriptions()?;
        all.pop().context("a subscription")
    }

    fn until(&self, host: &str, what: &str, is: impl Fn(&SubscriptionStatus) -> bool) -> Result<()> {
        until(TIMEOUT, || {
            let status = self.status(host)?;
            Ok(if is(&status) { Ok(()) } else { Err(format!("{host}: not so: {what}: {status:?}")) })
        })
    }

    fn until_all_is_taken(&self) -> Result<()> {
        let all = |status: &SubscriptionStatus| status.lag == Some(0) && status.away.is_none();
        self.until("books", "it has everything", all)?;
        self.until("shop", "the publisher knows it", all)
    }

    /// What `seam verify` says of the events between them.
    fn verified(&self, more: &[&str]) -> Result<Value> {
        let ended = seam(&self.manifest, &[&["verify", "--format", "json"], more].concat())?;
        let report: Value = serde_json::from_slice(&ended.stdout).with_context(|| format!("{ended:?}"))?;
        let mut between =
            report["checks"].as_array().context("checks")?.iter().filter(|check| check["kind"] == "events");
        let check = between.next().with_context(|| format!("no check of events: {report}"))?;
        ensure!(between.next().is_none(), "one check of one subscription: {report}");
        Ok(check.clone())
    }

    /// What the reader has written, once its host has ended.
    fn got(&self) -> Result<Vec<i64>> {
        let file = Database::open(Config::plain(self.data("books").join("stores/reader.db"), 64))?;
        let packed = file.query("SELECT number FROM got ORDER BY rowid", &[], Instant::now() + TIMEOUT)?;
        let mut rows = Rows::new(&packed)?;
        let (mut numbers, mut row) = (Vec::new(), Vec::new());
        while rows.next_into(&mut row)? {
            numbers.extend(row.iter().filter_map(|value| match value {
                Stored::Integer(number) => Some(*number),
                _ => None,
            }));
            row.clear();
        }
        Ok(numbers)
    }
}

#[test]
fn events_cross_hosts_once_whichever_of_them_is_killed_or_frozen() -> Result<()> {
    let two = Two::new()?;
    let (shop, books) = (two.up("shop")?, two.up("books")?);
    two.write(1, 10)?;
    two.until_all_is_taken()?;

    // The publisher's host.
    shop.kill()?;
    two.until("books", "its publisher is gone", |status| {
        status.away.as_deref() == Some("`book` is not available: its host `shop` cannot be reached")
            && status.lag.is_none()
    })?;
    let shop = two.up("shop")?;
    two.write(11, 10)?;
    two.until_all_is_taken()?;

    // The subscriber's host.
    books.kill()?;
    two.write(21, 10)?;
    two.until("shop", "it lags", |status| status.lag == Some(10) && status.at.as_deref() == Some("books"))?;
    let books = two.up("books")?;
    two.until_all_is_taken()?;

    // The publisher's host does not answer, and is neither gone.
    signal(shop.pid(), "STOP")?;
    two.until("books", "its publisher is silent", |status| status.away.is_some())?;
    signal(shop.pid(), "CONT")?;
    two.write(31, 10)?;
    two.until_all_is_taken()?;

    // Either of them in the middle of many events.
    two.write(41, 2_000)?;
    books.kill()?;
    let books = two.up("books")?;
    shop.kill()?;
    let shop = two.up("shop")?;
    two.until_all_is_taken()?;
    for host in [books, shop] {
        ensure!(host.stop(Duration::from_secs(10))?.success(), "no question for events holds up the end of a host");
    }
    assert_eq!(two.got()?, (1..=2_040).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn an_operator_replays_events_of_another_host() -> Result<()> {
    let two = Two::new()?;
    let (_shop, books) = (two.up("shop")?, two.up("books")?);
    two.write(1, 3)?;
    two.until_all_is_taken()?;
    let on = |host: &str, arguments: &[&str]| -> Result<(bool, String, String)> {
        let output = seam(&two.manifest, &[&["--as", host, "events"], arguments].concat())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.success(), text(&output.stdout), text(&output.stderr)))
    };
    let position = two.status("books")?.position.context("a position")?.to_string();
    let (_, shown, _) = on("books", &["show", "reader", &position])?;
    assert!(shown.contains("\"delivered\"") && shown.contains("\"source\": \"book\""), "{shown}");
    let future = (position.parse::<u64>()? + 5).to_string();
    let (fine, _, said) = on("books", &["show", "reader", &future])?;
    assert!(!fine && said.contains(&format!("the position {future} is from the future: `book` has given")), "{said}");
    let (fine, said, _) = on("books", &["replay", "reader", "--from", "start", "--dry-run"])?;
    assert!(fine && said.contains("3 events would be delivered again"), "{said}");
    let (fine, _, said) = on("shop", &["replay", "reader", "--from", "start", "--dry-run"])?;
    assert!(!fine && said.contains("`reader` lives on host `books`"), "{said}");
    let (fine, ..) = on("books", &["replay", "reader", "--from", &position])?;
    assert!(fine);
    two.until_all_is_taken()?;
    let (_, table, _) = on("shop", &[])?;
    assert!(table.contains("ok, at books"), "{table}");
    // Without the name of a host, each command finds the one that it is about.
    let found = |arguments: &[&str]| -> Result<String> {
        let output = seam(&two.manifest, arguments)?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    assert_eq!(found(&["call", "reader", "reading.sign()"])?.trim(), "ok(1)");
    assert!(found(&["events", "show", "reader", &position])?.contains("\"source\": \"book\""));
    found(&["logs", "reader", "--lines", "0"])?;
    let all = found(&["events"])?;
    assert_eq!((all.lines().count(), all.contains("ok, at")), (2, false), "{all}");
    let contexts = found(&["contexts"])?;
    let names: Vec<_> = contexts.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!((names, contexts.contains(" at ")), (vec!["CONTEXT", "book", "reader"], false), "{contexts}");
    books.stop(Duration::from_secs(10))?;
    assert_eq!(two.got()?, [1, 2, 3, 3]);
    Ok(())
}

#[test]
fn what_a_subscriber_has_taken_is_verified_with_the_outbox_on_another_host_that_runs_or_is_stopped() -> Result<()> {
    let two = Two::new()?;
    let (shop, books) = (two.up("shop")?, two.up("books")?);
    two.write(1, 10)?;
    two.until_all_is_taken()?;
    let holds = |found: &Value| found["outcome"] == "holds" && found["keys"] == 10;
    let found = two.verified(&[])?;
    ensure!(holds(&found), "{found}");
    let found = two.verified(&["--as", "books"])?;
    ensure!(holds(&found), "the subscriber's host alone: {found}");

    ensure!(shop.stop(Duration::from_secs(10))?.success());
    let found = two.verified(&[])?;
    let why = "host `shop` does not say what `book` has published";
    ensure!(found["outcome"] == "unchecked" && found["why"].to_string().contains(why), "{found}");
    ensure!(books.stop(Duration::from_secs(10))?.success());
    let found = two.verified(&[])?;
    ensure!(holds(&found), "the files of both hosts: {found}");

    let reader = || rusqlite::Connection::open(two.data("books").join("stores/reader.db"));
    ensure!(reader()?.execute("UPDATE seam_inbox SET at = at + 1000000", [])? == 1);
    let ahead = |found: &Value| found["outcome"] == "violated" && found["examples"].to_string().contains("up to");
    let found = two.verified(&[])?;
    ensure!(ahead(&found), "the files of both hosts: {found}");
    let (_shop, _books) = (two.up("shop")?, two.up("books")?);
    let found = two.verified(&[])?;
    ensure!(ahead(&found), "both running: {found}");
    Ok(())
}
