//! One context with a standby, on one of its two hosts: as its owner, this host renews the lease; otherwise it keeps a
//! copy of the file ready and watches the lease.
//!
//! Invariant: the term of the file is extended from the moment before a renewal was sent, and by nothing else.
//! Not here: what is decided (`rules`), what a takeover does (`takeover`).

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use seam_runtime::serve::Registry;
use seam_store::ids::ContextName;
use seam_store::{Bond, Database, Owner, Term, chain};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::lease::{Lease, LeaseError, Leases, Seen};
use super::rules::{self, Claim, Move, Watch, claim};
use super::takeover::{Takeover, Took, tell_all};
use super::warm::{self, Warm};
use super::{has_held, in_time, note_held};
use crate::backup::continuous::{Board, Destination, LeaseStatus};
use crate::homes::{Homes, config_of};
use crate::limits;
use crate::manifest::Manifest;
use crate::relocate::{Code, Relocator};
use crate::times::rfc3339;

/// What a keeper works with.
pub struct Parts {
    pub context: ContextName,
    pub this: String,
    /// The other host.
    pub partner: String,
    pub takeover: Duration,
    pub to: Destination,
    pub registry: Registry,
    pub relocator: Relocator,
    pub board: Arc<Board>,
    pub data: PathBuf,
    /// The commits of the file that was set aside when this host started.
    pub lost: Option<u64>,
}

pub struct Keeper {
    parts: Parts,
    leases: Leases,
    term: Arc<Term>,
    /// The file that is bound to the term, and its owner as it says.
    bound: Weak<Database>,
    owner: Option<Owner>,
    /// The number of the lease that this host has written last; `None`: it must be read.
    number: Option<u64>,
    /// See `Lease`.
    commits: Option<u64>,
    /// What was seen last.
    seen: Option<Lease>,
    watch: Watch,
    warm: Warm,
    code: Option<Code>,
    /// The component for which the owner was asked, as long as this host is the standby: a move removes keys here.
    equipped: Option<String>,
    equipping: Option<JoinHandle<Result<Code, String>>>,
    equip_at: Instant,
    /// Whether the other hosts have been told, or are being told.
    told: bool,
    why: Option<String>,
    ended: bool,
}

impl Keeper {
    pub fn new(parts: Parts) -> Self {
        let context = parts.context.to_string();
        let folder = warm::folder(&parts.data, &context);
        let code = std::fs::read(folder.join(CODE)).ok().and_then(|code| serde_json::from_slice(&code).ok());
        Self {
            leases: Leases::new(parts.to.clone(), context.clone()),
            warm: Warm::new(parts.to.clone(), context, folder),
            term: Arc::default(),
            bound: Weak::new(),
            owner: None,
            number: None,
            commits: None,
            seen: None,
            watch: Watch::default(),
            code,
            equipped: None,
            equipping: None,
            equip_at: Instant::now(),
            told: false,
            why: None,
            ended: false,
            parts,
        }
    }

