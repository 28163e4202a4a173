//! A callee of this process as its callers would see it on another host.
//!
//! A call goes the way of a call to another host (`remote`): the rules of its caller's host, the codec there and back,
//! the deadline, a client that goes away. What `Fate` says happens to it on the way.
//! A synchronous caller waits on its own thread and keeps its places, as for a slow callee in this process. One that is
//! linked asynchronously holds no thread meanwhile, and gives its places to other calls.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use seam_store::blocking;
use seam_store::ids::ContextName;
use tokio::time::sleep_until;

use super::Pretence;
use super::draws::{Fate, Lost};
use crate::call::{Call, ContextIndex, Failure};
use crate::guest::dispatch::{Answering, Dispatch, DispatchTable, Exchange, Function};
use crate::limits;
use crate::link::Encoded;
use crate::remote::crossing::{self, Departure};
use crate::run::metrics::Pretended;

pub(crate) struct PretendedCallee {
    pub index: ContextIndex,
    pub context: ContextName,
    /// The callee itself.
    pub inner: Arc<dyn Dispatch>,
    /// By the index of the caller or of its variant.
    pub by_caller: Box<[Option<Arc<Pretence>>]>,
}

/// One call on its way.
struct Journey<'a> {
    callee: &'a PretendedCallee,
    pretence: &'a Pretence,
    fate: Fate,
    call: Call,
    arguments: Vec<u8>,
    /// Until when the caller waits for an answer.
    deadline: Instant,
    /// As the callee's host would have them.
    callees: DispatchTable,
    function: &'a Function,
    /// By how much pauses were longer than they were to be.
    late: Duration,
}

impl PretendedCallee {
    /// What is pretended on the edge of this call.
    fn pretence(&self, call: &Call) -> Option<&Pretence> {
        let caller = usize::from(*call.chain().last()?);
        let pretence = self.by_caller.get(caller)?.as_deref()?;
        (!pretence.ended.load(Relaxed)).then_some(pretence)
    }

    /// # Errors
    /// When the call would not leave its host.
    fn start<'a>(
        &'a self,
        pretence: &'a Pretence,
        mut call: Call,
        callees: &DispatchTable,
        function: &'a Function,
        exchange: &dyn Exchange,
    ) -> Result<Journey<'a>, Failure> {
        pretence.count(Pretended::Call);
        let fate = pretence.draws.next();
        let departed = crossing::depart((self.index, &self.context), &call, callees, function, exchange);
        let Departure { deadline, arguments, .. } = departed.inspect_err(|failure| {
            if matches!(failure, Failure::Absent { .. }) {
                pretence.count(Pretended::Unsendable);
            }
        })?;
        // When its caller gives up, the work for it ends there, too.
        call.deadline = deadline;
        let (mut there, late) = (callees.elsewhere(), Duration::ZERO);
        there.join(callees.joint().cloned());
        let callees = there;
        Ok(Journey { callee: self, pretence, fate, call, arguments, deadline, callees, function, late })
    }
}

