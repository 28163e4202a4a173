//! Hosts that talk through a real NATS server with TLS, each as the user that its certificate names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../../../../tests/src/broker.rs"]
mod server;
#[path = "../../../../tests/src/tools.rs"]
mod tools;

mod calls;
mod refused;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use seam_runtime::call::Failure;
use seam_runtime::guest::cut_off::CutOff;
use seam_runtime::interface_name::InterfaceName;
use seam_runtime::remote::{Answers, Carried, Carrier as _, Carrying, Head};
use seam_store::ids::{ContextName, Trace};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::{Broker, BrokerConfig, User, configuration};
use crate::remote::authority::{self, Host};
use crate::remote::config::Allow;
use crate::remote::{Credentials, Identity, Metrics, System};

/// No test waits longer for anything.
const TIMEOUT: Duration = Duration::from_secs(30);
const SYSTEM: System = System { codec: 1, placement: [9; 32] };

fn tests() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests"))
}

fn context(name: &str) -> ContextName {
    ContextName::new(name).unwrap()
}

/// A call of `storefront` to `engine`.
fn head(function: &str, remaining: Duration) -> Head {
    Head {
        context: context("engine"),
        interface: InterfaceName::parse("t:engine/engine@0.1.0").unwrap(),
        function: function.to_owned(),
        signature: [3; 32],
        remaining,
        trace: Trace { trace_id: 5, span_id: 6, sampled: true },
        chain: vec![context("storefront")],
        visitor: 7,
        forced: Vec::new(),
        bulk: false,
        part: None,
    }
}

/// A server, and the certificates of a system: `shop` has `storefront`, `web1` and `web2` have copies of `engine`.
struct Pki {
    folder: tempfile::TempDir,
    port: u16,
}

impl Pki {
    fn new() -> Self {
        let pki = Self { folder: tempfile::tempdir().unwrap(), port: server::free_port().unwrap() };
        authority::make_authority(pki.folder.path(), 100, false).unwrap();
        pki.certificate("broker", &[]);
        pki.certificate("shop", &["storefront"]);
        pki.certificate("web1", &["engine"]);
        pki.certificate("web2", &["engine"]);
        pki
    }

    fn certificate(&self, host: &str, contexts: &[&str]) {
        let contexts = contexts.iter().map(|context| (*context).to_owned()).collect();
        let of = Host { name: host.to_owned(), contexts, names: Vec::new(), days: 10 };
        authority::make_host(self.folder.path(), &self.folder.path().join(host), &of, true).unwrap();
    }

    fn identity(&self, host: &str) -> Identity {
        Identity::in_folder(host, &self.folder.path().join(host))
    }

    /// Runs the server, with a change of its configuration.
    fn serve(&self, change: impl FnOnce(String) -> String) -> server::Broker {
        let user = |host: &str, imports: &[&str], copies: &[&str]| User {
            host: host.to_owned(),
            imports: imports.iter().map(|import| (*import).to_owned()).collect(),
            copies: copies.iter().map(|copy| context(copy)).collect(),
        };
        let users = [
            user("shop", &["t:engine/engine@0.1.0"], &[]),
            user("web1", &[], &["engine"]),
            user("web2", &[], &["engine"]),
        ];
        let text = configuration(self.port, &self.folder.path().join("broker"), &[context("engine")], &users);
        let file = self.folder.path().join("broker/broker.conf");
        std::fs::write(&file, change(text)).unwrap();
        server::Broker::start(tests(), &file, self.port).unwrap()
    }

    fn client(&self, host: &str) -> (Broker, prometheus::Registry) {
        self.client_of(host, host, SYSTEM)
    }

    /// A host that calls itself `this` and shows the certificate of `host`.
    fn client_of(&self, this: &str, host: &str, system: System) -> (Broker, prometheus::Registry) {
        let config = BrokerConfig {
            address: format!("127.0.0.1:{}", self.port),
            name: "broker".to_owned(),
            system,
            this: this.to_owned(),
            hosts: ["shop", "web1", "web2"].map(str::to_owned).into(),
            contexts: vec![context("engine")],
        };
        let registry = prometheus::Registry::new();
        let credentials = Credentials::load(&self.identity(host)).unwrap();
        (Broker::start(config, &credentials, &Metrics::new(&registry).unwrap()), registry)
    }

    async fn shop(&self) -> Broker {
        let shop = self.client("shop").0;
        in_time(shop.until_up()).await;
        shop
    }

