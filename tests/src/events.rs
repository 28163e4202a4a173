//! The states that `seam dev` sends to open pages, as they come. The benches compile this file, too.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A build of all contexts on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(300);

pub struct Events {
    states: Receiver<(Instant, Value)>,
    pub latest: Value,
    /// When the latest state came.
    pub at: Instant,
}

impl Events {
    /// Reads the stream of the `seam dev` that serves at `url`, and waits for its first state.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(url: &str) -> Result<Self> {
        let address = url.strip_prefix("http://").context("plain HTTP")?;
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET /_seam/events HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n")?;
        let (send, states) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if let Some(state) = line.strip_prefix("data: ").and_then(|json| serde_json::from_str(json).ok()) {
                    // The receiver may have seen enough.
                    send.send((Instant::now(), state)).ok();
                }
            }
        });
        let mut events = Self { states, latest: Value::Null, at: Instant::now() };
        events.until(|_| true)?;
        Ok(events)
    }

    /// Waits for a state like this, among those that come after the latest.
    ///
    /// # Errors
    /// With the latest state, when none comes.
    pub fn until(&mut self, like: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let next = self.states.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let Ok((at, state)) = next else {
                bail!("the state that was waited for does not come; the latest is {:#}", self.latest)
            };
            (self.at, self.latest) = (at, state);
            if like(&self.latest) {
                return Ok(self.latest.clone());
            }
        }
    }
}

/// Whether no build runs.
pub fn is_idle(state: &Value) -> bool {
    state["building"].as_array().is_some_and(Vec::is_empty)
}
