//! A file that is ahead of its component, and the command that leads out.

use std::time::Duration;

use anyhow::Result;
use seam_tests::System;
use seam_tests::host::{Host, seam};
use seam_tests::version::Version;

const FIRST: &str = "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);";
const SECOND: &str = "ALTER TABLE a ADD COLUMN y INTEGER;";

#[test]
fn a_file_ahead_of_its_component_is_refused_with_the_command_that_leads_out() -> Result<()> {
    let version = |migrations: &[&'static str]| Version { migrations: migrations.to_vec(), ..Version::times(2) }.wasm();
    let system = System::new().context("numbers", &version(&[FIRST])?, "store = true")?;
    let (manifest, data) = (system.write()?, system.folder.path().join("data"));
    let run = |args: &[&str]| -> Result<(bool, String)> {
        let output = seam(&manifest, args)?;
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        Ok((output.status.success(), text))
    };
    let host = Host::up(&manifest, &data)?;
    let newer = system.folder.path().join("newer.wasm");
    std::fs::write(&newer, version(&[FIRST, SECOND])?)?;
    let (ok, said) = run(&["deploy", "numbers", newer.to_str().unwrap_or_default()])?;
    assert!(ok, "{said}");
    assert!(host.stop(Duration::from_secs(10))?.success());
    // The newer version is gone, as after a checkout.
    for entry in std::fs::read_dir(data.join("deploy"))?.flatten() {
        if entry.path().extension().is_some_and(|ending| ending == "wasm") {
            std::fs::remove_file(entry.path())?;
        }
    }

    for command in ["up", "seed"] {
        let with_seed = "[[seed]]\ncontext = \"numbers\"\ncall = \"numbers.times\"\nfile = \"rows.jsonl\"\n";
        std::fs::write(&manifest, std::fs::read_to_string(&manifest)?.replace(with_seed, "") + with_seed)?;
        let (ok, said) = run(&[command])?;
        assert!(!ok && said.contains("the file is at migration 2, the component knows 1"), "{command}: {said}");
        assert!(said.contains("`seam restore numbers --schema 1`"), "{command}: {said}");
    }
    system.write()?;
    let (ok, said) = run(&["backup", "--list"])?;
    assert!(ok && said.contains("numbers-1") && said.contains("restore point"), "{said}");
    let (ok, said) = run(&["restore", "numbers", "--schema", "0"])?;
    assert!(!ok && said.contains("there is no restore point of `numbers` at schema 0"), "{said}");
    let (ok, said) = run(&["restore", "numbers", "--schema", "1"])?;
    assert!(!ok && said.contains("nothing was restored") && said.contains("--replace"), "{said}");
    let (ok, said) = run(&["restore", "numbers", "--schema", "1", "--replace"])?;
    assert!(ok && said.contains("numbers: restored"), "{said}");
    let taken: Vec<String> = (0..2)
        .map(|_| run(&["backup"]).map(|(ok, said)| if ok { said } else { String::new() }))
        .collect::<Result<_>>()?;
    assert!(taken.iter().all(|said| said.contains("1 context,")) && taken[0] != taken[1], "stopped, twice: {taken:?}");
    let host = Host::up(&manifest, &data)?;
    let (ok, said) = run(&["restore", "numbers", "--schema", "1", "--replace"])?;
    assert!(!ok && said.contains("another host"), "not under a running host: {said}");
    assert!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn a_start_that_changes_a_schema_leaves_a_way_back() -> Result<()> {
    let version = |migrations: &[&'static str]| Version { migrations: migrations.to_vec(), ..Version::times(2) }.wasm();
    let system = System::new().context("numbers", &version(&[FIRST])?, "store = true")?;
    let (manifest, data) = (system.write()?, system.folder.path().join("data"));
    let component = system.folder.path().join("numbers.wasm");
    let points = || std::fs::read_dir(data.join("deploy/restore")).into_iter().flatten().count();
    for (migrations, expected) in [(&[FIRST][..], 0), (&[FIRST][..], 0), (&[FIRST, SECOND][..], 1)] {
        std::fs::write(&component, version(migrations)?)?;
        let host = Host::up(&manifest, &data)?;
        assert_eq!(points(), expected, "{migrations:?}");
        assert!(host.stop(Duration::from_secs(10))?.success());
    }
    std::fs::write(&component, version(&[FIRST])?)?;
    let refused = seam(&manifest, &["up"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("`seam restore numbers --schema 1`"), "{said}");
    let restored = seam(&manifest, &["restore", "numbers", "--schema", "1", "--replace"])?;
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert!(Host::up(&manifest, &data)?.stop(Duration::from_secs(10))?.success());
    Ok(())
}
