//! Guests of languages with exceptions, a garbage collector and a WASI world of their own: what they do wrong stays
//! with them.
//!
//! `tests/guests/clumsy` is such a guest, in JavaScript. Python's is the engine in Python, which the engines' own suite
//! runs.

use anyhow::{Context as _, Result, ensure};
use seam::invoke::Error;
use seam_runtime::call::Failure;
use seam_tests::engines::Running;
use seam_tests::repo;

fn start() -> Result<Running> {
    Running::start(&["clumsy"], 64)
}

fn act(guest: &Running, what: &str) -> Result<String> {
    guest.ask("clumsy", &format!("clumsy.act({what:?})"))
}

fn failure(guest: &Running, what: &str, ms: u64) -> Failure {
    match guest.answer("clumsy", &format!("clumsy.act({what:?})"), ms) {
        Err(Error::Failed(failure)) => failure,
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn an_error_of_the_interface_is_an_answer_and_its_instance_goes_on() -> Result<()> {
    let guest = start()?;
    assert_eq!(act(&guest, "nothing")?, "ok(1)");
    assert_eq!(act(&guest, "reject")?, "err(invalid(\"as it was told\"))");
    assert_eq!(act(&guest, "dance")?, "err(invalid(\"it cannot dance\"))");
    assert_eq!(act(&guest, "nothing")?, "ok(2)", "the same instance");
    Ok(())
}

#[test]
fn what_is_thrown_and_not_caught_traps_and_costs_the_instance() -> Result<()> {
    let guest = start()?;
    for what in ["throw", "recurse", "leave", "twice"] {
        assert_eq!(act(&guest, "nothing")?, "ok(1)", "before {what}");
        assert_eq!(act(&guest, "nothing")?, "ok(2)", "before {what}");
        let failed = failure(&guest, what, 5_000);
        ensure!(matches!(failed, Failure::Trapped { .. }), "{what}: {failed:?}");
        assert_eq!(act(&guest, "notes")?, "ok(0)", "nothing of an open transaction is left after {what}");
    }
    assert_eq!(act(&guest, "nothing")?, "ok(1)", "a fresh instance");
    Ok(())
}

#[test]
fn an_exception_names_the_line_of_the_source_that_threw_it() -> Result<()> {
    let Failure::Trapped { reason, .. } = failure(&start()?, "throw", 5_000) else { panic!("it traps") };
    let source = std::fs::read_to_string(repo().join("tests/guests/clumsy/src/context.js"))?;
    let line = 1 + source.lines().position(|line| line.contains("this is a bug")).context("the line that throws")?;
    let place = format!("tests/guests/clumsy/src/context.js:{line}:");
    ensure!(reason.contains("this is a bug") && reason.contains(&place), "no `{place}` in\n{reason}");
    Ok(())
}

#[test]
fn endless_loops_and_allocations_end_at_their_bounds() -> Result<()> {
    let guest = start()?;
    let hangs = failure(&guest, "hang", 300);
    ensure!(matches!(hangs, Failure::TimedOut { .. }), "{hangs:?}");
    let eats = failure(&guest, "eat", 5_000);
    ensure!(matches!(eats, Failure::Trapped { .. }), "{eats:?}");
    assert_eq!(act(&guest, "nothing")?, "ok(1)");
    Ok(())
}

#[test]
fn values_of_every_kind_come_back_from_the_store_as_they_went() -> Result<()> {
    assert_eq!(act(&start()?, "keep")?, "ok(12)");
    Ok(())
}
