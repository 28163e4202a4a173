//! A context moves out and home again and again under load: nothing that was acknowledged is lost, nothing is done
//! twice, and one host owns the file, whatever becomes of the hosts and of the network between them.
//!
//! `just torture-move` does it 50 times, and `just bench-move` measures the pause of a large file. What was measured is
//! printed (`--nocapture`).

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seam::relocate::PausePrediction;
use seam_tests::host::{Host, signal};
use seam_tests::moving::{FAR, Load, Moving, NEAR, check};
use seam_tests::wait::{TIMEOUT, until};

/// What a writer waits between two numbers.
const EVERY: Duration = Duration::from_millis(40);
/// Writers: with `EVERY`, they add 100 numbers a second.
const WRITERS: u32 = 4;

fn number(variable: &str, otherwise: u32) -> u32 {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}

fn target(turn: u32) -> &'static str {
    if turn.is_multiple_of(2) { FAR } else { NEAR }
}

/// Waits until some more numbers were tried.
fn more(load: &Load, count: usize) -> Result<()> {
    let than = load.added.load(SeqCst) + count;
    until(TIMEOUT, || Ok(if load.added.load(SeqCst) >= than { Ok(()) } else { Err("no more numbers".to_owned()) }))
}

/// Waits until the ledger answers.
fn works(moving: &Moving, mut number: u32) -> Result<()> {
    until(TIMEOUT, || {
        number += 1;
        Ok(if moving.add(number) { Ok(()) } else { Err("the ledger does not answer".to_owned()) })
    })
}

fn stop(hosts: impl IntoIterator<Item = Host>) -> Result<()> {
    hosts.into_iter().try_for_each(|host| host.stop(Duration::from_secs(20)).map(drop))
}

/// With `SEAM_MOVE_MB`, the file has so many megabytes.
#[test]
fn a_context_moves_again_and_again_under_load_and_no_request_fails() -> Result<()> {
    let (moves, megabytes) = (number("SEAM_MOVES", 6), number("SEAM_MOVE_MB", 4));
    let moving = Arc::new(Moving::new()?);
    let hosts = [moving.up(FAR, &[])?, moving.up(NEAR, &[])?];
    moving.fill(NEAR, megabytes)?;
    let load = Load::start(&moving, WRITERS, EVERY, 0);
    let mut pauses = Vec::new();
    for turn in 0..moves {
        more(&load, 50)?;
        let dry = moving.predict(target(turn))?.pause.context("no prediction")?;
        let moved = moving.relocate(target(turn)).with_context(|| format!("move {turn}"))?;
        ensure!(moved.late.is_none() && moved.token == u64::from(turn) + 2, "{moved:?}");
        let predicted = moved.predicted.as_ref().and_then(|all| all.pause).context("no prediction")?;
        println!(
            "{} -> {}: {:?} predicted, {} to {} us, and {} us before; {:?} ({} us); {} MB in {} ms, {:?} ms predicted",
            moved.from,
            moved.to,
            predicted.median,
            predicted.p10_us,
            predicted.p90.total_us(),
            dry.median.total_us(),
            moved.parts,
            moved.pause_us,
            moved.bytes / 1_000_000,
            moved.copy_ms,
            moved.predicted.as_ref().and_then(|all| all.copy).map(|copy| copy.copy_ms),
        );
        pauses.push(Pause { happened: moved.pause_us, dry, predicted });
    }
    let added = load.end()?;
    stop(hosts)?;
    ensure!(added.failed.is_empty(), "{} of {} failed", added.failed.len(), added.acknowledged.len());
    check(&added, &moving.numbers()?)?;
    println!(
        "{moves} moves of {megabytes} MB, {} numbers; slowest request {:?}",
        added.acknowledged.len(),
        added.slowest
    );
    Pause::print(&pauses);
    Ok(())
}

/// How long calls waited, and what was predicted: by a dry run before the move, and by the move itself.
struct Pause {
    happened: u64,
    dry: PausePrediction,
    predicted: PausePrediction,
}

