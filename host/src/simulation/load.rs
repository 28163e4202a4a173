//! Clients: each makes requests with keys, and asks again with the same key until it has an answer.
//!
//! Not here: what becomes of the keys (`judge`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::seq::IndexedRandom;
use seam_runtime::guest::joint::Joint;
use seam_runtime::two_phase::{Request, Settle};
use seam_store::ids::ContextName;

use super::baton::{MS, S, Us};
use super::host::{Message, Running, has, name, note, settle_from};
use super::world::{CALM, FAULTS, Without, World, desk};

/// How long a client waits for an answer, before it asks again.
const PATIENCE: Us = 8 * S;
/// How long a call from host to host may take.
const CALL: Duration = Duration::from_secs(3);

/// What a client asks for.
#[derive(Debug, Clone)]
pub enum Wish {
    /// The key stands in all of these desks, or in none.
    Together {
        desks: Vec<usize>,
        key: String,
    },
    Save {
        vault: String,
        key: String,
    },
}

impl World {
    /// Starts the clients.
    pub fn load(self: &Arc<Self>) {
        for client in 0..self.plan.hosts.clamp(6, 60) {
            let world = self.clone();
            self.baton.spawn(None, move || world.client(client));
        }
    }

    fn client(self: &Arc<Self>, client: usize) {
        let start = self.chance.lock().random_range(0..3 * S);
        self.baton.sleep(start);
        for number in 0.. {
            if self.now() > CALM + FAULTS {
                return;
            }
            let wish = self.wish(client, number);
            self.judge.lock().wished(&wish);
            while !self.try_once(&wish) {
                let pause = self.chance.lock().random_range(100 * MS..900 * MS);
                self.baton.sleep(pause);
            }
            let now = self.now();
            self.judge.lock().answered(&wish, now);
            self.baton.tell(&format!("client {client}: {wish:?} is done"));
            let pause = self.chance.lock().random_range(200 * MS..2 * S);
            self.baton.sleep(pause);
        }
    }

    fn wish(&self, client: usize, number: u32) -> Wish {
        let mut chance = self.chance.lock();
        let key = format!("{client}.{number}");
        if chance.random_range(0..100) < 45 {
            let vault = self.vaults.choose(&mut *chance).unwrap().name.clone();
            return Wish::Save { vault, key };
        }
        let first = chance.random_range(0..self.plan.hosts);
        let others = chance.random_range(1..=2.min(self.plan.hosts - 1));
        let step = chance.random_range(1..=(self.plan.hosts - 1) / others);
        let desks = (0..=others).map(|at| (first + at * step) % self.plan.hosts).collect();
        Wish::Together { desks, key }
    }

    /// Asks a host. Whether it says that it is done.
    fn try_once(self: &Arc<Self>, wish: &Wish) -> bool {
        let host = match wish {
            Wish::Together { desks, .. } => desks[0],
            Wish::Save { .. } => self.chance.lock().random_range(0..self.plan.hosts),
        };
        if !self.is_up(host) {
            return false;
        }
        let slot = self.baton.slot();
        let (filled, world, asked) = (slot.clone(), self.clone(), wish.clone());
        self.baton.spawn(Some(host), move || {
            let done = match asked {
                Wish::Save { vault, key } => world.to_home(host, &Message::Save { context: vault, key }, CALL).is_ok(),
                Wish::Together { desks, key } => match world.running(host) {
                    Some(running) => world.together(&running, &desks, &key).is_ok(),
                    None => false,
                },
            };
            filled.fill(done);
        });
        slot.wait(self.now() + PATIENCE).unwrap_or(false)
    }

    /// One transaction over the files of several desks, whose first one coordinates it.
    fn together(self: &Arc<Self>, running: &Arc<Running>, desks: &[usize], key: &str) -> Result<(), String> {
        let host = running.host;
        let coordinator = desk(host);
        let file = running.file(&coordinator).map_err(|failure| failure.to_string())?;
        let turn = running.transactions.turn(Instant::now()).ok_or("another one is open")?;
        let participants: Vec<ContextName> = desks[1..].iter().map(|host| name(&desk(*host))).collect();
        let joint = Joint::new(&name(&coordinator), &participants.clone().into(), String::new(), turn);
        let mut own = file.begin_alone(file.clock().now()).map_err(|error| error.to_string())?;
        if !self.is_without(Without::Key) && has(&mut own, key, &file).map_err(|error| error.to_string())? {
            return Ok(());
        }
        note(&mut own, key, &file).map_err(|error| error.to_string())?;
        for participant in &participants {
            let world = Arc::downgrade(self);
            let settle: Arc<Settle> = Arc::new(move |request: Request| settle_from(world.upgrade(), host, request));
            let part = joint.part_of(participant, || settle);
            let message = Message::Part { part, context: participant.to_string(), key: key.to_owned() };
            self.to_home(host, &message, CALL).map_err(|failure| failure.to_string())?;
        }
        joint.commit(own, &file).map_err(|failed| format!("{failed:?}"))
    }
}
