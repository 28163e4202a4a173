//! The bytes of a component's file: read once, limited in size, and checked to be a component.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::Error;
use crate::limits;

/// The bytes of a `.wasm` file, read once. The host compiles and keeps these bytes, even if the file changes later.
pub struct Artifact {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes, in hex.
    pub hash: String,
}

impl Artifact {
    /// Reads the file at `path`, following links. Checks only the first bytes for a component's header.
    ///
    /// # Errors
    /// When the file is missing, too large, not a component, or changes during the read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::of(path, read_bounded(path)?)
    }

    /// Reads the file at `path`, whose bytes must have the SHA-256 `hash`.
    ///
    /// # Errors
    /// As `read`; and `Error::Changed` when the bytes have another hash.
    pub fn read_as(path: &Path, hash: &str) -> Result<Self, Error> {
        let bytes = read_bounded(path)?;
        // The hash first: a damaged header is damage, too.
        match hex::encode(Sha256::digest(&bytes)) {
            found if found == hash => Self::of(path, bytes),
            found => Err(Error::Changed { path: path.to_owned(), found }),
        }
    }

    pub(super) fn of(path: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        check_is_component(path, &bytes)?;
        Ok(Self { path: path.to_owned(), hash: hex::encode(Sha256::digest(&bytes)), bytes })
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    // Without this flag, opening a pipe would wait for a writer.
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).custom_flags(nonblocking()).open(path).map_err(read)?;
    let before = file.metadata().map_err(read)?;
    let max = limits::COMPONENT_MB_MAX << 20;
    match before.len() {
        _ if before.is_dir() => return Err(Error::NotAComponent { path: path.to_owned(), what: "a folder" }),
        _ if !before.is_file() => return Err(Error::NotAComponent { path: path.to_owned(), what: "a special file" }),
        bytes if bytes > max => return Err(Error::TooLarge { path: path.to_owned(), bytes, max }),
        _ => {}
    }
    let mut bytes = Vec::new();
    (&file).take(max + 1).read_to_end(&mut bytes).map_err(read)?;
    let after = file.metadata().map_err(read)?;
    let unchanged = (after.len(), after.modified().ok()) == (before.len(), before.modified().ok());
    match bytes.len() as u64 == before.len() && unchanged {
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
        _ => "of an unknown format",
    };
    Err(Error::NotAComponent { path: path.to_owned(), what })
}
