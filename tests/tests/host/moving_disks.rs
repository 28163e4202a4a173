//! A move and the disks and the way below it: a slow one shows in the prediction as in the move, and on one that takes
//! no more the move is given up, with nothing left there and no request that failed.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seam_tests::failing_sync::FailingSync;
use seam_tests::host::Host;
use seam_tests::moving::{FAR, Load, Moving, NEAR, check};
use seam_tests::wait::{TIMEOUT, until};

/// What each sync takes longer on both disks, and each byte on the way, in each direction.
const SYNC_MS: &str = "20";
const WAY: Duration = Duration::from_millis(20);

/// Most of the pause is known here: the disks and the way are slow.
#[test]
fn a_pause_is_as_long_as_its_rehearsals_on_slow_disks_over_a_long_way() -> Result<()> {
    let moving = Moving::new()?;
    let library = tempfile::tempdir()?;
    let slow = FailingSync::new(library.path())?;
    let variables = slow.slow(SYNC_MS)?;
    let (_far, _near) = (moving.up(FAR, &variables)?, moving.up(NEAR, &variables)?);
    ensure!(moving.add(1), "the ledger answers");
    moving.way.lengthen(WAY);
    let moved = moving.relocate(FAR)?;
    let pause = moved.predicted.as_ref().and_then(|all| all.pause).context("no prediction")?;
    let ratio = pause.median.total_us() as f64 / moved.pause_us as f64;
    ensure!((0.8..=1.25).contains(&ratio), "{ratio:.2} of {:?} was predicted: {pause:?}", moved.parts);
    // The way there and back twice, and some syncs: without one of them, the test would not see what it is for.
    let way = 4 * WAY.as_micros() as u64;
    ensure!(pause.p10_us > 2 * way && pause.rehearsals >= 3, "{pause:?}");
    ensure!(pause.median.rest_us > way / 2 && pause.median.activate_us > way / 2, "{pause:?}");
    Ok(())
}

/// Sets how long the files may be that this host writes from now on: what does not fit is as on a full disk.
fn limit(host: &Host, bytes: &str) -> Result<()> {
    let limit = format!("--fsize={bytes}:unlimited");
    let set = Command::new("prlimit").args(["--pid", &host.pid().to_string(), &limit]).status()?;
    ensure!(set.success(), "prlimit {limit}: {set}");
    Ok(())
}

/// What is left of moves in the folder of files of a host.
fn left(moving: &Moving, host: &str) -> Result<Vec<String>> {
    let Ok(entries) = moving.data(host).join("stores").read_dir() else { return Ok(Vec::new()) };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Vec<String> = names.collect::<Result<_>>()?;
    Ok(names.into_iter().filter(|name| name.contains("arriving") || name.contains("rehearsal")).collect())
}

fn more(load: &Load) -> Result<()> {
    let than = load.added.load(SeqCst) + 5;
    until(TIMEOUT, || Ok(if load.added.load(SeqCst) >= than { Ok(()) } else { Err("no more numbers".to_owned()) }))
}

#[test]
fn a_target_that_has_no_room_or_no_folder_is_given_up_and_the_same_move_succeeds_later() -> Result<()> {
    let moving = Arc::new(Moving::new()?);
    let (far, near) = (moving.up(FAR, &[])?, moving.up(NEAR, &[])?);
    moving.fill(NEAR, 6)?;
    let load = Load::start(&moving, 2, Duration::from_millis(20), 0);
    let stays = |what: &str, expect: &[&str]| -> Result<()> {
        let said = moving.relocate(FAR).err().with_context(|| format!("{what}: it moved"))?.to_string();
        ensure!(expect.iter().all(|expect| said.contains(expect)), "{what}: {said}");
        ensure!(moving.seam(NEAR, &["contexts"])?.contains("ledger"), "{what}");
        until(TIMEOUT, || {
            Ok(match left(&moving, FAR)? {
                left if left.is_empty() => Ok(()),
                left => Err(format!("{what}: {left:?}")),
            })
        })?;
        more(&load)
    };
    // While it is copied, for what is kept for the hand-over, and for anything at all.
    for (bytes, what) in [("3000000", "a part fits"), ("0", "nothing fits")] {
        limit(&far, bytes)?;
        stays(what, &["`ledger` stays here", "`far`", "cannot"])?;
        limit(&far, "unlimited")?;
    }
    // A file stands where the folder was.
    let (stores, aside) = (moving.data(FAR).join("stores"), moving.data(FAR).join("aside"));
    std::fs::rename(&stores, &aside)?;
    std::fs::write(&stores, "")?;
    stays("no folder", &["`ledger` stays here", "`far`", "stores"])?;
    std::fs::remove_file(&stores)?;
    std::fs::rename(&aside, &stores)?;

    let moved = moving.relocate(FAR)?;
    ensure!(moved.late.is_none(), "{moved:?}");
    more(&load)?;
    let added = load.end()?;
    for host in [near, far] {
        host.stop(Duration::from_secs(20))?;
    }
    ensure!(added.failed.is_empty(), "{} of {} failed", added.failed.len(), added.acknowledged.len());
    ensure!(left(&moving, FAR)?.is_empty() && left(&moving, NEAR)?.is_empty(), "something is left");
    check(&added, &moving.numbers()?)
}
