//! Three to a hundred hosts under failure, by chance: a seed chooses what is asked for, how long messages take, and
//! what fails. Hosts crash, stand still and lose each other; clocks differ; the store of backups is away. At the end,
//! and at each commit of a file with a standby, it is compared with what the documentation promises (`judge`).
//!
//! What decides is the product's own code, on real files: leases and terms, fencing tokens, backups and copies,
//! transactions over several files, outboxes and inboxes, the tries to reach a host. Time, the network and the load are
//! simulated. One seed does the same each time.
//!
//! `just simulate --hosts 100 --seed 7` runs one seed, and `--runs N` so many from it on.
//!
//! - `load`, `faults`, `judge`: who asks, what fails, what must hold. Each adds its part to the `World`.
//! - `host`, `keeper`, `events`: what a host does.
//! - `network`, `world`: what there is.
//! - `baton`: time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[cfg(test)]
mod baton;
#[cfg(test)]
mod events;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod host;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod keeper;
#[cfg(test)]
mod load;
#[cfg(test)]
mod network;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

use judge::Counts;
use world::{CALM, FAULTS, HEALED, Plan, World};

/// What came of a seed.
struct Came {
    counts: Counts,
    /// The digest of all that happened.
    trace: String,
    holds: Result<(), String>,
}

fn simulate(plan: Plan) -> Came {
    let world = World::new(plan);
    for host in 0..plan.hosts {
        world.boot(host);
    }
    world.load();
    world.trouble();
    let run = world.baton.run(CALM + FAULTS + HEALED);
    let holds = run.and_then(|()| world.verdict());
    let (trace, turns) = world.baton.trace();
    let counts = Counts { turns, ..world.judge.lock().counts };
    world.baton.end();
    (0..plan.hosts).for_each(|host| world.set_running(host, None));
    Came { counts, trace, holds }
}
