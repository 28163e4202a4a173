//! A new version of a variant goes through the same gate as one of a context: every step, its own file, its own way
//! back, and the others untouched.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use seam::deploy::{ChangeState, DeployOutcome, DeployReport, HistoryEntry, Step};
use seam_tests::System;
use seam_tests::host::{Host, seam};
use seam_tests::version::{Health, Then, Version, page};
use seam_tests::wait;

const TABLE: &str = "CREATE TABLE seen (n INTEGER NOT NULL, old TEXT) STRICT; INSERT INTO seen VALUES (1, 'x')";
const GROWS: &str = "ALTER TABLE seen ADD COLUMN at TEXT";
const DROPS: &str = "ALTER TABLE seen DROP COLUMN old";

/// `numbers.times` of the main variant `one`, of which 7 makes 14, and of `two`, which has a schema of its own and
/// makes 21 of it.
fn second() -> Version {
    Version { migrations: vec![TABLE], query: Some("SELECT n, old FROM seen"), ..Version::times(3) }
}

struct Fixture {
    system: System,
    manifest: PathBuf,
    host: Option<Host>,
}

impl Fixture {
    fn new() -> Result<Self> {
        Self::recording(10_000)
    }

    /// With so many calls recorded in a second.
    fn recording(per_s: u32) -> Result<Self> {
        let system = System::new()
            .lines("[http]\nforce_variants = true\n[[mount]]\npath = \"/\"\ncontext = \"page\"")
            .lines(&format!("[recording]\ncalls_per_s = {per_s}"))
            .context("numbers", &Version::times(2).wasm()?, "main_variant = \"one\"\nstore = true")?
            .variant("numbers", "two", Some(&second().wasm()?), "")?
            .variant("numbers", "late", None, "")?
            .context("page", &page()?, r#"imports = ["t:numbers/numbers"]"#)?;
        let manifest = system.write()?;
        let host = Host::up(&manifest, &system.folder.path().join("data"))?;
        Ok(Self { system, manifest, host: Some(host) })
    }

    fn data(&self) -> PathBuf {
        self.system.folder.path().join("data")
    }

    fn host(&self) -> &Host {
        self.host.as_ref().unwrap()
    }

    fn restart(&mut self, variables: &[(&str, &str)]) -> Result<()> {
        drop(self.host.take());
        self.host = Some(Host::up_with(&self.manifest, &self.data(), variables)?);
        Ok(())
    }

    /// What a visitor sees, and a tester of `two`.
    fn pages(&self) -> Result<(String, String)> {
        let tester = self.host().get_with("/", &[("x-seam-variant", "numbers=two")])?.text();
        Ok((self.host().get("/")?.text(), tester))
    }

    fn deploy(&self, context: &str, version: &Version, more: &[&str]) -> Result<DeployReport> {
        let file = self.system.folder.path().join("next.wasm");
        std::fs::write(&file, version.wasm()?)?;
        let file = file.to_string_lossy();
        let args = [&["deploy", context, &file, "--format", "json"], more].concat();
        self.report(&args)
    }

    fn report(&self, args: &[&str]) -> Result<DeployReport> {
        let output = seam(&self.manifest, args)?;
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).with_context(|| format!("{args:?}: {said}"))
    }

    fn history(&self) -> Result<Vec<HistoryEntry>> {
        Ok(serde_json::from_slice(&seam(&self.manifest, &["history", "numbers@two", "--format", "json"])?.stdout)?)
    }
}

fn notes(report: &DeployReport, step: Step) -> String {
    report.steps.iter().filter(|p| p.step == step).flat_map(|p| p.notes.clone()).collect::<Vec<_>>().join("\n")
}

fn refused(report: &DeployReport, step: Step, words: &str, remedy: &str) {
    let refused = report.refused.as_ref().unwrap_or_else(|| panic!("it was let in: {report:?}"));
    assert_eq!((report.outcome, refused.step), (DeployOutcome::Refused, Some(step)), "{refused:?}");
    assert!(refused.message.contains(words), "{words:?} in {:?}", refused.message);
    assert!(refused.remedy.contains(remedy), "{remedy:?} in {:?}", refused.remedy);
}

