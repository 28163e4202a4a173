//! The lease of a vault on one of its two hosts, its standby, and its backup: the product's rules, leases, backups and
//! files, in simulated time. What is written here once more is the order in which `standby::keeper` uses them.
//!
//! Not here: what is decided (`standby::rules`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use seam_store::{Config, Owner, Term, take_over, take_over_copy};

use super::baton::{MS, S, Us};
use super::host::{Message, Running, host_name, host_number, name};
use super::world::{TAKEOVER, Vault, Without, World};
use crate::backup::continuous::{DestinationError, Ship, Spool, folder, number_after};
use crate::homes::{Home, Homes};
use crate::limits;
use crate::relocate::set_aside;
use crate::standby::lease::{Lease, LeaseError, Leases, Seen};
use crate::standby::rules::{self, Claim, Move, Watch, claim};
use crate::standby::warm::{self, Warm};

/// How long one request to the store of backups may take.
const REQUEST: Duration = Duration::from_secs(2);

struct Keeper {
    world: Arc<World>,
    running: Arc<Running>,
    context: String,
    data: PathBuf,
    leases: Leases,
    number: Option<u64>,
    owner: Option<Owner>,
    seen: Option<Lease>,
    watch: Watch,
    warm: Warm,
    told: bool,
}

fn us(time: Duration) -> Us {
    Us::try_from(time.as_micros()).unwrap()
}

impl World {
    /// Starts what looks after a vault on one of its hosts.
    pub fn keep(self: &Arc<Self>, host: usize, vault: &Vault) {
        let (world, vault_of) = (self.clone(), vault.clone());
        self.baton.spawn(Some(host), move || {
            let (context, data) = (vault_of.name.clone(), world.data(host));
            let keeper = Keeper {
                leases: Leases::new(world.to(), context.clone()),
                warm: Warm::new(world.to(), context.clone(), warm::folder(&data, &context)),
                running: world.running(host).unwrap(),
                world: world.clone(),
                context,
                data,
                number: None,
                owner: None,
                seen: None,
                watch: Watch::default(),
                told: false,
            };
            keeper.run();
        });
        let (world, vault) = (self.clone(), vault.clone());
        self.baton.spawn(Some(host), move || world.back_up(host, &vault));
    }

