//! The folder of compiled components: machine code that is executed as it stands, so every file in it is sealed.
//!
//! A file begins with a keyed checksum (HMAC-SHA-256) of its own name and of the code that follows. The key is in the
//! same folder, for this user only. The code that is executed comes from the very bytes that were checked, so damage on
//! the disk costs a compilation and nothing else. wasmtime has no such check: it executes whatever carries its header.
//! The folder is bounded in files and bytes; the least recently used go first.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::error::Error;
use crate::limits;

/// Bytes of the key and of a checksum.
const SEAL: usize = 32;
/// The name of the key in the folder.
const KEY: &str = "key";

pub(super) struct CodeCache {
    folder: PathBuf,
    /// Has taken in the key, and nothing else.
    keyed: Hmac<Sha256>,
}

/// Why a file is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    #[error("its checksum does not fit: it is damaged, or was written with another key")]
    Damaged,
    #[error("it is too short to have a checksum")]
    Short,
}

impl CodeCache {
    /// Creates the folder and its key, private to this user, when they are missing.
    ///
    /// # Errors
    /// `Error::Cache` when the folder cannot be used, or other users could write to it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let fail = |reason: String| Error::Cache { path: folder.to_owned(), reason };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| fail(e.to_string()))?;
        let meta = fs::metadata(folder).map_err(|e| fail(e.to_string()))?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(fail("it belongs to another user".into()));
        }
        if meta.permissions().mode() & 0o022 != 0 {
            return Err(fail("other users may write to it; run `chmod go-w` on it".into()));
        }
        let key = key(folder).map_err(|e| fail(format!("cannot use the key in it: {e}")))?;
        let keyed = Hmac::new_from_slice(&key).map_err(|e| fail(format!("cannot use the key in it: {e}")))?;
        let cache = Self { folder: folder.to_owned(), keyed };
        cache.prune(None);
        Ok(cache)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).is_file()
    }

    /// The code under this name, as it was written; `None` when there is none. A file that is not usable is removed.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.path(name);
        let mut sealed = fs::read(&path).ok()?;
        match self.check(name, &sealed) {
            Ok(()) => {
                // `prune` reads this time. A failure costs at most one more compilation later.
                File::open(&path).and_then(|file| file.set_modified(SystemTime::now())).ok();
                sealed.drain(..SEAL);
                Some(sealed)
            }
            Err(why) => {
                tracing::warn!(file = %path.display(), "a compiled component is not used, and is compiled again: {why}");
                self.remove(name);
                None
            }
        }
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).ok();
    }

    /// Writes the code under this name: complete and on the disk before it has its name. Then removes what is beyond
    /// the bounds of the folder.
    ///
    /// # Errors
    /// When the folder cannot be written to; nothing has changed then.
    pub fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        // A new name for each attempt, as two processes may share a cache.
        let partial = self.path(&format!("{name}.{:016x}.tmp", rand::random::<u64>()));
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
            file.write_all(&self.seal(name, code).finalize().into_bytes())?;
            file.write_all(code)?;
            file.sync_all()?;
            fs::rename(&partial, self.path(name))?;
            File::open(&self.folder)?.sync_all()
        };
        let written = write();
        if written.is_err() {
            fs::remove_file(&partial).ok();
        }
        self.prune(Some(name));
        written
    }

    fn check(&self, name: &str, sealed: &[u8]) -> Result<(), Unusable> {
        let (seal, code) = sealed.split_at_checked(SEAL).ok_or(Unusable::Short)?;
        self.seal(name, code).verify_slice(seal).map_err(|_| Unusable::Damaged)
    }

    /// Of the name, a zero and the code. The name is in it because a whole file under another component's name would
    /// be the wrong code.
    fn seal(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        self.keyed.clone().chain_update(name).chain_update([0]).chain_update(code)
    }

    /// Removes the least recently used files beyond the bounds, but not `keep`. Partial files of killed processes are
    /// among them.
    fn prune(&self, keep: Option<&str>) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut files: Vec<(SystemTime, PathBuf, u64)> = entries
            .flatten()
            .filter(|entry| entry.file_name() != KEY && keep.is_none_or(|keep| entry.file_name() != keep))
            .filter_map(|entry| {
                let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                Some((meta.modified().ok()?, entry.path(), meta.len()))
            })
            .collect();
        files.sort();
        let mut bytes: u64 = files.iter().map(|(.., bytes)| bytes).sum();
        let mut left = files.len();
        for (_, path, size) in files {
            if left <= limits::COMPILED_FILES_MAX && bytes <= limits::COMPILED_MB_MAX << 20 {
                return;
            }
            fs::remove_file(path).ok();
            (left, bytes) = (left - 1, bytes - size);
        }
    }
}

