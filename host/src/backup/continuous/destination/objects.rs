//! Small objects beside the files of a context's backup, which are made once and never replaced: leases.
//!
//! In a folder they are `CONTEXT/FOLDER/NAME`, in a bucket `PREFIX/CONTEXT/FOLDER/NAME`.
//! Invariant: of several that make an object of one name, exactly one does.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use object_store::path::Path as Key;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions};
use seam_store::private;

use super::{Destination, DestinationError, Kind};
use crate::limits;

impl Destination {
    /// The names of all objects in `folder` of a context, in their order.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn names(&self, context: &str, folder: &str) -> Result<Vec<String>, DestinationError> {
        let mut names = Vec::new();
        match &self.0 {
            Kind::Folder(root) => {
                let path = root.join(context).join(folder);
                let unread = |source| DestinationError::Folder { path: path.clone(), source };
                // A folder that is not there at all is away; one without the context is empty.
                fs::metadata(root).map_err(unread)?;
                let entries = match fs::read_dir(&path) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(names),
                    entries => entries.map_err(unread)?,
                };
                for entry in entries {
                    names.push(entry.map_err(unread)?.file_name().to_string_lossy().into_owned());
                }
                names.retain(|name| !name.contains('.'));
            }
            Kind::Bucket { bucket, prefix, store } => {
                let unread = |source| DestinationError::Bucket { bucket: bucket.clone(), source };
                let below = object(prefix, context, folder, "");
                let mut objects = store.list(Some(&below));
                while let Some(object) = objects.try_next().await.map_err(unread)? {
                    names.extend(object.location.filename().map(ToOwned::to_owned));
                    if names.len() > limits::BACKUP_FILES_MAX {
                        return Err(DestinationError::TooMany { context: context.to_owned() });
                    }
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// Makes an object; `false` when there is another one by its name. One with the same bytes is this one: its answer
    /// was lost.
    ///
    /// # Errors
    /// When it cannot be made, or is not known to be.
    pub async fn create(
        &self,
        context: &str,
        (folder, name): (&str, &str),
        bytes: &[u8],
    ) -> Result<bool, DestinationError> {
        let made = match &self.0 {
            Kind::Folder(root) => {
                fs::metadata(root).map_err(|source| DestinationError::Folder { path: root.clone(), source })?;
                let path = root.join(context).join(folder).join(name);
                create_file(&path, bytes).map_err(|source| DestinationError::Folder { path, source })?
            }
            Kind::Bucket { bucket, prefix, store } => {
                let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
                let key = object(prefix, context, folder, name);
                match store.put_opts(&key, bytes.to_vec().into(), options).await {
                    Ok(_) => true,
                    Err(object_store::Error::AlreadyExists { .. }) => false,
                    Err(source) => return Err(DestinationError::Bucket { bucket: bucket.clone(), source }),
                }
            }
        };
        Ok(made || self.object(context, (folder, name)).await?.as_deref() == Some(bytes))
    }

    /// The bytes of an object; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn object(
        &self,
        context: &str,
        (folder, name): (&str, &str),
    ) -> Result<Option<Vec<u8>>, DestinationError> {
        match &self.0 {
            Kind::Folder(root) => {
                let path = root.join(context).join(folder).join(name);
                match fs::read(&path) {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(DestinationError::Folder { path, source }),
                }
            }
            Kind::Bucket { bucket, prefix, store } => {
                let unread = |source| DestinationError::Bucket { bucket: bucket.clone(), source };
                match store.get(&object(prefix, context, folder, name)).await {
                    Ok(found) => Ok(Some(found.bytes().await.map_err(unread)?.to_vec())),
                    Err(object_store::Error::NotFound { .. }) => Ok(None),
                    Err(error) => Err(unread(error)),
                }
            }
        }
    }

    /// Removes an object, if it is there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn remove_object(&self, context: &str, (folder, name): (&str, &str)) -> Result<(), DestinationError> {
        match &self.0 {
            Kind::Folder(root) => {
                let path = root.join(context).join(folder).join(name);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        Err(DestinationError::Folder { path, source: error })
                    }
                    _ => Ok(()),
                }
            }
            Kind::Bucket { bucket, prefix, store } => {
                match store.delete(&object(prefix, context, folder, name)).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                    Err(source) => Err(DestinationError::Bucket { bucket: bucket.clone(), source }),
                }
            }
        }
    }

    /// Whether the file at `path` has these bytes in the store of backups.
    pub(super) async fn is_same(
        &self,
        context: &str,
        (folder, name): (&str, &str),
        path: &Path,
    ) -> Result<bool, DestinationError> {
        let own = fs::read(path).map_err(|source| DestinationError::Folder { path: path.to_owned(), source })?;
        Ok(self.object(context, (folder, name)).await?.is_some_and(|there| there == own))
    }

    /// Whether it failed because what was asked for is not there.
    pub fn is_missing(error: &DestinationError) -> bool {
        match error {
            DestinationError::Folder { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            DestinationError::Bucket { source, .. } => matches!(source, object_store::Error::NotFound { .. }),
            _ => false,
        }
    }
}

/// `false` when there is one by this name.
fn create_file(path: &Path, bytes: &[u8]) -> std::io::Result<bool> {
    let folder = path.parent().unwrap_or(path);
    private::folder(folder)?;
    let partial = partial(path);
    let mut file = private::file(&partial)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(&partial, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    });
    fs::remove_file(&partial)?;
    if linked? { fs::File::open(folder)?.sync_all().map(|()| true) } else { Ok(false) }
}

/// Another name for each that writes.
pub(super) fn partial(path: &Path) -> PathBuf {
    path.with_extension(format!("{:016x}.partial", rand::random::<u64>()))
}

fn object(prefix: &str, context: &str, folder: &str, name: &str) -> Key {
    let parts = [prefix, context, folder, name];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Key::from(parts.join("/"))
}