impl Pause {
    /// Over all moves: the pauses, and predicted / happened.
    fn print(pauses: &[Self]) {
        let sorted = |of: &dyn Fn(&Self) -> f64| {
            let mut values: Vec<f64> = pauses.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            move |q: usize| values.get(values.len().saturating_sub(1) * q / 100).copied().unwrap_or(0.0)
        };
        let happened = sorted(&|pause| pause.happened as f64);
        println!("pause: {} us median, {} p99, {} at most", happened(50), happened(99), happened(100));
        let total = |prediction: PausePrediction| prediction.median.total_us() as f64;
        for name in ["dry run", "move"] {
            let of = |pause: &Self| if name == "move" { pause.predicted } else { pause.dry };
            let predicted = sorted(&|pause| total(of(pause)));
            let ratio = sorted(&|pause| total(of(pause)) / pause.happened as f64);
            let inside = pauses.iter().filter(|pause| pause.happened <= of(pause).p90.total_us()).count();
            println!(
                "{name}: medians of predicted / happened {:.2}; of each move {:.2} (p10 {:.2}, p90 {:.2}); {inside} of \
                 {} pauses were not longer than the 90th percentile",
                predicted(50) / happened(50),
                ratio(50),
                ratio(10),
                ratio(90),
                pauses.len()
            );
        }
    }
}

/// Each with whether the host dies that leads the move, or the one that takes it. Those that tell most come first.
const POINTS: [(&str, bool); 10] = [
    ("move.expected", false),
    ("move.after-arrive", true),
    ("move.arrived", false),
    ("move.after-hand-over", true),
    ("move.taken-over", false),
    ("move.serves", false),
    ("move.before-expect", true),
    ("move.before-arrive", true),
    ("move.before-hand-over", true),
    ("move.handed-over", true),
];

#[test]
fn hosts_that_are_killed_during_moves_lose_nothing_and_leave_one_owner() -> Result<()> {
    let moves = number("SEAM_MOVES", 6);
    let moving = Arc::new(Moving::new()?);
    let armed = |host: &str| moving.data(host).join("fault");
    let up = |host: &str| moving.up(host, &[("SEAM_FAULT", &format!("@{}", armed(host).display()))]);
    let (mut far, mut near) = (up(FAR)?, up(NEAR)?);
    let load = Load::start(&moving, WRITERS, EVERY, 0);
    let mut at = NEAR;
    for turn in 0..moves {
        let (point, of_source) = POINTS[turn as usize % POINTS.len()];
        let (from, to) = if at == NEAR { (NEAR, FAR) } else { (FAR, NEAR) };
        let victim = if of_source { from } else { to };
        more(&load, 10)?;
        std::fs::write(armed(victim), format!("{point}:kill:1"))?;
        let died = if victim == NEAR { &near } else { &far };
        // A host that was away is called again after a pause that grows to some seconds.
        let said = until(TIMEOUT, || {
            let said = moving.relocate(to).map(|moved| moved.token);
            let away = said.as_ref().is_err_and(|error| error.to_string().contains("cannot be reached"));
            let waits = away && died.dies(Duration::ZERO).is_err();
            Ok(if waits { Err(format!("{said:?}")) } else { Ok(said) })
        })?;
        died.dies(TIMEOUT).with_context(|| format!("move {turn}, {point} of {victim}: {said:?}"))?;
        std::fs::remove_file(armed(victim)).ok();
        match victim {
            NEAR => near = up(NEAR)?,
            _ => far = up(FAR)?,
        }
        works(&moving, 1_000_000 + turn * 10_000).with_context(|| format!("move {turn}, {point} of {victim}"))?;
        // The hosts agree by themselves.
        at = until(TIMEOUT, || {
            let seen = moving.seam(NEAR, &["contexts"])?;
            let arriving = [NEAR, FAR].iter().any(|host| moving.data(host).join("stores/ledger.arriving").exists());
            let at = if seen.contains("at far") { FAR } else { NEAR };
            Ok(if arriving { Err(format!("move {turn}, {point} of {victim}: a copy is left")) } else { Ok(at) })
        })?;
        println!("move {turn}: {victim} killed at {point}, the ledger is at {at}");
    }
    let added = load.end()?;
    stop([near, far])?;
    println!("{} numbers, {} without an answer", added.acknowledged.len(), added.failed.len());
    check(&added, &moving.numbers()?)
}

