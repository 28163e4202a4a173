//! Calls that come from other hosts, into the set that serves here, and questions about the outboxes of its contexts.
//!
//! A call from another host is one like any other: it takes the set that serves now, the variant that its visitor gets,
//! and the limits of the context. Its chain goes on from the contexts that it ran through elsewhere.
//! Not here: whether the other host may call (the crate `seam`, `remote`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use seam_store::blocking;
use seam_store::ids::ContextName;

use super::asked;
use super::in_doubt;
use super::registry::Registry;
use super::serving_set::ServingSet;
use crate::call::{Affinity, Call, Failure};
use crate::guest::admission::FunctionId;
use crate::guest::branches::Entered;
use crate::guest::bulkhead::Callee;
use crate::guest::cut_off::CutOff;
use crate::guest::dispatch::Function;
use crate::limits;
use crate::link::Encoded;
use crate::remote::{Answers, Ask, Asking, Carrying, Head};
use crate::two_phase::{Reply, Replying, Request, Step};

/// The contexts of this host, as other hosts call them.
pub struct Inbound {
    registry: Registry,
    /// By context, interface and name: what the last call of it looked up.
    functions: Mutex<HashMap<(String, String, String), Arc<Function>>>,
}

impl Inbound {
    pub fn new(registry: Registry) -> Self {
        Self { registry, functions: Mutex::default() }
    }

    /// The function as its caller knows it.
    ///
    /// # Errors
    /// When the version that serves has no such function, or one of another type.
    fn function(&self, set: &ServingSet, head: &Head) -> Result<Arc<Function>, Failure> {
        let generation = set.generation(head.context.as_str())?;
        // What was known of it is of a time when it lived here.
        if generation.lives_elsewhere().is_some() {
            return Err(generation.absence());
        }
        let key = (head.context.to_string(), head.interface.to_string(), head.function.clone());
        let mut functions = self.functions.lock();
        if let Some(known) = functions.get(&key).filter(|known| *known.digest() == head.signature) {
            return Ok(known.clone());
        }
        let absent = |reason: String| Failure::Absent { context: head.context.to_string(), reason };
        let Head { interface, function, .. } = head;
        let export = generation.export(interface, function);
        let export = export.ok_or_else(|| absent(format!("its running version has no `{interface}.{function}`")))?;
        let id = FunctionId::new(&interface.path, function);
        let callee = Callee { context: generation.index, function: Some(id) };
        let found = Function::new(callee, interface.clone(), function.clone(), export.signature.clone());
        if *found.digest() != head.signature {
            let reason = format!("`{interface}.{function}` has another type there than its caller knows");
            return Err(absent(reason));
        }
        // Callers choose the versions of the interfaces that they ask for.
        if functions.len() >= limits::INBOUND_FUNCTIONS_MAX {
            functions.clear();
        }
        let found = Arc::new(found);
        functions.insert(key, found.clone());
        Ok(found)
    }
}

/// The call as it goes on in this host.
///
/// # Errors
/// When the two hosts do not run the same contexts.
fn arrived(set: &ServingSet, head: &Head, now: Instant) -> Result<Call, Failure> {
    let context = || head.context.to_string();
    let index = |name: &ContextName| {
        let reason = format!("the call comes through `{name}`, which this host does not know");
        set.by_name.get(name).copied().ok_or_else(|| Failure::Absent { context: context(), reason })
    };
    let mut affinity = Affinity::of_key(head.visitor);
    for variant in &head.forced {
        // One that is not loaded here answers nothing, as in one host.
        set.by_name.get(variant).into_iter().for_each(|index| affinity.force(*index));
    }
    let mut call = Call::start(now + head.remaining, head.trace.child());
    (call.affinity, call.bulk) = (affinity, head.bulk);
    for passed in &head.chain {
        let refused = |reason| Failure::Refused { context: context(), reason };
        call = call.enter(index(passed)?).map_err(refused)?;
    }
    Ok(call)
}

impl Inbound {
    /// The branch on this host of the transaction over several files that the call is a part of.
    ///
    /// # Errors
    /// When the call cannot be a part of it.
    fn entered(&self, set: &ServingSet, head: &Head) -> Result<Option<Entered>, Failure> {
        let Some(part) = &head.part else { return Ok(None) };
        // The manifest is the same on both hosts.
        let participants = &set.generation(part.coordinator.as_str())?.spec().settings.two_phase;
        let branches = self.registry.0.stores.branches();
        let entered = branches.enter(part, &head.context, participants, head.trace.to_string());
        entered.map(Some).map_err(|reason| Failure::Absent { context: head.context.to_string(), reason })
    }

    /// Counts a call that a participant on another host makes in a transaction of this one.
    fn join(&self, request: &Request, callee: &ContextName) -> Result<Reply, Failure> {
        let absent = |reason: String| Failure::Absent { context: request.coordinator.to_string(), reason };
        // Its file may be held by the transaction already, under the coordinator's own call.
        if self.registry.serving().generation(callee.as_str())?.lives_elsewhere().is_none() {
            let why = "lives on the host of the transaction's coordinator, which alone may call it in this transaction";
            return Err(absent(format!("`{callee}` {why}: let `{}` call it", request.coordinator)));
        }
        self.registry.transactions().join(&request.transaction, callee).map(Reply::Joined).map_err(absent)
    }

    fn decision(&self, request: &Request) -> Result<Reply, Failure> {
        let set = self.registry.serving();
        let generation = set.generation(request.coordinator.as_str())?;
        if generation.lives_elsewhere().is_some() {
            return Err(generation.absence());
        }
        let absent = |reason: String| Failure::Absent { context: request.coordinator.to_string(), reason };
        let database = generation.database().ok_or_else(|| absent("it has no store".to_owned()))?;
        in_doubt::decision(self.registry.transactions(), database, &request.transaction)
            .map_err(|error| absent(error.to_string()))
    }
}

impl Answers for Inbound {
    fn answer(self: Arc<Self>, head: Head, arguments: Bytes, cancel: Arc<CutOff>) -> Carrying {
        Box::pin(async move {
            let set = self.registry.serving();
            let function = self.function(&set, &head)?;
            let call = arrived(&set, &head, Instant::now())?;
            let entered = self.entered(&set, &head)?;
            let mut callees = set.callees.cancelled_by(cancel);
            callees.join(entered.as_ref().map(|entered| entered.joint().clone()));
            let context = || head.context.to_string();
            let absent = || Failure::Absent { context: context(), reason: "it is not loaded".into() };
            let callee = callees.get(usize::from(function.callee.context)).ok_or_else(absent)?;
            let mut exchange = Encoded::from_elsewhere(&function, &arguments);
            callee.call_async(call, &callees, &function, &mut exchange).await?;
            exchange.answer_of(&head.context, head.trace).map(Bytes::from)
        })
    }

    fn ask(self: Arc<Self>, ask: Ask) -> Asking {
        Box::pin(async move { asked::answer(&self.registry, ask).await })
    }

    fn settle(self: Arc<Self>, request: Request) -> Replying {
        Box::pin(async move {
            blocking::block_in_place(|| match request.step {
                Step::AskDecision => self.decision(&request),
                Step::Join { ref callee } => self.join(&request, callee),
                _ => {
                    let stores = &self.registry.0.stores;
                    let waits = |context: &ContextName| stores.waits(context, &request.transaction);
                    let settled = stores.branches().settle(&request, waits);
                    let context = || request.participant.to_string();
                    settled.map_err(|reason| Failure::Absent { context: context(), reason })
                }
            })
        })
    }
}
