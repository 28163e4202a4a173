//! Some seeds for each number of hosts; each protection that is turned off must be noticed.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::world::{Plan, Without};
use super::{Came, simulate};

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

fn plan(hosts: usize, seed: u64) -> Plan {
    Plan { hosts, seed, without: None, tells: false }
}

/// Has this thread, and those that it starts, stay on one processor: they take turns, and the next one need not be
/// woken elsewhere.
fn stay_on(processor: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(processor % std::thread::available_parallelism().map_or(1, usize::from));
    // It is slower without.
    rustix::thread::sched_setaffinity(None, &set).ok();
}

/// Runs plans, two at a time.
fn run(plans: &[Plan]) -> Vec<(Plan, Came)> {
    let (next, all) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for processor in 0..2 {
            let (next, all) = (&next, &all);
            scope.spawn(move || {
                stay_on(processor);
                while let Some(plan) = plans.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let came = simulate(*plan);
                    all.lock().push((*plan, came));
                }
            });
        }
    });
    all.into_inner()
}

fn hold(plans: &[Plan]) {
    for (Plan { hosts, seed, .. }, Came { counts, trace, holds }) in run(plans) {
        println!("{hosts} hosts, seed {seed}: trace {trace}, {counts:?}");
        if let Err(why) = holds {
            panic!("{hosts} hosts, seed {seed}: {why}\nagain: just simulate --hosts {hosts} --seed {seed}");
        }
        assert!(counts.answered > 20 && counts.delivered > 20, "nothing happens: {counts:?}");
    }
}

/// What `just simulate --hosts` runs; in the suite, some seeds.
#[test]
fn whatever_fails_what_is_promised_holds_on_three_to_a_hundred_hosts() {
    match number("SEAM_HOSTS") {
        Some(hosts) => {
            let (first, runs) = (number("SEAM_HOSTS_SEED").unwrap_or(0), number("SEAM_HOSTS_RUNS").unwrap_or(1));
            let tells = runs == 1;
            let plans = (first..first + runs).map(|seed| Plan { tells, ..plan(hosts as usize, seed) });
            hold(&plans.collect::<Vec<_>>());
        }
        None => hold(&[plan(100, 1), plan(12, 3), plan(3, 4), plan(3, 5), plan(5, 6)]),
    }
}

#[test]
fn a_seed_does_the_same_each_time() {
    let came = run(&[plan(4, 11), plan(4, 11), plan(4, 12)]);
    let of = |seed| came.iter().filter(move |(plan, _)| plan.seed == seed).map(|(_, came)| (&came.trace, came.counts));
    let same: Vec<_> = of(11).collect();
    assert_eq!(same[0], same[1]);
    assert_ne!(same[0], of(12).next().unwrap());
}

/// The controls: without a protection, some seed must fail, with these words.
fn is_noticed(without: Without, says: &str) {
    let mut said = Vec::new();
    for first in (0..40).step_by(2) {
        let plans = [first, first + 1].map(|seed| Plan { without: Some(without), ..plan(3, seed) });
        for (_, came) in run(&plans) {
            match came.holds {
                Err(why) if why.contains(says) => return,
                other => said.push(other),
            }
        }
    }
    panic!("no seed notices it: {said:?}");
}

#[test]
fn an_owner_that_commits_after_its_term_is_noticed() {
    is_noticed(Without::Term, "two owners");
}

#[test]
fn an_answer_before_the_copy_is_noticed() {
    is_noticed(Without::Copies, "lost");
}

#[test]
fn a_request_that_is_performed_twice_is_noticed() {
    is_noticed(Without::Key, "done twice");
}

#[test]
fn a_doubt_that_is_ended_without_asking_is_noticed() {
    is_noticed(Without::Decision, "not all or nothing");
}

#[test]
fn positions_that_are_given_twice_are_noticed() {
    is_noticed(Without::Positions, "not delivered");
}

#[test]
fn an_event_that_is_not_tried_again_is_noticed() {
    is_noticed(Without::Again, "not delivered");
}
