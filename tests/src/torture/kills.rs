//! The whole shop is killed under load, again and again: at any time, at a named point, while it recovers, in each mode
//! of its checkout. After each kill everything that contexts declare of their files must hold, and each order that a
//! customer saw placed be there.
//!
//! A kill counts only if it was not vacuous: since the start before it an order was placed, and another one was on its
//! way when it came.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt, SeedableRng};

use super::customers::{Albums, Customers, Seen};
use super::machine::Machine;
use super::witness;
use crate::books::{Books, balance};
use crate::host::Host;
use crate::person::Person;
use crate::shop::Shop;
use crate::shopping::{DEMO_PASSWORD, demo_email};
use crate::wait;

/// Customers who buy at the same time.
const BUYERS: usize = 4;
/// How long a point that is armed may take to be passed.
const POINT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an order that was cut off may take to its end while nothing goes wrong: a minute, then the schedule's turn.
const REST_TIMEOUT: Duration = Duration::from_secs(150);
/// A kill that was vacuous is made again, so often at most.
const TRIES: usize = 8;
/// An order may be in process for a day; a violation comes after it.
const A_DAY_LATER_S: i64 = 25 * 3600;
/// Orders that are refused before the day passes.
const REFUSED: usize = 3;

/// How the host dies.
#[derive(Debug, Clone)]
pub enum Kill {
    /// Some time after an order was placed while another one is on its way.
    AnyTime,
    /// At the pass of a fault point, counted from a moment as above.
    At { point: String, pass: u32 },
    /// As `AnyTime`, or at the pass of `first`, and once more while the next host recovers, at this point.
    Twice { first: Option<(String, u32)>, point: String, pass: u32 },
    /// As `AnyTime`, and the disk loses what was not synced; torn, some sectors of it.
    PowerCut { torn: bool },
    /// As `AnyTime`, after the disk has failed at the pass of a fault point and the shop has gone on.
    AfterFault { point: String, pass: u32 },
    /// As `AnyTime`, after the time of day has jumped by so many seconds.
    AfterJump(i64),
    /// As `AnyTime`, after the disk was full and the shop has gone on.
    AfterFullDisk,
}

impl Kill {
    /// The point that its load has to pass.
    fn point(&self) -> Option<&str> {
        match self {
            Self::At { point, .. } | Self::AfterFault { point, .. } => Some(point),
            Self::Twice { first: Some((point, _)), .. } => Some(point),
            _ => None,
        }
    }
}

/// What the shop does with an order, as its manifest says.
const CHECKOUTS: [&str; 3] = ["saga", "retry-later", "two-phase"];

