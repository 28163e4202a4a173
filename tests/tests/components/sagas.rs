//! Sagas between a guest and the host: what it declares, starts and asks for, and how one step is performed. Nobody
//! performs the sagas here but the test.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use seam_runtime::call::{Call, Failure};
use seam_runtime::component::ContextProblem;
use seam_runtime::run::Undelivered;
use seam_runtime::serve::Registry;
use seam_store::ids::Trace;
use seam_store::{Database, Error, Saga, SagaOutcome, SagaState, SagaTask, SagaUndo};
use seam_tests::trips::system;
use seam_tests::{System, call, declaring, wait};
use wasmtime::component::Val;

fn started(lines: &str) -> Result<(System, Registry)> {
    let system = system(lines)?;
    let registry = system.start()?.map_err(|problems| anyhow!("{problems:?}"))?;
    Ok((system, registry))
}

/// Calls `trips.FUNCTION` with texts; its answer, as the log of a debugger would show it.
fn ask(registry: &Registry, function: &str, texts: &[&str]) -> Result<String> {
    let params: Vec<Val> = texts.iter().map(|text| Val::String((*text).into())).collect();
    Ok(call(registry, "agency", &format!("trips.{function}"), &params, 10_000)?.to_wave()?)
}

fn database(registry: &Registry) -> Result<std::sync::Arc<Database>> {
    registry.live("agency")?.generation().database().cloned().context("it has a store")
}

fn saga(registry: &Registry, id: &str) -> Result<Saga> {
    database(registry)?.saga("trip", id)?.with_context(|| format!("no saga {id}"))
}

/// Has a step of trip `id` performed, or undone (`room:undo`). `mark` says whether the mark can be written; `keep`
/// whether an outcome without rows is kept.
fn perform(
    registry: &Registry,
    id: &str,
    step: &str,
    keep: bool,
    mark: Result<(), Error>,
) -> (Result<SagaOutcome, Undelivered>, bool) {
    let (step, undo) = step.strip_suffix(":undo").map_or((step, false), |step| (step, true));
    let task = SagaTask {
        kind: "trip".into(),
        id: id.into(),
        step: step.into(),
        key: SagaTask::key("trip", id, step, undo),
        attempt: 1,
        cause: String::new(),
    };
    let call = Call::start(Instant::now() + Duration::from_secs(10), Trace::start());
    let mut marked = false;
    let live = registry.live("agency").unwrap();
    let outcome = live.perform(
        call,
        &task,
        undo,
        |_, _| keep,
        |_, _| {
            marked = true;
            mark
        },
    );
    (outcome, marked)
}

#[test]
fn a_generation_says_which_sagas_its_component_declares() -> Result<()> {
    let (_system, registry) = started("")?;
    let live = registry.live("agency")?;
    let [trip] = live.generation().saga_definitions() else { panic!("one kind") };
    let names: Vec<&str> = trip.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!((trip.kind.as_str(), names), ("trip", vec!["note", "room", "travel", "bill", "thank"]));
    let room = trip.steps.get(1).context("room")?;
    assert_eq!(room.call.as_deref(), Some("seambench:shop/rooms.take"));
    assert_eq!(room.undo, SagaUndo::Call("seambench:shop/rooms.free".into()));
    assert_eq!((room.tries, room.patience_s), (3, 60));
    assert_eq!(registry.live("hotel")?.generation().saga_definitions(), []);
    Ok(())
}

#[test]
fn a_saga_starts_with_its_transaction_and_only_once() -> Result<()> {
    let (_system, registry) = started("")?;
    assert_eq!(ask(&registry, "change-mind", &["1"])?, "ok");
    assert_eq!(ask(&registry, "get-status", &["1"])?, "err(unknown(\"there is no saga `1` of the kind `trip`\"))");
    for _ in 0..2 {
        assert_eq!(ask(&registry, "book", &["1", ""])?, "ok");
        assert_eq!(ask(&registry, "get-status", &["1"])?, "ok({state: \"running\", step: \"note\", cause: \"\"})");
    }
    let saga = saga(&registry, "1")?;
    assert_eq!((saga.state, saga.revision), (SagaState::Running, 1));
    assert!(saga.trace.starts_with("00-"), "the trace of the call that started it: {}", saga.trace);
    let long = "x".repeat(65);
    let refused = ask(&registry, "book", &[&long, ""])?;
    assert!(refused.contains("the id of a saga has 1 to 64 characters"), "{refused}");
    Ok(())
}

