//! Passes on to variants the history from which their context learns: from its beginning before they answer,
//! continuously afterwards.
//!
//! The history's table, in the context that keeps it, is the truth. The signal that a context has learned something is
//! only a hint to look.
//! Invariant: a variant's cursor moves after the variant has taken a page. So a page may come twice, and none is left
//! out; variants recognise records by their ids.
//! Not here: which variants may answer (`seam_runtime::route`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use seam_runtime::call::Call;
use seam_runtime::component::InterfaceName;
use seam_runtime::route::{Follower, Notify};
use seam_runtime::serve::Registry;
use seam_store::Cursor;
use seam_store::ids::Trace;
use wasmtime::component::Val;

use crate::limits;

/// The thread on which all variants follow. When this is dropped, the thread ends after its current page. The drop does
/// not wait for that: a page that is cut off comes again.
pub struct Following {
    registry: Registry,
    stop: Arc<AtomicBool>,
}

impl Following {
    pub fn start(registry: Registry) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (thread_registry, thread_stop) = (registry.clone(), stop.clone());
        let work = move || {
            run(&thread_stop, thread_registry.learned(), || step(&thread_registry, &thread_stop));
        };
        // Guests run on this thread.
        let thread = std::thread::Builder::new().name("seam-follow".into()).stack_size(limits::THREAD_STACK_KB << 10);
        if let Err(error) = thread.spawn(work) {
            tracing::error!(target: "follow", %error, "cannot start the thread on which variants follow their history");
        }
        Self { registry, stop }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.registry.learned().notify();
    }
}

/// Steps until `stop` is set: at once, after each notification, and after `FOLLOW_LOOK_MS` without one. So a variant
/// that could not take a page tries again.
fn run(stop: &AtomicBool, learned: &Notify, mut step: impl FnMut()) {
    while !stop.load(Ordering::Relaxed) {
        step();
        learned.wait(Duration::from_millis(limits::FOLLOW_LOOK_MS));
    }
}

/// Lets every variant take all pages that it can take now. Tests call this instead of starting the thread.
pub fn step(registry: &Registry, stop: &AtomicBool) {
    let clock = registry.clock();
    for follower in registry.followers() {
        let started = clock.now();
        let (serves, before) = (follower.readiness.is_ready(), follower.readiness.progress());
        let outcome = catch_up(registry, &follower, stop);
        let context = &follower.variant;
        let records = follower.readiness.progress().records - before.records;
        match outcome {
            Ok(()) if !serves => {
                let ms = clock.elapsed_since(started).as_millis() as u64;
                tracing::info!(target: "follow", %context, records, ms, "a variant has caught up and may answer");
            }
            Ok(()) if records > 0 => {
                tracing::debug!(target: "follow", %context, records, "a variant has learned records")
            }
            Ok(()) => {}
            Err(why) => {
                if before.error.as_ref() != Some(&why) {
                    tracing::error!(target: "follow", %context, records, "a variant is behind: {why}");
                }
                follower.readiness.behind(why);
            }
        }
    }
}

/// Takes pages until the end of the history. A page that the variant cannot take as a whole is cut into smaller ones.
fn catch_up(registry: &Registry, follower: &Follower, stop: &AtomicBool) -> Result<(), String> {
    let database = follower.database.as_ref();
    let (source, mut count) = (follower.cursor.as_str(), limits::FOLLOW_PAGE_RECORDS);
    let clock = registry.clock();
    let mut reported = clock.now();
    loop {
        let mut cursor = Cursor::read(database, source).map_err(|error| format!("cannot read its cursor: {error}"))?;
        let asked = [Val::U64(cursor.at), Val::U32(count)];
        let (from, into) = (follower.from.as_str(), follower.variant.as_str());
        let page = ask(registry, from, &follower.feed.call, &asked).map_err(|why| format!("`{from}`: {why}"))?;
        let (page, records, last) = follower.feed.page(&page).map_err(|why| format!("`{from}`: {why}"))?;
        if records > 0 {
            match ask(registry, into, &follower.feed.into, &[page]) {
                Ok(Val::Result(Ok(_))) => cursor.at = last,
                _ if count > 1 && !stop.load(Ordering::Relaxed) => {
                    count /= 4;
                    count = count.max(1);
                    continue;
                }
                Ok(rejected) => return Err(format!("it rejects the records after {}: {rejected:?}", cursor.at)),
                Err(why) => return Err(format!("it cannot take the records after {}: {why}", cursor.at)),
            }
        }
        let ended = records < count as usize;
        if records > 0 || (ended && !cursor.caught_up) {
            cursor.caught_up |= ended;
            cursor.write(database, source).map_err(|error| format!("cannot write its cursor: {error}"))?;
        }
        follower.readiness.record_progress(records, cursor);
        if ended || stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if clock.elapsed_since(reported) > Duration::from_millis(limits::FOLLOW_SAY_MS) {
            reported = clock.now();
            tracing::info!(target: "follow", context = %follower.variant, at = cursor.at, "a variant is catching up");
        }
    }
}

fn ask(registry: &Registry, context: &str, function: &(InterfaceName, String), params: &[Val]) -> Result<Val, String> {
    let live = registry.live(context).map_err(|failure| failure.to_string())?;
    let export = live.generation().export(&function.0, &function.1);
    let export = export.ok_or_else(|| format!("it does not export `{}.{}`", function.0, function.1))?;
    let call = Call::start(Instant::now() + Duration::from_millis(limits::FOLLOW_CALL_MS), Trace::start());
    let answer = live.call(call, export, params).map_err(|failure| failure.to_string())?;
    answer.into_iter().next().ok_or_else(|| "it returned nothing".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use seam_store::clock::Clock;

    #[test]
    fn variants_look_again_after_the_pause_or_a_notification_until_the_follower_stops() {
        let (time, stop, steps) = (Clock::manual(), AtomicBool::new(false), AtomicUsize::new(0));
        let (learned, pause) = (Notify::new(time.clock()), Duration::from_millis(limits::FOLLOW_LOOK_MS));
        let waits_after = |count: usize| {
            while (steps.load(Ordering::SeqCst), time.waiting()) != (count, 1) {
                std::thread::yield_now();
            }
        };
        std::thread::scope(|scope| {
            let follower = scope.spawn(|| {
                run(&stop, &learned, || {
                    steps.fetch_add(1, Ordering::SeqCst);
                });
            });
            waits_after(1);
            time.advance(pause - Duration::from_nanos(1));
            waits_after(1);
            time.advance(Duration::from_nanos(1));
            waits_after(2);
            learned.notify();
            waits_after(3);
            stop.store(true, Ordering::SeqCst);
            learned.notify();
            follower.join().unwrap();
        });
        assert_eq!(steps.into_inner(), 3);
    }
}
