//! Damaged files of the data folder: code that would be executed, and components that would serve under another's name.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use seam::app::{App, Error};
use seam::deploy::{DeployOutcome, DeployRequest, RollbackRequest};
use seam::manifest::Manifest;
use seam_runtime::component::Compiler;
use seam_tests::version::Version;
use seam_tests::{System, call};
use wasmtime::component::Val;

fn start(system: &System) -> Result<Result<App, Error>> {
    Ok(App::load(Manifest::load(&system.write()?)?, Compiler::InProcess))
}

fn deploy(app: &App, system: &System, factor: u32) -> Result<String> {
    let file = system.folder.path().join("next.wasm");
    fs::write(&file, Version::times(factor).wasm()?)?;
    let request = DeployRequest { watch_ms: 0, ..DeployRequest::new("numbers", file) };
    let report = app.deployer.deploy(&request, &mut |_| {});
    assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
    Ok(report.serves.unwrap().hash)
}

fn factor(app: &App) -> Result<u32> {
    match call(&app.registry, "numbers", "numbers.times", &[Val::U32(1)], 5_000)? {
        Val::Result(Ok(Some(value))) => Ok(if let Val::U32(factor) = *value { factor } else { 0 }),
        other => anyhow::bail!("{other:?}"),
    }
}

fn kept(system: &System, hash: &str) -> PathBuf {
    system.folder.path().join(format!("data/deploy/{hash}.wasm"))
}

/// Version 1 of the manifest, and 2 and 3 deployed; their hashes.
fn deployed() -> Result<(System, Vec<String>)> {
    let system = System::new().context("numbers", &Version::times(1).wasm()?, "")?;
    let app = start(&system)??;
    let hashes = vec![deploy(&app, &system, 2)?, deploy(&app, &system, 3)?];
    Ok((system, hashes))
}

#[test]
fn a_changed_copy_of_a_deployed_component_is_not_served_and_the_version_before_is_until_it_is_mended() -> Result<()> {
    let (system, hashes) = deployed()?;
    let path = kept(&system, &hashes[1]);
    let whole = fs::read(&path)?;
    let flipped = |at: usize| {
        let mut bad = whole.clone();
        bad[at] ^= 1;
        bad
    };
    for bad in [flipped(0), flipped(whole.len() / 2), flipped(whole.len() - 1), Version::times(9).wasm()?, Vec::new()] {
        fs::write(&path, bad)?;
        let app = start(&system)??;
        assert_eq!(factor(&app)?, 2, "the version before");
        let notices: Vec<String> = app.deployer.notices().into_values().collect();
        assert!(notices[0].contains(&format!("the deployed component {} is", &hashes[1][..12])), "{notices:?}");
    }
    fs::remove_file(&path)?;
    assert_eq!(factor(&start(&system)??)?, 2, "also when it is missing");
    fs::write(&path, &whole)?;
    let app = start(&system)??;
    assert_eq!((factor(&app)?, app.deployer.notices().len()), (3, 0), "the control: nothing is damaged");
    Ok(())
}

#[test]
fn a_deploy_mends_a_damaged_copy_and_ends_the_notice() -> Result<()> {
    let (system, hashes) = deployed()?;
    fs::write(kept(&system, &hashes[1]), "damaged")?;
    let app = start(&system)??;
    assert_eq!(deploy(&app, &system, 3)?, hashes[1]);
    assert_eq!((factor(&app)?, app.deployer.notices().len()), (3, 0));
    drop(app);
    assert_eq!(factor(&start(&system)??)?, 3);
    Ok(())
}

#[test]
fn a_damaged_copy_is_mended_from_the_file_of_the_manifest_if_that_is_the_same_component() -> Result<()> {
    let (system, hashes) = deployed()?;
    // The build wrote this file before it was deployed.
    let file = system.folder.path().join("numbers.wasm");
    fs::write(&file, Version::times(4).wasm()?)?;
    let app = start(&system)??;
    let request = DeployRequest { watch_ms: 0, ..DeployRequest::new("numbers", kept(&system, &hashes[0])) };
    assert_eq!(app.deployer.deploy(&request, &mut |_| {}).outcome, DeployOutcome::Live);
    let fourth = app.deployer.history(None)?[0].before.clone();
    let request = DeployRequest { watch_ms: 0, ..DeployRequest::new("numbers", file) };
    assert_eq!(app.deployer.deploy(&request, &mut |_| {}).outcome, DeployOutcome::Live);
    drop(app);
    fs::write(kept(&system, &fourth), "damaged")?;
    assert_eq!(factor(&start(&system)??)?, 4);
    assert_eq!(fs::read(kept(&system, &fourth))?, Version::times(4).wasm()?);
    Ok(())
}