#[test]
fn a_variant_passes_every_step_on_its_own_file_and_the_others_do_not_notice() -> Result<()> {
    let mut fixture = Fixture::new()?;
    // The recorder samples: the page is called again and again.
    for _ in 0..40 {
        assert_eq!(fixture.pages()?, ("14".into(), "21".into()));
    }
    let next = Version {
        migrations: vec![TABLE, GROWS],
        query: Some("SELECT n, at FROM seen"),
        health: Some(Health::Well),
        factor: 4,
        ..second()
    };
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| -> Result<DeployReport> {
        let deploy = scope.spawn(|| {
            let report = fixture.deploy("numbers@two", &next, &["--watch", "1000"]);
            stop.store(true, Relaxed);
            report
        });
        while !stop.load(Relaxed) {
            let (visitor, tester) = fixture.pages()?;
            assert!(visitor == "14" && ["21", "28"].contains(&tester.as_str()), "{visitor} {tester}");
        }
        deploy.join().unwrap()
    })?;
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    let steps: Vec<_> = report.steps.iter().map(|passed| passed.step.name()).collect();
    let all = ["read", "compile", "wit", "capabilities", "start", "migrations", "health", "replay", "publish", "watch"];
    assert_eq!(steps, all);
    assert!(notes(&report, Step::Migrations).contains("schema 1 becomes 2"), "{report:?}");
    let replay = notes(&report, Step::Replay);
    assert!(
        replay.contains("0 equal answers, ") && replay.contains("`numbers.times(..)`: ok: another value"),
        "{replay}"
    );
    let watch = notes(&report, Step::Watch);
    assert!(watch.contains(" calls, 0 broken, ") && !watch.starts_with("0 calls"), "{watch}");
    assert_eq!(fixture.pages()?, ("14".into(), "28".into()));
    assert!(fixture.data().join("deploy/restore/numbers@two-1.db").is_file());
    let contexts: Vec<seam::admin::ContextStatus> =
        serde_json::from_slice(&seam(&fixture.manifest, &["contexts", "--format", "json"])?.stdout)?;
    let generations: Vec<_> = contexts.iter().map(|context| (context.context.as_str(), context.generation)).collect();
    assert_eq!(generations, [("numbers", 1), ("page", 1), ("numbers@two", 2)]);
    assert_eq!(fixture.history()?.iter().map(|entry| entry.state).collect::<Vec<_>>(), [ChangeState::Live]);
    fixture.restart(&[])?;
    assert_eq!(fixture.pages()?, ("14".into(), "28".into()), "after a restart, too");
    let back = fixture.report(&["rollback", "numbers@two", "--format", "json"])?;
    assert!(notes(&back, Step::Migrations).contains("the rows stay, at schema 2"), "{back:?}");
    assert_eq!(fixture.pages()?, ("14".into(), "21".into()));
    fixture.restart(&[])?;
    assert_eq!(fixture.pages()?, ("14".into(), "21".into()));
    Ok(())
}