/// The key in the folder. One that is damaged, or that other users can read, is replaced: then nothing in the cache
/// fits any more, and is compiled again.
fn key(folder: &Path) -> io::Result<[u8; SEAL]> {
    let path = folder.join(KEY);
    match read_key(&path) {
        Ok(Some(key)) => return Ok(key),
        Ok(None) => fs::remove_file(&path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let partial = folder.join(format!("{KEY}.{:016x}.tmp", rand::random::<u64>()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    let written = file.write_all(&rand::random::<[u8; SEAL]>()).and_then(|()| file.sync_all());
    // Of two processes that share a cache, one makes the key and the other reads it.
    let linked = written.and_then(|()| match fs::hard_link(&partial, &path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    fs::remove_file(&partial).ok();
    linked?;
    read_key(&path)?.ok_or_else(|| io::Error::other("it is damaged again as soon as it is written"))
}

/// `None`: it is no key, or no secret.
fn read_key(path: &Path) -> io::Result<Option<[u8; SEAL]>> {
    let mut file = File::open(path)?;
    let secret = file.metadata()?.permissions().mode() & 0o077 == 0;
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(SEAL as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes.try_into().ok().filter(|_| secret))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cache() -> (tempfile::TempDir, CodeCache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = CodeCache::open(&folder.path().join("cache")).unwrap();
        (folder, cache)
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed_and_the_undamaged_file_is_not() {
        let (_folder, cache) = cache();
        let code: Vec<u8> = (0..=255).collect();
        cache.write("a", &code).unwrap();
        let good = fs::read(cache.path("a")).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(cache.path("a"), bad).unwrap();
            assert_eq!(cache.read("a"), None, "bit {bit}");
            assert!(!cache.has("a"), "it is removed");
        }
        for len in 0..good.len() {
            fs::write(cache.path("a"), &good[..len]).unwrap();
            assert_eq!(cache.read("a"), None, "cut off after {len}");
        }
        fs::write(cache.path("a"), [&good[..], &[0]].concat()).unwrap();
        assert_eq!(cache.read("a"), None, "a byte too many");
        fs::write(cache.path("a"), &good).unwrap();
        assert_eq!(cache.read("a"), Some(code));
    }

    #[test]
    fn the_code_of_one_component_is_not_the_code_of_another() {
        let (_folder, cache) = cache();
        cache.write("a", b"code of a").unwrap();
        fs::copy(cache.path("a"), cache.path("b")).unwrap();
        assert_eq!((cache.read("b"), cache.read("a").as_deref()), (None, Some(&b"code of a"[..])));
    }

    #[test]
    fn the_key_is_secret_and_kept() {
        let (folder, cache) = cache();
        let path = folder.path().join("cache");
        assert_eq!(fs::metadata(path.join(KEY)).unwrap().mode() & 0o777, 0o600);
        cache.write("a", b"code").unwrap();
        assert_eq!(CodeCache::open(&path).unwrap().read("a").as_deref(), Some(&b"code"[..]));
    }

    #[test]
    fn a_key_that_is_damaged_or_public_is_replaced_and_what_it_sealed_is_compiled_again() {
        let (folder, cache) = cache();
        let path = folder.path().join("cache");
        let key = || fs::read(cache.path(KEY)).unwrap();
        for damage in [&|| fs::write(path.join(KEY), "short").unwrap(), &|| {
            fs::set_permissions(path.join(KEY), fs::Permissions::from_mode(0o644)).unwrap();
        }] as [&dyn Fn(); 2]
        {
            CodeCache::open(&path).unwrap().write("a", b"code").unwrap();
            let before = key();
            damage();
            let next = CodeCache::open(&path).unwrap();
            assert_ne!(key(), before);
            assert_eq!(next.read("a"), None);
        }
    }

    #[test]
    fn the_least_recently_used_go_first_and_what_was_just_written_stays() {
        let (_folder, cache) = cache();
        let second = |n: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + n);
        let aged = |name: &str, n: u64, bytes: u64| {
            let file = File::create(cache.path(name)).unwrap();
            // A hole: it counts, and takes no room on the disk.
            file.set_len(bytes).unwrap();
            file.set_modified(second(n)).unwrap();
        };
        let third = (limits::COMPILED_MB_MAX << 20) / 3 - 1_000;
        for (n, name) in ["c", "a", "b", "d.tmp"].into_iter().enumerate() {
            aged(name, n as u64, third);
        }
        cache.write("new", b"code").unwrap();
        let there = || ["c", "a", "b", "d.tmp", "new", KEY].map(|name| cache.has(name));
        assert_eq!(there(), [false, true, true, true, true, true], "three thirds fit");
        cache.prune(None);
        assert_eq!(there(), [false, true, true, true, true, true]);
        for n in 0..limits::COMPILED_FILES_MAX as u64 {
            aged(&format!("small-{n}"), 10 + n, 1);
        }
        cache.prune(Some("a"));
        assert_eq!(there(), [false, true, false, false, true, true]);
    }
}
