//! Answers the questions of subscribers on other hosts about the outboxes of this one, and notes how far they are.
//!
//! Not here: who may ask (the crate `seam`, `remote`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_store::ids::{ContextName, interface_path};
use seam_store::{Database, Listener, Source};

use super::registry::Registry;
use crate::call::Failure;
use crate::limits;
use crate::remote::{Ask, Asked, Page, Question, Reply};

/// Answers a question of a subscriber on another host.
pub(super) async fn answer(registry: &Registry, ask: Ask) -> Asked {
    let Ask { subscriber, publisher, interface, question, .. } = ask;
    let outbox = outbox(registry, &publisher, &interface)?;
    let absent = |error: seam_store::Error| {
        let (context, reason) = (publisher.to_string(), error.to_string());
        Failure::Absent { context, reason }
    };
    match question {
        Question::Page { after, most, wait, taken } => {
            // A variant of the publisher has its own outbox, whichever of its two names it was asked by.
            let named = registry.name_of(publisher.as_str());
            let key = (subscriber, Source { publisher: named, interface: interface.clone() });
            let _asks = taken.map(|taken| registry.outboxes_said().note(key, taken));
            page(&outbox, &interface, after, most, wait).await.map(Reply::Page).map_err(absent)
        }
        Question::Span { after, up_to, most } => {
            outbox.span(&interface, after, up_to, most).map(Reply::Span).map_err(absent)
        }
        Question::Kinds { after } => outbox.kinds(&interface, after).map(Reply::Kinds).map_err(absent),
        Question::Bounds { at } => outbox.bounds(&interface, at).map(Reply::Bounds).map_err(absent),
    }
}

/// The file of a context of this host that publishes the interface.
fn outbox(registry: &Registry, publisher: &ContextName, interface: &str) -> Result<Arc<Database>, Failure> {
    let set = registry.serving();
    let generation = set.generation(publisher.as_str())?;
    if generation.lives_elsewhere().is_some() || generation.out_of_service().is_some() {
        return Err(generation.absence());
    }
    let absent = |reason: String| Failure::Absent { context: publisher.to_string(), reason };
    let publishes = &generation.spec().settings.publishes;
    if !publishes.iter().any(|publication| interface_path(&publication.interface) == interface) {
        return Err(absent(format!("it does not publish `{interface}`")));
    }
    generation.database().cloned().ok_or_else(|| absent("it has no store".to_owned()))
}

/// The events after a position; waits for one if there is none.
async fn page(
    outbox: &Arc<Database>,
    interface: &str,
    after: u64,
    most: u32,
    wait: Duration,
) -> Result<Page, seam_store::Error> {
    let deadline = Instant::now() + wait.min(Duration::from_millis(limits::OUTBOX_WAIT_MS));
    let woken = Arc::new(tokio::sync::Notify::new());
    let wakes = woken.clone();
    let listener: Arc<Listener> = Arc::new(move || wakes.notify_one());
    outbox.listen(&listener);
    loop {
        let kept = outbox.kept()?;
        let events = outbox.published(Some(interface), after, most)?;
        if !events.is_empty() || Instant::now() >= deadline {
            return Ok(Page { events, kept });
        }
        let _ = tokio::time::timeout_at(deadline.into(), woken.notified()).await;
    }
}
