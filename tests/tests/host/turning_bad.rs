//! A version that turns bad once it serves: the host notices, answers with the one before, and rolls back by itself.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use seam::deploy::{ChangeState, DeployOutcome, DeployReport, Step};
use seam_tests::System;
use seam_tests::host::{Host, seam};
use seam_tests::version::{Then, Version, page, page_of, page_that};
use seam_tests::wait;

const TABLE: &str = "CREATE TABLE seen (n INTEGER NOT NULL, old TEXT) STRICT; INSERT INTO seen VALUES (1, 'x')";

fn put(system: &System, wasm: &[u8]) -> Result<PathBuf> {
    let file = system.folder.path().join("next.wasm");
    std::fs::write(&file, wasm)?;
    Ok(file)
}

/// A page that asks another context, with nothing recorded, so that it is the watch that finds what is wrong.
fn unrecorded() -> Result<System> {
    Ok(System::new()
        .context("numbers", &Version::times(2).wasm()?, "")?
        .context("page", &page()?, r#"imports = ["t:numbers/numbers"]"#)?
        .lines("[[mount]]\npath = \"/\"\ncontext = \"page\"\n[recording]\ncalls_per_s = 0"))
}

/// Requests through the edge from several threads until it is dropped.
struct Load<'a> {
    stop: &'a AtomicBool,
    answered: &'a AtomicU32,
    failed: &'a AtomicU32,
}

impl Load<'_> {
    fn run(&self, host: &Host, answers: &[&str]) {
        while !self.stop.load(Ordering::Relaxed) {
            match host.get("/") {
                Ok(answer) if answer.status == 200 && answers.contains(&answer.text().as_str()) => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                other => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    eprintln!("failed: {other:?}");
                }
            }
        }
    }
}

/// Ends the load when the test does, however it does.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How long the `count`-th version that was rolled back had served.
fn watched_ms(host: &Host, count: usize) -> Result<u64> {
    let line = wait::until(Duration::from_secs(10), || {
        let log = host.log()?;
        let line = log.lines().filter(|line| line.contains("turned bad and was rolled back")).nth(count - 1);
        Ok(line.map(str::to_owned).ok_or_else(|| format!("no such line in {log}")))
    })?;
    let fields: serde_json::Value = serde_json::from_str(&line)?;
    fields["ms_watched"].as_u64().ok_or_else(|| anyhow::anyhow!("{line}"))
}

#[test]
fn a_version_that_turns_bad_under_load_is_rolled_back_soon_and_no_request_fails() -> Result<()> {
    let system = unrecorded()?;
    let manifest = system.write()?;
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let (stop, answered, failed) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let load = Load { stop: &stop, answered: &answered, failed: &failed };
    std::thread::scope(|scope| -> Result<()> {
        for _ in 0..4 {
            scope.spawn(|| load.run(&host, &["14", "21"]));
        }
        let _end = End(&stop);
        wait::until(wait::TIMEOUT, || {
            let count = answered.load(Ordering::Relaxed);
            Ok((count > 20).then_some(()).ok_or_else(|| format!("only {count} requests were answered")))
        })?;
        // A version that hangs is known by the second round of calls that run out of time. That a version is slow, and
        // not the machine, shows after three seconds.
        for (at, (name, version, within_ms)) in [
            ("traps", Version { call: Then::Traps, ..Version::times(9) }, 500),
            ("hangs", Version { call: Then::Hangs, ..Version::times(9) }, 1_500),
            ("is slow", Version { call: Then::Spins, ..Version::times(2) }, 5_500),
        ]
        .into_iter()
        .enumerate()
        {
            let file = put(&system, &version.wasm()?)?;
            let output = seam(&manifest, &["deploy", "numbers", &file.to_string_lossy(), "--format", "json"])?;
            let report: DeployReport = serde_json::from_slice(&output.stdout)?;
            assert_eq!(report.outcome, DeployOutcome::RolledBack, "{name}: {report:?}");
            let refused = report.refused.unwrap();
            assert_eq!(refused.step, Some(Step::Watch));
            assert_eq!(report.serves.unwrap().hash, report.before.unwrap().hash, "{name}");
            let ms = watched_ms(&host, at + 1)?;
            eprintln!("{name}: gone after {ms} ms: {}", refused.message);
            assert!(ms <= within_ms, "{name} after {ms} ms");
            assert_eq!(output.status.code(), Some(1));
        }
        let good = put(&system, &Version::times(3).wasm()?)?;
        let output = seam(&manifest, &["deploy", "numbers", &good.to_string_lossy(), "--watch", "600"])?;
        assert!(output.status.success(), "{output:?}");
        Ok(())
    })?;
    assert_eq!(failed.load(Ordering::Relaxed), 0, "of {}", answered.load(Ordering::Relaxed));
    assert!(answered.load(Ordering::Relaxed) > 100);
    assert_eq!(host.get("/")?.text(), "21");
    let output = seam(&manifest, &["history", "--format", "json"])?;
    let entries: Vec<seam::deploy::HistoryEntry> = serde_json::from_slice(&output.stdout)?;
    let states: Vec<ChangeState> = entries.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [ChangeState::Live, ChangeState::RolledBack, ChangeState::RolledBack, ChangeState::RolledBack]);
    Ok(())
}

