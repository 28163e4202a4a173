//! What fails: other tries, giving up, undoing, what is stuck, and crashes.

use super::*;

#[test]
fn a_step_that_fails_is_tried_again_after_growing_pauses() {
    let world = World::new(&["reserve", "pay"]).plays("pay", [later("away"), later("still away")]);
    let due = |world: &World| world.saga().due_ms.map(|due| due - world.now_ms());
    world.drive();
    assert_eq!((state(&world.saga()), due(&world)), ((SagaState::Running, "pay", "away"), Some(1_000)));
    world.drive();
    assert_eq!(world.calls(), ["reserve", "pay"], "not before it is due");
    world.time.advance(Duration::from_secs(1));
    world.drive();
    assert_eq!((world.saga().attempts, due(&world)), (2, Some(2_000)));
    assert_eq!(state(&world.drive_on(9)), (SagaState::Done, "pay", ""));
    assert_eq!(world.answers(), ["reserve done", "pay later: away", "pay later: still away", "pay done"]);
}

#[test]
fn after_its_tries_or_its_patience_the_saga_is_given_up_and_the_step_undone_too() {
    let fails = || (0..9).map(|_| later("no answer"));
    let world = World::new(&["reserve", "pay"]).plays("pay", fails());
    assert_eq!(state(&world.drive_on(9)), (SagaState::Undone, "reserve", "no answer"));
    assert_eq!(world.calls(), ["reserve", "pay", "pay", "pay", "pay:undo", "reserve:undo"]);

    let patient = |tries, patience_s| {
        let mut definition = definition(&["reserve", "pay"]);
        (definition.steps[1].tries, definition.steps[1].patience_s) = (tries, patience_s);
        definition
    };
    let world = World::new(&["reserve", "pay"]).plays("pay", (0..99).map(|_| later("no answer")));
    *world.engine.performer.definition.borrow_mut() = patient(1_000, 4);
    let started = world.now_ms();
    while world.saga().state == SagaState::Running {
        world.drive_on(1);
    }
    assert_eq!(world.calls().iter().filter(|call| *call == "pay").count(), 4, "after 0, 1, 3 and 4 seconds");
    assert_eq!(world.saga().changed_ms - started, 4_000, "the last try is when its patience ends");
}

#[test]
fn what_was_refused_is_not_undone_and_what_is_unknown_is() {
    for (play, undone) in [
        (refused("declined"), &["own-b:undo", "a:undo"][..]),
        (unknown("no answer"), &["d:undo", "own-b:undo", "a:undo"]),
    ] {
        let world = World::new(&["a", "own-b", "c-", "d", "e"]).plays("d", [play]);
        let saga = world.drive_on(9);
        assert_eq!((saga.state, saga.undoing, saga.forward_only), (SagaState::Undone, true, false));
        let calls = world.calls();
        assert_eq!(calls[..4], ["a", "own-b", "c", "d"]);
        assert_eq!(calls[4..], *undone);
    }
}

#[test]
fn that_it_is_undone_is_written_before_the_first_undo() {
    let world = World::new(&["a", "b", "c"]).plays("c", [refused("no")]);
    let look = |file: &Database| {
        let saga = file.saga("sale", "1").unwrap().unwrap();
        assert_eq!((saga.state, saga.step.as_str(), saga.cause.as_str()), (SagaState::Undoing, "b", "no"));
    };
    let world = world.plays("b:undo", [Play::Meanwhile(Box::new(look), SagaOutcome::Done)]);
    let before = world.commits();
    assert_eq!(world.drive_on(9).state, SagaState::Undone);
    assert_eq!(world.commits() - before, 2, "that, and the end");
}

#[test]
fn a_first_step_that_is_refused_leaves_nothing_to_undo() {
    let world = World::new(&["a", "b"]).plays("a", [refused("no")]);
    assert_eq!(state(&world.drive_on(9)), (SagaState::Undone, "a", "no"));
    assert_eq!(world.calls(), ["a"]);
}

#[test]
fn an_undo_that_keeps_failing_is_stuck_and_tried_on() {
    let world = World::new(&["a", "b"]).plays("b", [refused("no")]).plays("a:undo", (0..5).map(|_| later("away")));
    world.drive_on(3);
    let saga = world.saga();
    assert_eq!((state(&saga), saga.undoing), ((SagaState::Stuck, "a", "away"), true));
    assert_eq!(saga.cause, "no");
    assert_eq!(state(&world.drive_on(9)), (SagaState::Undone, "a", "no"));
}

