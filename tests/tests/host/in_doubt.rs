//! Transactions over three files whose decision is in doubt: its commit fails and may have happened, its file cannot be
//! read, or the host was killed and `seam verify` looks at what it left.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use seam::verify::{Outcome, Report};
use seam_tests::host::{Host, seam};
use seam_tests::joint::{self, DESK, TOTAL, numbers, renamed};
use seam_tests::{System, wait};

struct Fixture {
    system: System,
    manifest: PathBuf,
    data: PathBuf,
}

impl Fixture {
    fn new() -> Result<Self> {
        let system = joint::system(DESK)?;
        let (manifest, data) = (system.write()?, system.folder.path().join("data"));
        Ok(Self { system, manifest, data })
    }

    fn up(&self, fault: &str) -> Result<Host> {
        Host::up_with(&self.manifest, &self.data, &[("SEAM_FAULT", fault)])
    }

    /// The file that `up` with `@` and its path reads faults from.
    fn plan(&self) -> PathBuf {
        self.system.folder.path().join("plan")
    }

    fn arm(&self, plan: &str) -> Result<()> {
        let next = self.plan().with_extension("next");
        std::fs::write(&next, plan)?;
        Ok(std::fs::rename(next, self.plan())?)
    }

    /// What `seam call` prints of a number that the desk writes.
    fn write(&self, number: u32) -> Result<String> {
        let called = seam(&self.manifest, &["call", "desk", &format!("work.write({number}, 0)")])?;
        Ok(String::from_utf8_lossy(&called.stdout).trim().to_owned())
    }

    /// The exit code of `seam verify`, and its report.
    fn verify(&self) -> Result<(i32, Report)> {
        let output = seam(&self.manifest, &["verify", "--format", "json"])?;
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code().context("an exit code")?, serde_json::from_slice(&output.stdout).with_context(said)?))
    }

    /// That everything holds, and the files agree on so many numbers.
    fn agree(&self, expect: u64) -> Result<Report> {
        let (code, report) = self.verify()?;
        let total = outcome(&report, "desk, left, right", TOTAL)?;
        ensure!(code == 0 && *total == Outcome::Holds { keys: Some(expect) }, "not {expect}, exit {code}: {report:#?}");
        Ok(report)
    }

    fn in_doubt(&self) -> Result<Vec<String>> {
        let shown = seam(&self.manifest, &["transactions", "--format", "json"])?;
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout)?;
        let context = |row: &serde_json::Value| row["context"].as_str().unwrap_or_default().to_owned();
        Ok(shown["in_doubt"].as_array().context("a list")?.iter().map(context).collect())
    }

    /// The numbers that each context has, after a start. Ends what doubt there is.
    fn numbers(&self) -> Result<[Vec<u32>; 3]> {
        let registry = self.system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
        let numbers = numbers(&registry)?;
        registry.close_stores();
        Ok(numbers)
    }

    /// The bytes of the files and of their logs.
    fn bytes(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut all = BTreeMap::new();
        for entry in std::fs::read_dir(self.data.join("stores"))? {
            let path = entry?.path();
            let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
            // Shared memory is no part of a file; an empty log is made for one that is only read.
            let bytes = std::fs::read(&path)?;
            if !name.ends_with("-shm") && !bytes.is_empty() {
                all.insert(name, bytes);
            }
        }
        Ok(all)
    }
}

fn outcome<'r>(report: &'r Report, contexts: &str, name: &str) -> Result<&'r Outcome> {
    let found = report.checks.iter().find(|check| check.contexts.join(", ") == contexts && check.name == name);
    Ok(&found.with_context(|| format!("no check `{name}` of {contexts}: {report:#?}"))?.outcome)
}

#[test]
fn a_decision_whose_commit_fails_is_what_the_file_says_when_it_is_read_again() -> Result<()> {
    let fixture = Fixture::new()?;
    let host = fixture.up(&format!("@{}", fixture.plan().display()))?;
    ensure!(fixture.write(1)? == "ok(0)");
    // The disk says that it failed, and has the commit or not. The last digit is 0 for committed, 5 for unavailable.
    for (number, fault, said) in [(2, "commit.after:error:1", "ok(0)"), (3, "commit.before:error:1", "ok(5)")] {
        fixture.arm(fault)?;
        let found = fixture.write(number)?;
        ensure!(found == said && !fixture.plan().exists(), "{fault}: {found}");
        host.log_line(&["outcome unknown", "desk.db"])?;
        ensure!(fixture.in_doubt()?.is_empty(), "{fault}");
        fixture.agree(2)?;
    }
    let unknown = host.log()?.lines().filter(|line| line.contains("outcome unknown")).count();
    ensure!(unknown == 2, "{}", host.log()?);
    ensure!(fixture.write(4)? == "ok(0)", "the files can be written");
    drop(host);
    ensure!(fixture.numbers()? == [vec![1, 2, 4], vec![1, 2, 4], vec![1, 2, 4]]);
    Ok(())
}

