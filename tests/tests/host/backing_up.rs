//! The backup that goes on: what the host stores is restored by the host to any time, and by Litestream's own tool.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use seam::admin::client::Client;
use seam::admin::{CallRequest, ContextStatus};
use seam_tests::backups::{Bucket, KEYS, litestream};
use seam_tests::host::{Host, command};
use seam_tests::joint::{self, DESK};
use seam_tests::{System, wait};

const CONTEXTS: [&str; 3] = ["desk", "left", "right"];

/// A system whose contexts are backed up by these lines.
fn system(lines: &str) -> Result<System> {
    Ok(joint::system(DESK)?.lines(&format!("[backup]\n{lines}")))
}

fn write(data: &Path, numbers: std::ops::Range<u32>) -> Result<()> {
    for number in numbers {
        let request =
            CallRequest { context: "desk".into(), text: format!("work.write({number}, 0)"), timeout_ms: 30_000 };
        let said = Client::connect(data)?.call(&request)?;
        ensure!(said.wave == "ok(0)", "{number}: {}", said.wave);
    }
    Ok(())
}

fn now_ms() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())?)
}

/// Waits until all that was committed before now is stored. A time before anything that is written later.
fn stored(data: &Path) -> Result<u64> {
    let now = now_ms()?;
    let is_stored = |context: &ContextStatus| {
        let backup = context.backup.as_ref();
        backup.is_some_and(|backup| backup.looked_ms > now && backup.behind_ms == 0 && backup.stored_ms.is_some())
    };
    wait::until(wait::TIMEOUT, || {
        let all = Client::connect(data)?.contexts()?;
        let behind = all.iter().find(|context| !is_stored(context));
        Ok(behind.map_or(Ok(()), |context| Err(format!("{}: {:?}", context.context, context.backup))))
    })?;
    now_ms()
}

/// The numbers in the file at `path`.
fn numbers(path: &Path) -> Result<Vec<u32>> {
    let file = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let sound: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(sound == "ok", "{}: {sound}", path.display());
    let mut statement = file.prepare("SELECT number FROM got ORDER BY number")?;
    let rows = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<u32>, _>>()?;
    Ok(rows)
}

/// Runs `seam ARGS` with the keys of the bucket; what it wrote to standard error.
fn seam(manifest: &Path, args: &[&str]) -> Result<(bool, String)> {
    let output = command()?.arg("-f").arg(manifest).args(args).envs(KEYS).output()?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Stores, stops, and restores: to a time, to the newest state, and by Litestream.
fn scenario(system: &System, url: impl Fn(&str) -> String, variables: &[(&str, &str)]) -> Result<()> {
    let (manifest, data) = (system.write()?, system.folder.path().join("data"));
    let host = Host::up_with(&manifest, &data, &KEYS)?;
    write(&data, 100..110)?;
    let then = stored(&data)?;
    write(&data, 110..125)?;
    stored(&data)?;
    let (whole, said) = seam(&manifest, &["backup", "drill"])?;
    ensure!(whole, "{said}");
    ensure!(host.stop(Duration::from_secs(60))?.success(), "the host stops");
    // After a restart there is another snapshot, and the states before it are still there.
    let host = Host::up_with(&manifest, &data, &KEYS)?;
    write(&data, 125..130)?;
    stored(&data)?;
    ensure!(host.stop(Duration::from_secs(60))?.success(), "the host stops");
    for context in CONTEXTS {
        let out = system.folder.path().join(format!("{context}.litestream.db"));
        let out = out.to_str().context("a path")?;
        let restored = litestream(&["restore", "-o", out, &url(context)], variables)?;
        ensure!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
        ensure!(numbers(Path::new(out))? == (100..130).collect::<Vec<_>>(), "{context} by Litestream");
    }
    let (replaced, said) = seam(&manifest, &["restore", "--at", "latest"])?;
    ensure!(!replaced && said.contains("--replace"), "{said}");
    let then = seam::times::rfc3339(then);
    for (at, last) in [(then.as_str(), 110), ("latest", 130)] {
        let (restored, said) = seam(&manifest, &["restore", "--at", at, "--replace"])?;
        ensure!(restored, "{said}");
        for context in CONTEXTS {
            let found = numbers(&data.join("stores").join(format!("{context}.db")))?;
            ensure!(found == (100..last).collect::<Vec<_>>(), "{context} at {at}: {found:?}");
        }
    }
    let (early, said) = seam(&manifest, &["restore", "desk", "--at", "2001-01-01T00:00:00Z", "--replace"])?;
    ensure!(!early && said.contains("no snapshot of `desk` from before"), "{said}");
    Ok(())
}

#[test]
fn what_is_stored_in_a_folder_is_restored_to_any_time_and_by_litestream() -> Result<()> {
    let system = system("to = \"copies\"")?;
    let copies = system.folder.path().join("copies");
    scenario(&system, |context| format!("file://{}", copies.join(context).display()), &[])?;
    // A delta that is missing is named, with the last state before it.
    let deltas = copies.join("desk/ltx/0");
    let mut names: Vec<_> =
        std::fs::read_dir(&deltas)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    names.sort();
    let last = names.last().context("a delta")?;
    let bytes = std::fs::read(last)?;
    std::fs::write(last, &bytes[..bytes.len() - 9])?;
    let (whole, said) = seam(&system.write()?, &["backup", "drill"])?;
    ensure!(!whole && said.contains("cannot be used") && said.contains("cannot restore desk"), "{said}");
    Ok(())
}

#[test]
fn what_is_stored_in_a_bucket_is_restored_to_any_time_and_by_litestream() -> Result<()> {
    let bucket = Bucket::start()?;
    let (name, endpoint) = (bucket.name, bucket.endpoint());
    let system = system(&format!("to = \"s3://{name}/shop\"\nendpoint = \"{endpoint}\""))?;
    let url =
        |context: &str| format!("s3://{name}/shop/{context}?endpoint={endpoint}&region=us-east-1&forcePathStyle=true");
    scenario(&system, url, &KEYS)
}

#[test]
fn a_host_serves_while_the_store_of_backups_is_away_and_stores_what_waited() -> Result<()> {
    let system = system("to = \"copies\"")?;
    let (manifest, data) = (system.write()?, system.folder.path().join("data"));
    let copies = system.folder.path().join("copies");
    // A file where the folder should be.
    std::fs::write(&copies, "away")?;
    let host = Host::up(&manifest, &data)?;
    write(&data, 0..5)?;
    let waits = |context: &ContextStatus| {
        context.backup.as_ref().is_some_and(|backup| backup.why.is_some() && backup.stored_ms.is_none())
    };
    wait::until(wait::TIMEOUT, || {
        let all = Client::connect(&data)?.contexts()?;
        Ok(if all.iter().all(waits) {
            Ok(())
        } else {
            Err(format!("{:?}", all.iter().map(|c| &c.backup).collect::<Vec<_>>()))
        })
    })?;
    ensure!(seam(&manifest, &["contexts"])?.1.contains("its backup is"), "it is shown");
    std::fs::remove_file(&copies)?;
    write(&data, 5..10)?;
    stored(&data)?;
    ensure!(host.stop(Duration::from_secs(60))?.success(), "the host stops");
    let (whole, said) = seam(&manifest, &["backup", "drill"])?;
    ensure!(whole, "{said}");
    Ok(())
}
