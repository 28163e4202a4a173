//! Visitors during edits: one page some fifty times a second. Each request must be answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::client::Client;

const PAUSE: Duration = Duration::from_millis(20);

pub struct Visitors {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Seen>>,
}

#[derive(Default)]
pub struct Seen {
    pub pages: u64,
    pub lost: u64,
    /// What became of the first one that was lost.
    pub why: Option<String>,
    pub slowest_ms: f64,
}

impl Visitors {
    pub fn start(address: SocketAddr, page: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let end = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(visit(address, page, &end))
        });
        Self { stop, thread }
    }

    /// What they saw.
    pub fn end(self) -> Result<Seen> {
        self.stop.store(true, Relaxed);
        self.thread.join().map_err(|_| anyhow!("the visitors panicked"))?
    }
}

async fn visit(address: SocketAddr, page: &str, stop: &AtomicBool) -> Result<Seen> {
    let (mut seen, mut client) = (Seen::default(), Client::connect(address).await?);
    while !stop.load(Relaxed) {
        let asked = Instant::now();
        let answer = client.page(page, None).await;
        seen.pages += 1;
        seen.slowest_ms = seen.slowest_ms.max(asked.elapsed().as_secs_f64() * 1e3);
        if let Err(error) = answer {
            seen.lost += 1;
            seen.why.get_or_insert(format!("{error:#}"));
            client = Client::connect(address).await?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(seen)
}
