//! Servers as child processes: started on a port of their own choice, their processor time and memory read from
//! `/proc`, ended with SIGTERM, and killed when that does not help.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a server may take to say where it listens. Loading a million albums comes before that.
const START_MAX: Duration = Duration::from_secs(1800);
/// How long a server may drain.
const STOP_MAX: Duration = Duration::from_secs(20);

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// From the start of the process until it said where it listens.
    pub started_in: Duration,
}

impl Server {
    /// Starts `command`, which is to name `http://127.0.0.1:PORT` on standard error once it serves.
    pub fn start(command: Command) -> Result<Self> {
        Self::start_at(command, address_in)
    }

    /// Starts `command`, which serves at the address that `serving` finds in a line on standard error.
    pub fn start_at(mut command: Command, serving: impl Fn(&str) -> Option<SocketAddr>) -> Result<Self> {
        let started = Instant::now();
        let mut child = command
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let stderr = child.stderr.take().context("a server has no standard error")?;
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end, heard or not: a full pipe would stop the server.
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                tell.send((Instant::now(), line)).ok();
            }
        });
        let mut said = Vec::new();
        loop {
            match lines.recv_timeout(START_MAX.saturating_sub(started.elapsed())) {
                Ok((at, line)) => {
                    if let Some(address) = serving(&line) {
                        return Ok(Self { child, address, started_in: at - started });
                    }
                    said.push(line);
                }
                Err(_) => {
                    // It ended or says nothing; either way it must not stay.
                    child.kill().ok();
                    child.wait().ok();
                    bail!("{command:?} does not serve; it said:\n{}", said.join("\n"));
                }
            }
        }
    }

    /// Processor time used so far, in user and kernel mode.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name may hold anything; the fields begin after its last parenthesis with the third one.
        let fields: Vec<&str> =
            stat.rsplit_once(')').context("a process without a name")?.1.split_whitespace().collect();
        let ticks = |at: usize| -> Result<u64> { Ok(fields.get(at).context("a short `stat`")?.parse()?) };
        let (user, kernel) = (ticks(11)?, ticks(12)?);
        Ok(Duration::from_secs_f64((user + kernel) as f64 / rustix::param::clock_ticks_per_second() as f64))
    }

    /// The most memory that was resident at any time, in bytes.
    pub fn peak_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
    }

    /// Whether it has ended, of itself or by a signal.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let asked = Instant::now();
        while asked.elapsed() < STOP_MAX {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("a server did not end within {STOP_MAX:?} of SIGTERM")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, after) = line.split_once("http://127.0.0.1:")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    Some(SocketAddr::from(([127, 0, 0, 1], digits.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_wherever_it_stands() {
        let at = |port: u16| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(address_in("serving on http://127.0.0.1:4711/"), at(4711));
        assert_eq!(address_in(r#"{"url":"http://127.0.0.1:80"}"#), at(80));
        assert_eq!(address_in("listening on http://0.0.0.0:80"), None);
        assert_eq!(address_in("http://127.0.0.1:99999"), None);
    }
}
