//! One system on two hosts in this process: the calls between them go through the codec, the questions for events as
//! they are, and both through no network.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use bytes::Bytes;
use seam::manifest::Manifest;
use seam_runtime::call::Failure;
use seam_runtime::component::Compiler;
use seam_runtime::guest::cut_off::CutOff;
use seam_runtime::remote::{Answers, Ask, Asking, Carrier, Carrying, Head};
use seam_runtime::run::Metrics;
use seam_runtime::serve::{Inbound, LinkedSystem, Registry};
use seam_store::HostFile;
use seam_store::clock::Clock;
use seam_store::ids::ContextName;

use crate::System;

/// Two hosts. The contexts in `elsewhere` live on the second one.
pub struct Apart {
    pub here: Registry,
    pub there: Registry,
    pub wire: Arc<Wire>,
    /// Of both hosts.
    pub runtime: tokio::runtime::Runtime,
}

/// What carries the calls from the first host to the second.
pub struct Wire {
    /// The second host works in it.
    runtime: tokio::runtime::Handle,
    answers: OnceLock<Arc<dyn Answers>>,
    /// While it is closed, calls wait.
    closed: AtomicBool,
    opened: tokio::sync::Notify,
    /// Calls and questions fail at once.
    pub down: AtomicBool,
    cut: tokio::sync::Notify,
    /// Questions for events so far.
    pub asks: AtomicUsize,
    /// Calls that wait now.
    pub waiting: AtomicUsize,
    /// The heads of all calls.
    pub heads: parking_lot::Mutex<Vec<Head>>,
}

impl Wire {
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
        self.opened.notify_waiters();
    }

    /// Lets nothing through any more; questions that wait fail.
    pub fn cut(&self) {
        self.down.store(true, Ordering::SeqCst);
        self.cut.notify_waiters();
    }

    pub fn mend(&self) {
        self.down.store(false, Ordering::SeqCst);
    }

    async fn wait_until_cut(&self) {
        loop {
            let cut = self.cut.notified();
            if self.down.load(Ordering::SeqCst) {
                return;
            }
            cut.await;
        }
    }

    async fn wait_until_open(&self) {
        loop {
            let opened = self.opened.notified();
            if !self.closed.load(Ordering::SeqCst) {
                return;
            }
            opened.await;
        }
    }
}

/// Counts a call that waits, however it ends.
struct Counted(Arc<Wire>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Carries(Arc<Wire>);

impl Carrier for Carries {
    fn carry(&self, head: Head, arguments: Bytes) -> Carrying {
        let wire = self.0.clone();
        Box::pin(async move {
            if wire.down.load(Ordering::SeqCst) {
                let reason = "its host cannot be reached".to_owned();
                return Err(Failure::Absent { context: head.context.to_string(), reason });
            }
            wire.heads.lock().push(head.clone());
            wire.waiting.fetch_add(1, Ordering::SeqCst);
            let counted = Counted(wire.clone());
            wire.wait_until_open().await;
            drop(counted);
            let (cancel, context) = (Cancel(Arc::default()), head.context.to_string());
            let absent = |reason: String| Failure::Absent { context, reason };
            let Some(answers) = wire.answers.get().cloned() else { return Err(absent("it has no host".to_owned())) };
            let task = wire.runtime.spawn(answers.answer(head, arguments, cancel.0.clone()));
            task.await.unwrap_or_else(|error| Err(absent(error.to_string())))
        })
    }

    fn is_down(&self, _: &ContextName) -> bool {
        self.0.down.load(Ordering::SeqCst)
    }

    fn ask(&self, ask: Ask) -> Asking {
        let wire = self.0.clone();
        Box::pin(async move {
            wire.asks.fetch_add(1, Ordering::SeqCst);
            let gone = Failure::Absent { context: ask.publisher.to_string(), reason: "its host is gone".to_owned() };
            let Some(answers) = wire.answers.get().cloned() else { return Err(gone) };
            tokio::select! {
                biased;
                () = wire.wait_until_cut() => Err(gone),
                asked = answers.ask(ask) => asked,
            }
        })
    }
}

/// Gives the signal when the caller does not wait any more.
struct Cancel(Arc<CutOff>);

impl Drop for Cancel {
    fn drop(&mut self) {
        self.0.give();
    }
}

impl System {
    /// Starts the system on two hosts in this process.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_apart(&self, elsewhere: &[&str]) -> Result<Apart> {
        self.start_apart_by(elsewhere, &Clock::system())
    }

    /// The same with a second host that goes by `clock`.
    ///
    /// # Errors
    /// As `start_apart`.
    pub fn start_apart_by(&self, elsewhere: &[&str], clock: &Clock) -> Result<Apart> {
        let manifest = Manifest::load(&self.write()?)?;
        let runtime = seam::app::runtime()?;
        let wire = Arc::new(Wire {
            runtime: runtime.handle().clone(),
            answers: Default::default(),
            closed: AtomicBool::new(false),
            opened: tokio::sync::Notify::new(),
            down: AtomicBool::new(false),
            cut: tokio::sync::Notify::new(),
            asks: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            heads: Default::default(),
        });
        let start = |name: &str, carrier: Option<Arc<dyn Carrier>>| -> Result<Registry> {
            let mut system = manifest.system();
            for context in &mut system.contexts {
                let is_elsewhere = elsewhere.contains(&context.name.as_str());
                context.at = (is_elsewhere == (name == "here")).then(|| "the other".to_owned());
            }
            let data = self.folder.path().join(name);
            let host = Arc::new(HostFile::open(&data)?);
            let linked = LinkedSystem::load(&system, Compiler::InProcess, &self.folder.path().join("cache"))?;
            let linked = match carrier {
                Some(carrier) => linked.with_carrier(carrier),
                None => linked.with_clock(clock.clone()),
            };
            let metrics = Metrics::new(&prometheus::Registry::new())?;
            Ok(linked.start(&data.join("stores"), host, &metrics)?)
        };
        let there = start("there", None).context("the second host")?;
        let here = start("here", Some(Arc::new(Carries(wire.clone())))).context("the first host")?;
        let answers: Arc<dyn Answers> = Arc::new(Inbound::new(there.clone()));
        wire.answers.set(answers).ok();
        Ok(Apart { here, there, wire, runtime })
    }
}
