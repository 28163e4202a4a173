//! A context that lives on another host, as its callers see it.
//!
//! The rules for entering a callee are those of a callee in this process (`crossing`), with the share of the caller's
//! places. The limits of the context itself apply where it lives.
//! Not here: how the call gets there (`Carrier`), and what happens to it there (`serve::Inbound`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_store::blocking;
use seam_store::ids::ContextName;
use tokio::time::timeout_at;

use super::crossing::{self, Departure};
use super::{Carried, Carrier, Head};
use crate::call::{Call, ContextIndex, Failure};
use crate::guest::dispatch::{Answering, Dispatch, DispatchTable, Exchange, Function};
use crate::guest::joint::Joint;
use crate::limits;
use crate::two_phase::{Part, Reply, Settle};

pub(crate) struct RemoteCallee {
    pub index: ContextIndex,
    pub context: ContextName,
    /// All contexts of the system, by their index.
    pub names: Arc<[ContextName]>,
    pub carrier: Arc<dyn Carrier>,
    pub here: Arc<Here>,
}

/// The callee that serves a context now in the newest set of this host.
pub(crate) type Here = dyn Fn(&ContextName) -> Option<Arc<dyn Dispatch>> + Send + Sync;

impl RemoteCallee {
    fn head(&self, call: &Call, function: &Function, remaining: Duration) -> Head {
        let name = |index: &ContextIndex| self.names.get(usize::from(*index)).cloned();
        Head {
            context: self.context.clone(),
            interface: function.interface.clone(),
            function: function.name.clone(),
            signature: *function.digest(),
            remaining,
            trace: call.trace,
            chain: call.chain().iter().filter_map(name).collect(),
            visitor: call.affinity.key,
            forced: call.affinity.forced().filter_map(|index| name(&index)).collect(),
            bulk: call.bulk,
            part: None,
        }
    }

    fn settle(&self) -> Arc<Settle> {
        let carrier = self.carrier.clone();
        Arc::new(move |request| carrier.settle(request))
    }

    /// What the call says of the transaction that it is a part of.
    ///
    /// # Errors
    /// When the coordinator's host, if that is another one, does not count the call.
    async fn part(&self, joint: &Joint, caller: Option<&ContextName>) -> Result<Part, Failure> {
        let Some(request) = joint.joining(caller.unwrap_or(&self.context), &self.context) else {
            return Ok(joint.part_of(&self.context, || self.settle()));
        };
        let absent = |why: String| {
            let reason = format!(
                "it lives on a third host, and the host of `{}`, which began the transaction, does not take it in: {why}",
                request.coordinator
            );
            Failure::Absent { context: self.context.to_string(), reason }
        };
        match self.carrier.settle(request.clone()).await {
            Ok(Reply::Joined(before)) => Ok(joint.joined(before)),
            Ok(_) => Err(absent("it gives the answer to another question".to_owned())),
            Err(failure) => Err(absent(failure.to_string())),
        }
    }

    /// Waits for the answer, away from the places of the request.
    async fn carried(&self, head: Head, arguments: Vec<u8>, deadline: Instant, callees: &DispatchTable) -> Carried {
        let _away = callees.places().and_then(|places| places.away_for_callee());
        let timed_out = || Err(Failure::TimedOut { context: self.context.to_string() });
        tokio::select! {
            answer = timeout_at(deadline.into(), self.carrier.carry(head, arguments.into())) => {
                answer.unwrap_or_else(|_| timed_out())
            }
            () = crossing::cancelled(callees.cancel()) => timed_out(),
        }
    }
}

impl Dispatch for RemoteCallee {
    fn is_elsewhere(&self) -> bool {
        true
    }

    fn waits(&self, _: &Call) -> bool {
        true
    }

    /// What breaks while its host cannot be reached is not held against any version.
    fn store_fails(&self) -> bool {
        self.carrier.is_down(&self.context)
    }

    fn call(
        &self,
        call: Call,
        callees: &DispatchTable,
        function: &Function,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Failure> {
        blocking::block_on(self.call_async(call, callees, function, exchange))
    }

    fn call_async<'a>(
        &'a self,
        call: Call,
        callees: &'a DispatchTable,
        function: &'a Function,
        exchange: &'a mut dyn Exchange,
    ) -> Answering<'a> {
        Box::pin(async move {
            loop {
                let departure = crossing::depart((self.index, &self.context), &call, callees, function, exchange)?;
                let Departure { now, deadline, arguments } = departure;
                let mut head = self.head(&call, function, deadline - now);
                head.part = match callees.joint() {
                    Some(joint) => Some(self.part(joint, head.chain.last()).await?),
                    None => None,
                };
                let carried = self.carried(head, arguments, deadline, callees).await;
                let arrived = carried.and_then(|results| crossing::arrive(&self.context, &results, function, exchange));
                let Err(failure) = arrived else { return Ok(()) };
                let Failure::Moved { .. } = failure else {
                    crossing::lost(&self.context, callees, &failure);
                    return Err(failure);
                };
                // To this host, while the caller had a set from before.
                let here = (self.here)(&self.context).filter(|callee| !callee.is_elsewhere());
                if let Some(here) = here {
                    return here.call_async(call, callees, function, exchange).await;
                }
                tokio::time::sleep(Duration::from_millis(limits::MOVED_PAUSE_MS)).await;
            }
        })
    }
}
