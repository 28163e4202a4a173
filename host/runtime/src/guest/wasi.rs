//! WASI 0.2 for guests whose toolchain brings it: clocks and random numbers are real, unless a tool fixes them, and the rest is an empty
//! world. No files, no sockets, no environment, no arguments; what they print becomes their log.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::AsyncWrite;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use super::Guest;
use super::logging::Budget;
use crate::limits;
use seam_store::ids::ContextName;

/// For guests that are called synchronously, as every context behind a seam is.
pub fn add_to_linker_sync(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    super::wasi_wait::add_to_linker(linker)
}

/// For guests that serve `wasi:http`.
pub fn add_to_linker_async(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

/// Where time and random numbers come from.
#[derive(Clone)]
pub enum World {
    Real,
    Fixed(Arc<Fixed>),
}

/// Time that stands still until somebody moves it, and numbers that follow from a seed.
pub struct Fixed {
    start: Duration,
    seed: u64,
    /// Nanoseconds after `start`.
    passed: AtomicU64,
    /// splitmix64's state: where the sequence of numbers is.
    state: AtomicU64,
}

impl Fixed {
    /// A world whose wall clock shows `seconds` after 1970.
    pub fn new(seconds: u64, seed: u64) -> Arc<Self> {
        let (passed, state) = (AtomicU64::new(0), AtomicU64::new(seed));
        Arc::new(Self { start: Duration::from_secs(seconds), seed, passed, state })
    }

    /// Lets so much time pass.
    pub fn wait(&self, time: Duration) {
        self.passed.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    fn next(&self) -> u64 {
        let step = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.state.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// One guest's view of a fixed world.
struct View(Arc<Fixed>);

impl HostWallClock for View {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.start + Duration::from_nanos(self.0.passed())
    }
}

impl HostMonotonicClock for View {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.0.passed()
    }
}

impl rand::TryRng for View {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok((self.0.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.0.next())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.0.next().to_le_bytes();
            chunk.iter_mut().zip(word).for_each(|(byte, random)| *byte = random);
        }
        Ok(())
    }
}

pub fn empty_world(context: &ContextName, budget: &Arc<Budget>, origin: &World) -> WasiCtx {
    let printed = |level| Printed { context: context.clone(), budget: budget.clone(), level };
    let mut world = WasiCtxBuilder::new();
    world
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(limits::RANDOM_BYTES_MAX)
        .stdout(printed(tracing::Level::INFO))
        .stderr(printed(tracing::Level::WARN));
    if let World::Fixed(fixed) = origin {
        let view = || View(fixed.clone());
        world.wall_clock(view()).monotonic_clock(view()).secure_random(view()).insecure_random(view());
        world.insecure_random_seed(u128::from(fixed.seed));
    }
    world.build()
}

/// Standard output or error of a guest.
#[derive(Clone)]
struct Printed {
    context: ContextName,
    budget: Arc<Budget>,
    level: tracing::Level,
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines { to: self.clone(), partial: Vec::new() })
    }
}

/// Splits what is written into lines.
struct Lines {
    to: Printed,
    partial: Vec<u8>,
}

impl Lines {
    fn flush_line(&mut self) {
        if self.partial.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(&self.partial).into_owned();
        self.partial.clear();
        self.to.budget.say(&self.to.context, "", "stdio", &line, self.to.level);
    }
}

impl AsyncWrite for Lines {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        for &byte in bytes {
            if byte == b'\n' || self.partial.len() >= limits::LOG_LINE_BYTES_MAX {
                self.flush_line();
            }
            if byte != b'\n' {
                self.partial.push(byte);
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flush_line();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
