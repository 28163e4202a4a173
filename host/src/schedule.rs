//! Calls that the host makes by time: each `[[schedule]]` of the manifest calls a function without parameters, again
//! and again. A context finishes in it what a crash or an outage cut off, with no request to wait for.
//!
//! Invariants: one call at a time; the next one of a schedule comes its whole interval after the last one ended. Calls
//! that were due while the host was down or busy are not made up for, so the function must look for its work itself.
//! Not here: what the functions do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use seam_runtime::route::Notify;
use seam_runtime::serve::Registry;
use seam_store::clock::Clock;

use crate::invoke::Target;
use crate::limits;
use crate::manifest::Schedule;

/// The thread that makes the calls. When this is dropped, the thread ends after its current call, and the drop does not
/// wait for that.
pub struct Scheduler {
    stop: Arc<AtomicBool>,
    woken: Arc<Notify>,
}

impl Scheduler {
    pub fn start(registry: Registry, schedules: Vec<Schedule>) -> Self {
        let clock = registry.clock().clone();
        let stop = Arc::new(AtomicBool::new(false));
        let woken = Arc::new(Notify::new(clock.clone()));
        let (thread_stop, thread_woken) = (stop.clone(), woken.clone());
        let work = move || {
            let mut said = vec![None; schedules.len()];
            run(&clock, &thread_stop, &thread_woken, &intervals(&schedules), |at| {
                if let (Some(schedule), Some(said)) = (schedules.get(at), said.get_mut(at)) {
                    report(schedule, call(&registry, schedule), said);
                }
            });
        };
        // Guests run on this thread.
        let thread = std::thread::Builder::new().name("seam-schedule".into()).stack_size(limits::THREAD_STACK_KB << 10);
        if let Err(error) = thread.spawn(work) {
            tracing::error!(target: "schedule", %error, "cannot start the thread that calls contexts by time");
        }
        Self { stop, woken }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.woken.notify();
    }
}

fn intervals(schedules: &[Schedule]) -> Vec<Duration> {
    schedules.iter().map(|schedule| schedule.every).collect()
}

/// Makes each call after its interval, counted from the start and then from the end of its last call, until `stop`.
fn run(clock: &Clock, stop: &AtomicBool, woken: &Notify, intervals: &[Duration], mut call: impl FnMut(usize)) {
    let mut due: Vec<Instant> = intervals.iter().map(|every| clock.now() + *every).collect();
    while !stop.load(Ordering::Relaxed) {
        let Some(next) = due.iter().min() else { return };
        woken.wait(next.saturating_duration_since(clock.now()));
        for (at, (due, every)) in due.iter_mut().zip(intervals).enumerate() {
            if *due <= clock.now() && !stop.load(Ordering::Relaxed) {
                call(at);
                *due = clock.now() + *every;
            }
        }
    }
}

/// Calls the function once.
///
/// # Errors
/// Why it has no effect: no such function, no answer, or the error that it returns.
fn call(registry: &Registry, schedule: &Schedule) -> Result<(), String> {
    let context = schedule.context.as_str();
    let target = Target::find(registry, context, &schedule.call).map_err(|error| {
        let remedy = error.remedy();
        if remedy.is_empty() { error.to_string() } else { format!("{error}: {remedy}") }
    })?;
    if target.signature().is_none_or(|signature| signature.params().len() > 0) {
        return Err("the function has parameters; a schedule calls one without".into());
    }
    let answer =
        target.call(&[], Duration::from_millis(limits::SCHEDULE_CALL_MS)).map_err(|error| error.to_string())?;
    if answer.ok() { Ok(()) } else { Err(format!("it answered {}", answer.wave())) }
}

/// Logs an outcome that differs from the last one, so that a lasting failure is one line and not one an interval.
fn report(schedule: &Schedule, outcome: Result<(), String>, said: &mut Option<String>) {
    let (context, call) = (schedule.context.as_str(), schedule.call.as_str());
    match (outcome, said.as_ref()) {
        (Ok(()), None) => {}
        (Ok(()), Some(_)) => {
            tracing::info!(target: "schedule", context, call, "a call by time works again");
            *said = None;
        }
        (Err(why), said) if said == Some(&why) => {}
        (Err(why), _) => {
            tracing::error!(target: "schedule", context, call, "a call by time failed, and is made again: {why}");
            *said = Some(why);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Ends the scheduler when the test does, however it does.
    struct End<'a>(&'a AtomicBool, &'a Notify);

    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
            self.1.notify();
        }
    }

    #[test]
    fn each_call_comes_its_interval_after_the_last_one_ended() {
        let time = Clock::manual();
        let (stop, woken, calls) = (AtomicBool::new(false), Notify::new(time.clock()), Mutex::new(Vec::new()));
        let seconds = Duration::from_secs;
        let waits_after = |expected: &[usize]| {
            let began = Instant::now();
            while *calls.lock().unwrap() != expected || time.waiting() != 1 {
                let made = calls.lock().unwrap().len();
                assert!(began.elapsed() < seconds(20), "{made} calls, expected {expected:?}");
                std::thread::yield_now();
            }
        };
        std::thread::scope(|scope| {
            let clock = time.clock();
            let (stop, woken, calls, time) = (&stop, &woken, &calls, &time);
            let scheduler = scope.spawn(move || {
                run(&clock, stop, woken, &[seconds(30), seconds(70)], |at| {
                    calls.lock().unwrap().push(at);
                    // A call that takes 10 seconds.
                    time.advance(seconds(10));
                });
            });
            let end = End(stop, woken);
            waits_after(&[]);
            time.advance(seconds(30) - Duration::from_nanos(1));
            waits_after(&[]);
            time.advance(Duration::from_nanos(1));
            // It ended at 40, so the next one is due at 70, as is the other.
            waits_after(&[0]);
            time.advance(seconds(29));
            waits_after(&[0]);
            time.advance(seconds(1));
            waits_after(&[0, 0, 1]);
            drop(end);
            scheduler.join().unwrap();
        });
    }
}