#[test]
fn a_network_that_fails_while_a_file_is_copied_undoes_the_move_and_fails_no_request() -> Result<()> {
    let moving = Arc::new(Moving::new()?);
    let (far, near) = (moving.up(FAR, &[])?, moving.up(NEAR, &[])?);
    moving.fill(NEAR, 40)?;
    let load = Load::start(&moving, WRITERS, EVERY, 0);
    let mut tokens = Vec::new();
    // Each takes the seconds in which a silent host is noticed.
    for fails in ["from", "frozen", "to", "both"].into_iter().take(number("SEAM_MOVES", 2) as usize) {
        more(&load, 10)?;
        let before = moving.way.passed();
        let mover = moving.clone();
        let moves = std::thread::spawn(move || mover.relocate(FAR).map(|moved| moved.token));
        // Some way into the file, and more than a prediction sends.
        until(TIMEOUT, || {
            let sent = moving.way.passed() - before;
            Ok(if sent > 15_000_000 || moves.is_finished() { Ok(()) } else { Err(format!("{sent} bytes are sent")) })
        })?;
        match fails {
            "frozen" => signal(far.pid(), "STOP")?,
            _ => moving.way.stop(fails != "from", fails != "to"),
        }
        let said = moves.join().map_err(|_| anyhow::anyhow!("the move panicked"))?;
        match fails {
            "frozen" => signal(far.pid(), "CONT")?,
            _ => moving.way.stop(false, false),
        }
        ensure!(said.is_err(), "{fails}: {said:?}");
        tokens.push(format!("{fails}: {}", said.err().context("an error")?));
        more(&load, 10)?;
    }
    println!("{tokens:#?}");
    // Healed, it moves.
    until(TIMEOUT, || Ok(moving.relocate(FAR).map(drop).map_err(|error| error.to_string())))?;
    more(&load, 10)?;
    let added = load.end()?;
    stop([near, far])?;
    ensure!(added.failed.is_empty(), "{} failed: {:?}", added.failed.len(), tokens);
    check(&added, &moving.numbers()?)
}

#[test]
fn a_host_that_hangs_during_the_pause_is_given_up_before_the_file_is_handed_over_and_finishes_after_it() -> Result<()> {
    let moving = Arc::new(Moving::new()?);
    let armed = moving.data(FAR).join("fault");
    let fault = format!("@{}", armed.display());
    let (far, near) = (moving.up(FAR, &[("SEAM_FAULT", &fault)])?, moving.up(NEAR, &[])?);
    let load = Load::start(&moving, WRITERS, EVERY, 0);
    more(&load, 10)?;
    std::fs::write(&armed, "move.arrived:delay=2500:1")?;
    let said = moving.relocate(FAR).err().context("it moved to a host that hangs")?.to_string();
    ensure!(said.contains("does not answer in time"), "{said}");
    more(&load, 10)?;
    std::fs::write(&armed, "move.taken-over:delay=4000:1")?;
    // A copy that is still being written is forgotten first.
    let moved = until(TIMEOUT, || Ok(moving.relocate(FAR).map_err(|error| error.to_string())))?;
    ensure!(moved.late.is_some(), "{moved:?}");
    works(&moving, 1_000_000)?;
    let added = load.end()?;
    stop([near, far])?;
    check(&added, &moving.numbers()?)
}

/// Whether the file was handed over before the source was lost or not: nothing on the target can tell.
#[test]
fn a_context_whose_source_is_lost_is_taken_by_an_operator_and_a_source_that_comes_back_gives_it_up() -> Result<()> {
    for point in ["move.after-arrive", "move.handed-over"] {
        let moving = Moving::new()?;
        let far = moving.up(FAR, &[])?;
        let near = moving.up(NEAR, &[("SEAM_FAULT", &format!("{point}:kill:1"))])?;
        ensure!(moving.add(1), "{point}");
        let take = ["absorb", "ledger", "--take", "2", "--why", "a test"];
        let refused = moving.seam(FAR, &take).err().context("nothing to take")?;
        ensure!(refused.to_string().contains("no copy of `ledger` waits here"), "{refused}");
        moving.relocate(FAR).err().context("the source died")?;
        near.dies(TIMEOUT)?;
        ensure!(!moving.call(FAR, "ledger", "add(2)").unwrap_or(false), "{point}: it is not decided");
        let other = moving.seam(FAR, &["absorb", "ledger", "--take", "9", "--why", "a test"]);
        ensure!(other.is_err_and(|said| said.to_string().contains("has token 2")), "{point}");
        moving.seam(FAR, &take)?;
        ensure!(moving.call(FAR, "ledger", "add(3)")?, "{point}: it serves");
        ensure!(moving.seam(FAR, &["audit"])?.contains("a test"), "{point}");

        let near = moving.up(NEAR, &[])?;
        until(TIMEOUT, || {
            let seen = moving.seam(NEAR, &["contexts"])?;
            Ok(if seen.contains("at far") { Ok(()) } else { Err(seen) })
        })?;
        works(&moving, 10)?;
        stop([near, far])?;
        let numbers = moving.numbers()?;
        ensure!([1, 3].iter().all(|number| numbers.contains_key(number)), "{point}: {numbers:?}");
    }
    Ok(())
}
