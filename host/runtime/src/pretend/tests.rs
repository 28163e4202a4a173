//! Calls that are pretended to cross hosts, with a callee that notes what it performs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::Registry;
use seam_store::ids::{ContextName, Trace};
use wasmtime::component::Val;

use super::callee::PretendedCallee;
use super::{Edge, Order, Pretence, PretenceStatus, Pretences, parse};
use crate::call::{Call, ContextIndex, Failure};
use crate::guest::bulkhead::Callee;
use crate::guest::cut_off::CutOff;
use crate::guest::dispatch::{Dispatch, DispatchTable, Exchange, Function, Values};
use crate::guest::joint::Joint;
use crate::guest::transactions::Transactions;
use crate::interface_name::InterfaceName;
use crate::limits;
use crate::run::metrics::Metrics;
use crate::samples::signature;

const CALLER: ContextIndex = 0;
const CALLEE: ContextIndex = 1;
const LONG: Duration = Duration::from_secs(600);

/// Answers the n-th call with `n`, and notes what each was given, and until when it could take.
#[derive(Default)]
struct Noting(Mutex<Vec<(Vec<Val>, Instant)>>);

impl Dispatch for Noting {
    fn call(
        &self,
        call: Call,
        _: &DispatchTable,
        function: &Function,
        exchange: &mut dyn Exchange,
    ) -> Result<(), Failure> {
        let mut noted = self.0.lock();
        noted.push((exchange.params(function).unwrap(), call.deadline));
        exchange.answer(vec![answer(&noted.len().to_string())]).unwrap();
        Ok(())
    }
}

fn text(text: &str) -> Val {
    Val::String(text.to_owned())
}

fn answer(value: &str) -> Val {
    Val::Result(Ok(Some(Box::new(text(value)))))
}

/// An edge with `order` on it.
struct Scene {
    callee: PretendedCallee,
    pretence: Arc<Pretence>,
    performed: Arc<Noting>,
    function: Function,
}

impl Scene {
    fn new(order: &str) -> Self {
        let Order::Pretend { terms, seed, .. } = parse(&format!("a->b {order}")).unwrap() else { panic!("{order}") };
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let edge = Edge { caller: ContextName::new("a").unwrap(), callee: ContextName::new("b").unwrap() };
        let pretence = Arc::new(Pretence::new(edge, terms, seed.unwrap_or(1), &metrics));
        let performed = Arc::new(Noting::default());
        let callee = PretendedCallee {
            index: CALLEE,
            context: ContextName::new("b").unwrap(),
            inner: performed.clone(),
            by_caller: Box::new([Some(pretence.clone()), None, None]),
        };
        let wit = "variant error { unavailable(string) } f: func(text: string) -> result<string, error>;";
        let (callee_is, interface) =
            (Callee { context: CALLEE, function: None }, InterfaceName::parse("t:t/seam@0.1.0").unwrap());
        let function = Function::new(callee_is, interface, "f".to_owned(), signature(wit));
        Self { callee, pretence, performed, function }
    }

    /// Calls it with `value`, as `caller`, inline or asynchronously.
    fn call_of(
        &self,
        caller: ContextIndex,
        time: Duration,
        callees: &DispatchTable,
        value: Val,
        inline: bool,
    ) -> Result<Val, Failure> {
        let call = Call::start(Instant::now() + time, Trace::start()).enter(caller).unwrap();
        let (params, mut results) = ([value], [Val::Bool(false)]);
        let mut exchange = Values { params: &params, results: &mut results };
        match inline {
            true => self.callee.call(call, callees, &self.function, &mut exchange)?,
            false => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(self.callee.call_async(call, callees, &self.function, &mut exchange))?;
            }
        }
        let [result] = results;
        Ok(result)
    }

    fn call(&self, time: Duration, inline: bool) -> Result<Val, Failure> {
        self.call_of(CALLER, time, &DispatchTable::default(), text("hello"), inline)
    }

    fn performed(&self) -> usize {
        self.performed.0.lock().len()
    }

    fn status(&self) -> PretenceStatus {
        self.pretence.status()
    }
}