    /// The backup of a vault, while it lives here.
    fn back_up(self: &Arc<Self>, host: usize, vault: &Vault) {
        let (context, running) = (vault.name.clone(), self.running(host).unwrap());
        let spool = Spool::open(folder(&self.data(host)).join(&context)).unwrap();
        let (of, named) = (running.clone(), context.clone());
        let source = Box::new(move || of.files.lock().get(&named).cloned());
        let copies = running.bonds[&context].copies.clone().unwrap();
        let ship = Ship::new(context.clone(), source, (self.to(), &self.backups), spool, running.board.clone());
        let mut ship = ship.with_lease(true).with_copies(Some(copies.clone()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        loop {
            ship.last_look();
            {
                let _entered = runtime.enter();
                ship.tick();
            }
            let file = running.files.lock().get(&context).cloned();
            // What was committed before this start is in its first snapshot.
            let covered = running.board.of(&context).is_some_and(|backup| backup.snapshot > 0) && !copies.are_behind();
            if let Some(owner) = file.filter(|_| covered).and_then(|file| file.owner().ok().flatten()) {
                self.judge.lock().stored(&context, owner.token, self.now());
            }
            let is_aside = ship.work.is_none();
            let Some(work) = ship.work.take().or_else(|| ship.work_aside.take()) else {
                let every = if vault.replicated { 20 * MS } else { S };
                self.baton.sleep(every);
                continue;
            };
            let abort = work.abort_handle();
            let done = self.store(host, REQUEST, || runtime.block_on(work));
            let done = done.unwrap_or_else(|| {
                abort.abort();
                let source = std::io::ErrorKind::TimedOut.into();
                Ok(Err(DestinationError::Folder { path: "backups".into(), source }))
            });
            *(if is_aside { &mut ship.finished_aside } else { &mut ship.finished }) = Some(done);
        }
    }
}

impl Keeper {
    fn run(mut self) {
        let renewal = rules::renewal(TAKEOVER);
        loop {
            let next = match self.running.lives_here(&self.context) {
                true => self.hold(),
                false => self.stand_by(),
            };
            let pause = next.unwrap_or(us(renewal / 2).min(limits::STANDBY_LOOK_MS * MS));
            self.world.baton.sleep(pause);
        }
    }

    fn this(&self) -> String {
        host_name(self.running.host)
    }

    fn term(&self) -> Arc<Term> {
        self.running.bonds[&self.context].term.clone().unwrap()
    }

    fn clock(&self) -> &seam_store::clock::Clock {
        self.world.baton.clock(self.running.host)
    }

    fn store<T>(&self, within: Duration, work: impl FnOnce() -> Result<T, LeaseError>) -> Result<T, ()> {
        self.world.store(self.running.host, within, work).ok_or(())?.map_err(drop)
    }

    fn read(&mut self) -> Result<Option<Seen>, ()> {
        let leases = self.leases.clone();
        let seen = self.store(rules::renewal(TAKEOVER), || block_on(leases.read()))?;
        self.seen = seen.as_ref().map(|seen| seen.lease.clone());
        Ok(seen)
    }

    fn write(&self, after: Option<u64>, lease: &Lease) -> Result<Option<u64>, ()> {
        self.store(rules::renewal(TAKEOVER), || block_on(self.leases.write(after, lease)))
    }

    fn lease(&self, token: u64) -> Lease {
        Lease {
            host: self.this(),
            token,
            takeover_ms: u64::try_from(TAKEOVER.as_millis()).unwrap(),
            component: String::new(),
            snapshot: self.running.board.of(&self.context).map_or(0, |backup| backup.snapshot),
            commits: None,
        }
    }

    fn held(&self) -> PathBuf {
        self.data.join(format!("{}.held", self.context))
    }

    /// As the owner: when to come again.
    fn hold(&mut self) -> Result<Us, ()> {
        let file = self.running.file(&self.context).map_err(drop)?;
        let owner = match &self.owner {
            Some(owner) => owner.clone(),
            None => file.claim(&self.this(), self.clock().now() + Duration::from_secs(1)).map_err(drop)?,
        };
        if owner.host != self.this() {
            return Err(());
        }
        self.owner = Some(owner.clone());
        drop(file);
        let sent = self.clock().now();
        let after = match self.number {
            Some(number) => Some(number),
            None => match claim(self.read()?.as_ref(), &owner, self.held().exists()) {
                Claim::Lost(lease) => return Ok(self.lose(&lease)),
                Claim::Foreign => return Err(()),
                Claim::Write(None) if self.held().exists() => return Err(()),
                Claim::Write(after) => after,
            },
        };
        let token = rules::renewed(&owner, self.seen.as_ref());
        let lease = self.lease(token);
        self.number = self.write(after, &lease)?;
        if self.number.is_none() {
            return Ok(MS);
        }
        std::fs::write(self.held(), b"").unwrap();
        let term = rules::term(TAKEOVER) * if self.world.is_without(Without::Term) { 20 } else { 1 };
        self.term().extend(sent, term);
        self.seen = Some(lease);
        if token > 1 && !std::mem::replace(&mut self.told, true) {
            self.tell_all(token);
        }
        Ok(us(rules::renewal(TAKEOVER)))
    }

    /// The other host has the lease.
    fn lose(&mut self, lease: &Lease) -> Us {
        self.term().end();
        let to = Owner { host: lease.host.clone(), token: lease.token };
        self.world.baton.tell(&format!("{} gives {} up to {}", self.this(), self.context, to.host));
        let file = self.running.files.lock().remove(&self.context);
        file.iter().for_each(|file| file.give_up(&to));
        drop(file);
        self.set_home(&lease.host, lease.token);
        set_aside(&self.world.config(self.running.host, &self.context).path).unwrap();
        (self.owner, self.number, self.told) = (None, None, false);
        self.watch.start_again();
        MS
    }

    fn set_home(&self, host: &str, token: u64) {
        let home = Home { host: host.to_owned(), token };
        Homes::change(&self.data, |homes| homes.set(&name(&self.context), home)).unwrap();
        self.running.homes.lock().set(&name(&self.context), host_number(host), token);
    }

    /// As the standby: when to come again.
    fn stand_by(&mut self) -> Result<Us, ()> {
        let renewal = us(rules::renewal(TAKEOVER));
        let Some(seen) = self.read()? else { return Ok(renewal) };
        let known = Homes::load(&self.data).unwrap().homes.get(&self.context).map_or(0, |home| home.token);
        let now = self.clock().now();
        match self.watch.next(&seen, &self.this(), known, TAKEOVER, now) {
            Move::TakeAgain(token) | Move::TakeOver(token) => return self.take(&seen, token),
            Move::Wait => return Ok(renewal),
            Move::Follow => {}
        }
        let (world, host, warm) = (self.world.clone(), self.running.host, &mut self.warm);
        let more = world.store(host, REQUEST, || block_on(warm.bring_on(limits::STANDBY_DELTAS)));
        let more = more.ok_or(())?.map_err(drop)?;
        if !more && self.warm.state().is_some_and(|state| state.last < seen.lease.snapshot) {
            self.warm.forget();
            return Ok(MS);
        }
        Ok(if more { MS } else { renewal.min(limits::STANDBY_LOOK_MS * MS) })
    }

    /// Takes the lease that was seen, and the vault.
    fn take(&mut self, seen: &Seen, token: u64) -> Result<Us, ()> {
        self.watch.start_again();
        let lease = self.lease(token);
        if self.write(Some(seen.number), &lease)?.is_none() {
            return Ok(MS);
        }
        std::fs::write(self.held(), b"").unwrap();
        let (world, host, warm) = (self.world.clone(), self.running.host, &mut self.warm);
        let state = world.store(host, REQUEST, || block_on(warm.fence())).ok_or(())?.map_err(drop)?;
        number_after(&self.data, &self.context, state.last + limits::STANDBY_NUMBERS).unwrap();
        let config = world.config(host, &self.context);
        let copy = Config { path: self.warm.path(), ..config.clone() };
        let owner = Owner { host: self.this(), token };
        match world.is_without(Without::Positions) {
            true => take_over(&copy, &owner).unwrap(),
            false => take_over_copy(&copy, &owner).unwrap(),
        }
        set_aside(&config.path).unwrap();
        seam_store::private::folder(config.path.parent().unwrap()).unwrap();
        std::fs::rename(&copy.path, &config.path).unwrap();
        std::fs::remove_file(seam_store::log_of(&copy.path)).ok();
        self.set_home(&owner.host, token);
        world.serve(&self.running, &self.context);
        self.warm.forget();
        (self.owner, self.number, self.told) = (None, None, false);
        world.baton.tell(&format!("{} takes {} over with token {token}", owner.host, self.context));
        world.judge.lock().counts.takeovers += 1;
        Ok(MS)
    }

    /// Tells each other host where the vault lives, until all know it.
    fn tell_all(&self, token: u64) {
        let (world, running, context) = (self.world.clone(), self.running.clone(), self.context.clone());
        self.world.baton.spawn(Some(running.host), move || {
            let mut left: Vec<usize> = (0..world.plan.hosts).filter(|host| *host != running.host).collect();
            while !left.is_empty() && running.lives_here(&context) {
                let message = Message::Home { context: context.clone(), token };
                left.retain(|to| world.call((running.host, *to), &message, Duration::from_secs(5)).is_err());
                world.baton.sleep(S);
            }
        });
    }
}
