//! Files and folders of this user alone: how they are made, and what lets other users at them.
//!
//! Whatever the host writes holds values of contexts or says how to read them. So it makes each file and each folder
//! here, with the mode in the call that creates it: a mode that is set afterwards comes too late for a reader that
//! already has the file open.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// What lets other users at a file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exposure {
    /// They may have changed it.
    #[error("it belongs to another user (uid {uid})")]
    Foreign { uid: u32 },
    /// They may have changed it.
    #[error("other users may write to it (mode {mode:04o})")]
    Writable { mode: u32 },
    /// They may have read it.
    #[error("other users may read it (mode {mode:04o})")]
    Readable { mode: u32 },
}

impl Exposure {
    /// That of a file or a folder; the worst comes first. Root counts as no other user: it may do everything anyway.
    pub fn of(meta: &Metadata) -> Option<Self> {
        let mode = meta.mode() & 0o7777;
        let own = [rustix::process::geteuid().as_raw(), 0].contains(&meta.uid());
        match mode {
            _ if !own => Some(Self::Foreign { uid: meta.uid() }),
            _ if others_may_write(meta) => Some(Self::Writable { mode }),
            _ if mode & 0o077 != 0 => Some(Self::Readable { mode }),
            _ => None,
        }
    }

    /// As `of`, where it is enough that others cannot write.
    pub fn to_change(meta: &Metadata) -> Option<Self> {
        Self::of(meta).filter(|exposure| !matches!(exposure, Self::Readable { .. }))
    }
}

/// Whether the mode lets other users write. A group with its owner's number is that user's own, as most Linux systems
/// make one for each user; their files are often writable by it.
pub fn others_may_write(meta: &Metadata) -> bool {
    let own_group = meta.gid() == meta.uid();
    meta.mode() & 0o002 != 0 || (meta.mode() & 0o020 != 0 && !own_group)
}

/// Creates the folder, and those above it, where they are missing.
///
/// # Errors
/// As `std::fs::create_dir_all`.
pub fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Creates a file that is not there yet.
///
/// # Errors
/// `AlreadyExists` when something has the name, even a link to nothing.
pub fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Creates a file, or empties it and makes it this user's alone. It follows no link in its place.
///
/// # Errors
/// When it cannot be opened, or belongs to another user.
pub fn file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let file = options.open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.set_len(0)?;
    Ok(file)
}

/// Writes a file with these contents, as `file`.
///
/// # Errors
/// As `file`, and when there is no room.
pub fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    file(path)?.write_all(contents)
}

/// As `write`; what was written is on the disk when this returns. The name is not: see `rename_durably`.
///
/// # Errors
/// As `write`.
pub fn write_durably(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = file(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Renames a file in its folder; the new name is on the disk when this returns.
///
/// # Errors
/// As `std::fs::rename`.
pub fn rename_durably(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Copies the contents of a file to one that `file` makes. Unlike `std::fs::copy`, not its mode. Returns the bytes.
///
/// # Errors
/// As `write`, and when `from` cannot be read.
pub fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    let mut from = open(from)?;
    io::copy(&mut from, &mut file(to)?)
}

/// Takes the rights of all other users away. `meta` is that of `path`, which is no link.
///
/// # Errors
/// When it belongs to another user, or is gone.
pub fn withdraw(path: &Path, meta: &Metadata) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(meta.mode() & 0o700))
}

/// Why a secret is not used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("it has more than {max} bytes")]
    TooLarge { max: u64 },
    #[error("every user may read or change it (mode {mode:04o}); run `chmod o= {path}`")]
    Public { path: String, mode: u32 },
    #[error("its group may change it (mode {mode:04o}); run `chmod g-w {path}`")]
    GroupWrites { path: String, mode: u32 },
}

impl From<SecretError> for io::Error {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Read(error) => error,
            other => Self::new(io::ErrorKind::PermissionDenied, other),
        }
    }
}

/// Opens a file to read it. Unlike `File::open`, it does not wait for the writer of a pipe.
///
/// # Errors
/// When it cannot be opened, or is no file.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")),
    }
}

