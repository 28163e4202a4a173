//! Whether other users have been, or can get, at the data folder: its owner and mode, those of all that is in it, and
//! those of the folders above.
//!
//! What others may only read is mended by the host; an older version made such files. What they may write to is not:
//! the operator must know that they may have changed it. Links: a folder in the data folder may be one, as backups and
//! logs may be kept on another disk; a file may not.
//! Not here: `keys`, which may be anything that a key can be read from; each key is checked when it is read.

use std::fs::{self, Metadata};
use std::io::ErrorKind::NotFound;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use seam_store::private::{self, Exposure};

use super::Error;

/// The mode's bit by which only a file's owner may rename or remove it, as in `/tmp`.
const STICKY: u32 = 0o1000;

/// All that other users may read and not change. Nothing when the folder is missing.
///
/// # Errors
/// When they may change something, may have done so, or may put another folder in this one's place; and when it
/// cannot be looked at.
pub(super) fn inspect(data: &Path) -> Result<Vec<(PathBuf, Metadata)>, Error> {
    let mut found = Found { data, readable: Vec::new() };
    found.above(&std::path::absolute(data).map_err(|source| found.unusable(source))?)?;
    match fs::metadata(data) {
        Ok(meta) if meta.is_dir() => {
            found.above(&data.canonicalize().map_err(|source| found.unusable(source))?)?;
            found.look(data, &meta)?;
            found.walk(data)?;
        }
        Ok(_) => return Err(found.unusable(std::io::ErrorKind::NotADirectory.into())),
        Err(error) if error.kind() == NotFound => {}
        Err(source) => return Err(found.unusable(source)),
    }
    Ok(found.readable)
}

struct Found<'d> {
    data: &'d Path,
    readable: Vec<(PathBuf, Metadata)>,
}