#[test]
fn what_a_variant_may_not_be_is_refused_at_its_step() -> Result<()> {
    let fixture = Fixture::new()?;
    for _ in 0..40 {
        fixture.pages()?;
    }
    let check = |version: Version, step, words: &str, remedy: &str| -> Result<()> {
        refused(&fixture.deploy("numbers@two", &version, &[])?, step, words, remedy);
        assert_eq!(fixture.pages()?, ("14".into(), "21".into()), "{words}");
        Ok(())
    };
    check(Version { wide: true, ..second() }, Step::Wit, "changes the type", "new version of the package")?;
    check(Version { other: true, ..second() }, Step::Wit, "does not export `t:numbers/numbers@0.1.0`", "")?;
    check(Version { migrations: vec![GROWS], ..second() }, Step::Migrations, "has changed since", "")?;
    check(
        Version { migrations: vec![TABLE, DROPS], query: None, ..second() },
        Step::Migrations,
        "SELECT n, old FROM seen",
        "irreversible",
    )?;
    check(Version { health: Some(Health::Ill("no shelf")), ..second() }, Step::Health, "no shelf", "")?;
    check(
        Version { call: Then::Traps, ..second() },
        Step::Replay,
        "`numbers.times(..)` was answered with `ok` and now fails: it trapped",
        "seam logs --trace",
    )?;
    // It is built for the context's tables, and this is not the context.
    check(Version { migrations: vec![], query: None, ..second() }, Step::Migrations, "never goes backwards", "")?;
    assert_eq!(fixture.history()?.len(), 7, "each is in the history");
    let unknown = |context: &str| -> Result<(String, String)> {
        let refused = fixture.deploy(context, &second(), &[])?.refused.context("a refusal")?;
        Ok((refused.message, refused.remedy))
    };
    let (message, remedy) = unknown("numbers@three")?;
    assert!(message == "there is no context `numbers@three`" && remedy.contains("numbers@two"), "{message} {remedy}");
    let (message, remedy) = unknown("numbers@late")?;
    assert_eq!(message, "`numbers@late` is not loaded: it is not built");
    assert_eq!(remedy, "mend it (`seam build numbers@late`), and start the host again");
    Ok(())
}

#[test]
fn the_main_variant_may_be_called_by_either_of_its_names() -> Result<()> {
    let fixture = Fixture::new()?;
    let report = fixture.deploy("numbers@one", &Version::times(5), &["--watch", "0"])?;
    assert_eq!((report.outcome, report.context.as_str()), (DeployOutcome::Live, "numbers"), "{report:?}");
    assert_eq!(fixture.pages()?, ("35".into(), "21".into()));
    assert_eq!(fixture.report(&["rollback", "numbers@one", "--format", "json"])?.outcome, DeployOutcome::Live);
    assert_eq!(fixture.pages()?, ("14".into(), "21".into()));
    Ok(())
}

#[test]
fn an_interface_grows_in_the_variants_first_and_shrinks_in_them_last() -> Result<()> {
    let fixture = Fixture::new()?;
    let more = |version: Version| Version { more: true, ..version };
    let report = fixture.deploy("numbers", &more(Version::times(2)), &["--watch", "0"])?;
    let words = "`numbers@two` has no `t:numbers/numbers@0.1.0.minus`, but `numbers` does";
    refused(&report, Step::Wit, words, "deploy a version of `numbers@two` that fits it first");
    assert_eq!(fixture.deploy("numbers@two", &more(second()), &["--watch", "0"])?.outcome, DeployOutcome::Live);
    assert_eq!(fixture.deploy("numbers", &more(Version::times(2)), &["--watch", "0"])?.outcome, DeployOutcome::Live);
    refused(&fixture.deploy("numbers@two", &second(), &[])?, Step::Wit, "`numbers@two` has no ", "");
    assert_eq!(fixture.deploy("numbers", &Version::times(2), &["--watch", "0"])?.outcome, DeployOutcome::Live);
    assert_eq!(fixture.deploy("numbers@two", &second(), &["--watch", "0"])?.outcome, DeployOutcome::Live);
    assert_eq!(fixture.pages()?, ("14".into(), "21".into()));
    Ok(())
}

