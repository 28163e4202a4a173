//! Where files of a backup are stored: a folder, or a bucket of S3, laid out as Litestream's own tool expects it.
//!
//! In a folder: `CONTEXT/ltx/LEVEL/FIRST-LAST.ltx`, and the time of a file is that of its contents. In a bucket:
//! `PREFIX/CONTEXT/LEVEL/FIRST-LAST.ltx` with the level as four hex digits, and the time is in the metadata. FIRST and
//! LAST are the numbers of its transactions, as 16 hex digits. Level 9 has the snapshots, level 0 the deltas.
//! Invariants: a file under its name is complete. One that is there is never replaced, so that a second host that
//! stores under the same name is noticed.

mod objects;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, RetryConfig, WriteMultipart,
};
use seam_store::{ltx, private};

use super::bucket::Connector;
use crate::manifest::{BackupSettings, BackupTo};
use crate::{limits, times};

/// The level of snapshots.
pub(super) const SNAPSHOTS: u8 = 9;
/// The level of deltas.
pub(super) const DELTAS: u8 = 0;

/// A file of a backup by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    pub level: u8,
    pub first: u64,
    pub last: u64,
    pub bytes: u64,
    pub stored: SystemTime,
}

/// Where a file is to be stored, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub level: u8,
    pub first: u64,
    pub last: u64,
    pub bytes: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// What became of a file that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Done,
    /// There is another one by its name.
    Taken,
}

#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    #[error("cannot use `{}`", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("cannot use the bucket `{bucket}`")]
    Bucket { bucket: String, source: object_store::Error },
    #[error("the environment has no `{name}`")]
    NoCredentials { name: &'static str },
    #[error("`{name}` is no file of a backup")]
    Ltx { name: String, source: ltx::LtxError },
    #[error("`{context}` has more than {} files in the store of backups", limits::BACKUP_FILES_MAX)]
    TooMany { context: String },
}

impl DestinationError {
    /// What to do about it, for the `hint:` line.
    pub fn remedy(&self) -> String {
        match self {
            Self::Folder { .. } => "check that the host may write there and that the disk has room".to_owned(),
            Self::Bucket { .. } => {
                "check `to`, `region` and `endpoint` in `[backup]`, the credentials, and that the server can be reached"
                    .to_owned()
            }
            Self::NoCredentials { .. } => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN if they are temporary"
                    .to_owned()
            }
            Self::Ltx { .. } => "restore a state from before it, or remove what is no backup from there".to_owned(),
            Self::TooMany { .. } => "shorten `keep` in `[backup]`, or store under another prefix".to_owned(),
        }
    }
}

/// A store of backups. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Destination(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Folder(PathBuf),
    Bucket { bucket: String, prefix: String, store: Arc<dyn ObjectStore> },
}

impl Destination {
    /// # Errors
    /// When the environment lacks the credentials of a bucket, or they make no sense.
    pub fn of(settings: &BackupSettings) -> Result<Self, DestinationError> {
        let (bucket, prefix, region, endpoint) = match &settings.to {
            BackupTo::Folder(folder) => return Ok(Self(Kind::Folder(folder.clone()))),
            BackupTo::Bucket { bucket, prefix, region, endpoint } => (bucket, prefix, region, endpoint),
        };
        let secret = |name: &'static str| {
            std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or(DestinationError::NoCredentials { name })
        };
        let retry = RetryConfig {
            max_retries: 2,
            retry_timeout: Duration::from_millis(limits::BACKUP_REQUEST_MS),
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_access_key_id(secret("AWS_ACCESS_KEY_ID")?)
            .with_secret_access_key(secret("AWS_SECRET_ACCESS_KEY")?)
            .with_retry(retry)
            .with_http_connector(Connector);
        if let Ok(token) = secret("AWS_SESSION_TOKEN") {
            builder = builder.with_token(token);
        }
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        let unusable = |source| DestinationError::Bucket { bucket: bucket.clone(), source };
        let store = Arc::new(builder.build().map_err(unusable)?);
        Ok(Self(Kind::Bucket { bucket: bucket.clone(), prefix: prefix.clone(), store }))
    }

