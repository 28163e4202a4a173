//! The shop on several hosts, each a process, whose network, clocks, processes and broker fail under a load of orders.
//!
//! After each fault is over, and within `BACKLOG`: every buyer has an answer, everything that waits is done, each order
//! was given to one buyer, and what the contexts declare of their files holds.
//! Not here: which faults, and how many (`tests/tests/torture/between.rs`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rand::RngExt as _;
use rand::rngs::StdRng;
use seam::admin::client::Client;
use seam_store::private;

use super::answers::{self, Before};
use super::buyers::Buyers;
use super::machine::Machine;
use super::network::Network;
use super::witness;
use crate::books::{Books, balance};
use crate::broker::free_port;
use crate::host::{Host, signal};
use crate::person::Person;
use crate::placement::{self, ENGINES, Placement, SHOP};
use crate::shop::Shop;
use crate::shopping::{DEMO_PASSWORD, demo_email};
use crate::wait;

/// Within this time after a fault is over, nothing waits any more: what the product promises.
pub const BACKLOG: Duration = Duration::from_secs(30);
/// People who buy at the same time.
const BUYERS: usize = 4;
/// How long a fault lasts: longer than a host waits for a silent one, which is three seconds.
const LASTS: Duration = Duration::from_millis(4_000);
/// How long each half of a flapping way's turn takes.
const FLAP: Duration = Duration::from_millis(200);
/// The name of the broker among the hosts.
pub const BROKER: &str = "broker";
/// Lines that all hosts may log because of one fault: a log that names each failed call would have thousands.
const LINES_MAX: usize = 500;
/// Open files and threads that a host may have more than before the first fault.
const GAINED_MAX: usize = 150;

