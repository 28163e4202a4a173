//! A small system on two hosts, `near` and `far`: `front` asks `ledger`, which has a file and moves. The way from one
//! host to the other can be cut in each direction.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use seam::admin::client::{Client, Error};
use seam::admin::{CallRequest, RelocateRequest};
use seam::relocate::{MoveReview, Moved, Prediction};
use seam_store::private;

use crate::host::{Host, seam};
use crate::{MEMORY, System, component};

pub const NEAR: &str = "near";
pub const FAR: &str = "far";

const LEDGER: &str = "package t:ledger@0.1.0 {
    interface ledger {
        variant error { unavailable(string) }
        add: func(number: u32) -> result<u32, error>;
        fill: func(rows: u32) -> result<u32, error>;
        tick: func() -> result<u32, error>;
    }
}";

/// A row of the table that makes the file large.
const ROW_BYTES: u64 = 100_000;
/// Rows that one call adds.
const ROWS: u32 = 20;

/// `ledger.add(n)` writes a row; `ledger.fill(n)` makes the file larger by so many long rows. The host
/// calls `ledger.tick()` every second.
fn ledger() -> Result<Vec<u8>> {
    let wit = format!(
        "package t:bank@0.1.0;
         world this {{
             import seam:host/store@0.1.0; export t:ledger/ledger@0.1.0; export seam:host/migrations@0.1.0;
         }}
         {LEDGER}"
    );
    let table = "CREATE TABLE numbers (number INTEGER NOT NULL) STRICT; CREATE TABLE pad (body BLOB NOT NULL) STRICT; \
                 CREATE TABLE ticks (number INTEGER NOT NULL) STRICT";
    let insert = "INSERT INTO numbers (number) VALUES (?1)";
    let tick = "INSERT INTO ticks (number) VALUES (?1)";
    let pad = format!("INSERT INTO pad (body) SELECT zeroblob({ROW_BYTES}) WHERE ?1 > 0");
    let wat = format!(
        r#"(module
            (import "seam:host/store@0.1.0" "execute" (func $execute (param i32 i32 i32 i32 i32)))
            {MEMORY}
            (data (i32.const 1000) "all") (data (i32.const 1100) "{table}")
            (data (i32.const 1400) "{insert}") (data (i32.const 1600) "{pad}") (data (i32.const 1800) "{tick}")
            (func (export "seam:host/migrations@0.1.0#all") (result i32)
                (i32.store (i32.const 2000) (i32.const 1))
                (i32.store (i32.const 2004) (i32.const 1000)) (i32.store (i32.const 2008) (i32.const 3))
                (i32.store (i32.const 2012) (i32.const 1100)) (i32.store (i32.const 2016) (i32.const {table_length}))
                (i32.store (i32.const 16) (i32.const 2000)) (i32.store (i32.const 20) (i32.const 1))
                (i32.const 16))
            (func $run (param $sql i32) (param $length i32) (param $number i32)
                (global.set $top (i32.const 4096))
                (i32.store8 (i32.const 64) (i32.const 1))
                (i64.store (i32.const 72) (i64.extend_i32_u (local.get $number)))
                (call $execute (local.get $sql) (local.get $length) (i32.const 64) (i32.const 1) (i32.const 96)))
            (func $answer (param $number i32) (result i32)
                (i32.store (i32.const 16) (i32.const 0)) (i32.store (i32.const 20) (local.get $number))
                (if (i32.load8_u (i32.const 96)) (then
                    (i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 0))
                    (i32.store (i32.const 24) (i32.const 1000)) (i32.store (i32.const 28) (i32.const 3))))
                (i32.const 16))
            (func (export "t:ledger/ledger@0.1.0#add") (param $number i32) (result i32)
                (call $run (i32.const 1400) (i32.const {insert_length}) (local.get $number))
                (call $answer (local.get $number)))
            (func (export "t:ledger/ledger@0.1.0#tick") (result i32)
                (call $run (i32.const 1800) (i32.const {tick_length}) (i32.const 1))
                (call $answer (i32.const 1)))
            (func (export "t:ledger/ledger@0.1.0#fill") (param $rows i32) (result i32) (local $left i32)
                (local.set $left (local.get $rows))
                (loop $next
                    (call $run (i32.const 1600) (i32.const {pad_length}) (i32.const 1))
                    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                    (br_if $next (i32.and (i32.gt_s (local.get $left) (i32.const 0))
                                          (i32.eqz (i32.load8_u (i32.const 96))))))
                (call $answer (local.get $rows))))"#,
        table_length = table.len(),
        insert_length = insert.len(),
        pad_length = pad.len(),
        tick_length = tick.len(),
    );
    component(&wit, "this", &wat)
}

