//! `seam verify` and `seam backup` beside transactions over three files: they see all of each or nothing.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};
use seam::admin::CallRequest;
use seam::admin::client::Client;
use seam::verify::{Outcome, Report, Verdict, VerifyRequest};
use seam_tests::host::{Host, seam};
use seam_tests::joint::{self, DESK, TOTAL, numbers};
use seam_tests::wait;

/// Looks at the files beside the transactions.
const LOOKS: usize = 40;
const BACKUPS: usize = 4;

/// How many numbers the files agree on.
fn agreed(report: &Report) -> Result<u64> {
    let total = report.checks.iter().find(|check| check.name == TOTAL).context("the total")?;
    match &total.outcome {
        Outcome::Holds { keys: Some(keys) } if report.verdict == Verdict::Holds => Ok(*keys),
        _ => anyhow::bail!("{report:#?}"),
    }
}

#[test]
fn whatever_is_seen_of_the_files_beside_transactions_agrees() -> Result<()> {
    let system = joint::system(DESK)?;
    let (manifest, data) = (system.write()?, system.folder.path().join("data"));
    let host = Host::up(&manifest, &data)?;
    let (over, written) = (AtomicBool::new(false), AtomicU32::new(0));
    let writing = || -> Result<()> {
        while !over.load(Ordering::Relaxed) {
            let number = written.load(Ordering::Relaxed) + 1_000;
            let text = format!("work.write({number}, 0)");
            let request = CallRequest { context: "desk".into(), text, timeout_ms: 30_000 };
            let said = Client::connect(&data)?.call(&request)?;
            ensure!(said.wave == "ok(0)", "{number}: {}", said.wave);
            written.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let looking = || -> Result<BTreeSet<u64>> {
        let mut seen = BTreeSet::new();
        wait::until(wait::TIMEOUT, || {
            Ok((written.load(Ordering::Relaxed) > 0).then_some(()).ok_or_else(|| "nothing is written".to_owned()))
        })?;
        for look in 0..LOOKS {
            let before = u64::from(written.load(Ordering::Relaxed));
            let report = Client::connect(&data)?.verify(&VerifyRequest::default(), &mut |_| {})?;
            let found = agreed(&report).with_context(|| format!("look {look}"))?;
            ensure!(found >= before, "what was answered is seen: {found}, {before} were written");
            seen.insert(found);
        }
        for _ in 0..BACKUPS {
            let backup = seam(&manifest, &["backup"])?;
            ensure!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
            let backup = String::from_utf8_lossy(&backup.stdout).trim().to_owned();
            let output = seam(&manifest, &["verify", "--backup", &backup, "--format", "json"])?;
            seen.insert(agreed(&serde_json::from_slice(&output.stdout)?).context(backup)?);
        }
        Ok(seen)
    };
    let seen = std::thread::scope(|scope| {
        let writing = scope.spawn(writing);
        let seen = looking();
        over.store(true, Ordering::Relaxed);
        writing.join().map_err(|_| anyhow::anyhow!("writing panicked"))??;
        seen
    })?;
    println!("{} transactions, {} moments", written.load(Ordering::Relaxed), seen.len());
    // Most of the moments were others: transactions went on in between.
    ensure!(seen.len() > (LOOKS + BACKUPS) / 2, "{seen:?}");
    drop(host);
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let [desk, left, right] = numbers(&registry)?;
    ensure!(desk.len() as u32 == written.into_inner() && desk == left && desk == right, "{desk:?} {left:?} {right:?}");
    Ok(())
}