#[test]
fn an_undo_that_is_refused_waits_for_an_operator() {
    for (play, why) in [(refused("gone"), "gone"), (unknown("who knows"), "who knows")] {
        let world = World::new(&["a", "b"]).plays("b", [refused("no")]).plays("a:undo", [play]);
        let saga = world.drive_on(9);
        assert_eq!((state(&saga), saga.due_ms), ((SagaState::Stuck, "a", why), None));
        let act = |action| world.tx(|tx| tx.saga_act(("sale", "1"), action, ("ann", ""), world.now_ms()));
        assert!(matches!(act(SagaAction::Undo), SagaChange::Refused(_)));
        assert_eq!(act(SagaAction::Skip), SagaChange::Done);
        world.calls();
        assert_eq!(world.drive_on(9).state, SagaState::Undone);
        assert_eq!(world.calls(), [""; 0], "the operator has undone it");
    }
}

#[test]
fn a_step_after_which_there_is_no_way_back_is_stuck_when_it_is_refused() {
    for play in [refused("gone"), unknown("gone")] {
        let world = World::new(&["a", "capture!", "b-"]).plays("capture", [play]);
        let saga = world.drive_on(9);
        assert_eq!((state(&saga), saga.due_ms), ((SagaState::Stuck, "capture", "gone"), None));
        let act = |action| world.tx(|tx| tx.saga_act(("sale", "1"), action, ("ann", "by hand"), world.now_ms()));
        assert!(matches!(act(SagaAction::Undo), SagaChange::Refused(_)));
        world.calls();
        assert_eq!(act(SagaAction::Retry), SagaChange::Done);
        assert_eq!(state(&world.drive_on(9)), (SagaState::Done, "b", ""));
        assert_eq!(world.calls(), ["capture", "b"]);
    }
}

#[test]
fn a_trap_and_a_refused_commit_are_failed_tries_and_show_a_client_nothing() {
    for (play, why) in [(Play::Trap, "`shop` failed"), (Play::Constraint, "FOREIGN KEY")] {
        let world = World::new(&["own-a", "b"]).plays("own-a", [play]);
        world.drive();
        let saga = world.saga();
        assert_eq!((saga.state, saga.step.as_str(), saga.attempts), (SagaState::Running, "own-a", 1));
        assert!(saga.reason.contains(why) && !saga.reason.contains("secret"), "{}", saga.reason);
        assert_eq!(world.drive_on(9).state, SagaState::Done);
        let did = world.database().query("SELECT count(*) FROM did", &[], soon()).unwrap();
        let mut rows = seam_store::Rows::new(&did).unwrap();
        let mut row = Vec::new();
        assert!(rows.next_into(&mut row).unwrap());
        assert_eq!(row, [seam_store::Value::Integer(1)]);
    }
}

#[test]
fn what_is_no_fault_of_a_step_costs_it_no_try() {
    let world = World::new(&["a", "b", "c"]).plays("b", (0..50).map(|_| Play::Away)).plays("c", [Play::Busy]);
    for _ in 0..50 {
        assert!(matches!(world.drive(), Left::Away(why) if why.contains("swapped")));
        world.time.advance(Duration::from_secs(3_600));
    }
    let saga = world.saga();
    assert_eq!((saga.step.as_str(), saga.attempts), ("b", 0));
    assert!(!saga.in_doubt, "the host has written down how far it is");
    world.calls();
    world.engine.performer.is_away.set(true);
    assert!(matches!(world.drive(), Left::Away(_)));
    world.engine.performer.is_away.set(false);
    assert!(matches!(world.drive(), Left::Away(why) if why.contains("the disk")));
    assert_eq!(world.drive_on(9).state, SagaState::Done);
    assert_eq!(world.calls(), ["b", "c", "c"], "what is known to be done is not performed again");
    assert_eq!(world.answers(), ["a done", "b done", "c done"]);
}

#[test]
fn a_step_whose_commit_is_in_doubt_is_not_performed_again_if_it_committed() {
    let world = World::new(&["a", "own-b", "c", "d"]).plays("own-b", [Play::InDoubt]).plays("c", [refused("no")]);
    assert!(matches!(world.drive(), Left::Away(why) if why.contains("did it commit?")));
    assert_eq!(world.drive_on(9).state, SagaState::Undone);
    let calls = world.calls();
    assert_eq!(calls[..3], ["a", "own-b", "c"]);
    assert_eq!(calls[3..], ["d:undo", "c:undo", "own-b:undo", "a:undo"], "what may have happened is undone");
}