#[test]
fn only_a_waiting_saga_resumes_and_what_goes_with_it_is_rolled_back_otherwise() -> Result<()> {
    let (_system, registry) = started("")?;
    ask(&registry, "book", &["1", ""])?;
    assert_eq!(ask(&registry, "arrive", &["1"])?, "err(refused(\"it does not wait: it is running\"))");
    assert_eq!(ask(&registry, "journal", &["1"])?, "ok([])", "the row went with the refusal");
    let mut waits = saga(&registry, "1")?;
    (waits.state, waits.step, waits.due_ms) = (SagaState::Waiting, "travel".into(), None);
    save(&registry, &waits)?;
    assert_eq!(ask(&registry, "arrive", &["1"])?, "ok");
    assert_eq!(saga(&registry, "1")?.state, SagaState::Running);
    assert_eq!(ask(&registry, "cancel", &["1"])?, "ok");
    assert_eq!(
        ask(&registry, "get-status", &["1"])?,
        "ok({state: \"undoing\", step: \"travel\", cause: \"cancelled\"})"
    );
    assert_eq!(ask(&registry, "cancel", &["2"])?, "err(unknown(\"there is no saga `2` of the kind `trip`\"))");
    Ok(())
}

fn save(registry: &Registry, saga: &Saga) -> Result<()> {
    let database = database(registry)?;
    let mut transaction = database.begin(Instant::now() + Duration::from_secs(5))?;
    ensure!(transaction.saga_save(saga, &[])?, "it has changed meanwhile");
    Ok(transaction.commit()?)
}

#[test]
fn what_a_step_writes_commits_with_the_mark_or_not_at_all() -> Result<()> {
    let (_system, registry) = started("")?;
    ask(&registry, "book", &["1", "thank=trap"])?;
    let journal = |expect: &str| {
        assert_eq!(ask(&registry, "journal", &["1"])?, expect);
        Ok::<_, anyhow::Error>(())
    };
    let (failed, _) = perform(&registry, "1", "note", true, Err(Error::Full("no room for the mark".into())));
    assert!(matches!(failed, Err(Undelivered::Store(Error::Full(_)))), "{failed:?}");
    journal("ok([])")?;
    let (trapped, marked) = perform(&registry, "1", "thank", true, Ok(()));
    assert!(matches!(trapped, Err(Undelivered::Event(0, Failure::Trapped { .. }))), "{trapped:?}");
    assert!(!marked);
    journal("ok([])")?;
    // It has written, so it is marked whether its outcome is to be kept or not.
    let (done, marked) = perform(&registry, "1", "note", false, Ok(()));
    assert_eq!((done.map_err(|error| anyhow!("{error:?}"))?, marked), (SagaOutcome::Done, true));
    journal("ok([\"note 1\"])")
}

#[test]
fn a_step_that_only_calls_commits_nothing_unless_its_outcome_is_kept() -> Result<()> {
    let (_system, registry) = started("")?;
    ask(&registry, "book", &["1", ""])?;
    let commits = || Ok::<_, anyhow::Error>(database(&registry)?.statistics().commits);
    let before = commits()?;
    let (done, marked) = perform(&registry, "1", "room", false, Ok(()));
    assert_eq!((done.map_err(|error| anyhow!("{error:?}"))?, marked), (SagaOutcome::Done, false));
    assert_eq!(commits()?, before);
    let (_, marked) = perform(&registry, "1", "room", true, Ok(()));
    assert!(marked);
    assert_eq!(commits()?, before + 1);
    let taken = call(&registry, "hotel", "rooms.taken", &[], 10_000)?.to_wave()?;
    assert_eq!(taken, "ok(1)", "the key was the same");
    let (undone, _) = perform(&registry, "1", "room:undo", false, Ok(()));
    assert_eq!(undone.map_err(|error| anyhow!("{error:?}"))?, SagaOutcome::Done);
    assert_eq!(call(&registry, "hotel", "rooms.taken", &[], 10_000)?.to_wave()?, "ok(0)");
    Ok(())
}

#[test]
fn what_steps_answer_arrives_as_it_was_meant() -> Result<()> {
    let (_system, registry) = started("")?;
    let plan = "note=later travel=wait bill=unknown thank=refuse note:undo=refuse";
    ask(&registry, "book", &["full-1", plan])?;
    for (step, expect) in [
        ("note", SagaOutcome::Later("note has no time".into())),
        ("room", SagaOutcome::Refused("the hotel is full".into())),
        ("travel", SagaOutcome::Waiting(None)),
        ("bill", SagaOutcome::Unknown("bill forgot it".into())),
        ("thank", SagaOutcome::Refused("thank does not like it".into())),
        ("note:undo", SagaOutcome::Refused("note:undo does not like it".into())),
        ("room:undo", SagaOutcome::Done),
    ] {
        let (outcome, _) = perform(&registry, "full-1", step, true, Ok(()));
        assert_eq!(outcome.map_err(|error| anyhow!("{step}: {error:?}"))?, expect, "{step}");
    }
    Ok(())
}

