//! The host that a context leaves: it leads the move.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use seam_runtime::component::Artifact;
use seam_runtime::serve::{self, HeldCalls, Prepared};
use seam_store::ids::ContextName;
use seam_store::{Changes, Database, Follower, Held, NotHandedOver, Owner, Snapshot, chain, fault};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::arrival::sums;
use super::messages::{Begin, Key, Pages, Ready, Sum, Token, step};
use super::report::{Moved, Progress, Refused};
use super::{Inner, Relocator, clear_away, fitness, key_files};
use crate::homes::{Home, Homes, Pending, config_of};
use crate::remote::Step;
use crate::{folder, limits};

/// What the operator follows a move by.
pub type Show<'a> = &'a mut (dyn FnMut(Progress) + Send);

impl Relocator {
    /// Moves `context` to the host `to`, while it is called.
    ///
    /// # Errors
    /// Why it stays here. The other host forgets what it got of it.
    pub async fn extract(&self, context: &ContextName, to: &str, show: Show<'_>) -> Result<Moved, Refused> {
        let inner = &self.0;
        fitness::check(&inner.manifest, &inner.registry, context, to)?;
        let another = || Refused::new("another context is being moved", "try again when it has moved");
        let _alone = inner.leaving.try_acquire().map_err(|_| another())?;
        let held = inner.deployer.hold(format!("moving `{context}` to host `{to}`"));
        let _unchanged = held.map_err(|refusal| Refused::new(refusal.message, refusal.remedy))?;
        let departure = Departure::begin(inner, context, to)?;
        *inner.token.lock() = Some(departure.owner.token);
        let moved = departure.run(show).await;
        *inner.token.lock() = None;
        if moved.is_err() {
            departure.undo().await;
        }
        moved
    }
}

/// One move from here.
struct Departure<'r> {
    inner: &'r Arc<Inner>,
    context: &'r ContextName,
    database: Arc<Database>,
    /// The next one.
    owner: Owner,
}

/// What was sent so far.
#[derive(Default)]
struct Sent {
    pages: u64,
    again: u64,
    bytes: u64,
}

impl<'r> Departure<'r> {
    fn begin(inner: &'r Arc<Inner>, context: &'r ContextName, to: &str) -> Result<Self, Refused> {
        let live = inner.registry.live(context.as_str());
        let database = live.ok().and_then(|live| live.generation().database().cloned());
        let database = database.ok_or_else(|| Refused::new(format!("`{context}` has no file here"), "see the log"))?;
        let owner = database.claim(&inner.this, soon()).map_err(|error| refused(context, &error))?;
        if owner.host != inner.this {
            let message = format!("the file of `{context}` belongs to host `{}`", owner.host);
            return Err(Refused::new(message, "restart this host"));
        }
        let owner = Owner { host: to.to_owned(), token: owner.token + 1 };
        Ok(Self { inner, context, database, owner })
    }

    async fn run(&self, show: Show<'_>) -> Result<Moved, Refused> {
        let started = Instant::now();
        let mut follower = self.database.follow().map_err(|error| refused(self.context, &error))?;
        self.send_code(follower.page_bytes()).await?;
        let mut sent = Sent::default();
        self.send_base(&mut follower, &mut sent, show).await?;
        self.catch_up(&mut follower, &mut sent, show).await?;
        let (tables, rows) = self.compare(&mut follower, &mut sent).await?;
        show(Progress::Compared { tables, rows });
        let prepared = self.prepared()?;
        let copy_ms = started.elapsed().as_millis() as u64;
        let (calls, paused) = self.paused(&mut follower, &mut sent, show).await?;
        let late = self.hand_over(&mut follower, &mut sent).await?;
        let waited = calls.waiting();
        self.publish(prepared, calls);
        let pause_us = paused.elapsed().as_micros() as u64;
        self.clear_away();
        let (Owner { host: to, token }, context) = (self.owner.clone(), self.context.to_string());
        tracing::info!(target: "move", context, to, token, pause_us, waited, "the context lives on the other host now");
        let (from, Sent { pages, again, bytes }) = (self.inner.this.clone(), sent);
        Ok(Moved { context, from, to, token, pages, again, bytes, tables, rows, copy_ms, pause_us, waited, late })
    }

