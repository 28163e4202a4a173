//! An operator decides what became of a move whose source is lost for good.
//!
//! Only the source's file says whether it was handed over. Without it, the copy here may lack commits that the source
//! has acknowledged since; so nothing decides it by itself. When the source comes back all the same, this host tells
//! it, again and again, until it has given the context up; its file stays there, under another name.
//! Not here: a standby that takes over by itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use seam_store::chain;
use seam_store::ids::ContextName;
use serde::{Deserialize, Serialize};

use super::Relocator;
use super::departure::{Departure, refused};
use super::messages::{Token, json, parsed, step};
use super::report::Refused;
use crate::audit::Act;
use crate::homes::{Home, Homes, Pending};
use crate::limits;
use crate::refused::reason;
use crate::remote::Step;

/// A context that an operator has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    pub context: String,
    /// The host that is lost.
    pub from: String,
    pub to: String,
    pub token: u64,
}

impl Relocator {
    /// Has this host serve the copy that arrived here under this token, although its source cannot be asked.
    ///
    /// # Errors
    /// When no such copy waits, or its source answers.
    pub async fn take(&self, who: &str, context: &ContextName, token: u64, why: &str) -> Result<Taken, Refused> {
        let needed = "the copy may lack what the other host has acknowledged since";
        let why = reason(why, Some(needed)).map_err(|refused| Refused::new(refused.message, refused.remedy))?;
        let command = format!("seam absorb {context} --take {token}");
        let work = async {
            let taken = self.decide(context, token).await?;
            let outcome = format!("from host {}, token {token}", taken.from);
            Ok::<_, Refused>((taken, outcome))
        };
        self.0.audit.act_async(&Act { who, command: &command, why }, work).await
    }

    async fn decide(&self, context: &ContextName, token: u64) -> Result<Taken, Refused> {
        let data = &self.0.manifest.host.data;
        let known = Homes::load(data).map_err(|error| refused(context, &error))?;
        let Some(Pending::Arriving { from, token: of, attempt, .. }) = known.pending.get(context.as_str()) else {
            let remedy = "only a move that was cut off between the source's last commit and its word leaves one";
            return Err(Refused::new(format!("no copy of `{context}` waits here"), remedy));
        };
        if *of != token {
            let remedy = format!("`--take {of}`, if you mean that one");
            return Err(Refused::new(format!("the copy of `{context}` that waits here has token {of}"), remedy));
        }
        if self.ask(context, from, Token { token, attempt: *attempt }).await.is_ok() {
            let message = format!("host `{from}` answers, so this host learns from it what became of the move");
            return Err(Refused::new(message, "wait some seconds; `seam contexts` shows where it lives"));
        }
        // First, so that a crash does not forget whom to tell.
        let lost = Home { host: from.clone(), token };
        let noted = Homes::change(data, |homes| drop(homes.taken.insert(context.to_string(), lost)));
        noted.map_err(|error| refused(context, &error))?;
        let activated = self.activate(context, from, Token { token, attempt: *attempt }).await;
        activated.map_err(|why| Refused::new(why, "see the log"))?;
        tokio::spawn(self.clone().tell_of(context.clone(), from.clone(), token));
        Ok(Taken { context: context.to_string(), from: from.clone(), to: self.0.this.clone(), token })
    }

    /// Tells the host from which the context was taken, until it has given it up.
    pub(super) async fn tell_of(self, context: ContextName, from: String, token: u64) {
        let step = Step { context: context.clone(), name: step::TAKEN.to_owned() };
        let within = Duration::from_millis(limits::MOVE_STEP_MS_MAX);
        let Ok(body) = json(&Token { token, attempt: 0 }) else { return };
        while self.0.client.step(&from, &step, body.clone(), within).await.is_err() {
            tokio::time::sleep(Duration::from_millis(limits::MOVE_ASK_MS)).await;
        }
        tracing::warn!(target: "move", %context, from, token, "the other host is back, and has given the context up");
        let noted = Homes::change(&self.0.manifest.host.data, |homes| drop(homes.taken.remove(context.as_str())));
        if let Err(error) = noted {
            tracing::warn!(target: "move", %context, "the next start tells the other host again: {}", chain(&error));
        }
    }

    /// Gives up a context that an operator has taken to the host `to`, while this one was thought to be lost.
    pub(super) async fn was_taken(&self, to: &str, context: &ContextName, body: &[u8]) -> Result<Bytes, String> {
        let Token { token, .. } = parsed(body)?;
        let inner = &self.0;
        let home = Home { host: to.to_owned(), token };
        if inner.registry.lives_elsewhere(context.as_str()).is_none() {
            let said = |refused: Refused| refused.message;
            let mut departure = Departure::begin(inner, context, to).map_err(said)?;
            if departure.owner.token > token {
                return Err(format!("`{context}` has a later owner here"));
            }
            departure.owner.token = token;
            let prepared = inner.registry.prepare(inner.registry.specs_with(context, Some(to), token));
            let prepared = prepared.map_err(|error| chain(&error))?;
            let calls = inner.registry.hold_calls(context);
            let held = departure.hold().map_err(said)?;
            held.hand_over(&departure.owner).map_err(|error| error.to_string())?;
            let open = Arc::downgrade(&departure.database);
            drop(departure);
            self.leave(context, &home, (prepared, calls), Some(open))?;
            tracing::error!(
                target: "move", %context, host = to, token,
                hint = "what this host has committed since is kept, in a file with `before-move` in its name",
                "the context was taken to the other host while this one was away"
            );
            return Ok(Bytes::new());
        }
        let noted = Homes::change(&inner.manifest.host.data, |homes| {
            homes.set(context, home);
            homes.pending.remove(context.as_str());
        });
        noted.map_err(|error| chain(&error))?;
        Ok(Bytes::new())
    }
}
