//! What becomes of a context that is coming: it serves here, or its copy is forgotten.
//!
//! Invariants: the copy becomes the context's file only after the source has handed the file over. What this host knows
//! of it is on the disk before the source may do so (`Pending::Arriving`), and stays there until all that the next
//! start needs is on the disk, too. A file here that names this host under the token decides without the source.

use std::time::Duration;

use seam_runtime::component::Component;
use seam_runtime::serve::{self, Linked};
use seam_store::ids::ContextName;
use seam_store::{Config, Owner, chain, fault};

use super::messages::{Fate, Token, json, parsed, step};
use super::{Coming, Relocator, arrival};
use crate::homes::{Home, Homes, Pending};
use crate::limits;
use crate::remote::Step;

impl Relocator {
    /// Serves the context, whose file was handed over. Does nothing if it serves already.
    pub(super) async fn activate(&self, context: &ContextName, from: &str, token: Token) -> Result<(), String> {
        let (this, name, host) = (self.clone(), context.clone(), from.to_owned());
        let work = move || this.take_over(&name, &host, token.token);
        tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())??;
        // No call waits for that.
        let (this, name) = (self.clone(), context.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(why) = this.record(&name, token.token) {
                tracing::error!(target: "move", context = %name, why, "the next start asks again; trying again");
            }
        });
        Ok(())
    }

    fn take_over(&self, context: &ContextName, from: &str, token: u64) -> Result<(), String> {
        let inner = &self.0;
        let _one = inner.activating.lock();
        if inner.registry.lives_elsewhere(context.as_str()).is_none() {
            return Ok(());
        }
        let known = Homes::load(&inner.manifest.host.data).map_err(|error| chain(&error))?;
        let home = Home { host: inner.this.clone(), token };
        let sent = {
            let arrivals = inner.arrivals.lock();
            let coming = arrivals.get(context).filter(|coming| coming.from == from && coming.token.token == token);
            coming.and_then(|coming| coming.ready.as_ref()).map(|(component, _)| component.clone())
        };
        let (component, tolerated_schema) = match known.pending.get(context.as_str()) {
            Some(Pending::Arriving { from: other, token: of, component, tolerated_schema, .. })
                if other == from && *of == token =>
            {
                // Read again only after a crash: that takes tens of milliseconds.
                (sent.map_or_else(|| inner.deployer.component_of(context, component), Ok), *tolerated_schema)
            }
            _ if known.homes.get(context.as_str()) == Some(&home) => {
                let (component, tolerated_schema) = inner.deployer.installed(context).map_err(|error| chain(&error))?;
                (Ok(component), tolerated_schema)
            }
            _ => return Err(format!("no copy of `{context}` with token {token} has arrived here")),
        };
        let component = component.map_err(|error| chain(&error))?;
        let started = std::time::Instant::now();
        self.own(context, token)?;
        let own_us = started.elapsed().as_micros() as u64;
        self.serve(context, &component, tolerated_schema)?;
        let link_us = started.elapsed().as_micros() as u64 - own_us;
        inner.arrivals.lock().remove(context);
        tracing::info!(target: "move", %context, from, token, own_us, link_us, "the context lives on this host now");
        fault::point("move.serves");
        Ok(())
    }

    /// Notes that the context lives here, and with which component, for the next start.
    fn record(&self, context: &ContextName, token: u64) -> Result<(), String> {
        let inner = &self.0;
        let _one = inner.activating.lock();
        let data = &inner.manifest.host.data;
        let known = Homes::load(data).map_err(|error| chain(&error))?;
        let Some(Pending::Arriving { token: of, component, tolerated_schema, .. }) =
            known.pending.get(context.as_str()).filter(|_| inner.registry.lives_elsewhere(context.as_str()).is_none())
        else {
            return Ok(());
        };
        if *of != token {
            return Ok(());
        }
        inner.deployer.install(context, component, *tolerated_schema).map_err(|error| chain(&error))?;
        let home = Home { host: inner.this.clone(), token };
        let noted = Homes::change(data, |homes| {
            homes.set(context, home);
            homes.pending.remove(context.as_str());
        });
        noted.map_err(|error| chain(&error))
    }

    /// Makes the copy the file of the context. A crash between the two leaves one or the other, and this is done again.
    fn own(&self, context: &ContextName, token: u64) -> Result<(), String> {
        let config = self.config(context)?;
        let path = arrival::path(&config);
        // For what is written from here on.
        arrival::release(&path);
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

    pub(super) fn serve(
        &self,
        context: &ContextName,
        component: &Component,
        schema: Option<u32>,
    ) -> Result<(), String> {
        let inner = &self.0;
        let mut before =
            inner.arrivals.lock().get_mut(context).and_then(|coming| coming.ready.take()).map(|(_, linked)| linked);
        for _ in 0..limits::MOVE_TRIES {
            let linked = match before.take() {
                Some(linked) => linked,
                None => self.link(context, component, schema).map_err(|error| chain(&error))?,
            };
            let prepared = inner.registry.prepare_linked(linked).map_err(|error| chain(&error))?;
            prepared.migrate(None).map_err(|error| chain(&error))?;
            match inner.registry.publish(prepared) {
                Err(serve::Error::Overtaken) => {}
                published => return published.map_err(|error| chain(&error)),
            }
        }
        Err("other changes of this host came first, again and again".to_owned())
    }

    /// The contexts of this host, with one that comes.
    pub(super) fn link(
        &self,
        context: &ContextName,
        component: &Component,
        schema: Option<u32>,
    ) -> Result<Linked, serve::Error> {
        let mut specs = self.0.registry.specs_with(context, None, 0);
        if let Some(spec) = specs.iter_mut().find(|spec| spec.settings.name == *context) {
            (spec.component, spec.tolerated_schema) = (component.clone(), schema);
        }
        self.0.registry.link(specs)
    }

    /// Forgets a copy that was not handed over.
    pub(super) fn undo(&self, from: &str, context: &ContextName, token: Token) -> Result<(), String> {
        let config = self.config(context)?;
        let _one = self.0.activating.lock();
        let started = {
            let mut arrivals = self.0.arrivals.lock();
            let is_it = |coming: &Coming| coming.token == token && coming.from == *from;
            if arrivals.get(context).is_some_and(is_it) { arrivals.remove(context) } else { None }
        };
        let known = Homes::load(&self.0.manifest.host.data).map_err(|error| chain(&error))?;
        let pending = known.pending.get(context.as_str()).is_some_and(|pending| is_of(pending, from, token));
        if pending || started.is_some() {
            // First: a note cannot be written on a disk that the copy has filled.
            arrival::remove(&arrival::path(&config));
            tracing::info!(
                target: "move", %context, token.token, "the context stays where it was; its copy is forgotten"
            );
        }
        if !pending {
            return Ok(());
        }
        let noted = Homes::change(&self.0.manifest.host.data, |homes| {
            if homes.pending.get(context.as_str()).is_some_and(|pending| is_of(pending, from, token)) {
                homes.pending.remove(context.as_str());
            }
        });
        noted.map_err(|error| chain(&error))
    }

    /// What became of a move from here, for its target.
    pub(super) fn fate(&self, from: &str, context: &ContextName, Token { token, .. }: Token) -> Fate {
        let Ok(known) = Homes::load(&self.0.manifest.host.data) else { return Fate::Open };
        match known.homes.get(context.as_str()) {
            Some(home) if home.token >= token && home.host == from => Fate::HandedOver,
            _ if *self.0.token.lock() == Some(token) || known.pending.contains_key(context.as_str()) => Fate::Open,
            _ => Fate::Undone,
        }
    }

    /// Goes on with a move that was under way when this host stopped.
    pub(super) async fn resume(self, context: ContextName, from: String, token: Token) {
        let (this, name) = (self.clone(), context.clone());
        let owned = tokio::task::spawn_blocking(move || this.is_owner(&name, token.token)).await;
        if owned.unwrap_or(false)
            && let Err(why) = self.activate(&context, &from, token).await
        {
            tracing::warn!(target: "move", %context, from, why, "the context cannot serve here yet; trying again");
        }
        self.find_out(context, from, token).await;
    }

    /// Whether a file here names this host under the token: then the source has handed it over. The file is not open.
    fn is_owner(&self, context: &ContextName, token: u64) -> bool {
        let Ok(config) = self.config(context) else { return false };
        let copy = Config { path: arrival::path(&config), ..config.clone() };
        [config, copy].into_iter().filter(|config| config.path.exists()).any(|config| {
            let owner = seam_store::owner_of(&config).ok().flatten();
            owner.is_some_and(|owner| owner.host == self.0.this && owner.token == token)
        })
    }

    /// Asks the source until it is known what became of the move.
    pub(super) async fn find_out(self, context: ContextName, from: String, token: Token) {
        let arriving =
            |homes: &Homes| homes.pending.get(context.as_str()).is_some_and(|pending| is_of(pending, &from, token));
        let coming = || self.0.arrivals.lock().get(&context).is_some_and(|coming| coming.token == token);
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
                let token = token.token;
                tracing::warn!(
                    target: "move", %context, from, token, why, "the context cannot serve here yet; trying again"
                );
            }
        }
    }

    pub(super) async fn ask(&self, context: &ContextName, from: &str, token: Token) -> Result<Fate, String> {
        let step = Step { context: context.clone(), name: step::ASK.to_owned() };
        let within = Duration::from_millis(limits::MOVE_PAUSE_STEP_MS_MAX);
        parsed(&self.0.client.step(from, &step, json(&token)?, within).await?)
    }
}

fn is_of(pending: &Pending, from: &str, token: Token) -> bool {
    match pending {
        Pending::Arriving { from: other, token: of, attempt, .. } => {
            other == from && (*of, *attempt) == (token.token, token.attempt)
        }
        Pending::Leaving(_) => false,
    }
}
