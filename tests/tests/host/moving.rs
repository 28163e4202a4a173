//! What a move would take and cost is said before it, and stands beside what came of it.

use anyhow::{Context, Result, ensure};
use seam::admin::client::Client;
use seam_tests::moving::{FAR, Moving, NEAR};
use seam_tests::wait::{TIMEOUT, until};

/// Within a fifth.
fn near(what: &str, predicted: f64, happened: f64) -> Result<()> {
    ensure!((predicted / happened - 1.0).abs() <= 0.2, "{what}: {predicted} was predicted, and {happened} came");
    Ok(())
}

#[test]
fn calls_and_bytes_are_as_predicted_and_a_prediction_changes_nothing() -> Result<()> {
    let moving = Moving::new()?;
    let (_far, _near) = (moving.up(FAR, &[])?, moving.up(NEAR, &[])?);
    moving.fill(NEAR, 6)?;
    ensure!((0..20).all(|number| moving.add(number)), "the ledger answers");
    let predicted = moving.predict(FAR)?;
    ensure!(predicted.refused.is_empty(), "{:?}", predicted.refused);
    let added = predicted.added.as_ref().context("a forecast")?;
    let [edge] = &added.edges[..] else { anyhow::bail!("{:?}", added.edges) };
    ensure!((&*edge.caller, &*edge.callee, edge.calls) == ("front", "ledger", 20), "{edge:?}");
    ensure!(predicted.saved.is_none() && predicted.round_trip.is_some_and(|trip| trip.median_us > 0.0));
    ensure!(!moving.data(FAR).join("stores").read_dir()?.any(|entry| entry.is_ok()), "something is left there");

    let moved = moving.relocate(FAR)?;
    let copy = moved.predicted.as_ref().and_then(|all| all.copy).context("no prediction")?;
    near("bytes", copy.bytes as f64, moved.bytes as f64)?;
    near("pages", (copy.pages + copy.again) as f64, (moved.pages + moved.again) as f64)?;
    ensure!(moved.parts.total_us() <= moved.pause_us && moved.parts.activate_us > 0, "{moved:?}");

    ensure!((20..40).all(|number| moving.add(number)), "the ledger answers");
    let review = moving.moves()?.pop().context("the move")?;
    let [edge] = &review.edges[..] else { anyhow::bail!("{:?}", review.edges) };
    let happened = edge.happened.with_context(|| format!("no calls: {review:?}"))?;
    near("bytes of a call", edge.predicted.bytes, happened.bytes)?;
    let shown = moving.seam(NEAR, &["moves"])?;
    ensure!(shown.contains("front->ledger t:ledger/ledger") && shown.contains("PREDICTED"), "{shown}");

    // And home: the same calls are saved.
    let predicted = moving.predict(NEAR)?;
    ensure!(predicted.refused.is_empty() && predicted.added.is_some_and(|added| added.edges.is_empty()));
    let saved = predicted.saved.context("what is saved")?;
    ensure!(saved.edges.iter().any(|edge| edge.calls == 20), "{saved:?}");

    // What the host does by time, the host of the context does.
    let schedules = |host: &str| -> Result<Vec<(String, u64)>> {
        let all = Client::connect(&moving.data(host))?.schedules()?.schedules;
        Ok(all.into_iter().map(|status| (status.call, status.runs)).collect())
    };
    let runs = until(TIMEOUT, || match &schedules(FAR)?[..] {
        [(_, runs)] if *runs > 0 => Ok(Ok(*runs)),
        other => Ok(Err(format!("{other:?}"))),
    })?;
    until(TIMEOUT, || match &schedules(FAR)?[..] {
        [(_, now)] if *now > runs => Ok(Ok(())),
        other => Ok(Err(format!("{other:?} and no more"))),
    })?;
    ensure!(schedules(NEAR)?.is_empty(), "it is shown where it was");

    // Who moved it, and what came of it.
    let audit = moving.seam(NEAR, &["audit"])?;
    ensure!(audit.contains("seam extract ledger --to far") && audit.contains("its calls waited for"), "{audit}");
    Ok(())
}

#[test]
fn a_prediction_says_every_reason_why_a_context_would_not_move() -> Result<()> {
    let moving = Moving::new()?;
    let _near = moving.up(NEAR, &[])?;
    let refused = moving.predict(FAR)?.refused;
    ensure!(refused.iter().any(|refused| refused.message.contains("cannot be reached")), "{refused:?}");
    let said = moving.seam(NEAR, &["extract", "ledger", "--to", FAR, "--dry-run"]);
    ensure!(said.is_err(), "it would not move, and the command says so");
    let (_far, said) = (moving.up(FAR, &[])?, moving.seam(NEAR, &["extract", "ledger", "--to", NEAR, "--dry-run"]));
    ensure!(said.is_err(), "it is there already");
    Ok(())
}
