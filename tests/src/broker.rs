//! A NATS server from PyPI, with TLS and the users of a system.
//!
//! It uses the standard library alone: the host's own tests include this file.

use std::io::{self, Read as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::tools;

/// A server that runs; killed when dropped.
pub struct Broker {
    /// Its process.
    pub child: Child,
    pub port: u16,
    pub configuration: PathBuf,
    log: PathBuf,
}

/// A port that is free now.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Broker {
    /// Starts a server with this configuration, which has it listen on `port`. `tests`: the folder of this crate.
    ///
    /// # Errors
    /// With what it printed, when it does not serve within a minute.
    pub fn start(tests: &Path, configuration: &Path, port: u16) -> io::Result<Self> {
        let server = tools::installed("broker", tests, "broker-requirements.txt")?.join("bin/nats-server");
        let log = configuration.with_extension("log");
        let child = run(&server, configuration, &log)?;
        let mut broker = Self { child, port, configuration: configuration.to_owned(), log };
        broker.until_it_serves()?;
        Ok(broker)
    }

    fn until_it_serves(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.serves() {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                return Err(io::Error::other(self.said()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// It greets who connects, before TLS.
    fn serves(&self) -> bool {
        let mut first = [0; 4];
        let greeted = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| stream.read_exact(&mut first));
        greeted.is_ok() && first == *b"INFO"
    }

    /// Its log.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once.
    ///
    /// # Errors
    /// When that fails.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Starts it again, as it was.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_again(&mut self, tests: &Path) -> io::Result<()> {
        let server = tools::installed("broker", tests, "broker-requirements.txt")?.join("bin/nats-server");
        self.child = run(&server, &self.configuration, &self.log)?;
        self.until_it_serves()
    }
}

fn run(server: &Path, configuration: &Path, log: &Path) -> io::Result<Child> {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    let mut command = Command::new(server);
    command.arg("-c").arg(configuration).args(["-a", "127.0.0.1"]);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill().ok();
    }
}
