//! The real binary, started on a system of test components or on the shop, and called over HTTP.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::wait;

/// What the address starts with at which a host of a test serves.
const OWN: [&str; 2] = ["http://127.0.0.1:", "http://0.0.0.0:"];

/// A running `seam up` or `seam dev`; killed when dropped.
pub struct Host {
    child: Mutex<Child>,
    /// `http://127.0.0.1:PORT`
    pub url: String,
    data: PathBuf,
    /// What it wrote to standard error until it served. The rest is read and dropped, so that the host never blocks.
    pub startup: Vec<String>,
    /// Its name in the manifest, if that has several hosts.
    pub name: Option<String>,
    /// The other hosts of its system, which end with it.
    pub others: Vec<Host>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
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

/// `seam` without arguments, with nothing to read.
pub fn command() -> Result<Command> {
    command_within(&[])
}

/// The same, started by another program with these arguments before it.
fn command_within(prefix: &[String]) -> Result<Command> {
    let mut command = match prefix.split_first() {
        None => Command::new(binary()?),
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(binary()?);
            command
        }
    };
    // `just test --timings` sets it for the tests; what the host compiles is not meant.
    command.env_remove("RUSTC_BOOTSTRAP").env("NO_COLOR", "1").stdin(Stdio::null());
    Ok(command)
}

/// Runs `seam -f MANIFEST ARGS` to its end.
pub fn seam(manifest: &Path, args: &[&str]) -> Result<std::process::Output> {
    Ok(command()?.arg("-f").arg(manifest).args(args).output()?)
}

/// Sends a process a signal, by the signal's name without `SIG`.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status()?;
    ensure!(status.success(), "kill -{name} {pid}: {status}");
    Ok(())
}

impl Host {
    /// Starts the host on `manifest` and waits until it serves.
    ///
    /// # Errors
    /// With everything that it printed, when it ends instead, or does not serve within a minute.
    pub fn up(manifest: &Path, data: &Path) -> Result<Self> {
        Self::up_with(manifest, data, &[])
    }

    /// The same as one host of a manifest that has several, with more variables in its environment.
    ///
    /// # Errors
    /// As `up`.
    pub fn up_as(manifest: &Path, data: &Path, host: &str, variables: &[(&str, &str)]) -> Result<Self> {
        Self::up_within(&[], manifest, data, host, variables)
    }

    /// The same, started by another program with these arguments before it.
    ///
    /// # Errors
    /// As `up`.
    pub fn up_within(
        prefix: &[String],
        manifest: &Path,
        data: &Path,
        host: &str,
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let command = command_within(prefix)?;
        let args = ["up", "--as", host];
        let mut started = Self::start(command, manifest, data, &args, variables, Duration::from_secs(60))?;
        started.name = Some(host.to_owned());
        Ok(started)
    }

    /// The same with more variables in its environment.
    ///
    /// # Errors
    /// As `up`.
    pub fn up_with(manifest: &Path, data: &Path, variables: &[(&str, &str)]) -> Result<Self> {
        Self::start(command()?, manifest, data, &["up"], variables, Duration::from_secs(60))
    }

    /// The same with `seam dev`, which builds first.
    ///
    /// # Errors
    /// As `up`, but after a quarter of an hour.
    pub fn dev(manifest: &Path, data: &Path) -> Result<Self> {
        Self::start(command()?, manifest, data, &["dev"], &[], Duration::from_secs(900))
    }

    fn start(
        mut command: Command,
        manifest: &Path,
        data: &Path,
        args: &[&str],
        variables: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Self> {
        let mut child = command
            .arg("-f")
            .arg(manifest)
            .args(args)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().context("its standard error")?;
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Once the host serves, no line is received any more; reading on keeps the pipe from filling up.
                send.send(line).ok();
            }
        });
        let child = Mutex::new(child);
        let (data, startup, others) = (data.to_owned(), Vec::new(), Vec::new());
        let mut host = Self { child, url: String::new(), data, startup, name: None, others };
        let deadline = Instant::now() + timeout;
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let own = |word: &&str| OWN.iter().any(|address| word.starts_with(address));
                    let address = line.split_whitespace().find(own);
                    let address = address.map(|a| a.trim_end_matches(['/', '"', ',']).to_owned());
                    host.startup.push(line);
                    if let Some(address) = address {
                        host.url = address;
                        return Ok(host);
                    }
                }
                Err(_) => bail!("the host does not serve; it printed:\n{}", host.startup.join("\n")),
            }
        }
    }

    /// GET, without following redirects; a response of any status is no error.
    pub fn get(&self, path: &str) -> Result<Response> {
        self.get_with(path, &[])
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
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
        Ok(Response { status: response.status().as_u16(), headers, body: response.body_mut().read_to_vec()? })
    }

    /// Every line of its log files so far, and of those of the other hosts of its system.
    pub fn log(&self) -> Result<String> {
        let mut all = self.others.iter().map(Self::log).collect::<Result<String>>()?;
        for entry in std::fs::read_dir(self.data.join("logs"))? {
            all.push_str(&std::fs::read_to_string(entry?.path())?);
        }
        Ok(all)
    }

    /// Waits until a line of the log contains all of `words`.
    pub fn log_line(&self, words: &[&str]) -> Result<String> {
        wait::until(Duration::from_secs(10), || {
            let log = self.log()?;
            let line = log.lines().find(|line| words.iter().all(|word| line.contains(word)));
            Ok(line.map(str::to_owned).ok_or_else(|| format!("no line of the log has all of {words:?}:\n{log}")))
        })
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn pid(&self) -> u32 {
        self.child().id()
    }

    /// What it wrote to standard error until it served, and the other hosts of its system, too.
    pub fn all_startup(&self) -> Vec<&str> {
        let own = self.startup.iter().map(String::as_str);
        self.others.iter().flat_map(Self::all_startup).chain(own).collect()
    }

    /// SIGTERM, also to the other hosts of its system; its exit status or that of another one that fails, when all have
    /// ended within `limit`.
    pub fn stop(self, limit: Duration) -> Result<std::process::ExitStatus> {
        let all = || std::iter::once(&self).chain(&self.others);
        all().try_for_each(|host| signal(host.pid(), "TERM"))?;
        let ended = |host: &Self| {
            wait::until(limit, || Ok(host.child().try_wait()?.ok_or_else(|| "the host does not stop".to_owned())))
        };
        let own = ended(&self)?;
        let others = self.others.iter().map(ended).collect::<Result<Vec<_>>>()?;
        Ok(others.into_iter().find(|status| !status.success()).unwrap_or(own))
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When it has not within `limit`.
    pub fn dies(&self, limit: Duration) -> Result<()> {
        wait::until(limit, || Ok(self.child().try_wait()?.map(drop).ok_or_else(|| "the host lives".to_owned())))
    }

    /// SIGKILL, as a power cut would, also to the other hosts of its system; they have ended when this returns.
    pub fn kill(&self) -> Result<()> {
        let mut child = self.child();
        child.kill()?;
        child.wait()?;
        self.others.iter().try_for_each(Self::kill)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill().ok();
    }
}
