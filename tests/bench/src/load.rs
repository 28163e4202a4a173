//! The load: a few keep-alive connections that each go on as soon as they have the answer.
//!
//! Only loopback addresses are ever asked, for a bounded time and a bounded number of requests. One thread drives all
//! connections, so that the server under load has a core of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::client::Client;
use crate::shopper::Market;

/// Turns of one run at most, over all connections.
const TURNS_MAX: usize = 400_000;

/// What every connection does, turn by turn.
#[derive(Clone)]
pub enum Work {
    /// Asks for these addresses, one a turn.
    Pages(Arc<[String]>),
    /// Each turn places an order; each connection has shoppers of its own.
    Orders(Arc<Market>),
    /// Each turn is a shopper's whole session.
    Sessions(Arc<Market>),
}

/// What one run saw.
pub struct Sample {
    pub turns: u64,
    pub elapsed: Duration,
    /// Of a turn, in microseconds, sorted.
    pub latencies: Vec<u32>,
}

impl Sample {
    pub fn per_second(&self) -> f64 {
        self.turns as f64 / self.elapsed.as_secs_f64()
    }

    /// `per_mille` 500 is the median.
    pub fn latency(&self, per_mille: usize) -> u32 {
        let at = self.latencies.len() * per_mille / 1000;
        self.latencies.get(at.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or(0)
    }
}

/// Does `work` over `connections` connections until `time` is over; a turn that has started is finished.
pub fn run(address: SocketAddr, work: &Work, connections: usize, time: Duration) -> Result<Sample> {
    ensure!(address.ip().is_loopback(), "the load goes to this machine only, not to {address}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let started = Instant::now();
        let each = TURNS_MAX / connections.max(1);
        let tasks: Vec<_> = (0..connections)
            .map(|number| tokio::spawn(connection(address, work.clone(), number, connections, started + time, each)))
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.context("a connection panicked")??);
        }
        let elapsed = started.elapsed();
        latencies.sort_unstable();
        Ok(Sample { turns: latencies.len() as u64, elapsed, latencies })
    })
}

/// The turns of connection `number` of `connections`.
async fn connection(
    address: SocketAddr,
    work: Work,
    number: usize,
    connections: usize,
    until: Instant,
    turns_max: usize,
) -> Result<Vec<u32>> {
    let mut client = Client::connect(address).await?;
    let mut latencies = Vec::with_capacity(1 << 14);
    for turn in 0..turns_max {
        let asked = Instant::now();
        if asked >= until {
            break;
        }
        match &work {
            Work::Pages(paths) => {
                let at = (number * paths.len() / connections + turn) % paths.len().max(1);
                client.page(paths.get(at).context("there is nothing to ask for")?, None).await?;
            }
            Work::Orders(market) => market.order(&mut client, number + turn * connections).await?,
            Work::Sessions(market) => market.session(&mut client, number + turn * connections).await?,
        }
        latencies.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_sample() {
        let sample = Sample { turns: 100, elapsed: Duration::from_secs(2), latencies: (1..=100).collect() };
        assert_eq!((sample.latency(500), sample.latency(990), sample.latency(1000)), (51, 100, 100));
        assert!((sample.per_second() - 50.0).abs() < 1e-9);
        let none = Sample { turns: 0, elapsed: Duration::from_secs(1), latencies: Vec::new() };
        assert_eq!(none.latency(500), 0);
    }

    #[test]
    fn other_machines_are_never_asked() {
        assert!(
            run(SocketAddr::from(([192, 0, 2, 1], 80)), &Work::Pages(Arc::new(["/".to_owned()])), 1, Duration::ZERO)
                .is_err()
        );
    }
}
