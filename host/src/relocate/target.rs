//! The host that a context moves to: it takes the steps of a move.
//!
//! What it has of a file is nothing to it until it knows that the file was handed over (`arriving`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use seam_runtime::component::Artifact;
use seam_store::ids::ContextName;
use seam_store::{Config, chain, fault, private};
use tokio::sync::Mutex;

use super::arrival::{self, Arrival};
use super::fitness;
use super::messages::{Begin, Ready, Token, json, parsed, step};
use super::report::{Moved, Prediction, Refused};
use super::{Arriving, Coming, Relocator, clear_away, key_files, rehearse, set_aside};
use crate::homes::{self, Homes, Pending, config_of};
use crate::remote::{Moves, Step, Taking};
use crate::{folder, limits};

impl Moves for Relocator {
    fn take(&self, from: String, context: ContextName, name: String, body: Bytes) -> Taking {
        let this = self.clone();
        Box::pin(async move {
            match name.as_str() {
                step::BEGIN => {
                    this.until_cleared(&context).await;
                    json(&this.begin(from, &context, parsed(&body)?)?)
                }
                step::COMPONENT => this.component(&from, &context, &body).await.map(|()| Bytes::new()),
                step::PAGES => this.pages(&from, &context, &body).await,
                step::COMPARE => this.compare(&from, &context).await,
                step::EXPECT => this.expect(&from, &context, parsed(&body)?).await.map(|()| Bytes::new()),
                step::ARRIVE => this.arrive(&from, &context, &body).await,
                step::ACTIVATE => this.activate(&context, &from, parsed(&body)?).await.map(|()| Bytes::new()),
                step::UNDO => this.undo(&from, &context, parsed(&body)?).map(|()| Bytes::new()),
                step::ASK => json(&this.fate(&from, &context, parsed(&body)?)),
                step::PROBE => json(&this.rehearse(&from, &context, &parsed(&body)?)),
                step::PROBE_PAGES => this.probe_pages(&context, &body),
                step::TAKEN => this.was_taken(&from, &context, &body).await,
                step::PREDICT => json(&this.predict(&context, &from).await),
                step::FETCH => {
                    let moved = this.extract(&format!("host {from}"), &context, &from, &mut |_| {}).await;
                    json(&moved.map_err(|Refused { message, remedy }| format!("{message} ({remedy})"))?)
                }
                step::OUTFIT | step::PART | step::HOME => {
                    let work = move || this.take_step(&from, &context, &name, &body);
                    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
                }
                other if let Some(name) = other.strip_prefix(step::REHEARSED) => {
                    this.rehearsed(&from, &context, name, &body).await
                }
                other => Err(format!("a move has no step `{other}`: run the same version of `seam` on both hosts")),
            }
        })
    }
}

impl Relocator {
    /// Brings a context here that lives on another host, because `who` wants it.
    ///
    /// # Errors
    /// Why it stays there.
    pub async fn absorb(&self, who: &str, context: &ContextName) -> Result<Moved, Refused> {
        self.noted(who, &format!("seam absorb {context}"), context, self.fetch(context)).await
    }

    async fn fetch(&self, context: &ContextName) -> Result<Moved, Refused> {
        let here = || Refused::new(format!("`{context}` lives on this host"), "`seam extract` moves it to another one");
        fitness::copied(&self.0.manifest, context)?;
        let from = self.0.registry.lives_elsewhere(context.as_str()).ok_or_else(here)?;
        let step = Step { context: context.clone(), name: step::FETCH.to_owned() };
        let within = Duration::from_secs(limits::MOVE_S_MAX);
        let moved = self.0.client.step(&from, &step, Bytes::new(), within).await;
        let moved = moved.and_then(|moved| parsed(&moved));
        moved.map_err(|why| Refused::new(why, format!("see the log of host `{from}`")))
    }

    /// What bringing the context here would take and cost.
    ///
    /// # Errors
    /// When its host cannot be asked.
    pub async fn predict_absorb(&self, context: &ContextName) -> Result<Prediction, Refused> {
        let here = || Refused::new(format!("`{context}` lives on this host"), "`seam extract` moves it to another one");
        let from = self.0.registry.lives_elsewhere(context.as_str()).ok_or_else(here)?;
        let step = Step { context: context.clone(), name: step::PREDICT.to_owned() };
        let within = Duration::from_millis(limits::MOVE_PREDICT_MS_MAX);
        let predicted = self.0.client.step(&from, &step, Bytes::new(), within).await;
        predicted
            .and_then(|predicted| parsed(&predicted))
            .map_err(|why| Refused::new(why, format!("see the log of host `{from}`")))
    }