/// `front.add(n)` asks `ledger.add(n)`.
fn front() -> Result<Vec<u8>> {
    let wit = format!(
        "package t:front@0.1.0;
         interface front {{ use t:ledger/ledger@0.1.0.{{error}}; add: func(number: u32) -> result<u32, error>; }}
         world this {{ import t:ledger/ledger@0.1.0; export front; }}
         {LEDGER}"
    );
    let wat = format!(
        r#"(module
            (import "t:ledger/ledger@0.1.0" "add" (func $add (param i32 i32)))
            {MEMORY}
            (func (export "t:front/front@0.1.0#add") (param $number i32) (result i32)
                (global.set $top (i32.const 4096))
                (call $add (local.get $number) (i32.const 64))
                (i32.const 64)))"#
    );
    component(&wit, "this", &wat)
}

/// A way to a host.
pub struct Way {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Bytes to the host, and from it, stay away.
    stopped: [AtomicBool; 2],
    /// Bytes that have gone to the host.
    passed: AtomicUsize,
    /// What each byte takes longer in each direction, in milliseconds.
    delay_ms: AtomicU64,
}

impl Way {
    fn to(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let Ok(far) = TcpStream::connect(target) else { continue };
                // It passes on what it gets at once, or each message waits for an acknowledgement.
                let direct = [&near, &far].map(|stream| stream.set_nodelay(true));
                if direct.iter().any(Result::is_err) {
                    continue;
                }
                for (number, (from, to)) in [(&near, &far), (&far, &near)].into_iter().enumerate() {
                    if let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) {
                        let state = shared.clone();
                        std::thread::spawn(move || forward(from, to, &state, number));
                    }
                }
            }
        });
        Ok(Self { address, state })
    }

    /// Lets bytes to the host, and from it, through or not.
    pub fn stop(&self, to: bool, from: bool) {
        self.state.stopped[0].store(to, SeqCst);
        self.state.stopped[1].store(from, SeqCst);
    }

    /// From now on each byte takes so much longer, in each direction.
    pub fn lengthen(&self, by: Duration) {
        self.state.delay_ms.store(by.as_millis() as u64, SeqCst);
    }

    /// The bytes that have gone to the host.
    pub fn passed(&self) -> usize {
        self.state.passed.load(SeqCst)
    }
}

/// Carries bytes; those that are stopped are lost with their connection, as behind a firewall.
fn forward(mut from: TcpStream, to: TcpStream, state: &State, number: usize) {
    let (sender, carried) = std::sync::mpsc::channel::<(Instant, Vec<u8>)>();
    let Ok(mut far) = to.try_clone() else { return };
    // The next ones are read meanwhile: all are late by the same.
    let carrier = std::thread::spawn(move || {
        for (due, bytes) in carried {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if far.write_all(&bytes).is_err() {
                break;
            }
        }
    });
    let mut bytes = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if number == 0 {
            state.passed.fetch_add(length, SeqCst);
        }
        if state.stopped[number].load(SeqCst) {
            // Read and dropped, until one side gives the connection up.
            while from.read(&mut bytes).is_ok_and(|length| length > 0) {}
            break;
        }
        let due = Instant::now() + Duration::from_millis(state.delay_ms.load(SeqCst));
        if sender.send((due, bytes[..length].to_vec())).is_err() {
            break;
        }
    }
    drop(sender);
    carrier.join().ok();
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

/// The system, and the way to the host `far`.
pub struct Moving {
    system: System,
    manifest: PathBuf,
    pub way: Way,
}

