//! WASI 0.2 for guests whose toolchain brings it: clocks and random numbers are real, and the rest is an empty world. No
//! files, no sockets, no environment, no arguments; what they print becomes their log.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use super::Guest;
use super::logging::Budget;
use crate::ids::ContextName;
use crate::limits;

/// For guests that are called synchronously, as every context behind a seam is.
pub fn add_to_linker_sync(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    super::wasi_wait::add_to_linker(linker)
}

/// For guests that serve `wasi:http`.
pub fn add_to_linker_async(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

pub fn empty_world(context: &ContextName, budget: &Arc<Budget>) -> WasiCtx {
    let printed = |level| Printed { context: context.clone(), budget: budget.clone(), level };
    let mut world = WasiCtxBuilder::new();
    world
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(limits::RANDOM_BYTES_MAX)
        .stdout(printed(tracing::Level::INFO))
        .stderr(printed(tracing::Level::WARN));
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
