//! Makes this host, which has just got the lease of a context, the owner of its file, and serves it.
//!
//! Each step can be done again: until the context serves here, nothing but the lease says that it is to.

use std::path::PathBuf;
use std::time::Duration;

use seam_store::chain;
use seam_store::ids::ContextName;

use super::warm::{State, Warm};
use crate::backup::continuous;
use crate::limits;
use crate::pause::pause_ms;
use crate::relocate::{Code, Relocator};

/// What became of a takeover.
pub struct Took {
    /// The state with which the context goes on.
    pub state: State,
    /// The commits that the file has had.
    pub commits: Option<u64>,
}

/// What is taken over, by whom.
pub struct Takeover {
    pub context: ContextName,
    pub token: u64,
    pub code: Option<Code>,
    pub relocator: Relocator,
    pub data: PathBuf,
}

impl Takeover {
    /// Takes all that is stored, lets nothing more be stored by the old owner, and serves.
    ///
    /// # Errors
    /// Why it does not serve. Do it again, while the lease is held.
    pub async fn run(self, warm: &mut Warm) -> Result<Took, String> {
        let Self { context, token, code, relocator, data } = self;
        let state = warm.fence().await.map_err(|error| format!("{}; hint: {}", chain(&error), error.remedy()))?;
        let noted = continuous::number_after(&data, context.as_str(), state.last + limits::STANDBY_NUMBERS);
        noted.map_err(|error| format!("cannot write into the data folder: {error}"))?;
        let copy = warm.path();
        let adopt = {
            let (relocator, context) = (relocator.clone(), context.clone());
            move || relocator.adopt(&context, &copy, token, code.as_ref())
        };
        let adopted = tokio::task::spawn_blocking(adopt).await.map_err(|error| error.to_string());
        // What was written to it is no state of the backup.
        warm.forget();
        Ok(Took { state, commits: adopted.and_then(|adopted| adopted)? })
    }
}

/// Tells each other host that the context lives here, again and again, until all know it.
pub async fn tell_all(relocator: Relocator, context: ContextName, token: u64, still: impl Fn() -> bool) {
    let mut peers = relocator.peers();
    let mut tries = 0;
    while !peers.is_empty() && still() {
        let mut left = Vec::new();
        for peer in peers {
            if let Err(why) = relocator.announce(&context, &peer, token).await {
                tracing::debug!(target: "standby", %context, peer, why, "it does not know yet where the context lives");
                left.push(peer);
            }
        }
        peers = left;
        if !peers.is_empty() {
            tries += 1;
            let longest = Duration::from_millis(limits::BACKUP_PAUSE_MS_MAX);
            tokio::time::sleep(Duration::from_millis(pause_ms(tries, longest))).await;
        }
    }
}
