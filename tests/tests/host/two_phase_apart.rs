//! Transactions over the files of contexts that live on three hosts: all or nothing, also when one of the hosts is
//! killed at any moment of one, or hears nothing of its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use seam_tests::System;
use seam_tests::host::{Host, seam, signal};
use seam_tests::joint::{COMMIT, DESK, ROLL_BACK, Said, WITHOUT_RIGHT, desk, keeper, keeper_that_calls};
use seam_tests::placed::Placed;
use seam_tests::wait::{TIMEOUT, until};

/// The coordinator's, and those of `left` and `right`.
const HOSTS: [&str; 3] = ["shop", "books", "stock"];

struct Three {
    system: System,
    manifest: PathBuf,
    up: BTreeMap<&'static str, Host>,
    /// The numbers that the desk, `left` and `right` are to have.
    expect: [Vec<u32>; 3],
}

const WRITTEN: Said = Said { left: 0, right: 0, end: "ok" };

impl Three {
    fn new() -> Result<Self> {
        Self::with(&keeper("left")?, "")
    }

    /// `left` calls `right`.
    fn in_a_row() -> Result<Self> {
        Self::with(&keeper_that_calls("left", Some("right"))?, "\nimports = [\"t:right/keeping\"]")
    }

    fn with(left: &[u8], more: &str) -> Result<Self> {
        let system = System::new()
            .context("desk", &desk()?, DESK)?
            .context("left", left, &format!("store = true\nat = \"books\"{more}"))?
            .context("right", &keeper("right")?, "store = true\nat = \"stock\"")?;
        let Placed { system, manifest } = Placed::new(system, &HOSTS)?;
        Ok(Self { system, manifest, up: BTreeMap::new(), expect: Default::default() })
    }

    fn data(&self, host: &str) -> PathBuf {
        self.system.folder.path().join(if host == "shop" { "data" } else { host })
    }

    fn seam(&self, host: &str, arguments: &[&str]) -> Result<std::process::Output> {
        seam(&self.manifest, &[&["--as", host], arguments].concat())
    }

    fn start(&mut self, host: &'static str, fault: &str) -> Result<()> {
        self.up.remove(host);
        let started = Host::up_as(&self.manifest, &self.data(host), host, &[("SEAM_FAULT", fault)])?;
        self.up.insert(host, started);
        Ok(())
    }

    fn host(&self, host: &str) -> Result<&Host> {
        self.up.get(host).with_context(|| format!("host {host}"))
    }

    /// Has the desk write a number in all three files, and notes in which of them it is. `None`: no answer.
    fn write(&mut self, number: u32) -> Result<Option<Said>> {
        let Some(said) = self.call(number, COMMIT)? else { return Ok(None) };
        // A callee that says that it cannot write, as its file is held, is no part; the desk commits all the same.
        let has = said.end == "ok";
        for (numbers, has) in self.expect.iter_mut().zip([has, has && said.left == 0, has && said.right == 0]) {
            numbers.extend(has.then_some(number));
        }
        Ok(Some(said))
    }

    fn call(&self, number: u32, how: u32) -> Result<Option<Said>> {
        let called = self.seam("shop", &["call", "desk", &format!("work.write({number}, {how})")])?;
        let said = String::from_utf8_lossy(&called.stdout).trim().to_owned();
        let code = said.strip_prefix("ok(").and_then(|code| code.strip_suffix(')')?.parse().ok());
        Ok(code.and_then(|code: u32| Said::of(code)))
    }

    /// Has `left` alone be called, which calls `right`, and notes which file has the number.
    fn through_left(&mut self, number: u32, how: u32) -> Result<Option<Said>> {
        let said = self.call(number, how | WITHOUT_RIGHT)?;
        // Without an answer of `right`, `left` says so, and what it has written itself commits with the desk.
        if let Some(said) = said.filter(|said| said.end == "ok") {
            let has = [true, true, said.left == 0];
            self.expect.iter_mut().zip(has).for_each(|(numbers, has)| numbers.extend(has.then_some(number)));
        }
        Ok(said)
    }

    /// Waits until no file waits for a decision, and one transaction has written all three.
    fn until_at_rest(&mut self, first: u32) -> Result<()> {
        until(TIMEOUT, || {
            for host in HOSTS {
                let shown = self.seam(host, &["transactions", "--format", "json"])?;
                let shown: serde_json::Value = serde_json::from_slice(&shown.stdout)?;
                if shown["in_doubt"].as_array().is_none_or(|files| !files.is_empty()) {
                    return Ok(Err(format!("{host}: {}", shown["in_doubt"])));
                }
            }
            Ok(Ok(()))
        })?;
        let mut number = first;
        until(TIMEOUT, || {
            number += 1;
            let said = self.write(number)?;
            Ok(if said == Some(WRITTEN) { Ok(()) } else { Err(format!("{said:?}")) })
        })
    }

