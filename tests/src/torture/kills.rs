//! The whole shop is killed under load, again and again: at any time, at a named point, while it recovers. After each
//! kill everything that contexts declare of their files must hold, and each order that a customer saw placed be there.
//!
//! A kill counts only if it was not vacuous: since the start before it an order was placed, and another one was on its
//! way when it came.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::machine::Machine;
use super::witness;
use crate::books::{Books, balance};
use crate::host::Host;
use crate::person::Person;
use crate::shop::Shop;
use crate::shopping::{DEMO_PASSWORD, card, demo_email, order_number};
use crate::wait;

/// Customers who buy at the same time.
const BUYERS: usize = 4;
/// How long a point that is armed may take to be passed.
const POINT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an order that was cut off may take to its end while nothing goes wrong: a minute, then the schedule's turn.
const REST_TIMEOUT: Duration = Duration::from_secs(150);
/// A kill that was vacuous is made again, so often at most.
const TRIES: usize = 8;

/// How the host dies.
#[derive(Debug, Clone)]
pub enum Kill {
    /// Some time after an order was placed while another one is on its way.
    AnyTime,
    /// At the pass of a fault point, counted from a moment as above.
    At { point: String, pass: u32 },
    /// As `AnyTime`, and once more while the next host recovers, at this point.
    Twice { point: String, pass: u32 },
    /// As `AnyTime`, and the disk loses what was not synced; torn, some sectors of it.
    PowerCut { torn: bool },
    /// As `AnyTime`, after the disk has failed at the pass of a fault point and the shop has gone on.
    AfterFault { point: String, pass: u32 },
    /// As `AnyTime`, after the time of day has jumped by so many seconds.
    AfterJump(i64),
}

/// A shop under torture.
pub struct Torture {
    pub shop: Shop,
    /// More of the host's environment.
    variables: Vec<(String, String)>,
    people: Vec<Person>,
    sku: String,
    machine: Machine,
    plan: PathBuf,
    chance: StdRng,
    placed: BTreeSet<String>,
    /// Kills so far, and the orders that they cut off.
    pub kills: usize,
    pub cut_off: usize,
}

/// What the customers of one load saw.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    on_the_way: AtomicUsize,
    placed: Mutex<Vec<String>>,
    cut_off: AtomicUsize,
}

impl Load {
    /// Buys until the load is over; only a number that an order's page shows counts.
    fn buy(&self, mut person: Person, sku: &str) {
        while !self.over.load(Ordering::Relaxed) {
            let form = person.put_into_cart(sku, 1).and_then(|_| person.till(card::APPROVED));
            let Ok(form) = form else {
                thread::sleep(Duration::from_millis(5));
                continue;
            };
            self.on_the_way.fetch_add(1, Ordering::SeqCst);
            let page = person.submit(&form);
            self.on_the_way.fetch_sub(1, Ordering::SeqCst);
            match page.map(|page| order_number(&page)) {
                Ok(Ok(number)) => self.placed.lock().unwrap_or_else(|held| held.into_inner()).push(number),
                // Not placed, and the page says so.
                Ok(Err(_)) => {}
                Err(_) => drop(self.cut_off.fetch_add(1, Ordering::SeqCst)),
            }
        }
    }

    /// Waits until so many orders are placed, and another one is on its way.
    fn is_on(&self, placed: usize) -> Result<()> {
        wait::until(POINT_TIMEOUT, || {
            let ready = self.placed() >= placed && self.on_the_way.load(Ordering::SeqCst) > 0;
            Ok(ready.then_some(()).ok_or_else(|| format!("{} orders are placed, not {placed}", self.placed())))
        })
    }

    fn placed(&self) -> usize {
        self.placed.lock().unwrap_or_else(|held| held.into_inner()).len()
    }
}

