//! Transactions over the files of three contexts: all or nothing, also when the host is killed at any moment of one.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use seam_runtime::guest::transactions::Ending;
use seam_runtime::serve::Registry;
use seam_tests::host::{Host, seam};
use seam_tests::joint::{
    BEGIN_TWICE, COMMIT, DESK, LEAVE_OPEN, ROLL_BACK, Said, TRAP, TRAPS_ON, WITHOUT_LEFT, WITHOUT_RIGHT, numbers,
    renamed, system, write,
};
use seam_tests::{System, wait};

fn started(system: &System) -> Result<Registry> {
    system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))
}

/// No transaction is left open and no file in doubt: each can be written.
fn is_at_rest(registry: &Registry, number: u32) -> Result<()> {
    let said = write(registry, number, COMMIT)?;
    ensure!(said == Said { left: 0, right: 0, end: "ok" }, "{said:?}");
    Ok(())
}

#[test]
fn all_files_have_what_one_transaction_wrote_or_none_has() -> Result<()> {
    let system = system(DESK)?;
    let registry = started(&system)?;
    let said = |left, right, end| Said { left, right, end };
    assert_eq!(write(&registry, 1, COMMIT)?, said(0, 0, "ok"));
    assert_eq!(write(&registry, 2, ROLL_BACK)?, said(0, 0, "none"));
    assert_eq!(write(&registry, 3, LEAVE_OPEN)?, said(0, 0, "none"));
    assert!(write(&registry, 4, TRAP).is_err());
    assert_eq!(write(&registry, 5, BEGIN_TWICE)?, said(0, 0, "refused"));
    assert_eq!(write(&registry, 6, COMMIT | WITHOUT_RIGHT)?, said(0, 9, "ok"));
    assert_eq!(write(&registry, 7, COMMIT | WITHOUT_LEFT | WITHOUT_RIGHT)?, said(9, 9, "ok"));
    // `left` refuses what it has; the desk commits all the same, and `right` takes part.
    assert!(seam_tests::call(&registry, "left", "keeping.put", &[wasmtime::component::Val::U32(8)], 20_000).is_ok());
    assert_eq!(write(&registry, 8, COMMIT)?, said(1, 0, "ok"));
    // A callee that traps leaves nothing of its own call; the desk decides what becomes of the rest.
    assert_eq!(write(&registry, TRAPS_ON, COMMIT | WITHOUT_RIGHT)?, said(2, 9, "ok"));
    assert_eq!(numbers(&registry)?, [vec![1, 6, 7, 8, 13], vec![1, 6, 8], vec![1, 8]]);
    is_at_rest(&registry, 100)?;
    let endings = registry.transactions().ended().into_iter().map(|ended| ended.ending).collect::<Vec<_>>();
    let rolled_back = endings.iter().filter(|ending| **ending == Ending::RolledBack).count();
    assert_eq!((endings.len(), rolled_back), (10, 4), "{endings:?}");
    let last = registry.transactions().ended().into_iter().next().context("the last one")?;
    let held = last.held.iter().map(|held| held.context.to_string()).collect::<Vec<_>>();
    assert_eq!((last.coordinator.as_str(), held), ("desk", ["desk", "left", "right"].map(str::to_owned).to_vec()));
    Ok(())
}

#[test]
fn a_context_that_is_not_named_takes_no_part() -> Result<()> {
    let system = system(&DESK.replace(", \"right\"", ""))?;
    let registry = started(&system)?;
    assert_eq!(write(&registry, 1, COMMIT)?, Said { left: 0, right: 2, end: "ok" });
    assert_eq!(numbers(&registry)?, [vec![1], vec![1], vec![]]);
    let system = self::system(&DESK.replace("two_phase = [\"left\", \"right\"]", ""))?;
    let Err(problems) = system.start()? else { panic!("it starts without a grant") };
    let said = format!("{problems:?}");
    assert!(
        said.contains("does not grant it transactions over several files") && said.contains("two_phase = "),
        "{said}"
    );
    Ok(())
}