#[test]
fn after_a_crash_the_steps_since_the_last_commit_are_performed_again_and_all_may_have_happened() {
    // The crash comes after `b`: the file knows of no step.
    let crash = || Play::Meanwhile(Box::new(|_| std::panic::resume_unwind(Box::new("crash"))), SagaOutcome::Done);
    let crashed = |steps: &[&str]| {
        let world = World::new(steps).plays("c", [crash()]);
        let world = std::panic::AssertUnwindSafe(world);
        assert!(std::panic::catch_unwind(|| world.drive()).is_err());
        assert_eq!(world.calls(), ["a", "b", "c"]);
        world.0
    };
    let world = crashed(&["a", "b", "c", "d", "e!"]).restart();
    assert_eq!(world.drive_on(9).state, SagaState::Done);
    assert_eq!(world.calls(), ["a", "b", "c", "d", "e"]);
    // The first one is refused now: all that the file says may have been performed is undone.
    let world = crashed(&["a", "b", "c", "d", "e!"]).restart().plays("a", [refused("no more")]);
    assert_eq!(world.drive_on(9).state, SagaState::Undone);
    assert_eq!(world.calls(), ["a", "d:undo", "c:undo", "b:undo", "a:undo"]);
    // The same when the thread alone ended, and when another gives it up.
    let world = crashed(&["a", "b", "c", "d"]).plays("a", [refused("no more")]);
    assert_eq!(world.drive_on(9).state, SagaState::Undone);
    assert_eq!(world.calls(), ["a", "d:undo", "c:undo", "b:undo", "a:undo"]);
    let world = crashed(&["a", "b", "c", "d"]).restart();
    give_up(world.database());
    assert_eq!(world.drive_on(9).state, SagaState::Undone);
    assert_eq!(world.calls(), ["d:undo", "c:undo", "b:undo", "a:undo"]);
}

#[test]
fn what_failed_after_a_crash_stays_in_doubt_as_far_as_it_was() {
    let crash = Play::Meanwhile(Box::new(|_| std::panic::resume_unwind(Box::new("crash"))), SagaOutcome::Done);
    let world = World::new(&["a", "b", "own-c", "d"]).plays("b", [crash]);
    let world = std::panic::AssertUnwindSafe(world);
    assert!(std::panic::catch_unwind(|| world.drive()).is_err());
    let world = world.0.restart().plays("a", [later("away")]).plays("b", [refused("no")]);
    world.drive();
    let world = world.restart().plays("b", [refused("no")]);
    assert_eq!(world.drive_on(9).state, SagaState::Undone);
    assert_eq!(world.calls(), ["a", "b", "d:undo", "own-c:undo", "b:undo", "a:undo"]);
}

#[test]
fn what_an_operator_or_the_context_does_meanwhile_counts() {
    let skip = |file: &Database| {
        assert_eq!(in_tx(file, |tx| tx.saga_act(("sale", "1"), SagaAction::Skip, ("ann", ""), 1)), SagaChange::Done);
    };
    let again = Play::Meanwhile(Box::new(skip), SagaOutcome::Later("away".into()));
    let world = World::new(&["a", "b", "c"]).plays("b", [later("away"), again]);
    assert_eq!(world.drive_on(9).state, SagaState::Done);
    assert_eq!(world.calls(), ["a", "b", "b", "c"], "skipped while it was tried");

    let given_up = |outcome| Play::Meanwhile(Box::new(|file| drop(give_up(file))), outcome);
    for (outcome, undone) in [
        (SagaOutcome::Done, &["b:undo", "a:undo"][..]),
        (SagaOutcome::Later("away".into()), &["b:undo", "a:undo"]),
        (SagaOutcome::Waiting(None), &["b:undo", "a:undo"]),
        (SagaOutcome::Refused("no".into()), &["a:undo"]),
    ] {
        let world = World::new(&["a", "b", "own-c"]).plays("b", [given_up(outcome)]);
        let saga = world.drive_on(9);
        assert_eq!((saga.state, saga.cause.as_str()), (SagaState::Undone, "the customer"));
        let calls = world.calls();
        let first = calls.iter().position(|call| call.ends_with(":undo")).unwrap();
        // A step that is done goes on without a look, up to the next commit.
        let expected: Vec<&str> = match calls[..first].last().unwrap().as_str() {
            "own-c" => [&["own-c:undo"], undone].concat(),
            _ => undone.to_vec(),
        };
        assert_eq!(calls[first..], expected);
    }
}
