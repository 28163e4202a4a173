//! What operators do while deliveries run: take again, try again, discard, count.

use super::*;

/// The positions and data of what waits or is dead.
fn set_aside(world: &World) -> Vec<seam_store::Waiting> {
    world.shelf.database.waiting(&world.source(), None, 0, 100).unwrap()
}

#[test]
fn what_is_taken_again_comes_in_its_order_and_leaves_no_dead_letter() {
    let world = World::new(1);
    world.shelf.rejects.borrow_mut().insert("a/1".into());
    world.publish(&["a/1", "b/1"]);
    for _ in 0..3 {
        world.run();
        world.minutes(5);
    }
    assert_eq!(world.waiting(), [("a/1".to_owned(), WaitState::Dead, 3)]);
    world.shelf.rejects.borrow_mut().clear();
    let first = world.outbox.kept().unwrap().first;
    assert_eq!(world.shelf.database.waiting_from(&world.source(), first).unwrap(), 1);
    assert_eq!(world.shelf.database.take_again(&world.source(), first).unwrap(), 1);
    world.run();
    assert_eq!(world.seen(), ["b/1", "a/1", "b/1"]);
    assert_eq!(world.waiting(), []);
    assert_eq!(world.tally.counts(), (3, 3, 1), "delivered, failed, dead");
}

#[test]
fn a_replay_that_meets_a_running_delivery_is_not_undone_by_it() {
    for rejects in [false, true] {
        let world = World::new(10);
        world.publish(&["a/1", "a/2"]);
        world.run();
        world.publish(&["b/1"]);
        if rejects {
            world.shelf.rejects.borrow_mut().insert("b/1".into());
        }
        let (source, first) = (world.source(), world.outbox.kept().unwrap().first);
        *world.shelf.meanwhile.borrow_mut() =
            Some(Box::new(move |inbox| assert_eq!(inbox.take_again(&source, first).unwrap(), 0)));
        world.step();
        world.shelf.rejects.borrow_mut().clear();
        world.run();
        let mut expect = vec!["a/1", "a/2", "a/1", "a/2", "b/1"];
        if !rejects {
            // It was on its way when the operator asked for it again.
            expect.insert(2, "b/1");
        }
        assert_eq!(world.seen(), expect);
        assert_eq!(world.waiting(), []);
    }
}

#[test]
fn a_replay_that_meets_a_delivery_that_traps_has_each_event_taken_again_once() {
    let world = World::new(10);
    world.publish(&["a/1"]);
    world.run();
    world.shelf.traps.borrow_mut().insert("c/1".into());
    world.publish(&["b/1", "c/1"]);
    let (source, first) = (world.source(), world.outbox.kept().unwrap().first);
    *world.shelf.meanwhile.borrow_mut() =
        Some(Box::new(move |inbox| assert_eq!(inbox.take_again(&source, first).unwrap(), 0)));
    world.step();
    world.shelf.traps.borrow_mut().clear();
    world.run();
    assert_eq!(world.seen(), ["a/1", "a/1", "b/1", "c/1"]);
}

#[test]
fn an_event_behind_one_that_is_discarded_meanwhile_is_not_left_behind() {
    let world = World::new(10);
    world.shelf.rejects.borrow_mut().insert("a/1".into());
    world.publish(&["a/1"]);
    world.run();
    world.publish(&["a/2", "b/1"]);
    let (source, event) = (world.source(), set_aside(&world).remove(0).event);
    *world.shelf.meanwhile.borrow_mut() = Some(Box::new(move |inbox| assert!(inbox.discard(&source, &event).unwrap())));
    world.run();
    assert_eq!(world.seen(), ["b/1", "a/2"]);
    assert_eq!(world.waiting(), []);
}

#[test]
fn an_event_behind_one_that_is_dead_at_once_is_not_left_behind() {
    let mut world = World::new(10);
    world.subscription.tries = 1;
    world.shelf.rejects.borrow_mut().insert("a/1".into());
    world.publish(&["a/1", "a/2", "a/3"]);
    world.run();
    assert_eq!(world.seen(), ["a/2", "a/3"]);
    assert_eq!(world.waiting(), [("a/1".to_owned(), WaitState::Dead, 1)]);
}

