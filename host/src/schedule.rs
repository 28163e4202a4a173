//! Calls that the host makes by time: each `[[schedule]]` of the manifest calls a function without parameters, after an
//! interval (`every_s`) or at times of day (`cron`).
//!
//! Invariants: one call of a schedule at a time. After an interval: the next call comes its whole interval after the
//! last one ended; calls that were due while the host was down or busy are one (`interval`), or none where the context
//! has no file to note them in. At times of day: each due time has its effect once (`due`). A context's calls are made
//! on the host where it lives, also after it has moved.
//! Not here: what the functions do.

mod board;
mod due;
mod interval;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use seam_runtime::route::Notify;
use seam_runtime::serve::Registry;
use seam_store::Database;
use seam_store::clock::Clock;

pub use board::{Board, ScheduleStatus};
use due::{DueSchedule, Found, Mark, Runner};
use interval::IntervalSchedule;

use crate::invoke::Target;
use crate::limits;
use crate::manifest::{Interval, Schedule, When};

/// What a thread does until it is to stop.
type Work = Box<dyn FnOnce(&AtomicBool, &Notify) + Send>;

/// The threads that make the calls: one for each context with a file, and one for all that have none. When this is
/// dropped, each thread ends after its current call, and the drop does not wait for that.
pub struct Scheduler {
    stop: Arc<AtomicBool>,
    woken: Vec<Arc<Notify>>,
}

impl Scheduler {
    pub fn start(registry: Registry, schedules: Vec<Schedule>, board: Arc<Board>) -> Self {
        forget_others(&registry, &schedules);
        let stop = Arc::new(AtomicBool::new(false));
        let mut woken = Vec::new();
        let mut spawn = |work: Work| {
            let notify = Arc::new(Notify::new(registry.clock().clone()));
            woken.push(notify.clone());
            let stop = stop.clone();
            // Guests run on this thread.
            let thread =
                std::thread::Builder::new().name("seam-schedule".into()).stack_size(limits::THREAD_STACK_KB << 10);
            if let Err(error) = thread.spawn(move || work(&stop, &notify)) {
                tracing::error!(target: "schedule", %error, "cannot start a thread that calls contexts by time");
            }
        };
        let (mut intervals, mut by_context) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for (at, schedule) in schedules.into_iter().enumerate() {
            match schedule.when {
                When::Every(Interval { every, .. }) if !has_file(&registry, &schedule) => {
                    intervals.push((at, schedule, every));
                }
                _ => by_context.entry(schedule.context.clone()).or_default().push((at, schedule)),
            }
        }
        for schedules in by_context.into_values() {
            let (registry, board) = (registry.clone(), board.clone());
            spawn(Box::new(move |stop, woken| {
                Times { registry, board, schedules }.run(stop, woken);
            }));
        }
        if !intervals.is_empty() {
            let (registry, board) = (registry.clone(), board.clone());
            spawn(Box::new(move |stop, woken| Intervals { registry, board, schedules: intervals }.run(stop, woken)));
        }
        Self { stop, woken }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.woken.iter().for_each(|woken| woken.notify());
    }
}

/// Whether how far the schedule has come is noted in a file, also when that does not work now.
fn has_file(registry: &Registry, schedule: &Schedule) -> bool {
    let generations = registry.all_generations();
    let context = generations.iter().find(|generation| *generation.context() == schedule.context);
    context.is_some_and(|generation| generation.spec().settings.store.is_some())
}

/// A schedule that left the manifest and comes back later starts at that time.
fn forget_others(registry: &Registry, schedules: &[Schedule]) {
    for generation in registry.generations() {
        let Some(database) = generation.database() else { continue };
        let of_it = schedules.iter().filter(|schedule| schedule.context == *generation.context());
        let names: Vec<String> = of_it.map(Schedule::name).collect();
        if let Err(error) = database.keep_schedules(&names.iter().map(String::as_str).collect::<Vec<_>>()) {
            tracing::warn!(target: "schedule", context = %generation.context(), %error, "cannot forget old schedules");
        }
    }
}

/// Schedules with an interval of contexts without a file, and their places on the board.
struct Intervals {
    registry: Registry,
    board: Arc<Board>,
    schedules: Vec<(usize, Schedule, Duration)>,
}

impl Intervals {
    fn run(&self, stop: &AtomicBool, woken: &Notify) {
        let clock = self.registry.clock();
        let intervals: Vec<Duration> = self.schedules.iter().map(|(.., every)| *every).collect();
        let next = |at: usize, every: Duration| self.board.waits(at, Some(clock.wall_ms() + every.as_millis() as u64));
        self.schedules.iter().for_each(|(at, _, every)| next(*at, *every));
        run(clock, stop, woken, &intervals, |number| {
            let Some((at, schedule, every)) = self.schedules.get(number) else { return };
            if self.registry.lives_elsewhere(schedule.context.as_str()).is_some() {
                return self.board.waits(*at, None);
            }
            match call(&self.registry, schedule) {
                Ok(()) => {
                    self.board.done(*at, Some(clock.wall_ms()));
                    well(&self.board, *at, schedule);
                }
                Err(why) => failed(&self.board, *at, schedule, &why),
            }
            next(*at, *every);
        });
    }
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
    let target = target(registry, schedule)?;
    let answer =
        target.call(&[], Duration::from_millis(limits::SCHEDULE_CALL_MS)).map_err(|error| error.to_string())?;
    if answer.ok() { Ok(()) } else { Err(format!("it answered {}", answer.wave())) }
}

