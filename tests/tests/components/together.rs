//! Calls side by side: `seam:host/together`, between real components, on two hosts and where hosts are pretended.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use seam_runtime::pretend::parse;
use seam_runtime::run::recorder::{CallData, RecordedCall};
use seam_runtime::serve::Registry;
use seam_tests::apart::Apart;
use seam_tests::call;
use seam_tests::gathering::{ASKED, ERROR, system};
use seam_tests::wait::{TIMEOUT, until};
use wasmtime::component::Val;

const MS: u64 = 20_000;

fn gather(registry: &Registry, function: &str, numbers: &[u32]) -> Result<u32> {
    let params: Vec<Val> = numbers.iter().map(|n| Val::U32(*n)).collect();
    let answer = call(registry, "gathering", function, &params, MS)?;
    let Val::Result(Ok(Some(sum))) = &answer else { anyhow::bail!("{answer:?}") };
    let Val::U32(sum) = **sum else { anyhow::bail!("{answer:?}") };
    Ok(sum)
}

/// `work` beside a closed wire, which is opened once so many calls wait.
fn while_waiting<T: Send>(apart: &Apart, calls: usize, work: impl FnOnce() -> T + Send) -> Result<T> {
    apart.wire.close();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, work)?;
        let waited = until(TIMEOUT, || {
            let waiting = apart.wire.waiting.load(Ordering::SeqCst);
            Ok(if waiting == calls { Ok(()) } else { Err(format!("{waiting} calls wait")) })
        });
        apart.wire.open();
        let done = thread.join().map_err(|_| anyhow::anyhow!("it panicked"));
        waited.and(done)
    })
}

#[test]
fn calls_of_three_contexts_wait_for_their_host_at_the_same_time() -> Result<()> {
    let system = system("")?;
    let apart = system.start_apart(&ASKED)?;
    let sum = while_waiting(&apart, 3, || gather(&apart.here, "ask", &[2, 4, 6]))??;
    assert_eq!(sum, 24);
    assert_eq!(apart.wire.heads.lock().len(), 3, "each is made once");
    // One trace, and each called by the context itself.
    let heads = apart.wire.heads.lock();
    assert!(heads.iter().all(|head| head.trace.trace_id == heads[0].trace.trace_id && head.chain.len() == 1));
    Ok(())
}

#[test]
fn a_call_that_fails_stops_none_of_the_others() -> Result<()> {
    let system = system("")?;
    let apart = system.start_apart(&ASKED)?;
    assert_eq!(gather(&apart.here, "ask", &[2, 5, 6])?, 16 + ERROR, "an error of its own");
    assert_eq!(gather(&apart.here, "ask", &[2, 4, 13])?, 12 + ERROR, "a trap");
    apart.wire.cut();
    assert_eq!(gather(&apart.here, "ask", &[2, 4, 6])?, 3 * ERROR, "no host");
    apart.wire.mend();
    assert_eq!(gather(&apart.here, "ask", &[2, 4, 6])?, 24);
    Ok(())
}

#[test]
fn contexts_of_this_process_are_asked_while_those_of_another_are_waited_for() -> Result<()> {
    let system = system("")?;
    let apart = system.start_apart(&["two"])?;
    let here = |name: &str| apart.here.live(name).map(|live| live.generation().metrics.calls());
    let sum = while_waiting(&apart, 1, || gather(&apart.here, "ask", &[2, 4, 6]))??;
    assert_eq!((sum, here("one")?, here("three")?), (24, 1, 1));
    // Without any other host nothing is kept, and each call is made once, in its turn.
    let beside = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    assert_eq!((gather(&beside, "pays", &[])?, gather(&apart.here, "pays", &[])?), (0, 1));
    assert_eq!(
        (gather(&beside, "ask", &[2, 5, 6])?, gather(&apart.here, "ask", &[2, 5, 6])?),
        (16 + ERROR, 16 + ERROR)
    );
    Ok(())
}

