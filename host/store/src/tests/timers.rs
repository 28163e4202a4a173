//! Timers: each becomes an event once, at its time, in the order of the times.

use super::*;

fn event(data: &str) -> NewEvent<'_> {
    NewEvent { interface: "acme:shop/alarms@0.1.0", function: "rang", subject: Some("a"), time_ms: 1, trace: "t", data }
}

fn events(database: &Database) -> Vec<(String, u64)> {
    let all = database.published(None, 0, 10_000).unwrap();
    all.into_iter().map(|event| (event.data, event.time_ms)).collect()
}

#[test]
fn a_timer_is_an_event_once_it_is_due_and_only_then() {
    let shop = shop();
    for (data, due) in [("late", 900), ("early", 100), ("second", 500), ("third", 500)] {
        shop.publish_at(&event(data), due, soon()).unwrap();
    }
    assert_eq!((shop.timers().unwrap(), shop.next_timer().unwrap()), (4, Some(100)));
    assert_eq!(shop.fire_timers(99, soon()).unwrap(), 0);
    assert_eq!(events(&shop), []);
    assert_eq!(shop.fire_timers(500, soon()).unwrap(), 3);
    let due = [("early".to_owned(), 500), ("second".to_owned(), 500), ("third".to_owned(), 500)];
    assert_eq!(events(&shop), due, "in the order of their times, then of their setting");
    // The clock is put back, then on again: what came does not come again.
    assert_eq!(shop.fire_timers(100, soon()).unwrap(), 0);
    assert_eq!(shop.fire_timers(500, soon()).unwrap(), 0);
    assert_eq!(shop.next_timer().unwrap(), Some(900));
    assert_eq!(shop.fire_timers(10_000, soon()).unwrap(), 1);
    assert_eq!(events(&shop).len(), 4);
    assert_eq!((shop.timers().unwrap(), shop.next_timer().unwrap()), (0, None));
}

#[test]
fn a_timer_is_a_part_of_the_transaction_that_sets_it() {
    let shop = shop();
    let mut tx = shop.begin(soon()).unwrap();
    tx.publish_at(&event("gone"), 1).unwrap();
    drop(tx);
    assert_eq!(shop.next_timer().unwrap(), None);
    let mut tx = shop.begin(soon()).unwrap();
    tx.publish_at(&event("stays"), 1).unwrap();
    tx.commit().unwrap();
    assert_eq!(shop.next_timer().unwrap(), Some(1));
    let large = "x".repeat(limits::EVENT_BYTES_MAX + 1);
    assert_eq!(case(&shop.publish_at(&event(&large), 1, soon())), "too-large");
}

#[test]
fn many_timers_move_some_at_a_time_and_none_is_left_out() {
    let shop = shop();
    let all = u64::from(2 * limits::TIMERS_PER_COMMIT + 7);
    let mut tx = shop.begin(soon()).unwrap();
    for number in 0..all {
        tx.publish_at(&event(&number.to_string()), all - number).unwrap();
    }
    tx.commit().unwrap();
    let moved: Vec<u64> = std::iter::repeat_with(|| shop.fire_timers(all, soon()).unwrap()).take(4).collect();
    let most = u64::from(limits::TIMERS_PER_COMMIT);
    assert_eq!(moved, [most, most, 7, 0]);
    let mut data: Vec<u64> = events(&shop).iter().map(|(data, _)| data.parse().unwrap()).collect();
    data.reverse();
    assert_eq!(data, (0..all).collect::<Vec<_>>(), "the last one set was due first");
}

#[test]
fn beyond_the_bound_a_timer_is_refused_and_those_that_wait_stay() {
    let shop = shop();
    shop.publish_at(&event("first"), 10, soon()).unwrap();
    let more = limits::TIMERS_MAX - 1;
    let fill = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {more})
         INSERT INTO seam_timers (due_ms, interface, function, trace, data) SELECT 20, 'i', 'f', '', '1' FROM n"
    );
    shop.write_as_host(|sqlite| sqlite.execute(&fill, []).map(drop)).unwrap();
    let refused = shop.publish_at(&event("one too many"), 30, soon());
    assert_eq!(case(&refused), "full");
    assert!(shop.trouble().is_none(), "the file is well");
    assert_eq!(shop.timers().unwrap(), u64::from(limits::TIMERS_MAX));
    shop.fire_timers(10, soon()).unwrap();
    shop.publish_at(&event("one too many"), 30, soon()).unwrap();
}

#[test]
fn a_schedule_never_goes_back_by_a_run() {
    let shop = shop();
    assert_eq!(shop.schedule("tick").unwrap(), None);
    shop.set_schedule("tick", 1_000).unwrap();
    let run = |at, now| {
        let mut tx = shop.begin(soon()).unwrap();
        tx.ran("tick", at, now).and_then(|()| tx.commit())
    };
    run(2_000, 2_001).unwrap();
    assert_eq!(case(&run(2_000, 2_002)), "busy", "a due time has one run");
    assert_eq!(case(&run(1_500, 2_002)), "busy");
    run(3_000, 3_001).unwrap();
    let progress = shop.schedule("tick").unwrap();
    assert_eq!(progress, Some(Progress { at_ms: 3_000, ran_ms: Some(3_001), runs: 2 }));
    shop.keep_schedules(&["tick", "other"]).unwrap();
    assert_eq!(shop.schedule("tick").unwrap(), progress);
    shop.keep_schedules(&["other"]).unwrap();
    assert_eq!(shop.schedule("tick").unwrap(), None);
}
