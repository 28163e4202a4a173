//! Clients that request one page after the other until the test stops them, and keep what was wrong with the answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;

/// At most so many failures are remembered; there should be none.
const FAILURES_KEPT: usize = 20;

/// Says what is wrong with an answer, if anything.
pub type Judge = fn(path: &str, status: u16, body: &[u8]) -> Option<String>;

/// What the clients saw.
#[derive(Debug, Default)]
pub struct Seen {
    pub requests: usize,
    pub failures: Vec<String>,
    /// Microseconds of each request, sorted.
    pub latencies_us: Vec<u32>,
}

impl Seen {
    /// The latency that `per_mille` of the requests stayed below, in microseconds.
    pub fn latency_us(&self, per_mille: usize) -> u32 {
        let at = self.latencies_us.len() * per_mille / 1000;
        self.latencies_us.get(at.min(self.latencies_us.len().saturating_sub(1))).copied().unwrap_or(0)
    }
}

/// A running load; `stop` ends it.
pub struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// `clients` at a time ask `url` for `paths`, over and over, each waiting `pause` between two requests.
    pub fn start(url: &str, paths: &[String], clients: usize, pause: Duration, judge: Judge) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let client = |number: usize| {
            let (stop, seen, url, paths) = (stop.clone(), seen.clone(), url.to_owned(), paths.to_vec());
            std::thread::spawn(move || {
                let agent: ureq::Agent = ureq::Agent::config_builder()
                    .http_status_as_error(false)
                    .timeout_global(Some(Duration::from_secs(20)))
                    .build()
                    .into();
                for path in paths.iter().cycle().skip(number) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let started = Instant::now();
                    let wrong = match ask(&agent, &format!("{url}{path}")) {
                        Ok((status, body)) => judge(path, status, &body),
                        Err(error) => Some(format!("{path}: {error}")),
                    };
                    let took = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.requests += 1;
                    seen.latencies_us.push(took);
                    if seen.failures.len() < FAILURES_KEPT {
                        seen.failures.extend(wrong);
                    }
                    drop(seen);
                    std::thread::sleep(pause);
                }
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { stop, seen, clients }
    }

    /// How many requests have been answered so far.
    pub fn requests(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).requests
    }

    /// Lets the requests that run end.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().ok();
        }
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        seen.latencies_us.sort_unstable();
        seen
    }
}

fn ask(agent: &ureq::Agent, url: &str) -> Result<(u16, Vec<u8>)> {
    let mut answer = agent.get(url).call()?;
    Ok((answer.status().as_u16(), answer.body_mut().read_to_vec()?))
}
