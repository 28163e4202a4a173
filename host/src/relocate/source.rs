//! The host that a context leaves: it leads the move.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use seam_runtime::component::Artifact;
use seam_runtime::serve::{self, HeldCalls, Prepared};
use seam_store::ids::ContextName;
use seam_store::{Follower, NotHandedOver, Owner, chain, fault};

use super::departure::{Departure, refused, us};
use super::messages::{Begin, Ready, step};
use super::report::{Moved, PauseParts, Prediction, Refused};
use super::sending::{Sent, Show};
use super::{Relocator, clear_away, fitness};
use crate::homes::{Homes, Pending, config_of};
use crate::limits;

impl Relocator {
    /// Moves `context` to the host `to`, while it is called, because `who` wants it.
    ///
    /// # Errors
    /// Why it stays here. The other host forgets what it got of it.
    pub async fn extract(&self, who: &str, context: &ContextName, to: &str, show: Show<'_>) -> Result<Moved, Refused> {
        let command = format!("seam extract {context} --to {to}");
        self.noted(who, &command, context, self.make(context, to, show)).await
    }

    async fn make(&self, context: &ContextName, to: &str, show: Show<'_>) -> Result<Moved, Refused> {
        let inner = &self.0;
        fitness::check(&inner.manifest, &inner.registry, context, to)?;
        let another = || Refused::new("another context is being moved", "try again when it has moved");
        let _alone = inner.leaving.try_acquire().map_err(|_| another())?;
        // What is predicted is compared with what happens: measured before anything is held.
        let predicted = self.predict_copy(context, to).await;
        let held = inner.deployer.hold(format!("moving `{context}` to host `{to}`"));
        let _unchanged = held.map_err(|refusal| Refused::new(refusal.message, refusal.remedy))?;
        let departure = Departure::begin(inner, context, to)?;
        *inner.token.lock() = Some(departure.owner.token);
        let moved = departure.run(predicted, show).await;
        *inner.token.lock() = None;
        if moved.is_err() {
            departure.undo().await;
        }
        moved
    }
}

/// The calls of the context, held, and since when.
struct Paused {
    calls: HeldCalls,
    since: Instant,
    /// When none of them ran any more.
    drained: Instant,
}

