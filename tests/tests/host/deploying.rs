//! The gate: what a new version must pass before it serves, what it is refused for, and what is left when the host is
//! killed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use seam::app::App;
use seam::deploy::{DeployOutcome, DeployReport, DeployRequest, Step};
use seam::manifest::Manifest;
use seam_runtime::component::Compiler;
use seam_store::InvariantKind;
use seam_tests::background::Background;
use seam_tests::host::{Host, seam};
use seam_tests::version::{Health, Then, Version, asking, with_clock};
use seam_tests::{System, call};
use wasmtime::component::Val;

const TABLE: &str = "CREATE TABLE seen (n INTEGER NOT NULL, old TEXT) STRICT";
const GROWS: &str = "ALTER TABLE seen ADD COLUMN at TEXT";

fn first() -> Version {
    Version { migrations: vec![TABLE], query: Some("SELECT n, old FROM seen"), ..Version::times(2) }
}

fn system(first: &Version) -> Result<System> {
    let grants = "store = true\ncapabilities = [\"clocks\"]";
    System::new().context("numbers", &first.wasm()?, grants)?.context(
        "asking",
        &asking()?,
        r#"imports = ["t:numbers/numbers"]"#,
    )
}

/// A system in this process, and a file for the next version.
struct Fixture {
    app: App,
    system: System,
}

impl Fixture {
    fn new(first: &Version) -> Result<Self> {
        let system = system(first)?;
        Ok(Self { app: load(&system)?, system })
    }

    fn file(&self, wasm: &[u8]) -> Result<PathBuf> {
        put(&self.system, wasm)
    }

    fn deploy(&self, version: &Version, allow: &[&str]) -> Result<DeployReport> {
        let request = request(self.file(&version.wasm()?)?, allow);
        Ok(self.app.deployer.deploy(&request, &mut |_| {}))
    }