#[test]
fn an_event_that_is_discarded_while_one_before_it_is_tried_is_tried_no_more() {
    let world = World::new(10);
    world.shelf.rejects.borrow_mut().extend(["a/1".into(), "b/1".into()]);
    world.publish(&["a/1", "b/1"]);
    world.run();
    world.shelf.rejects.borrow_mut().clear();
    world.minutes(5);
    let (source, event) = (world.source(), set_aside(&world).remove(1).event);
    *world.shelf.meanwhile.borrow_mut() = Some(Box::new(move |inbox| assert!(inbox.discard(&source, &event).unwrap())));
    world.run();
    assert_eq!(world.seen(), ["a/1"]);
}

#[test]
fn a_replay_from_a_position_that_is_not_taken_yet_skips_nothing() {
    let world = World::new(10);
    world.publish(&["a/1", "a/2"]);
    let (source, last) = (world.source(), world.outbox.kept().unwrap().last);
    assert_eq!(world.shelf.database.take_again(&source, last).unwrap(), 0);
    world.run();
    assert_eq!(world.seen(), ["a/1", "a/2"]);
    assert_eq!(world.shelf.database.take_again(&source, last + 1).unwrap(), 0);
    world.publish(&["a/3"]);
    world.run();
    assert_eq!(world.seen(), ["a/1", "a/2", "a/3"]);
}

#[test]
fn an_event_that_is_discarded_while_it_is_tried_stays_discarded() {
    for traps in [false, true] {
        let world = World::new(10);
        let bad = if traps { &world.shelf.traps } else { &world.shelf.rejects };
        bad.borrow_mut().insert("a/1".into());
        world.publish(&["a/1"]);
        world.run();
        world.minutes(5);
        let (source, event) = (world.source(), set_aside(&world).remove(0).event);
        *world.shelf.meanwhile.borrow_mut() =
            Some(Box::new(move |inbox| assert!(inbox.discard(&source, &event).unwrap())));
        world.step();
        assert_eq!(world.waiting(), [], "traps: {traps}");
    }
}

#[test]
fn a_dead_letter_is_tried_again_with_all_its_tries_and_one_behind_another_is_not() {
    let world = World::new(1);
    world.shelf.rejects.borrow_mut().extend(["a/1".into(), "b/1".into()]);
    world.publish(&["a/1"]);
    for _ in 0..3 {
        world.run();
        world.minutes(5);
    }
    world.publish(&["b/1", "b/2"]);
    world.run();
    let (database, source) = (&world.shelf.database, world.source());
    let at = |data: &str| set_aside(&world).into_iter().find(|waiting| waiting.event.data == data).unwrap().event;
    assert_eq!(database.try_again(&source, Some(at("b/2").position)).unwrap(), 0, "it waits behind b/1");
    assert_eq!(database.try_again(&source, Some(1)).unwrap(), 0, "there is none");
    assert_eq!(database.try_again(&source, None).unwrap(), 1);
    let retried = [("a/1".to_owned(), WaitState::Retry, 0)];
    assert_eq!(world.waiting().into_iter().take(1).collect::<Vec<_>>(), retried);
    world.run();
    assert_eq!(world.waiting().first(), Some(&("a/1".to_owned(), WaitState::Retry, 1)));
    assert!(database.discard(&source, &at("b/1")).unwrap());
    assert!(!database.discard(&source, &Event { position: 1, ..at("b/2") }).unwrap());
    world.run();
    assert_eq!(world.seen(), ["b/2"], "what waited behind goes on");
}

