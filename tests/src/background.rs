//! A `seam` command that runs beside the test, and what it prints meanwhile.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::host;
use crate::wait::TIMEOUT;

/// A running command; killed when dropped.
pub struct Background {
    child: Child,
    lines: Receiver<String>,
}

impl Background {
    /// Starts `seam -f MANIFEST ARGS`.
    pub fn start(manifest: &Path, args: &[&str]) -> Result<Self> {
        let mut command = host::command()?;
        command.arg("-f").arg(manifest).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (send, lines) = channel();
        let pipes: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().context("its standard output")?),
            Box::new(child.stderr.take().context("its standard error")?),
        ];
        for pipe in pipes {
            let send = send.clone();
            // The test may have read enough; reading on keeps the pipe from filling up.
            std::thread::spawn(move || {
                BufReader::new(pipe).lines().map_while(Result::ok).for_each(|line| drop(send.send(line)));
            });
        }
        Ok(Self { child, lines })
    }

    /// Waits until `enough` of both streams has come since the last time; the lines, as they came.
    ///
    /// # Errors
    /// With the lines, when no more come.
    pub fn until(&self, enough: impl Fn(&str) -> bool) -> Result<String> {
        let (mut printed, deadline) = (String::new(), Instant::now() + TIMEOUT);
        while !enough(&printed) {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => printed = printed + &line + "\n",
                Err(_) => bail!("the command prints no more after\n{printed}"),
            }
        }
        Ok(printed)
    }

    /// SIGINT, as Ctrl-C in a terminal.
    pub fn interrupt(&self) -> Result<()> {
        host::signal(self.child.id(), "INT")
    }

    /// Waits for its end; its status, and what it printed since the last time.
    pub fn end(mut self) -> Result<(ExitStatus, String)> {
        let status = self.child.wait()?;
        Ok((status, self.lines.iter().fold(String::new(), |printed, line| printed + &line + "\n")))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
