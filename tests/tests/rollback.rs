//! The way back: by a person, by itself when a version turns bad, and after a restart.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use seam::app::App;
use seam::context::component::Compiler;
use seam::deploy::{Back, Outcome, Report, Request, State, Step};
use seam::manifest::Manifest;
use seam_tests::host::{Host, seam};
use seam_tests::version::{Then, Version, asking, page, page_that};
use seam_tests::{System, call};
use wasmtime::component::Val;

const TABLE: &str = "CREATE TABLE seen (n INTEGER NOT NULL, old TEXT) STRICT; INSERT INTO seen VALUES (1, 'x')";
const GROWS: &str = "ALTER TABLE seen ADD COLUMN at TEXT";
const DROPS: &str = "ALTER TABLE seen DROP COLUMN old";

fn first() -> Version {
    Version { migrations: vec![TABLE], query: Some("SELECT n, old FROM seen"), ..Version::times(2) }
}

fn grown() -> Version {
    Version { migrations: vec![TABLE, GROWS], query: Some("SELECT n, at FROM seen"), ..Version::times(3) }
}

fn shrunk() -> Version {
    Version { migrations: vec![TABLE, DROPS], query: Some("SELECT n FROM seen"), ..Version::times(3) }
}

struct Scene {
    app: App,
    system: System,
}

impl Scene {
    fn new(first: &Version) -> Result<Self> {
        Self::recording(first, 10_000)
    }

