//! One static file in memory: its bytes, plain and compressed, each form with its own strong tag.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use headers::ETag;
use http::header::HeaderValue;
use sha2::{Digest, Sha256};

use crate::http::response::compress::{self, Coding};
use crate::limits;

pub(super) struct File {
    path: PathBuf,
    stamp: Stamp,
    /// The content type.
    pub(super) kind: HeaderValue,
    /// Of the content, in hex.
    pub(super) hash: String,
    pub(super) plain: Encoding,
    pub(super) gzip: Option<Encoding>,
    pub(super) brotli: Option<Encoding>,
}

/// The file in one content coding.
pub(super) struct Encoding {
    pub(super) bytes: Bytes,
    pub(super) etag: ETag,
}

/// Differs when a file has changed. Size and modification time alone do not show it: tools that copy or deploy files
/// set the time. A file put in the place of another has an inode of its own, and no program can set the time of change.
#[derive(PartialEq, Eq, Clone, Copy)]
struct Stamp {
    length: u64,
    device: u64,
    inode: u64,
    /// In seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            length: metadata.len(),
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Encoding {
    fn new(bytes: impl Into<Bytes>, hash: &str, suffix: &str) -> Option<Self> {
        Some(Self { bytes: bytes.into(), etag: format!("\"{hash}{suffix}\"").parse().ok()? })
    }
}

impl File {
    /// Reads `root/name`; `None` if it is not a file below `root` or too large.
    pub(super) fn load(root: &Path, name: &str) -> Option<Self> {
        let path = root.join(name).canonicalize().ok().filter(|path| path.starts_with(root))?;
        // Checked before opening: opening a pipe would wait for a writer.
        fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let mut open = fs::File::open(&path).ok()?;
        let metadata = open.metadata().ok().filter(fs::Metadata::is_file)?;
        if metadata.len() > limits::ASSET_BYTES {
            tracing::warn!(
                target: "http", path = %path.display(), bytes = metadata.len(), bytes_max = limits::ASSET_BYTES,
                "cannot serve a static file: it is too large"
            );
            return None;
        }
        let mut plain = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
        open.by_ref().take(limits::ASSET_BYTES).read_to_end(&mut plain).ok()?;
        let guess = mime_guess::from_path(&path).first_or_octet_stream();
        let text = guess.type_() == mime_guess::mime::TEXT || guess.subtype() == "javascript";
        let kind = if text { format!("{guess}; charset=utf-8") } else { guess.to_string() };
        let hash = hex::encode(Sha256::digest(&plain).get(..16)?);
        let compressible = compress::is_compressible(&kind) && plain.len() >= limits::HTTP_COMPRESS_BYTES_MIN;
        let encoded = |coding, suffix| {
            let bytes = if compressible { compress::file(&plain, coding) } else { None };
            bytes.and_then(|bytes| Encoding::new(bytes, &hash, suffix))
        };
        let (gzip, brotli) = (encoded(Coding::Gzip, "-gz"), encoded(Coding::Brotli, "-br"));
        let plain = Encoding::new(plain, &hash, "")?;
        let kind = HeaderValue::try_from(kind).ok()?;
        Some(Self { path, stamp: Stamp::of(&metadata), kind, hash, plain, gzip, brotli })
    }

    /// Whether the file on disk is still the one that was read.
    pub(super) fn is_current(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|metadata| Stamp::of(&metadata) == self.stamp)
    }

    pub(super) fn encodings(&self) -> impl Iterator<Item = &Encoding> {
        [Some(&self.plain), self.brotli.as_ref(), self.gzip.as_ref()].into_iter().flatten()
    }

    pub(super) fn size(&self) -> usize {
        self.encodings().map(|encoding| encoding.bytes.len()).sum()
    }
}
