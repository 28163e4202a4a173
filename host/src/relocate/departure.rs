//! One move from here: of what, to whom, and how its steps reach the target.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use seam_store::ids::ContextName;
use seam_store::{Database, Held, Owner, chain};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::messages::{Key, Token, step};
use super::report::Refused;
use super::{Inner, key_files};
use crate::homes::Home;
use crate::remote::Step;
use crate::{folder, limits};

/// One move from here.
pub struct Departure<'r> {
    pub inner: &'r Arc<Inner>,
    pub context: &'r ContextName,
    pub database: Arc<Database>,
    /// The next one.
    pub owner: Owner,
    /// See `Token`.
    pub attempt: u64,
    /// Nothing moves: the target takes the steps with a file of its own.
    pub rehearsal: bool,
}

impl<'r> Departure<'r> {
    pub fn begin(inner: &'r Arc<Inner>, context: &'r ContextName, to: &str) -> Result<Self, Refused> {
        let live = inner.registry.live(context.as_str());
        let database = live.ok().and_then(|live| live.generation().database().cloned());
        let database = database.ok_or_else(|| Refused::new(format!("`{context}` has no file here"), "see the log"))?;
        let owner = database.claim(&inner.this, soon()).map_err(|error| refused(context, &error))?;
        if owner.host != inner.this {
            let message = format!("the file of `{context}` belongs to host `{}`", owner.host);
            return Err(Refused::new(message, "restart this host"));
        }
        let owner = Owner { host: to.to_owned(), token: owner.token + 1 };
        Ok(Self { inner, context, database, owner, attempt: rand::random(), rehearsal: false })
    }

    pub fn home(&self) -> Home {
        Home { host: self.owner.host.clone(), token: self.owner.token }
    }

    pub fn token(&self) -> Token {
        Token { token: self.owner.token, attempt: self.attempt }
    }

    pub fn file_bytes(&self) -> u64 {
        let statistics = self.database.statistics();
        statistics.file_bytes + statistics.wal_bytes
    }

    /// The keys that this host has made for the file.
    pub fn keys(&self) -> Result<Vec<Key>, Refused> {
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

    pub fn hold(&self) -> Result<Held, Refused> {
        self.database.hold(soon()).map_err(|error| refused(self.context, &error))
    }

    pub async fn ask<T: DeserializeOwned>(&self, name: &str, body: &impl Serialize) -> Result<T, Refused> {
        let body = serde_json::to_vec(body).map_err(|error| refused(self.context, &error))?;
        parsed(&self.step(name, body.into()).await?)
    }

    pub async fn tell(&self, name: &str, body: &impl Serialize) -> Result<(), Refused> {
        self.tell_within(name, body, limits::MOVE_STEP_MS_MAX).await
    }

    pub async fn tell_within(&self, name: &str, body: &impl Serialize, ms: u64) -> Result<(), Refused> {
        let body = serde_json::to_vec(body).map_err(|error| refused(self.context, &error))?;
        self.step_within(name, body.into(), ms).await.map(drop)
    }

    pub async fn step(&self, name: &str, body: Bytes) -> Result<Bytes, Refused> {
        self.step_within(name, body, limits::MOVE_STEP_MS_MAX).await
    }

    pub async fn step_within(&self, name: &str, body: Bytes, ms: u64) -> Result<Bytes, Refused> {
        let name = if self.rehearsal { format!("{}{name}", step::REHEARSED) } else { name.to_owned() };
        let step = Step { context: self.context.clone(), name };
        let taken = self.inner.client.step(&self.owner.host, &step, body, Duration::from_millis(ms)).await;
        taken.map_err(|why| {
            let (context, host) = (self.context, &self.owner.host);
            // What the other host says of itself does not name it.
            let why = if why.contains(&format!("`{host}`")) { why } else { format!("host `{host}`: {why}") };
            Refused::new(format!("`{context}` stays here: {why}"), "see the logs of both hosts")
        })
    }
}

pub fn us(time: Duration) -> u64 {
    time.as_micros() as u64
}

pub fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    let same = "run the same version of `seam` on both hosts";
    let unread = |error| Refused::new(format!("the other host answers in another form: {error}"), same);
    serde_json::from_slice(bytes).map_err(unread)
}

pub fn refused(context: &ContextName, error: &dyn std::error::Error) -> Refused {
    Refused::new(format!("`{context}` stays here: {}", chain(error)), "see the log")
}

pub fn soon() -> Instant {
    Instant::now() + Duration::from_millis(limits::MOVE_HOLD_MS_MAX)
}
