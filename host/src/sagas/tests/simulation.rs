//! Sagas under faults that a seed chooses: crashes at every moment, delays, refusals, unknown answers, traps, commits
//! of which it is not known whether they happened, operators, and contexts that give their sagas up.
//!
//! Neighbours remember the keys of what they did and undid. Once the faults stop, every saga ends; one that is done has
//! had each effect once, one that is undone leaves none. With one protection switched off, a check must fail.
//! Not here: threads (`driving`).

mod model;
mod stage;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use model::{Neighbours, Rng};
use stage::Stage;

use super::*;

/// A protection that is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    Nothing,
    /// An undo undoes nothing.
    Undo,
    /// After a crash, only the steps are undone that the file knows to be performed.
    Reach,
    /// Neighbours do not know what they did.
    Keys,
}

/// What unwinds when the host crashes.
struct Crash;

/// Plays one seed; what happened.
///
/// # Errors
/// What was wrong, with how it came to that.
fn play(seed: u64, without: Without) -> Result<Vec<String>, String> {
    let folder = quick_folder();
    let time = Clock::manual();
    // The same for each run of a seed.
    time.set_wall(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let stage = Stage::new(seed, without, open(&folder, &time));
    let ids = stage.start_sagas();
    let mut engine = Engine::new(&stage);
    for _ in 0..stage.below(30, 60) {
        time.advance(Duration::from_millis(stage.below(0, 20_000)));
        let crashed = catch_unwind(AssertUnwindSafe(|| stage.round(&engine, &ids)));
        if let Err(payload) = crashed {
            if !payload.is::<Crash>() {
                resume_unwind(payload);
            }
            drop(engine);
            stage.restart(|| open(&folder, &time));
            engine = Engine::new(&stage);
        }
    }
    stage.has_faults.set(false);
    for _ in 0..2_000 {
        if stage.settle(&engine, &ids) {
            return stage.check(&ids).map(|()| stage.history());
        }
        let due = stage.database().next_saga_due().unwrap();
        let pause = due.map_or(1_000, |due| due.saturating_sub(stage.now_ms()).min(600_000));
        time.advance(Duration::from_millis(pause));
    }
    Err(stage.wrong("a saga does not end"))
}

/// In memory where the machine has such a folder: thousands of seeds commit some hundred times each.
fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty());
    text.map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

#[test]
fn whatever_fails_every_saga_ends_and_its_effects_are_whole() {
    let (first, seeds) = (number("SEAM_SIMULATE_SEED").unwrap_or(1), number("SEAM_SIMULATE_SEEDS").unwrap_or(300));
    for seed in first..first + seeds {
        match play(seed, Without::Nothing) {
            Ok(history) if seeds == 1 => println!("seed {seed}:\n{}", history.join("\n")),
            Ok(_) => {}
            Err(wrong) => panic!("seed {seed}: {wrong}\nreplay it: just simulate 1 {seed}"),
        }
    }
}

#[test]
fn without_one_of_the_protections_the_check_finds_something() {
    for without in [Without::Undo, Without::Reach, Without::Keys] {
        let found = (1..400).find(|seed| play(*seed, without).is_err());
        assert!(found.is_some(), "400 seeds without `{without:?}`, and nothing is found");
    }
}

#[test]
fn a_seed_is_played_the_same_each_time() {
    let same = |seed| play(seed, Without::Nothing) == play(seed, Without::Nothing);
    assert!((1..20).all(same));
}