    fn times(&self, n: u32) -> Result<Val> {
        call(&self.app.registry, "asking", "asking.ask", &[Val::U32(n)], 5_000)
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

fn request(file: PathBuf, allow: &[&str]) -> DeployRequest {
    let allow = allow.iter().map(|name| (*name).to_owned()).collect();
    DeployRequest { context: "numbers".into(), file, allow, strict: false, values: false, watch_ms: 0, wait: false }
}

fn answer(value: u32) -> Val {
    Val::Result(Ok(Some(Box::new(Val::U32(value)))))
}

fn refused(report: &DeployReport, step: Step, words: &[&str]) {
    let refused = report.refused.as_ref().unwrap_or_else(|| panic!("it was let in: {report:?}"));
    assert_eq!(report.outcome, DeployOutcome::Refused);
    assert_eq!(refused.step, Some(step), "{refused:?}");
    for word in words {
        assert!(refused.message.contains(word), "{word:?} in {:?}", refused.message);
    }
    assert!(!refused.message.contains('\n') && !refused.remedy.is_empty(), "{refused:?}");
}

fn notes(report: &DeployReport, step: Step) -> String {
    report
        .steps
        .iter()
        .filter(|passed| passed.step == step)
        .flat_map(|p| p.notes.clone())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_version_that_passes_serves_with_its_schema_and_its_restore_point() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    assert_eq!(fixture.times(7)?, answer(14));
    let next = Version {
        migrations: vec![TABLE, GROWS],
        query: Some("SELECT n, at FROM seen"),
        health: Some(Health::Well),
        more: true,
        ..Version::times(3)
    };
    let report = fixture.deploy(&next, &[])?;
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    assert_eq!(report.serves.as_ref().unwrap().generation, Some(2));
    let steps: Vec<_> = report.steps.iter().map(|passed| passed.step.name()).collect();
    assert_eq!(steps, ["read", "compile", "wit", "capabilities", "start", "migrations", "health", "replay", "publish"]);
    assert!(notes(&report, Step::Wit).contains("added: `t:numbers/numbers@0.1.0.minus(n: u32)"));
    assert!(notes(&report, Step::Migrations).contains("schema 1 becomes 2"));
    assert_eq!(fixture.times(7)?, answer(21));
    let data = fixture.system.folder.path().join("data/deploy");
    assert!(data.join("restore/numbers-1.db").is_file());
    assert!(std::fs::read_dir(data.join("trial"))?.next().is_none(), "what it was tried on is gone");
    assert_eq!(fixture.deploy(&next, &[])?.outcome, DeployOutcome::Unchanged);
    Ok(())
}

#[test]
fn what_breaks_a_caller_or_a_promise_is_refused_and_what_no_caller_needs_may_go() -> Result<()> {
    let fixture = Fixture::new(&Version { more: true, ..first() })?;
    let wide = Version { wide: true, ..first() };
    refused(
        &fixture.deploy(&wide, &[])?,
        Step::Wit,
        &["changes the type of `t:numbers/numbers@0.1.0.times`", "n: u64"],
    );
    let renamed = Version { other: true, ..first() };
    refused(&fixture.deploy(&renamed, &[])?, Step::Wit, &["`t:numbers/numbers@0.1.0`, which `asking` imports"]);
    let newer = Version { version: "0.2.0", ..first() };
    refused(&fixture.deploy(&newer, &[])?, Step::Wit, &["which `asking` imports"]);
    let fits = Version { version: "0.1.1", wide: true, ..first() };
    refused(&fixture.deploy(&fits, &[])?, Step::Wit, &["`asking` imports: times(n: u32)"]);
    let less = Version { version: "0.1.1", ..Version { factor: 5, ..first() } };
    let report = fixture.deploy(&less, &[])?;
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    let said = notes(&report, Step::Wit);
    assert!(said.contains("removed: `t:numbers/numbers@0.1.0.minus`, which no context imports"), "{said}");
    assert!(said.contains("`t:numbers/numbers@0.1.0` became `t:numbers/numbers@0.1.1`, which is compatible"), "{said}");
    assert_eq!(fixture.times(7)?, answer(35));
    Ok(())
}

#[test]
fn a_version_without_the_function_of_a_schedule_is_refused() -> Result<()> {
    let schedule = |call: &str| format!("[[schedule]]\ncontext = \"numbers\"\ncall = \"{call}\"\nevery_s = 3600");
    let ticks = Version { ticks: true, ..first() };
    let system = system(&ticks)?.lines(&schedule("numbers.tick"));
    let fixture = Fixture { app: load(&system)?, system };
    let refusal = fixture.deploy(&Version { factor: 3, ..first() }, &[])?;
    refused(&refusal, Step::Wit, &["`numbers` has no function `numbers.tick` to call by time"]);
    assert!(refusal.refused.unwrap().remedy.contains("[[schedule]]"));
    assert_eq!(fixture.deploy(&Version { factor: 3, ..ticks }, &[])?.outcome, DeployOutcome::Live);
    assert_eq!(fixture.times(7)?, answer(21));
    // One that calls nothing anyway is no reason.
    let idle = self::system(&first())?.lines(&schedule("numbers.tock"));
    let fixture = Fixture { app: load(&idle)?, system: idle };
    assert_eq!(fixture.deploy(&Version { factor: 3, ..first() }, &[])?.outcome, DeployOutcome::Live);
    Ok(())
}

/// Its component is garbage, or its migrations, or its start.
#[test]
fn a_context_out_of_service_serves_again_by_a_deploy() -> Result<()> {
    let traps = Version { start: Then::Traps, ..first() };
    let cannot = Version { migrations: vec!["CREATE TABLE"], ..first() };
    for (what, wasm) in [("garbage", b"garbage".to_vec()), ("traps", traps.wasm()?), ("migration", cannot.wasm()?)] {
        let system = system(&first())?;
        std::fs::write(system.folder.path().join("numbers.wasm"), wasm)?;
        let fixture = Fixture { app: load(&system)?, system };
        assert_eq!(fixture.app.registry.out_of_service().len(), 1, "{what}");
        let report = fixture.deploy(&Version { factor: 3, ..first() }, &[])?;
        assert_eq!(report.outcome, DeployOutcome::Live, "{what}: {report:?}");
        assert_eq!(fixture.times(7)?, answer(21), "{what}");
        assert!(fixture.app.registry.out_of_service().is_empty(), "{what}");
    }
    // No version helps a store that is damaged.
    let system = system(&first())?;
    seam_store::private::folder(&system.folder.path().join("data/stores"))?;
    std::fs::write(system.folder.path().join("data/stores/numbers.db"), "no database")?;
    let fixture = Fixture { app: load(&system)?, system };
    let report = fixture.deploy(&Version { factor: 3, ..first() }, &[])?;
    refused(&report, Step::Publish, &["`numbers` has no usable store: ", "numbers.db"]);
    assert_eq!(fixture.app.registry.out_of_service().len(), 1);
    Ok(())
}

#[test]
fn a_new_import_must_be_allowed_by_name() -> Result<()> {
    let fixture = Fixture::new(&Version::times(2))?;
    let clocked = |allow: &[&str]| -> Result<DeployReport> {
        Ok(fixture.app.deployer.deploy(&request(fixture.file(&with_clock(3)?)?, allow), &mut |_| {}))
    };
    let report = clocked(&[])?;
    refused(&report, Step::Capabilities, &["the clock", "wasi:clocks/wall-clock@0.2.0"]);
    assert!(report.refused.unwrap().remedy.contains("--allow clocks"));
    assert_eq!(fixture.times(7)?, answer(14));
    assert_eq!(clocked(&["clocks"])?.outcome, DeployOutcome::Live);
    assert_eq!(fixture.times(7)?, answer(21));
    Ok(())
}

#[test]
fn invariants_must_fit_the_schema_that_the_migrations_make() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    let later = (InvariantKind::Violations, "seen-in-time", "SELECT n FROM seen WHERE at > :now");
    let early = Version { invariants: vec![later], ..first() };
    let words = ["the invariant `seen-in-time` does not fit the schema", "no such column: at"];
    refused(&fixture.deploy(&early, &["irreversible"])?, Step::Migrations, &words);
    let grown = Version { migrations: vec![TABLE, GROWS], ..early };
    let report = fixture.deploy(&grown, &[])?;
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    Ok(())
}

#[test]
fn a_schema_that_the_running_version_cannot_use_must_be_allowed() -> Result<()> {
    let fixture = Fixture::new(&first())?;
    assert_eq!(fixture.times(7)?, answer(14), "it runs its query");
    let drops = "ALTER TABLE seen DROP COLUMN old";
    let next = Version { migrations: vec![TABLE, drops], query: Some("SELECT n FROM seen"), ..Version::times(3) };
    refused(&fixture.deploy(&next, &[])?, Step::Migrations, &["SELECT n, old FROM seen", "could not be rolled back"]);
    assert_eq!(fixture.times(7)?, answer(14));
    let report = fixture.deploy(&next, &["irreversible"])?;
    assert_eq!(report.outcome, DeployOutcome::Live);
    assert!(notes(&report, Step::Migrations).contains("irreversible: "));
    assert_eq!(fixture.times(7)?, answer(21));
    // What the version before ran is not held against the next one.
    let contract = "ALTER TABLE seen ADD COLUMN more TEXT";
    let after =
        Version { migrations: vec![TABLE, drops, contract], query: Some("SELECT n FROM seen"), ..Version::times(4) };
    assert_eq!(fixture.deploy(&after, &[])?.outcome, DeployOutcome::Live);
    Ok(())
}

/// What it is, its bytes, the step that refuses it, and words of why.
type Bad = (&'static str, Vec<u8>, &'static str, &'static str);

/// Every kind of bad version that shows before it serves.
fn corpus() -> Result<Vec<Bad>> {
    let good = Version { factor: 9, ..first() };
    let whole = good.wasm()?;
    let of = |version: Version| version.wasm();
    let mut large = whole.clone();
    large.resize((seam::limits::COMPONENT_MB_MAX as usize + 1) << 20, 0);
    Ok(vec![
        ("empty", Vec::new(), "read", "is empty"),
        ("truncated", whole[..whole.len() / 2].to_vec(), "compile", "does not compile"),
        ("cut to its head", whole[..8].to_vec(), "wit", "does not export"),
        ("core module", wat_module()?, "read", "a core WebAssembly module"),
        ("ELF", b"\x7fELF\x02\x01\x01 and so on".to_vec(), "read", "a native or precompiled binary"),
        ("garbage", b"#!/bin/sh\nrm -rf /\n".to_vec(), "read", "not a WebAssembly component"),
        ("too large", large, "read", "more than the"),
        ("wrong WIT", of(Version { wide: true, ..good.clone() })?, "wit", "changes the type"),
        ("missing export", of(Version { other: true, ..good.clone() })?, "wit", "which `asking` imports"),
        ("new context", of_importing()?, "wit", "the manifest does not allow it"),
        (
            "failing migration",
            of(Version { migrations: vec![TABLE, "CREATE TABLE x (y BLOB NOT"], ..good.clone() })?,
            "migrations",
            "migration 2",
        ),
        (
            "changed history",
            of(Version { migrations: vec![GROWS], ..good.clone() })?,
            "migrations",
            "has changed since",
        ),
        ("backwards", of(Version { migrations: vec![], ..good.clone() })?, "migrations", "never goes backwards"),
        ("traps at start", of(Version { start: Then::Traps, ..good.clone() })?, "start", "does not start"),
        ("hangs at start", of(Version { start: Then::Hangs, ..good.clone() })?, "start", "ran out of time"),
        (
            "unhealthy",
            of(Version { health: Some(Health::Ill("the shelf is empty")), ..good.clone() })?,
            "health",
            "the shelf is empty",
        ),
        (
            "traps at health",
            of(Version { health: Some(Health::Traps), ..good.clone() })?,
            "health",
            "its health check fails",
        ),
        ("hangs at health", of(Version { health: Some(Health::Hangs), ..good })?, "health", "does not answer within"),
    ])
}

fn wat_module() -> Result<Vec<u8>> {
    Ok(wat::parse_str("(module (func (export \"run\")))")?)
}

/// Imports an interface that no context provides.
fn of_importing() -> Result<Vec<u8>> {
    let wit = "package t:numbers@0.1.0;
        interface numbers { variant error { odd(u32), unavailable(string) } times: func(n: u32) -> result<u32, error>; }
        world this { import t:letters/letters@0.1.0; export numbers; }
        package t:letters@0.1.0 { interface letters { variant error { unavailable(string) } one: func(n: u32) -> result<u32, error>; } }";
    let memory = seam_tests::MEMORY;
    let wat = format!(
        r#"(module (import "t:letters/letters@0.1.0" "one" (func $one (param i32 i32))) {memory}
            (func (export "t:numbers/numbers@0.1.0#times") (param $n i32) (result i32)
                (call $one (local.get $n) (i32.const 64)) (i32.const 64)))"#
    );
    seam_tests::component(wit, "this", &wat)
}

fn says(output: &std::process::Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// What a call of `numbers.times(7)` answers in the running host.
fn asks(manifest: &Path) -> Result<String> {
    Ok(says(&seam(manifest, &["call", "numbers", "numbers.times(7)"])?).0.trim().to_owned())
}

#[test]
fn every_bad_artifact_is_refused_with_one_line_and_the_running_version_serves_on() -> Result<()> {
    let system = system(&first())?;
    let manifest = system.write()?;
    let _host = Host::up(&manifest, &system.folder.path().join("data"))?;
    assert_eq!(asks(&manifest)?, "ok(14)");
    let check = |name: &str, file: &Path, step: &str, words: &str| -> Result<()> {
        let output = seam(&manifest, &["deploy", "numbers", &file.to_string_lossy()])?;
        let (out, said) = says(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {out}{said}");
        let lines: Vec<&str> = said.lines().collect();
        assert!(
            lines.len() <= 2 && lines[0].starts_with(&format!("error: `numbers` is refused at {step}: ")),
            "{name}: {said}"
        );
        assert!(lines[0].contains(words), "{name}: {words:?} in {said}");
        assert!(lines.get(1).is_some_and(|line| line.starts_with("hint: ")), "{name}: {said}");
        assert_eq!(asks(&manifest)?, "ok(14)", "{name}");
        Ok(())
    };
    for (name, bytes, step, words) in corpus()? {
        check(name, &put(&system, &bytes)?, step, words)?;
    }
    let folder = system.folder.path();
    check("a folder", folder, "read", "is a folder")?;
    check("nothing", &folder.join("none.wasm"), "read", "cannot read")?;
    std::os::unix::fs::symlink(folder.join("gone.wasm"), folder.join("dangling.wasm"))?;
    check("a link to nothing", &folder.join("dangling.wasm"), "read", "cannot read")?;
    let pipe = folder.join("pipe.wasm");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status()?.success());
    check("a pipe", &pipe, "read", "a special file")?;
    // And through a link to a good one, it goes.
    let good = put(&system, &Version { factor: 5, ..first() }.wasm()?)?;
    std::os::unix::fs::symlink(&good, folder.join("link.wasm"))?;
    let link = folder.join("link.wasm");
    let output = seam(&manifest, &["deploy", "numbers", &link.to_string_lossy(), "--watch", "100"])?;
    let (out, said) = says(&output);
    assert!(output.status.success(), "{out}{said}");
    assert!(out.lines().last().unwrap().starts_with("numbers serves ") && out.contains("publish"), "{out}");
    assert_eq!(asks(&manifest)?, "ok(35)");
    let (out, _) = says(&seam(&manifest, &["history", "numbers", "--format", "json"])?);
    let entries: Vec<seam::deploy::HistoryEntry> = serde_json::from_str(&out)?;
    assert_eq!(entries.iter().filter(|e| e.state == seam::deploy::ChangeState::Live).count(), 1, "{out}");
    assert_eq!(entries.len(), corpus()?.len() + 5, "a refusal is history too");
    Ok(())
}

#[test]
fn a_second_deploy_names_the_one_under_way_or_waits_for_it() -> Result<()> {
    let system = system(&first())?;
    let manifest = system.write()?;
    let _host = Host::up(&manifest, &system.folder.path().join("data"))?;
    let slow = system.folder.path().join("slow.wasm");
    std::fs::write(&slow, Version { health: Some(Health::Hangs), ..first() }.wasm()?)?;
    let next = put(&system, &Version { factor: 5, ..first() }.wasm()?)?;
    // Compiled before, so that health, which takes its second, is what the others meet.
    seam(&manifest, &["deploy", "numbers", &slow.to_string_lossy()])?;
    let next = next.to_str().unwrap();
    let deploy = |more: &[&str]| seam(&manifest, &[&["deploy", "numbers", next, "--watch", "0"], more].concat());
    let first = Background::start(&manifest, &["deploy", "numbers", &slow.to_string_lossy()])?;
    // Its first step is printed: it is under way.
    first.until(|printed| printed.contains('\n'))?;
    let (out, said) = says(&deploy(&[])?);
    assert!(said.contains("a deploy of `numbers` is running, for ") && said.contains("--wait"), "{out}{said}");
    let waited = deploy(&["--wait"])?;
    assert!(waited.status.success(), "{:?}", says(&waited));
    let (status, printed) = first.end()?;
    assert_eq!(status.code(), Some(1), "{printed}");
    assert_eq!(asks(&manifest)?, "ok(35)");
    Ok(())
}

#[test]
fn what_was_deployed_serves_after_a_restart_until_the_manifests_file_changes() -> Result<()> {
    let system = system(&first())?;
    let manifest = system.write()?;
    let data = system.folder.path().join("data");
    let next = put(&system, &Version { factor: 5, ..first() }.wasm()?)?;
    let host = Host::up(&manifest, &data)?;
    assert!(seam(&manifest, &["deploy", "numbers", &next.to_string_lossy(), "--watch", "0"])?.status.success());
    host.stop(Duration::from_secs(10))?;
    std::fs::remove_file(next)?;
    let host = Host::up(&manifest, &data)?;
    assert_eq!(asks(&manifest)?, "ok(35)", "the file that was deployed is not needed any more");
    host.stop(Duration::from_secs(10))?;
    std::fs::write(system.folder.path().join("numbers.wasm"), Version { factor: 6, ..first() }.wasm()?)?;
    let host = Host::up(&manifest, &data)?;
    assert_eq!(asks(&manifest)?, "ok(42)", "a newer file is the newer wish");
    let (out, _) = says(&seam(&manifest, &["history"])?);
    let how: Vec<_> = out.lines().skip(1).map(|line| line.split_whitespace().nth(4).unwrap().to_owned()).collect();
    assert_eq!(how, ["manifest", "deploy"], "{out}");
    host.stop(Duration::from_secs(10))?;
    let _host = Host::up(&manifest, &data)?;
    assert_eq!(asks(&manifest)?, "ok(42)");
    Ok(())
}

#[test]
fn without_a_running_host_a_version_passes_the_same_steps_and_serves_from_the_next_start() -> Result<()> {
    let system = system(&first())?;
    let manifest = system.write()?;
    let next = put(&system, &Version { factor: 5, ..first() }.wasm()?)?;
    let output = seam(&manifest, &["deploy", "numbers", &next.to_string_lossy()])?;
    let (out, said) = says(&output);
    assert!(output.status.success() && said.contains("no host is running: "), "{out}{said}");
    let _host = Host::up(&manifest, &system.folder.path().join("data"))?;
    assert_eq!(asks(&manifest)?, "ok(35)");
    Ok(())
}

#[test]
fn a_host_killed_at_any_moment_of_a_deploy_starts_with_the_old_or_the_new_version_and_its_schema() -> Result<()> {
    let grown = Version { migrations: vec![TABLE, GROWS], query: Some("SELECT at FROM seen"), ..Version::times(5) };
    let same = Version { factor: 5, ..first() };
    for (version, moment, expect) in [
        (&grown, "kept", "ok(14)"),
        (&grown, "applying", "ok(14)"),
        (&grown, "migrated", "ok(35)"),
        (&grown, "published", "ok(35)"),
        (&grown, "recorded", "ok(35)"),
        (&same, "applying", "ok(14)"),
        (&same, "published", "ok(14)"),
        (&same, "recorded", "ok(35)"),
    ] {
        let system = system(&first())?;
        let manifest = system.write()?;
        let data = system.folder.path().join("data");
        let next = put(&system, &version.wasm()?)?;
        let host = Host::up_with(&manifest, &data, &[("SEAM_FAULT", &format!("deploy.{moment}:kill"))])?;
        let output = seam(&manifest, &["deploy", "numbers", &next.to_string_lossy(), "--watch", "100"])?;
        assert_eq!(output.status.code(), Some(1), "{moment}: {:?}", says(&output));
        drop(host);
        let host = Host::up(&manifest, &data)?;
        assert_eq!(asks(&manifest)?, expect, "{moment}");
        // And the way goes on from there.
        let last = Version { factor: 6, ..version.clone() };
        let last = put(&system, &last.wasm()?)?;
        let output = seam(&manifest, &["deploy", "numbers", &last.to_string_lossy(), "--watch", "0"])?;
        assert!(output.status.success(), "{moment}: {:?}", says(&output));
        assert_eq!(asks(&manifest)?, "ok(42)", "{moment}");
        drop(host);
    }
    Ok(())
}
