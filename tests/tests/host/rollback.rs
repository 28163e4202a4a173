//! Rollbacks by command: their rows, their schemas, after a restart; and versions that recorded calls keep out.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use seam::app::App;
use seam::deploy::{ChangeState, DeployOutcome, DeployReport, DeployRequest, RollbackRequest, Step};
use seam::manifest::Manifest;
use seam_runtime::component::Compiler;
use seam_tests::version::{Then, Version, asking, page};
use seam_tests::{System, call, wait};
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

struct Fixture {
    app: App,
    system: System,
}

impl Fixture {
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

    fn request(&self, version: &Version, allow: &[&str], watch_ms: u64) -> Result<DeployRequest> {
        let file = put(&self.system, &version.wasm()?)?;
        let allow = allow.iter().map(|name| (*name).to_owned()).collect();
        Ok(DeployRequest { context: "numbers".into(), file, allow, strict: false, values: true, watch_ms, wait: false })
    }

    fn deploy(&self, version: &Version, allow: &[&str]) -> Result<DeployReport> {
        let report = self.app.deployer.deploy(&self.request(version, allow, 0)?, &mut |_| {});
        assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
        Ok(report)
    }

    fn back(&self, restore: bool) -> DeployReport {
        self.back_to(None, restore)
    }

    fn back_to(&self, to: Option<&str>, restore: bool) -> DeployReport {
        let request = RollbackRequest { context: "numbers".into(), to: to.map(Into::into), restore, wait: false };
        self.app.deployer.roll_back(&request, &mut |_| {})
    }

    /// The hash of the version that serves.
    fn hash(&self) -> Result<String> {
        Ok(self.app.registry.live("numbers")?.generation().component().hash.clone())
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

    /// Deploys while calls come, whatever they answer.
    fn deploy_under_load(&self, request: &DeployRequest) -> DeployReport {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let deploy = scope.spawn(|| {
                let report = self.app.deployer.deploy(request, &mut |_| {});
                stop.store(true, Ordering::Relaxed);
                report
            });
            while !stop.load(Ordering::Relaxed) {
                self.times(7).ok();
            }
            deploy.join().unwrap()
        })
    }

    /// Deploys with a long watch, and does `then` as soon as the version is watched.
    fn deploy_watched<T>(&self, version: &Version, then: impl FnOnce() -> Result<T>) -> Result<(DeployReport, T)> {
        let request = self.request(version, &[], 60_000)?;
        std::thread::scope(|scope| {
            let deploy = scope.spawn(|| self.app.deployer.deploy(&request, &mut |_| {}));
            wait::until(wait::TIMEOUT, || {
                let watched = self.app.registry.on_probation().is_some();
                Ok(watched.then_some(()).ok_or_else(|| "no version is watched".to_owned()))
            })?;
            let done = then()?;
            Ok((deploy.join().unwrap(), done))
        })
    }

    /// Writes a row as the context would.
    fn write(&self) {
        let live = self.app.registry.live("numbers").unwrap();
        let database = live.generation().database().unwrap().clone();
        let deadline = Instant::now() + Duration::from_secs(5);
        database.execute("INSERT INTO seen (n) VALUES (2)", &[], deadline).unwrap();
    }

    fn last(&self) -> seam::deploy::HistoryEntry {
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

fn notes(report: &DeployReport, step: Step) -> String {
    report.steps.iter().filter(|p| p.step == step).flat_map(|p| p.notes.clone()).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_older_version_serves_on_the_newer_schema_that_it_was_seen_to_work_with() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    assert_eq!(fixture.times(7)?, answer(14));
    fixture.deploy(&grown(), &[])?;
    fixture.write();
    let report = fixture.back(false);
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    assert!(notes(&report, Step::Migrations).contains("the rows stay, at schema 2"), "{report:?}");
    assert_eq!(fixture.times(7)?, answer(14));
    let fixture = fixture.again()?;
    assert_eq!(fixture.times(7)?, answer(14), "and after a restart");
    let newer = fixture.last().before;
    let report = fixture.back_to(Some(&newer), false);
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    assert_eq!(fixture.times(7)?, answer(21), "the rows stayed, so the newer one can serve again");
    fixture.deploy(&Version { factor: 4, migrations: vec![TABLE, GROWS, "CREATE TABLE more (x)"], ..first() }, &[])?;
    assert_eq!(fixture.times(7)?, answer(28));
    Ok(())
}

#[test]
fn an_irreversible_change_is_undone_by_restoring_the_file_and_only_on_request_loses_rows() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    assert_eq!(fixture.times(7)?, answer(14));
    fixture.deploy(&shrunk(), &["irreversible"])?;
    let report = fixture.back(false);
    assert_eq!(report.outcome, DeployOutcome::Live, "nothing was written: {report:?}");
    assert!(notes(&report, Step::Migrations).contains("goes back from schema 2 to 1"), "{report:?}");
    assert_eq!(fixture.times(7)?, answer(14));
    fixture.deploy(&shrunk(), &["irreversible"])?;
    fixture.write();
    let refused = fixture.back(false).refused.unwrap();
    assert_eq!(refused.step, Some(Step::Migrations));
    assert!(refused.message.contains("`seen` has 2 rows, 1 without the later writes"), "{}", refused.message);
    assert!(refused.remedy.contains("--restore"));
    assert_eq!(fixture.times(7)?, answer(21), "the newer one serves on");
    let report = fixture.back(true);
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    assert!(notes(&report, Step::Migrations).contains("lost: `seen` has 2 rows"), "{report:?}");
    assert_eq!(fixture.times(7)?, answer(14));
    let fixture = fixture.again()?;
    assert_eq!(fixture.times(7)?, answer(14));
    Ok(())
}