impl Moving {
    /// The system in a folder of its own. No host runs.
    ///
    /// # Errors
    /// When no certificates can be made.
    pub fn new() -> Result<Self> {
        let port = || -> Result<u16> { Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
        let (near, far) = (port()?, port()?);
        let way = Way::to(SocketAddr::from(([127, 0, 0, 1], far)))?;
        let hosts = format!(
            "[hosts.near]\naddress = \"127.0.0.1:{near}\"\ndata = \"near\"\nlisten = [\"127.0.0.1:0\"]\n\n\
             [hosts.far]\naddress = \"{}\"\nbind = \"127.0.0.1:{far}\"\nlisten = [\"127.0.0.1:0\"]\ndata = \"far\"\n\n\
             [placement]\ndefault = \"near\"\n\n\
             [[schedule]]\ncontext = \"ledger\"\ncall = \"ledger.tick\"\nevery_s = 1",
            way.address
        );
        let system = System::new()
            .context("ledger", &ledger()?, "store = { max_mb = 4096 }\nlimits = { timeout_ms = 60000 }")?
            .context("front", &front()?, "imports = [\"t:ledger/ledger@0.1.0\"]\nlimits = { timeout_ms = 60000 }")?
            .lines(&hosts);
        let manifest = system.write()?;
        for host in [NEAR, FAR] {
            private::folder(&system.folder.path().join(host))?;
        }
        let moving = Self { system, manifest, way };
        moving.seam(NEAR, &["cert", "authority"])?;
        for host in [NEAR, FAR] {
            moving.seam(NEAR, &["cert", "host", host, "--contexts", "front,ledger"])?;
        }
        Ok(moving)
    }

    pub fn data(&self, host: &str) -> PathBuf {
        self.system.folder.path().join(host)
    }

    /// Serves this host, with these variables in its environment.
    ///
    /// # Errors
    /// When it does not serve.
    pub fn up(&self, host: &str, variables: &[(&str, &str)]) -> Result<Host> {
        Host::up_as(&self.manifest, &self.data(host), host, variables)
    }

    /// Runs `seam --as HOST ARGS`; its standard output.
    ///
    /// # Errors
    /// What it says, if it fails.
    pub fn seam(&self, host: &str, args: &[&str]) -> Result<String> {
        let output = seam(&self.manifest, &[&["--as", host], args].concat())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "seam {args:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Moves the ledger to the other host, or home.
    ///
    /// # Errors
    /// Why it stays where it is.
    pub fn relocate(&self, to: &str) -> Result<Moved, Error> {
        let context = "ledger".to_owned();
        let request = match to {
            FAR => RelocateRequest::Extract { context, to: FAR.to_owned() },
            _ => RelocateRequest::Absorb { context },
        };
        Client::connect(&self.data(NEAR))?.relocate(&request, &mut |_| {})
    }

    /// What moving the ledger would take and cost.
    ///
    /// # Errors
    /// When the host does not say so.
    pub fn predict(&self, to: &str) -> Result<Prediction, Error> {
        let context = "ledger".to_owned();
        let request = match to {
            FAR => RelocateRequest::PredictExtract { context, to: FAR.to_owned() },
            _ => RelocateRequest::PredictAbsorb { context },
        };
        Client::connect(&self.data(NEAR))?.predict(&request)
    }

    /// What came of the moves.
    ///
    /// # Errors
    /// When the host does not say so.
    pub fn moves(&self) -> Result<Vec<MoveReview>, Error> {
        Client::connect(&self.data(NEAR))?.moves()
    }

    /// Calls a function of a context on this host. Whether it answered with `ok`.
    ///
    /// # Errors
    /// When it did not answer.
    pub fn call(&self, host: &str, context: &str, text: &str) -> Result<bool> {
        let request = CallRequest { context: context.to_owned(), text: text.to_owned(), timeout_ms: 20_000 };
        Ok(Client::connect(&self.data(host))?.call(&request)?.ok)
    }

    /// Has `front` add a number. Whether it was acknowledged.
    pub fn add(&self, number: u32) -> bool {
        self.call(NEAR, "front", &format!("add({number})")).unwrap_or(false)
    }

    /// Makes the file of the ledger so large, where it lives.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn fill(&self, host: &str, megabytes: u32) -> Result<()> {
        let rows = u64::from(megabytes) * 1_000_000 / ROW_BYTES;
        for _ in 0..rows.div_ceil(u64::from(ROWS)) {
            ensure!(self.call(host, "ledger", &format!("fill({ROWS})"))?, "the ledger cannot be filled");
        }
        Ok(())
    }

    /// How often each number is in the files of these hosts, which are stopped, and of which one owns the ledger.
    ///
    /// # Errors
    /// When not exactly one of the files names its host as the owner, or none.
    pub fn numbers(&self) -> Result<BTreeMap<u32, u32>> {
        let mut owned = Vec::new();
        for host in [NEAR, FAR] {
            let path = self.data(host).join("stores/ledger.db");
            if !path.exists() {
                continue;
            }
            let file = rusqlite::Connection::open(&path)?;
            let owner: Option<String> = file.query_row("SELECT host FROM seam_owner", [], |row| row.get(0)).ok();
            if owner.as_deref().is_none_or(|owner| owner == host) {
                let mut statement = file.prepare("SELECT number, count(*) FROM numbers GROUP BY number")?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                owned.push((host, rows.collect::<rusqlite::Result<BTreeMap<u32, u32>>>()?));
            }
        }
        ensure!(owned.len() == 1, "owners: {:?}", owned.iter().map(|(host, _)| host).collect::<Vec<_>>());
        owned.pop().map(|(_, numbers)| numbers).context("no owner")
    }
}

/// Adds numbers through `front`, again and again.
pub struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Added>>,
    /// Acknowledged so far.
    pub added: Arc<AtomicUsize>,
}