    /// That the three files have what they are to have, once the hosts have ended.
    fn agree(mut self) -> Result<()> {
        for (_, host) in std::mem::take(&mut self.up) {
            ensure!(host.stop(TIMEOUT)?.success(), "a host does not end");
        }
        let of = |host: &str, context: &str| -> Result<Vec<u32>> {
            let file = rusqlite::Connection::open(self.data(host).join(format!("stores/{context}.db")))?;
            let mut statement = file.prepare("SELECT number FROM got ORDER BY number")?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        };
        let numbers = [of("shop", "desk")?, of("books", "left")?, of("stock", "right")?];
        ensure!(numbers == self.expect, "{numbers:?}, not {:?}", self.expect);
        Ok(())
    }
}

/// Each point at which a transaction can be interrupted, on which host, and whether it is decided by then.
const POINTS: [(&str, &str, bool); 7] = [
    ("books", "two-phase.before-vote:kill:1", false),
    ("stock", "two-phase.after-vote:kill:1", false),
    ("shop", "two-phase.before-decision:kill:1", false),
    ("shop", "two-phase.after-decision:kill:1", true),
    ("books", "two-phase.before-commit:error:1", true),
    ("stock", "two-phase.after-commit:kill:1", true),
    ("books", "two-phase.after-clear:kill:1", true),
];

#[test]
fn a_transaction_over_three_hosts_is_finished_or_undone_whichever_of_them_is_killed() -> Result<()> {
    let mut three = Three::new()?;
    for host in HOSTS {
        three.start(host, "")?;
    }
    three.until_at_rest(0)?;
    for (at, (host, fault, decided)) in (1..).zip(POINTS) {
        three.start(host, fault)?;
        let mut number = 1_000 * at;
        // A transaction that finds a host not called again yet comes to no point.
        let reached = |three: &Three| match fault.contains("error") {
            true => Ok::<_, anyhow::Error>(three.host(host)?.log()?.contains("could not be kept yet")),
            false => Ok(three.host(host)?.dies(Duration::from_millis(100)).is_ok()),
        };
        let mut said = three.write(number)?;
        while !reached(&three)? {
            number += 1;
            ensure!(number < 1_000 * at + 100, "{host}, {fault}: never reached, {said:?}");
            said = three.write(number)?;
        }
        ensure!(decided || said != Some(WRITTEN), "{host}, {fault}: {said:?}");
        if decided && said.is_none() {
            three.expect.iter_mut().for_each(|numbers| numbers.push(number));
        }
        three.start(host, "")?;
        three.until_at_rest(1_000 * at + 500)?;
    }
    three.agree()
}

#[test]
fn a_host_that_freezes_before_it_votes_costs_the_transaction_and_nothing_else() -> Result<()> {
    let mut three = Three::new()?;
    for host in HOSTS {
        three.start(host, "")?;
    }
    three.until_at_rest(0)?;
    signal(three.host("stock")?.pid(), "STOP")?;
    let said = three.write(500)?;
    ensure!(said != Some(WRITTEN), "{said:?}");
    signal(three.host("stock")?.pid(), "CONT")?;
    three.until_at_rest(600)?;
    three.agree()
}

#[test]
fn a_participant_may_call_a_third_host_which_commits_or_rolls_back_with_the_others() -> Result<()> {
    let mut three = Three::in_a_row()?;
    for host in HOSTS {
        three.start(host, "")?;
    }
    const THROUGH_LEFT: Said = Said { left: 0, right: 9, end: "ok" };
    let mut number = 0;
    until(TIMEOUT, || {
        number += 1;
        let said = three.through_left(number, COMMIT)?;
        Ok(if said == Some(THROUGH_LEFT) { Ok(()) } else { Err(format!("{said:?}")) })
    })?;
    let said = three.through_left(100, ROLL_BACK)?;
    ensure!(said.is_some_and(|said| said.left == 0), "{said:?}");
    // Called by both: it has the number already.
    let said = three.call(200, COMMIT)?;
    ensure!(said == Some(Said { left: 0, right: 1, end: "ok" }), "{said:?}");
    three.expect.iter_mut().for_each(|numbers| numbers.push(200));
    // The third host is gone before it votes.
    three.start("stock", "two-phase.before-vote:kill:1")?;
    let mut number = 300;
    until(TIMEOUT, || {
        number += 1;
        let said = three.through_left(number, COMMIT)?;
        ensure!(said.is_none_or(|said| said.end == "aborted"), "all or nothing: {said:?}");
        let killed = three.host("stock")?.dies(Duration::from_millis(100)).is_ok();
        Ok(if killed { Ok(()) } else { Err(format!("{said:?}")) })
    })?;
    three.start("stock", "")?;
    until(TIMEOUT, || {
        let shown = three.seam("stock", &["transactions", "--format", "json"])?;
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout)?;
        let at_rest = shown["in_doubt"].as_array().is_some_and(Vec::is_empty);
        Ok(if at_rest { Ok(()) } else { Err(format!("{shown}")) })
    })?;
    three.agree()
}
