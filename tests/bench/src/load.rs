//! The load: a few keep-alive connections that each ask again as soon as they have the answer.
//!
//! Only loopback addresses are ever asked, for a bounded time and a bounded number of requests. One thread drives all connections,
//! so that the server under load has a core of its own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;

/// Requests of one run at most, over all connections.
const REQUESTS_MAX: usize = 400_000;
/// An answer that takes longer than this ends the bench.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What one run saw.
pub struct Sample {
    pub requests: u64,
    pub elapsed: Duration,
    /// In microseconds, sorted.
    pub latencies: Vec<u32>,
}

impl Sample {
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// `per_mille` 500 is the median.
    pub fn latency(&self, per_mille: usize) -> u32 {
        let at = self.latencies.len() * per_mille / 1000;
        self.latencies.get(at.min(self.latencies.len().saturating_sub(1))).copied().unwrap_or(0)
    }
}

/// Asks for `paths` in turn over `connections` connections until `time` is over.
pub fn run(address: SocketAddr, paths: &[String], connections: usize, time: Duration) -> Result<Sample> {
    ensure!(address.ip().is_loopback(), "the load goes to this machine only, not to {address}");
    ensure!(!paths.is_empty(), "there is nothing to ask for");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let started = Instant::now();
        let each = REQUESTS_MAX / connections.max(1);
        let tasks: Vec<_> = (0..connections)
            .map(|number| {
                let start_at = number * paths.len() / connections;
                let paths: Vec<String> = paths.iter().cycle().skip(start_at).take(paths.len()).cloned().collect();
                tokio::spawn(connection(address, paths, started + time, each))
            })
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.context("a connection panicked")??);
        }
        let elapsed = started.elapsed();
        latencies.sort_unstable();
        Ok(Sample { requests: latencies.len() as u64, elapsed, latencies })
    })
}

async fn connection(address: SocketAddr, paths: Vec<String>, until: Instant, requests_max: usize) -> Result<Vec<u32>> {
    let mut sender = connect(address).await?;
    let mut latencies = Vec::with_capacity(1 << 14);
    for path in paths.iter().cycle().take(requests_max) {
        let asked = Instant::now();
        if asked >= until {
            break;
        }
        let (status, body) = get(&mut sender, path).await?;
        if status != 200 || body.is_empty() {
            bail!("http://{address}{path} answers {status} with {} bytes", body.len());
        }
        latencies.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}

/// A keep-alive connection whose other half runs on this runtime.
pub async fn connect(address: SocketAddr) -> Result<SendRequest<Empty<Bytes>>> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One request and its whole answer.
pub async fn get(sender: &mut SendRequest<Empty<Bytes>>, path: &str) -> Result<(u16, Bytes)> {
    let request = Request::get(path).header(http::header::HOST, "127.0.0.1").body(Empty::new())?;
    let answer = async {
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        anyhow::Ok((status, response.into_body().collect().await?.to_bytes()))
    };
    tokio::time::timeout(ANSWER_MAX, answer).await.with_context(|| format!("{path} is not answered"))?
}

/// One request on a connection of its own, from outside any runtime.
pub fn get_once(address: SocketAddr, path: &str) -> Result<(u16, Bytes)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut sender = connect(address).await?;
        get(&mut sender, path).await
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_sample() {
        let sample = Sample { requests: 100, elapsed: Duration::from_secs(2), latencies: (1..=100).collect() };
        assert_eq!((sample.latency(500), sample.latency(990), sample.latency(1000)), (51, 100, 100));
        assert!((sample.per_second() - 50.0).abs() < 1e-9);
        let none = Sample { requests: 0, elapsed: Duration::from_secs(1), latencies: Vec::new() };
        assert_eq!(none.latency(500), 0);
    }

    #[test]
    fn other_machines_are_never_asked() {
        assert!(run(SocketAddr::from(([192, 0, 2, 1], 80)), &["/".to_owned()], 1, Duration::ZERO).is_err());
    }
}
