//! What open pages are told by `seam dev`, as it comes.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

/// A change of all contexts on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

pub struct Events {
    states: Receiver<(Instant, Value)>,
    version: Value,
}

impl Events {
    pub fn of(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET /_seam/events HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n")?;
        let (send, states) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if let Some(state) = line.strip_prefix("data: ").and_then(|json| serde_json::from_str(json).ok()) {
                    // The bench may have ended.
                    send.send((Instant::now(), state)).ok();
                }
            }
        });
        let (_, first): (_, Value) = states.recv_timeout(PATIENCE).context("no events")?;
        Ok(Self { states, version: first["version"].clone() })
    }

    /// The next state in which another version is live, or something is wrong, and when it came.
    pub fn settled(&mut self) -> Result<(Instant, Value)> {
        loop {
            let (at, state) = self.states.recv_timeout(PATIENCE).context("nothing becomes live")?;
            let wrong = state["problems"].as_array().is_some_and(|all| !all.is_empty());
            let idle = state["building"].as_array().is_some_and(Vec::is_empty);
            if idle && (wrong || state["version"] != self.version) {
                self.version = state["version"].clone();
                return Ok((at, state));
            }
        }
    }
}
