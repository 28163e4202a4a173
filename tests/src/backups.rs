//! What tests of backups need from PyPI: Litestream's own tool, and a server of S3's protocol (moto).
//!
//! Their versions and hashes are in `backup-requirements.txt`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result};

use crate::{tools, wait};

/// The keys by which the server is asked; it takes any.
pub const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];

/// The folder of the installed tools.
///
/// # Errors
/// When they cannot be installed.
fn installed() -> Result<PathBuf> {
    Ok(tools::installed("backups", Path::new(env!("CARGO_MANIFEST_DIR")), "backup-requirements.txt")?)
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