#[test]
fn a_row_that_is_written_while_a_rollback_is_prepared_is_not_lost() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    assert_eq!(fixture.times(7)?, answer(14));
    fixture.deploy(&shrunk(), &["irreversible"])?;
    let request = RollbackRequest { context: "numbers".into(), to: None, restore: false, wait: false };
    let report = fixture.app.deployer.roll_back(&request, &mut |done| {
        if done.step == Step::Health {
            fixture.write();
        }
    });
    let refused = report.refused.unwrap();
    assert_eq!(refused.step, Some(Step::Publish), "{refused:?}");
    assert!(refused.message.starts_with("cannot restore its file: "), "{}", refused.message);
    assert_eq!(fixture.times(7)?, answer(21), "the newer one serves on");
    Ok(())
}

#[test]
fn any_version_that_served_can_serve_again_by_the_beginning_of_its_hash() -> Result<()> {
    let fixture = Fixture::new(&Version::times(2))?;
    let mut hashes = vec![fixture.hash()?];
    // With so many, two begin alike.
    for factor in 3..20 {
        fixture.deploy(&Version::times(factor), &[])?;
        hashes.push(fixture.hash()?);
    }
    for (at, factor) in [(0, 2), (9, 11), (4, 6)] {
        let report = fixture.back_to(Some(&hashes[at][..12].to_uppercase()), false);
        assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
        assert_eq!(fixture.times(7)?, answer(7 * factor));
    }
    let fixture = fixture.again()?;
    assert_eq!(fixture.times(7)?, answer(42), "and after a restart");
    assert_eq!(fixture.back_to(Some(&hashes[4][..12]), false).outcome, DeployOutcome::Unchanged);
    let alike = |hash: &&String| hashes.iter().filter(|other| other[..1] == hash[..1]).count() > 1;
    let alike = &hashes.iter().find(alike).unwrap()[..1];
    let never = (0..).map(|n| format!("{n:04x}")).find(|n| !hashes.iter().any(|hash| hash.starts_with(n))).unwrap();
    let long = format!("{}0", hashes[0]);
    for (to, message, remedy) in [
        (alike, format!("`{alike}` matches several versions of `numbers`: "), "give more digits"),
        (
            &never,
            format!("no version of `numbers` that served has a hash that begins with `{never}`"),
            "`seam history numbers`",
        ),
        ("", "`` matches several versions".to_owned(), "give more digits"),
        (&long, format!("begins with `{long}`"), "`seam history numbers`"),
    ] {
        let refused = fixture.back_to(Some(to), false).refused.unwrap();
        assert!(refused.message.contains(&message) && refused.remedy.contains(remedy), "{refused:?}");
    }
    std::fs::remove_file(fixture.system.folder.path().join(format!("data/deploy/{}.wasm", hashes[1])))?;
    let refused = fixture.back_to(Some(&hashes[1]), false).refused.unwrap();
    assert_eq!(refused.step, Some(Step::Read));
    assert!(
        refused.message.contains("no longer holds the component") && refused.remedy.contains("deploy it"),
        "{refused:?}"
    );
    Ok(())
}

