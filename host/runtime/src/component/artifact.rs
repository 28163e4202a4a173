//! The bytes of a component's file: read once, bounded, and recognised as a component.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::Error;
use crate::limits;

/// The bytes of a `.wasm` file, read once. Whatever becomes of the file, these are what is compiled and kept.
pub struct Artifact {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes, in hex.
    pub hash: String,
}

impl Artifact {
    /// Follows links. What it finds has at least the first bytes of a component.
    ///
    /// # Errors
    /// When there is no such file, it is too large, something else, or being written.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let bytes = read_bounded(path)?;
        check_is_component(path, &bytes)?;
        Ok(Self { path: path.to_owned(), hash: hex::encode(Sha256::digest(&bytes)), bytes })
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    // Opening a pipe would wait for whoever writes into it.
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).custom_flags(nonblocking()).open(path).map_err(read)?;
    let before = file.metadata().map_err(read)?;
    let max = limits::COMPONENT_MB_MAX << 20;
    match before.len() {
        _ if before.is_dir() => return Err(Error::NotAComponent { path: path.to_owned(), what: "a folder" }),
        _ if !before.is_file() => return Err(Error::NotAComponent { path: path.to_owned(), what: "no regular file" }),
        bytes if bytes > max => return Err(Error::TooLarge { path: path.to_owned(), bytes, max }),
        _ => {}
    }
    let mut bytes = Vec::new();
    (&file).take(max + 1).read_to_end(&mut bytes).map_err(read)?;
    let after = file.metadata().map_err(read)?;
    let still = (after.len(), after.modified().ok()) == (before.len(), before.modified().ok());
    match bytes.len() as u64 == before.len() && still {
        true => Ok(bytes),
        false => Err(Error::Changing { path: path.to_owned() }),
    }
}

fn nonblocking() -> i32 {
    rustix::fs::OFlags::NONBLOCK.bits().cast_signed()
}

fn check_is_component(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let what = match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => return Ok(()),
        Some(b"\0asm\x01\0\0\0") => "a core WebAssembly module",
        _ if bytes.is_empty() => "empty",
        _ if bytes.starts_with(b"\x7fELF") => "a native or precompiled binary",
        _ => "something else",
    };
    Err(Error::NotAComponent { path: path.to_owned(), what })
}