    pub async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            let done = match self.is_here() {
                true => self.hold().await,
                false => self.stand_by().await,
            };
            let pause = done.unwrap_or_else(|why| self.trouble(&why));
            self.show();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.changed() => return,
            }
        }
    }

    fn is_here(&self) -> bool {
        self.parts.registry.lives_elsewhere(self.parts.context.as_str()).is_none()
    }

    fn renewal(&self) -> Duration {
        rules::renewal(self.parts.takeover)
    }

    /// The lease as this host writes it.
    fn lease(&self, token: u64) -> Lease {
        Lease {
            host: self.parts.this.clone(),
            token,
            takeover_ms: u64::try_from(self.parts.takeover.as_millis()).unwrap_or(u64::MAX),
            component: self.parts.relocator.code(&self.parts.context).map(|code| code.component).unwrap_or_default(),
            snapshot: self.parts.board.of(self.parts.context.as_str()).map_or(0, |backup| backup.snapshot),
            commits: self.commits,
        }
    }

    /// As the owner: renews the lease. When to come again.
    async fn hold(&mut self) -> Result<Duration, String> {
        let owner = self.bind()?;
        let sent = Instant::now();
        let after = match self.number {
            Some(number) => Some(number),
            None => {
                let seen = self.read().await?;
                match claim(seen.as_ref(), &owner, has_held(&self.parts.data, self.parts.context.as_str())) {
                    Claim::Lost(lease) => return self.lose(&lease).await,
                    Claim::Foreign => {
                        return Err(format!(
                            "host `{}` holds the lease with another data folder; without its file here, the standby \
                             takes the context over",
                            owner.host
                        ));
                    }
                    Claim::Write(after) => {
                        self.noted(seen.as_ref(), &owner)?;
                        after
                    }
                }
            }
        };
        let token = rules::renewed(&owner, self.seen.as_ref());
        let lease = self.lease(token);
        self.number = in_time(self.renewal(), self.leases.write(after, &lease)).await?;
        if self.number.is_none() {
            return Ok(Duration::from_millis(1));
        }
        note_held(&self.parts.data, self.parts.context.as_str())
            .map_err(|error| format!("cannot write into the data folder: {error}"))?;
        self.term.extend(sent, rules::term(self.parts.takeover));
        self.seen = Some(lease);
        self.goes_on();
        self.tell(token);
        Ok(self.renewal())
    }

    fn bond(&self) -> Bond {
        Bond { term: Some(self.term.clone()), copies: None }
    }

    /// Binds each file that the context will have here to the term.
    pub fn bind_all(&mut self, manifest: &Manifest) {
        if let Some(config) = config_of(manifest, &self.parts.context) {
            self.bond().bind(&config.path);
        }
        if self.is_here()
            && let Err(why) = self.bind()
        {
            self.trouble(&why);
        }
    }

    /// Binds the file to the term. Its owner.
    fn bind(&mut self) -> Result<Owner, String> {
        let generations = self.parts.registry.generations();
        let own = generations.iter().find(|one| *one.context() == self.parts.context);
        let database =
            own.and_then(|one| one.database().cloned()).filter(|file| !file.is_fenced() && !file.is_closed());
        let Some(database) = database else {
            self.bound = Weak::new();
            return Err("its file cannot be used, so its lease is not renewed".to_owned());
        };
        if let Some(owner) = &self.owner
            && std::ptr::eq(self.bound.as_ptr(), Arc::as_ptr(&database))
        {
            return Ok(owner.clone());
        }
        let soon = Instant::now() + Duration::from_millis(limits::MOVE_HOLD_MS_MAX);
        let claimed = tokio::task::block_in_place(|| database.claim(&self.parts.this, soon));
        let owner = claimed.map_err(|error| chain(&error))?;
        if owner.host != self.parts.this {
            return Err(format!("its file belongs to host `{}`", owner.host));
        }
        database.bind(&self.bond());
        (self.bound, self.number) = (Arc::downgrade(&database), None);
        self.owner = Some(owner.clone());
        Ok(owner)
    }

    async fn read(&mut self) -> Result<Option<Seen>, String> {
        let seen = in_time(self.renewal(), self.leases.read()).await?;
        self.seen = seen.as_ref().map(|seen| seen.lease.clone());
        Ok(seen)
    }

    /// What a new holder takes from the lease that it has read.
    fn noted(&mut self, seen: Option<&Seen>, owner: &Owner) -> Result<(), String> {
        let context = self.parts.context.to_string();
        match seen {
            None if has_held(&self.parts.data, &context) => {
                let gone = LeaseError::Gone { context };
                return Err(format!("{gone}; hint: {}", gone.remedy()));
            }
            // It may just have been taken over.
            Some(seen) if seen.lease.host == owner.host => self.commits = self.commits.or(seen.lease.commits),
            _ => self.commits = None,
        }
        Ok(())
    }

    /// The other host has the lease: this one ends to serve the context.
    async fn lose(&mut self, lease: &Lease) -> Result<Duration, String> {
        self.term.end();
        let (context, to) = (self.parts.context.clone(), Owner { host: lease.host.clone(), token: lease.token });
        tracing::warn!(
            target: "standby", %context, host = to.host, token = to.token,
            "the other host has taken the context over while this one could not renew its lease; it lives there now, \
             and the file here is set aside"
        );
        let relocator = self.parts.relocator.clone();
        let work = move || relocator.give_up(&context, &to);
        let given_up = tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?;
        self.parts.lost = given_up?;
        self.stays_elsewhere();
        Ok(Duration::from_millis(1))
    }

    fn stays_elsewhere(&mut self) {
        self.term.end();
        (self.bound, self.owner, self.number, self.commits, self.told) = (Weak::new(), None, None, None, false);
        (self.ended, self.equipped) = (false, None);
        self.watch.start_again();
    }

    /// As the standby: brings the copy on, and takes the lease when it is over. When to come again.
    async fn stand_by(&mut self) -> Result<Duration, String> {
        if self.owner.is_some() {
            self.stays_elsewhere();
        }
        let Some(seen) = self.read().await? else { return Ok(self.renewal()) };
        self.say_loss(&seen.lease);
        let known = Homes::load(&self.parts.data).map_err(|error| chain(&error))?;
        let known = known.homes.get(self.parts.context.as_str()).map_or(0, |home| home.token);
        match self.watch.next(&seen, &self.parts.this, known, self.parts.takeover, Instant::now()) {
            Move::TakeAgain(token) => return self.take(&seen, token).await,
            Move::Wait => return Ok(self.renewal()),
            Move::TakeOver(token) => {
                let (context, owner) = (&self.parts.context, &seen.lease.host);
                tracing::warn!(
                    target: "standby", %context, owner, token,
                    "the owner has not renewed its lease for {} ms: this host takes the context over",
                    self.parts.takeover.as_millis()
                );
                return self.take(&seen, token).await;
            }
            Move::Follow => {}
        }
        self.equip(&seen.lease).await;
        // In pieces: the lease is looked at meanwhile.
        let more = self.warm.bring_on(limits::STANDBY_DELTAS).await;
        let more = more.map_err(|error| format!("the copy cannot be brought on: {}", chain(&error)))?;
        if !more && self.warm.state().is_some_and(|state| state.last < seen.lease.snapshot) {
            // The owner has started again, with a snapshot.
            self.warm.forget();
            return Ok(Duration::from_millis(1));
        }
        self.goes_on();
        let every = self.renewal().min(Duration::from_millis(limits::STANDBY_LOOK_MS));
        Ok(if more { Duration::from_millis(1) } else { every })
    }

    /// Takes the lease that was seen, and the context.
    async fn take(&mut self, seen: &Seen, token: u64) -> Result<Duration, String> {
        self.watch.start_again();
        let mut lease = Lease { component: seen.lease.component.clone(), commits: None, ..self.lease(token) };
        let written = in_time(self.renewal(), self.leases.write(Some(seen.number), &lease)).await?;
        let Some(mut number) = written else { return Ok(Duration::from_millis(1)) };
        note_held(&self.parts.data, self.parts.context.as_str())
            .map_err(|error| format!("cannot write into the data folder: {error}"))?;
        let every = self.renewal();
        let takeover = Takeover {
            context: self.parts.context.clone(),
            token,
            code: self.code.clone(),
            relocator: self.parts.relocator.clone(),
            data: self.parts.data.clone(),
        };
        let leases = self.leases.clone();
        let renewing = async {
            loop {
                tokio::time::sleep(every).await;
                if let Ok(Some(next)) = in_time(every, leases.write(Some(number), &lease)).await {
                    number = next;
                }
            }
        };
        let took = tokio::select! {
            took = takeover.run(&mut self.warm) => took,
            () = renewing => return Ok(every),
        };
        let Took { state, commits } = took.map_err(|why| format!("the context cannot be taken over yet: {why}"))?;
        self.parts.board.leases.took_over(self.parts.context.as_str());
        tracing::warn!(
            target: "standby", context = %self.parts.context, from = seen.lease.host, token,
            state = rfc3339(state.at_ms), commits,
            "the context lives on this host now, with the newest state that was stored; what its old owner had \
             committed after that is not in it"
        );
        (self.commits, lease.commits) = (commits, commits);
        self.seen = Some(lease);
        Ok(Duration::from_millis(1))
    }

    /// Fetches from the owner what this host needs besides the file, if it lacks it.
    async fn equip(&mut self, lease: &Lease) {
        if self.equipping.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(done) = self.equipping.take()
        {
            match done.await {
                Ok(Ok(code)) => {
                    let path = warm::folder(&self.parts.data, self.parts.context.as_str()).join(CODE);
                    let bytes = serde_json::to_vec(&code).unwrap_or_default();
                    if let Err(error) = seam_store::private::write_durably(&path, &bytes) {
                        tracing::warn!(target: "standby", "cannot write `{}`: {error}", path.display());
                    }
                    self.equipped = Some(code.component.clone());
                    self.code = Some(code);
                }
                Ok(Err(why)) => {
                    self.equip_at = Instant::now() + Duration::from_millis(limits::STANDBY_TELL_MS);
                    tracing::debug!(target: "standby", context = %self.parts.context, why, "its owner cannot be asked");
                }
                Err(error) => tracing::error!(target: "standby", "a task failed: {error}"),
            }
        }
        let has = self.equipped.as_ref() == Some(&lease.component);
        if !has && self.equipping.is_none() && Instant::now() >= self.equip_at {
            let (relocator, context) = (self.parts.relocator.clone(), self.parts.context.clone());
            let owner = lease.host.clone();
            self.equipping = Some(tokio::spawn(async move { relocator.equip(&context, &owner).await }));
        }
    }

    /// Says once how many commits this host had that the new owner does not have.
    fn say_loss(&mut self, lease: &Lease) {
        if let (Some(own), Some(theirs)) = (self.parts.lost, lease.commits)
            && lease.host != self.parts.this
        {
            self.parts.lost = None;
            // The commit by which the other host became the owner.
            let lost = own.saturating_sub(theirs.saturating_sub(1));
            tracing::warn!(
                target: "standby", context = %self.parts.context, host = lease.host, lost,
                "the file that was set aside here had {lost} commits that no other host has"
            );
        }
    }

    fn tell(&mut self, token: u64) {
        let known = Homes::load(&self.parts.data).unwrap_or_default();
        let moved = known.homes.get(self.parts.context.as_str()).is_some_and(|home| home.host == self.parts.this);
        if self.told || !moved {
            return;
        }
        self.told = true;
        let (registry, context) = (self.parts.registry.clone(), self.parts.context.clone());
        let still = move || registry.lives_elsewhere(context.as_str()).is_none();
        tokio::spawn(tell_all(self.parts.relocator.clone(), self.parts.context.clone(), token, still));
    }

    fn goes_on(&mut self) {
        self.ended = false;
        if let Some(after) = self.why.take() {
            tracing::info!(target: "standby", context = %self.parts.context, after, "the lease works again");
        }
    }

    /// One line for the first failure of several, and one when the term has ended. When to try again.
    fn trouble(&mut self, why: &str) -> Duration {
        self.parts.board.leases.failed(self.parts.context.as_str());
        let context = &self.parts.context;
        if self.why.is_none() {
            tracing::warn!(target: "standby", %context, "the lease of the file does not work: {why}");
        }
        if self.is_here() && self.term.has_ended() && !self.ended {
            self.ended = true;
            tracing::error!(
                target: "standby", %context,
                hint = "see that this host reaches the store of backups; it goes on by itself, or the standby does",
                "nothing is committed any more: the lease could not be renewed in time: {why}"
            );
        }
        self.why = Some(why.to_owned());
        (self.renewal() / 2).min(Duration::from_millis(limits::STANDBY_LOOK_MS))
    }

    fn show(&self) {
        let here = self.is_here();
        let Parts { this, partner, board, .. } = &self.parts;
        let left = u64::try_from(self.term.left().as_millis()).unwrap_or(u64::MAX);
        let status = LeaseStatus {
            holder: self.seen.as_ref().map(|lease| lease.host.clone()),
            standby: if here { partner.clone() } else { this.clone() },
            token: self.seen.as_ref().map_or(0, |lease| lease.token),
            left_ms: here.then_some(left),
            ready_ms: self.warm.state().filter(|_| !here).map(|state| state.at_ms),
            is_equipped: self.equipped.is_some(),
            why: self.why.clone(),
        };
        board.leases.set(self.parts.context.as_str(), status);
    }
}

/// The version that the standby is equipped for.
const CODE: &str = "code.json";
