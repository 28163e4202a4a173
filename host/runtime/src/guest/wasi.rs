//! WASI 0.2 for guests whose toolchain imports it. Clocks and random numbers are real, unless a tool fixes them. There
//! are no files, sockets, environment variables or arguments. Standard output and standard error become log lines.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rand::Rng as _;
use seam_store::ids::ContextName;
use tokio::io::AsyncWrite;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use super::Guest;
use super::last_words::LastWords;
use super::logging::Budget;
use crate::limits;

/// For guests that the host calls synchronously: every context behind a seam.
pub fn add_to_linker_sync(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    super::wasi_wait::add_to_linker(linker)
}

/// For guests that serve `wasi:http`.
pub fn add_to_linker_async(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

/// The source of time and random numbers.
#[derive(Clone)]
pub enum World {
    Real,
    Fixed(Arc<Fixed>),
}

/// A clock that moves only by `wait`, and numbers that depend only on a seed.
pub struct Fixed {
    start: Duration,
    seed: u64,
    /// Nanoseconds after `start`.
    passed: AtomicU64,
    /// The state of splitmix64.
    state: AtomicU64,
}

impl Fixed {
    /// A world whose wall clock starts `seconds` after the start of 1970.
    pub fn new(seconds: u64, seed: u64) -> Arc<Self> {
        let (passed, state) = (AtomicU64::new(0), AtomicU64::new(seed));
        Arc::new(Self { start: Duration::from_secs(seconds), seed, passed, state })
    }

    /// Moves both clocks forward by `time`.
    pub fn wait(&self, time: Duration) {
        self.passed.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn passed(&self) -> u64 {
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

/// One guest's handle to a fixed world.
struct FixedHandle(Arc<Fixed>);

impl HostWallClock for FixedHandle {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.start + Duration::from_nanos(self.0.passed())
    }
}

impl HostMonotonicClock for FixedHandle {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.0.passed()
    }
}

impl rand::TryRng for FixedHandle {
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

/// Real random numbers, which can be noticed.
struct Noticed {
    numbers: Box<dyn rand::Rng + Send>,
    drew: Arc<AtomicBool>,
}

impl rand::TryRng for Noticed {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.drew.store(true, Ordering::Relaxed);
        Ok(self.numbers.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.drew.store(true, Ordering::Relaxed);
        Ok(self.numbers.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.drew.store(true, Ordering::Relaxed);
        self.numbers.fill_bytes(bytes);
        Ok(())
    }
}

/// The world of a guest. `drew` is set when the guest draws random numbers that no tool fixes.
pub fn empty_world(
    context: &ContextName,
    budget: &Arc<Budget>,
    origin: &World,
    drew: &Arc<AtomicBool>,
    last_words: &LastWords,
) -> WasiCtx {
    let stream = |level| LogStream {
        context: context.clone(),
        budget: budget.clone(),
        level,
        last_words: (level == tracing::Level::WARN).then(|| last_words.clone()),
    };
    let mut world = WasiCtxBuilder::new();
    world
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(limits::RANDOM_BYTES_MAX)
        .stdout(stream(tracing::Level::INFO))
        .stderr(stream(tracing::Level::WARN));
    if let World::Fixed(fixed) = origin {
        let handle = || FixedHandle(fixed.clone());
        world.wall_clock(handle()).monotonic_clock(handle()).secure_random(handle()).insecure_random(handle());
        world.insecure_random_seed(u128::from(fixed.seed));
    } else {
        let noticed = || Noticed { numbers: wasmtime_wasi::thread_rng(), drew: drew.clone() };
        world.secure_random(noticed()).insecure_random(noticed());
    }
    world.build()
}

/// A guest's standard output or standard error, which goes to its log.
#[derive(Clone)]
struct LogStream {
    context: ContextName,
    budget: Arc<Budget>,
    level: tracing::Level,
    /// Of standard error.
    last_words: Option<LastWords>,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines { to: self.clone(), partial: Vec::new() })
    }
}

/// Splits the written bytes into lines.
struct Lines {
    to: LogStream,
    partial: Vec<u8>,
}

impl Lines {
    fn flush_line(&mut self) {
        if self.partial.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(&self.partial).into_owned();
        self.partial.clear();
        self.to.last_words.iter().for_each(|words| words.say(&line));
        self.to.budget.write_line(&self.to.context, "", "stdio", &line, self.to.level);
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

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Libraries flush after every write, also within a line.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flush_line();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush_line();
    }
}