    /// A host with a copy, which calls itself `this` and shows the certificate of `host`.
    fn copy_of(&self, this: &str, host: &'static str, system: System) -> Copy {
        let (broker, _) = self.client_of(this, host, system);
        let engine = Arc::new(Engine { host, ..Engine::default() });
        let (stop, stopped) = oneshot::channel();
        let (copies, ready) = (broker.copies(), Arc::new(|_: &ContextName| true));
        let parts: (Arc<dyn Answers>, Arc<dyn Allow>) = (engine.clone(), Arc::new(OfEngine));
        let running = tokio::spawn(copies.run(vec![context("engine")], parts, ready, async { drop(stopped.await) }));
        Copy { engine, stop: Some(stop), running, broker }
    }
}

struct Copy {
    engine: Arc<Engine>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
    broker: Broker,
}

impl Copy {
    /// Leaves, and says how many calls it has performed.
    async fn leave(mut self) -> usize {
        self.stop.take();
        in_time(self.running).await.unwrap();
        self.engine.calls.load(SeqCst)
    }
}

/// What the functions of `engine` do.
#[derive(Default)]
struct Engine {
    host: &'static str,
    calls: AtomicUsize,
    entered: Notify,
    cancelled: Notify,
    release: AtomicBool,
    busy: AtomicBool,
    heads: Mutex<Vec<(Head, Bytes)>>,
}

impl Answers for Engine {
    fn answer(self: Arc<Self>, head: Head, arguments: Bytes, cancel: Arc<CutOff>) -> Carrying {
        Box::pin(async move {
            self.calls.fetch_add(1, SeqCst);
            self.entered.notify_one();
            let function = head.function.clone();
            let length = arguments.len();
            self.heads.lock().push((head, arguments));
            let engine = || "engine".to_owned();
            match function.as_str() {
                "who" => {
                    tokio::task::yield_now().await;
                    Ok(Bytes::from_static(self.host.as_bytes()))
                }
                "length" => Ok(Bytes::from(length.to_string())),
                "much" => Ok(vec![0; 9 << 20].into()),
                "overload" if self.busy.load(SeqCst) => Err(Failure::Overloaded { context: engine() }),
                "overload" => Ok(Bytes::from_static(self.host.as_bytes())),
                "trap" => Err(Failure::Trapped { context: engine(), reason: "unreachable".to_owned() }),
                "hold" => {
                    while !self.release.load(SeqCst) {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    Ok(Bytes::from_static(b"held"))
                }
                "wait" => {
                    cancel.wait().await;
                    self.cancelled.notify_one();
                    Err(Failure::TimedOut { context: engine() })
                }
                other => panic!("`{other}` is no function"),
            }
        })
    }
}

/// The interface `engine`, for all but `mail`.
struct OfEngine;

impl Allow for OfEngine {
    fn allows(&self, caller: Option<&ContextName>, _: &ContextName, interface: &InterfaceName) -> bool {
        caller.is_some_and(|caller| caller.as_str() != "mail") && interface.short() == "engine"
    }

    fn delivers(&self, _: &ContextName, _: &ContextName, _: &str) -> bool {
        false
    }

    fn takes_part(&self, _: &ContextName, _: &ContextName) -> bool {
        false
    }
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(TIMEOUT, future).await.expect("it takes too long")
}

async fn call(broker: &Broker, function: &str) -> Carried {
    in_time(broker.carry(head(function, TIMEOUT), Bytes::from_static(b"arguments"))).await
}

/// Which copy answers.
async fn who(broker: &Broker) -> Result<String, Failure> {
    call(broker, "who").await.map(|answer| String::from_utf8(answer.to_vec()).unwrap())
}

/// Calls until each copy has answered at least once, and as long as none does.
async fn until_both(broker: &Broker) -> BTreeMap<String, usize> {
    in_time(async {
        let mut answered = BTreeMap::new();
        while answered.len() < 2 {
            match who(broker).await {
                Ok(host) => *answered.entry(host).or_default() += 1,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        answered
    })
    .await
}

fn reason(carried: Carried) -> String {
    carried.unwrap_err().to_string()
}

/// Calls until the one copy answers.
async fn until_one(broker: &Broker) {
    in_time(async {
        while who(broker).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Waits until the last call of a copy is one of this function.
async fn until_called(copy: &Copy, function: &str) {
    let is_called = || copy.engine.heads.lock().last().is_some_and(|(head, _)| head.function == function);
    in_time(async {
        while !is_called() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}
