//! Who handles events: a context in the sandbox. Tests and simulations put something else in its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use seam_runtime::call::{Call, Failure};
use seam_runtime::component::InterfaceName;
use seam_runtime::run::{Arrival, Export, Handled, Undelivered};
use seam_runtime::serve::Registry;
use seam_store::ids::Trace;
use seam_store::{Database, Error, Event, Transaction};

use crate::limits;

/// What the host notes of a delivery: gets what became of the first events, in order.
pub type Note<'n> = &'n mut dyn FnMut(&mut Transaction, &[Handled]) -> Result<(), Error>;

pub trait Handler {
    /// The file in which the handlers write and the host notes what is done.
    ///
    /// # Errors
    /// When there is none now.
    fn database(&self) -> Result<Arc<Database>, Failure>;

    /// Handles events in one transaction, in which `note` notes what became of the first ones. Returns how many those
    /// are, at least one.
    ///
    /// # Errors
    /// When nothing is written.
    fn handle(&self, events: &[&Event], note: Note<'_>) -> Result<usize, Undelivered>;
}

/// A context of the running system, or one of its variants.
pub struct ContextHandler {
    pub registry: Registry,
    pub context: String,
    handled: AtomicU64,
}

impl ContextHandler {
    pub fn new(registry: Registry, context: &str) -> Self {
        Self { registry, context: context.to_owned(), handled: AtomicU64::new(0) }
    }

    /// How many events have been handled.
    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }
}

impl Handler for ContextHandler {
    fn database(&self) -> Result<Arc<Database>, Failure> {
        let live = self.registry.live(&self.context)?;
        let generation = live.generation();
        if generation.out_of_service().is_some() {
            return Err(generation.absence());
        }
        generation.database().cloned().ok_or_else(|| generation.absence())
    }

    fn handle(&self, events: &[&Event], note: Note<'_>) -> Result<usize, Undelivered> {
        let live = self.registry.live(&self.context).map_err(Undelivered::Context)?;
        let generation = live.generation();
        let mut arrivals = Vec::with_capacity(events.len());
        // Most events are of one kind: it is looked up once.
        let mut kind = None;
        for event in events {
            let known = kind.filter(|(interface, function, _)| (*interface, *function) == names(event));
            let found = known.map(|(.., export)| export).or_else(|| export_for(generation.exports(), event));
            match found {
                Some((at, export)) => {
                    let (interface, function) = names(event);
                    kind = Some((interface, function, (at, export)));
                    arrivals.push(Arrival { export: at, data: &event.data, subject: event.subject.as_deref() });
                }
                // Those before it can be handled.
                None if !arrivals.is_empty() => break,
                None => {
                    let reason = format!("it does not take `{}.{}`", event.interface, event.function);
                    let failure = Failure::Absent { context: self.context.clone(), reason };
                    return Err(Undelivered::Event(0, failure));
                }
            }
        }
        let trace = events.first().and_then(|event| Trace::parse(&event.trace)).map_or_else(Trace::start, Trace::child);
        let call = Call::start(Instant::now() + Duration::from_millis(limits::EVENT_CALL_MS), trace);
        let handled = live.deliver(call, &arrivals, note)?;
        self.handled.fetch_add(handled as u64, Ordering::Relaxed);
        Ok(handled)
    }
}

fn names(event: &Event) -> (&str, &str) {
    (&event.interface, &event.function)
}

/// The export that takes `event`, with its position.
fn export_for<'e>(exports: &'e [Export], event: &Event) -> Option<(usize, &'e Export)> {
    let interface = InterfaceName::parse(&event.interface)?;
    let named = exports.iter().enumerate().filter(|(_, export)| export.function == event.function);
    interface.choose(named, |(_, export)| &export.interface)
}