#[test]
fn a_call_that_waits_for_a_saga_makes_room_for_its_steps() -> Result<()> {
    // The only place of the context is that of the call that waits.
    let (_system, registry) = started("limits = { concurrency = 1, queue = 0 }")?;
    ask(&registry, "book", &["1", ""])?;
    std::thread::scope(|scope| {
        let settles = scope.spawn(|| settle(&registry, "1", 8_000));
        let generation = registry.live("agency")?.generation().clone();
        wait::until(wait::TIMEOUT, || {
            let waits = generation.occupancy().0 == 1;
            Ok(if waits { Ok(()) } else { Err("nobody waits".to_owned()) })
        })?;
        let done = wait::until(wait::TIMEOUT, || {
            let (done, _) = perform(&registry, "1", "note", true, Ok(()));
            Ok(done.map_err(|error| format!("the place of the call that waits is not free: {error:?}")))
        })?;
        assert_eq!(done, SagaOutcome::Done);
        assert!(!settles.is_finished(), "it runs on");
        let mut saga = saga(&registry, "1")?;
        (saga.state, saga.step, saga.due_ms) = (SagaState::Done, "thank".into(), None);
        save(&registry, &saga)?;
        let settled = settles.join().map_err(|_| anyhow!("it panicked"))??;
        assert_eq!(settled, "ok({state: \"done\", step: \"thank\", cause: \"\"})");
        assert_eq!(generation.occupancy().0, 0);
        Ok(())
    })
}

fn settle(registry: &Registry, id: &str, most_ms: u32) -> Result<String> {
    let params = [Val::String(id.into()), Val::U32(most_ms)];
    Ok(call(registry, "agency", "trips.settle", &params, 10_000)?.to_wave()?)
}

#[test]
fn nothing_waits_for_a_saga_longer_than_it_may() -> Result<()> {
    let (_system, registry) = started("limits = { timeout_ms = 400 }")?;
    assert!(settle(&registry, "1", 5_000)?.contains("unknown"));
    ask(&registry, "book", &["1", ""])?;
    // Until the time that it names, until most of the call's own time is over; and not at all in a transaction.
    let running = "ok({state: \"running\", step: \"note\", cause: \"\"})";
    assert_eq!(settle(&registry, "1", 20)?, running);
    assert_eq!(settle(&registry, "1", u32::MAX)?, running);
    let refused = ask(&registry, "settle-inside", &["1"])?;
    assert!(refused.starts_with("err(refused("), "{refused}");
    Ok(())
}

#[test]
fn a_version_whose_sagas_cannot_be_performed_does_not_start() -> Result<()> {
    let step = |call: Option<&str>, undo| seam_store::SagaStep {
        name: "only".into(),
        call: call.map(str::to_owned),
        undo,
        tries: 1,
        patience_s: 1,
    };
    let problem = |kind: &str, steps: Vec<seam_store::SagaStep>, lines: &str| {
        let wasm = declaring::declaring(&[seam_store::SagaDefinition { kind: kind.into(), steps }])?;
        let found = System::new().context("c", &wasm, lines)?.start()?;
        let out = |registry: Registry| {
            registry.generations().iter().filter_map(|generation| generation.out_of_service()).collect()
        };
        let found: Vec<ContextProblem> = found.map_or_else(|problems| problems, out);
        Ok::<_, anyhow::Error>(found.into_iter().map(|one| (one.message, one.remedy)).collect::<Vec<_>>())
    };
    let says = |what: &str, remedy: &str| vec![(what.to_owned(), remedy.to_owned())];
    assert_eq!(problem("order", vec![step(None, SagaUndo::Own)], "store = true")?, []);
    assert_eq!(
        problem("order", vec![step(None, SagaUndo::Own)], "")?,
        says("`c` has sagas, but the manifest does not grant it a store", "add `store = true` to [context.c]")
    );
    assert_eq!(
        problem("order", vec![], "store = true")?,
        says("`c` declares the saga `order` without steps", "give it at least one step")
    );
    assert_eq!(
        problem("order", vec![step(Some("t:a/b.c"), SagaUndo::Own)], "store = true")?,
        says(
            "`c` declares the saga `order` whose step `only` calls `t:a/b.c`, which its component does not import (and \
             1 more like this)",
            "the component imports no function of another context"
        )
    );
    Ok(())
}