/// The deployed version has dropped a column that the one before reads.
#[test]
fn a_version_that_cannot_work_at_the_schema_of_the_file_does_not_stand_in() -> Result<()> {
    const TABLE: &str = "CREATE TABLE seen (n INTEGER NOT NULL, old TEXT) STRICT";
    let reading = |query, factor| Version { migrations: vec![TABLE], query: Some(query), ..Version::times(factor) };
    let (first, before) = (reading("SELECT n FROM seen", 1), reading("SELECT old FROM seen", 2));
    let dropping =
        Version { migrations: vec![TABLE, "ALTER TABLE seen DROP COLUMN old"], ..reading("SELECT n FROM seen", 3) };
    let system = System::new().context("numbers", &first.wasm()?, "store = true")?;
    let app = start(&system)??;
    let put = |version: &Version| -> Result<String> {
        let file = system.folder.path().join("next.wasm");
        fs::write(&file, version.wasm()?)?;
        let request = DeployRequest {
            watch_ms: 0,
            allow: vec!["irreversible".to_owned()],
            ..DeployRequest::new("numbers", file)
        };
        let report = app.deployer.deploy(&request, &mut |_| {});
        assert_eq!(report.outcome, DeployOutcome::Live, "{report:?}");
        assert_eq!(factor(&app)?, version.factor, "and its statements are known");
        Ok(report.serves.unwrap().hash)
    };
    put(&before)?;
    let deployed = put(&dropping)?;
    drop(app);
    fs::write(kept(&system, &deployed), "damaged")?;
    let Err(error) = start(&system)? else { panic!("a version serves that traps with each call") };
    assert!(format!("{error:?}").contains(&deployed), "{error:?}");
    Ok(())
}

#[test]
fn a_context_of_which_every_copy_is_damaged_does_not_serve_another_ones_code() -> Result<()> {
    let (system, hashes) = deployed()?;
    for copy in fs::read_dir(system.folder.path().join("data/deploy"))? {
        let copy = copy?.path();
        if copy.is_file() {
            fs::write(copy, Version::times(9).wasm()?)?;
        }
    }
    let Err(error) = start(&system)? else { panic!("it serves") };
    let said = format!("{error:?}");
    assert!(said.contains("is damaged") && said.contains(&hashes[1]), "{said}");
    Ok(())
}

#[test]
fn a_rollback_to_a_damaged_component_is_refused_and_says_so() -> Result<()> {
    let (system, hashes) = deployed()?;
    let app = start(&system)??;
    fs::write(kept(&system, &hashes[0]), Version::times(9).wasm()?)?;
    let request = RollbackRequest { context: "numbers".into(), to: None, restore: false, wait: false };
    let refused = app.deployer.roll_back(&request, &mut |_| {}).refused.unwrap();
    assert!(refused.message.contains("is damaged"), "{refused:?}");
    assert_eq!(factor(&app)?, 3);
    Ok(())
}

#[test]
fn damaged_machine_code_is_compiled_again_at_the_next_start() -> Result<()> {
    let system = System::new().context("numbers", &Version::times(2).wasm()?, "")?;
    drop(start(&system)??);
    let cached = || -> Result<PathBuf> {
        let files = fs::read_dir(system.folder.path().join("data/cache"))?;
        let code =
            files.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "cwasm"));
        code.ok_or_else(|| anyhow::anyhow!("nothing is cached"))
    };
    let good = fs::read(cached()?)?;
    for part in 1..10 {
        let mut bad = good.clone();
        for byte in bad.iter_mut().skip(part * good.len() / 10).take(64) {
            *byte ^= 0xff;
        }
        fs::write(cached()?, bad)?;
        assert_eq!(factor(&start(&system)??)?, 2, "tenth {part}");
        assert!(fs::read(cached()?)? == good, "compiled again");
    }
    Ok(())
}
