//! Who may hold a lease: the decisions, without the store and without waiting.
//!
//! Invariants: the owner commits for `STANDBY_TERM_PERCENT` of the time of takeover after it *began* to renew. The
//! other host takes the lease once the whole time has gone by, on its own clock, since it *saw* the lease that it
//! takes. So while one may commit the other cannot have the lease, unless one clock runs a quarter faster than the
//! other.

use std::time::{Duration, Instant};

use seam_store::Owner;

use super::lease::{Lease, Seen};
use crate::limits;

/// What a host may do that has the file of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Write the lease after this number; `None`: the first one.
    Write(Option<u64>),
    /// Nothing: another host has taken the file over.
    Lost(Lease),
    /// Nothing: the lease is held under this host's name, by another data folder.
    Foreign,
}

/// What the owner of a file, as the file says, may do. `held`: whether this data folder has held the lease before.
pub fn claim(found: Option<&Seen>, owner: &Owner, held: bool) -> Claim {
    match found {
        None => Claim::Write(None),
        // The file was handed over to this host since: its last commit elsewhere said so.
        Some(seen) if seen.lease.token < owner.token => Claim::Write(Some(seen.number)),
        Some(seen) if seen.lease.host != owner.host => Claim::Lost(seen.lease.clone()),
        Some(_) if !held => Claim::Foreign,
        Some(seen) => Claim::Write(Some(seen.number)),
    }
}

/// What the standby of a file does about the lease that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// The owner renews it.
    Follow,
    /// The owner is gone: take the lease, under this token.
    TakeOver(u64),
    /// This host has the lease already, with this token, and does not serve yet.
    TakeAgain(u64),
    /// This host had the lease, and has handed the file over since.
    Wait,
}

/// The token under which the owner of a file renews its lease. A file that was restored from an earlier time has an
/// earlier one than the lease.
pub fn renewed(owner: &Owner, seen: Option<&Lease>) -> u64 {
    owner.token.max(seen.map_or(0, |lease| lease.token))
}

/// For how long the owner commits after it began to renew.
pub fn term(takeover: Duration) -> Duration {
    takeover * limits::STANDBY_TERM_PERCENT / 100
}

/// How often a lease is renewed and looked at, and for how long one request may take.
pub fn renewal(takeover: Duration) -> Duration {
    takeover / limits::STANDBY_RENEWALS
}

/// Waits for a lease not to be renewed.
#[derive(Debug, Default)]
pub struct Watch(Option<(u64, Instant)>);

impl Watch {
    /// The lease is as `seen` now. Whether it may be taken.
    pub fn is_over(&mut self, seen: &Seen, takeover: Duration, now: Instant) -> bool {
        let takeover = takeover.max(Duration::from_millis(seen.lease.takeover_ms));
        match self.0 {
            Some((number, since)) if number == seen.number => now.saturating_duration_since(since) >= takeover,
            _ => {
                self.0 = Some((seen.number, now));
                false
            }
        }
    }

    /// What the host `this` does, to which the context does not belong as far as it knows. `known`: the token of the
    /// last move of the context that it knows.
    pub fn next(&mut self, seen: &Seen, this: &str, known: u64, takeover: Duration, now: Instant) -> Move {
        let token = seen.lease.token;
        if seen.lease.host == this {
            // Either this host stopped while it took the context over, or the file has been handed over since.
            return if token > known { Move::TakeAgain(token) } else { Move::Wait };
        }
        match self.is_over(seen, takeover, now) {
            true => Move::TakeOver(token.max(known) + 1),
            false => Move::Follow,
        }
    }

