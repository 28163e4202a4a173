//! The bytes of a component's file: limited in size, whole, and checked to be a component.
//!
//! A file that a program writes meanwhile would be read half old and half new. Its size and time of modification do
//! not show that: tools set the time, and two writes of one tick of the kernel have the same. So the file is read
//! twice, and the time of change counts, too. Bytes whose hash is known are compared with that instead.

use std::fs;
use std::io::{Read, Seek};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::Error;
use crate::limits;

/// The bytes of a `.wasm` file. The host compiles and keeps these bytes, even if the file changes later.
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
        Self::read_with(path, || ())
    }

    /// Reads the file at `path`, whose bytes must have the SHA-256 `hash`.
    ///
    /// # Errors
    /// As `read`; and `Error::Changed` when the bytes have another hash.
    pub fn read_as(path: &Path, hash: &str) -> Result<Self, Error> {
        let (bytes, ..) = read_bounded(path)?;
        // The hash first: a damaged header is damage, too.
        match hex::encode(Sha256::digest(&bytes)) {
            found if found == hash => Self::of(path, bytes),
            found => Err(Error::Changed { path: path.to_owned(), found }),
        }
    }

    /// The bytes that another host has sent, which must have the SHA-256 `hash`.
    ///
    /// # Errors
    /// When they have another one, or are no component.
    pub fn sent(bytes: Vec<u8>, hash: &str) -> Result<Self, Error> {
        let path = PathBuf::from(format!("{hash}.wasm"));
        match hex::encode(Sha256::digest(&bytes)) {
            found if found == hash => Self::of(&path, bytes),
            found => Err(Error::Changed { path, found }),
        }
    }

    /// Runs `between` after the bytes were read and before they are compared.
    fn read_with(path: &Path, between: impl FnOnce()) -> Result<Self, Error> {
        let (bytes, mut file, before) = read_bounded(path)?;
        let read = |source| Error::Read { path: path.to_owned(), source };
        let artifact = Self::of(path, bytes)?;
        between();
        let mut again = Sha256::new();
        file.rewind().map_err(read)?;
        std::io::copy(&mut (&file).take((limits::COMPONENT_MB_MAX << 20) + 1), &mut again).map_err(read)?;
        let unchanged = state(&file.metadata().map_err(read)?) == before;
        match unchanged && hex::encode(again.finalize()) == artifact.hash {
            true => Ok(artifact),
            false => Err(Error::Changing { path: path.to_owned() }),
        }
    }

    pub(super) fn of(path: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        check_is_component(path, &bytes)?;
        Ok(Self { path: path.to_owned(), hash: hex::encode(Sha256::digest(&bytes)), bytes })
    }
}

/// Differs when the file was written to: its length, and the times of its last modification and change in seconds and
/// nanoseconds.
type State = (u64, [i64; 4]);

fn state(file: &fs::Metadata) -> State {
    (file.len(), [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()])
}

/// The bytes, the open file, and its state before they were read.
fn read_bounded(path: &Path) -> Result<(Vec<u8>, fs::File, State), Error> {
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
    match bytes.len() as u64 == before.len() {
        true => Ok((bytes, file, state(&before))),
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn component(text: &str) -> Vec<u8> {
        wat::parse_str(format!("(component (core module (data \"{text}\")))")).unwrap()
    }

    /// A build that writes the file in place, with the size and the time that it had.
    #[test]
    fn a_file_that_is_written_to_while_it_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wasm");
        let put = |text: &str| {
            fs::write(&path, component(text)).unwrap();
            fs::File::options().append(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        };
        put("old");
        let refused = Artifact::read_with(&path, || put("new")).err().unwrap();
        assert!(matches!(refused, Error::Changing { .. }), "{refused}");
        assert_eq!(Artifact::read(&path).unwrap().bytes, component("new"), "and read once it stays as it is");
    }

    #[test]
    fn bytes_of_another_hash_are_not_those_that_were_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wasm");
        fs::write(&path, component("asked")).unwrap();
        let hash = Artifact::read(&path).unwrap().hash;
        assert_eq!(Artifact::read_as(&path, &hash).unwrap().bytes, component("asked"));
        fs::write(&path, component("other")).unwrap();
        let refused = Artifact::read_as(&path, &hash).err().unwrap();
        assert!(matches!(refused, Error::Changed { .. }), "{refused}");
    }
}