#[test]
fn a_file_that_cannot_promise_aborts_all() -> Result<()> {
    let system = system(DESK)?;
    let registry = started(&system)?;
    let promise = system.folder.path().join("data/stores/right.prepared.db");
    std::fs::create_dir(&promise)?;
    assert_eq!(write(&registry, 1, COMMIT)?, Said { left: 0, right: 0, end: "aborted" });
    assert_eq!(numbers(&registry)?, [const { Vec::<u32>::new() }; 3]);
    std::fs::remove_dir(&promise)?;
    is_at_rest(&registry, 1)
}

/// Each point at which a transaction can be interrupted, and whether it is decided by then.
const POINTS: [(&str, bool); 7] = [
    ("two-phase.before-vote:kill:1", false),
    ("two-phase.after-vote:kill:1", false),
    ("two-phase.after-vote:kill:2", false),
    ("two-phase.before-decision:kill:1", false),
    ("two-phase.after-decision:kill:1", true),
    ("two-phase.after-commit:kill:1", true),
    ("two-phase.after-clear:kill:2", true),
];

#[test]
fn a_host_that_is_killed_at_any_moment_of_a_transaction_finishes_or_undoes_it() -> Result<()> {
    let system = system(DESK)?;
    let (manifest, data) = (system.write()?, system.folder.path().join("data"));
    let mut expect = Vec::new();
    for (number, (point, decided)) in (0..3).flat_map(|_| POINTS).enumerate() {
        // Above those on which a context traps.
        let number = TRAPS_ON + 1 + u32::try_from(number)?;
        let host = Host::up_with(&manifest, &data, &[("SEAM_FAULT", point)])?;
        let called = seam(&manifest, &["call", "desk", &format!("work.write({number}, 0)")])?;
        let said = String::from_utf8_lossy(&called.stdout);
        ensure!(
            !called.status.success(),
            "{point}, {number}: the host is killed before it can answer, and said {said}"
        );
        drop(host);
        expect.extend(decided.then_some(number));
        expect.sort_unstable();
        let registry = started(&system)?;
        let all = numbers(&registry)?;
        ensure!(all.iter().all(|of_one| *of_one == expect), "{point}, {number}: {all:?}, not {expect:?}");
        is_at_rest(&registry, 1_000 + number)?;
        expect.push(1_000 + number);
        expect.sort_unstable();
        registry.close_stores();
    }
    Ok(())
}

/// A system whose host was killed when transaction 1 was decided, before any file but the desk's had heard of it.
struct Decided {
    system: System,
    manifest: PathBuf,
    data: PathBuf,
}

impl Decided {
    fn new() -> Result<Self> {
        let system = system(DESK)?;
        let (manifest, data) = (system.write()?, system.folder.path().join("data"));
        let host = Host::up_with(&manifest, &data, &[("SEAM_FAULT", "two-phase.after-decision:kill")])?;
        seam(&manifest, &["call", "desk", "work.write(1, 0)"])?;
        drop(host);
        Ok(Self { system, manifest, data })
    }
}

#[test]
fn a_host_that_is_killed_while_it_recovers_recovers() -> Result<()> {
    let Decided { system, manifest, data } = Decided::new()?;
    for point in ["two-phase.before-redo:kill:1", "two-phase.before-redo:kill:2", "two-phase.after-commit:kill:1"] {
        // Killed before it serves, unless all is done by then.
        drop(Host::up_with(&manifest, &data, &[("SEAM_FAULT", point)]));
    }
    let registry = started(&system)?;
    assert_eq!(numbers(&registry)?, [vec![1], vec![1], vec![1]]);
    is_at_rest(&registry, 2)
}