impl Departure<'_> {
    async fn run(&self, mut predicted: Prediction, show: Show<'_>) -> Result<Moved, Refused> {
        let started = Instant::now();
        let mut follower = self.database.follow().map_err(|error| refused(self.context, &error))?;
        self.send_code(follower.page_bytes()).await?;
        let mut sent = Sent::default();
        self.send_base(&mut follower, &mut sent, show).await?;
        self.catch_up(&mut follower, &mut sent, show).await?;
        let (tables, rows) = self.compare(&mut follower, &mut sent).await?;
        show(super::report::Progress::Compared { tables, rows });
        let prepared = self.prepared()?;
        let copy_ms = started.elapsed().as_millis() as u64;
        // Right before it, so that it meets the same load. A move does not fail because it cannot be predicted.
        let relocator = Relocator(self.inner.clone());
        match relocator.predict_pause(self.context, &self.owner.host).await {
            Ok(pause) => predicted.pause = pause,
            Err(why) => tracing::warn!(target: "move", context = %self.context, why, "the pause is not predicted"),
        }
        let Paused { calls, since, drained } = self.paused(&mut follower, &mut sent, show).await?;
        let (mut parts, late) = self.hand_over(&mut follower, &mut sent).await?;
        parts.drain_us = us(drained - since);
        let (waited, switching) = (calls.waiting(), Instant::now());
        self.publish(prepared, calls);
        parts.switch_us = us(switching.elapsed());
        let pause_us = us(since.elapsed());
        self.note_home();
        self.clear_away();
        let (Owner { host: to, token }, context) = (self.owner.clone(), self.context.to_string());
        tracing::info!(
            target: "move", context, to, token, pause_us, waited, ?parts, "the context lives on the other host now"
        );
        let (from, Sent { pages, again, bytes }) = (self.inner.this.clone(), sent);
        let predicted = predicted.copy.is_some().then(|| Box::new(predicted));
        Ok(Moved {
            context,
            from,
            to,
            token,
            pages,
            again,
            bytes,
            tables,
            rows,
            copy_ms,
            pause_us,
            parts,
            waited,
            late,
            predicted,
        })
    }

    /// Holds the calls until none runs. If some run for long, they all go on for a while.
    async fn paused(&self, follower: &mut Follower, sent: &mut Sent, show: Show<'_>) -> Result<Paused, Refused> {
        let (look, most) =
            (Duration::from_micros(limits::MOVE_LOOK_US), Duration::from_millis(limits::MOVE_DRAIN_MS_MAX));
        let mut running = 0;
        for _ in 0..limits::MOVE_TRIES {
            self.catch_up(follower, sent, show).await?;
            // What was sent is on the target's disk before any call waits for it, and so is what both hosts note.
            self.expect().await?;
            self.catch_up(follower, sent, show).await?;
            let since = Instant::now();
            let calls = self.inner.registry.hold_calls(self.context);
            if calls.until_none_runs(look, most).await {
                return Ok(Paused { calls, since, drained: Instant::now() });
            }
            running = calls.running();
        }
        Err(Refused::new(
            format!("`{}` stays here: {running} of its calls still ran after {} ms", self.context, most.as_millis()),
            "try again when its calls are shorter",
        ))
    }

    /// Has both hosts remember that the file may be handed over from now on: this one looks into it after a crash, and
    /// the target asks.
    async fn expect(&self) -> Result<(), Refused> {
        fault::point("move.before-expect");
        self.tell(step::EXPECT, &self.token()).await?;
        let leaving = Pending::Leaving(self.home());
        let noted = Homes::change(&self.inner.manifest.host.data, |homes| {
            homes.pending.insert(self.context.to_string(), leaving);
        });
        noted.map_err(|error| refused(self.context, &error))
    }

    /// Sends the component, unless the target has it, and the keys of the file.
    async fn send_code(&self, page_bytes: u32) -> Result<(), Refused> {
        let live = self.inner.registry.live(self.context.as_str());
        let spec = live.map(|live| live.generation().spec().clone());
        let spec = spec.map_err(|failure| refused(self.context, &failure))?;
        let Artifact { bytes, hash, .. } = self.inner.deployer.artifact(&spec).map_err(|error| {
            let message = format!("the component of `{}` cannot be sent: {}", self.context, chain(&error));
            Refused::new(message, "deploy it again, so that its file is there to be sent")
        })?;
        let begin = Begin {
            token: self.owner.token,
            attempt: self.attempt,
            page_bytes,
            file_bytes: self.file_bytes(),
            component: hash,
            component_bytes: bytes.len() as u64,
            tolerated_schema: spec.tolerated_schema,
            keys: self.keys()?,
        };
        let ready: Ready = self.ask(step::BEGIN, &begin).await?;
        let mut rest = if ready.wants_component { Bytes::from(bytes) } else { Bytes::new() };
        while !rest.is_empty() {
            let part = rest.split_to(rest.len().min(limits::MOVE_MESSAGE_BYTES));
            self.step(step::COMPONENT, part).await?;
        }
        Ok(())
    }

    /// The set that serves after the move.
    fn prepared(&self) -> Result<Prepared, Refused> {
        self.next_set().map_err(|error| refused(self.context, &error))
    }

    fn next_set(&self) -> Result<Prepared, serve::Error> {
        let registry = &self.inner.registry;
        registry.prepare(registry.specs_with(self.context, Some(&self.owner.host), self.owner.token))
    }

    /// Makes the target the owner. How long that took, and what the target says if it does not serve the context yet.
    async fn hand_over(
        &self,
        follower: &mut Follower,
        sent: &mut Sent,
    ) -> Result<(PauseParts, Option<String>), Refused> {
        let mut parts = PauseParts::default();
        let started = Instant::now();
        let held = self.hold()?;
        fault::point("move.before-arrive");
        self.send_last(follower, sent).await?;
        fault::point("move.after-arrive");
        let arrived = Instant::now();
        parts.rest_us = us(arrived - started);
        held.hand_over(&self.owner).map_err(|error| match error {
            NotHandedOver::No(_) => refused(self.context, &error),
            NotHandedOver::Unknown(_) => Refused::new(error.to_string(), "restart this host: the file says what is so"),
        })?;
        // From here on the context lives there, whatever fails.
        let handed_over = Instant::now();
        parts.hand_over_us = us(handed_over - arrived);
        fault::point("move.handed-over");
        self.inner.client.set_home(self.context, &self.owner.host, self.owner.token);
        let activating = async {
            let mut late = None;
            for _ in 0..limits::MOVE_TRIES {
                late = self.tell(step::ACTIVATE, &self.token()).await.err().map(|refused| refused.message);
                if late.is_none() {
                    break;
                }
            }
            late
        };
        let late = tokio::time::timeout(Duration::from_millis(limits::MOVE_ACTIVATE_MS_MAX), activating).await;
        let late = late.unwrap_or_else(|_| Some(format!("host `{}` does not say so in time", self.owner.host)));
        parts.activate_us = us(handed_over.elapsed());
        Ok((parts, late))
    }

    /// Notes where the context lives, so that the next start need not ask the file.
    fn note_home(&self) {
        let noted = Homes::change(&self.inner.manifest.host.data, |homes| {
            homes.set(self.context, self.home());
            homes.pending.remove(self.context.as_str());
        });
        if let Err(error) = noted {
            tracing::error!(target: "move", context = %self.context, "the next start asks the file: {}", chain(&error));
        }
    }

    fn publish(&self, prepared: Prepared, calls: HeldCalls) {
        let registry = &self.inner.registry;
        // Another set may have been published meanwhile, such as one with other shares of variants.
        let published = registry.publish(prepared).or_else(|_| registry.publish(self.next_set()?));
        let gone = published.and_then(|()| calls.go_to(&self.owner.host, self.owner.token));
        if let Err(error) = gone {
            tracing::error!(target: "move", context = %self.context, hint = "restart this host", "{}", chain(&error));
        }
    }

    /// Removes the file, which belongs to the other host, and its keys, once no old request uses it.
    fn clear_away(&self) {
        // A host that could not note the move must find the file at its next start: the file knows.
        let known = Homes::load(&self.inner.manifest.host.data).unwrap_or_default();
        if known.homes.get(self.context.as_str()).is_none_or(|home| home.token != self.owner.token) {
            return;
        }
        let Some(config) = config_of(&self.inner.manifest, self.context) else { return };
        let (inner, context, database) = (self.inner.clone(), self.context.clone(), Arc::downgrade(&self.database));
        inner.clearing.lock().insert(context.clone());
        tokio::spawn(async move {
            while database.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(limits::MOVE_CLEAR_LOOK_MS)).await;
            }
            clear_away(&config, &inner.manifest.host.data, &context);
            inner.clearing.lock().remove(&context);
        });
    }

    /// Has the target forget what it got; if it cannot be reached, it asks. Nothing, if the file was handed over or may
    /// have been.
    async fn undo(&self) {
        if self.database.owner().ok().flatten().is_none_or(|owner| owner == self.owner) {
            return;
        }
        let leaving = |pending: &Pending| matches!(pending, Pending::Leaving(home) if home.token == self.owner.token);
        let noted = Homes::change(&self.inner.manifest.host.data, |homes| {
            if homes.pending.get(self.context.as_str()).is_some_and(leaving) {
                homes.pending.remove(self.context.as_str());
            }
        });
        if let Err(error) = noted {
            tracing::error!(target: "move", context = %self.context, "{}", chain(&error));
        }
        self.tell_within(step::UNDO, &self.token(), limits::MOVE_PAUSE_STEP_MS_MAX).await.ok();
    }
}