#[test]
fn a_decision_that_cannot_be_read_leaves_the_parts_in_doubt_until_its_file_is_back() -> Result<()> {
    let fixture = Fixture::new()?;
    let host = fixture.up(&format!("@{}", fixture.plan().display()))?;
    ensure!(fixture.write(1)? == "ok(0)");
    fixture.arm("two-phase.before-decision:delay=2000,commit.after:error:1")?;
    let said = std::thread::scope(|scope| -> Result<String> {
        let called = scope.spawn(|| fixture.write(2));
        // Both have promised then, and the decision waits.
        let promised = |name: &str| fixture.data.join(format!("stores/{name}.prepared.db"));
        wait::until(wait::TIMEOUT, || {
            let voted = promised("right").metadata().is_ok_and(|file| file.len() > 0) || called.is_finished();
            Ok(voted.then_some(()).ok_or_else(|| "`right` has not promised".to_owned()))
        })?;
        std::thread::sleep(std::time::Duration::from_millis(300));
        renamed(&fixture.data, "desk", "moved-away")?;
        called.join().map_err(|_| anyhow::anyhow!("the call panicked"))?
    })?;
    ensure!(said == "ok(3)", "the caller hears that it is in doubt: {said}");
    let mut in_doubt = fixture.in_doubt()?;
    in_doubt.sort();
    ensure!(in_doubt == ["left", "right"], "{in_doubt:?}");
    let (code, report) = fixture.verify()?;
    let left = outcome(&report, "left", "file-is-there")?;
    let says = |words: &str| matches!(left, Outcome::Unchecked { why, .. } if why.contains(words));
    ensure!(code == 2 && says("has promised to commit transaction"), "{code}: {left:?}");
    renamed(&fixture.data, "moved-away", "desk")?;
    wait::until(wait::TIMEOUT, || {
        let left = fixture.in_doubt()?;
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are in doubt")) })
    })?;
    fixture.agree(2)?;
    drop(host);
    ensure!(fixture.numbers()? == [vec![1, 2], vec![1, 2], vec![1, 2]], "the commit was on the disk");
    Ok(())
}

#[test]
fn the_files_of_a_killed_host_are_verified_as_the_next_start_makes_them() -> Result<()> {
    let fixture = Fixture::new()?;
    drop(fixture.up("")?);
    // Decided or not, and what both parts have promised.
    for (number, point, then) in [
        (1, "two-phase.after-decision:kill", vec![1]),
        (2, "two-phase.before-decision:kill", vec![1]),
        (3, "two-phase.after-commit:kill:1", vec![1, 3]),
    ] {
        let host = fixture.up(point)?;
        ensure!(fixture.write(number)?.is_empty(), "{point}: the host is killed");
        drop(host);
        let before = fixture.bytes()?;
        let report = fixture.agree(then.len() as u64).context(point)?;
        ensure!(fixture.bytes()? == before, "{point}: no file is changed");
        // `left` has kept its promise by the third time.
        let in_doubt: &[&str] = if number == 3 { &["right"] } else { &["left", "right"] };
        let decided = report.checks.iter().filter(|check| check.name == "promise-is-decided");
        let (contexts, sentences): (Vec<_>, Vec<_>) =
            decided.map(|check| (check.contexts.join(" "), check.sentence.as_str())).unzip();
        ensure!(contexts == in_doubt, "{point}: {report:#?}");
        let says = if number == 2 { "`desk` has not decided transaction" } else { "`desk` has decided transaction" };
        ensure!(sentences.iter().all(|sentence| sentence.contains(says)), "{point}: {sentences:?}");
        ensure!(fixture.numbers()? == [then.clone(), then.clone(), then], "{point}");
    }
    Ok(())
}

#[test]
fn a_file_of_a_killed_host_is_not_verified_while_what_decides_cannot_be_read() -> Result<()> {
    let fixture = Fixture::new()?;
    let host = fixture.up("two-phase.after-decision:kill")?;
    fixture.write(1)?;
    drop(host);
    let unchecked = |words: &[&str]| -> Result<()> {
        let (code, report) = fixture.verify()?;
        ensure!(code != 0, "{report:#?}");
        let left = outcome(&report, "left", "file-is-there")?;
        let says = |why: &str| words.iter().all(|word| why.contains(word));
        ensure!(matches!(left, Outcome::Unchecked { why, .. } if says(why)), "{left:?}");
        Ok(())
    };
    renamed(&fixture.data, "desk", "moved-away")?;
    unchecked(&["has promised to commit transaction", "the file of `desk` decides"])?;
    renamed(&fixture.data, "moved-away", "desk")?;

    let promise = fixture.data.join("stores/left.prepared.db");
    let log = fixture.data.join("stores/left.prepared.db-wal");
    let (file, logged) = (std::fs::read(&promise)?, std::fs::read(&log)?);
    std::fs::write(&promise, [7; 8192])?;
    std::fs::write(&log, [])?;
    unchecked(&["what it has promised cannot be read", "`desk` has decided transaction"])?;
    std::fs::write(&promise, file)?;
    std::fs::write(&log, logged)?;
    fixture.agree(1)?;
    ensure!(fixture.numbers()? == [vec![1], vec![1], vec![1]]);

    // One that no decision needs.
    let fixture = Fixture::new()?;
    drop(fixture.up("")?);
    std::fs::write(fixture.data.join("stores/left.prepared.db"), [7; 8192])?;
    let (_, report) = fixture.verify()?;
    let decided = report.checks.iter().find(|check| check.name == "promise-is-decided").context("the check")?;
    ensure!(decided.contexts == ["left"] && decided.sentence.ends_with("no decision waits for it."), "{decided:?}");
    Ok(())
}