    /// All files of a context, by level and numbers.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn list(&self, context: &str) -> Result<Vec<Stored>, DestinationError> {
        let mut found = Vec::new();
        let too_many = || DestinationError::TooMany { context: context.to_owned() };
        match &self.0 {
            Kind::Folder(folder) => {
                for level in 0..=SNAPSHOTS {
                    let path = folder_of(folder, context, level);
                    let unread = |source| DestinationError::Folder { path: path.clone(), source };
                    let entries = match fs::read_dir(&path) {
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                        entries => entries.map_err(unread)?,
                    };
                    for entry in entries {
                        let entry = entry.map_err(unread)?;
                        let Some((first, last)) = numbers(&entry.file_name().to_string_lossy()) else { continue };
                        let file = entry.metadata().map_err(unread)?;
                        let stored = file.modified().map_err(unread)?;
                        found.push(Stored { level, first, last, bytes: file.len(), stored });
                        if found.len() > limits::BACKUP_FILES_MAX {
                            return Err(too_many());
                        }
                    }
                }
            }
            Kind::Bucket { bucket, prefix, store } => {
                let unread = |source| DestinationError::Bucket { bucket: bucket.clone(), source };
                let all = if prefix.is_empty() { context.to_owned() } else { format!("{prefix}/{context}") };
                let mut objects = store.list(Some(&Key::from(all)));
                while let Some(object) = objects.try_next().await.map_err(unread)? {
                    let mut parts = object.location.as_ref().rsplit('/');
                    let (Some(name), Some(level)) = (parts.next(), parts.next()) else { continue };
                    let level = u8::from_str_radix(level, 16).ok();
                    let (Some((first, last)), Some(level)) = (numbers(name), level) else { continue };
                    let stored = SystemTime::from(object.last_modified);
                    found.push(Stored { level, first, last, bytes: object.size, stored });
                    if found.len() > limits::BACKUP_FILES_MAX {
                        return Err(too_many());
                    }
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Stores the file at `path`. One that is there with the same bytes is this one: its answer was lost.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub(super) async fn put(&self, context: &str, item: &Item, path: &Path) -> Result<Put, DestinationError> {
        match &self.0 {
            Kind::Folder(folder) => {
                let to = folder_of(folder, context, item.level).join(name(item.first, item.last));
                let failed = |source| DestinationError::Folder { path: to.clone(), source };
                if to.exists() || !put_in_folder(path, &to, item.at_ms).map_err(failed)? {
                    let there = fs::metadata(&to).map_err(failed)?.len() == item.bytes;
                    return self.same(there, (context, item), path).await;
                }
                Ok(Put::Done)
            }
            Kind::Bucket { bucket, prefix, store } => {
                let key = key(prefix, context, item.level, item.first, item.last);
                let failed = |source| DestinationError::Bucket { bucket: bucket.clone(), source };
                let unread = |source| DestinationError::Folder { path: path.to_owned(), source };
                let time = times::rfc3339(item.at_ms);
                let attributes = Attributes::from_iter([(Attribute::Metadata("litestream-timestamp".into()), time)]);
                if item.bytes <= limits::BACKUP_PART_BYTES as u64 {
                    let bytes = tokio::fs::read(path).await.map_err(unread)?;
                    let attributes = attributes.clone();
                    let options = PutOptions { mode: PutMode::Create, attributes, ..PutOptions::default() };
                    match store.put_opts(&key, PutPayload::from(bytes), options).await {
                        Ok(_) => return Ok(Put::Done),
                        Err(object_store::Error::AlreadyExists { .. }) => {}
                        Err(error) => return Err(failed(error)),
                    }
                }
                match store.head(&key).await {
                    Ok(there) => return self.same(there.size == item.bytes, (context, item), path).await,
                    Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(failed(error)),
                }
                // An upload in parts cannot be made to fail when the object is there.
                let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
                let upload = store.put_multipart_opts(&key, options).await.map_err(failed)?;
                let mut write = WriteMultipart::new_with_chunk_size(upload, limits::BACKUP_PART_BYTES);
                let mut file = fs::File::open(path).map_err(unread)?;
                let mut part = vec![0; 1 << 20];
                loop {
                    let read = file.read(&mut part).map_err(unread)?;
                    if read == 0 {
                        break;
                    }
                    write.wait_for_capacity(1).await.map_err(failed)?;
                    write.write(part.get(..read).unwrap_or_default());
                }
                write.finish().await.map_err(failed)?;
                Ok(Put::Done)
            }
        }
    }

    /// What it is that has the name of an item already. A large one with as many bytes is taken for the same.
    async fn same(&self, size: bool, (context, item): (&str, &Item), path: &Path) -> Result<Put, DestinationError> {
        let small = item.bytes <= limits::BACKUP_PART_BYTES as u64;
        let folder = match &self.0 {
            Kind::Folder(_) => format!("ltx/{}", item.level),
            Kind::Bucket { .. } => format!("{:04x}", item.level),
        };
        let at = (folder.as_str(), &*name(item.first, item.last));
        let is = size && (!small || self.is_same(context, at, path).await?);
        Ok(if is { Put::Done } else { Put::Taken })
    }

    /// Writes a file of the backup to `path`.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn get(&self, context: &str, one: &Stored, path: &Path) -> Result<(), DestinationError> {
        let unwritten = |source| DestinationError::Folder { path: path.to_owned(), source };
        match &self.0 {
            Kind::Folder(folder) => {
                let from = folder_of(folder, context, one.level).join(name(one.first, one.last));
                private::copy(&from, path).map(drop).map_err(|source| DestinationError::Folder { path: from, source })
            }
            Kind::Bucket { bucket, prefix, store } => {
                let failed = |source| DestinationError::Bucket { bucket: bucket.clone(), source };
                let key = key(prefix, context, one.level, one.first, one.last);
                let mut to = private::file(path).map_err(unwritten)?;
                let mut bytes = store.get(&key).await.map_err(failed)?.into_stream();
                while let Some(some) = bytes.try_next().await.map_err(failed)? {
                    std::io::Write::write_all(&mut to, &some).map_err(unwritten)?;
                }
                Ok(())
            }
        }
    }

    /// What a file of the backup says of itself.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn header(&self, context: &str, one: &Stored) -> Result<ltx::Header, DestinationError> {
        let bytes = match &self.0 {
            Kind::Folder(folder) => {
                let path = folder_of(folder, context, one.level).join(name(one.first, one.last));
                let mut bytes = Vec::new();
                let read = fs::File::open(&path).and_then(|file| file.take(ltx::HEADER as u64).read_to_end(&mut bytes));
                read.map_err(|source| DestinationError::Folder { path, source })?;
                bytes
            }
            Kind::Bucket { bucket, prefix, store } => {
                let failed = |source| DestinationError::Bucket { bucket: bucket.clone(), source };
                let range = Some(GetRange::Bounded(0..ltx::HEADER as u64));
                let options = GetOptions { range, ..GetOptions::default() };
                let key = key(prefix, context, one.level, one.first, one.last);
                let found = store.get_opts(&key, options).await.map_err(failed)?;
                found.bytes().await.map_err(failed)?.to_vec()
            }
        };
        ltx::Header::parse(&bytes).map_err(|source| DestinationError::Ltx { name: name(one.first, one.last), source })
    }

    /// # Errors
    /// When it cannot be removed.
    pub async fn remove(&self, context: &str, one: &Stored) -> Result<(), DestinationError> {
        match &self.0 {
            Kind::Folder(folder) => {
                let path = folder_of(folder, context, one.level).join(name(one.first, one.last));
                fs::remove_file(&path).map_err(|source| DestinationError::Folder { path, source })
            }
            Kind::Bucket { bucket, prefix, store } => {
                let removed = store.delete(&key(prefix, context, one.level, one.first, one.last)).await;
                removed.map_err(|source| DestinationError::Bucket { bucket: bucket.clone(), source })
            }
        }
    }
}

/// `false` when there is one by this name.
fn put_in_folder(from: &Path, to: &Path, at_ms: u64) -> std::io::Result<bool> {
    let folder = to.parent().unwrap_or(to);
    private::folder(folder)?;
    let partial = objects::partial(to);
    private::copy(from, &partial)?;
    let file = fs::File::options().write(true).open(&partial)?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(at_ms))?;
    file.sync_all()?;
    // Fails if the name is there.
    let linked = fs::hard_link(&partial, to);
    fs::remove_file(&partial)?;
    match linked {
        Ok(()) => fs::File::open(folder)?.sync_all().map(|()| true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn folder_of(root: &Path, context: &str, level: u8) -> PathBuf {
    root.join(context).join("ltx").join(level.to_string())
}

fn key(prefix: &str, context: &str, level: u8, first: u64, last: u64) -> Key {
    let below = format!("{context}/{level:04x}/{}", name(first, last));
    Key::from(if prefix.is_empty() { below } else { format!("{prefix}/{below}") })
}

/// What a file is called.
pub(super) fn name(first: u64, last: u64) -> String {
    format!("{first:016x}-{last:016x}.ltx")
}

/// The numbers in the name of a file.
pub(super) fn numbers(name: &str) -> Option<(u64, u64)> {
    let (first, last) = name.strip_suffix(".ltx")?.split_once('-')?;
    let number = |text: &str| (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
    Some((number(first)?, number(last)?))
}
