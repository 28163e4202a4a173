//! Customers who want their order: each sends it again, under the same key, until the shop has said what became of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use parking_lot::Mutex;

use crate::client::Client;
use crate::shopper::{Market, Pays, Seen};

/// How long a customer waits before the form is sent again.
const AGAIN: Duration = Duration::from_millis(100);
/// And for how long it is sent again.
const PATIENCE: Duration = Duration::from_secs(90);

/// So many orders are paid with a card that the bank declines, and with a card to which no bank answers: fewer than may
/// fail within an hour from one network address.
const DECLINED: usize = 10;
const UNANSWERED: usize = 5;

/// What customers saw.
#[derive(Default)]
pub struct Sales {
    /// From the first try to the last answer, in microseconds.
    pub latencies: Vec<u32>,
    pub placed: usize,
    /// Taken in, to be confirmed later.
    pub taken: usize,
    pub refused: usize,
    /// No answer within the customer's patience.
    pub lost: usize,
    /// Times that a customer had to send the form again.
    pub again: usize,
    pub elapsed: Duration,
}

/// Where the shop is: another port after each start.
pub type Address = Arc<Mutex<SocketAddr>>;

/// So many orders over `connections` connections; `done` counts those that have been answered.
pub fn buy(
    address: &Address,
    market: &Arc<Market>,
    orders: usize,
    connections: usize,
    done: &Arc<AtomicUsize>,
) -> Result<Sales> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let next = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let started = Instant::now();
        let tasks: Vec<_> = (0..connections)
            .map(|number| {
                let work = Connection { address: address.clone(), market: market.clone(), number, connections };
                tokio::spawn(work.run(orders, next.clone(), done.clone()))
            })
            .collect();
        let mut sales = Sales::default();
        for task in tasks {
            sales.add(task.await??);
        }
        sales.elapsed = started.elapsed();
        sales.latencies.sort_unstable();
        Ok(sales)
    })
}

impl Sales {
    fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.placed += other.placed;
        self.taken += other.taken;
        self.refused += other.refused;
        self.lost += other.lost;
        self.again += other.again;
    }

    /// In microseconds; `per_mille` 500 is the median.
    pub fn latency(&self, per_mille: usize) -> u32 {
        let at = self.latencies.len() * per_mille / 1000;
        self.latencies.get(at.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or(0)
    }
}

struct Connection {
    address: Address,
    market: Arc<Market>,
    number: usize,
    connections: usize,
}

impl Connection {
    async fn run(self, orders: usize, next: Arc<AtomicUsize>, done: Arc<AtomicUsize>) -> Result<Sales> {
        let (mut sales, mut client, mut turn) = (Sales::default(), None, 0);
        loop {
            let order = next.fetch_add(1, Ordering::Relaxed);
            if order >= orders {
                return Ok(sales);
            }
            let pays = match order {
                order if order % (orders / DECLINED) == 3 => Pays::Declined,
                order if order % (orders / UNANSWERED) == 7 => Pays::Unanswered,
                _ => Pays::Approved,
            };
            let key = self.market.key();
            let started = Instant::now();
            loop {
                let seen = self.once(&mut client, turn, &key, pays).await?;
                let last = match seen {
                    Seen::Placed => &mut sales.placed,
                    Seen::Taken => &mut sales.taken,
                    Seen::Refused => &mut sales.refused,
                    Seen::Again if started.elapsed() > PATIENCE => &mut sales.lost,
                    Seen::Again => {
                        sales.again += 1;
                        tokio::time::sleep(AGAIN).await;
                        continue;
                    }
                };
                *last += 1;
                break;
            }
            sales.latencies.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
            done.fetch_add(1, Ordering::Relaxed);
            turn += 1;
        }
    }

    /// One try. A connection that does not work counts as no answer.
    async fn once(&self, client: &mut Option<Client>, turn: usize, key: &str, pays: Pays) -> Result<Seen> {
        let address = *self.address.lock();
        ensure!(address.ip().is_loopback(), "orders go to this machine only, not to {address}");
        if client.as_ref().is_none_or(|open| open.address() != address) {
            *client = Client::connect(address).await.ok();
        }
        let Some(open) = client else { return Ok(Seen::Again) };
        let turn = self.number + turn * self.connections;
        match self.market.try_order(open, turn, key, pays).await {
            Ok(seen) => Ok(seen),
            Err(_) => {
                *client = None;
                Ok(Seen::Again)
            }
        }
    }
}
