//! The same orders under the same faults in each way to answer a split transaction, beside the monolith with its one
//! transaction: how fast they are, what they write, how long nothing agrees, what customers and operators have to do.
//!
//! The faults are those of a disk (`disk`), so they are real and need nothing in the programs: a file whose syncs are
//! slow or fail, and a kill at a sync, which is a step of an order.

mod customers;
mod disk;
mod shop;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::shopper::Market;
use crate::system::System;
use customers::Sales;
use disk::Disk;
use shop::Running;
use table::Row;

/// One in ten orders ends in a kill at some step.
const ORDERS_PER_KILL: usize = 100;
/// Each sync of the slow file takes so much longer.
const SLOW: Duration = Duration::from_millis(20);
const DOWN: Duration = Duration::from_secs(3);
/// How long it may take until nothing is under way any more.
const CONSISTENT_MAX: Duration = Duration::from_secs(120);

/// How an order is placed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One program, one file, one transaction.
    Monolith,
    TwoPhase,
    Saga,
    RetryLater,
}

impl Mode {
    const ALL: [Self; 4] = [Self::Monolith, Self::TwoPhase, Self::Saga, Self::RetryLater];

    /// As `checkout` in the configuration of orders has it.
    fn name(self) -> &'static str {
        match self {
            Self::Monolith => "monolith",
            Self::TwoPhase => "two-phase",
            Self::Saga => "saga",
            Self::RetryLater => "retry-later",
        }
    }

    /// The files that an order writes.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Monolith => &["monolith"],
            _ => &["orders", "warehouse", "finance"],
        }
    }

    /// The file of the context that is slow or down.
    fn victim(self) -> &'static str {
        match self {
            Self::Monolith => "monolith",
            _ => "warehouse",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    None,
    /// The disk of one context is slow.
    Slow,
    /// The disk of one context fails for some seconds.
    Down,
    /// The process is killed before a step of an order, again and again, and started again.
    Killed,
}

impl Fault {
    const ALL: [Self; 4] = [Self::None, Self::Slow, Self::Down, Self::Killed];

    fn sentence(self) -> String {
        match self {
            Self::None => "no fault".to_owned(),
            Self::Slow => format!("each sync of one participant takes {} ms longer", SLOW.as_millis()),
            Self::Down => format!("one participant's disk fails for {} s", DOWN.as_secs()),
            Self::Killed => format!("killed before a commit, once in {ORDERS_PER_KILL} orders"),
        }
    }
}

/// Measures all modes under these faults, or under all if there are none, and prints a table for each.
///
/// # Errors
/// When a shop does not work as it should: a verification that fails, an order that is lost.
pub fn run(albums: u32, faults: &[Fault], orders: usize, connections: usize) -> Result<bool> {
    let system = System::prepare(albums)?;
    let market = Arc::new(system.market_files(connections)?);
    let faults = if faults.is_empty() { &Fault::ALL } else { faults };
    let mut rows = Vec::new();
    for &fault in faults {
        for mode in Mode::ALL {
            eprintln!("{}: {orders} orders, {}", mode.name(), fault.sentence());
            let row = measure(&system, &market, mode, fault, orders, connections)
                .with_context(|| format!("{}, {}", mode.name(), fault.sentence()))?;
            rows.push(row);
        }
        println!("{}", table::text(&fault.sentence(), rows.iter().rev().take(Mode::ALL.len()).rev()));
    }
    Ok(rows.iter().all(Row::holds))
}

fn measure(
    system: &System,
    market: &Arc<Market>,
    mode: Mode,
    fault: Fault,
    orders: usize,
    connections: usize,
) -> Result<Row> {
    let folder = system.market_copy(mode.name())?;
    let disk = Disk::new(&folder)?;
    let running = Running::start(system, mode, &disk)?;
    let before = disk.written()?;
    let done = Arc::new(AtomicUsize::new(0));
    if fault == Fault::Slow {
        disk.slow(mode.victim(), SLOW)?;
    }
    let sales: Sales = thread::scope(|scope| -> Result<Sales> {
        let buying = {
            let (address, done) = (running.address.clone(), done.clone());
            scope.spawn(move || customers::buy(&address, market, orders, connections, &done))
        };
        let over = || buying.is_finished();
        let disturbed = match fault {
            Fault::None | Fault::Slow => running.keep_up(&over),
            Fault::Down => go_down(&disk, mode, &done, orders, &over),
            Fault::Killed => kill(&running, &disk, mode, &done, orders, &over),
        };
        // Whatever happened, the shop works again, or the customers would wait for nothing.
        disk.works()?;
        running.keep_up(&over)?;
        let sales = buying.join().map_err(|_| anyhow::anyhow!("the customers' thread panicked"))??;
        disturbed.map(|()| sales)
    })?;
    let answered = Instant::now();
    let written = disk.written()?;
    let consistent = running.wait_until_nothing_is_under_way(CONSISTENT_MAX)?;
    let left = running.left()?;
    // A kill takes the count with it.
    let held = if fault == Fault::Killed { None } else { Some(running.held()?) };
    let checked = running.stop_and_check()?;
    Ok(Row {
        mode,
        orders,
        commits: written.commits - before.commits,
        syncs: written.syncs - before.syncs,
        consistent: consistent.map(|at| at.saturating_duration_since(answered)),
        sales,
        left,
        held,
        checked,
    })
}

/// The participant's disk fails in the middle of the orders.
fn go_down(disk: &Disk, mode: Mode, done: &AtomicUsize, orders: usize, over: &impl Fn() -> bool) -> Result<()> {
    wait(|| over() || done.load(Ordering::Relaxed) >= orders / 3);
    disk.fails(mode.victim())?;
    thread::sleep(DOWN);
    disk.works()
}

/// Kills before the next syncs of each file in turn, first, second, third, ..., so that each step has its turn.
fn kill(
    running: &Running<'_>,
    disk: &Disk,
    mode: Mode,
    done: &AtomicUsize,
    orders: usize,
    over: &impl Fn() -> bool,
) -> Result<()> {
    let files = mode.files();
    for round in 0..(orders / ORDERS_PER_KILL).max(1) {
        let from = done.load(Ordering::Relaxed);
        wait(|| over() || done.load(Ordering::Relaxed) >= from + ORDERS_PER_KILL / 2);
        if over() {
            break;
        }
        let file = files.get(round % files.len()).copied().unwrap_or_default();
        disk.kill(file, 1 + (round / files.len()) as u64)?;
        wait(|| over() || running.has_ended());
        disk.works()?;
        running.keep_up(&|| true)?;
    }
    Ok(())
}

fn wait(until: impl Fn() -> bool) {
    while !until() {
        thread::sleep(Duration::from_millis(2));
    }
}
