//! The publishers on another host, which can be cut off: it answers questions from their files, and keeps what the
//! subscriber has said.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use parking_lot::Mutex;
use seam_runtime::remote::{
    Ask, Asked, Asking, Carrier, Carrying, Head, Outbox, OutboxElsewhere, Page, Question, Reply,
};
use seam_store::ids::ContextName;

use super::super::*;
use super::PUBLISHERS;

/// Why a question fails while the host is cut off.
pub const CUT_OFF: &str = "its host is cut off";

/// Without files, a host that is down.
#[derive(Default)]
pub struct Elsewhere {
    host: Arc<Host>,
    outboxes: Vec<Arc<OutboxElsewhere>>,
}

#[derive(Default)]
struct Host {
    files: Vec<Arc<Database>>,
    /// How far the subscriber is, of each publisher.
    said: Mutex<[u64; PUBLISHERS.len()]>,
    is_cut_off: AtomicBool,
}

impl Elsewhere {
    pub fn new(files: &[Arc<Database>], time: &ManualClock) -> Self {
        let host = Arc::new(Host { files: files.to_vec(), ..Host::default() });
        let name = |name: &str| ContextName::new(name).unwrap();
        let outbox = |publisher: &&str| {
            Arc::new(OutboxElsewhere::new(name("shelf"), name(publisher), host.clone(), time.clock()))
        };
        Self { outboxes: PUBLISHERS.iter().map(outbox).collect(), host }
    }

    /// As the subscriber reads it. It is not to be woken, so no question waits: a seed gives the same history each
    /// time.
    pub fn outbox(&self, publisher: usize) -> Arc<dyn Outbox> {
        self.outboxes[publisher].clone()
    }

    /// Whether it is cut off now.
    pub fn cut_or_mend(&self) -> bool {
        !self.host.is_cut_off.fetch_xor(true, Relaxed)
    }

    pub fn mend(&self) {
        self.host.is_cut_off.store(false, Relaxed);
    }

    pub fn said(&self, publisher: usize) -> u64 {
        self.host.said.lock()[publisher]
    }

    pub fn hold(&self, source: &Source, at: u64) {
        let publisher = PUBLISHERS.iter().position(|name| *name == source.publisher).unwrap();
        self.outboxes[publisher].hold(INTERFACE, at).unwrap();
    }
}

impl Host {
    fn answer(&self, ask: &Ask) -> Asked {
        let publisher = PUBLISHERS.iter().position(|name| *name == ask.publisher.as_str()).unwrap();
        if self.is_cut_off.load(Relaxed) {
            return Err(Failure::Absent { context: ask.publisher.to_string(), reason: CUT_OFF.into() });
        }
        let file = &self.files[publisher];
        Ok(match ask.question {
            Question::Page { after, most, taken, .. } => {
                taken.into_iter().for_each(|taken| self.said.lock()[publisher] = taken);
                let kept = file.kept().unwrap();
                Reply::Page(Page { events: file.published(Some(&ask.interface), after, most).unwrap(), kept })
            }
            Question::Span { after, up_to, most } => {
                Reply::Span(file.span(&ask.interface, after, up_to, most).unwrap())
            }
            Question::Kinds { after } => Reply::Kinds(file.kinds(&ask.interface, after).unwrap()),
            Question::Bounds { at } => Reply::Bounds(file.bounds(&ask.interface, at).unwrap()),
        })
    }
}

impl Carrier for Host {
    fn carry(&self, _: Head, _: Bytes) -> Carrying {
        unreachable!("no call is made")
    }

    fn is_down(&self, _: &ContextName) -> bool {
        self.is_cut_off.load(Relaxed)
    }

    fn ask(&self, ask: Ask) -> Asking {
        Box::pin(std::future::ready(self.answer(&ask)))
    }
}
