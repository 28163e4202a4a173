//! Two hosts on loopback addresses: certificates of a real authority, real connections, and a context that does what
//! the name of its function says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod authorities;
mod calls;
mod events;
mod faults;
mod forwarder;
mod identities;
mod lines;
mod rotation;
mod totals;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use seam_runtime::call::{Failure, RefusalReason};
use seam_runtime::guest::cut_off::CutOff;
use seam_runtime::interface_name::InterfaceName;
use seam_runtime::remote::{Answers, Ask, Asking, Carried, Carrying, Head, Question};
use seam_store::blocking;
use seam_store::ids::{ContextName, Trace};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::authority::{self, Host};
use super::{
    Allow, Client, ClientConfig, Credentials, Identity, Metrics, Moves, Peer, Server, ServerConfig, System, Taking,
    TotalAsk,
};

/// No test waits longer for anything.
const TIMEOUT: Duration = Duration::from_secs(30);
const SYSTEM: System = System { codec: 1, placement: [9; 32] };

fn context(name: &str) -> ContextName {
    ContextName::new(name).unwrap()
}

/// A call of `orders` to `finance`, with a minute of time.
fn head(function: &str) -> Head {
    Head {
        context: context("finance"),
        interface: InterfaceName::parse("acme:finance/payments@0.1.0").unwrap(),
        function: function.to_owned(),
        signature: [3; 32],
        remaining: Duration::from_secs(60),
        trace: Trace { trace_id: 5, span_id: 6, sampled: true },
        chain: vec![context("storefront"), context("orders")],
        visitor: 7,
        forced: vec![context("engine").with_variant("js").unwrap()],
        bulk: true,
        part: None,
    }
}

/// An authority, and the folders of its hosts below its own.
struct Pki(tempfile::TempDir);

impl Pki {
    fn new() -> Self {
        let pki = Self(tempfile::tempdir().unwrap());
        authority::make_authority(pki.folder(), 100, false).unwrap();
        pki
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// A host with a certificate for these contexts.
    fn host(&self, name: &str, contexts: &[&str]) -> Identity {
        let contexts = contexts.iter().map(|context| (*context).to_owned()).collect();
        let host = Host { name: name.to_owned(), contexts, names: Vec::new(), days: 10 };
        authority::make_host(self.folder(), &self.file(name), &host, true).unwrap();
        Identity::in_folder(name, &self.file(name))
    }

    /// The host that calls.
    fn shop(&self) -> Identity {
        self.host("shop", &["storefront", "orders"])
    }

    /// The host that is called.
    fn books(&self) -> Identity {
        self.host("books", &["finance"])
    }
}

/// What the functions of `finance` do, and what they have seen.
#[derive(Default)]
struct Finance {
    calls: AtomicUsize,
    heads: Mutex<Vec<Head>>,
    /// A call of `wait` or `hold` is being performed.
    entered: Notify,
    /// Calls of `wait` that have noticed that their caller is gone.
    cancelled: AtomicUsize,
    has_cancelled: Notify,
    /// Lets calls of `hold` go on.
    release: AtomicBool,
    /// Questions for its events.
    asked: Mutex<Vec<Ask>>,
}

impl Answers for Finance {
    fn answer(self: Arc<Self>, head: Head, arguments: Bytes, cancel: Arc<CutOff>) -> Carrying {
        Box::pin(async move { self.answer_now(head, &arguments, &cancel) })
    }

    /// One that waits has no answer before its end.
    fn ask(self: Arc<Self>, ask: Ask) -> Asking {
        let reply = events::answer(&ask.question);
        let waits = matches!(&ask.question, Question::Page { wait, .. } if !wait.is_zero());
        self.asked.lock().unwrap().push(ask);
        Box::pin(async move {
            if waits {
                let _cancelled = Cancelled(self.clone());
                self.entered.notify_one();
                std::future::pending::<()>().await;
            }
            Ok(reply)
        })
    }
}

/// A question that ends.
struct Cancelled(Arc<Finance>);

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.0.has_cancelled.notify_one();
    }
}

/// The interfaces of `finance`, for all but `mail`; its events for `orders`.
struct OfFinance;

impl Allow for OfFinance {
    fn allows(&self, caller: Option<&ContextName>, _: &ContextName, interface: &InterfaceName) -> bool {
        caller.is_some_and(|caller| caller.as_str() != "mail") && interface.short() == "payments"
    }

