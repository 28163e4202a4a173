//! Stores that stop working under a running host: their files vanish, or their disk takes no more.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seam::admin::CallRequest;
use seam::admin::client::Client;
use seam_tests::host::{Host, seam};
use seam_tests::version::Version;
use seam_tests::{System, wait};
use serde_json::Value;

/// Each call writes 200 kB, and breaks if it cannot.
const TABLE: &str = "CREATE TABLE a (x BLOB) STRICT; CREATE TABLE many (n INTEGER) STRICT;";
const WRITE: &str = "INSERT INTO a VALUES (zeroblob(200000)) RETURNING 1";

struct Fixture {
    system: System,
    host: Host,
}

impl Fixture {
    /// `numbers` writes with each call, `others` writes nothing.
    fn set() -> Result<Self> {
        let writer = Version { migrations: vec![TABLE], query: Some(WRITE), ..Version::times(2) };
        let reader = Version { migrations: vec![TABLE], query: Some("SELECT count(*) FROM a"), ..Version::times(3) };
        let system = System::new().context("numbers", &writer.wasm()?, "store = true")?.context(
            "others",
            &reader.wasm()?,
            "store = true",
        )?;
        let host = Host::up(&system.write()?, &system.folder.path().join("data"))?;
        Ok(Self { system, host })
    }

    fn data(&self) -> std::path::PathBuf {
        self.system.folder.path().join("data")
    }

    /// Whether `context` answers.
    fn works(&self, context: &str) -> Result<bool> {
        let request = CallRequest { context: context.into(), text: "numbers.times(1)".into(), timeout_ms: 20_000 };
        Ok(Client::connect(&self.data())?.call(&request).is_ok_and(|answer| answer.ok))
    }

    fn status(&self, context: &str) -> Result<Value> {
        let output = seam(&self.system.write()?, &["contexts", "--format", "json"])?;
        let all: Value = serde_json::from_slice(&output.stdout)?;
        let found = all.as_array().and_then(|all| all.iter().find(|status| status["context"] == context).cloned());
        found.context("the context")
    }

    fn ready(&self, expect: u16) -> Result<()> {
        wait::until(wait::TIMEOUT, || {
            let status = self.host.get("/readyz")?.status;
            Ok((status == expect).then_some(()).ok_or_else(|| format!("/readyz answers {status}")))
        })
    }

    /// How many ERROR lines of the stores the log has.
    fn errors(&self) -> Result<usize> {
        Ok(self.host.log()?.lines().filter(|line| line.contains("\"ERROR\"") && line.contains("\"store\"")).count())
    }

    /// The soft limit on the size of files that the host writes.
    fn limit(&self, bytes: &str) -> Result<()> {
        let limit = format!("--fsize={bytes}:unlimited");
        let set = Command::new("prlimit").args(["--pid", &self.host.pid().to_string(), &limit]).status()?;
        ensure!(set.success(), "prlimit {limit}: {set}");
        Ok(())
    }
}

#[test]
fn a_disk_that_takes_no_more_is_said_once_is_not_the_versions_fault_and_heals() -> Result<()> {
    let fixture = Fixture::set()?;
    assert!(fixture.works("numbers")? && fixture.works("others")?);
    fixture.ready(200)?;
    let before = fixture.status("numbers")?;
    assert!(before["store_trouble"].is_null(), "{before}");
    fixture.limit("2000000")?;
    // Copying the log back makes room once more; then there is none.
    let mut answered = 0;
    let metrics = wait::until(wait::TIMEOUT, || {
        answered += (0..20).filter(|_| fixture.works("numbers").unwrap()).count();
        let metrics = fixture.host.get("/metrics")?.text();
        let tells = metrics.contains("seam_store_trouble{context=\"numbers\",kind=\"no-room\"} 1");
        Ok(if tells { Ok(metrics) } else { Err(metrics) })
    })?;
    assert!((1..60).contains(&answered), "some calls were answered before the disk was full: {answered}");
    fixture.ready(503)?;
    assert!(fixture.works("others")?, "what writes nothing works");
    let status = fixture.status("numbers")?;
    let why = status["store_trouble"].as_str().unwrap_or_default();
    assert!(why.contains("no room") && why.contains("hint: make room"), "{status}");
    assert!(status["out_of_service"].is_null(), "{status}");
    assert!(metrics.contains("seam_store_trouble{context=\"others\",kind=\"no-room\"} 0"), "{metrics}");
    assert_eq!(fixture.errors()?, 1, "{}", fixture.host.log()?);
    fixture.limit("unlimited")?;
    fixture.ready(200)?;
    assert!(fixture.works("numbers")?);
    fixture.host.log_line(&["the store works again"])?;
    assert!(fixture.host.stop(Duration::from_secs(20))?.success());
    Ok(())
}

