//! The host's own log: on standard error for people, and as JSON lines in the data folder for programs (`files`).
//!
//! Invariant: logging never waits. Each of the two has a bounded queue. A line that does not fit is dropped and
//! counted, and the host reports the number.

mod files;
mod line;
mod lines;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::files::Files;
use self::lines::{Lines, Output};
use crate::limits;
use crate::manifest::LogFormat;

/// The beginning of every log file's name; the day follows, and the number of a further piece of that day.
const FILE_PREFIX: &str = "seam.log";

/// What a filter need not leave out: the connection to a broker says the same in its own words.
const SILENT: &str = "async_nats=off";

/// The log files in `folder`, the oldest first.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    files::pieces(folder)
}

/// What is logged, and where.
#[derive(Debug, Clone)]
pub struct Config {
    /// On standard error.
    pub format: LogFormat,
    pub colours: bool,
    /// As in `RUST_LOG`.
    pub filter: String,
    /// `None`: standard error only.
    pub files: Option<LogFiles>,
}

/// The log files, and how much of them is kept.
#[derive(Debug, Clone)]
pub struct LogFiles {
    /// It exists.
    pub folder: PathBuf,
    pub days: usize,
    /// All files together.
    pub bytes_max: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{filter}` is not a log filter")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("cannot write log files in `{}`", path.display())]
    Files { path: PathBuf, source: io::Error },
    #[error("logging is set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps the log's threads. Dropping it writes out all waiting lines.
pub struct Guard {
    _workers: Vec<WorkerGuard>,
    counters: Vec<ErrorCounter>,
    unwritten: Arc<AtomicUsize>,
}

impl Guard {
    /// A counter of lines that are lost, now or later.
    pub fn dropped(&self) -> Dropped {
        Dropped { counters: self.counters.clone(), unwritten: self.unwritten.clone(), reported: 0 }
    }
}

/// Counts lost lines: those that did not fit into a queue, and those that could not be written.
#[derive(Clone)]
pub struct Dropped {
    counters: Vec<ErrorCounter>,
    unwritten: Arc<AtomicUsize>,
    reported: usize,
}

impl Dropped {
    /// All lines lost so far.
    pub fn all(&self) -> usize {
        let unwritten = self.unwritten.load(Ordering::Relaxed);
        self.counters.iter().map(ErrorCounter::dropped_lines).fold(unwritten, usize::saturating_add)
    }

    /// Lines lost since the last call of this function.
    pub fn new_losses(&mut self) -> usize {
        let all = self.all();
        all.saturating_sub(std::mem::replace(&mut self.reported, all))
    }
}

/// Sets up the log of this process.
///
/// # Errors
/// When the filter is malformed, the folder is not writable, or the log is set up already.
pub fn init(config: &Config) -> Result<Guard, Error> {
    let mut guard = Guard { _workers: Vec::new(), counters: Vec::new(), unwritten: Arc::default() };
    let filter = EnvFilter::try_new(format!("{SILENT},{}", config.filter));
    let filter = filter.map_err(|source| Error::Filter { filter: config.filter.clone(), source })?;
    let mut outputs = vec![Output { to: guard.queue(std::io::stderr()), format: config.format }];
    if let Some(LogFiles { folder, days, bytes_max }) = &config.files {
        let files = Files::open(folder, *days, *bytes_max);
        let files = files.map_err(|source| Error::Files { path: folder.clone(), source })?;
        outputs.push(Output { to: guard.queue(files), format: LogFormat::Json });
    }
    tracing_subscriber::registry().with(filter).with(Lines { outputs, colours: config.colours }).try_init()?;
    Ok(guard)
}

impl Guard {
    fn queue(&mut self, writer: impl Write + Send + 'static) -> NonBlocking {
        let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(limits::LOG_LINES_WAITING_MAX);
        let (queue, worker) = builder.finish(Batches {
            writer: BufWriter::with_capacity(limits::LOG_BATCH_BYTES, writer),
            unwritten: self.unwritten.clone(),
        });
        self._workers.push(worker);
        self.counters.push(queue.error_counter());
        queue
    }
}

/// Writes many lines at once. The worker calls `flush` when no more lines wait. It writes them out and sleeps for a
/// moment, so that not every line has to wake up this thread.
struct Batches<W: Write> {
    writer: BufWriter<W>,
    unwritten: Arc<AtomicUsize>,
}

impl<W: Write> Write for Batches<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The buffer is written with the next line; this line is lost.
        let written = self.writer.write(line);
        if written.is_err() {
            self.unwritten.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.writer.flush();
        std::thread::sleep(Duration::from_millis(limits::LOG_REST_MS));
        flushed
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A disk without space.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_lost_on_a_full_disk_are_counted_and_reported_once() {
        let mut guard = Guard { _workers: Vec::new(), counters: Vec::new(), unwritten: Arc::default() };
        let mut dropped = guard.dropped();
        let mut log = guard.queue(Full);
        for _ in 0..3 {
            log.write_all(&vec![b'x'; limits::LOG_BATCH_BYTES]).unwrap();
        }
        // Writes out all waiting lines.
        drop(guard);
        assert_eq!((dropped.new_losses(), dropped.new_losses(), dropped.all()), (3, 0, 3));
    }
}
