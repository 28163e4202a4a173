//! The host that a context moves to: it takes the steps of a move.
//!
//! What it has of a file is nothing to it until it knows that the file was handed over. If the source does not say so,
//! it asks.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use seam_runtime::component::Artifact;
use seam_runtime::serve;
use seam_store::ids::ContextName;
use seam_store::{Config, Owner, chain, fault, private};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::arrival::{self, Arrival};
use super::fitness;
use super::messages::{Begin, Fate, Ready, Token, step};
use super::report::{Moved, Refused};
use super::{Arriving, Coming, Relocator, clear_away, key_files};
use crate::homes::{self, Home, Homes, Pending, config_of};
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
                step::ARRIVE => this.arrive(&from, &context, parsed(&body)?).await.map(|()| Bytes::new()),
                step::ACTIVATE => this.activate(&context, &from, parsed(&body)?).await.map(|()| Bytes::new()),
                step::UNDO => this.undo(&from, &context, parsed(&body)?).map(|()| Bytes::new()),
                step::ASK => json(&this.fate(&from, &context, parsed(&body)?)),
                step::FETCH => {
                    let moved = this.extract(&context, &from, &mut |_| {}).await;
                    json(&moved.map_err(|Refused { message, remedy }| format!("{message} ({remedy})"))?)
                }
                other => Err(format!("a move has no step `{other}`: run the same version of `seam` on both hosts")),
            }
        })
    }
}