#[test]
fn files_that_vanish_under_the_host_stop_their_context_alone_until_they_are_back() -> Result<()> {
    let fixture = Fixture::set()?;
    assert!(fixture.works("numbers")? && fixture.works("others")?);
    let (file, away) = (fixture.data().join("stores/numbers.db"), fixture.data().join("away"));
    std::fs::create_dir(&away)?;
    let log = file.with_extension("db-wal");
    for path in [&file, &log] {
        std::fs::rename(path, away.join(path.file_name().context("a name")?))?;
    }
    // With no call at all, the host notices.
    fixture.ready(503)?;
    let status = fixture.status("numbers")?;
    assert!(status["out_of_service"].as_str().is_some_and(|why| why.contains("removed or replaced")), "{status}");
    assert!(!fixture.works("numbers")? && fixture.works("others")?);
    assert_eq!(fixture.errors()?, 1, "{}", fixture.host.log()?);
    assert!(!file.exists(), "no new file takes its place");
    for path in [&file, &log] {
        std::fs::rename(away.join(path.file_name().context("a name")?), path)?;
    }
    fixture.ready(200)?;
    assert!(fixture.works("numbers")?);
    assert!(fixture.host.stop(Duration::from_secs(20))?.success());
    Ok(())
}

#[test]
fn a_call_into_a_removed_file_is_not_acknowledged() -> Result<()> {
    let fixture = Fixture::set()?;
    assert!(fixture.works("numbers")?);
    std::fs::remove_dir_all(fixture.data().join("stores"))?;
    assert!(!fixture.works("numbers")?);
    fixture.host.log_line(&["ERROR", "numbers.db", "removed or replaced"])?;
    fixture.ready(503)?;
    Ok(())
}

#[test]
fn a_version_on_probation_is_not_rolled_back_for_a_full_disk() -> Result<()> {
    let fixture = Fixture::set()?;
    assert!((0..5).all(|_| fixture.works("numbers").unwrap()));
    let next = fixture.system.folder.path().join("next.wasm");
    std::fs::write(&next, Version { migrations: vec![TABLE], query: Some(WRITE), ..Version::times(5) }.wasm()?)?;
    let manifest = fixture.system.write()?;
    let deployed = std::thread::scope(|scope| -> Result<std::process::Output> {
        let next = next.to_str().context("a path")?;
        let deploy = scope.spawn(|| seam(&manifest, &["deploy", "numbers", next, "--watch", "5000"]));
        let watched = wait::until(wait::TIMEOUT, || {
            let status = fixture.status("numbers")?;
            ensure!(!deploy.is_finished(), "the deploy has ended: {status}");
            Ok((status["on_probation"] == true).then_some(()).ok_or_else(|| status.to_string()))
        });
        if let Err(error) = watched {
            let said = deploy.join().map_err(|_| anyhow::anyhow!("the deploy panicked"))??;
            return Err(error.context(String::from_utf8_lossy(&said.stderr).into_owned()));
        }
        fixture.limit("2000000")?;
        let broken = (0..60).filter(|_| !fixture.works("numbers").unwrap()).count();
        assert!(broken > 30, "calls break: {broken}");
        deploy.join().map_err(|_| anyhow::anyhow!("the deploy panicked"))?
    })?;
    assert!(deployed.status.success(), "{}", String::from_utf8_lossy(&deployed.stderr));
    assert_eq!(fixture.status("numbers")?["generation"], 2);
    fixture.limit("unlimited")?;
    fixture.ready(200)?;
    assert!(fixture.works("numbers")?);
    Ok(())
}
