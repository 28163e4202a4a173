//! What tests of backups need from PyPI: Litestream's own tool, and a server of S3's protocol (moto).
//!
//! They are installed once into `.tools/python`, by the versions and hashes of `backup-requirements.txt`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};

use crate::wait;

const REQUIREMENTS: &str = include_str!("../backup-requirements.txt");

/// The keys by which the server is asked; it takes any.
pub const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];

/// The folder of the installed tools. The tests of one process install once; of two processes, the first to finish
/// wins.
///
/// # Errors
/// When they cannot be installed.
fn installed() -> Result<PathBuf> {
    let below = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/python");
    let digest = REQUIREMENTS
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let folder = below.join(format!("backups-{digest:016x}"));
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    if folder.exists() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&below)?;
    let partial = tempfile::Builder::new().prefix("install-").tempdir_in(&below)?;
    let run = |command: &mut Command| -> Result<()> {
        let output = command.stdin(Stdio::null()).output()?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    run(Command::new("python3").arg("-m").arg("venv").arg(partial.path()))?;
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("backup-requirements.txt");
    let mut pip = Command::new(partial.path().join("bin/python"));
    // All of them are in the list.
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]);
    run(pip.args(["--require-hashes", "-r"]).arg(requirements))?;
    let partial = partial.keep();
    if std::fs::rename(&partial, &folder).is_err() {
        std::fs::remove_dir_all(&partial)?;
    }
    Ok(folder)
}

/// Runs `litestream ARGS` to its end.
///
/// # Errors
/// When it cannot be installed or started.
pub fn litestream(args: &[&str], variables: &[(&str, &str)]) -> Result<Output> {
    let tool = installed()?.join("bin/litestream");
    let mut command = Command::new(tool);
    // It cannot use its own HTTP client with such a bundle.
    command.env_remove("AWS_CA_BUNDLE").envs(variables.iter().copied());
    Ok(command.args(args).stdin(Stdio::null()).output()?)
}

/// A server of S3's protocol that forgets all when it is dropped.
pub struct Bucket {
    child: Child,
    port: u16,
    pub name: &'static str,
}

impl Bucket {
    /// # Errors
    /// When the server does not serve within a minute.
    pub fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut server = Command::new(installed()?.join("bin/python"));
        server.args(["-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let child = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let bucket = Self { child, port, name: "records" };
        wait::until(wait::TIMEOUT, || {
            Ok(bucket
                .ask("PUT", "/records")
                .map_err(|error| error.to_string())
                .and_then(|answer| if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer) }))
        })?;
        Ok(bucket)
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn ask(&self, method: &str, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("the server's answer")?;
        Ok(answer)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