    /// The lease must be seen again before it is taken.
    pub fn start_again(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn seen(number: u64, host: &str, token: u64) -> Seen {
        let (host, component) = (host.to_owned(), String::new());
        Seen { number, lease: Lease { host, token, takeover_ms: 1_000, component, snapshot: 0, commits: None } }
    }

    #[test]
    fn the_owner_of_the_file_holds_the_lease_unless_another_host_took_it_over() {
        let owner = |token| Owner { host: "shop".to_owned(), token };
        assert_eq!(claim(None, &owner(1), false), Claim::Write(None));
        assert_eq!(claim(Some(&seen(7, "shop", 1)), &owner(1), true), Claim::Write(Some(7)));
        assert_eq!(claim(Some(&seen(7, "shop", 1)), &owner(1), false), Claim::Foreign, "an empty disk");
        assert_eq!(claim(Some(&seen(7, "books", 1)), &owner(2), false), Claim::Write(Some(7)), "it was moved here");
        let lost = |token| claim(Some(&seen(7, "books", 2)), &owner(token), true);
        assert_eq!(lost(1), Claim::Lost(seen(7, "books", 2).lease));
        assert_eq!(lost(2), Claim::Lost(seen(7, "books", 2).lease));
        // An older file was restored here.
        assert_eq!(claim(Some(&seen(7, "shop", 4)), &owner(2), true), Claim::Write(Some(7)));
    }

    #[test]
    fn a_lease_is_over_when_it_was_seen_for_the_whole_time_without_a_renewal() {
        let (start, takeover) = (Instant::now(), Duration::from_secs(10));
        let at = |s: u64| start + Duration::from_secs(s);
        let mut watch = Watch::default();
        assert!(!watch.is_over(&seen(1, "shop", 1), takeover, at(0)));
        assert!(!watch.is_over(&seen(1, "shop", 1), takeover, at(9)));
        assert!(!watch.is_over(&seen(2, "shop", 1), takeover, at(10)), "it was renewed");
        assert!(!watch.is_over(&seen(2, "shop", 1), takeover, at(19)));
        // A host that slept looks first.
        assert!(!watch.is_over(&seen(3, "shop", 1), takeover, at(500)));
        assert!(watch.is_over(&seen(3, "shop", 1), takeover, at(510)));
        watch.start_again();
        assert!(!watch.is_over(&seen(3, "shop", 1), takeover, at(511)));
        // The owner goes by a longer time than this host's manifest.
        let mut watch = Watch::default();
        assert!(!watch.is_over(&seen(1, "shop", 1), Duration::from_millis(1), at(0)));
        assert!(!watch.is_over(&seen(1, "shop", 1), Duration::from_millis(1), start + Duration::from_millis(999)));
    }

    /// Two hosts with clocks of their own, a store that answers late, and hosts that stand still at any moment.
    #[test]
    fn while_one_host_may_commit_the_other_has_no_lease() {
        let takeover = Duration::from_millis(1_000);
        let runs = |term| (0..200).map(move |seed| simulate(seed, takeover, term));
        let taken: Result<Vec<u32>, String> = runs(term(takeover)).collect();
        assert!(taken.as_ref().is_ok_and(|taken| taken.iter().sum::<u32>() > 100), "{taken:?}");
        assert!(runs(takeover * 3 / 2).any(|run| run.is_err()), "an owner that takes too long is found");
    }

    struct Host {
        /// Its clock, in thousandths of the true speed.
        speed: u64,
        start: Instant,
        /// By the true time: it does nothing before.
        busy_until: u64,
        /// What it has read, and when by its own clock it began to write after it.
        plan: Option<(u64, Instant)>,
        watch: Watch,
        /// Until when it commits, by its own clock.
        until: Instant,
    }

    /// A minute. How often the lease was taken over.
    fn simulate(seed: u64, takeover: Duration, term: Duration) -> Result<u32, String> {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut number, mut holder) = (0, 0_usize);
        let mut taken = 0;
        let start = Instant::now();
        let mut hosts: Vec<Host> = (0..2)
            .map(|_| Host {
                speed: random.random_range(900..1_100),
                start: start + Duration::from_millis(random.random_range(0..100_000)),
                busy_until: 0,
                plan: None,
                watch: Watch::default(),
                until: start,
            })
            .collect();
        for host in &mut hosts {
            host.until = host.start;
        }
        for true_ms in 1..60_000_u64 {
            for (one, host) in hosts.iter_mut().enumerate() {
                let clock = host.start + Duration::from_micros(true_ms * host.speed);
                if host.until > clock && holder != one {
                    return Err(format!("seed {seed}, {true_ms} ms: a host commits without the lease"));
                }
                if host.busy_until > true_ms {
                    continue;
                }
                // Mostly short, seldom frozen.
                let pause = if random.random_range(0..400) == 0 {
                    random.random_range(1..5_000)
                } else {
                    random.random_range(1..120)
                };
                host.busy_until = true_ms + pause;
                match host.plan.take() {
                    None => {
                        let seen = seen(number, ["shop", "books"][holder], 1);
                        let owns = holder == one && number > 0;
                        if owns || number == 0 || host.watch.is_over(&seen, takeover, clock) {
                            host.plan = Some((number, clock));
                        }
                    }
                    // The request arrives after the pause.
                    Some((after, began)) if after == number => {
                        taken += u32::from(holder != one && number > 0);
                        (number, holder) = (number + 1, one);
                        host.until = began + term;
                        host.watch.start_again();
                    }
                    Some(_) => host.watch.start_again(),
                }
            }
        }
        if number > 100 { Ok(taken) } else { Err(format!("seed {seed}: it was not renewed")) }
    }
}
