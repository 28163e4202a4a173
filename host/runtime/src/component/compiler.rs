//! Compiling: in this process, or in a child process whose time and memory are bounded.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::engine;
use crate::limits;

/// Who runs cranelift.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// This process: for tests and tools that trust what they compile.
    InProcess,
    /// This process, quickly and to slower code: for the contexts that somebody is working on.
    Quick,
    /// The `seam` binary at this path as a child, whose time and memory are bounded.
    Child(PathBuf),
}

/// What the compiling child does: component on standard input, machine code on standard output. Bounds itself first.
///
/// # Errors
/// When the input is no component or the bounds are hit; the text is for the parent's message.
pub fn compile_child() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let bound = |n| Rlimit { current: Some(n), maximum: Some(n) };
    setrlimit(Resource::As, bound(limits::COMPILE_MEMORY_MB_MAX << 20))?;
    setrlimit(Resource::Cpu, bound(limits::COMPILE_CPU_S_MAX))?;
    setrlimit(Resource::Core, bound(0))?;
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
        .map_err(|e| format!("cannot start `{}` to compile it: {e}", seam.display()))?;
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
        // Each pipe has its own thread: whoever fills up first would otherwise stop the rest.
        let writer = scope.spawn(move || {
            // A child that dies early closes the pipe; its own message says more than the broken pipe does.
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
                let said = String::from_utf8_lossy(&err);
                let said = said.trim().trim_start_matches("error: ");
                Err(if said.is_empty() || status.code().is_none() {
                    format!(
                        "the compiler was stopped ({status}); its bounds are {} MB and {} s of CPU {said}",
                        limits::COMPILE_MEMORY_MB_MAX,
                        limits::COMPILE_CPU_S_MAX
                    )
                } else {
                    said.to_owned()
                })
            }
        }
    })
}