#[test]
fn a_part_that_cannot_commit_after_its_promise_is_tried_again_until_it_can() -> Result<()> {
    let system = system(DESK)?;
    let (manifest, data) = (system.write()?, system.folder.path().join("data"));
    // As if the disk of `left` failed once, after the decision.
    let host = Host::up_with(&manifest, &data, &[("SEAM_FAULT", "two-phase.before-commit:error:1")])?;
    let called = seam(&manifest, &["call", "desk", "work.write(1, 0)"])?;
    ensure!(called.status.success(), "{}", String::from_utf8_lossy(&called.stderr));
    wait::until(wait::TIMEOUT, || {
        let again = seam(&manifest, &["call", "left", "keeping.put(2)"])?;
        Ok(if again.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&again.stdout).into_owned()) })
    })?;
    drop(host);
    let registry = started(&system)?;
    assert_eq!(numbers(&registry)?, [vec![1], vec![1, 2], vec![1]]);
    is_at_rest(&registry, 3)
}

#[test]
fn a_file_stays_in_doubt_while_the_file_that_decides_cannot_be_asked() -> Result<()> {
    let Decided { system, manifest, data } = Decided::new()?;
    renamed(&data, "desk", "moved-away")?;
    let host = Host::up(&manifest, &data)?;
    let shown = seam(&manifest, &["contexts"])?;
    let shown = String::from_utf8_lossy(&shown.stderr).into_owned();
    ensure!(shown.contains("has promised to commit transaction"), "{shown}");
    let refused = seam(&manifest, &["call", "left", "keeping.put(2)"])?;
    let said = String::from_utf8_lossy(&refused.stdout).into_owned();
    ensure!(said.contains("refused"), "the test's context says `refused` when it cannot write: {said}");
    drop(host);
    renamed(&data, "moved-away", "desk")?;
    let registry = started(&system)?;
    assert_eq!(numbers(&registry)?, [vec![1], vec![1], vec![1]]);
    Ok(())
}

#[test]
fn an_operators_choice_is_noted_and_shown_as_damage_when_the_opposite_was_decided() -> Result<()> {
    let Decided { system, manifest, data } = Decided::new()?;
    renamed(&data, "desk", "moved-away")?;
    let host = Host::up(&manifest, &data)?;
    let overview = |of: &str| -> Result<Vec<serde_json::Value>> {
        let shown = seam(&manifest, &["transactions", "--format", "json"])?;
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout)?;
        Ok(shown[of].as_array().context("a list")?.clone())
    };
    let in_doubt = overview("in_doubt")?;
    ensure!(in_doubt.len() == 2 && in_doubt[0]["context"] == "left", "{in_doubt:?}");
    let id = in_doubt[0]["transaction"].as_str().context("its id")?.to_owned();
    let refused = seam(&manifest, &["transactions", "rollback", "4e1f", "--why", "a typing error"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(!refused.status.success() && said.contains("no file is in doubt about transaction `4e1f`"), "{said}");
    let chosen = seam(&manifest, &["transactions", "rollback", &id, "--why", "the file of desk is lost"])?;
    ensure!(chosen.status.success(), "{}", String::from_utf8_lossy(&chosen.stderr));
    ensure!(overview("in_doubt")?.is_empty() && overview("chosen")?.len() == 2);
    ensure!(seam(&manifest, &["call", "left", "keeping.put(2)"])?.status.success());
    let audit = String::from_utf8_lossy(&seam(&manifest, &["audit"])?.stdout).into_owned();
    ensure!(audit.contains("seam transactions rollback") && audit.contains("the file of desk is lost"), "{audit}");
    drop(host);
    renamed(&data, "moved-away", "desk")?;
    let host = Host::up(&manifest, &data)?;
    let shown = String::from_utf8_lossy(&seam(&manifest, &["transactions"])?.stderr).into_owned();
    let damage = "heuristic damage: `left` has rolled back transaction";
    ensure!(shown.contains(damage) && shown.contains("INSERT INTO got (number) VALUES (?1)"), "{shown}");
    let seen = seam(&manifest, &["transactions", "forget", &id, "--why", "put in by hand"])?;
    ensure!(seen.status.success() && overview("chosen")?.is_empty(), "{}", String::from_utf8_lossy(&seen.stderr));
    drop(host);
    let registry = started(&system)?;
    assert_eq!(numbers(&registry)?, [vec![1], vec![2], vec![]]);
    is_at_rest(&registry, 3)
}