    /// Looks after moves that were under way when the host stopped. Call it once, when the host serves.
    ///
    /// # Errors
    /// When what the host knows cannot be read.
    pub fn settle(&self) -> Result<(), homes::Error> {
        let known = Homes::load(&self.0.manifest.host.data)?;
        for (context, home) in known.homes.iter().filter(|(_, home)| home.host != self.0.this) {
            let context = ContextName::new(context);
            let left = context.and_then(|context| Some((config_of(&self.0.manifest, &context)?, context)));
            if let Some((config, context)) = left.filter(|(config, _)| config.path.exists())
                && let Ok(Some(owner)) = seam_store::owner_of(&config)
                && (&owner.host, owner.token) == (&home.host, home.token)
            {
                clear_away(&config, &self.0.manifest.host.data, &context);
            }
        }
        for context in self.0.manifest.contexts.iter().map(|context| &context.settings.name) {
            config_of(&self.0.manifest, context).iter().for_each(rehearse::sweep);
            if !matches!(known.pending.get(context.as_str()), Some(Pending::Arriving { .. }))
                && let Some(config) = config_of(&self.0.manifest, context)
            {
                // Of a move that did not get far.
                arrival::remove(&arrival::path(&config));
            }
        }
        for (context, lost) in known.taken {
            if let Some(context) = ContextName::new(&context) {
                tokio::spawn(self.clone().tell_of(context, lost.host, lost.token));
            }
        }
        for (context, pending) in known.pending {
            if let (Some(context), Pending::Arriving { from, token, attempt, .. }) =
                (ContextName::new(&context), pending)
            {
                tokio::spawn(self.clone().resume(context, from, Token { token, attempt }));
            }
        }
        Ok(())
    }

    /// Waits until the requests have ended that used the file before it left this host.
    async fn until_cleared(&self, context: &ContextName) {
        let cleared = async {
            while self.0.clearing.lock().contains(context) {
                tokio::time::sleep(Duration::from_millis(limits::MOVE_CLEAR_LOOK_MS)).await;
            }
        };
        tokio::time::timeout(Duration::from_millis(limits::MOVE_STEP_MS_MAX), cleared).await.ok();
    }

    fn begin(&self, from: String, context: &ContextName, begin: Begin) -> Result<Ready, String> {
        let inner = &self.0;
        let config = self.accepts(&from, context)?;
        // Its owner moves it, so an earlier move of it from there was undone.
        let noted = Homes::change(&inner.manifest.host.data, |homes| drop(homes.pending.remove(context.as_str())));
        noted.map_err(|error| chain(&error))?;
        set_aside(&config.path).map_err(|error| format!("cannot set `{}` aside: {error}", config.path.display()))?;
        let serves = inner.registry.all_generations();
        let known = serves.iter().any(|one| one.context() == context && one.component().hash == begin.component);
        let wants_component = !known && !inner.deployer.holds(&begin.component);
        let keys = folder::keys(&inner.manifest.host.data);
        for key in &begin.keys {
            if !key_files(context).contains(&key.file) {
                return Err(format!("`{}` is no key of `{context}`", key.file.escape_debug()));
            }
            let taken = take_key(&keys, &key.file, &key.text);
            taken.map_err(|error| format!("cannot write a key into `{}`: {error}", keys.display()))?;
        }
        let token = Token { token: begin.token, attempt: begin.attempt };
        let arrival = Arrival::new(begin, &config)?;
        let coming = Coming { from: from.clone(), token, arrival: Arc::new(Mutex::new(arrival)), ready: None };
        inner.arrivals.lock().insert(context.clone(), coming);
        tokio::spawn(self.clone().find_out(context.clone(), from.clone(), token));
        tracing::info!(target: "move", %context, from, token.token, "the context is coming from the other host");
        Ok(Ready { wants_component })
    }

    /// What the file of a context that comes from this host is opened with.
    ///
    /// # Errors
    /// Why the context is not taken from there.
    pub(super) fn accepts(&self, from: &str, context: &ContextName) -> Result<Config, String> {
        let home = self.home_of(context)?;
        match home == from {
            true => self.config(context),
            false => {
                Err(format!("`{context}` lives on host `{home}`, as far as this host knows: only that one moves it"))
            }
        }
    }

    /// The other host on which the context lives, as far as this one knows.
    fn home_of(&self, context: &ContextName) -> Result<String, String> {
        let placed = self.0.registry.lives_elsewhere(context.as_str());
        let placed = placed.ok_or_else(|| format!("`{context}` lives on this host already"))?;
        let known = Homes::load(&self.0.manifest.host.data).map_err(|error| chain(&error))?;
        Ok(known.homes.get(context.as_str()).map_or(placed, |home| home.host.clone()))
    }

    pub(super) fn config(&self, context: &ContextName) -> Result<Config, String> {
        let none = || format!("`{context}` has no file in the manifest of this host");
        config_of(&self.0.manifest, context).ok_or_else(none)
    }

