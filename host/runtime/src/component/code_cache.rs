//! The folder of compiled components: machine code that is executed as it stands, so every file in it is sealed.
//!
//! A file begins with a keyed checksum (HMAC-SHA-256) of its own name and of the code that follows. The key is in the
//! same folder, for this user only. The code that is executed comes from the very bytes that were checked, so damage on
//! the disk costs a compilation and nothing else. wasmtime has no such check: it executes whatever carries its header.
//! The folder is bounded in files and bytes; the least recently used go first.
//!
//! Invariant: all files are those of the folder that was opened and checked. Its path is resolved once; a folder that
//! takes its name later is not looked at. Owner and mode of the folder and of the file are checked again at each read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::{Hmac, Mac};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, linkat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use seam_store::private::{self, Exposure};
use sha2::Sha256;

use super::error::Error;
use crate::limits;

/// Bytes of the key and of a checksum.
const SEAL: usize = 32;
/// The name of the key in the folder.
const KEY: &str = "key";

pub(super) struct CodeCache {
    /// For messages.
    path: PathBuf,
    folder: Folder,
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
    pub fn open(path: &Path) -> Result<Self, Error> {
        let fail = |reason: String| Error::Cache { path: path.to_owned(), reason };
        private::folder(path).map_err(|e| fail(e.to_string()))?;
        let folder = Folder(File::open(path).map_err(|e| fail(e.to_string()))?);
        if let Some(exposure) = folder.exposure().map_err(|e| fail(e.to_string()))? {
            return Err(fail(exposure.to_string()));
        }
        let key = folder.key().map_err(|e| fail(format!("cannot use the key in it: {e}")))?;
        let keyed = Hmac::new_from_slice(&key).map_err(|e| fail(format!("cannot use the key in it: {e}")))?;
        let cache = Self { path: path.to_owned(), folder, keyed };
        cache.prune(None);
        Ok(cache)
    }

    /// For messages: the file there may be another by now.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn has(&self, name: &str) -> bool {
        let stat = statat(&self.folder.0, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file())
    }

    /// The code under this name, as it was written; `None` when there is none. A file that is not usable is removed.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let unused = |why: &dyn std::fmt::Display| {
            let file = self.path(name);
            tracing::warn!(file = %file.display(), "a compiled component is not used, and is compiled again: {why}");
        };
        if let Some(exposure) = self.folder.exposure().ok()? {
            unused(&format!("of its folder: {exposure}"));
            return None;
        }
        let mut file = self.folder.open(name).ok()?;
        let exposure = Exposure::to_change(&file.metadata().ok()?);
        let mut sealed = Vec::new();
        file.read_to_end(&mut sealed).ok()?;
        let checked = match exposure {
            Some(exposure) => Err(exposure.to_string()),
            None => self.check(name, &sealed).map_err(|why| why.to_string()),
        };
        match checked {
            Ok(()) => {
                // `prune` reads this time. A failure costs at most one more compilation later.
                file.set_modified(SystemTime::now()).ok();
                sealed.drain(..SEAL);
                Some(sealed)
            }
            Err(why) => {
                unused(&why);
                self.remove(name);
                None
            }
        }
    }

    pub fn remove(&self, name: &str) {
        self.folder.remove(name);
    }

    /// Writes the code under this name: complete and on the disk before it has its name. Then removes what is beyond
    /// the bounds of the folder.
    ///
    /// # Errors
    /// When the folder cannot be written to, or other users can write to it by now; nothing has changed then.
    pub fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        if let Some(exposure) = self.folder.exposure()? {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, exposure));
        }
        let partial = partial_of(name);
        let write = || {
            let mut file = self.folder.create(&partial)?;
            file.write_all(&self.seal(name, code).finalize().into_bytes())?;
            file.write_all(code)?;
            file.sync_all()?;
            renameat(&self.folder.0, &partial, &self.folder.0, name)?;
            self.folder.0.sync_all()
        };
        let written = write();
        if written.is_err() {
            self.folder.remove(&partial);
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
        let Ok(entries) = Dir::read_from(&self.folder.0) else { return };
        let named = |name: &[u8], other: &str| name == other.as_bytes();
        let mut files: Vec<(SystemTime, std::ffi::CString, u64)> = entries
            .flatten()
            .map(|entry| entry.file_name().to_owned())
            .filter(|name| !named(name.to_bytes(), KEY) && keep.is_none_or(|keep| !named(name.to_bytes(), keep)))
            .filter_map(|name| {
                let meta = self.folder.open(std::ffi::OsStr::from_bytes(name.to_bytes())).ok()?.metadata().ok()?;
                Some((meta.modified().ok()?, name, meta.len()))
            })
            .collect();
        files.sort();
        let mut bytes: u64 = files.iter().map(|(.., bytes)| bytes).sum();
        let mut left = files.len();
        for (_, name, size) in files {
            if left <= limits::COMPILED_FILES_MAX && bytes <= limits::COMPILED_MB_MAX << 20 {
                return;
            }
            self.folder.remove(name.as_c_str());
            (left, bytes) = (left - 1, bytes - size);
        }
    }
}

