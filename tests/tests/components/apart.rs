//! A context that lives on another host: its callers cannot tell, and those that wait for it hold nothing that others
//! need. Without a network: `seam_tests::apart`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use seam_runtime::codec;
use seam_runtime::remote::{Answers, Head};
use seam_runtime::serve::{Inbound, Registry};
use seam_store::ids::{ContextName, Trace};
use seam_tests::apart::Apart;
use seam_tests::caller_callee::{asking, numbers};
use seam_tests::wait::{TIMEOUT, until};
use seam_tests::{System, call, unavailable};
use wasmtime::component::Val;

const MS: u64 = 20_000;

/// `asking` asks `numbers`.
fn system(limits: &str) -> Result<System> {
    let asking_lines = format!("imports = [\"t:numbers/numbers@0.1.0\"]\nstore = true\n{limits}");
    System::new().context("numbers", &numbers(), "")?.context("asking", &asking(), &asking_lines)
}

fn ask(registry: &Registry, n: u32) -> Result<Val> {
    call(registry, "asking", "ask", &[Val::U32(n)], MS)
}

#[test]
fn a_caller_gets_the_same_from_a_context_on_another_host_as_from_one_beside_it() -> Result<()> {
    let together = system("")?;
    let beside = together.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let system = system("")?;
    let Apart { here, wire, there, .. } = &system.start_apart(&["numbers"])?;
    // A value, an error of its own, a trap.
    for n in [4, 5, 13, 6] {
        assert_eq!(ask(here, n)?, ask(&beside, n)?, "{n}");
    }
    assert_eq!(call(here, "numbers", "twice", &[Val::U32(8)], MS)?, Val::Result(Ok(Some(Box::new(Val::U32(16))))));
    assert!(here.live("numbers")?.generation().database().is_none());
    assert_eq!(there.live("numbers")?.generation().metrics.calls(), 9, "all were answered there");
    let heads = wire.heads.lock();
    let head = heads.first().context("no call")?;
    let chain: Vec<&str> = head.chain.iter().map(ContextName::as_str).collect();
    assert_eq!((head.context.as_str(), head.function.as_str(), chain), ("numbers", "twice", vec!["asking"]));
    assert!(head.remaining > Duration::ZERO && head.remaining < Duration::from_millis(MS));
    Ok(())
}

#[test]
fn a_host_that_is_gone_or_silent_is_unavailable_in_time() -> Result<()> {
    let system = system("")?;
    let Apart { here, wire, .. } = &system.start_apart(&["numbers"])?;
    wire.down.store(true, Ordering::SeqCst);
    let gone = ask(here, 4)?;
    assert_eq!(unavailable(&gone), Some("`numbers` is not available: its host cannot be reached"));
    wire.down.store(false, Ordering::SeqCst);
    wire.close();
    let silent = call(here, "asking", "ask", &[Val::U32(4)], 3_000)?;
    assert_eq!(unavailable(&silent), Some("`numbers` did not answer in time"));
    wire.open();
    assert_eq!(ask(here, 4)?, Val::Result(Ok(Some(Box::new(Val::U32(8))))));
    Ok(())
}

fn eventually(what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    until(TIMEOUT, || Ok(if holds()? { Ok(()) } else { Err(format!("not so: {what}")) }))
}

/// A thread with stack for guests.
fn guest_thread<'s, T: Send + 's>(
    scope: &'s std::thread::Scope<'s, '_>,
    work: impl FnOnce() -> T + Send + 's,
) -> Result<std::thread::ScopedJoinHandle<'s, T>> {
    Ok(std::thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, work)?)
}

/// A call of `asking.FUNCTION` that comes from outside, as bytes.
fn asked(here: &Registry, function: &str, n: Option<u32>) -> Result<(Head, Bytes)> {
    let live = here.live("asking")?;
    let exports = live.generation().exports();
    let export = exports.iter().find(|export| export.function == function).context("no such function")?;
    let types: Vec<_> = export.signature.params().map(|(_, ty)| ty).collect();
    let mut arguments = Vec::new();
    codec::encode(&n.map(Val::U32).into_iter().collect::<Vec<_>>(), &types, &mut arguments)?;
    let head = Head {
        context: ContextName::new("asking").context("a name")?,
        interface: export.interface.clone(),
        function: function.to_owned(),
        signature: codec::digest(&export.signature),
        remaining: Duration::from_millis(MS),
        trace: Trace::start(),
        chain: Vec::new(),
        visitor: 1,
        forced: Vec::new(),
        bulk: false,
        part: None,
    };
    Ok((head, arguments.into()))
}

/// With a runtime of two workers and two more threads, so that a call that held one would hold up the others.
#[test]
fn a_thousand_calls_that_wait_for_another_host_hold_no_thread_and_hold_up_no_other_call() -> Result<()> {
    const CALLS: usize = 1_000;
    // One function has half of the callee's share, so half of the calls wait on the way into the callee.
    let limits = "limits = { concurrency = 1000, queue = 2000, per_callee = 1000, context_memory_mb = 4096, \
                  instance_memory_mb = 1 }";
    let system = system(limits)?;
    let Apart { here, wire, .. } = &system.start_apart(&["numbers"])?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(2)
        .thread_stack_size(16 << 20)
        .enable_all()
        .build()?;
    let inbound = Arc::new(Inbound::new(here.clone()));
    let answer = |(head, arguments)| runtime.spawn(inbound.clone().answer(head, arguments, Arc::default()));
    wire.close();
    let waiting: Vec<_> = (0..CALLS).map(|_| Ok(answer(asked(here, "ask", Some(6))?))).collect::<Result<_>>()?;
    let under_way = || -> Result<u32> { Ok(here.live("asking")?.generation().occupancy().0) };
    eventually("half of the calls wait for the other host, and half to be sent there", || {
        Ok(under_way()? as usize == CALLS && wire.waiting.load(Ordering::SeqCst) == CALLS / 2)
    })?;
    for _ in 0..10 {
        let other = runtime.block_on(answer(asked(here, "count", None)?))?;
        ensure!(other.is_ok(), "a call that does not ask the other host: {other:?}");
    }
    assert_eq!(under_way()? as usize, CALLS, "and they still wait");
    wire.open();
    for call in waiting {
        let results = runtime.block_on(call)?.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        assert_eq!(results.to_vec(), [0, 12], "ok(12)");
    }
    Ok(())
}

