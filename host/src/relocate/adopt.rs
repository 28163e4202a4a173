//! A context comes to this host because its own is gone, or has gone from here for that reason: the moves that no
//! source leads.
//!
//! Not here: which host may (`standby`, by the lease of the file).

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use seam_runtime::component::Artifact;
use seam_runtime::serve::{HeldCalls, Prepared};
use seam_store::ids::ContextName;
use seam_store::{Config, Database, Owner, chain};
use serde::{Deserialize, Serialize};

use super::arrival;
use super::messages::{Key, Token, json, parsed, step};
use super::target::take_key;
use super::{Relocator, key_files, set_aside};
use crate::homes::{Home, Homes, config_of};
use crate::remote::Step;
use crate::{folder, limits};

/// What a standby needs besides the file: from the host that owns it, in advance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outfit {
    code: Code,
    component_bytes: u64,
    keys: Vec<Key>,
}

/// The version that serves a context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// SHA-256 of its component.
    pub component: String,
    /// See `ContextSpec`.
    pub tolerated_schema: Option<u32>,
}

/// The next bytes of a component.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    component: String,
    from: u64,
}

impl Relocator {
    /// The version that serves `context` on this host.
    pub fn code(&self, context: &ContextName) -> Option<Code> {
        let live = self.0.registry.live(context.as_str()).ok()?;
        let spec = live.generation().spec();
        Some(Code { component: spec.component.hash.clone(), tolerated_schema: spec.tolerated_schema })
    }