    /// With so many calls recorded in a second.
    fn recording(first: &Version, per_s: u32) -> Result<Self> {
        let system = System::new()
            .context("numbers", &first.wasm()?, "store = true")?
            .context("asking", &asking()?, r#"imports = ["t:numbers/numbers"]"#)?
            .context("page", &page()?, r#"imports = ["t:numbers/numbers"]"#)?
            .lines(&format!("[[mount]]\npath = \"/\"\ncontext = \"page\"\n[recording]\ncalls_per_s = {per_s}"));
        Ok(Self { app: load(&system)?, system })
    }

    /// The host ends, and another begins.
    fn again(self) -> Result<Self> {
        let Self { app, system } = self;
        drop(app);
        Ok(Self { app: load(&system)?, system })
    }

    fn request(&self, version: &Version, allow: &[&str], watch_ms: u64) -> Result<Request> {
        let file = put(&self.system, &version.wasm()?)?;
        let allow = allow.iter().map(|name| (*name).to_owned()).collect();
        Ok(Request { context: "numbers".into(), file, allow, strict: false, watch_ms, wait: false })
    }

    fn deploy(&self, version: &Version, allow: &[&str]) -> Result<Report> {
        let report = self.app.deployer.deploy(&self.request(version, allow, 0)?, &mut |_| {});
        assert_eq!(report.outcome, Outcome::Live, "{report:?}");
        Ok(report)
    }

    fn back(&self, restore: bool) -> Report {
        let request = Back { context: "numbers".into(), restore, wait: false };
        self.app.deployer.roll_back(&request, &mut |_| {})
    }

    fn times(&self, n: u32) -> Result<Val> {
        call(&self.app.registry, "asking", "asking.ask", &[Val::U32(n)], 5_000)
    }

    /// Asks until the recorder, which samples, has taken it.
    fn record(&self, n: u32) -> Result<()> {
        let live = self.app.registry.live("numbers")?;
        let taken = || live.generation().recorder.recent().len();
        let before = taken();
        while taken() == before {
            self.times(n)?;
        }
        Ok(())
    }

    /// Writes a row as the context would.
    fn write(&self) {
        let live = self.app.registry.live("numbers").unwrap();
        let database = live.generation().database().unwrap().clone();
        let deadline = Instant::now() + Duration::from_secs(5);
        database.execute("INSERT INTO seen (n) VALUES (2)", &[], deadline).unwrap();
    }

    fn last(&self) -> seam::deploy::Entry {
        self.app.deployer.history(Some("numbers")).unwrap().remove(0)
    }
}

fn load(system: &System) -> Result<App> {
    Ok(App::load(Manifest::load(&system.write()?)?, Compiler::InProcess)?)
}

fn put(system: &System, wasm: &[u8]) -> Result<PathBuf> {
    let file = system.folder.path().join("next.wasm");
    std::fs::write(&file, wasm)?;
    Ok(file)
}

fn answer(value: u32) -> Val {
    Val::Result(Ok(Some(Box::new(Val::U32(value)))))
}

fn notes(report: &Report, step: Step) -> String {
    report.steps.iter().filter(|p| p.step == step).flat_map(|p| p.notes.clone()).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_older_version_serves_on_the_newer_schema_that_it_was_seen_to_work_with() -> Result<()> {
    let scene = Scene::new(&first())?;
    assert_eq!(scene.times(7)?, answer(14));
    scene.deploy(&grown(), &[])?;
    scene.write();
    let report = scene.back(false);
    assert_eq!(report.outcome, Outcome::Live, "{report:?}");
    assert!(notes(&report, Step::Migrations).contains("the rows stay, at schema 2"), "{report:?}");
    assert_eq!(scene.times(7)?, answer(14));
    let scene = scene.again()?;
    assert_eq!(scene.times(7)?, answer(14), "and after a restart");
    let report = scene.back(false);
    assert_eq!(report.outcome, Outcome::Live, "{report:?}");
    assert_eq!(scene.times(7)?, answer(21), "back from being back is forward");
    scene.deploy(&Version { factor: 4, migrations: vec![TABLE, GROWS, "CREATE TABLE more (x)"], ..first() }, &[])?;
    assert_eq!(scene.times(7)?, answer(28));
    Ok(())
}

#[test]
fn where_there_is_no_way_back_the_file_is_put_back_and_only_a_yes_loses_rows() -> Result<()> {
    let scene = Scene::new(&first())?;
    assert_eq!(scene.times(7)?, answer(14));
    scene.deploy(&shrunk(), &["one-way"])?;
    let report = scene.back(false);
    assert_eq!(report.outcome, Outcome::Live, "nothing was written: {report:?}");
    assert!(notes(&report, Step::Migrations).contains("goes back from schema 2 to 1"), "{report:?}");
    assert_eq!(scene.times(7)?, answer(14));
    scene.deploy(&shrunk(), &["one-way"])?;
    scene.write();
    let refused = scene.back(false).refused.unwrap();
    assert_eq!(refused.step, Some(Step::Migrations));
    assert!(refused.message.contains("`seen` has 2 rows, 1 without them"), "{}", refused.message);
    assert!(refused.remedy.contains("--restore"));
    assert_eq!(scene.times(7)?, answer(21), "the newer one serves on");
    let report = scene.back(true);
    assert_eq!(report.outcome, Outcome::Live, "{report:?}");
    assert!(notes(&report, Step::Migrations).contains("lost: `seen` has 2 rows"), "{report:?}");
    assert_eq!(scene.times(7)?, answer(14));
    let scene = scene.again()?;
    assert_eq!(scene.times(7)?, answer(14));
    Ok(())
}

#[test]
fn there_is_no_way_back_from_what_was_there_at_first() -> Result<()> {
    let scene = Scene::new(&first())?;
    let refused = scene.back(false).refused.unwrap();
    assert!(refused.message.contains("there is no version before it"), "{}", refused.message);
    Ok(())
}

#[test]
fn recorded_calls_that_the_new_version_breaks_keep_it_out_and_other_answers_are_told() -> Result<()> {
    let scene = Scene::new(&first())?;
    for n in [3, 5, 7] {
        scene.record(n)?;
    }
    let try_it = |version: &Version, strict: bool| -> Result<Report> {
        let request = Request { strict, ..scene.request(version, &[], 0)? };
        Ok(scene.app.deployer.deploy(&request, &mut |_| {}))
    };
    let lies = Version { call: Then::Traps, ..first() };
    let refused = try_it(&lies, false)?.refused.unwrap();
    assert_eq!(refused.step, Some(Step::Replay));
    assert!(refused.message.contains("`numbers.times(7)` was answered with ok(14)"), "{}", refused.message);
    let hangs = Version { call: Then::Hangs, ..first() };
    let refused = try_it(&hangs, false)?.refused.unwrap();
    assert!(refused.message.contains("did not answer in time"), "{}", refused.message);
    let other = Version { factor: 9, ..first() };
    let refused = try_it(&other, true)?.refused.unwrap();
    assert!(refused.message.contains("`numbers.times(7)`: ok(14) became ok(63)"), "{}", refused.message);
    assert_eq!(scene.times(7)?, answer(14));
    let report = try_it(&other, false)?;
    let said = notes(&report, Step::Replay);
    assert!(said.contains("0 answered alike, ") && said.contains("ok(6) became ok(27)"), "{said}");
    let more = Version { more: true, ..other };
    let said = notes(&try_it(&more, true)?, Step::Replay);
    assert!(said.contains("answered alike, 0 otherwise"), "{said}");
    Ok(())
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
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let log = host.log()?;
        let lines: Vec<_> = log.lines().filter(|line| line.contains("turned bad and was rolled back")).collect();
        if let Some(line) = lines.get(count - 1) {
            let fields: serde_json::Value = serde_json::from_str(line)?;
            return fields["ms_watched"].as_u64().ok_or_else(|| anyhow::anyhow!("{line}"));
        }
        anyhow::ensure!(Instant::now() < until, "no such line in {log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_version_that_turns_bad_under_load_is_rolled_back_within_half_a_second_and_no_request_fails() -> Result<()> {
    let system = System::new()
        .context("numbers", &Version::times(2).wasm()?, "")?
        .context("page", &page()?, r#"imports = ["t:numbers/numbers"]"#)?
        // Nothing is recorded, so that it is the watch that finds them.
        .lines("[[mount]]\npath = \"/\"\ncontext = \"page\"\n[recording]\ncalls_per_s = 0");
    let manifest = system.write()?;
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let (stop, answered, failed) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let load = Load { stop: &stop, answered: &answered, failed: &failed };
    std::thread::scope(|scope| -> Result<()> {
        for _ in 0..4 {
            scope.spawn(|| load.run(&host, &["14", "21"]));
        }
        let _end = End(&stop);
        std::thread::sleep(Duration::from_millis(300));
        for (at, (name, version)) in [
            ("traps", Version { call: Then::Traps, ..Version::times(9) }),
            ("hangs", Version { call: Then::Hangs, ..Version::times(9) }),
            ("is slow", Version { call: Then::Spins, ..Version::times(2) }),
        ]
        .into_iter()
        .enumerate()
        {
            let file = put(&system, &version.wasm()?)?;
            let output = seam(&manifest, &["deploy", "numbers", &file.to_string_lossy(), "--format", "json"])?;
            let report: Report = serde_json::from_slice(&output.stdout)?;
            assert_eq!(report.outcome, Outcome::RolledBack, "{name}: {report:?}");
            let refused = report.refused.unwrap();
            assert_eq!(refused.step, Some(Step::Watch));
            assert_eq!(report.serves.unwrap().hash, report.before.unwrap().hash, "{name}");
            let ms = watched_ms(&host, at + 1)?;
            eprintln!("{name}: gone after {ms} ms: {}", refused.message);
            assert!(ms <= 500, "{name} after {ms} ms");
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
    let entries: Vec<seam::deploy::Entry> = serde_json::from_slice(&output.stdout)?;
    let states: Vec<State> = entries.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [State::Live, State::RolledBack, State::RolledBack, State::RolledBack]);
    Ok(())
}

#[test]
fn what_was_rolled_back_by_itself_does_not_come_back_with_a_restart() -> Result<()> {
    let scene = Scene::recording(&Version::times(2), 0)?;
    let bad = Version { call: Then::Traps, ..Version::times(9) };
    let request = scene.request(&bad, &[], 10_000)?;
    // The build has written over the manifest's file before, as builds do.
    std::fs::write(scene.system.folder.path().join("numbers.wasm"), bad.wasm()?)?;
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        let deploy = scope.spawn(|| {
            let report = scene.app.deployer.deploy(&request, &mut |_| {});
            stop.store(true, Ordering::Relaxed);
            report
        });
        while !stop.load(Ordering::Relaxed) {
            scene.times(7).ok();
        }
        deploy.join().unwrap()
    });
    assert_eq!(report.outcome, Outcome::RolledBack, "{report:?}");
    assert_eq!(scene.last().state, State::RolledBack);
    assert_eq!(scene.times(7)?, answer(14));
    let scene = scene.again()?;
    assert_eq!(scene.times(7)?, answer(14));
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
        assert_eq!(broken.text(), "unavailable", "it wrote and then trapped, and is told so");
        deploy.join().unwrap()?;
        Ok(())
    })
}

#[test]
fn a_page_that_breaks_or_hangs_is_answered_by_the_one_before() -> Result<()> {
    let system = System::new()
        .context("numbers", &Version::times(2).wasm()?, "")?
        .context("page", &page()?, r#"imports = ["t:numbers/numbers"]"#)?
        .lines("[[mount]]\npath = \"/\"\ncontext = \"page\"\n[recording]\ncalls_per_s = 0");
    let manifest = system.write()?;
    let host = Host::up(&manifest, &system.folder.path().join("data"))?;
    for _ in 0..20 {
        assert_eq!(host.get("/")?.text(), "14");
    }
    for then in [Then::Traps, Then::Hangs] {
        let file = put(&system, &page_that(then)?)?;
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
            let said = String::from_utf8_lossy(&deploy.join().unwrap()?.stderr).into_owned();
            assert!(said.starts_with("error: `page` is rolled back at watch: "), "{said}");
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
    let host = Host::up_with(&manifest, &data, &[("SEAM_DIE_AT", "rolled-back")])?;
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
    let entries: Vec<seam::deploy::Entry> = serde_json::from_slice(&output.stdout)?;
    assert_eq!(entries.first().map(|entry| entry.state), Some(State::RolledBack));
    Ok(())
}

#[test]
fn one_sees_that_a_version_is_watched_and_goes_back_by_a_command() -> Result<()> {
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
            assert!(Instant::now() < until, "it is never seen to be watched");
        }
        assert!(deploy.join().unwrap()?.status.success());
        Ok(())
    })?;
    assert!(!watched()?);
    let output = seam(&manifest, &["rollback", "numbers"])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.ends_with(", generation 3\n"), "{said}");
    let output = seam(&manifest, &["call", "numbers", "numbers.times(7)"])?;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "ok(14)");
    Ok(())
}