    fn delivers(&self, subscriber: &ContextName, _: &ContextName, interface: &str) -> bool {
        subscriber.as_str() == "orders" && interface == "acme:finance/events"
    }

    fn takes_part(&self, participant: &ContextName, coordinator: &ContextName) -> bool {
        participant.as_str() == "finance" && coordinator.as_str() == "orders"
    }

    fn compares(&self, ask: &TotalAsk) -> bool {
        ask.side.as_str() == "orders" && ask.total != "secret"
    }
}

impl Finance {
    fn answer_now(&self, head: Head, arguments: &[u8], cancel: &CutOff) -> Carried {
        self.calls.fetch_add(1, SeqCst);
        let context = || "finance".to_owned();
        let deadline = Instant::now() + head.remaining;
        let function = head.function.clone();
        self.heads.lock().unwrap().push(head);
        // A guest looks at its deadline with each tick; this one as often.
        let until = |done: &dyn Fn() -> bool| {
            self.entered.notify_one();
            blocking::block_in_place(|| {
                while !done() && Instant::now() < deadline + TIMEOUT {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            });
        };
        match function.as_str() {
            "echo" => Ok(Bytes::copy_from_slice(arguments)),
            "length" => Ok(Bytes::copy_from_slice(&arguments.len().to_le_bytes())),
            "much" => Ok(vec![0; crate::limits::SEAM_MESSAGE_BYTES_MAX + 1].into()),
            "trap" => Err(Failure::Trapped { context: context(), reason: "unreachable".to_owned() }),
            "overload" => Err(Failure::Overloaded { context: context() }),
            "absent" => Err(Failure::Absent { context: context(), reason: "it drains".to_owned() }),
            "refuse" => Err(Failure::Refused { context: context(), reason: RefusalReason::TooDeep }),
            "wait" => {
                until(&|| cancel.is_given());
                self.cancelled.fetch_add(usize::from(cancel.is_given()), SeqCst);
                self.has_cancelled.notify_one();
                Err(Failure::TimedOut { context: context() })
            }
            "hold" => {
                until(&|| self.release.load(SeqCst));
                Ok(Bytes::from_static(b"held"))
            }
            other => panic!("`{other}` is no function"),
        }
    }
}

/// The host `books`, while it runs.
struct Books {
    address: SocketAddr,
    finance: Arc<Finance>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Books {
    async fn start(identity: &Identity) -> Self {
        Self::with(identity, |_| {}).await
    }

    async fn with(identity: &Identity, change: impl FnOnce(&mut ServerConfig)) -> Self {
        let hosts = vec!["shop".to_owned()];
        let mut config = ServerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)), SYSTEM, hosts);
        change(&mut config);
        let finance = Arc::new(Finance::default());
        let credentials = Credentials::load(identity).unwrap();
        let (allow, moves, totals) = (Arc::new(OfFinance), Arc::new(NoMoves), Arc::new(totals::OfFinance));
        let server = Server::bind(config, credentials, finance.clone(), allow, moves, totals, metrics().0).unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Self { address, finance, stop: Some(stop), running }
    }

    fn stop(&mut self) {
        self.stop.take();
    }

    async fn stopped(mut self) {
        self.stop();
        in_time(self.running).await.unwrap();
    }
}

/// Of a host that takes part in no moves but says what it was asked.
struct NoMoves;

impl Moves for NoMoves {
    fn take(&self, from: String, context: ContextName, name: String, body: Bytes) -> Taking {
        Box::pin(std::future::ready(Err(format!("{from} asks for {name} of {context} with {} bytes", body.len()))))
    }
}

fn metrics() -> (Metrics, prometheus::Registry) {
    let registry = prometheus::Registry::new();
    (Metrics::new(&registry).unwrap(), registry)
}

fn peer(address: SocketAddr) -> Peer {
    Peer { name: "books".to_owned(), address: address.to_string(), contexts: vec![(context("finance"), 0)] }
}

fn config(system: System, books: SocketAddr) -> ClientConfig {
    ClientConfig { system, peers: vec![peer(books)], learned: Arc::new(|_, _, _| {}) }
}

/// The host `shop`, which calls `books` there.
fn client(identity: &Identity, address: SocketAddr) -> Client {
    Client::start(config(SYSTEM, address), &Credentials::load(identity).unwrap(), &metrics().0).unwrap()
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(TIMEOUT, future).await.expect("it takes too long")
}
