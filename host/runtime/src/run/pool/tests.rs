//! Which calls get a permit, which wait, and which instances stay.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn no_callees() -> Bulkheads {
    Bulkheads::new(1, 0, 0)
}

fn pool(concurrency: u32, queue: u32) -> Pool<u32> {
    Pool::new(concurrency, queue, no_callees())
}

/// Waits until it holds, and fails instead of hanging.
fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "not in time: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn no_more_calls_run_than_allowed_and_the_others_wait() {
    let pool = self::pool(2, 8);
    let (running, most) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let _permit = pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap();
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert_eq!(pool.occupancy(), (0, 0, 0));
}

#[test]
fn a_full_queue_refuses_at_once_and_a_call_that_times_out_leaves_the_queue() {
    let pool = self::pool(1, 0);
    let held = pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap();
    assert_eq!(pool.acquire(None, soon()).err(), Some(NotAdmitted::Full));
    drop(held);
    let pool = self::pool(1, 1);
    let held = pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap();
    assert_eq!(pool.acquire(None, Instant::now()).err(), Some(NotAdmitted::TimedOut));
    drop(held);
    assert!(pool.acquire(None, soon()).is_ok(), "the call that timed out holds no permit");
}

#[test]
fn a_call_waits_exactly_until_its_deadline_and_only_when_all_permits_are_taken() {
    let time = Clock::manual();
    let (pool, hour, moment) =
        (Pool::<u32>::with_clock(1, 1, no_callees(), time.clock()), Duration::from_secs(3600), Duration::from_nanos(1));
    let long_ago = time.now();
    time.advance(hour);
    let held = pool.acquire(None, long_ago).map_err(|e| format!("{e:?}")).unwrap();
    assert_eq!(pool.acquire(None, time.now()).err(), Some(NotAdmitted::TimedOut));
    let waits = |deadline: Instant, then: &dyn Fn()| {
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                pool.acquire(None, deadline).map(|_permit| time.now()).map_err(|refused| (refused, time.now()))
            });
            until("it waits", || time.waiting() > 0 || waits.is_finished());
            then();
            // One that is never admitted runs out of time.
            let began = Instant::now();
            while !waits.is_finished() {
                std::thread::yield_now();
                if began.elapsed() > Duration::from_secs(20) {
                    time.advance(hour);
                }
            }
            waits.join().unwrap()
        })
    };
    let deadline = time.now() + hour;
    let refused = waits(deadline, &|| {
        time.advance(hour - moment);
        assert_eq!((time.waiting(), pool.occupancy().1), (1, 1), "a moment before the deadline it still waits");
        time.advance(moment);
    });
    assert_eq!(refused, Err((NotAdmitted::TimedOut, deadline)));
    assert_eq!(pool.occupancy(), (1, 0, 0));
    let held = std::cell::Cell::new(Some(held));
    let admitted = waits(time.now() + hour, &|| {
        time.advance(hour - moment);
        drop(held.take());
    });
    assert_eq!((admitted, pool.occupancy()), (Ok(time.now()), (0, 0, 0)));
}

#[test]
fn a_retired_pool_keeps_no_instance_and_lets_calls_end() {
    let pool = self::pool(2, 2);
    let (permit, _) = pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap();
    pool.put_back(1);
    pool.retire();
    assert_eq!(pool.occupancy(), (1, 0, 0));
    pool.put_back(2);
    drop(permit);
    assert_eq!(pool.occupancy(), (0, 0, 0));
    assert!(pool.acquire(None, soon()).is_ok(), "a request that started before may still call");
}

#[test]
fn trimming_drops_what_was_not_needed_and_keeps_the_warmest() {
    let pool = self::pool(4, 4);
    for i in 0..4 {
        pool.put_back(i);
    }
    pool.trim();
    assert_eq!(pool.occupancy().2, 4, "the first trim does not know yet what was needed");
    let (_permit, warmest) = pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap();
    assert_eq!(warmest, Some(3));
    pool.put_back(3);
    pool.trim();
    assert_eq!(pool.occupancy().2, 2);
}

#[test]
fn a_call_that_is_away_leaves_its_permit_to_another_and_comes_back_without_waiting() {
    let pool = self::pool(1, 2);
    let permit = |refused: &str| pool.acquire(None, soon()).map_err(|e| format!("{e:?}: {refused}")).unwrap().0;
    let writer = permit("the first");
    assert!(pool.give_away(Wait::FirstWrite, None));
    let reader = permit("a call that only reads");
    pool.take_back(Wait::Disk, None);
    assert_eq!(pool.occupancy(), (2, 0, 0), "the writer runs again, beside the reader");
    drop(reader);
    assert_eq!(pool.acquire(None, Instant::now()).err(), Some(NotAdmitted::TimedOut), "the writer still runs");
    drop(writer);
    drop(permit("all have ended"));
    assert_eq!(pool.occupancy(), (0, 0, 0));
}

