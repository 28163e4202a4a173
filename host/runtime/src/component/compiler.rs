//! Compiling: in this process, or in a child process with limited time and memory.

use std::io::{Read, Write};
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
/// output. Limits its own time and memory first.
///
/// # Errors
/// When the input is not a component or a limit is reached; the parent puts the text into its message.
pub fn compile_child() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = |n| Rlimit { current: Some(n), maximum: Some(n) };
    setrlimit(Resource::As, limit(limits::COMPILE_MEMORY_MB_MAX << 20))?;
    setrlimit(Resource::Cpu, limit(limits::COMPILE_CPU_S_MAX))?;
    setrlimit(Resource::Core, limit(0))?;
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(limits::COMPONENT_MB_MAX << 20).read_to_end(&mut bytes)?;
    let engine = engine::compiling().map_err(|e| anyhow::anyhow!("{e:#}"))?;
    let compiled = engine.precompile_component(&bytes).map_err(|e| anyhow::anyhow!("{e:#}"))?;
    std::io::stdout().lock().write_all(&compiled)?;
    Ok(())
}

pub(super) fn compile_in_child(seam: &Path, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut child = Command::new(seam)
        .arg("compile-component")
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
