//! `kill -9` of the whole shop under load. `just torture` does it 500 times, and 20 times at each named point; here it
//! is done as often as a test may take.

use std::io::{IsTerminal, Write as _};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use seam_store::fault::{FALLIBLE, POINTS};
use seam_tests::torture::kills::{Kill, Torture};

/// The points that lead nowhere in the shop, or too seldom. A process of its own is killed at most of them
/// (`host/src/delivery/tests`, `host/src/schedule/tests`); deploys and the reconciler have tests that kill them at
/// theirs.
const NOT_HERE: &[&str] =
    &["checkpoint.", "outbox.forget", "inbox.set-aside", "timers.", "schedule.", "deploy.", "move.", "reconcile."];
/// The points of the short form: those that each order passes, those of one that is refused, and those of one in two
/// phases. `tests/tests/host/two_phase.rs` kills a small system at the others.
const SHORT: &[&str] = &[
    "commit.before",
    "commit.after",
    "outbox.before-commit",
    "outbox.after-commit",
    "inbox.before-handler",
    "inbox.after-handler",
    "inbox.before-commit",
    "inbox.after-commit",
    "saga.before-undo",
    "saga.after-undo",
    "two-phase.after-vote",
    "two-phase.after-decision",
    "two-phase.after-commit",
    "two-phase.before-redo",
];
/// The points that a host passes while it recovers, and how often at least: a file of each context is opened, and two
/// have promised what was decided.
const RECOVERING: &[(&str, u32)] = &[("open.before-log", 5), ("open.after-log", 5), ("two-phase.before-redo", 2)];
/// Kills after which the shop is let alone for a while.
const REST_EVERY: usize = 50;

/// Those of `points` that the shop passes.
fn here(points: &'static [&'static str]) -> Vec<&'static str> {
    let is_here = |point: &&str| !NOT_HERE.iter().any(|part| point.starts_with(part));
    points.iter().copied().filter(is_here).collect()
}

/// The kill at a point.
fn at(torture: &mut Torture, point: &str) -> Kill {
    let mut pass = |end| 1 + torture.below(end);
    match RECOVERING.iter().find(|(recovering, _)| *recovering == point) {
        Some((_, passes)) => {
            // What was decided is written while the host recovers.
            let decided = || ("two-phase.after-decision".to_owned(), 1);
            let first = point.starts_with("two-phase.").then(decided);
            Kill::Twice { first, point: point.to_owned(), pass: pass(*passes) }
        }
        None => Kill::At { point: point.to_owned(), pass: pass(6) },
    }
}

/// A setting of the long form. One that is no number would otherwise make it a short one.
fn setting<T: std::str::FromStr>(variable: &str) -> Option<T> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty());
    text.map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, which is no such number")))
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
    let seed = setting("SEAM_TORTURE_SEED").unwrap_or(if long { u64::from(std::process::id()) } else { 1 });
    let any_time: u32 = setting("SEAM_TORTURE_KILLS").unwrap_or(7);
    let at_each: u32 = setting("SEAM_TORTURE_KILLS_AT_EACH_POINT").unwrap_or(1);
    let hours: f64 = setting("SEAM_TORTURE_HOURS").unwrap_or(0.0);
    println!("seed {seed}: SEAM_TORTURE_SEED={seed} makes the same choices");
    let mut torture = Torture::new(seed, &[])?;
    let points = if long { here(POINTS) } else { SHORT.to_vec() };
    let fallible = here(FALLIBLE);
    let mut kills = Vec::new();
    for _ in 0..at_each {
        kills.extend(points.iter().map(|point| at(&mut torture, point)));
    }
    for number in 0..any_time {
        let nth = |points: &[&str]| points[number as usize / 8 % points.len()].to_owned();
        kills.push(match number % 8 {
            // At the file of any of its contexts.
            1 => at(&mut torture, RECOVERING[number as usize / 8 % 2].0),
            2 => Kill::PowerCut { torn: false },
            3 => Kill::PowerCut { torn: true },
            4 => Kill::AfterFault { point: nth(&fallible), pass: 1 + torture.below(6) },
            // Less than what a half done order may take before it is a violation.
            5 => Kill::AfterJump(120 - 240 * i64::from(torture.below(2))),
            6 => Kill::AfterFullDisk,
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
    while began.elapsed().as_secs_f64() < hours * 3600.0 {
        progress(torture.kills, torture.kills, began);
        torture.kill(&Kill::AnyTime)?;
        if torture.kills.is_multiple_of(REST_EVERY) {
            torture.rest()?;
        }
    }
    ensure!(torture.kills >= kills.len() && torture.cut_off >= kills.len(), "hardly anything was cut off");
    println!(
        "{} kills cut {} orders off, and {} were refused, in {:.0} s",
        torture.kills,
        torture.cut_off,
        torture.refused,
        began.elapsed().as_secs_f64()
    );
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
    bail!("commits were lost, and nothing noticed it")
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
    bail!("events came twice, and nothing noticed it")
}

/// The control: an order that is refused, and not undone, must be noticed; one that is undone is no violation.
#[test]
fn without_undos_refused_orders_are_noticed() -> Result<()> {
    let mut torture = Torture::new(7, &[])?;
    torture.refuse_and_wait_a_day()?;
    let mut torture = Torture::new(7, &[("SEAM_WITHOUT", "undo")])?;
    let Err(error) = torture.refuse_and_wait_a_day() else {
        bail!("refused orders were not undone, and nothing noticed it")
    };
    let said = format!("{error:#}");
    println!("noticed: {said}");
    ensure!(said.contains("Violated") && said.contains("nothing-stays-half-done"), "{said}");
    Ok(())
}