#[test]
fn a_variant_that_turns_bad_is_rolled_back_alone_and_no_request_fails() -> Result<()> {
    let mut fixture = Fixture::recording(0)?;
    assert!(seam(&fixture.manifest, &["route", "numbers", "one=1", "two=1"])?.status.success());
    let (stop, answered) = (AtomicBool::new(false), AtomicU32::new(0));
    let versions = [Version { call: Then::Traps, ..second() }, Version { call: Then::Hangs, ..second() }];
    std::thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    while !stop.load(Relaxed) {
                        let answer = fixture.host().get("/")?;
                        ensure!(answer.status == 200 && ["14", "21"].contains(&answer.text().as_str()), "{answer:?}");
                        answered.fetch_add(1, Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        let deployed = versions.iter().try_for_each(|version| -> Result<()> {
            wait::until(wait::TIMEOUT, || {
                let count = answered.load(Relaxed);
                Ok((count >= 100).then_some(()).ok_or_else(|| format!("only {count} requests were answered")))
            })?;
            let report = fixture.deploy("numbers@two", version, &["--watch", "10000"])?;
            ensure!(report.outcome == DeployOutcome::RolledBack, "{report:?}");
            ensure!(report.serves.as_ref().map(|v| &v.hash) == report.before.as_ref().map(|v| &v.hash), "{report:?}");
            Ok(())
        });
        stop.store(true, Relaxed);
        clients.into_iter().try_for_each(|client| client.join().unwrap())?;
        deployed
    })?;
    assert_eq!(fixture.pages()?.1, "21");
    assert_eq!(
        fixture.history()?.iter().map(|e| e.state).collect::<Vec<_>>(),
        [ChangeState::RolledBack, ChangeState::RolledBack]
    );
    // The build writes over the manifest's file, as builds do.
    std::fs::write(fixture.system.folder.path().join("numbers-two.wasm"), versions[0].wasm()?)?;
    fixture.restart(&[])?;
    assert_eq!(fixture.pages()?.1, "21", "it does not come back with a restart");
    Ok(())
}

#[test]
fn a_host_killed_in_the_middle_of_a_variants_deploy_starts_with_the_old_or_the_new_one() -> Result<()> {
    let grown = Version { migrations: vec![TABLE, GROWS], query: Some("SELECT at FROM seen"), factor: 5, ..second() };
    let same = Version { factor: 5, ..second() };
    for (version, moment, expect) in
        [(&grown, "applying", "21"), (&grown, "migrated", "35"), (&same, "published", "21"), (&same, "recorded", "35")]
    {
        let mut fixture = Fixture::new()?;
        fixture.restart(&[("SEAM_FAULT", &format!("deploy.{moment}:kill"))])?;
        assert!(fixture.deploy("numbers@two", version, &["--watch", "0"]).is_err(), "{moment}");
        fixture.restart(&[])?;
        assert_eq!(fixture.pages()?, ("14".into(), expect.into()), "{moment}");
        let report = fixture.deploy("numbers@two", &Version { factor: 6, ..version.clone() }, &["--watch", "0"])?;
        assert_eq!(report.outcome, DeployOutcome::Live, "{moment}: {report:?}");
        assert_eq!(fixture.pages()?.1, "42", "{moment}");
    }
    Ok(())
}

/// Calls of a shadow are judged like any other call.
#[test]
fn a_shadow_that_turns_bad_is_rolled_back_too() -> Result<()> {
    let fixture = Fixture::recording(0)?;
    assert!(seam(&fixture.manifest, &["route", "numbers", "shadow=two"])?.status.success());
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| -> Result<DeployReport> {
        let deploy = scope.spawn(|| {
            let report =
                fixture.deploy("numbers@two", &Version { call: Then::Traps, ..second() }, &["--watch", "10000"]);
            stop.store(true, Relaxed);
            report
        });
        let until = Instant::now() + Duration::from_secs(20);
        while !stop.load(Relaxed) && Instant::now() < until {
            ensure!(fixture.host().get("/")?.text() == "14");
        }
        deploy.join().unwrap()
    })?;
    assert_eq!(report.outcome, DeployOutcome::RolledBack, "{report:?}");
    Ok(())
}

#[test]
fn without_a_running_host_a_variant_is_deployed_for_the_next_start() -> Result<()> {
    let mut fixture = Fixture::new()?;
    drop(fixture.host.take());
    let report = fixture.deploy("numbers@two", &Version { factor: 5, ..second() }, &[])?;
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    let held: &Path = &fixture.manifest;
    fixture.host = Some(Host::up(held, &fixture.data())?);
    assert_eq!(fixture.pages()?, ("14".into(), "35".into()));
    Ok(())
}