#[test]
fn a_caller_that_goes_away_ends_the_work_on_the_other_side() -> Result<()> {
    let system = System::new().context("numbers", &numbers(), "")?.context(
        "asking",
        &asking(),
        "imports = [\"t:numbers/numbers@0.1.0\"]\nstore = true",
    )?;
    let Apart { here, wire, runtime, .. } = &system.start_apart(&["numbers"])?;
    let inbound = Arc::new(Inbound::new(here.clone()));
    wire.close();
    let cancel = Arc::new(seam_runtime::guest::cut_off::CutOff::default());
    let (head, arguments) = asked(here, "ask", Some(6))?;
    let call = runtime.spawn(inbound.answer(head, arguments, cancel.clone()));
    eventually("the call waits", || Ok(wire.waiting.load(Ordering::SeqCst) == 1))?;
    cancel.give();
    let ended = runtime.block_on(call)?;
    assert!(ended.is_err() || ended.is_ok_and(|results| results.first() == Some(&1)), "it has no answer");
    assert_eq!(wire.waiting.load(Ordering::SeqCst), 0, "and waits no longer");
    eventually("its place is free", || Ok(here.live("asking")?.generation().occupancy().0 == 0))?;
    Ok(())
}

#[test]
fn a_context_moves_to_another_host_while_it_is_called_and_no_call_fails() -> Result<()> {
    let system = system("")?;
    // `there` has no caller of its own: what it answers came from `here`.
    let Apart { here, there, .. } = &system.start_apart(&["elsewhere-at-first"])?;
    let numbers = ContextName::new("numbers").context("a name")?;
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let asks = |n: u32| {
        while !stop.load(Ordering::SeqCst) {
            assert_eq!(ask(here, n)?, Val::Result(Ok(Some(Box::new(Val::U32(2 * n))))));
            asked.fetch_add(1, Ordering::SeqCst);
        }
        anyhow::Ok(())
    };
    std::thread::scope(|scope| {
        let callers = [4, 6, 8].map(|n| guest_thread(scope, move || asks(n)));
        let more = |than: usize| eventually("calls are answered", || Ok(asked.load(Ordering::SeqCst) > than + 20));
        let moved = (|| {
            more(0)?;
            let arrived = there.prepare(there.specs_with(&numbers, None, 0))?;
            there.publish(arrived)?;
            let leaves = here.prepare(here.specs_with(&numbers, Some("there"), 2))?;
            let held = here.hold_calls(&numbers);
            eventually("no call runs here", || Ok(held.running() == 0))?;
            let before = here.live("numbers")?.generation().metrics.calls();
            eventually("the next calls wait", || Ok(held.waiting() > 0))?;
            here.publish(leaves)?;
            held.go_to("there", 2)?;
            more(asked.load(Ordering::SeqCst))?;
            ensure!(there.live("numbers")?.generation().metrics.calls() > 20, "they are answered there");
            ensure!(here.live("numbers")?.generation().metrics.calls() == before, "and not here");
            Ok(())
        })();
        stop.store(true, Ordering::SeqCst);
        callers
            .into_iter()
            .try_for_each(|caller| caller?.join().map_err(|_| anyhow::anyhow!("a caller panicked"))?)?;
        moved
    })
}

#[test]
fn a_move_that_is_given_up_lets_the_calls_that_waited_run_here() -> Result<()> {
    let system = system("")?;
    let here = &system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let numbers = ContextName::new("numbers").context("a name")?;
    std::thread::scope(|scope| {
        let held = here.hold_calls(&numbers);
        let caller = guest_thread(scope, || ask(here, 4))?;
        eventually("the call waits", || Ok(held.waiting() == 1))?;
        drop(held);
        let answer = caller.join().map_err(|_| anyhow::anyhow!("the caller panicked"))??;
        ensure!(answer == Val::Result(Ok(Some(Box::new(Val::U32(8))))), "{answer:?}");
        Ok(())
    })
}

#[test]
fn both_hosts_record_a_call_and_it_keeps_its_trace() -> Result<()> {
    let system = system("")?;
    let Apart { here, there, wire, .. } = &system.start_apart(&["numbers"])?;
    let recorder =
        |registry: &Registry, name| Ok::<_, anyhow::Error>(registry.live(name)?.generation().recorder.clone());
    ensure!(recorder(here, "asking")?.start_log(false) && recorder(there, "numbers")?.start_log(false));
    ask(here, 2)?;
    let asked = recorder(here, "asking")?.stop_log().context("no log")?.calls;
    let answered = recorder(there, "numbers")?.stop_log().context("no log")?.calls;
    let outgoing: Vec<usize> = asked.iter().map(|call| call.outgoing.len()).collect();
    assert_eq!((outgoing, answered.len()), (vec![2], 2), "the call asks twice");
    ensure!(answered.iter().all(|call| call.answered()));
    let heads = wire.heads.lock();
    let traces: Vec<u128> = heads.iter().map(|head| head.trace.trace_id).collect();
    ensure!(traces.len() == 2 && traces[0] == traces[1] && traces[0] != 0, "{traces:?}");
    Ok(())
}