    /// Fetches from the host `owner` what this one needs to take `context` over: the component that serves it, and the
    /// keys of its file.
    ///
    /// # Errors
    /// Why it is not here.
    pub async fn equip(&self, context: &ContextName, owner: &str) -> Result<Code, String> {
        let inner = &self.0;
        let Outfit { code, component_bytes, keys } =
            parsed(&self.to(owner, context, step::OUTFIT, Bytes::new()).await?)?;
        let folder = folder::keys(&inner.manifest.host.data);
        for key in &keys {
            if !key_files(context).contains(&key.file) {
                return Err(format!("`{}` is no key of `{context}`", key.file.escape_debug()));
            }
            let taken = take_key(&folder, &key.file, &key.text);
            taken.map_err(|error| format!("cannot write a key into `{}`: {error}", folder.display()))?;
        }
        let known = inner.registry.all_generations();
        let has = known.iter().any(|one| one.context() == context && one.component().hash == code.component);
        if has || inner.deployer.holds(&code.component) {
            return Ok(code);
        }
        if component_bytes > limits::COMPONENT_MB_MAX << 20 {
            return Err(format!("the component of `{context}` has {component_bytes} bytes"));
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < component_bytes {
            let part = Part { component: code.component.clone(), from: bytes.len() as u64 };
            let more = self.to(owner, context, step::PART, json(&part)?).await?;
            if more.is_empty() {
                return Err("the component is shorter than was said".to_owned());
            }
            bytes.extend_from_slice(&more);
        }
        let artifact = Artifact::sent(bytes, &code.component).map_err(|error| chain(&error))?;
        let deployer = inner.deployer.clone();
        let kept = tokio::task::spawn_blocking(move || deployer.keep(&artifact));
        let kept = kept.await.map_err(|error| error.to_string())?;
        kept.map_err(|error| format!("cannot keep the component of `{context}`: {}", chain(&error)))?;
        Ok(code)
    }

    /// Makes the file at `copy` that of `context`, under this token, and serves it. May block. How many commits the
    /// file has had.
    ///
    /// # Errors
    /// Why it does not serve. What was done is done again the next time.
    pub fn adopt(
        &self,
        context: &ContextName,
        copy: &Path,
        token: u64,
        code: Option<&Code>,
    ) -> Result<Option<u64>, String> {
        let inner = &self.0;
        let _one = inner.activating.lock();
        if inner.clearing.lock().contains(context) {
            return Err("old requests still use the file that it had here".to_owned());
        }
        let data = &inner.manifest.host.data;
        let config = config_of(&inner.manifest, context);
        let config = config.ok_or_else(|| format!("`{context}` has no file in the manifest of this host"))?;
        // A move from a host that is gone.
        inner.arrivals.lock().remove(context);
        arrival::remove(&arrival::path(&config));
        let arrived = Config { path: copy.to_owned(), ..config.clone() };
        let owner = Owner { host: inner.this.clone(), token };
        seam_store::take_over_copy(&arrived, &owner).map_err(|error| chain(&error))?;
        let commits = seam_store::commits_of(&arrived).map_err(|error| chain(&error))?;
        inner.registry.expect_another_store(context).map_err(|error| chain(&error))?;
        let failed = |what: &Path, error: std::io::Error| format!("cannot use `{}`: {error}", what.display());
        std::fs::File::open(copy).and_then(|file| file.sync_all()).map_err(|error| failed(copy, error))?;
        set_aside(&config.path).map_err(|error| failed(&config.path, error))?;
        std::fs::rename(copy, &config.path).map_err(|error| failed(copy, error))?;
        std::fs::remove_file(seam_store::log_of(copy)).ok();
        let stores = config.path.parent().unwrap_or(&config.path);
        std::fs::File::open(stores).and_then(|folder| folder.sync_all()).map_err(|error| failed(stores, error))?;
        if let Some(Code { component, tolerated_schema }) = code {
            let installed = inner.deployer.install(context, component, *tolerated_schema);
            installed.map_err(|error| chain(&error))?;
        }
        let home = Home { host: inner.this.clone(), token };
        Homes::change(data, |homes| {
            homes.set(context, home);
            homes.pending.remove(context.as_str());
        })
        .map_err(|error| chain(&error))?;
        let (component, schema) = inner.deployer.installed(context).map_err(|error| chain(&error))?;
        self.serve(context, &component, schema)?;
        Ok(commits)
    }

    /// The context belongs to another host now: nothing of it is served here any more, and its calls go there. Its file
    /// is set aside once no old request uses it. May block. How many commits the file has had.
    ///
    /// # Errors
    /// Why this host goes on to name itself.
    pub fn give_up(&self, context: &ContextName, to: &Owner) -> Result<Option<u64>, String> {
        let inner = &self.0;
        let Owner { host, token } = to;
        let prepared = inner.registry.prepare(inner.registry.specs_with(context, Some(host), *token));
        let prepared = prepared.map_err(|error| chain(&error))?;
        let live = inner.registry.live(context.as_str());
        let database = live.ok().and_then(|live| live.generation().database().cloned());
        let commits = database.as_ref().and_then(|file| file.mark().ok().flatten()).map(|mark| mark.commits);
        let calls = inner.registry.hold_calls(context);
        if let Some(database) = &database {
            database.give_up(to);
        }
        let open = database.as_ref().map(Arc::downgrade);
        drop(database);
        self.leave(context, &Home { host: host.clone(), token: *token }, (prepared, calls), open)?;
        Ok(commits)
    }

    /// Sends the calls of a context, which are held, to its new home, by the set that serves from now on. Its file is
    /// set aside once no old request uses it.
    pub(super) fn leave(
        &self,
        context: &ContextName,
        home: &Home,
        (prepared, calls): (Prepared, HeldCalls),
        open: Option<Weak<Database>>,
    ) -> Result<(), String> {
        let inner = &self.0;
        let Home { host, token } = home;
        let noted = Homes::change(&inner.manifest.host.data, |homes| {
            homes.set(context, home.clone());
            homes.pending.remove(context.as_str());
        });
        noted.map_err(|error| chain(&error))?;
        inner.client.set_home(context, host, *token);
        let next = || inner.registry.prepare(inner.registry.specs_with(context, Some(host), *token));
        let published = inner.registry.publish(prepared).or_else(|_| inner.registry.publish(next()?));
        let gone = published.and_then(|()| calls.go_to(host, *token));
        gone.map_err(|error| format!("{}: restart this host", chain(&error)))?;
        let Some(config) = config_of(&inner.manifest, context) else { return Ok(()) };
        let (inner, context) = (inner.clone(), context.clone());
        inner.clearing.lock().insert(context.clone());
        tokio::spawn(async move {
            while open.as_ref().is_some_and(|open| open.strong_count() > 0) {
                tokio::time::sleep(Duration::from_millis(limits::MOVE_CLEAR_LOOK_MS)).await;
            }
            if let Err(error) = set_aside(&config.path) {
                tracing::error!(target: "move", %context, "cannot set `{}` aside: {error}", config.path.display());
            }
            inner.clearing.lock().remove(&context);
        });
        Ok(())
    }

    /// Tells the host `peer` that the context lives on this one.
    ///
    /// # Errors
    /// Why it does not know.
    pub async fn announce(&self, context: &ContextName, peer: &str, token: u64) -> Result<(), String> {
        self.to(peer, context, step::HOME, json(&Token { token, attempt: 0 })?).await.map(drop)
    }

    /// The other hosts of the system.
    pub fn peers(&self) -> Vec<String> {
        let names = self.0.manifest.placement.names();
        names.filter(|name| *name != self.0.this).map(ToOwned::to_owned).collect()
    }

    async fn to(&self, host: &str, context: &ContextName, name: &str, body: Bytes) -> Result<Bytes, String> {
        let step = Step { context: context.clone(), name: name.to_owned() };
        self.0.client.step(host, &step, body, Duration::from_millis(limits::STANDBY_STEP_MS_MAX)).await
    }

    /// Takes a step for another host.
    pub(super) fn take_step(
        &self,
        from: &str,
        context: &ContextName,
        name: &str,
        body: &Bytes,
    ) -> Result<Bytes, String> {
        match name {
            step::OUTFIT => json(&self.outfit(from, context)?),
            step::PART => self.part(from, context, &parsed(body)?),
            _ => self.home_is(from, context, parsed(body)?).map(|()| Bytes::new()),
        }
    }

    fn is_pair(&self, from: &str, context: &ContextName) -> Result<(), String> {
        let pair = self.0.manifest.pair(context);
        match pair.is_some_and(|pair| pair.iter().any(|host| host.as_str() == from)) {
            true => Ok(()),
            false => Err(format!("host `{from}` is no standby of `{context}` by this host's manifest")),
        }
    }

    fn artifact(&self, context: &ContextName) -> Result<(Code, Artifact), String> {
        let live = self.0.registry.live(context.as_str()).map_err(|failure| failure.to_string())?;
        let spec = live.generation().spec();
        let code = Code { component: spec.component.hash.clone(), tolerated_schema: spec.tolerated_schema };
        let artifact = self.0.deployer.artifact(spec);
        Ok((code, artifact.map_err(|error| format!("the component cannot be sent: {}", chain(&error)))?))
    }

    fn outfit(&self, from: &str, context: &ContextName) -> Result<Outfit, String> {
        self.is_pair(from, context)?;
        let (code, artifact) = self.artifact(context)?;
        let folder = folder::keys(&self.0.manifest.host.data);
        let mut keys = Vec::new();
        for file in key_files(context) {
            match std::fs::read_to_string(folder.join(&file)) {
                Ok(text) => keys.push(Key { file, text }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("the key `{file}` cannot be read: {error}")),
            }
        }
        Ok(Outfit { code, component_bytes: artifact.bytes.len() as u64, keys })
    }

    fn part(&self, from: &str, context: &ContextName, part: &Part) -> Result<Bytes, String> {
        self.is_pair(from, context)?;
        let (code, artifact) = self.artifact(context)?;
        if code.component != part.component {
            return Err("another version serves by now".to_owned());
        }
        let start = usize::try_from(part.from).unwrap_or(usize::MAX).min(artifact.bytes.len());
        let end = (start + limits::MOVE_MESSAGE_BYTES).min(artifact.bytes.len());
        Ok(Bytes::copy_from_slice(artifact.bytes.get(start..end).unwrap_or_default()))
    }

    /// Another host says that the context lives there.
    fn home_is(&self, from: &str, context: &ContextName, Token { token, .. }: Token) -> Result<(), String> {
        self.is_pair(from, context)?;
        if self.0.registry.lives_elsewhere(context.as_str()).is_none() {
            return Err("it lives here, until this host has seen the lease".to_owned());
        }
        let home = Home { host: from.to_owned(), token };
        let noted = Homes::change(&self.0.manifest.host.data, |homes| homes.set(context, home));
        noted.map_err(|error| chain(&error))?;
        self.0.client.set_home(context, from, token);
        Ok(())
    }
}