impl Journey<'_> {
    fn timed_out(&self) -> Failure {
        Failure::TimedOut { context: self.callee.context.to_string() }
    }

    /// The end of a pause that starts now, and whether the caller still waits by then.
    fn pause(&self, time: Duration) -> (Instant, bool) {
        let until = Instant::now() + time.saturating_sub(self.late);
        (until.min(self.deadline), until < self.deadline)
    }

    /// How long a caller waits for a host that says nothing, and what it gets then.
    fn silence(&self) -> (Instant, Failure) {
        let noticed = Instant::now() + Duration::from_millis(limits::PRETENDED_SILENCE_MS);
        match noticed < self.deadline {
            true => {
                let reason = "the connection to its host was lost".to_owned();
                (noticed, Failure::Absent { context: self.callee.context.to_string(), reason })
            }
            false => (self.deadline, self.timed_out()),
        }
    }

    fn is_lost(&self, what: Lost) -> bool {
        let lost = self.fate.lost == Some(what);
        if lost {
            self.pretence.count(match what {
                Lost::Request => Pretended::LostRequest,
                Lost::Answer => Pretended::LostAnswer,
            });
        }
        lost
    }

    fn times(&self) -> usize {
        if !self.fate.twice {
            return 1;
        }
        self.pretence.count(Pretended::Repeated);
        2
    }

    fn encoded(&self) -> Encoded<'_> {
        Encoded::new(self.function, &self.arguments)
    }

    /// The bytes of an answer.
    fn answer(&self, exchange: &Encoded<'_>) -> Result<Vec<u8>, Failure> {
        let answer = exchange.answer_of(&self.callee.context, self.call.trace);
        answer.inspect_err(|_| self.pretence.count(Pretended::Unsendable))
    }

    fn arrive(&self, results: &[u8], exchange: &mut dyn Exchange) -> Result<(), Failure> {
        let arrived = crossing::arrive(&self.callee.context, results, self.function, exchange);
        arrived.inspect_err(|_| self.pretence.count(Pretended::Unsendable))
    }

    /// Waits on this thread. False when the client goes away first.
    fn wait(&mut self, until: Instant) -> bool {
        let is_cancelled = || self.callees.cancel().is_some_and(|cancel| cancel.is_given());
        let left = || until.saturating_duration_since(Instant::now());
        if left().is_zero() {
            return !is_cancelled();
        }
        let stays = blocking::block_in_place(|| {
            while !left().is_zero() && !is_cancelled() {
                std::thread::sleep(left().min(Duration::from_millis(limits::PRETENDED_LOOK_MS)));
            }
            !is_cancelled()
        });
        self.late = until.elapsed();
        stays
    }

    /// Waits without holding a thread.
    async fn wait_async(&mut self, until: Instant) -> bool {
        let stays = tokio::select! {
            () = sleep_until(until.into()) => true,
            () = crossing::cancelled(self.callees.cancel()) => false,
        };
        self.late = until.elapsed();
        stays
    }

    fn go(mut self, exchange: &mut dyn Exchange) -> Result<(), Failure> {
        let (until, in_time) = self.pause(self.fate.there);
        if self.is_lost(Lost::Request) {
            return Err(self.hear_nothing());
        }
        if !(self.wait(until) && in_time) {
            return Err(self.timed_out());
        }
        let mut answer = Err(self.timed_out());
        for _ in 0..self.times() {
            let mut encoded = self.encoded();
            let called = self.callee.inner.call(self.call, &self.callees, self.function, &mut encoded);
            answer = called.and_then(|()| self.answer(&encoded));
        }
        if self.is_lost(Lost::Answer) {
            return Err(self.hear_nothing());
        }
        let (until, in_time) = self.pause(self.fate.back);
        if !(self.wait(until) && in_time) {
            return Err(self.timed_out());
        }
        self.arrive(&answer?, exchange)
    }

    fn hear_nothing(&mut self) -> Failure {
        let (until, failure) = self.silence();
        if self.wait(until) { failure } else { self.timed_out() }
    }

    /// As `go`, for a caller that is linked asynchronously.
    async fn go_async(mut self, callees: &DispatchTable, exchange: &mut dyn Exchange) -> Result<(), Failure> {
        // The caller's host gives the places of a call that waits for another host to other calls.
        let _away = callees.places().and_then(|places| places.away_for_callee());
        let (until, in_time) = self.pause(self.fate.there);
        if self.is_lost(Lost::Request) {
            return Err(self.hear_nothing_async().await);
        }
        if !(self.wait_async(until).await && in_time) {
            return Err(self.timed_out());
        }
        let mut answer = Err(self.timed_out());
        for _ in 0..self.times() {
            let mut encoded = self.encoded();
            let called = self.callee.inner.call_async(self.call, &self.callees, self.function, &mut encoded).await;
            answer = called.and_then(|()| self.answer(&encoded));
        }
        if self.is_lost(Lost::Answer) {
            return Err(self.hear_nothing_async().await);
        }
        let (until, in_time) = self.pause(self.fate.back);
        if !(self.wait_async(until).await && in_time) {
            return Err(self.timed_out());
        }
        self.arrive(&answer?, exchange)
    }

    async fn hear_nothing_async(&mut self) -> Failure {
        let (until, failure) = self.silence();
        if self.wait_async(until).await { failure } else { self.timed_out() }
    }
}

impl Dispatch for PretendedCallee {
    fn store_fails(&self) -> bool {
        self.inner.store_fails()
    }

    fn waits(&self, call: &Call) -> bool {
        self.pretence(call).is_some() || self.inner.waits(call)
    }

    fn call(
        &self,
        call: Call,
        callees: &DispatchTable,
        function: &Function,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Failure> {
        match self.pretence(&call) {
            Some(pretence) => {
                let went = self.start(pretence, call, callees, function, exchange)?.go(exchange);
                went.inspect_err(|failure| crossing::lost(&self.context, callees, failure))
            }
            None => self.inner.call(call, callees, function, exchange),
        }
    }

    fn call_async<'a>(
        &'a self,
        call: Call,
        callees: &'a DispatchTable,
        function: &'a Function,
        exchange: &'a mut dyn Exchange,
    ) -> Answering<'a> {
        let Some(pretence) = self.pretence(&call) else {
            return self.inner.call_async(call, callees, function, exchange);
        };
        Box::pin(async move {
            let journey = self.start(pretence, call, callees, function, exchange)?;
            let went = journey.go_async(callees, exchange).await;
            went.inspect_err(|failure| crossing::lost(&self.context, callees, failure))
        })
    }
}