const BOTH: [bool; 2] = [true, false];
const SHORT: Duration = Duration::from_millis(30);

#[test]
fn a_call_arrives_as_it_was_sent_no_sooner_than_its_latency_and_must_end_with_its_caller() {
    for inline in BOTH {
        let scene = Scene::new("latency=4ms");
        let started = Instant::now();
        assert_eq!(scene.call(LONG, inline).unwrap(), answer("1"));
        assert!(started.elapsed() >= Duration::from_millis(4));
        let noted = scene.performed.0.lock();
        let (params, deadline) = noted.first().unwrap();
        assert_eq!(params, &[text("hello")]);
        assert!(*deadline < started + LONG, "the caller keeps its reserve");
        assert_eq!((scene.status().calls, scene.status().unsendable), (1, 0));
    }
}

#[test]
fn a_lost_request_is_not_performed_and_a_lost_answer_is_and_both_time_out() {
    for inline in BOTH {
        let scene = Scene::new("loss=100%");
        while scene.status().lost_requests == 0 || scene.status().lost_answers == 0 {
            let started = Instant::now();
            let failure = scene.call(SHORT, inline).unwrap_err();
            assert_eq!(failure.for_caller(), "`b` did not answer in time");
            assert!(started.elapsed() >= SHORT * (100 - limits::CALL_RESERVE_PERCENT) / 100, "it waited");
            let PretenceStatus { calls, lost_requests, lost_answers, .. } = scene.status();
            assert_eq!((calls, scene.performed()), (lost_requests + lost_answers, lost_answers as usize));
        }
    }
}

#[test]
fn a_latency_longer_than_the_caller_has_times_out_unperformed() {
    for inline in BOTH {
        let scene = Scene::new("latency=60s");
        assert!(matches!(scene.call(SHORT, inline), Err(Failure::TimedOut { .. })));
        assert_eq!(scene.performed(), 0);
    }
}

#[test]
fn a_duplicate_is_performed_twice_and_the_caller_gets_the_second_answer() {
    for inline in BOTH {
        let scene = Scene::new("duplicates=100%");
        assert_eq!(scene.call(LONG, inline).unwrap(), answer("2"));
        assert_eq!((scene.performed(), scene.status().repeated), (2, 1));
        let noted = scene.performed.0.lock();
        assert!(noted.iter().all(|(params, _)| params == &[text("hello")]));
    }
}

#[test]
fn what_could_not_be_sent_is_refused_in_the_words_of_a_call_to_another_host() {
    for inline in BOTH {
        let scene = Scene::new("latency=0ms");
        let large = text(&"x".repeat(limits::SEAM_MESSAGE_BYTES_MAX + 1));
        let failure = scene.call_of(CALLER, LONG, &DispatchTable::default(), large, inline).unwrap_err();
        let why = failure.for_caller();
        assert!(why.contains("the call of `t:t/seam@0.1.0.f` cannot be sent") && why.contains("is larger"), "{why}");
        assert_eq!((scene.performed(), scene.status().unsendable), (0, 1));
    }
}

#[test]
fn other_callers_and_an_edge_whose_pretence_has_ended_are_called_directly() {
    for inline in BOTH {
        let scene = Scene::new("loss=100%");
        let none = DispatchTable::default();
        assert_eq!(scene.call_of(2, LONG, &none, text("a"), inline).unwrap(), answer("1"));
        // A context that was added since.
        assert_eq!(scene.call_of(7, LONG, &none, text("b"), inline).unwrap(), answer("2"));
        scene.pretence.ended.store(true, Relaxed);
        assert_eq!(scene.call(LONG, inline).unwrap(), answer("3"));
        assert_eq!(scene.status().calls, 0);
    }
}