fn target(registry: &Registry, schedule: &Schedule) -> Result<Target, String> {
    let target = Target::find(registry, schedule.context.as_str(), &schedule.call).map_err(|error| {
        let remedy = error.remedy();
        if remedy.is_empty() { error.to_string() } else { format!("{error}: {remedy}") }
    })?;
    if target.signature().is_none_or(|signature| signature.params().len() > 0) {
        return Err("the function has parameters; a schedule calls one without".into());
    }
    Ok(target)
}

/// Logs an outcome that differs from the last one, so that a lasting failure is one line and not one an interval.
fn failed(board: &Board, at: usize, schedule: &Schedule, why: &str) {
    if board.failed(at, why) {
        let (context, call) = (schedule.context.as_str(), schedule.call.as_str());
        tracing::error!(target: "schedule", context, call, "a call by time failed, and is made again: {why}");
    }
}

fn well(board: &Board, at: usize, schedule: &Schedule) {
    if board.well(at) {
        let (context, call) = (schedule.context.as_str(), schedule.call.as_str());
        tracing::info!(target: "schedule", context, call, "a call by time works again");
    }
}

/// The schedules of one context that has a file, and their places on the board.
struct Times {
    registry: Registry,
    board: Arc<Board>,
    schedules: Vec<(usize, Schedule)>,
}

/// A function that runs again after a failure.
#[derive(Default)]
struct Again {
    failures: u32,
    not_before: Option<Instant>,
}

impl Times {
    fn run(&self, stop: &AtomicBool, woken: &Notify) {
        let clock = self.registry.clock();
        let mut again: Vec<Again> = self.schedules.iter().map(|_| Again::default()).collect();
        let names: Vec<String> = self.schedules.iter().map(|(_, schedule)| schedule.name()).collect();
        while !stop.load(Ordering::Relaxed) {
            // Looks again before long in any case: the time of day may jump.
            let mut wait = Duration::from_millis(limits::SCHEDULE_LOOK_MS);
            for ((schedule, name), again) in self.schedules.iter().zip(&names).zip(&mut again) {
                if again.not_before.is_some_and(|not_before| not_before > clock.now()) {
                    continue;
                }
                // How far it has come is in the file: its host goes on from there.
                if self.registry.lives_elsewhere(schedule.1.context.as_str()).is_some() {
                    *again = Again::default();
                    self.board.waits(schedule.0, None);
                    self.board.well(schedule.0);
                    continue;
                }
                wait = wait.min(self.steps(schedule, name, again, stop));
            }
            woken.wait(wait);
        }
    }

    /// Runs a schedule until it has nothing to do now, but not without end. For how long that is so.
    fn steps(&self, (at, schedule): &(usize, Schedule), name: &str, again: &mut Again, stop: &AtomicBool) -> Duration {
        let clock = self.registry.clock();
        let runner = ContextRunner { registry: &self.registry, schedule };
        for _ in 0..limits::SCHEDULE_STEPS_MAX {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let (found, progress) = match &schedule.when {
                When::Due(due) => DueSchedule { name, due, runner: &runner }.step(),
                When::Every(interval) => IntervalSchedule { name, interval: *interval, runner: &runner }.step(),
            };
            if let Some(progress) = progress {
                self.board.progress(*at, progress);
            }
            match found {
                Found::Waits(next_ms) => {
                    self.board.waits(*at, next_ms);
                    well(&self.board, *at, schedule);
                    let now_ms = clock.wall_ms();
                    return next_ms
                        .map_or(Duration::MAX, |next_ms| Duration::from_millis((next_ms + 1).saturating_sub(now_ms)));
                }
                Found::Done { ran } => {
                    *again = Again::default();
                    if ran {
                        self.board.done(*at, None);
                    }
                }
                Found::Failed(why) => {
                    failed(&self.board, *at, schedule, &why);
                    *again = Again { failures: again.failures + 1, not_before: None };
                    again.not_before = Some(clock.now() + pause(again.failures).min(longest(&schedule.when)));
                    return Duration::MAX;
                }
                Found::Away(why) => {
                    if self.board.away(*at, &why) {
                        let (context, call) = (schedule.context.as_str(), schedule.call.as_str());
                        tracing::warn!(target: "schedule", context, call, "a call by time waits: {why}");
                    }
                    return Duration::MAX;
                }
            }
        }
        Duration::ZERO
    }
}

/// The pause after so many failures in a row: twice as long each time, up to the longest.
fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    Duration::from_millis((limits::SCHEDULE_PAUSE_FIRST_MS << doublings).min(limits::SCHEDULE_PAUSE_MS_MAX))
}

/// The longest pause: a call that failed is made again after its interval at the latest.
fn longest(when: &When) -> Duration {
    match when {
        When::Every(interval) => interval.every,
        When::Due(_) => Duration::MAX,
    }
}

/// A function of a context of the running system.
struct ContextRunner<'r> {
    registry: &'r Registry,
    schedule: &'r Schedule,
}

impl Runner for ContextRunner<'_> {
    fn database(&self) -> Result<Arc<Database>, String> {
        let live = self.registry.live(self.schedule.context.as_str()).map_err(|failure| failure.to_string())?;
        let generation = live.generation();
        let database = generation.database().filter(|_| generation.out_of_service().is_none());
        database.cloned().ok_or_else(|| generation.absence().to_string())
    }

    fn run(&self, mark: Mark<'_>) -> Result<(), String> {
        let timeout = Duration::from_millis(limits::SCHEDULE_CALL_MS);
        target(self.registry, self.schedule)?.call_and_note(timeout, mark)
    }

    fn run_alone(&self) -> Result<(), String> {
        call(self.registry, self.schedule)
    }
}