#[test]
fn spans_and_kinds_count_the_events_of_one_interface() {
    let world = World::new(10);
    world.publish(&["a/1", "a/2", "b/1"]);
    let other =
        NewEvent { interface: "acme:shop/eventsandmore@0.1.0", function: "sold", data: "x", ..NewEvent::default() };
    world.outbox.publish(&other, soon()).unwrap();
    let kept = world.outbox.kept().unwrap();
    let span = world.outbox.span(INTERFACE, kept.first, u64::MAX, 100).unwrap();
    assert_eq!((span.events, span.first_ms, span.last_ms), (2, Some(1_000), Some(1_000)));
    assert_eq!(world.outbox.span(INTERFACE, 0, kept.first, 100).unwrap().events, 1);
    assert_eq!(world.outbox.span(INTERFACE, 0, u64::MAX, 2).unwrap().events, 2, "counted up to a bound");
    assert_eq!(world.outbox.outbox_rows(100).unwrap(), 4);
    let kinds = world.outbox.kinds(INTERFACE, 0).unwrap();
    let kind = |kind: &seam_store::Kind| (kind.interface.clone(), kind.function.clone(), kind.events);
    assert_eq!(kinds.iter().map(kind).collect::<Vec<_>>(), [("acme:shop/events@0.1.0".into(), "sold".into(), 3)]);
    world.shelf.rejects.borrow_mut().insert("a/1".into());
    world.run();
    let waiting = world.shelf.database.waiting_kinds(&world.source()).unwrap();
    assert_eq!(waiting.iter().map(kind).collect::<Vec<_>>(), [("acme:shop/events@0.1.0".into(), "sold".into(), 2)]);
}

#[test]
fn with_all_dead_letters_that_are_kept_a_subscription_takes_nothing_more_and_loses_nothing() {
    let world = World::new(10);
    world.shelf.rejects.borrow_mut().extend(["a/1".into(), "b/1".into()]);
    world.publish(&["a/1", "b/1"]);
    for _ in 0..2 {
        world.run();
        world.minutes(5);
    }
    let all = u64::from(seam_store::limits::EVENT_DEAD_MAX);
    let template = set_aside(&world).remove(0);
    let mut tx = world.shelf.database.begin(soon()).unwrap();
    // One less than the bound, of other positions: one of the two becomes the last.
    for number in 1..all {
        let mut dead = seam_store::Waiting { state: WaitState::Dead, ..template.clone() };
        dead.event.position = number;
        dead.event.subject = None;
        assert_eq!(tx.set_aside(&dead).unwrap(), WaitState::Dead);
    }
    tx.commit().unwrap();
    world.step();
    let count = || world.shelf.database.waiting_count(&world.source()).unwrap();
    assert_eq!((count().retry, count().dead), (1, all), "the other one is tried further");
    world.publish(&["c/1"]);
    let away = |next: Next| matches!(next, Next::Away(why) if why.contains("10000 dead letters"));
    assert!(away(world.step()) && away(world.step()));
    world.minutes(5);
    assert!(away(world.step()));
    assert_eq!((count().retry, count().dead), (1, all));
    assert_eq!(world.seen(), Vec::<String>::new());
    // With room, it goes on: what is tried may become a dead letter, and what was published is taken.
    let first = world.shelf.database.waiting(&world.source(), Some(WaitState::Dead), 0, 2).unwrap();
    for dead in first {
        assert!(world.shelf.database.discard(&world.source(), &dead.event).unwrap());
    }
    world.minutes(5);
    world.run();
    assert_eq!((count().retry, count().dead), (0, all - 1));
    assert_eq!(world.seen(), ["c/1"]);
}

#[test]
fn an_event_whose_next_try_a_clock_chose_that_was_ahead_is_tried_once_the_clock_is_right() {
    let world = World::new(10);
    let (right, ahead) = (world.time.clock().wall(), Duration::from_secs(600));
    world.time.set_wall(right + ahead);
    world.shelf.rejects.borrow_mut().insert("a/1".into());
    world.publish(&["a/1"]);
    world.run();
    assert_eq!(world.waiting(), [("a/1".into(), WaitState::Retry, 1)]);
    // As long as it is wrong, the pause is kept.
    world.run();
    assert_eq!(world.waiting(), [("a/1".into(), WaitState::Retry, 1)]);
    world.shelf.rejects.borrow_mut().clear();
    world.time.set_wall(right);
    assert_eq!(world.run(), Next::Later(None));
    assert_eq!(world.seen(), ["a/1"]);
}
