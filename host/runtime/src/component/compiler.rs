//! Compiling: in this process, or in a child process with limited time and memory.

use std::io::{Read, Write};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::engine;
use crate::limits;

/// Where cranelift runs.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// In this process: for tests and tools that trust what they compile.
    InProcess,
    /// In this process, faster and to slower code: for contexts under development.
    Quick,
    /// In a child process with limited time and memory, which runs the `seam` binary at this path.
    Child(PathBuf),
}

/// The main function of the compiling child: reads a component from standard input and writes machine code to standard
/// output. Limits its own time, memory and rights first: it can gain none from a program that it would start, writes no
/// file, and has no open file of its parent's but the three pipes.
///
/// # Errors
/// When the input is not a component or a limit is reached; the parent puts the text into its message.
pub fn compile_child() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = |n| Rlimit { current: Some(n), maximum: Some(n) };
    setrlimit(Resource::As, limit(limits::COMPILE_MEMORY_MB_MAX << 20))?;
    setrlimit(Resource::Cpu, limit(limits::COMPILE_CPU_S_MAX))?;
    setrlimit(Resource::Core, limit(0))?;
    setrlimit(Resource::Fsize, limit(0))?;
    gain_no_rights()?;
    close_inherited();
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(limits::COMPONENT_MB_MAX << 20).read_to_end(&mut bytes)?;
    let engine = engine::compiling().map_err(|e| anyhow::anyhow!("{e:#}"))?;
    let compiled = engine.precompile_component(&bytes).map_err(|e| anyhow::anyhow!("{e:#}"))?;
    std::io::stdout().lock().write_all(&compiled)?;
    Ok(())
}

/// From now on no program that this process starts has more rights than it, as one with a set-user-id bit would.
fn gain_no_rights() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    // SAFETY: this call takes numbers alone, and changes nothing but a flag of this process.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

/// Closes every file that this process was started with, but for the standard ones. The host opens its own so that no
/// child inherits them; what started the host may not have.
fn close_inherited() {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // SAFETY: nothing else runs yet, so no value owns one of its files; that of the listing above is closed
        // already, and closing its number again fails.
        unsafe { libc::close(fd) };
    }
}

/// The variables that the compiling child needs: where a system keeps libraries apart, its loader looks there. No
/// other: the environment of a host holds keys.
const KEPT: [&str; 1] = ["LD_LIBRARY_PATH"];

pub(super) fn compile_in_child(seam: &Path, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = Command::new(seam)
        .arg("compile-component")
        .env_clear()
        .envs(KEPT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot start the compiler `{}`: {e}", seam.display()))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let read = |stream: Option<Box<dyn Read + Send>>| {
        let mut all = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut all).ok();
        }
        all
    };
    let deadline = Instant::now() + Duration::from_secs(limits::COMPILE_WALL_S_MAX);
    std::thread::scope(|scope| {
        // One thread per pipe: with one thread for all, a full pipe would block the others.
        let writer = scope.spawn(move || {
            // A child that dies early closes the pipe; its own message explains more than the write error would.
            stdin.map(|mut s| s.write_all(bytes).ok())
        });
        let out = scope.spawn(move || read(stdout.map(|s| Box::new(s) as Box<dyn Read + Send>)));
        let err = scope.spawn(move || read(stderr.map(|s| Box::new(s) as Box<dyn Read + Send>)));
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
                Ok(None) => {
                    child.kill().ok();
                    child.wait().ok();
                    break Err(format!("compiling takes longer than {} s", limits::COMPILE_WALL_S_MAX));
                }
                Err(e) => break Err(e.to_string()),
            }
        };
        writer.join().ok();
        let out = out.join().unwrap_or_default();
        let err = err.join().unwrap_or_default();
        match status? {
            status if status.success() => Ok(out),
            status => {
                let message = String::from_utf8_lossy(&err);
                let message = message.trim().trim_start_matches("error: ");
                Err(if message.is_empty() || status.code().is_none() {
                    format!(
                        "the compiler was stopped ({status}); its limits are {} MB and {} s of CPU {message}",
                        limits::COMPILE_MEMORY_MB_MAX,
                        limits::COMPILE_CPU_S_MAX
                    )
                } else {
                    message.to_owned()
                })
            }
        }
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_child_inherits_no_variable_of_the_host() {
        // Cargo sets it for every test, as an operator sets the key of a store.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("seam");
        std::fs::write(&program, "#!/bin/sh\n/usr/bin/env >&2\nexit 1\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let said = compile_in_child(&program, b"").unwrap_err();
        // The shell sets some of its own.
        let inherited = |line: &str| ["PWD=", "OLDPWD=", "SHLVL=", "_="].iter().all(|own| !line.starts_with(own));
        let inherited: Vec<&str> = said.lines().filter(|line| inherited(line)).collect();
        assert!(said.contains("PWD=") && inherited.iter().all(|line| line.starts_with("LD_LIBRARY_PATH=")), "{said}");
    }
}