    fn arriving(&self, from: &str, context: &ContextName) -> Result<Arriving, String> {
        let none = || format!("no move of `{context}` from host `{from}` has started since this host did");
        let arrivals = self.0.arrivals.lock();
        let coming = arrivals.get(context).filter(|coming| coming.from == *from);
        coming.map(|coming| coming.arrival.clone()).ok_or_else(none)
    }

    async fn component(&self, from: &str, context: &ContextName, part: &[u8]) -> Result<(), String> {
        let arrival = self.arriving(from, context)?;
        let mut arrival = arrival.lock().await;
        let most = arrival.begin.component_bytes.min(limits::COMPONENT_MB_MAX << 20);
        if (arrival.component.len() + part.len()) as u64 > most {
            return Err("the component is longer than was said".to_owned());
        }
        arrival.component.extend_from_slice(part);
        Ok(())
    }

    async fn pages(&self, from: &str, context: &ContextName, message: &[u8]) -> Result<Bytes, String> {
        let arrival = self.arriving(from, context)?;
        let mut arrival = arrival.lock().await;
        let sum = tokio::task::block_in_place(|| arrival.write(message))?;
        Ok(Bytes::copy_from_slice(&sum))
    }

    async fn compare(&self, from: &str, context: &ContextName) -> Result<Bytes, String> {
        let (arrival, config) = (self.arriving(from, context)?, self.config(context)?);
        let mut arrival = arrival.lock().await;
        tokio::task::block_in_place(|| {
            // Compiling is slow: before any call waits for it.
            self.keep_component(&mut arrival, context)?;
            json(&arrival.tables(&config)?)
        })
    }

    /// Has what was sent on the disk; from now on this host asks what became of the move, also after a crash.
    async fn expect(&self, from: &str, context: &ContextName, token: Token) -> Result<(), String> {
        let arrival = self.arriving(from, context)?;
        let mut arrival = arrival.lock().await;
        if (arrival.begin.token, arrival.begin.attempt) != (token.token, token.attempt) {
            return Err("another move has started".to_owned());
        }
        let Begin { component, tolerated_schema, .. } = arrival.begin.clone();
        let ready = tokio::task::block_in_place(|| {
            let sent = self.0.deployer.component_of(context, &component).map_err(|error| chain(&error))?;
            let linked = self.link(context, &sent, tolerated_schema).map_err(|error| chain(&error))?;
            Ok::<_, String>((sent, linked))
        })?;
        if let Some(coming) = self.0.arrivals.lock().get_mut(context).filter(|coming| coming.token == token) {
            coming.ready = Some(ready);
        }
        let (Token { token, attempt }, from) = (token, from.to_owned());
        let pending = Pending::Arriving { from, token, attempt, component, tolerated_schema };
        tokio::task::block_in_place(|| {
            arrival.reserve()?;
            arrival.sync_with_name()?;
            let noted = Homes::change(&self.0.manifest.host.data, |homes| {
                homes.pending.insert(context.to_string(), pending);
            });
            noted.map_err(|error| chain(&error))
        })?;
        arrival.expected = true;
        fault::point("move.expected");
        Ok(())
    }

    /// Takes the last pages: the copy is whole and on the disk then.
    async fn arrive(&self, from: &str, context: &ContextName, message: &[u8]) -> Result<Bytes, String> {
        let arrival = self.arriving(from, context)?;
        let mut arrival = arrival.lock().await;
        if !arrival.expected {
            return Err("the move is not expected here".to_owned());
        }
        let sum = tokio::task::block_in_place(|| {
            let sum = arrival.write(message)?;
            arrival.sync().map(|()| sum)
        })?;
        fault::point("move.arrived");
        Ok(Bytes::copy_from_slice(&sum))
    }

    fn keep_component(&self, arrival: &mut Arrival, context: &ContextName) -> Result<(), String> {
        let bytes = std::mem::take(&mut arrival.component);
        if bytes.is_empty() {
            return Ok(());
        }
        let artifact = Artifact::sent(bytes, &arrival.begin.component).map_err(|error| chain(&error))?;
        let kept = self.0.deployer.keep(&artifact);
        kept.map_err(|error| format!("cannot keep the component of `{context}`: {}", chain(&error)))
    }
}

/// Writes a key, and keeps another one of the same name under a name of its own.
pub(super) fn take_key(folder: &Path, file: &str, text: &str) -> std::io::Result<()> {
    private::folder(folder)?;
    let path = folder.join(file);
    match std::fs::read_to_string(&path) {
        Ok(there) if there == text => return Ok(()),
        Ok(_) => std::fs::rename(&path, folder.join(format!("{file}.before-move")))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    private::write(&path, text.as_bytes())?;
    std::fs::File::open(&path)?.sync_all()?;
    std::fs::File::open(folder)?.sync_all()
}