/// What a load did.
#[derive(Default)]
pub struct Added {
    pub acknowledged: Vec<u32>,
    pub failed: Vec<u32>,
    /// The longest that one took.
    pub slowest: Duration,
}

impl Load {
    /// So many writers, each of which adds a number every `every`, from `first` on.
    pub fn start(moving: &Arc<Moving>, writers: u32, every: Duration, first: u32) -> Self {
        let (stop, added, next) = (Arc::new(AtomicBool::new(false)), Arc::default(), Arc::new(AtomicU32::new(first)));
        let writer = |_| {
            let (moving, stop, count, next) = (moving.clone(), stop.clone(), Arc::clone(&added), next.clone());
            std::thread::spawn(move || {
                let mut done = Added::default();
                while !stop.load(SeqCst) {
                    let (number, started) = (next.fetch_add(1, SeqCst), Instant::now());
                    match moving.add(number) {
                        true => done.acknowledged.push(number),
                        false => done.failed.push(number),
                    }
                    AtomicUsize::fetch_add(&count, 1, SeqCst);
                    done.slowest = done.slowest.max(started.elapsed());
                    std::thread::park_timeout(every.saturating_sub(started.elapsed()));
                }
                done
            })
        };
        let handles = (0..writers).map(writer).collect();
        Self { stop, writers: handles, added }
    }

    /// Ends it.
    ///
    /// # Errors
    /// When a writer panicked.
    pub fn end(self) -> Result<Added> {
        self.stop.store(true, SeqCst);
        let mut all = Added::default();
        for writer in self.writers {
            let added = writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))?;
            all.acknowledged.extend(added.acknowledged);
            all.failed.extend(added.failed);
            all.slowest = all.slowest.max(added.slowest);
        }
        Ok(all)
    }
}

/// # Errors
/// When a number that was acknowledged is missing, or one is there twice.
pub fn check(added: &Added, numbers: &BTreeMap<u32, u32>) -> Result<()> {
    let missing: Vec<_> = added.acknowledged.iter().filter(|number| !numbers.contains_key(number)).collect();
    ensure!(missing.is_empty(), "{} acknowledged numbers are lost: {missing:?}", missing.len());
    let twice: Vec<_> = numbers.iter().filter(|(_, times)| **times > 1).collect();
    ensure!(twice.is_empty(), "done twice: {twice:?}");
    Ok(())
}
