//! A store whose pages are damaged under a running host: its context alone is out of service, until it is restored.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use seam::admin::CallRequest;
use seam::admin::client::Client;
use seam_tests::host::{Host, seam};
use seam_tests::version::Version;
use seam_tests::{System, wait};

const ROWS: &str = "CREATE TABLE a (x BLOB) STRICT;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000) INSERT INTO a SELECT zeroblob(200) FROM n;";
const READ: &str = "SELECT sum(length(x)) FROM a";

struct Damaged {
    system: System,
    file: PathBuf,
}

impl Damaged {
    /// Two contexts that read all of their rows with each call.
    fn new() -> Result<Self> {
        let version = |factor| Version { migrations: vec![ROWS], query: Some(READ), ..Version::times(factor) };
        let system = System::new().context("numbers", &version(2).wasm()?, "store = true")?;
        let system = system.context("others", &version(3).wasm()?, "store = true")?;
        let file = system.folder.path().join("data/stores/numbers.db");
        Ok(Self { system, file })
    }

    fn data(&self) -> PathBuf {
        self.system.folder.path().join("data")
    }

    fn up(&self) -> Result<Host> {
        Host::up(&self.system.write()?, &self.data())
    }

    fn works(&self, context: &str) -> Result<bool> {
        let request = CallRequest { context: context.into(), text: "numbers.times(1)".into(), timeout_ms: 20_000 };
        Ok(Client::connect(&self.data())?.call(&request).is_ok_and(|answer| answer.ok))
    }

    /// What `seam` says, on both outputs.
    fn says(&self, arguments: &[&str]) -> Result<String> {
        let output = seam(&self.system.write()?, arguments)?;
        Ok(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    }

    /// Overwrites the headers of the pages in the middle of the file.
    fn damage(&self) -> Result<()> {
        let mut bytes = std::fs::read(&self.file)?;
        let pages = bytes.len() / 4096;
        bytes.chunks_mut(4096).skip(pages / 3).take(pages / 3).for_each(|page| page[0] = 0x77);
        Ok(std::fs::write(&self.file, bytes)?)
    }
}

#[test]
fn a_damaged_store_is_named_and_out_of_service_over_restarts_until_it_is_restored() -> Result<()> {
    let stop = |host: Host| host.stop(Duration::from_secs(20));
    let damaged = Damaged::new()?;
    let host = damaged.up()?;
    assert!(damaged.works("numbers")? && damaged.works("others")?);
    let backup = damaged.says(&["backup"])?;
    let backup = backup.lines().find(|line| line.contains("/backups/")).context(backup.clone())?.to_owned();
    assert!(stop(host)?.success());

    let host = damaged.up()?;
    damaged.damage()?;
    assert!(!damaged.works("numbers")? && damaged.works("others")?);
    host.log_line(&["ERROR", "numbers.db", "is damaged", "seam restore numbers"])?;
    wait::until(wait::TIMEOUT, || {
        let metrics = host.get("/metrics")?.text();
        // The host looks at one store after the other.
        let tells = |context: &str, damaged: u8| {
            metrics.contains(&format!("seam_store_trouble{{context=\"{context}\",kind=\"damaged\"}} {damaged}"))
        };
        let told = tells("numbers", 1) && tells("others", 0);
        Ok(if told { Ok(()) } else { Err(metrics) })
    })?;
    assert_eq!(host.get("/readyz")?.status, 503);
    let contexts = damaged.says(&["contexts"])?;
    for words in ["numbers.db` is damaged", "malformed", "seam restore numbers --from"] {
        assert!(contexts.contains(words), "{contexts}");
    }
    assert!(stop(host)?.success());

    let check = damaged.says(&["check"])?;
    assert!(check.contains("numbers.db") && check.contains("restore a backup"), "{check}");
    let host = damaged.up()?;
    assert!(!damaged.works("numbers")? && damaged.works("others")?);
    assert!(stop(host)?.success());

    let restored = damaged.says(&["restore", "numbers", "--from", &backup, "--replace"])?;
    let host = damaged.up()?;
    assert!(damaged.works("numbers")? && damaged.works("others")?, "{restored}");
    assert_eq!(host.get("/readyz")?.status, 200);
    assert!(stop(host)?.success());
    Ok(())
}
