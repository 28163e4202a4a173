//! The real binary, started on a system of test components or on the shop, and asked over HTTP.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A running `seam up` or `seam dev`; killed when dropped.
pub struct Host {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    data: PathBuf,
    /// What it wrote to standard error until it served; the rest is read away so that it never blocks.
    pub said: Vec<String>,
}

/// One answer of the host.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// The binary that this build made, beside the test's own.
pub fn binary() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(Path::parent).context("a test binary lies in target/PROFILE/deps")?;
    let seam = folder.join("seam");
    if !seam.is_file() {
        bail!("`{}` is missing; build it with `cargo build -p seam`", seam.display());
    }
    Ok(seam)
}

/// Runs `seam -f MANIFEST ARGS` to its end.
pub fn seam(manifest: &Path, args: &[&str]) -> Result<std::process::Output> {
    Ok(Command::new(binary()?).arg("-f").arg(manifest).args(args).stdin(Stdio::null()).output()?)
}

impl Host {
    /// Starts the host on `manifest` and waits until it serves.
    ///
    /// # Errors
    /// With everything it said, when it ends instead, or says nothing for a minute.
    pub fn up(manifest: &Path, data: &Path) -> Result<Self> {
        Self::up_with(manifest, data, &[])
    }

    /// The same with more variables in its environment.
    ///
    /// # Errors
    /// As `up`.
    pub fn up_with(manifest: &Path, data: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        Self::start(manifest, data, "up", variables, Duration::from_secs(60))
    }

    /// The same with `seam dev`, which builds first.
    ///
    /// # Errors
    /// As `up`, after a longer while.
    pub fn dev(manifest: &Path, data: &Path) -> Result<Self> {
        Self::start(manifest, data, "dev", &[], Duration::from_secs(900))
    }

    fn start(
        manifest: &Path,
        data: &Path,
        command: &str,
        variables: &[(&str, &str)],
        patience: Duration,
    ) -> Result<Self> {
        let mut child = Command::new(binary()?)
            .arg("-f")
            .arg(manifest)
            .arg(command)
            .envs(variables.iter().copied())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().context("its standard error")?;
        let (lines, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Nobody listens any more once it serves; reading on keeps the pipe from filling up.
                lines.send(line).ok();
            }
        });
        let mut host = Self { child, url: String::new(), data: data.to_owned(), said: Vec::new() };
        let deadline = Instant::now() + patience;
        loop {
            match said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let address = line.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:"));
                    let address = address.map(|a| a.trim_end_matches(['/', '"', ',']).to_owned());
                    host.said.push(line);
                    if let Some(address) = address {
                        host.url = address;
                        return Ok(host);
                    }
                }
                Err(_) => bail!("the host does not serve; it said:\n{}", host.said.join("\n")),
            }
        }
    }

    /// GET, without following redirects; an answer of any status is an answer.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.get_with(path, &[])
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .into();
        let mut request = agent.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.call()?;
        let headers = response
            .headers()
            .iter()
            .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
            .collect();
        Ok(Answer { status: response.status().as_u16(), headers, body: response.body_mut().read_to_vec()? })
    }

    /// Every line of its log files so far.
    pub fn log(&self) -> Result<String> {
        let mut all = String::new();
        for entry in std::fs::read_dir(self.data.join("logs"))? {
            all.push_str(&std::fs::read_to_string(entry?.path())?);
        }
        Ok(all)
    }

    /// Waits until a line of the log contains all of `words`.
    pub fn log_line(&self, words: &[&str]) -> Result<String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let log = self.log()?;
            if let Some(line) = log.lines().find(|line| words.iter().all(|word| line.contains(word))) {
                return Ok(line.to_owned());
            }
            if Instant::now() > deadline {
                bail!("no line of the log has all of {words:?}:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM; its exit status, when it comes within `limit`.
    pub fn stop(mut self, limit: Duration) -> Result<std::process::ExitStatus> {
        Command::new("kill").arg("-TERM").arg(self.pid().to_string()).status()?;
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("the host does not stop");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL, as a power cut would.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
