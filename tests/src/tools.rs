//! Tools that tests need from PyPI, installed once into `.tools/python` by their versions and hashes.
//!
//! It uses the standard library alone: the host's own tests include this file.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// The folder of the tools that the file `requirements` names, in the folder of this crate. Two tests at a time both
/// install, and the first to finish wins.
///
/// # Errors
/// When they cannot be installed.
pub fn installed(name: &str, tests: &Path, requirements: &str) -> io::Result<PathBuf> {
    let requirements = tests.join(requirements);
    let below = tests.join("../.tools/python");
    let digest = std::fs::read(&requirements)?
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let folder = below.join(format!("{name}-{digest:016x}"));
    // The tests of one process install once.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock();
    if folder.exists() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&below)?;
    let partial = below.join(format!("install-{name}-{}", std::process::id()));
    let run = |command: &mut Command| -> io::Result<()> {
        let output = command.stdin(Stdio::null()).output()?;
        let said = || format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        if output.status.success() { Ok(()) } else { Err(io::Error::other(said())) }
    };
    run(Command::new("python3").arg("-m").arg("venv").arg(&partial))?;
    let mut pip = Command::new(partial.join("bin/python"));
    // All of them are in the list.
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"]);
    run(pip.args(["--require-hashes", "-r"]).arg(requirements))?;
    if std::fs::rename(&partial, &folder).is_err() {
        std::fs::remove_dir_all(&partial)?;
    }
    Ok(folder)
}