/// Reads a file that others must not read, such as a key: at most `max` bytes.
///
/// It may be a link, also to a link: certificate managers and Kubernetes change a secret by changing a link. The mode
/// of the file at its end counts. Its group may read it, as certificate managers let a group in; its owner may be any
/// user, as that one has written the secret.
///
/// # Errors
/// When all users may read or write it, its group may write it, or it cannot be read.
pub fn read_secret(path: &Path, max: u64) -> Result<Vec<u8>, SecretError> {
    let file = open(path)?;
    let meta = file.metadata()?;
    let (mode, shown) = (meta.mode() & 0o7777, || path.display().to_string());
    if mode & 0o007 != 0 {
        return Err(SecretError::Public { path: shown(), mode });
    }
    if others_may_write(&meta) {
        return Err(SecretError::GroupWrites { path: shown(), mode });
    }
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(SecretError::TooLarge { max });
    }
    Ok(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_is_made_here_is_for_this_user_alone_also_where_a_public_file_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        super::folder(&path("a/b")).unwrap();
        assert_eq!([mode(&path("a")), mode(&path("a/b"))], [0o700; 2]);
        fs::write(path("public"), "longer than before").unwrap();
        set(&path("public"), 0o666);
        write(&path("new"), b"rows").unwrap();
        copy(&path("public"), &path("copied")).unwrap();
        write(&path("public"), b"rows").unwrap();
        drop(new_file(&path("once")).unwrap());
        for name in ["new", "public", "copied", "once"] {
            assert_eq!(mode(&path(name)), 0o600, "{name}");
        }
        assert_eq!(fs::read(path("public")).unwrap(), b"rows");
        assert_eq!(new_file(&path("once")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, link) = (folder.path().join("victim"), folder.path().join("link"));
        fs::write(&victim, "kept").unwrap();
        symlink(&victim, &link).unwrap();
        assert!(write(&link, b"rows").is_err() && new_file(&link).is_err());
        assert_eq!(fs::read(victim).unwrap(), b"kept");
    }

    #[test]
    fn modes_that_let_others_in_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let exposure = |mode| {
            set(&file, mode);
            Exposure::of(&fs::metadata(&file).unwrap())
        };
        for fine in [0o600, 0o400, 0o700] {
            assert_eq!(exposure(fine), None, "{fine:o}");
        }
        for mode in [0o640, 0o604, 0o710, 0o701] {
            assert_eq!(exposure(mode), Some(Exposure::Readable { mode }));
        }
        for mode in [0o602, 0o666, 0o777] {
            assert_eq!(exposure(mode), Some(Exposure::Writable { mode }));
        }
        // Whether the group is the user's own depends on who runs the tests.
        let meta = fs::metadata(&file).unwrap();
        let own = meta.gid() == meta.uid();
        assert_eq!(matches!(exposure(0o620), Some(Exposure::Writable { .. })), !own);
    }

    #[test]
    fn a_secret_is_read_through_links_and_refused_when_others_may_read_or_change_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // As Kubernetes lays out a secret: key -> ..data/key, ..data -> ..2026_01_02.
        fs::create_dir(path("..2026_01_02")).unwrap();
        let target = path("..2026_01_02/key");
        fs::write(&target, "secret").unwrap();
        symlink("..2026_01_02", path("..data")).unwrap();
        symlink("..data/key", path("key")).unwrap();
        for fine in [0o600, 0o400, 0o640, 0o440] {
            set(&target, fine);
            assert_eq!(read_secret(&path("key"), 6).unwrap(), b"secret", "{fine:o}");
        }
        for public in [0o644, 0o604, 0o602, 0o601] {
            set(&target, public);
            let error = read_secret(&path("key"), 6).unwrap_err().to_string();
            let command = format!("`chmod o= {}`", path("key").display());
            assert!(error.contains(&command) && error.contains(&format!("{public:04o}")), "{error}");
        }
        set(&target, 0o600);
        assert!(matches!(read_secret(&path("key"), 5), Err(SecretError::TooLarge { max: 5 })));
        let no_file = |path: &Path| read_secret(path, 5).unwrap_err().to_string() == "it is not a file";
        assert!(no_file(folder.path()));
        assert!(matches!(read_secret(&path("none"), 5), Err(SecretError::Read(_))));
        let pipe = path("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(no_file(&pipe), "and it does not wait for a writer");
    }
}
