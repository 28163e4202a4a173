//! What is stored beside the changes, which do not wait for it: later snapshots, and what is forgotten then.
//!
//! A later snapshot says what the one before and the deltas since say already. A file of a GB takes a while on its way,
//! and a commit that waits for its delta (`acknowledge = "replicated"`) has five seconds.

use std::time::{Duration, Instant, SystemTime};

use super::super::destination::{Destination, DestinationError, Item, SNAPSHOTS};
use super::{Done, Ship};

impl Ship {
    pub(super) fn has_work_aside(&self) -> bool {
        (self.spool.aside().is_some() || self.forget) && self.may_store()
    }

    /// Begins the next request beside those for changes.
    pub(super) fn send_aside(&mut self, now: Instant) {
        if self.work_aside.is_some() || now < self.try_at || !self.has_work_aside() {
            return;
        }
        let (to, context) = (self.to.clone(), self.context.clone());
        self.work_aside = Some(match self.spool.aside() {
            Some((item, path)) => {
                let item = item.clone();
                tokio::spawn(async move { Ok(Done::Put(to.put(&context, &item, &path).await?)) })
            }
            None => {
                let keep = self.keep;
                tokio::spawn(async move { forget(&to, &context, keep).await.map(|()| Done::Forgot) })
            }
        });
    }

    /// The snapshot beside the changes is stored.
    pub(super) fn took_aside(&mut self) {
        // It may have been given up meanwhile.
        let Some(item) = self.spool.aside_done() else { return };
        self.board.stored(&self.context, "snapshot", item.bytes);
        self.stored_ms = self.stored_ms.max(Some(item.at_ms));
        self.snapshot_is_stored(&item);
    }

    pub(super) fn snapshot_is_stored(&mut self, item: &Item) {
        (self.snapshot, self.forget) = (item.last, true);
    }
}

/// Removes what no state within `keep` needs: all that comes before the newest snapshot that is older.
async fn forget(to: &Destination, context: &str, keep: Duration) -> Result<(), DestinationError> {
    let all = to.list(context).await?;
    let Some(cut) = SystemTime::now().checked_sub(keep) else { return Ok(()) };
    let old = all.iter().filter(|one| one.level == SNAPSHOTS && one.stored <= cut).map(|one| one.last).max();
    let Some(kept) = old else { return Ok(()) };
    for one in all.iter().filter(|one| one.last < kept || (one.level != SNAPSHOTS && one.last == kept)) {
        to.remove(context, one).await?;
    }
    Ok(())
}
