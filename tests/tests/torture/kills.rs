//! `kill -9` of the whole shop under load. `just torture` does it 500 times, and 20 times at each named point; here it
//! is done as often as a test may take.

use std::io::{IsTerminal, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seam_store::fault::{FALLIBLE, POINTS};
use seam_tests::repo;
use seam_tests::torture::kills::{Kill, Torture};

/// The points that lead nowhere in the shop. A process of its own is killed at most of them (`host/src/delivery/tests`,
/// `host/src/schedule/tests`); deploys and the reconciler have tests that kill them at theirs.
const NOT_HERE: &[&str] = &[
    "open.",
    "checkpoint.",
    "outbox.forget",
    "inbox.set-aside",
    "timers.",
    "schedule.",
    "deploy.",
    "reconcile.",
    // An order that succeeds undoes nothing.
    "saga.before-undo",
    "saga.after-undo",
    "saga.unwritten",
    "two-phase.",
];
/// The points that each order passes: those of the short form.
const ORDERED: &[&str] = &[
    "commit.before",
    "commit.after",
    "outbox.before-commit",
    "outbox.after-commit",
    "inbox.before-handler",
    "inbox.after-handler",
    "inbox.before-commit",
    "inbox.after-commit",
];
/// Kills after which the shop is let alone for a while.
const REST_EVERY: usize = 50;
/// Whether the shop passes a point: those of sagas, once its orders are sagas.
fn is_here(point: &str) -> Result<bool> {
    if NOT_HERE.iter().any(|part| point.starts_with(part)) {
        return Ok(false);
    }
    let orders = std::fs::read(repo().join("target/components/orders.wasm"))?;
    let name = b"seam:host/saga-steps";
    Ok(!point.starts_with("saga.") || orders.windows(name.len()).any(|bytes| bytes == name))
}

/// Those of `points` that the shop passes.
///
/// # Errors
/// When it has not been built.
fn here(points: &[&'static str]) -> Result<Vec<&'static str>> {
    points.iter().filter_map(|point| is_here(point).map(|here| here.then_some(*point)).transpose()).collect()
}

const RECOVERING: &[&str] = &["open.before-log", "open.after-log"];

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Rewrites one line on a terminal; elsewhere, says it now and then.
fn progress(done: usize, of: usize, began: Instant) {
    let (mut out, terminal) = (std::io::stderr(), std::io::stderr().is_terminal());
    let line = format!("{done} of {of} kills, {:.0} s", began.elapsed().as_secs_f64());
    match terminal {
        true => drop(write!(out, "\r{line} ")),
        false if done.is_multiple_of(50) => drop(writeln!(out, "{line}")),
        false => {}
    }
}

#[test]
fn killed_at_any_moment_the_shop_loses_no_order_and_no_event_comes_twice() -> Result<()> {
    let long = std::env::var("SEAM_TORTURE_KILLS").is_ok();
    let seed = number("SEAM_TORTURE_SEED", if long { u64::from(std::process::id()) } else { 1 });
    let (any_time, at_each) = (number("SEAM_TORTURE_KILLS", 6), number("SEAM_TORTURE_KILLS_AT_EACH_POINT", 1));
    let hours = number("SEAM_TORTURE_HOURS", 0);
    println!("seed {seed}: SEAM_TORTURE_SEED={seed} makes the same choices");
    let mut torture = Torture::new(seed, &[])?;
    let points = if long { here(POINTS)? } else { ORDERED.to_vec() };
    let fallible = here(FALLIBLE)?;
    let mut kills = Vec::new();
    for _ in 0..at_each {
        for point in &points {
            kills.push(Kill::At { point: (*point).to_owned(), pass: 1 + torture.below(6) });
        }
    }
    for number in 0..any_time {
        let at = |points: &[&str]| points[number as usize / 8 % points.len()].to_owned();
        kills.push(match number % 8 {
            // At the file of any of its contexts.
            1 => Kill::Twice { point: at(RECOVERING), pass: 1 + torture.below(5) },
            2 => Kill::PowerCut { torn: false },
            3 => Kill::PowerCut { torn: true },
            4 => Kill::AfterFault { point: at(&fallible), pass: 1 + torture.below(6) },
            // Less than what a half done order may take before it is a violation.
            5 => Kill::AfterJump(120 - 240 * i64::from(torture.below(2))),
            _ => Kill::AnyTime,
        });
    }
    let began = Instant::now();
    for (done, kill) in kills.iter().enumerate() {
        progress(done, kills.len(), began);
        torture.kill(kill)?;
        // Before what was cut off is a violation: it comes to its end by itself, if the host is let live for so long.
        if long && done % REST_EVERY == REST_EVERY - 1 {
            torture.rest()?;
        }
    }
    while began.elapsed() < Duration::from_secs(hours * 3600) {
        progress(torture.kills, torture.kills, began);
        torture.kill(&Kill::AnyTime)?;
        if torture.kills.is_multiple_of(REST_EVERY) {
            torture.rest()?;
        }
    }
    ensure!(torture.kills >= kills.len() && torture.cut_off >= kills.len(), "hardly anything was cut off");
    println!("{} kills cut {} orders off, in {:.0} s", torture.kills, torture.cut_off, began.elapsed().as_secs_f64());
    Ok(())
}

/// The control: with commits that are answered before they are on the disk, a power cut must be noticed.
#[test]
fn without_a_sync_in_each_commit_power_cuts_are_noticed() -> Result<()> {
    let mut torture = Torture::new(7, &[("SEAM_WITHOUT", "sync")])?;
    for _ in 0..3 {
        if let Err(error) = torture.kill(&Kill::PowerCut { torn: false }) {
            let said = format!("{error:#}");
            println!("noticed: {said}");
            ensure!(["is lost", "Violated", "is older"].iter().any(|words| said.contains(words)), "{said}");
            return Ok(());
        }
    }
    anyhow::bail!("commits were lost, and nothing noticed it")
}

/// The control: what `look` would miss, it would miss in all of the above.
#[test]
fn without_the_inboxs_mark_in_the_handlers_commit_kills_are_noticed() -> Result<()> {
    let mut torture = Torture::new(7, &[("SEAM_WITHOUT", "inbox-mark")])?;
    for _ in 0..3 {
        let kill = Kill::At { point: "inbox.after-commit".into(), pass: 1 };
        if let Err(error) = torture.kill(&kill) {
            let said = format!("{error:#}");
            ensure!(said.contains("came more than once"), "{said}");
            return Ok(());
        }
    }
    anyhow::bail!("events came twice, and nothing noticed it")
}