/// A shop under torture.
pub struct Torture {
    pub shop: Shop,
    /// More of the host's environment.
    variables: Vec<(String, String)>,
    people: Vec<Person>,
    albums: Albums,
    checkout: &'static str,
    machine: Machine,
    plan: PathBuf,
    chance: StdRng,
    placed: BTreeSet<String>,
    taken: BTreeSet<String>,
    /// Kills so far, the orders that they cut off, and those that were refused before.
    pub kills: usize,
    pub cut_off: usize,
    pub refused: usize,
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
            albums: Albums::default(),
            checkout: CHECKOUTS[0],
            plan,
            chance: StdRng::seed_from_u64(seed),
            placed: BTreeSet::new(),
            taken: BTreeSet::new(),
            kills: 0,
            cut_off: 0,
            refused: 0,
        };
        let host = torture.up(&[])?;
        let album = |words: &str| torture.shop.album(words, 1_000_000);
        torture.albums = Albums { plenty: album("kind of blue")?, scarce: album("blue train")? };
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
            self.choose_checkout(kill)?;
            let how = format!("{kill:?} with the checkout `{}`", self.checkout);
            let seen = self.load_and_kill(kill).with_context(|| how.clone())?;
            match kill {
                Kill::Twice { point, pass, .. } => {
                    let fault = format!("{point}:kill:{pass}");
                    let survived = self.up(&[("SEAM_FAULT", &fault)]);
                    ensure!(survived.is_err(), "{how}: `{fault}` did not kill a host that recovers");
                }
                Kill::PowerCut { torn } => drop(self.machine.cut_power(*torn, &mut self.chance)?),
                Kill::AfterJump(_) => self.machine.set_clock(0)?,
                Kill::AnyTime | Kill::At { .. } | Kill::AfterFault { .. } | Kill::AfterFullDisk => {}
            }
            self.refused += seen.refused;
            let counts = !seen.placed.is_empty() && seen.cut_off > 0;
            self.placed.extend(seen.placed);
            self.taken.extend(seen.taken);
            self.look().with_context(|| format!("after {how}"))?;
            if counts {
                self.kills += 1;
                self.cut_off += seen.cut_off;
                return Ok(());
            }
        }
        bail!("{kill:?}: in {TRIES} tries, no order was on its way when it came")
    }

    /// Has the next host place orders in a way that passes the point of this kill; else, by chance in each way. Orders
    /// in process survive the change.
    fn choose_checkout(&mut self, kill: &Kill) -> Result<()> {
        let next = match kill.point() {
            Some(point) if point.starts_with("two-phase.") => "two-phase",
            // In one transaction, what is refused is not undone but rolled back.
            Some("saga.before-undo" | "saga.after-undo") => "saga",
            _ => CHECKOUTS.choose(&mut self.chance).copied().context("a checkout")?,
        };
        let setting = |checkout: &str| format!("checkout = \"{checkout}\"");
        self.shop.edit(&setting(self.checkout), &setting(next))?;
        self.checkout = next;
        Ok(())
    }

    /// Customers buy from `host` until `meanwhile` returns. What they saw.
    fn load(&self, host: &Host, meanwhile: impl FnOnce(&Customers) -> Result<()>) -> Result<Seen> {
        let customers = Customers::default();
        let done = thread::scope(|scope| {
            for (number, person) in self.people.iter().enumerate() {
                let (person, customers) = (person.at(host), &customers);
                scope.spawn(move || customers.buy(&self.shop, person, &self.albums, number));
            }
            let done = meanwhile(&customers);
            customers.over.store(true, Ordering::Relaxed);
            if done.is_err() {
                // Its customers wait for no answer any more.
                host.kill().ok();
            }
            done
        });
        done.map(|()| customers.seen())
    }

    fn load_and_kill(&mut self, kill: &Kill) -> Result<Seen> {
        let host = self.up(&[])?;
        let pause = Duration::from_micros(self.chance.random_range(0..30_000));
        let seen = self.load(&host, |customers| {
            customers.are_on(1)?;
            let began = Instant::now();
            while began.elapsed() < pause {
                thread::yield_now();
            }
            match kill {
                Kill::At { point, pass } | Kill::Twice { first: Some((point, pass)), .. } => {
                    self.arm(&format!("{point}:kill:{pass}"))?;
                    return host.dies(POINT_TIMEOUT).with_context(|| format!("`{point}` is not passed"));
                }
                Kill::AnyTime | Kill::Twice { first: None, .. } | Kill::PowerCut { .. } => return host.kill(),
                Kill::AfterFault { point, pass } => {
                    self.arm(&format!("{point}:error:{pass}"))?;
                    let passed = || Ok((!self.plan.exists()).then_some(()).ok_or_else(|| "not passed".to_owned()));
                    wait::until(POINT_TIMEOUT, passed).context(point.clone())?;
                }
                Kill::AfterJump(seconds) => self.machine.set_clock(*seconds)?,
                Kill::AfterFullDisk => self.fill_disk(&host)?,
            }
            customers.are_on(customers.placed() + 1)?;
            host.kill()
        });
        std::fs::remove_file(&self.plan).ok();
        seen
    }

    /// Fills the disk until the shop says so, and makes room again. What needs no room is served meanwhile.
    fn fill_disk(&self, host: &Host) -> Result<()> {
        self.machine.set_full(true)?;
        let said = wait::until(POINT_TIMEOUT, || {
            let (ready, contexts) = (host.get("/readyz")?, self.shop.seam(&["contexts", "--format", "json"])?);
            let says =
                ready.status == 503 && ["has no room", "make room on the disk"].iter().all(|w| contexts.contains(w));
            Ok(says.then_some(()).ok_or_else(|| format!("{} {contexts}", ready.text())))
        });
        let page = host.get(&format!("/albums/{}", self.albums.plenty));
        self.machine.set_full(false)?;
        said.context("the disk is full")?;
        let status = page?.status;
        ensure!(status == 200, "on a full disk, an album's page is {status}");
        wait::until(POINT_TIMEOUT, || {
            let ready = host.get("/readyz")?;
            Ok((ready.status == 200).then_some(()).ok_or_else(|| ready.text()))
        })
        .context("there is room again")
    }

    /// After a load of which some orders were refused, and a day: nothing may be half done.
    ///
    /// # Errors
    /// With what does not hold.
    pub fn refuse_and_wait_a_day(&mut self) -> Result<()> {
        let host = self.up(&[])?;
        let seen = self.load(&host, |customers| customers.are_refused(REFUSED))?;
        ensure!(host.stop(Duration::from_secs(20))?.success(), "the host does not stop");
        self.refused += seen.refused;
        self.machine.set_clock(A_DAY_LATER_S)?;
        let host = self.up(&[])?;
        let held =
            wait::until(Duration::from_secs(10), || Ok(balance(&self.shop).map_err(|error| format!("{error:#}"))));
        self.machine.set_clock(0)?;
        ensure!(host.stop(Duration::from_secs(20))?.success(), "the host does not stop");
        held.map(drop)
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
        for number in &self.taken {
            ensure!(books.orders.contains_key(number), "the order {number}, which was taken, is lost");
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
