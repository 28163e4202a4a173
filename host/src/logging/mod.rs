//! The host's own log: people read it on standard error, programs as JSON lines in the data folder, one file a day.
//!
//! Invariant: writing a line never waits. Behind each of the two stands a bounded queue; what does not fit is dropped and counted.

mod line;
mod lines;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::lines::{Lines, Output};
use crate::limits;
use crate::manifest::LogFormat;

/// The beginning of every log file's name; the day follows.
pub const FILE_PREFIX: &str = "seam.log";

/// What is logged and where to.
#[derive(Debug, Clone)]
pub struct Config {
    /// On standard error.
    pub format: LogFormat,
    pub colours: bool,
    /// As in `RUST_LOG`.
    pub filter: String,
    /// The folder of the log files, which exists, and how many days are kept; `None`: standard error only.
    pub files: Option<(PathBuf, usize)>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{filter}` is no log filter")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("cannot write log files in `{}`", path.display())]
    Files { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("logging has been set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps the log's threads; dropping it writes out what waits.
pub struct Guard {
    _workers: Vec<WorkerGuard>,
    counters: Vec<ErrorCounter>,
}

impl Guard {
    /// Lines that were dropped because a disk or a terminal did not keep up.
    pub fn dropped(&self) -> usize {
        self.counters.iter().map(ErrorCounter::dropped_lines).sum()
    }
}

/// Sets the log of this process up.
///
/// # Errors
/// When the filter is malformed, the folder cannot be written to, or it has been done before.
pub fn init(config: &Config) -> Result<Guard, Error> {
    let mut guard = Guard { _workers: Vec::new(), counters: Vec::new() };
    let filter = EnvFilter::try_new(&config.filter);
    let filter = filter.map_err(|source| Error::Filter { filter: config.filter.clone(), source })?;
    let mut outputs = vec![Output { to: guard.queue(std::io::stderr()), format: config.format }];
    if let Some((path, days)) = &config.files {
        let files = |source: Box<dyn std::error::Error + Send + Sync>| Error::Files { path: path.clone(), source };
        let appender = RollingFileAppender::builder()
            .rotation(Rotation::DAILY)
            .filename_prefix(FILE_PREFIX)
            .max_log_files((*days).max(1))
            .build(path)
            .map_err(|error| files(error.into()))?;
        outputs.push(Output { to: guard.queue(appender), format: LogFormat::Json });
    }
    tracing_subscriber::registry().with(filter).with(Lines { outputs, colours: config.colours }).try_init()?;
    Ok(guard)
}

impl Guard {
    fn queue(&mut self, writer: impl Write + Send + 'static) -> NonBlocking {
        let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(limits::LOG_LINES_WAITING_MAX);
        let (queue, worker) = builder.finish(Batches(BufWriter::with_capacity(limits::LOG_BATCH_BYTES, writer)));
        self._workers.push(worker);
        self.counters.push(queue.error_counter());
        queue
    }
}

/// Writes many lines at once. `flush` is called when no more lines wait: it writes them out and rests, so that those who log need not wake
/// this thread up for each line.
struct Batches<W: Write>(BufWriter<W>);

impl<W: Write> Write for Batches<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.0.flush();
        std::thread::sleep(Duration::from_millis(limits::LOG_REST_MS));
        flushed
    }
}