#[test]
fn a_request_that_wrote_something_is_never_run_twice() -> Result<()> {
    let writes = |factor: u32, call: Then| Version {
        migrations: vec![TABLE],
        query: Some("INSERT INTO seen (n) VALUES (5) RETURNING n"),
        call,
        ..Version::times(factor)
    };
    let system = System::new()
        .context("numbers", &writes(2, Then::Works).wasm()?, "store = true")?
        .context("page", &page()?, r#"imports = ["t:numbers/numbers"]"#)?
        .lines("[[mount]]\npath = \"/\"\ncontext = \"page\"");
    let manifest = system.write()?;
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    assert_eq!(host.get("/")?.text(), "14");
    let next = put(&system, &writes(3, Then::Traps).wasm()?)?;
    let path = next.to_string_lossy().into_owned();
    std::thread::scope(|scope| -> Result<()> {
        let deploy = scope.spawn(|| seam(&manifest, &["deploy", "numbers", &path, "--watch", "3000"]));
        host.log_line(&["\"serves on probation\""]).ok();
        let until = Instant::now() + Duration::from_secs(10);
        let broken = loop {
            let answer = host.get("/")?;
            if answer.text() != "14" || Instant::now() > until {
                break answer;
            }
        };
        assert_eq!(broken.text(), "unavailable", "the page wrote and its callee then trapped");
        deploy.join().unwrap()?;
        Ok(())
    })
}

#[test]
fn a_page_that_breaks_hangs_or_fails_is_answered_by_the_one_before() -> Result<()> {
    let system = unrecorded()?;
    let manifest = system.write()?;
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    for _ in 0..20 {
        assert_eq!(host.get("/")?.text(), "14");
    }
    for (what, page) in
        [("traps", page_that(Then::Traps)?), ("hangs", page_that(Then::Hangs)?), ("answers 500", page_of(500)?)]
    {
        let file = put(&system, &page)?;
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| -> Result<()> {
            let _end = End(&stop);
            let deploy = scope.spawn(|| {
                let output = seam(&manifest, &["deploy", "page", &file.to_string_lossy()]);
                stop.store(true, Ordering::Relaxed);
                output
            });
            while !stop.load(Ordering::Relaxed) {
                let answer = host.get("/")?;
                assert_eq!((answer.status, answer.text().as_str()), (200, "14"));
            }
            let output = deploy.join().unwrap()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let rolled_back = said.starts_with("error: `page` is rolled back at watch: ");
            assert!(rolled_back, "a page that {what}: {output:?}\n{}", host.log()?);
            Ok(())
        })?;
        host.log_line(&["it is run again with the version before"])?;
    }
    Ok(())
}

/// Asks `numbers.times(7)` of the running host until `stop`.
fn keep_asking(manifest: &std::path::Path, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        seam(manifest, &["call", "numbers", "numbers.times(7)"]).ok();
    }
}