#[test]
fn a_permit_that_is_given_away_goes_to_the_call_that_waits_longest() {
    let pool = self::pool(1, 2);
    let writer = pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap();
    let order = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (at, name) in ["first", "second"].into_iter().enumerate() {
            let (pool, order) = (&pool, &order);
            scope.spawn(move || {
                let _permit = pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap();
                order.lock().push(name);
            });
            until("it waits", || pool.occupancy().1 > at);
        }
        assert!(pool.give_away(Wait::FirstWrite, None));
    });
    assert_eq!(order.into_inner(), ["first", "second"]);
    pool.take_back(Wait::Disk, None);
    drop(writer);
    assert_eq!(pool.occupancy(), (0, 0, 0));
}

#[test]
fn the_number_of_calls_that_are_away_is_bounded_and_so_is_what_runs_when_they_come_back() {
    let pool = self::pool(2, 3);
    let mut permits = Vec::new();
    for _ in 0..3 {
        permits.push(pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap());
        assert!(pool.give_away(Wait::FirstWrite, None));
    }
    permits.push(pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap());
    assert!(!pool.give_away(Wait::FirstWrite, None), "three are away");
    assert!(pool.give_away(Wait::Disk, None), "unless it must");
    (0..4).for_each(|_| pool.take_back(Wait::Disk, None));
    assert_eq!(pool.acquire(None, Instant::now()).err(), Some(NotAdmitted::TimedOut));
    permits.truncate(2);
    assert_eq!(pool.acquire(None, Instant::now()).err(), Some(NotAdmitted::TimedOut), "two run, and that is the bound");
    permits.truncate(1);
    assert!(pool.acquire(None, Instant::now()).is_ok());
    drop(permits);
    assert_eq!(pool.occupancy(), (0, 0, 0));
}

#[test]
fn a_call_that_waits_is_not_admitted_beside_one_that_came_back() {
    let pool = self::pool(1, 2);
    let permit = || pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap().0;
    let writer = permit();
    assert!(pool.give_away(Wait::FirstWrite, None));
    let reader = permit();
    pool.take_back(Wait::Disk, None);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| pool.acquire(None, soon()).is_ok());
        until("it waits", || pool.occupancy().1 > 0);
        drop(reader);
        assert_eq!(pool.occupancy(), (1, 1, 0), "the writer runs, and that is the bound");
        drop(writer);
        assert!(waits.join().unwrap());
    });
}

#[test]
fn a_permit_comes_back_from_a_call_that_panics_away_from_it() {
    use crate::guest::bulkhead::Callee;
    use crate::guest::places::Places;
    let pool = Arc::new(pool(1, 0));
    let panics = std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let _permit = pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap();
            let places = Places::new(pool.clone(), Callee::without_function(0), None);
            let _away = places.away_for_writer().unwrap();
            std::panic::resume_unwind(Box::new(()));
        });
        call.join().is_err()
    });
    assert!(panics);
    assert_eq!(pool.occupancy(), (0, 0, 0));
}

#[test]
fn calls_that_wait_for_a_callee_do_not_count_against_those_that_wait_for_the_disk() {
    let pool = self::pool(1, 0);
    for _ in 0..3 {
        pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap().0.forget();
        assert!(pool.give_away(Wait::Callee, None));
    }
    let writer = pool.acquire(None, soon()).map_err(|e| format!("{e:?}")).unwrap().0;
    assert!(pool.give_away(Wait::FirstWrite, None), "one may wait for the disk");
    assert_eq!(pool.occupancy(), (4, 0, 0));
    pool.take_back(Wait::Disk, None);
    drop(writer);
    (0..3).for_each(|_| pool.take_back(Wait::Callee, None));
    (0..3).for_each(|_| pool.release(None));
    assert_eq!(pool.occupancy(), (0, 0, 0));
}

#[test]
fn one_function_leaves_permits_to_the_others_and_the_host_takes_any() {
    let function = |name| Some(FunctionId::new("t:bank/bank", name));
    let permit = |pool: &Pool<u32>, name| pool.acquire(function(name), soon()).map(|(permit, _)| permit.forget());
    let pool = self::pool(4, 0);
    let sign_ups = [(); 3].map(|()| permit(&pool, "sign-up"));
    assert_eq!(sign_ups, [Ok(()), Ok(()), Err(NotAdmitted::Full)]);
    assert_eq!(permit(&pool, "who"), Ok(()), "who is signed in does not wait behind them");
    assert_eq!(pool.acquire(None, soon()).map(|_| ()), Ok(()));
    // One that waits for the disk makes room for its own kind, and takes its place back nevertheless.
    assert!(pool.give_away(Wait::FirstWrite, function("sign-up")));
    assert_eq!(permit(&pool, "sign-up"), Ok(()));
    pool.take_back(Wait::Disk, function("sign-up"));
    assert_eq!(pool.occupancy().0, 4);
    (0..3).for_each(|_| pool.release(function("sign-up")));
    assert_eq!(permit(&pool, "sign-up"), Ok(()), "what is released counts no more");

    let pool = self::pool(4, 0).of_one_function(true);
    assert_eq!([(); 5].map(|()| permit(&pool, "sign-up").is_ok()), [true, true, true, true, false]);
}