#[test]
fn back_over_several_schemas_needs_the_restore_point_unless_it_was_seen_to_work() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    let oldest = fixture.hash()?;
    assert_eq!(fixture.times(7)?, answer(14));
    fixture.deploy(&grown(), &[])?;
    let middle = fixture.hash()?;
    assert_eq!(fixture.times(7)?, answer(21));
    // What the middle one does not use goes; the oldest does use it, and no call has reached it.
    let newest =
        Version { migrations: vec![TABLE, GROWS, DROPS], query: Some("SELECT n, at FROM seen"), ..Version::times(4) };
    fixture.deploy(&newest, &[])?;
    fixture.write();
    let refused = fixture.back_to(Some(&oldest), false).refused.unwrap();
    assert_eq!(refused.step, Some(Step::Migrations));
    assert!(refused.message.contains("works at schema 3 (it knows schema 1), "), "{}", refused.message);
    assert!(refused.remedy.contains("--restore"), "{refused:?}");
    assert_eq!(fixture.times(7)?, answer(28), "the newest one serves on");
    // The one before was seen to work, and stays so however often the two take turns.
    for (hash, factor) in [(&middle, 3), (&fixture.hash()?, 4), (&middle, 3)] {
        let report = fixture.back_to(Some(hash), false);
        assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
        assert_eq!(fixture.times(7)?, answer(7 * factor));
    }
    let refused = fixture.back_to(Some(&oldest), false).refused.unwrap();
    assert_eq!(refused.step, Some(Step::Migrations), "{refused:?}");
    let report = fixture.back_to(Some(&oldest), true);
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    let said = notes(&report, Step::Migrations);
    assert!(said.contains("goes back from schema 3 to 1") && said.contains("lost: `seen` has 2 rows, 1 "), "{said}");
    assert_eq!(fixture.times(7)?, answer(14));
    let fixture = fixture.again()?;
    assert_eq!(fixture.times(7)?, answer(14));
    // Forward again over both changes.
    assert_eq!(fixture.back_to(Some(&middle), false).outcome, DeployOutcome::Live);
    assert_eq!(fixture.times(7)?, answer(21));
    fixture.deploy(&shrunk_from_grown(), &["irreversible"])?;
    for point in std::fs::read_dir(fixture.system.folder.path().join("data/deploy/restore"))? {
        std::fs::remove_file(point?.path())?;
    }
    let refused = fixture.back_to(Some(&oldest), true).refused.unwrap();
    assert!(
        refused.message.contains("the file is at schema 3, this version knows schema 1, and there is no restore point"),
        "{refused:?}"
    );
    Ok(())
}

/// Of another build than the one that served, with the same schema.
fn shrunk_from_grown() -> Version {
    Version { migrations: vec![TABLE, GROWS, DROPS], query: Some("SELECT n FROM seen"), ..Version::times(5) }
}

/// The schema has the same number as one that the oldest version was seen to work at, and is another.
#[test]
fn a_schema_is_not_taken_for_another_of_the_same_number() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    let oldest = fixture.hash()?;
    fixture.times(7)?;
    fixture.deploy(&grown(), &[])?;
    assert_eq!(fixture.back(true).outcome, DeployOutcome::Live, "to schema 1");
    fixture.times(7)?;
    fixture.deploy(&shrunk(), &["irreversible"])?;
    fixture.write();
    for to in [None, Some(oldest.as_str())] {
        let refused = fixture.back_to(to, false).refused.unwrap();
        assert!(
            refused.message.contains("no deploy has shown that this version works at schema 2"),
            "{}",
            refused.message
        );
    }
    Ok(())
}

