//! Has variants follow the history that their context learns from: from its beginning before they answer anybody, and ever after.
//!
//! The history's table is the truth, in the context that keeps it; that something was learned is only a hint to look. Invariant: a variant's
//! cursor moves after the variant has taken a page, so a page may be told twice and none is left out; whoever takes it knows it by its ids.
//! Not here: who may answer (`context::route`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wasmtime::component::Val;

use crate::call::Call;
use crate::context::route::Follower;
use crate::context::serve::Registry;
use crate::ids::Trace;
use crate::limits;
use crate::store::Cursor;

/// The thread on which all variants follow. Dropped, it ends after the page that it is at; nobody waits for that, because a page that is
/// cut off is told again.
pub struct Following {
    registry: Registry,
    ends: Arc<AtomicBool>,
}

impl Following {
    pub fn start(registry: Registry) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let (follows, end) = (registry.clone(), ends.clone());
        let work = move || {
            while !end.load(Ordering::Relaxed) {
                step(&follows, &end);
                follows.learned().wait(Duration::from_millis(limits::FOLLOW_LOOK_MS));
            }
        };
        // Guests run on it.
        let thread = std::thread::Builder::new().name("seam-follow".into()).stack_size(limits::THREAD_STACK_KB << 10);
        if let Err(error) = thread.spawn(work) {
            tracing::error!(target: "follow", %error, "variants do not follow");
        }
        Self { registry, ends }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        self.registry.learned().notify();
    }
}

/// Brings every variant as far as it gets now.
pub fn step(registry: &Registry, end: &AtomicBool) {
    for follower in registry.followers() {
        let began = Instant::now();
        let (serves, before) = (follower.readiness.is_ready(), follower.readiness.progress());
        let outcome = catch_up(registry, &follower, end);
        let context = &follower.variant;
        let records = follower.readiness.progress().records - before.records;
        match outcome {
            Ok(()) if !serves => {
                let ms = began.elapsed().as_millis() as u64;
                tracing::info!(target: "follow", %context, records, ms, "a variant has caught up and may answer");
            }
            Ok(()) if records > 0 => tracing::debug!(target: "follow", %context, records, "a variant was told"),
            Ok(()) => {}
            Err(why) => {
                if before.trouble.as_ref() != Some(&why) {
                    tracing::error!(target: "follow", %context, records, "a variant is behind: {why}");
                }
                follower.readiness.behind(why);
            }
        }
    }
}

/// Pages until the end of the history; the first that cannot be told whole is told in smaller ones.
fn catch_up(registry: &Registry, follower: &Follower, end: &AtomicBool) -> Result<(), String> {
    let database = follower.database.as_ref();
    let (source, mut count) = (follower.cursor.as_str(), limits::FOLLOW_PAGE_RECORDS);
    let mut said = Instant::now();
    loop {
        let mut cursor =
            Cursor::read(database, source).map_err(|error| format!("its cursor cannot be read: {error}"))?;
        let asked = [Val::U64(cursor.at), Val::U32(count)];
        let (from, into) = (follower.from.as_str(), follower.variant.as_str());
        let page = ask(registry, from, &follower.feed.call, &asked).map_err(|why| format!("`{from}`: {why}"))?;
        let (page, records, last) = follower.feed.page(&page).map_err(|why| format!("`{from}`: {why}"))?;
        if records > 0 {
            match ask(registry, into, &follower.feed.into, &[page]) {
                Ok(Val::Result(Ok(_))) => cursor.at = last,
                _ if count > 1 && !end.load(Ordering::Relaxed) => {
                    count /= 4;
                    count = count.max(1);
                    continue;
                }
                Ok(refused) => return Err(format!("it does not take what comes after {}: {refused:?}", cursor.at)),
                Err(why) => return Err(format!("it cannot be told what comes after {}: {why}", cursor.at)),
            }
        }
        let ended = records < count as usize;
        if records > 0 || (ended && !cursor.caught_up) {
            cursor.caught_up |= ended;
            cursor.write(database, source).map_err(|error| format!("its cursor cannot be written: {error}"))?;
        }
        follower.readiness.told(records, cursor);
        if ended || end.load(Ordering::Relaxed) {
            return Ok(());
        }
        if said.elapsed() > Duration::from_millis(limits::FOLLOW_SAY_MS) {
            said = Instant::now();
            tracing::info!(target: "follow", context = %follower.variant, at = cursor.at, "a variant catches up");
        }
    }
}

fn ask(registry: &Registry, context: &str, function: &(String, String), params: &[Val]) -> Result<Val, String> {
    let live = registry.live(context).map_err(|failure| failure.to_string())?;
    let exports = live.generation().exports().iter();
    let export = exports.into_iter().find(|export| (&export.interface, &export.function) == (&function.0, &function.1));
    let export = export.ok_or_else(|| format!("it has no `{}.{}`", function.0, function.1))?;
    let call = Call::start(Instant::now() + Duration::from_millis(limits::FOLLOW_CALL_MS), Trace::start());
    let answer = live.call(call, export, params).map_err(|failure| failure.to_string())?;
    answer.into_iter().next().ok_or_else(|| "it answered nothing".to_owned())
}