/// What fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing arrives that the first one sends to the other.
    OneWay(&'static str, &'static str),
    BothWays(&'static str, &'static str),
    /// Both directions are cut and healed again and again.
    Flapping(&'static str, &'static str),
    /// Connections end again and again.
    Resetting(&'static str, &'static str),
    /// The process stops for a while.
    Frozen(&'static str),
    /// The process is killed, and started again.
    Killed(&'static str),
    /// The clock of a host that runs jumps by so many seconds, and back.
    Skewed(&'static str, i64),
    /// A host starts with its clock wrong by so many seconds; it is set right while the host runs.
    StartedSkewed(&'static str, i64),
    /// As `Skewed`, and while the clock is wrong, nothing passes between this host and another one.
    SkewedAlone(&'static str, &'static str, i64),
    /// The broker is killed, what it has stored is removed, and it is started again.
    Wiped,
}

/// A shop whose hosts fail.
pub struct Between {
    pub shop: Shop,
    network: Network,
    machines: BTreeMap<&'static str, Machine>,
    hosts: BTreeMap<&'static str, Host>,
    people: Vec<Person>,
    album: String,
    /// The addresses at which people buy.
    fronts: Vec<String>,
    before: Before,
    /// Open files and threads of each host before the first fault.
    held: BTreeMap<&'static str, usize>,
}

/// What one fault did.
#[derive(Debug)]
pub struct Round {
    /// Orders that were answered before it, since the fault before; and those on their way when it came.
    pub answered_before: usize,
    pub on_the_way: usize,
    /// Tries that failed until all was well again.
    pub failed: usize,
    /// Orders that were answered until then.
    pub answered: usize,
    /// From the end of the fault until nothing waited.
    pub backlog: Duration,
    /// The slowest answer so far.
    pub slowest: Duration,
    /// Lines in the logs of all hosts meanwhile, without those of requests.
    pub lines: usize,
}

impl Between {
    /// The shop in this placement, on a network of the kernel's if `is_inside` one, and a witness of all orders: on
    /// another host than theirs,
    /// where one may have it. `checkout` is what the shop does with an order, as its manifest says.
    ///
    /// # Errors
    /// When a host does not serve.
    pub fn new(placement: Placement, is_inside: bool, checkout: &str) -> Result<Self> {
        let shop = Shop::in_one_process()?;
        let is_apart = placement == Placement::Three;
        witness::add_with(&shop, if is_apart { "at = \"engines\"\n" } else { "" })?;
        let shop = shop.placed(placement)?;
        if is_apart {
            shop.seam(&["cert", "host", ENGINES, "--contexts", "recommendation,witness", "--replace"])?;
        }
        // A host that is started again has the address that browsers know.
        let mut manifest = fs::read_to_string(shop.manifest())?;
        while manifest.contains("\"127.0.0.1:0\"") {
            manifest = manifest.replacen("\"127.0.0.1:0\"", &format!("\"127.0.0.1:{}\"", free_port()?), 1);
        }
        shop.write_manifest(&manifest)?;
        shop.edit("checkout = \"saga\"", &format!("checkout = {checkout:?}"))?;
        let port_after = |mark: &str| {
            let port = manifest.split_once(mark).and_then(|(_, rest)| rest.split('"').next()?.parse::<u16>().ok());
            port.with_context(|| format!("the manifest has no port after `{mark}`"))
        };
        let hosts = shop.hosts();
        let own =
            |host: &&str| Ok(((*host).to_owned(), port_after(&format!("[hosts.{host}]\naddress = \"127.0.0.1:"))?));
        let own = hosts.iter().map(own).collect::<Result<Vec<_>>>()?;
        let broker = match placement {
            Placement::Nats => vec![(BROKER.to_owned(), port_after("at = \"nats://127.0.0.1:")?)],
            _ => Vec::new(),
        };
        let network = Network::new(is_inside, &own, &broker)?;
        println!("{network}");
        let mut machines = BTreeMap::new();
        for host in hosts {
            let folder = shop.folder.path().join(format!("machine-{host}"));
            private::folder(&folder)?;
            machines.insert(host, Machine::new(&folder, &shop.data_at(host))?);
        }
        let mut between = Self {
            shop,
            network,
            machines,
            hosts: BTreeMap::new(),
            people: Vec::new(),
            album: String::new(),
            fronts: Vec::new(),
            before: Before::default(),
            held: BTreeMap::new(),
        };
        between.start()?;
        Ok(between)
    }

    /// Starts all hosts, and has people sign in.
    fn start(&mut self) -> Result<()> {
        let all: Vec<_> = self.machines.keys().copied().collect();
        let started = thread::scope(|scope| {
            let starting: Vec<_> = all.iter().map(|host| scope.spawn(|| self.up(host))).collect();
            let started = starting.into_iter().map(|host| host.join().map_err(|_| anyhow!("a thread panicked"))?);
            started.collect::<Result<Vec<_>>>()
        })?;
        self.hosts = all.into_iter().zip(started).collect();
        let copies: Vec<_> = self.shop.placement.copies().collect();
        let fronts = if copies.is_empty() { vec![SHOP] } else { copies };
        let front = |name: &&str| self.hosts.get(name).map(|host| host.url.clone()).context("a front");
        self.fronts = fronts.iter().map(front).collect::<Result<_>>()?;
        self.shop.until_all_is_delivered()?;
        self.album = self.shop.album("kind of blue", 1_000_000)?;
        let front = self.hosts.get(self.shop.placement.front()).context("a front")?;
        let sign_in = |number| Person::signed_in(front, &demo_email(number), DEMO_PASSWORD);
        self.people = (1..=BUYERS).map(sign_in).collect::<Result<_>>()?;
        self.before = Before::of(&balance(&self.shop)?);
        self.held = self.hosts.iter().map(|(name, host)| Ok((*name, held(host.pid())?))).collect::<Result<_>>()?;
        Ok(())
    }

    fn machine(&self, host: &str) -> Result<&Machine> {
        self.machines.get(host).with_context(|| format!("no host `{host}`"))
    }

    fn up(&self, host: &str) -> Result<Host> {
        let mut variables = self.machine(host)?.with_a_good_disk()?;
        variables.extend(self.network.variables(host)?);
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (manifest, data) = (self.shop.manifest(), self.shop.data_at(host));
        let up = Host::up_within(&self.network.prefix(host)?, &manifest, &data, host, &variables);
        let mut up = up.with_context(|| format!("`{host}` is started"))?;
        up.url = self.network.url(host, &up.url)?;
        Ok(up)
    }

    fn again(&mut self, host: &'static str) -> Result<()> {
        let up = self.up(host)?;
        self.hosts.insert(host, up);
        Ok(())
    }

    fn host(&self, host: &str) -> Result<&Host> {
        self.hosts.get(host).with_context(|| format!("no host `{host}`"))
    }

    /// Each of these faults under load, and the look at what it left. The orders that buyers were given.
    ///
    /// # Errors
    /// With what does not hold, and after which fault; and when one was vacuous.
    pub fn suffer(&mut self, faults: &[Fault], chance: &mut StdRng) -> Result<BTreeMap<String, bool>> {
        let buyers = Buyers::default();
        let (people, album, fronts) = (self.people.clone(), self.album.clone(), self.fronts.clone());
        thread::scope(|scope| {
            for (number, person) in people.into_iter().enumerate() {
                let (buyers, album, fronts) = (&buyers, &album, &fronts);
                scope.spawn(move || buyers.buy(person, album, fronts, number));
            }
            let done = faults.iter().try_for_each(|fault| {
                let round = self.round(fault, &buyers, chance).with_context(|| format!("{fault:?}"))?;
                println!("{fault:?}: {round:?}");
                ensure!(round.answered_before > 0 && round.on_the_way > 0, "{fault:?} was vacuous: {round:?}");
                Ok(())
            });
            buyers.end();
            if done.is_err() {
                println!("what buyers saw: {:?}", buyers.seen());
                self.hosts.values().for_each(|host| drop(host.kill()));
            }
            done
        })?;
        Ok(buyers.seen().answered)
    }

    fn round(&mut self, fault: &Fault, buyers: &Buyers, chance: &mut StdRng) -> Result<Round> {
        let (start, lines) = (buyers.seen(), self.lines()?);
        buyers.go_on();
        let (answered, on_the_way) = buyers.at_an_order(start.answered.len())?;
        let struck = self.strike(fault, chance);
        // A way that stays cut would hide why something else failed.
        self.network.heal()?;
        struck?;
        buyers.settle();
        let over = Instant::now();
        self.settled(buyers, over)?;
        let end = buyers.seen();
        answers::check(&self.before, &balance(&self.shop)?, &end.answered)?;
        ensure!(end.odd.is_empty(), "answers that no buyer should get: {:#?}", end.odd);
        for (name, host) in &self.hosts {
            let (before, now) = (self.held.get(name).copied().unwrap_or_default(), held(host.pid())?);
            ensure!(now <= before + GAINED_MAX, "`{name}` has {now} open files and threads, and had {before}");
        }
        let lines = self.lines()?.saturating_sub(lines);
        ensure!(lines <= LINES_MAX, "{lines} lines in the logs");
        Ok(Round {
            answered_before: answered - start.answered.len(),
            on_the_way,
            failed: end.failed - start.failed,
            answered: end.answered.len() - start.answered.len(),
            backlog: over.elapsed(),
            slowest: end.slowest,
            lines,
        })
    }

    /// Has it happen, and end.
    fn strike(&mut self, fault: &Fault, chance: &mut StdRng) -> Result<()> {
        let lasts = LASTS + Duration::from_millis(chance.random_range(0..500));
        let ends = Instant::now() + lasts;
        let flap = |turn: &dyn Fn(bool) -> Result<()>| {
            for number in 0_u32.. {
                turn(number.is_multiple_of(2))?;
                thread::park_timeout(FLAP);
                if Instant::now() >= ends {
                    break;
                }
            }
            Ok::<_, anyhow::Error>(())
        };
        let network = &self.network;
        match *fault {
            Fault::OneWay(from, to) => {
                network.cut(from, to, true)?;
                thread::sleep(lasts);
            }
            Fault::BothWays(one, other) => {
                network.cut_both(one, other, true)?;
                thread::sleep(lasts);
            }
            Fault::Flapping(one, other) => flap(&|cut| network.cut_both(one, other, cut))?,
            Fault::Resetting(one, other) => flap(&|cut| network.reset(one, other, cut))?,
            Fault::Frozen(BROKER) => {
                let pid = self.shop.broker.lock().as_ref().context("a broker")?.child.id();
                signal(pid, "STOP")?;
                thread::sleep(lasts);
                signal(pid, "CONT")?;
            }
            Fault::Frozen(host) => {
                let pid = self.host(host)?.pid();
                signal(pid, "STOP")?;
                thread::sleep(lasts);
                signal(pid, "CONT")?;
            }
            Fault::Killed(host) => {
                self.host(host)?.kill()?;
                thread::sleep(lasts / 4);
                self.again(host)?;
            }
            Fault::Skewed(host, seconds) => {
                self.machine(host)?.set_clock(seconds)?;
                thread::sleep(lasts);
                self.machine(host)?.set_clock(0)?;
            }
            Fault::SkewedAlone(host, other, seconds) => {
                self.machine(host)?.set_clock(seconds)?;
                network.cut_both(host, other, true)?;
                thread::sleep(lasts);
                self.machine(host)?.set_clock(0)?;
            }
            Fault::StartedSkewed(host, seconds) => {
                self.host(host)?.kill()?;
                self.machine(host)?.set_clock(seconds)?;
                self.again(host)?;
                thread::sleep(lasts);
                self.machine(host)?.set_clock(0)?;
            }
            Fault::Wiped => {
                let mut broker = self.shop.broker.lock();
                let broker = broker.as_mut().context("a broker")?;
                broker.kill()?;
                wipe(&broker.configuration)?;
                thread::sleep(lasts / 2);
                broker.start_again(&placement::tests())?;
            }
        }
        Ok(())
    }

    /// Waits until nothing waits any more: each buyer has an answer, each order is decided, each saga rests, and each
    /// subscriber has had all events.
    fn settled(&self, buyers: &Buyers, over: Instant) -> Result<()> {
        let left = || (over + BACKLOG).saturating_duration_since(Instant::now());
        let open = || match buyers.open() {
            0 => Ok(Ok(())),
            open => Ok(Err(format!("{open} buyers have no answer: {:?}", buyers.seen().odd))),
        };
        wait::until(left(), open)?;
        wait::until(left(), || Ok(self.rests().map_err(|error| format!("{error:#}"))))
    }

    fn rests(&self) -> Result<()> {
        let books = Books::read(&self.shop)?;
        let waiting: Vec<_> = books.in_state("placing").map(|(number, _)| number).collect();
        ensure!(waiting.is_empty(), "orders are being placed: {waiting:?}");
        let sagas: serde_json::Value =
            serde_json::from_str(&self.shop.seam(&["sagas", "--context", "orders", "--format", "json"])?)?;
        let rest = sagas["sagas"].as_array().is_some_and(|all| all.iter().all(|saga| saga["state"] == "waiting"));
        ensure!(rest, "sagas go on: {sagas}");
        for host in self.hosts.keys() {
            for one in Client::connect(&self.shop.data_at(host))?.subscriptions()? {
                let waits = [one.lag, one.retry, one.behind, one.dead].iter().any(|count| count.unwrap_or(0) > 0);
                ensure!(!waits && one.lag.is_some() && one.away.is_none(), "`{host}`: events wait: {one:?}");
            }
        }
        Ok(())
    }

    /// Lines in the logs of all hosts, without those of requests and of what guests say.
    fn lines(&self) -> Result<usize> {
        let mut lines = 0;
        for host in self.hosts.keys() {
            for file in fs::read_dir(self.shop.data_at(host).join("logs"))? {
                let text = fs::read_to_string(file?.path())?;
                lines += text.lines().filter(|line| !line.contains("\"access\"")).count();
            }
        }
        Ok(lines)
    }

    /// Stops all hosts; whether the witness heard of each of these orders, and of each once.
    ///
    /// # Errors
    /// When a host does not stop, or it did not.
    pub fn end(mut self, answered: &BTreeMap<String, bool>) -> Result<()> {
        for (name, host) in std::mem::take(&mut self.hosts) {
            ensure!(host.stop(Duration::from_secs(20))?.success(), "`{name}` does not stop");
        }
        let home = if self.shop.placement == Placement::Three { ENGINES } else { SHOP };
        let heard = witness::heard_once_at(&self.shop.data_at(home))?;
        let placed = answered.values().filter(|placed| **placed).count();
        ensure!(heard >= placed, "the witness heard of {heard} orders, and {placed} were placed");
        println!("{} orders, {placed} of them seen placed; the witness heard of {heard}", answered.len());
        Ok(())
    }
}

/// Removes what a broker that does not run has written beside its configuration, and in folders there.
fn wipe(configuration: &Path) -> Result<()> {
    for entry in fs::read_dir(configuration.parent().context("a folder")?)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(fs::remove_file(configuration.with_extension("log"))?)
}

/// Open files and threads of a process.
fn held(pid: u32) -> Result<usize> {
    let count = |folder: &str| Ok::<_, anyhow::Error>(fs::read_dir(format!("/proc/{pid}/{folder}"))?.count());
    Ok(count("fd")? + count("task")?)
}