impl Found<'_> {
    fn unusable(&self, source: std::io::Error) -> Error {
        Error::Unusable { path: self.data.to_owned(), source }
    }

    /// The folders above `path`, as far as they are there.
    fn above(&self, path: &Path) -> Result<(), Error> {
        for parent in path.ancestors().skip(1) {
            let Ok(meta) = fs::metadata(parent) else { continue };
            if private::others_may_write(&meta) && meta.mode() & STICKY == 0 {
                let mode = meta.mode() & 0o7777;
                return Err(Error::Replaceable { path: self.data.to_owned(), parent: parent.to_owned(), mode });
            }
        }
        Ok(())
    }

    fn look(&mut self, path: &Path, meta: &Metadata) -> Result<(), Error> {
        match Exposure::of(meta) {
            None => Ok(()),
            Some(Exposure::Readable { .. }) => {
                self.readable.push((path.to_owned(), meta.clone()));
                Ok(())
            }
            Some(exposure) => Err(Error::Exposed { data: self.data.to_owned(), path: path.to_owned(), exposure }),
        }
    }

    fn walk(&mut self, folder: &Path) -> Result<(), Error> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == NotFound => return Ok(()),
            entries => entries.map_err(|source| self.unusable(source))?,
        };
        for entry in entries {
            let path = entry.map_err(|source| self.unusable(source))?.path();
            let first = folder == self.data;
            if first && path.ends_with("keys") {
                continue;
            }
            let meta = match fs::symlink_metadata(&path) {
                // A host that runs has removed it meanwhile.
                Err(error) if error.kind() == NotFound => continue,
                meta => meta.map_err(|source| self.unusable(source))?,
            };
            if !meta.is_symlink() {
                self.look(&path, &meta)?;
                if meta.is_dir() {
                    self.walk(&path)?;
                }
                continue;
            }
            let link = || Error::Link { path: path.clone() };
            let target = path.canonicalize().ok().filter(|target| first && target.is_dir()).ok_or_else(link)?;
            self.above(&target)?;
            self.look(&path, &fs::metadata(&target).map_err(|source| self.unusable(source))?)?;
            self.walk(&path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::{Folder, HOW_TO_KEEP};
    use super::*;

    /// A data folder that a host has used, in a folder of its own.
    fn used() -> (tempfile::TempDir, PathBuf) {
        let above = tempfile::tempdir().unwrap();
        let data = above.path().join("run");
        drop(Folder::lock(&data).unwrap());
        private::write(&data.join("host.db"), b"").unwrap();
        private::folder(&data.join("deploy/restore")).unwrap();
        (above, data)
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    /// What `lock` says, with its remedy.
    fn refused(data: &Path) -> (String, String) {
        let error = Folder::lock(data).unwrap_err();
        (seam_store::chain(&error), error.remedy())
    }

    #[test]
    fn what_others_may_read_is_taken_from_them_and_counted() {
        let (_above, data) = used();
        let exposed = ["", "host.db", "stores", "deploy/restore"].map(|name| data.join(name));
        assert_eq!(Folder::lock(&data).unwrap().withdrawn(), 0);
        for path in &exposed {
            set(path, if path.is_dir() { 0o755 } else { 0o644 });
        }
        assert_eq!(Folder::lock(&data).unwrap().withdrawn(), exposed.len());
        let closed = || exposed.iter().all(|path| mode(path) & 0o077 == 0);
        assert!(closed());
        set(&data.join("host.db"), 0o644);
        assert_eq!((Folder::lock(&data).unwrap().withdrawn(), closed()), (0, true), "no other user could reach it");
    }

    #[test]
    fn a_folder_or_a_file_that_others_may_write_to_is_refused_with_the_command_that_mends_it() {
        for name in ["", "host.db", "stores", "deploy/restore"] {
            let (_above, data) = used();
            let path = data.join(name);
            set(&path, 0o777);
            let (message, remedy) = refused(&data);
            assert!(message.contains(&format!("`{}`", path.components().as_path().display())), "{message}");
            assert!(message.contains("other users may write to it (mode 0777)"), "{message}");
            assert!(remedy.contains(&format!("`chmod -R go-rwx {}`", data.display())), "{remedy}");
            assert_eq!(mode(&path), 0o777, "nothing is changed");
            set(&path, 0o700);
            Folder::lock(&data).unwrap();
        }
    }

    #[test]
    fn a_folder_above_that_others_may_write_to_is_refused_unless_only_owners_may_rename_there() {
        for missing in [false, true] {
            let (above, data) = used();
            let data = if missing { above.path().join("none/run") } else { data };
            set(above.path(), 0o777);
            let (message, remedy) = refused(&data);
            assert!(message.contains("may put another in its place") && message.contains("0777"), "{message}");
            assert!(remedy.contains(&format!("`chmod go-w {}`", above.path().display())), "{remedy}");
            set(above.path(), 0o1777);
            Folder::lock(&data).unwrap();
        }
    }

    #[test]
    fn a_folder_above_the_target_of_a_link_counts_too() {
        let (above, data) = used();
        let (link, elsewhere) = (tempfile::tempdir().unwrap(), above.path());
        let linked = link.path().join("run");
        symlink(&data, &linked).unwrap();
        Folder::lock(&linked).unwrap();
        set(elsewhere, 0o777);
        assert!(refused(&linked).0.contains("may put another in its place"));
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_refused_and_a_linked_folder_follows_the_same_rules() {
        let (above, data) = used();
        let other = above.path().join("other");
        private::folder(&other).unwrap();
        symlink(&other, data.join("backups")).unwrap();
        Folder::lock(&data).unwrap();
        set(&other, 0o777);
        assert!(refused(&data).0.contains("mode 0777"));
        set(&other, 0o700);
        let file = other.join("file");
        private::write(&file, b"").unwrap();
        for place in ["host.db", "lock", "stores/orders.db", "backups/link"] {
            let place = data.join(place);
            fs::remove_file(&place).ok();
            symlink(&file, &place).unwrap();
            let (message, remedy) = refused(&data);
            assert!(message.contains(&format!("`{}` is a link", place.display())) && remedy == HOW_TO_KEEP);
            fs::remove_file(&place).unwrap();
        }
        // Keys are checked when they are read: Kubernetes keeps them behind links.
        private::folder(&data.join("keys")).unwrap();
        symlink(&file, data.join("keys/orders.key")).unwrap();
        Folder::lock(&data).unwrap();
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        // Only root can give a file away.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        for name in ["", "host.db"] {
            let (_above, data) = used();
            std::os::unix::fs::chown(data.join(name), Some(4_321), None).unwrap();
            let (message, remedy) = refused(&data);
            assert!(message.contains("belongs to another user (uid 4321)"), "{message}");
            assert!(remedy.contains(&format!("`chown -R 0 {}`", data.display())), "{remedy}");
        }
    }
}