/// A new name each time that `name` is written, as two processes may share a cache.
fn partial_of(name: &str) -> String {
    format!("{name}.{:016x}.tmp", rand::random::<u64>())
}

/// An open folder. Names in it are resolved from the handle.
struct Folder(File);

impl Folder {
    /// Why its files are not trusted.
    fn exposure(&self) -> io::Result<Option<Exposure>> {
        Ok(Exposure::to_change(&self.0.metadata()?))
    }

    /// Opens a file to read it; nothing else, and no link.
    fn open(&self, name: impl rustix::path::Arg) -> io::Result<File> {
        // A pipe would be waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.0, name, flags, Mode::empty())?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("it is not a file")),
        }
    }

    /// Creates a file that is not there yet, for this user alone.
    fn create(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    fn remove(&self, name: impl rustix::path::Arg) {
        unlinkat(&self.0, name, AtFlags::empty()).ok();
    }

    /// The key in the folder. One that is damaged, or that other users can read, is replaced: then nothing in the cache
    /// fits any more, and is compiled again.
    fn key(&self) -> io::Result<[u8; SEAL]> {
        match self.read_key() {
            Ok(Some(key)) => return Ok(key),
            Ok(None) => unlinkat(&self.0, KEY, AtFlags::empty())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let partial = partial_of(KEY);
        let mut file = self.create(&partial)?;
        let written = file.write_all(&rand::random::<[u8; SEAL]>()).and_then(|()| file.sync_all());
        // Of two processes that share a cache, one makes the key and the other reads it.
        let linked = written.and_then(|()| match linkat(&self.0, &partial, &self.0, KEY, AtFlags::empty()) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        });
        self.remove(&partial);
        linked?;
        self.read_key()?.ok_or_else(|| io::Error::other("it is damaged again as soon as it is written"))
    }

    /// `None`: it is no key, or no secret.
    fn read_key(&self) -> io::Result<Option<[u8; SEAL]>> {
        let mut file = self.open(KEY)?;
        let secret = Exposure::of(&file.metadata()?).is_none();
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(SEAL as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes.try_into().ok().filter(|_| secret))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
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

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_neither_opened_nor_read_from_or_written_to_later() {
        let (_folder, cache) = cache();
        cache.write("a", b"code").unwrap();
        set(&cache.path, 0o777);
        let error = CodeCache::open(&cache.path).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("other users may write to it (mode 0777)"), "{error}");
        assert_eq!(cache.read("a"), None);
        assert_eq!(cache.write("b", b"code").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        set(&cache.path, 0o755);
        assert_eq!(cache.read("a").as_deref(), Some(&b"code"[..]), "what others may only read is as it was");
    }

    #[test]
    fn a_file_that_others_could_change_and_a_link_are_not_executed() {
        let (folder, cache) = cache();
        for (name, mode) in [("a", 0o666), ("b", 0o602)] {
            cache.write(name, b"code").unwrap();
            set(&cache.path(name), mode);
            assert_eq!((cache.read(name), cache.has(name)), (None, false), "{mode:o}");
        }
        cache.write("c", b"code").unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(cache.path("c"), &elsewhere).unwrap();
        symlink(&elsewhere, cache.path("c")).unwrap();
        assert_eq!((cache.read("c"), cache.has("c")), (None, false));
    }

    #[test]
    fn a_folder_that_takes_the_name_later_is_not_looked_at() {
        let (folder, cache) = cache();
        cache.write("a", b"code").unwrap();
        let aside = folder.path().join("aside");
        fs::rename(&cache.path, &aside).unwrap();
        fs::create_dir(&cache.path).unwrap();
        fs::write(cache.path("a"), "planted").unwrap();
        cache.write("b", b"more").unwrap();
        assert_eq!(cache.read("a").as_deref(), Some(&b"code"[..]));
        assert!(aside.join("b").is_file() && !cache.path("b").exists());
        assert_eq!(fs::read(cache.path("a")).unwrap(), b"planted", "and nothing is removed there");
    }
}