impl Torture {
    /// A shop with customers who are signed in. `variables` are of every host.
    ///
    /// # Errors
    /// When the shop does not start.
    pub fn new(seed: u64, variables: &[(&str, &str)]) -> Result<Self> {
        let shop = Shop::new()?;
        witness::add(&shop)?;
        let plan = shop.folder.path().join("fault");
        let mut variables: Vec<_> =
            variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        variables.push(("SEAM_FAULT".to_owned(), format!("@{}", plan.display())));
        let machine = Machine::new(shop.folder.path(), &shop.data())?;
        variables.extend(machine.variables()?.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let mut torture = Self {
            machine,
            shop,
            variables,
            people: Vec::new(),
            sku: String::new(),
            plan,
            chance: StdRng::seed_from_u64(seed),
            placed: BTreeSet::new(),
            kills: 0,
            cut_off: 0,
        };
        let host = torture.up(&[])?;
        torture.sku = torture.shop.album("kind of blue", 1_000_000)?;
        let sign_in = |number| Person::signed_in(&host, &demo_email(number), DEMO_PASSWORD);
        torture.people = (1..=BUYERS).map(sign_in).collect::<Result<_>>()?;
        ensure!(host.stop(Duration::from_secs(20))?.success(), "the host does not stop");
        Ok(torture)
    }

    /// Starts the host with these variables besides.
    ///
    /// # Errors
    /// When it does not serve.
    pub fn up(&self, more: &[(&str, &str)]) -> Result<Host> {
        self.machine.settle()?;
        let own = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<_> = own.chain(more.iter().copied()).collect();
        Host::up_with(&self.shop.manifest(), &self.shop.data(), &all)
    }

    /// One kill under load, and the look at what it left.
    ///
    /// # Errors
    /// With what does not hold; and when no try of it was more than vacuous.
    pub fn kill(&mut self, kill: &Kill) -> Result<()> {
        for _ in 0..TRIES {
            let (placed, cut_off) = self.load_and_kill(kill).with_context(|| format!("{kill:?}"))?;
            self.placed.extend(placed.iter().cloned());
            match kill {
                Kill::Twice { point, pass } => {
                    let fault = format!("{point}:kill:{pass}");
                    let survived = self.up(&[("SEAM_FAULT", &fault)]);
                    ensure!(survived.is_err(), "`{fault}` did not kill a host that recovers");
                }
                Kill::PowerCut { torn } => drop(self.machine.cut_power(*torn, &mut self.chance)?),
                Kill::AfterJump(_) => self.machine.set_clock(0)?,
                Kill::AnyTime | Kill::At { .. } | Kill::AfterFault { .. } => {}
            }
            self.look().with_context(|| format!("after {kill:?}"))?;
            if !placed.is_empty() && cut_off > 0 {
                self.kills += 1;
                self.cut_off += cut_off;
                return Ok(());
            }
        }
        bail!("{kill:?}: in {TRIES} tries, no order was on its way when it came")
    }

    /// The orders that were placed until then, and how many were cut off.
    fn load_and_kill(&mut self, kill: &Kill) -> Result<(Vec<String>, usize)> {
        let host = self.up(&[])?;
        let (load, pause) = (Load::default(), Duration::from_micros(self.chance.random_range(0..30_000)));
        let killed = thread::scope(|scope| {
            for person in &self.people {
                let (person, load, sku) = (person.at(&host), &load, self.sku.as_str());
                scope.spawn(move || load.buy(person, sku));
            }
            let killed = load.is_on(1).and_then(|()| {
                let began = Instant::now();
                while began.elapsed() < pause {
                    thread::yield_now();
                }
                match kill {
                    Kill::AnyTime | Kill::Twice { .. } | Kill::PowerCut { .. } => host.kill(),
                    Kill::At { point, pass } => {
                        self.arm(&format!("{point}:kill:{pass}"))?;
                        host.dies(POINT_TIMEOUT).with_context(|| format!("`{point}` is not passed"))
                    }
                    Kill::AfterFault { point, pass } => {
                        self.arm(&format!("{point}:error:{pass}"))?;
                        let passed = || Ok((!self.plan.exists()).then_some(()).ok_or_else(|| "not passed".to_owned()));
                        wait::until(POINT_TIMEOUT, passed).context(point.clone())?;
                        load.is_on(load.placed() + 1).and_then(|()| host.kill())
                    }
                    Kill::AfterJump(seconds) => {
                        self.machine.set_clock(*seconds)?;
                        load.is_on(load.placed() + 1).and_then(|()| host.kill())
                    }
                }
            });
            load.over.store(true, Ordering::Relaxed);
            // Its customers wait for no answer any more.
            host.kill().ok();
            killed
        });
        std::fs::remove_file(&self.plan).ok();
        killed?;
        let cut_off = load.cut_off.load(Ordering::SeqCst);
        Ok((load.placed.into_inner().unwrap_or_else(|held| held.into_inner()), cut_off))
    }

    /// Has the running host do this at a fault point.
    fn arm(&self, plan: &str) -> Result<()> {
        let next = self.plan.with_extension("next");
        std::fs::write(&next, plan)?;
        Ok(std::fs::rename(&next, &self.plan)?)
    }

    /// Whether what was placed is there and everything holds, once events have been delivered.
    ///
    /// # Errors
    /// With what does not hold.
    pub fn look(&mut self) -> Result<()> {
        let host = self.up(&[])?;
        let books = balance(&self.shop)?;
        for number in &self.placed {
            let order = books.orders.get(number).with_context(|| format!("the placed order {number} is lost"))?;
            ensure!(order.state != "rejected", "the placed order {number} is {}", order.state);
        }
        self.all_heard()?;
        ensure!(host.stop(Duration::from_secs(20))?.success(), "the host does not stop");
        let heard = witness::heard_once(&self.shop)?;
        ensure!(heard >= self.placed.len(), "{heard} orders were heard of, {} placed", self.placed.len());
        Ok(())
    }

    /// Nothing goes wrong for a while: each order that was cut off comes to its end by itself.
    ///
    /// # Errors
    /// When one does not, and as `look`.
    pub fn rest(&mut self) -> Result<()> {
        let host = self.up(&[])?;
        wait::until(REST_TIMEOUT, || {
            let books = Books::read(&self.shop)?;
            let left: Vec<_> = books.in_state("placing").map(|(number, _)| number).collect();
            Ok(if left.is_empty() { Ok(()) } else { Err(format!("orders are still being placed: {left:?}")) })
        })?;
        ensure!(host.stop(Duration::from_secs(20))?.success(), "the host does not stop");
        self.look()
    }

    /// Waits until no event of the orders is left to deliver.
    fn all_heard(&self) -> Result<()> {
        wait::until(wait::TIMEOUT, || {
            let report: serde_json::Value = serde_json::from_str(&self.shop.seam(&["events", "--format", "json"])?)?;
            let rows = report.as_array().with_context(|| format!("no list: {report}"))?;
            ensure!(!rows.is_empty(), "the witness subscribes to nothing");
            let waits = |row: &&serde_json::Value| ["lag", "retry", "behind"].iter().any(|count| row[count] != 0);
            let left: Vec<_> = rows.iter().filter(waits).collect();
            Ok(if left.is_empty() { Ok(()) } else { Err(format!("events are left: {left:?}")) })
        })
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u32) -> u32 {
        self.chance.random_range(0..end)
    }
}
