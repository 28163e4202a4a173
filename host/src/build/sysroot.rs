//! A standard library for wasm, compiled once from a distribution's sources.
//!
//! Where rustup cannot fetch the target, a distribution often packages the sources of the library (Debian: `rust-src`)
//! and a wasm linker, but not the compiled target. Cargo's `-Zbuild-std` would compile it again in every target folder.
//! So it is compiled here once for each compiler, and ordinary builds use the result by `--sysroot`: they need neither
//! `-Zbuild-std` nor `RUSTC_BOOTSTRAP`. `RUSTC_BOOTSTRAP=1` makes a stable cargo accept `-Zbuild-std`. It is set for
//! the library's own sources, which use unstable features in any build of Rust; nothing else is compiled with it.
//!
//! Invariant: a folder `sysroot-VERSION-COMMIT` is complete; it is filled under another name and then renamed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use super::error::Error;
use super::messages::{self, Artifact};
use super::rust::{Rust, TARGET};
use super::tools::{self, Progress};

const PACKAGE: &str = "wasm-std";

/// The library that an earlier build compiled for this compiler.
pub fn present(cache: &Path, rust: &Rust) -> Option<PathBuf> {
    Some(folder_for(cache, rust)).filter(|p| p.is_dir())
}

fn folder_for(cache: &Path, rust: &Rust) -> PathBuf {
    cache.join(format!("sysroot-{}-{}", rust.version, rust.commit))
}

/// Compiles the library: one to four minutes of processor time, once for each compiler.
pub fn compile(cache: &Path, rust: &Rust, progress: Progress<'_>) -> Result<PathBuf, Error> {
    fs::create_dir_all(cache).map_err(Error::write(cache))?;
    let lock_path = cache.join("lock");
    let lock = fs::File::create(&lock_path).map_err(Error::write(&lock_path))?;
    if lock.try_lock().is_err() {
        progress("another build is compiling the wasm standard library; waiting for it");
        lock.lock().map_err(Error::write(&lock_path))?;
    }
    let finished = folder_for(cache, rust);
    if finished.is_dir() {
        return Ok(finished);
    }
    progress(&format!(
        "compiling the standard library for {TARGET} from the sources of Rust {}: once, for a few minutes",
        rust.version
    ));
    let start = Instant::now();
    let work = cache.join("std");
    let libraries = compile_libraries(&work, rust)?;
    let filling = cache.join("sysroot.tmp");
    remove(&filling)?;
    let folder = filling.join("lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&folder).map_err(Error::write(&folder))?;
    for library in libraries {
        let to = folder.join(library.file_name().unwrap_or_default());
        fs::copy(&library, &to).map_err(Error::write(&to))?;
    }
    fs::rename(&filling, &finished).map_err(Error::write(&finished))?;
    remove(&work)?;
    progress(&format!("standard library ready after {:.0} s", start.elapsed().as_secs_f32()));
    Ok(finished)
}

/// Cargo compiles the library only as a dependency of something; that is an empty crate in `work`.
fn compile_libraries(work: &Path, rust: &Rust) -> Result<Vec<PathBuf>, Error> {
    let manifest = format!(
        "[package]\nname = \"{PACKAGE}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n\n[workspace]\n\n\
         [profile.release]\nopt-level = 3\ncodegen-units = 1\ndebug = false\n"
    );
    fs::create_dir_all(work).map_err(Error::write(work))?;
    for (name, text) in [("Cargo.toml", manifest.as_str()), ("lib.rs", "")] {
        let path = work.join(name);
        fs::write(&path, text).map_err(Error::write(&path))?;
    }
    let mut command = tools::command(&rust.cargo);
    command
        .args(["build", "--release", "--target", TARGET, "-Zbuild-std=std,panic_abort"])
        .arg("--message-format=json-render-diagnostics")
        .arg("--target-dir")
        .arg(work.join("target"))
        .env("RUSTC", &rust.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(work)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let (artifacts, success) = messages::run(&mut command)?;
    if !success {
        return Err(Error::Std { command: tools::shown(&command) });
    }
    let ours = |a: &Artifact| a.target == PACKAGE.replace('-', "_");
    let files = artifacts.into_iter().filter(|a| !ours(a)).flat_map(|a| a.files);
    // Build scripts, compiled for this machine, are in another folder.
    let for_wasm = |f: &PathBuf| f.components().any(|c| c.as_os_str() == TARGET);
    let libraries: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == "rlib") && for_wasm(f)).collect();
    let has_std = libraries.iter().any(|l| l.to_string_lossy().contains("/libstd-"));
    if has_std { Ok(libraries) } else { Err(Error::Std { command: tools::shown(&command) }) }
}

fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::write(folder)(e)),
        _ => Ok(()),
    }
}
