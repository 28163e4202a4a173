//! Faults between the hosts of the shop, under a load of orders: ways that are cut in one direction or both, that flap
//! or reset, hosts that are frozen or killed, clocks that are wrong, a broker that loses what it has.
//!
//! `just torture-hosts 40 --seed 7` goes through all of them again and again; here it is done as often as a test may
//! take. That the checks notice what is lost or doubled is shown beside them (`tests/src/torture/answers.rs`).

use anyhow::{Context, Result, ensure};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use seam_tests::placement::{BOOKS, ENGINES, Placement, SHOP, WEB1, WEB2};
use seam_tests::torture::between::{BROKER, Between, Fault};
use seam_tests::torture::namespaces::{Where, enter};

use Fault::{BothWays, Flapping, Frozen, Killed, OneWay, Resetting, Skewed, SkewedAlone, StartedSkewed, Wiped};

/// A clock that is wrong is so by ten minutes.
const SKEW_S: i64 = 600;

/// What is done to three hosts. The first ones are those of the short form.
const THREE: [Fault; 20] = [
    OneWay(BOOKS, SHOP),
    Killed(SHOP),
    SkewedAlone(SHOP, BOOKS, SKEW_S),
    Flapping(SHOP, BOOKS),
    Skewed(BOOKS, -SKEW_S),
    OneWay(SHOP, BOOKS),
    BothWays(SHOP, BOOKS),
    BothWays(SHOP, ENGINES),
    OneWay(SHOP, ENGINES),
    Resetting(SHOP, BOOKS),
    Frozen(BOOKS),
    Frozen(SHOP),
    Frozen(ENGINES),
    Killed(BOOKS),
    Killed(ENGINES),
    Skewed(SHOP, SKEW_S),
    Skewed(ENGINES, SKEW_S),
    StartedSkewed(BOOKS, -SKEW_S),
    StartedSkewed(SHOP, SKEW_S),
    SkewedAlone(ENGINES, SHOP, SKEW_S),
];

/// What is done to three hosts on a broker.
const NATS: [Fault; 17] = [
    Wiped,
    Frozen(WEB2),
    OneWay(BROKER, WEB2),
    OneWay(WEB2, BROKER),
    BothWays(SHOP, BROKER),
    BothWays(WEB1, BROKER),
    BothWays(WEB1, SHOP),
    OneWay(SHOP, WEB1),
    Flapping(WEB1, BROKER),
    Flapping(WEB1, SHOP),
    Resetting(WEB2, BROKER),
    Frozen(BROKER),
    Killed(SHOP),
    Killed(WEB2),
    Skewed(WEB2, SKEW_S),
    Skewed(SHOP, -SKEW_S),
    StartedSkewed(WEB1, -SKEW_S),
];

/// What the shop does with an order. The seed chooses.
const CHECKOUTS: [&str; 3] = ["saga", "two-phase", "retry-later"];

/// A setting of the long form. One that is no number would otherwise make it a short one.
fn setting(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty());
    text.map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, which is no such number")))
}

/// `short` of these faults; in the long form as many as it asks for, in an order that the seed chooses.
fn suffer(placement: Placement, is_inside: bool, faults: &[Fault], short: usize) -> Result<()> {
    let rounds = setting("SEAM_TORTURE_ROUNDS");
    let seed = setting("SEAM_TORTURE_SEED").unwrap_or(if rounds.is_some() { u64::from(std::process::id()) } else { 0 });
    let checkout = usize::try_from(seed).ok().and_then(|seed| CHECKOUTS.get(seed % CHECKOUTS.len())).context("one")?;
    println!("seed {seed}: SEAM_TORTURE_SEED={seed} makes the same choices; checkout: {checkout}");
    let mut chance = StdRng::seed_from_u64(seed);
    let mut chosen = Vec::new();
    let count = rounds.map_or(short, |rounds| usize::try_from(rounds).unwrap_or(usize::MAX));
    while chosen.len() < count {
        let mut all = faults.to_vec();
        if rounds.is_some() {
            all.shuffle(&mut chance);
        }
        all.truncate(count - chosen.len());
        chosen.extend(all);
    }
    let mut between = Between::new(placement, is_inside, checkout)?;
    let answered = between.suffer(&chosen, &mut chance)?;
    ensure!(answered.len() >= 2 * chosen.len(), "{} orders are no load", answered.len());
    between.end(&answered)
}

#[test]
fn whatever_fails_between_three_hosts_no_order_is_lost_or_done_twice() -> Result<()> {
    let inside = enter("between::whatever_fails_between_three_hosts_no_order_is_lost_or_done_twice")?;
    match inside {
        Where::Done => Ok(()),
        Where::Inside => suffer(Placement::Three, true, &THREE, 4),
        Where::NotPermitted => suffer(Placement::Three, false, &THREE, 4),
    }
}

/// On ways over loopback: the broker listens there.
#[test]
fn whatever_fails_between_hosts_on_a_broker_no_order_is_lost_or_done_twice() -> Result<()> {
    suffer(Placement::Nats, false, &NATS, 3)
}