    /// Holds the calls until none runs. If some run for long, they all go on for a while.
    async fn paused(
        &self,
        follower: &mut Follower,
        sent: &mut Sent,
        show: Show<'_>,
    ) -> Result<(HeldCalls, Instant), Refused> {
        let (look, most) =
            (Duration::from_micros(limits::MOVE_LOOK_US), Duration::from_millis(limits::MOVE_DRAIN_MS_MAX));
        let mut running = 0;
        for _ in 0..limits::MOVE_TRIES {
            self.catch_up(follower, sent, show).await?;
            let paused = Instant::now();
            let calls = self.inner.registry.hold_calls(self.context);
            if calls.until_none_runs(look, most).await {
                return Ok((calls, paused));
            }
            running = calls.running();
        }
        Err(Refused::new(
            format!("`{}` stays here: {running} of its calls still ran after {} ms", self.context, most.as_millis()),
            "try again when its calls are shorter",
        ))
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
            page_bytes,
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

    /// The keys that this host has made for the file.
    fn keys(&self) -> Result<Vec<Key>, Refused> {
        let folder = folder::keys(&self.inner.manifest.host.data);
        let mut keys = Vec::new();
        for file in key_files(self.context) {
            match std::fs::read_to_string(folder.join(&file)) {
                Ok(text) => keys.push(Key { file, text }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(refused(self.context, &error)),
            }
        }
        Ok(keys)
    }

    async fn send_base(&self, follower: &mut Follower, sent: &mut Sent, show: Show<'_>) -> Result<(), Refused> {
        let (of, size) = (follower.base_pages(), follower.page_bytes());
        let most = (limits::MOVE_MESSAGE_BYTES as u32 / size).max(1);
        let mut first = 1;
        while first <= of {
            let (mut bytes, mut pages) = (Vec::new(), Pages::new(0));
            let count = follower.read_base(first, most.min(of + 1 - first), &mut bytes);
            let count = count.map_err(|error| refused(self.context, &error))?;
            for (number, page) in (first..).zip(bytes.chunks_exact(size as usize)) {
                pages.push(number, page);
            }
            sent.pages += u64::from(count);
            self.send(pages, size, sent).await?;
            first += count.max(1);
            show(Progress::Copied { pages: first - 1, of });
            // The log is kept for a follower that keeps up.
            self.send_changes(follower, sent).await?;
        }
        Ok(())
    }

    /// Sends what was committed meanwhile, until little is left.
    async fn catch_up(&self, follower: &mut Follower, sent: &mut Sent, show: Show<'_>) -> Result<(), Refused> {
        for _ in 0..limits::MOVE_ROUNDS_MAX {
            let before = sent.again;
            self.send_changes(follower, sent).await?;
            show(Progress::CaughtUp { pages: sent.again });
            if sent.again - before <= limits::MOVE_REST_PAGES {
                return Ok(());
            }
        }
        Err(Refused::new(
            format!("`{}` stays here: it writes faster than its pages can be sent", self.context),
            "try again when it writes less, or on a faster network",
        ))
    }

    /// Sends what is committed now.
    async fn send_changes(&self, follower: &mut Follower, sent: &mut Sent) -> Result<(), Refused> {
        let changes = follower.changes().map_err(|error| refused(self.context, &error))?;
        let Some(Changes { pages: changed, file_pages, .. }) = changes else { return Ok(()) };
        let size = follower.page_bytes();
        let mut pages = Pages::new(file_pages);
        for (number, page) in &changed {
            if pages.len() + page.len() > limits::MOVE_MESSAGE_BYTES {
                self.send(std::mem::replace(&mut pages, Pages::new(file_pages)), size, sent).await?;
            }
            pages.push(*number, page);
        }
        sent.again += changed.len() as u64;
        self.send(pages, size, sent).await
    }

    /// Sends all that is committed. Nothing more is committed meanwhile.
    async fn send_rest(&self, follower: &mut Follower, sent: &mut Sent) -> Result<(), Refused> {
        loop {
            let before = sent.bytes;
            self.send_changes(follower, sent).await?;
            if sent.bytes == before {
                return Ok(());
            }
        }
    }

    /// Sends pages, and compares what the target has of them then.
    async fn send(&self, pages: Pages, page_bytes: u32, sent: &mut Sent) -> Result<(), Refused> {
        let message = Bytes::from(pages.bytes());
        sent.bytes += message.len() as u64;
        let expected = Pages::digest(page_bytes as usize, &message).map_err(|why| Refused::new(why, "see the log"))?;
        let found = self.step(step::PAGES, message).await?;
        match *found == expected {
            true => Ok(()),
            false => {
                let message = format!("host `{}` has other pages than were sent", self.owner.host);
                Err(Refused::new(message, "look at its disk"))
            }
        }
    }

    /// Compares all tables at one moment with those of the copy. How many tables and rows there are.
    async fn compare(&self, follower: &mut Follower, sent: &mut Sent) -> Result<(usize, u64), Refused> {
        let snapshot = self.snapshot(follower, sent).await?;
        let own = tokio::task::spawn_blocking(move || sums(&snapshot));
        let theirs: Vec<Sum> = parsed(&self.step(step::COMPARE, Bytes::new()).await?)?;
        let own = own.await.map_err(|error| refused(self.context, &error))?;
        let own = own.map_err(|why| Refused::new(why, "look at the disk"))?;
        let differs = own.iter().find(|sum| !theirs.contains(sum));
        if let Some(Sum { table, rows, .. }) = differs.or_else(|| theirs.iter().find(|sum| !own.contains(sum))) {
            let message = format!(
                "the table `{table}`, with {rows} rows, is not the same here and in the copy on host `{}`",
                self.owner.host
            );
            return Err(Refused::new(message, "look at the disks of both hosts"));
        }
        Ok((own.len(), own.iter().map(|sum| sum.rows).sum()))
    }

    /// The file at a moment of which the target has all. Writes wait for as long as it takes to send the rest.
    async fn snapshot(&self, follower: &mut Follower, sent: &mut Sent) -> Result<Snapshot, Refused> {
        let held = self.hold()?;
        let snapshot = held.snapshot().map_err(|error| refused(self.context, &error))?;
        self.send_rest(follower, sent).await?;
        drop(held);
        Ok(snapshot)
    }

    fn hold(&self) -> Result<Held, Refused> {
        self.database.hold(soon()).map_err(|error| refused(self.context, &error))
    }

    /// The set that serves after the move.
    fn prepared(&self) -> Result<Prepared, Refused> {
        self.next_set().map_err(|error| refused(self.context, &error))
    }

    fn next_set(&self) -> Result<Prepared, serve::Error> {
        let registry = &self.inner.registry;
        registry.prepare(registry.specs_with(self.context, Some(&self.owner.host), self.owner.token))
    }

    /// Makes the target the owner. What the target says if it does not serve the context yet.
    async fn hand_over(&self, follower: &mut Follower, sent: &mut Sent) -> Result<Option<String>, Refused> {
        let data = &self.inner.manifest.host.data;
        let held = self.hold()?;
        self.send_rest(follower, sent).await?;
        let token = Token { token: self.owner.token };
        fault::point("move.before-arrive");
        self.tell(step::ARRIVE, &token).await?;
        fault::point("move.after-arrive");
        let home = Home { host: self.owner.host.clone(), token: self.owner.token };
        let noted = Homes::change(data, |homes| {
            homes.pending.insert(self.context.to_string(), Pending::Leaving(home.clone()));
        });
        noted.map_err(|error| refused(self.context, &error))?;
        held.hand_over(&self.owner).map_err(|error| match error {
            NotHandedOver::No(_) => refused(self.context, &error),
            NotHandedOver::Unknown(_) => Refused::new(error.to_string(), "restart this host: the file says what is so"),
        })?;
        // From here on the context lives there, whatever fails.
        fault::point("move.handed-over");
        let noted = Homes::change(data, |homes| {
            homes.set(self.context, home);
            homes.pending.remove(self.context.as_str());
        });
        if let Err(error) = noted {
            tracing::error!(target: "move", context = %self.context, "the next start asks the file: {}", chain(&error));
        }
        self.inner.client.set_home(self.context, &self.owner.host, self.owner.token);
        let mut late = None;
        for _ in 0..limits::MOVE_TRIES {
            late = self.tell(step::ACTIVATE, &token).await.err().map(|refused| refused.message);
            if late.is_none() {
                break;
            }
        }
        Ok(late)
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
        self.tell(step::UNDO, &Token { token: self.owner.token }).await.ok();
    }

    async fn ask<T: DeserializeOwned>(&self, name: &str, body: &impl Serialize) -> Result<T, Refused> {
        let body = serde_json::to_vec(body).map_err(|error| refused(self.context, &error))?;
        parsed(&self.step(name, body.into()).await?)
    }

    async fn tell(&self, name: &str, body: &impl Serialize) -> Result<(), Refused> {
        let body = serde_json::to_vec(body).map_err(|error| refused(self.context, &error))?;
        self.step(name, body.into()).await.map(drop)
    }

    async fn step(&self, name: &str, body: Bytes) -> Result<Bytes, Refused> {
        let step = Step { context: self.context.clone(), name: name.to_owned() };
        let within = Duration::from_millis(limits::MOVE_STEP_MS_MAX);
        let taken = self.inner.client.step(&self.owner.host, &step, body, within).await;
        taken.map_err(|why| Refused::new(format!("`{}` stays here: {why}", self.context), "see the logs of both hosts"))
    }
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    let same = "run the same version of `seam` on both hosts";
    let unread = |error| Refused::new(format!("the other host answers in another form: {error}"), same);
    serde_json::from_slice(bytes).map_err(unread)
}

fn refused(context: &ContextName, error: &dyn std::error::Error) -> Refused {
    Refused::new(format!("`{context}` stays here: {}", chain(error)), "see the log")
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(limits::MOVE_HOLD_MS_MAX)
}
