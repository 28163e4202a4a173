//! Static files of a context, kept in memory together with their compressed forms.
//!
//! Invariants: a file is served only if its real path, with symbolic links resolved, lies in the folder. Names with
//! `..`, dot files and backslashes are never looked up. A cached file is served only while the file on disk is
//! the same one (device, inode), unchanged (times of modification and of change, length).

mod cache;
mod file;
mod range;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use headers::HeaderMapExt;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use seam_store::blocking;
use seam_store::ids::ContextName;

use self::cache::Cache;
use self::file::{Encoding, File};
use crate::http::body::Body;
use crate::http::error::Error;
use crate::http::request_error::RequestError;
use crate::http::response::compress::{self, Coding};
use crate::http::response::negotiate;

/// For an address that carries the file's own hash (`?v=`): its bytes never change.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// For all others: a browser asks again after a minute, and mostly gets 304.
const SHORTLY: &str = "public, max-age=60";

pub struct Assets {
    /// Without symbolic links.
    root: PathBuf,
    cache: Mutex<Cache>,
}

impl Assets {
    pub fn open(folder: &Path, context: &ContextName) -> Result<Self, Error> {
        let fail = |source| Error::Assets { context: context.clone(), path: folder.to_owned(), source };
        let root = folder.canonicalize().map_err(fail)?;
        fs::read_dir(&root).map_err(fail)?;
        Ok(Self { root, cache: Mutex::default() })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file `name`, percent-encoded as received and without a leading slash.
    pub fn respond(&self, parts: &Parts, name: &str) -> Result<Response<Body>, RequestError> {
        if parts.method != Method::GET && parts.method != Method::HEAD {
            return Err(RequestError::MethodNotAllowed("GET, HEAD"));
        }
        let file = decoded(name).and_then(|name| self.file(name)).ok_or(RequestError::NotFound)?;
        respond(parts, &file)
    }

    fn file(&self, name: String) -> Option<Arc<File>> {
        let cached = self.cache.lock().get(&name);
        if let Some(file) = cached.filter(|file| file.is_current()) {
            return Some(file);
        }
        let file = Arc::new(blocking::block_in_place(|| File::load(&self.root, &name))?);
        self.cache.lock().insert(name, &file);
        Some(file)
    }
}

/// The path that a percent-encoded name stands for, if all of its segments may be looked up.
fn decoded(name: &str) -> Option<String> {
    let name = percent_decode_str(name).decode_utf8().ok()?;
    let plain = |segment: &str| !segment.is_empty() && !segment.starts_with('.') && !segment.contains(['\\', ':']);
    (name.split('/').all(plain) && !name.contains(char::is_control)).then(|| name.into_owned())
}

fn respond(parts: &Parts, file: &File) -> Result<Response<Body>, RequestError> {
    let range = range::requested(&parts.headers, &file.plain)?;
    let coding = if range.is_none() { compress::choose(&parts.headers, [Coding::Brotli, Coding::Gzip]) } else { None };
    let (encoding, coding) = match (coding, &file.brotli, &file.gzip) {
        (Some(Coding::Brotli), Some(brotli), _) => (brotli, Some(Coding::Brotli)),
        (Some(Coding::Gzip), _, Some(gzip)) => (gzip, Some(Coding::Gzip)),
        _ => (&file.plain, None),
    };
    let mut fields = HeaderMap::with_capacity(10);
    fields.typed_insert(encoding.etag.clone());
    let version = parts.uri.query().and_then(|query| query.strip_prefix("v="));
    let current = version.is_some_and(|version| version.len() >= 8 && file.hash.starts_with(version));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(if current { FOREVER } else { SHORTLY }));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if file.gzip.is_some() || file.brotli.is_some() {
        fields.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    let known = |encoding: &Encoding| negotiate::is_known(&parts.headers, &encoding.etag);
    let (status, body) = if parts.headers.contains_key(header::IF_NONE_MATCH) && file.encodings().any(known) {
        (StatusCode::NOT_MODIFIED, Bytes::new())
    } else {
        fields.insert(header::CONTENT_TYPE, file.kind.clone());
        match coding {
            Some(coding) => {
                fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
                fields.insert(header::CONTENT_LENGTH, HeaderValue::from(encoding.bytes.len()));
            }
            None => {
                fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            }
        }
        match range {
            Some((first, last)) => {
                if let Ok(value) = HeaderValue::try_from(format!("bytes {first}-{last}/{}", encoding.bytes.len())) {
                    fields.insert(header::CONTENT_RANGE, value);
                }
                (StatusCode::PARTIAL_CONTENT, encoding.bytes.slice(first..=last))
            }
            None => (StatusCode::OK, encoding.bytes.clone()),
        }
    };
    let mut response = Response::new(Body::Whole(body));
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    Ok(response)
}

#[cfg(test)]
mod tests;
