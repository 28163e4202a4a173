//! Sagas of guests, performed by the host's own threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use prometheus::{Encoder, TextEncoder};
use seam::sagas::{Driver, SagaMetrics};
use seam_runtime::serve::Registry;
use seam_store::{Database, Saga, SagaAction, SagaChange, SagaState};
use seam_tests::{call, trips, wait};
use wasmtime::component::Val;

fn database(registry: &Registry) -> Result<Arc<Database>> {
    registry.live("agency")?.generation().database().cloned().context("it has a store")
}

/// Waits until it is stuck, or has ended.
fn rests(registry: &Registry, id: &str) -> Result<Saga> {
    let database = database(registry)?;
    wait::until(Duration::from_secs(60), || {
        let saga = database.saga("trip", id)?.context("no such trip")?;
        let rests = saga.state.has_ended() || saga.state == SagaState::Stuck;
        Ok(if rests { Ok(saga) } else { Err(format!("{saga:?}")) })
    })
}

fn ask(registry: &Registry, function: &str, texts: &[&str]) -> Result<String> {
    let params: Vec<Val> = texts.iter().map(|text| Val::String((*text).into())).collect();
    Ok(call(registry, "agency", &format!("trips.{function}"), &params, 10_000)?.to_wave()?)
}

#[test]
fn a_saga_of_a_guest_is_performed_or_undone_to_its_end() -> Result<()> {
    let system = trips::system("")?;
    let registry = system.start()?.map_err(|problems| anyhow!("{problems:?}"))?;
    let _driver = Driver::start(registry.clone(), registry.clock().clone());
    for (id, plan, state, why) in [
        ("1", "", SagaState::Done, ""),
        ("2", "travel=refuse", SagaState::Undone, "travel does not like it"),
        ("3", "room=later1", SagaState::Done, ""),
        ("4", "travel=trap1 room:undo=later1", SagaState::Done, ""),
        ("5", "travel=until", SagaState::Done, ""),
    ] {
        ask(&registry, "book", &[id, plan])?;
        let saga = rests(&registry, id)?;
        assert_eq!((saga.state, saga.why()), (state, why), "{id}");
    }
    let journal = ask(&registry, "journal", &["2"])?;
    assert_eq!(journal, "ok([\"note 1\", \"travel 1\", \"room:undo 1\", \"note:undo 1\"])");
    Ok(())
}

#[test]
fn a_saga_that_is_stuck_is_an_alarm_until_an_operator_has_acted() -> Result<()> {
    let system = trips::system("")?;
    let registry = system.start()?.map_err(|problems| anyhow!("{problems:?}"))?;
    let _driver = Driver::start(registry.clone(), registry.clock().clone());
    let prometheus = prometheus::Registry::new();
    let metrics = SagaMetrics::new(&prometheus)?;
    let stuck = || -> Result<String> {
        metrics.sample(&registry);
        let mut text = Vec::new();
        TextEncoder::new().encode(&prometheus.gather(), &mut text)?;
        let text = String::from_utf8(text)?;
        let line = text.lines().find(|line| line.starts_with("seam_sagas{") && line.contains("\"stuck\""));
        Ok(line.unwrap_or_default().to_owned())
    };
    assert_eq!(stuck()?, "");
    ask(&registry, "book", &["1", "bill=refuse"])?;
    assert_eq!(rests(&registry, "1")?.why(), "bill does not like it");
    assert_eq!(stuck()?, "seam_sagas{context=\"agency\",kind=\"trip\",state=\"stuck\"} 1");
    let database = database(&registry)?;
    let mut tx = database.begin(Instant::now() + Duration::from_secs(10))?;
    let now_ms = database.clock().wall_ms();
    let change = tx.saga_act(("trip", "1"), SagaAction::Skip, ("ann", "billed by hand"), now_ms)?;
    assert_eq!(change, SagaChange::Done);
    tx.commit()?;
    wait::until(Duration::from_secs(60), || {
        let state = database.saga("trip", "1")?.context("no such trip")?.state;
        Ok(if state == SagaState::Done { Ok(()) } else { Err(format!("it is {}", state.name())) })
    })?;
    assert_eq!(stuck()?, "");
    Ok(())
}