#[test]
fn the_rules_of_a_call_to_another_host_hold() {
    for inline in BOTH {
        let scene = Scene::new("latency=0ms");
        let refused = |callees: &DispatchTable| {
            let failure = scene.call_of(CALLER, LONG, callees, text("a"), inline).unwrap_err();
            assert!(matches!(failure, Failure::Refused { .. }), "{failure}");
        };
        let mut joint = DispatchTable::default();
        let turn = Arc::new(Transactions::default()).turn(Instant::now() + LONG).unwrap();
        joint.join(Some(Joint::new(&scene.callee.context, &Arc::from([]), String::new(), turn)));
        refused(&joint);
        let itself = scene.call_of(CALLEE, LONG, &DispatchTable::default(), text("a"), inline);
        assert!(itself.is_ok(), "nothing is pretended of its own calls");
        assert_eq!(scene.performed(), 1);
    }
}

#[test]
fn a_client_that_goes_away_ends_the_wait() {
    for inline in BOTH {
        for order in ["latency=60s", "loss=100%"] {
            let scene = Scene::new(order);
            let cancel = Arc::new(CutOff::default());
            cancel.give();
            let callees = DispatchTable::default().cancelled_by(cancel);
            let outcome = scene.call_of(CALLER, LONG, &callees, text("a"), inline);
            assert!(matches!(outcome, Err(Failure::TimedOut { .. })), "{outcome:?}");
        }
    }
}

#[test]
fn a_thousand_asynchronous_calls_wait_on_one_thread() {
    let scene = Scene::new("latency=60s");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let callees = DispatchTable::default();
    let mut exchanges: Vec<_> = (0..1_000).map(|_| ([text("a")], [Val::Bool(false)])).collect();
    runtime.block_on(async {
        let call = Call::start(Instant::now() + LONG, Trace::start()).enter(CALLER).unwrap();
        let waiting = exchanges.iter_mut().map(|(params, results)| {
            let (scene, callees) = (&scene, &callees);
            async move {
                let mut exchange = Values { params, results };
                scene.callee.call_async(call, callees, &scene.function, &mut exchange).await
            }
        });
        let mut waiting = pin!(futures::future::join_all(waiting));
        let waits = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
        assert!(waits);
    });
    assert_eq!((scene.status().calls, scene.performed()), (1_000, 0));
}

#[test]
fn a_pretence_replaces_the_one_before_and_ends_by_name() {
    let (all, metrics) = (Pretences::default(), Metrics::new(&Registry::new()).unwrap());
    let names = ["a", "b", "c"].map(|name| ContextName::new(name).unwrap());
    let [a, b, c] = &names;
    let start = |caller: &ContextName, callee: &ContextName, order: &str| {
        let Order::Pretend { terms, seed, .. } = parse(&format!("x->y {order}")).unwrap() else { panic!("{order}") };
        let edge = Edge { caller: caller.clone(), callee: callee.clone() };
        all.start(edge, terms, seed.unwrap(), &metrics);
    };
    start(a, b, "loss=1% seed=1");
    start(c, b, "loss=1% seed=2");
    start(a, c, "loss=1% seed=3");
    let before = all.of(b).remove(a).unwrap();
    start(a, b, "loss=2% seed=4");
    assert!(before.ended.load(Relaxed));
    let seeds = |edges: &[PretenceStatus]| edges.iter().map(|edge| edge.seed).collect::<Vec<_>>();
    assert_eq!(seeds(&all.list()), [4, 3, 2]);
    assert_eq!(all.of(b).keys().collect::<Vec<_>>(), [a, c]);
    let Order::End { edges } = parse("*->b off").unwrap() else { panic!("an end") };
    assert_eq!((seeds(&all.end(&edges)), seeds(&all.list())), (vec![4, 2], vec![3]));
    assert!(all.of(b).is_empty());
}
