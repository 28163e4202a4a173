//! What fails, and when: by the seed.

use std::sync::Arc;

use rand::RngExt;

use super::baton::{MS, S, Us};
use super::world::{CALM, FAULTS, World};

impl World {
    /// Has things fail for `FAULTS`, and be well after that.
    pub fn trouble(self: &Arc<Self>) {
        let every = (8 * S / self.plan.hosts as Us).max(150 * MS);
        let mut at = CALM;
        while at < CALM + FAULTS {
            let world = self.clone();
            self.baton.at(at, None, move || world.fault());
            at += self.chance.lock().random_range(every / 2..every * 2);
        }
        let world = self.clone();
        self.baton.at(CALM + FAULTS, None, move || world.heal());
    }

    /// For so long, and not beyond the end of all faults.
    fn until(&self, least: Us, most: Us) -> Us {
        let time = self.chance.lock().random_range(least..most);
        (self.now() + time).min(CALM + FAULTS)
    }

    fn fault(self: &Arc<Self>) {
        let hosts = self.plan.hosts;
        let (what, one, step) = {
            let mut chance = self.chance.lock();
            (chance.random_range(0..100), chance.random_range(0..hosts), chance.random_range(1..hosts))
        };
        let other = (one + step) % hosts;
        let mut counts = self.judge.lock().counts;
        match what {
            0..25 if self.is_up(one) => {
                counts.crashes += 1;
                let until = self.until(300 * MS, 9 * S);
                self.baton.tell(&format!("host-{one} crashes"));
                self.crash(one);
                self.later(until, move |world| world.start(one));
            }
            25..40 => {
                counts.freezes += 1;
                let until = self.until(200 * MS, 12 * S);
                self.baton.tell(&format!("host-{one} is frozen until {:.3}", until as f64 / 1e3));
                self.baton.freeze(one, until);
            }
            40..60 => {
                counts.cuts += 1;
                let one_way = self.chance.lock().random_bool(0.5);
                let until = self.until(S, 10 * S);
                self.baton.tell(&format!("host-{one} does not reach host-{other}, one way: {one_way}"));
                self.cut(&[(one, other)], one_way, until);
            }
            60..70 => {
                counts.cuts += 1;
                let until = self.until(S, 12 * S);
                let pairs: Vec<_> = (0..hosts).filter(|host| *host != one).map(|host| (one, host)).collect();
                self.baton.tell(&format!("host-{one} reaches no host"));
                self.cut(&pairs, false, until);
            }
            70..78 => {
                counts.cuts += 1;
                self.baton.tell(&format!("host-{one} and host-{other} flap"));
                self.flap(one, other, 10);
            }
            78..90 => {
                // As often for any number of hosts.
                let all = self.chance.lock().random_bool((1.0 / hosts as f64).min(0.3));
                let hosts: Vec<usize> = if all { (0..hosts).collect() } else { vec![one] };
                let until = self.until(S, 9 * S);
                self.baton.tell(&format!("the store of backups is away for {} hosts", hosts.len()));
                self.net.lock().no_store.extend(&hosts);
                self.later(until, move |world| {
                    let mut net = world.net.lock();
                    net.no_store.retain(|host| !hosts.contains(host));
                });
            }
            90..97 => {
                let (lost, twice) = {
                    let mut chance = self.chance.lock();
                    (chance.random_range(10..250), chance.random_range(0..300))
                };
                self.baton.tell(&format!("of 1000 messages, {lost} are lost and {twice} come twice"));
                {
                    let mut net = self.net.lock();
                    (net.lost, net.twice) = (lost, twice);
                }
                let until = self.until(S, 5 * S);
                self.later(until, |world| {
                    let mut net = world.net.lock();
                    (net.lost, net.twice) = (0, 0);
                });
            }
            _ => {
                let jump = self.chance.lock().random_range(0..1_200);
                self.baton.tell(&format!("the time of day of host-{one} jumps"));
                let clock = self.baton.clock(one);
                let to = clock.wall() + std::time::Duration::from_secs(jump);
                clock.set_wall(to - std::time::Duration::from_secs(600));
            }
        }
        self.judge.lock().counts = counts;
    }

    fn later(self: &Arc<Self>, at: Us, work: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let world = self.clone();
        self.baton.at(at, None, move || work(&world));
    }

    fn cut(self: &Arc<Self>, pairs: &[(usize, usize)], one_way: bool, until: Us) {
        let back = pairs.iter().filter(|_| !one_way).map(|(one, other)| (*other, *one));
        let all: Vec<_> = pairs.iter().copied().chain(back).collect();
        self.net.lock().cut.extend(&all);
        self.later(until, move |world| {
            let mut net = world.net.lock();
            net.cut.retain(|pair| !all.contains(pair));
        });
    }

    fn flap(self: &Arc<Self>, one: usize, other: usize, left: u32) {
        if left == 0 || self.now() >= CALM + FAULTS {
            return;
        }
        self.cut(&[(one, other)], false, (self.now() + 300 * MS).min(CALM + FAULTS));
        self.later(self.now() + 600 * MS, move |world| world.flap(one, other, left - 1));
    }

    fn start(self: &Arc<Self>, host: usize) {
        if !self.is_up(host) {
            self.baton.tell(&format!("host-{host} starts"));
            self.boot(host);
        }
    }

    fn heal(self: &Arc<Self>) {
        self.baton.tell("all is well");
        {
            let mut net = self.net.lock();
            net.cut.clear();
            net.no_store.clear();
            (net.lost, net.twice) = (0, 0);
        }
        for host in 0..self.plan.hosts {
            self.baton.thaw(host);
            self.start(host);
        }
    }
}
