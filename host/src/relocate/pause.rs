//! The pause of a move, rehearsed on the host that the context would leave: all of it, one part after the other, by the
//! code that a move runs, under the load that there is now.
//!
//! A file of its own on each host is handed over, again and again. What is sent meanwhile are the pages that the real
//! file's calls write, to a file that is thrown away. Invariants: no call waits, and nothing of the context changes.
//! Not here: what the target does for it (`rehearse`), what is made of the times (`report`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use seam_store::ids::ContextName;
use seam_store::{Config, Database, Follower, Owner};

use super::Relocator;
use super::departure::{Departure, refused, soon, us};
use super::messages::{Rehearse, step};
use super::rehearse::Scratch;
use super::report::{PauseParts, PausePrediction, Refused};
use super::sending::Sent;
use crate::limits;

impl Relocator {
    /// How long the calls of `context` would wait for a move from here to the host `to`; `None` when it has no file.
    ///
    /// # Errors
    /// Why it cannot be rehearsed.
    pub(super) async fn predict_pause(
        &self,
        context: &ContextName,
        to: &str,
    ) -> Result<Option<PausePrediction>, String> {
        let live = self.0.registry.live(context.as_str());
        let Some(database) = live.ok().and_then(|live| live.generation().database().cloned()) else { return Ok(None) };
        let departure = Departure {
            inner: &self.0,
            context,
            database,
            owner: Owner { host: to.to_owned(), token: 2 },
            attempt: rand::random(),
            rehearsal: true,
        };
        let within = Duration::from_millis(limits::MOVE_PREDICT_MS_MAX);
        let rehearsed = tokio::time::timeout(within, departure.rehearse()).await;
        departure.tell_within(step::UNDO, &departure.token(), limits::MOVE_PAUSE_STEP_MS_MAX).await.ok();
        let passes = rehearsed.map_err(|_| "rehearsing the pause takes too long".to_owned())?;
        Ok(PausePrediction::of(passes.map_err(|refused| refused.message)?))
    }
}

impl Departure<'_> {
    async fn rehearse(&self) -> Result<Vec<PauseParts>, Refused> {
        let inner = self.inner;
        let no = |why: String| Refused::new(why, "see the log");
        let config = Relocator(inner.clone()).config(self.context).map_err(no)?;
        let scratch = Scratch::beside(&config).map_err(no)?;
        let config = scratch.config(&inner.manifest, self.context).map_err(no)?;
        let mut follower = self.database.follow().map_err(|error| refused(self.context, &error))?;
        // The first one makes the files and warms caches up, as a move has by then.
        self.pass(&mut follower, &config, 0).await?;
        let (since, most) = (Instant::now(), Duration::from_millis(limits::MOVE_REHEARSAL_MS_MAX));
        let mut passes = Vec::new();
        while passes.len() < limits::MOVE_REHEARSALS
            && (passes.len() < limits::MOVE_REHEARSALS_MIN || since.elapsed() < most)
        {
            passes.push(self.pass(&mut follower, &config, passes.len() + 1).await?);
        }
        Ok(passes)
    }

    /// One pause, as `Departure::run` makes it.
    async fn pass(&self, follower: &mut Follower, config: &Config, number: usize) -> Result<PauseParts, Refused> {
        let own = self.own_file(config, number)?;
        let begin = Rehearse { attempt: self.attempt, page_bytes: follower.page_bytes() };
        self.tell(step::REHEARSE, &begin).await?;
        let mut sent = Sent::default();
        // What is committed while this travels is left for the pause.
        self.catch_up(follower, &mut sent, &mut |_| {}).await?;
        let mut parts = PauseParts::default();
        let since = Instant::now();
        self.calls_end().await;
        let started = Instant::now();
        parts.drain_us = us(started - since);
        let held = own.hold(soon()).map_err(|error| refused(self.context, &error))?;
        self.send_last(follower, &mut sent).await?;
        let arrived = Instant::now();
        parts.rest_us = us(arrived - started);
        held.rehearse(&self.owner).map_err(|error| refused(self.context, &error))?;
        let handed_over = Instant::now();
        parts.hand_over_us = us(handed_over - arrived);
        self.tell_within(step::ACTIVATE, &self.token(), limits::MOVE_ACTIVATE_MS_MAX).await?;
        parts.activate_us = us(handed_over.elapsed());
        own.close().ok();
        Ok(parts)
    }

    /// A file that this host owns, open as that of a context.
    fn own_file(&self, config: &Config, number: usize) -> Result<Arc<Database>, Refused> {
        let config = Config { path: config.path.with_extension(number.to_string()), ..config.clone() };
        let own = Database::open(config).map_err(|error| refused(self.context, &error))?;
        own.claim(&self.inner.this, soon()).map_err(|error| refused(self.context, &error))?;
        Ok(own)
    }

    /// Waits until as many calls of the context have ended as run now, at most as long as a move does. Others begin
    /// meanwhile; a move would hold those.
    async fn calls_end(&self) {
        let Ok(live) = self.inner.registry.live(self.context.as_str()) else { return };
        let (running, ended) = (live.generation().occupancy().0, live.generation().call_counts().calls());
        let (since, most) = (Instant::now(), Duration::from_millis(limits::MOVE_DRAIN_MS_MAX));
        while live.generation().call_counts().calls() < ended + u64::from(running) && since.elapsed() < most {
            tokio::time::sleep(Duration::from_micros(limits::MOVE_LOOK_US)).await;
        }
    }
}