#[test]
fn no_more_calls_are_made_together_than_are_allowed_and_the_rest_follows() -> Result<()> {
    let system = system("")?;
    let apart = system.start_apart(&ASKED)?;
    let sum = while_waiting(&apart, 8, || gather(&apart.here, "many", &[10]))??;
    assert_eq!((sum, apart.wire.heads.lock().len()), ((0..10).map(|n| n * 4).sum(), 10));
    Ok(())
}

/// Half of a share of four is for one function.
#[test]
fn each_call_of_a_batch_counts_for_its_callee_and_none_stays_counted() -> Result<()> {
    let system = system("limits = { concurrency = 8, per_callee = 4 }")?;
    let apart = system.start_apart(&ASKED)?;
    let sum = while_waiting(&apart, 2, || gather(&apart.here, "many", &[6]))??;
    assert_eq!(sum, 60);
    let live = apart.here.live("gathering")?;
    assert_eq!(live.generation().callee_loads().iter().map(|load| load.inside + load.waiting).sum::<u32>(), 0);
    assert_eq!(live.generation().occupancy().0, 0);
    Ok(())
}

#[test]
fn a_call_that_was_not_kept_is_made_and_an_answer_goes_to_its_own_call() -> Result<()> {
    let system = system("")?;
    let apart = system.start_apart(&ASKED)?;
    assert_eq!(gather(&apart.here, "changing", &[2, 40])?, 84);
    assert_eq!(apart.wire.heads.lock().len(), 2);
    Ok(())
}

/// The calls that the recorded calls made, with their answers.
fn made(calls: &[RecordedCall]) -> Vec<String> {
    let text = |call: &RecordedCall| {
        let CallData::Function { function, .. } = &call.data else { return String::new() };
        let made = call.outgoing.iter().map(|made| {
            let outcome = made.outcome.as_ref().map_err(ToString::to_string);
            format!("{}({:?}) {outcome:?}", made.interface, made.params)
        });
        format!("{function}: {}", made.collect::<Vec<_>>().join("; "))
    };
    calls.iter().map(text).collect()
}

#[test]
fn the_record_of_a_batch_is_that_of_calls_one_after_the_other() -> Result<()> {
    let system = system("")?;
    let beside = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let record = |registry: &Registry, work: &dyn Fn() -> Result<()>| -> Result<Vec<RecordedCall>> {
        let recorder = registry.live("gathering")?.generation().recorder.clone();
        ensure!(recorder.start_log(false), "it records already");
        work()?;
        Ok(recorder.stop_log().map(|log| log.calls).unwrap_or_default())
    };
    let apart = system.start_apart(&ASKED)?;
    let ask = |registry: &Registry| record(registry, &|| gather(registry, "ask", &[2, 5, 6]).map(drop));
    let (together, one_by_one) = (ask(&apart.here)?, ask(&beside)?);
    assert_eq!(made(&together), made(&one_by_one));
    assert_eq!(together[0].outgoing.len(), 3);
    let forgotten = record(&apart.here, &|| gather(&apart.here, "forgetting", &[2]).map(drop))?;
    assert_eq!(forgotten[0].outgoing.len(), 1, "a call whose answer is not fetched was made all the same");
    Ok(())
}

#[test]
fn three_slow_contexts_take_nearer_to_the_time_of_one_than_to_that_of_three() -> Result<()> {
    let system = system("")?;
    let registry = system.start()?.map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let pretend = |order: &str| registry.pretend(&parse(order).unwrap(), || 7).map(drop);
    // The best of some, as the machine may be busy.
    let time = || -> Result<Duration> {
        let once = |_| {
            let started = Instant::now();
            assert_eq!(gather(&registry, "ask", &[2, 4, 6])?, 24);
            Ok(started.elapsed())
        };
        let all = (0..4).map(once).collect::<Result<Vec<_>>>()?;
        Ok(all.into_iter().min().unwrap_or_default())
    };
    pretend("gathering->one latency=40ms")?;
    let one = time()?;
    pretend("gathering->* latency=40ms")?;
    let three = time()?;
    ensure!(three < one * 2, "three take {three:?}, one takes {one:?}");
    let counts = registry.pretences().iter().map(|pretence| pretence.calls).collect::<Vec<_>>();
    assert_eq!(counts, [4, 4, 4]);
    Ok(())
}