impl Relocator {
    /// Brings a context here that lives on another host.
    ///
    /// # Errors
    /// Why it stays there.
    pub async fn absorb(&self, context: &ContextName) -> Result<Moved, Refused> {
        let here = || Refused::new(format!("`{context}` lives on this host"), "`seam extract` moves it to another one");
        fitness::copied(&self.0.manifest, context)?;
        let from = self.0.registry.lives_elsewhere(context.as_str()).ok_or_else(here)?;
        let step = Step { context: context.clone(), name: step::FETCH.to_owned() };
        let within = Duration::from_secs(limits::MOVE_S_MAX);
        let moved = self.0.client.step(&from, &step, Bytes::new(), within).await;
        let moved = moved.and_then(|moved| parsed(&moved));
        moved.map_err(|why| Refused::new(why, format!("see the log of host `{from}`")))
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
            if !matches!(known.pending.get(context.as_str()), Some(Pending::Arriving { .. }))
                && let Some(config) = config_of(&self.0.manifest, context)
            {
                // Of a move that did not get far.
                arrival::remove(&arrival::path(&config));
            }
        }
        for (context, pending) in known.pending {
            if let (Some(context), Pending::Arriving { from, token, .. }) = (ContextName::new(&context), pending) {
                tokio::spawn(self.clone().find_out(context, from, Token { token }));
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
        let home = self.home(context)?;
        if home != from {
            return Err(format!(
                "`{context}` lives on host `{home}`, as far as this host knows: only that one moves it"
            ));
        }
        let config = self.config(context)?;
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
        let token = begin.token;
        let arrival = Arrival::new(from.clone(), begin, &config)?;
        let coming = Coming { from: from.clone(), token, arrival: Arc::new(Mutex::new(arrival)) };
        inner.arrivals.lock().insert(context.clone(), coming);
        tokio::spawn(self.clone().find_out(context.clone(), from.clone(), Token { token }));
        tracing::info!(target: "move", %context, from, token, "the context is coming from the other host");
        Ok(Ready { wants_component })
    }

    /// The other host on which the context lives, as far as this one knows.
    fn home(&self, context: &ContextName) -> Result<String, String> {
        let placed = self.0.registry.lives_elsewhere(context.as_str());
        let placed = placed.ok_or_else(|| format!("`{context}` lives on this host already"))?;
        let known = Homes::load(&self.0.manifest.host.data).map_err(|error| chain(&error))?;
        Ok(known.homes.get(context.as_str()).map_or(placed, |home| home.host.clone()))
    }

    fn config(&self, context: &ContextName) -> Result<Config, String> {
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

    /// Makes the copy whole and durable; from now on this host asks what became of it.
    async fn arrive(&self, from: &str, context: &ContextName, token: Token) -> Result<(), String> {
        let arrival = self.arriving(from, context)?;
        let arrival = arrival.lock().await;
        if arrival.begin.token != token.token || arrival.from != from {
            return Err("another move has started".to_owned());
        }
        let Begin { component, tolerated_schema, .. } = arrival.begin.clone();
        let pending = Pending::Arriving { from: from.to_owned(), token: token.token, component, tolerated_schema };
        tokio::task::block_in_place(|| {
            arrival.sync()?;
            let noted = Homes::change(&self.0.manifest.host.data, |homes| {
                homes.pending.insert(context.to_string(), pending);
            });
            noted.map_err(|error| chain(&error))
        })?;
        fault::point("move.arrived");
        Ok(())
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

    /// Serves the context, whose file was handed over. Does nothing if it serves already.
    async fn activate(&self, context: &ContextName, from: &str, token: Token) -> Result<(), String> {
        let (this, context, from) = (self.clone(), context.clone(), from.to_owned());
        let work = move || this.take_over(&context, &from, token.token);
        tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
    }

    fn take_over(&self, context: &ContextName, from: &str, token: u64) -> Result<(), String> {
        let inner = &self.0;
        let _one = inner.activating.lock();
        let data = &inner.manifest.host.data;
        let known = Homes::load(data).map_err(|error| chain(&error))?;
        let home = Home { host: inner.this.clone(), token };
        if known.homes.get(context.as_str()) != Some(&home) {
            let (component, tolerated_schema) = match known.pending.get(context.as_str()) {
                Some(Pending::Arriving { from: other, token: of, component, tolerated_schema })
                    if other == from && *of == token =>
                {
                    (component, *tolerated_schema)
                }
                _ => return Err(format!("no copy of `{context}` with token {token} has arrived here")),
            };
            self.own(context, token)?;
            let installed = inner.deployer.install(context, component, tolerated_schema);
            installed.map_err(|error| chain(&error))?;
            let noted = Homes::change(data, |homes| {
                homes.set(context, home);
                homes.pending.remove(context.as_str());
            });
            noted.map_err(|error| chain(&error))?;
        }
        if inner.registry.lives_elsewhere(context.as_str()).is_none() {
            return Ok(());
        }
        self.serve(context)?;
        inner.arrivals.lock().remove(context);
        tracing::info!(target: "move", %context, from, token, "the context lives on this host now");
        Ok(())
    }

    /// Makes the copy the file of the context. A crash between the two leaves one or the other, and this is done again.
    fn own(&self, context: &ContextName, token: u64) -> Result<(), String> {
        let config = self.config(context)?;
        let path = arrival::path(&config);
        if !path.exists() {
            return Ok(());
        }
        let copy = Config { path: path.clone(), ..config.clone() };
        let owner = Owner { host: self.0.this.clone(), token };
        seam_store::take_over(&copy, &owner).map_err(|error| chain(&error))?;
        fault::point("move.taken-over");
        self.0.registry.expect_another_store(context).map_err(|error| chain(&error))?;
        let renamed = std::fs::rename(&path, &config.path);
        renamed.map_err(|error| format!("cannot rename `{}`: {error}", path.display()))?;
        arrival::remove(&seam_store::log_of(&path));
        Ok(())
    }

    fn serve(&self, context: &ContextName) -> Result<(), String> {
        let inner = &self.0;
        let installed = inner.deployer.installed(context).map_err(|error| chain(&error))?;
        for _ in 0..limits::MOVE_TRIES {
            let mut specs = inner.registry.specs_with(context, None, 0);
            if let Some(spec) = specs.iter_mut().find(|spec| spec.settings.name == *context) {
                (spec.component, spec.tolerated_schema) = installed.clone();
            }
            let prepared = inner.registry.prepare(specs).map_err(|error| chain(&error))?;
            prepared.migrate(None).map_err(|error| chain(&error))?;
            match inner.registry.publish(prepared) {
                Err(serve::Error::Overtaken) => {}
                published => return published.map_err(|error| chain(&error)),
            }
        }
        Err("other changes of this host came first, again and again".to_owned())
    }

    /// Forgets a copy that was not handed over.
    fn undo(&self, from: &str, context: &ContextName, Token { token }: Token) -> Result<(), String> {
        let config = self.config(context)?;
        let started = {
            let mut arrivals = self.0.arrivals.lock();
            let is_it = |coming: &Coming| coming.token == token && coming.from == *from;
            if arrivals.get(context).is_some_and(is_it) { arrivals.remove(context) } else { None }
        };
        let mut pending = false;
        let noted = Homes::change(&self.0.manifest.host.data, |homes| {
            let arriving = homes.pending.get(context.as_str());
            pending = matches!(arriving, Some(Pending::Arriving { token: of, from: other, .. }) if *of == token && other == from);
            if pending {
                homes.pending.remove(context.as_str());
            }
        });
        noted.map_err(|error| chain(&error))?;
        if pending || started.is_some() {
            arrival::remove(&arrival::path(&config));
            tracing::info!(target: "move", %context, token, "the context stays where it was; its copy is forgotten");
        }
        Ok(())
    }

    /// What became of a move from here, for its target.
    fn fate(&self, from: &str, context: &ContextName, Token { token }: Token) -> Fate {
        let Ok(known) = Homes::load(&self.0.manifest.host.data) else { return Fate::Open };
        match known.homes.get(context.as_str()) {
            Some(home) if home.token >= token && home.host == from => Fate::HandedOver,
            _ if *self.0.token.lock() == Some(token) || known.pending.contains_key(context.as_str()) => Fate::Open,
            _ => Fate::Undone,
        }
    }

    /// Asks the source until it is known what became of the move.
    async fn find_out(self, context: ContextName, from: String, token: Token) {
        let arriving = |homes: &Homes| match homes.pending.get(context.as_str()) {
            Some(Pending::Arriving { token: of, .. }) => *of == token.token,
            _ => false,
        };
        let coming = || self.0.arrivals.lock().get(&context).is_some_and(|coming| coming.token == token.token);
        loop {
            tokio::time::sleep(Duration::from_millis(limits::MOVE_ASK_MS)).await;
            if Homes::load(&self.0.manifest.host.data).is_ok_and(|homes| !arriving(&homes) && !coming()) {
                return;
            }
            let done = match self.ask(&context, &from, token).await {
                Ok(Fate::HandedOver) => self.activate(&context, &from, token).await,
                Ok(Fate::Undone) => self.undo(&from, &context, token),
                Ok(Fate::Open) => Ok(()),
                Err(why) => Err(format!("it is not known whether it lives here: {why}")),
            };
            if let Err(why) = done {
                tracing::warn!(target: "move", %context, from, why, "the context cannot serve here yet; trying again");
            }
        }
    }

    async fn ask(&self, context: &ContextName, from: &str, token: Token) -> Result<Fate, String> {
        let step = Step { context: context.clone(), name: step::ASK.to_owned() };
        let within = Duration::from_millis(limits::MOVE_STEP_MS_MAX);
        parsed(&self.0.client.step(from, &step, json(&token)?, within).await?)
    }
}

/// Gives a file that is left from an earlier time, and its log, a name of its own.
fn set_aside(path: &Path) -> std::io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let beside = |ending: &str| path.with_extension(ending);
    let free = (1..).map(|n| beside(&format!("db.before-move-{n}"))).find(|aside| !aside.exists());
    let aside = free.unwrap_or_else(|| beside("db.before-move"));
    tracing::warn!(target: "move", "`{}` is from an earlier time, and is `{}` now", path.display(), aside.display());
    let log = seam_store::log_of(path);
    if log.exists() {
        std::fs::rename(&log, seam_store::log_of(&aside))?;
    }
    std::fs::rename(path, aside)
}

/// Writes a key, and keeps another one of the same name under a name of its own.
fn take_key(folder: &Path, file: &str, text: &str) -> std::io::Result<()> {
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

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let unread = |error| format!("the message cannot be read: {error}: run the same version of `seam` on both hosts");
    serde_json::from_slice(bytes).map_err(unread)
}

fn json(value: &impl Serialize) -> Result<Bytes, String> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| error.to_string())
}