#[test]
fn a_host_killed_while_it_rolls_back_starts_with_the_version_before() -> Result<()> {
    let system =
        System::new().context("numbers", &Version::times(2).wasm()?, "")?.lines("[recording]\ncalls_per_s = 0");
    let manifest = system.write()?;
    let data = system.folder.path().join("data");
    let bad = put(&system, &Version { call: Then::Traps, ..Version::times(9) }.wasm()?)?;
    let host = Host::up_with(&manifest, &data, &[("SEAM_FAULT", "deploy.rolled-back:kill")])?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        let _end = End(&stop);
        scope.spawn(|| keep_asking(&manifest, &stop));
        let output = seam(&manifest, &["deploy", "numbers", &bad.to_string_lossy()])?;
        assert_eq!(output.status.code(), Some(1));
        Ok(())
    })?;
    drop(host);
    let _host = Host::up(&manifest, &data)?;
    let output = seam(&manifest, &["call", "numbers", "numbers.times(7)"])?;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ok(14)");
    let output = seam(&manifest, &["history", "--format", "json"])?;
    let entries: Vec<seam::deploy::HistoryEntry> = serde_json::from_slice(&output.stdout)?;
    assert_eq!(entries.first().map(|entry| entry.state), Some(ChangeState::RolledBack));
    Ok(())
}

#[test]
fn the_operator_sees_that_a_version_is_watched_and_rolls_it_back() -> Result<()> {
    let system = System::new().context("numbers", &Version::times(2).wasm()?, "")?;
    let manifest = system.write()?;
    let _host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let next = put(&system, &Version::times(3).wasm()?)?;
    let watched = || -> Result<bool> {
        let output = seam(&manifest, &["contexts", "--format", "json"])?;
        let all: Vec<seam::admin::ContextStatus> = serde_json::from_slice(&output.stdout)?;
        Ok(all.iter().any(|context| context.on_probation))
    };
    assert!(!watched()?);
    std::thread::scope(|scope| -> Result<()> {
        let deploy =
            scope.spawn(|| seam(&manifest, &["deploy", "numbers", &next.to_string_lossy(), "--watch", "1500"]));
        let until = Instant::now() + Duration::from_secs(10);
        while !watched()? {
            assert!(Instant::now() < until, "`seam contexts` never shows that it is watched");
        }
        assert!(deploy.join().unwrap()?.status.success());
        Ok(())
    })?;
    assert!(watched()?, "it was not called, so it is watched for its first calls");
    let output = seam(&manifest, &["rollback", "numbers"])?;
    assert!(!watched()?);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.ends_with(", generation 3\n"), "{said}");
    let output = seam(&manifest, &["call", "numbers", "numbers.times(7)"])?;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ok(14)");
    // And to any version that served, by its hash in the history.
    let history = String::from_utf8(seam(&manifest, &["history", "numbers"])?.stdout)?;
    let newest = history.lines().last().and_then(|line| line.split_whitespace().nth(5)).unwrap();
    let output = seam(&manifest, &["rollback", "numbers", "--to", newest])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.ends_with(&format!("numbers serves {newest}, generation 4\n")), "{said}");
    let output = seam(&manifest, &["rollback", "numbers", "--to", "beef1e"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.starts_with("error: `numbers` is refused: no version of `numbers` that served"), "{said}");
    Ok(())
}

#[test]
fn a_version_that_was_not_called_while_it_was_watched_is_noticed_when_its_first_calls_break() -> Result<()> {
    let system =
        System::new().context("numbers", &Version::times(2).wasm()?, "")?.lines("[recording]\ncalls_per_s = 0");
    let manifest = system.write()?;
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let bad = put(&system, &Version { call: Then::Traps, ..Version::times(9) }.wasm()?)?;
    let output = seam(&manifest, &["deploy", "numbers", &bad.to_string_lossy(), "--watch", "100"])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("the host goes on watching for its first 100 calls"), "{said}");
    let newest = || -> Result<seam::deploy::HistoryEntry> {
        let output = seam(&manifest, &["history", "--format", "json"])?;
        Ok(serde_json::from_slice::<Vec<_>>(&output.stdout)?.swap_remove(0))
    };
    let entry = newest()?;
    let why = entry.why.as_deref();
    assert_eq!((entry.state, why), (ChangeState::Live, Some("nothing called it while it was watched")));
    let call = || -> Result<String> {
        let output = seam(&manifest, &["call", "numbers", "numbers.times(7)"])?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    assert_eq!(call()?, "");
    host.log_line(&["ERROR", "a version that was hardly called while it was watched breaks its first calls"])?;
    // A few more, and the version before serves again by itself.
    wait::until(wait::TIMEOUT, || {
        let answer = call()?;
        Ok((answer == "ok(14)").then_some(()).ok_or_else(|| format!("it answers {answer:?}")))
    })?;
    assert_eq!(newest()?.state, ChangeState::RolledBack);
    Ok(())
}