#[test]
fn each_rollback_leads_further_back_and_none_to_a_version_that_was_left() -> Result<()> {
    let fixture = Fixture::new(&Version::times(1))?;
    for factor in [2, 3] {
        fixture.deploy(&Version::times(factor), &[])?;
    }
    let left = fixture.hash()?;
    for factor in [2, 1] {
        let report = fixture.back(false);
        assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
        assert_eq!(fixture.times(7)?, answer(7 * factor));
    }
    let refused = fixture.back(false).refused.unwrap();
    assert!(refused.message.contains("left by a rollback or turned bad: ") && refused.message.contains(&left[..12]));
    assert!(refused.remedy.contains("`seam rollback numbers --to HASH`"), "{refused:?}");
    assert_eq!(fixture.times(7)?, answer(7));
    assert_eq!(fixture.back_to(Some(&left), false).outcome, DeployOutcome::Live);
    let fixture = fixture.again()?;
    fixture.deploy(&Version::times(4), &[])?;
    assert_eq!(fixture.back(false).outcome, DeployOutcome::Live);
    assert_eq!(fixture.times(7)?, answer(21), "what came back by its hash is a version before, as any other");
    Ok(())
}

#[test]
fn the_first_version_cannot_be_rolled_back() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    let refused = fixture.back(false).refused.unwrap();
    assert!(refused.message.contains("there is no version before it"), "{}", refused.message);
    Ok(())
}

#[test]
fn recorded_calls_that_the_new_version_breaks_keep_it_out_and_other_answers_are_noted() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    for n in [3, 5, 7] {
        fixture.record(n)?;
    }
    let try_it = |version: &Version, strict: bool| -> Result<DeployReport> {
        let request = DeployRequest { strict, ..fixture.request(version, &[], 0)? };
        Ok(fixture.app.deployer.deploy(&request, &mut |_| {}))
    };
    let lies = Version { call: Then::Traps, ..first() };
    let refused = try_it(&lies, false)?.refused.unwrap();
    assert_eq!(refused.step, Some(Step::Replay));
    assert!(refused.message.contains("`numbers.times(7)` was answered with ok(14)"), "{}", refused.message);
    let kept = || -> Result<String> { Ok(fixture.app.deployer.history(None)?[0].why.clone().unwrap_or_default()) };
    let without = "`numbers.times(..)` was answered with `ok` and now fails: it trapped (trace ";
    assert!(kept()?.starts_with(without), "the history keeps no value: {}", kept()?);
    let hangs = Version { call: Then::Hangs, ..first() };
    let refused = try_it(&hangs, false)?.refused.unwrap();
    assert!(refused.message.contains("did not answer in time"), "{}", refused.message);
    let other = Version { factor: 9, ..first() };
    let refused = try_it(&other, true)?.refused.unwrap();
    assert!(refused.message.contains("`numbers.times(7)`: ok(14) became ok(63)"), "{}", refused.message);
    assert!(kept()?.starts_with("answers differ: `numbers.times(..)`: ok: another value (and "), "{}", kept()?);
    assert_eq!(fixture.times(7)?, answer(14));
    let report = try_it(&other, false)?;
    let said = notes(&report, Step::Replay);
    assert!(said.contains("0 equal answers, ") && said.contains("ok(6) became ok(27)"), "{said}");
    let more = Version { more: true, ..other };
    let said = notes(&try_it(&more, true)?, Step::Replay);
    assert!(said.contains("equal answers, 0 different"), "{said}");
    Ok(())
}

#[test]
fn a_version_that_was_rolled_back_automatically_stays_out_after_a_restart() -> Result<()> {
    let bad = Version { call: Then::Traps, ..Version::times(9) };
    // The build writes over the manifest's file before the deploy, as builds do, or after it.
    for built_before in [true, false] {
        let fixture = Fixture::recording(&Version::times(2), 0)?;
        let request = fixture.request(&bad, &[], 10_000)?;
        let build = || std::fs::write(fixture.system.folder.path().join("numbers.wasm"), bad.wasm().unwrap());
        if built_before {
            build()?;
        }
        let report = fixture.deploy_under_load(&request);
        assert_eq!(report.outcome, DeployOutcome::RolledBack, "{report:?}");
        assert_eq!(fixture.last().state, ChangeState::RolledBack);
        assert_eq!(fixture.times(7)?, answer(14));
        build()?;
        let fixture = fixture.again()?;
        assert_eq!(fixture.times(7)?, answer(14), "built before: {built_before}");
    }
    Ok(())
}

#[test]
fn a_rollback_ends_a_watch_at_once_and_of_two_operators_none_undoes_the_other() -> Result<()> {
    let fixture = Fixture::new(&Version::times(1))?;
    fixture.deploy(&Version::times(2), &[])?;
    let (deploy, reports) = fixture.deploy_watched(&Version::times(3), || {
        let both = || {
            std::thread::scope(|scope| {
                let operators: Vec<_> = (0..2).map(|_| scope.spawn(|| fixture.back(false))).collect();
                operators.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
            })
        };
        Ok(both())
    })?;
    assert_eq!(deploy.outcome, DeployOutcome::RolledBack, "{deploy:?}");
    for report in &reports {
        assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    }
    // Both asked while it was watched, or the second a moment later.
    let serves = fixture.times(7)?;
    assert!(serves == answer(14) || serves == answer(7), "{serves:?}");
    let history = fixture.app.deployer.history(Some("numbers"))?;
    let watched = history.iter().find(|entry| entry.state == ChangeState::RolledBack).unwrap();
    assert_eq!(watched.why.as_deref(), Some("an operator rolled it back while it was watched"));
    assert_eq!(fixture.back_to(Some(&watched.before), false).refused, None);
    assert_eq!(fixture.times(7)?, answer(14));
    assert_eq!(fixture.back(false).outcome, DeployOutcome::Live, "further back");
    assert_eq!(fixture.times(7)?, answer(7));
    Ok(())
}

#[test]
fn a_rollback_to_a_version_or_with_restore_ends_a_watch_too() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    let oldest = fixture.hash()?;
    fixture.deploy(&Version { factor: 5, ..first() }, &[])?;
    let (_, report) =
        fixture.deploy_watched(&Version { factor: 6, ..first() }, || Ok(fixture.back_to(Some(&oldest), false)))?;
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    assert_eq!(fixture.times(7)?, answer(14));
    let (_, report) = fixture.deploy_watched(&grown(), || {
        fixture.write();
        Ok(fixture.back(true))
    })?;
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    assert!(notes(&report, Step::Migrations).contains("goes back from schema 2 to 1"), "{report:?}");
    assert_eq!(fixture.times(7)?, answer(14));
    Ok(())
}

/// The file keeps the newer schema, which the version before does not know.
#[test]
fn a_migrated_version_that_turns_bad_leaves_a_system_that_restarts() -> Result<()> {
    let fixture = Fixture::recording(&first(), 0)?;
    assert_eq!(fixture.times(7)?, answer(14));
    let bad = Version { call: Then::Traps, ..grown() };
    let report = fixture.deploy_under_load(&fixture.request(&bad, &[], 10_000)?);
    assert_eq!(report.outcome, DeployOutcome::RolledBack, "{report:?}");
    let entry = fixture.last();
    assert_eq!((entry.schema_before, entry.schema_after), (Some(1), Some(2)), "{entry:?}");
    assert_eq!(fixture.times(7)?, answer(14));
    let fixture = fixture.again()?.again()?;
    assert_eq!(fixture.times(7)?, answer(14), "after a restart, and after another");
    fixture.deploy(&grown(), &[])?;
    assert_eq!(fixture.times(7)?, answer(21));
    Ok(())
}
