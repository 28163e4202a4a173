//! Static files of a context, kept in memory with their compressed forms.
//!
//! Invariants: a file is served only if its real path, symbolic links followed, lies in the folder; names with `..`, dot files and
//! backslashes are never looked up; a cached file is served only while the file on disk has the same time and length.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response, StatusCode};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::http::body::Body;
use crate::http::response::compress::{self, Coding};
use crate::http::response::error_page::Refusal;
use crate::http::{Error, header_fields};
use crate::ids::ContextName;
use crate::{handoff, limits};

/// Behind an address that carries the file's own hash (`?v=`), its bytes never change.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Otherwise a browser asks again after a minute, and mostly gets 304.
const SHORTLY: &str = "public, max-age=60";

pub struct Assets {
    /// Without symbolic links.
    root: PathBuf,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    files: HashMap<String, Entry>,
    bytes: usize,
    /// Counts lookups; an entry's last one says how long nobody wanted it.
    now: u64,
}

struct Entry {
    file: Arc<File>,
    used: u64,
}

struct File {
    path: PathBuf,
    stamp: Stamp,
    kind: HeaderValue,
    /// Of the content, in hex.
    hash: String,
    plain: Bytes,
    gzip: Option<Bytes>,
    brotli: Option<Bytes>,
}

/// What changes when a file does.
#[derive(PartialEq, Eq, Clone, Copy)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self { modified: metadata.modified().ok(), length: metadata.len() }
    }
}

impl File {
    fn size(&self) -> usize {
        let len = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        self.plain.len() + len(&self.gzip) + len(&self.brotli)
    }
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

    /// The file at `name`, percent-encoded as received and without a slash at its begin.
    pub fn answer(&self, parts: &Parts, name: &str) -> Result<Response<Body>, Refusal> {
        if parts.method != Method::GET && parts.method != Method::HEAD {
            return Err(Refusal::Method("GET, HEAD"));
        }
        let file = decoded(name).and_then(|name| self.file(name)).ok_or(Refusal::NotFound)?;
        respond(parts, &file)
    }

    fn file(&self, name: String) -> Option<Arc<File>> {
        if let Some(file) = self.cached(&name) {
            return Some(file);
        }
        let file = Arc::new(handoff::blocking(|| load(&self.root, &name))?);
        self.keep(name, &file);
        Some(file)
    }

    fn cached(&self, name: &str) -> Option<Arc<File>> {
        let file = {
            let mut cache = self.cache.lock();
            cache.now += 1;
            let now = cache.now;
            let entry = cache.files.get_mut(name)?;
            entry.used = now;
            entry.file.clone()
        };
        let metadata = fs::symlink_metadata(&file.path).ok()?;
        (Stamp::of(&metadata) == file.stamp).then_some(file)
    }

    fn keep(&self, name: String, file: &Arc<File>) {
        let size = file.size();
        if size > limits::ASSET_CACHE_BYTES / 4 {
            return;
        }
        let mut cache = self.cache.lock();
        let used = cache.now;
        cache.bytes += size;
        if let Some(old) = cache.files.insert(name, Entry { file: file.clone(), used }) {
            cache.bytes -= old.file.size();
        }
        while cache.bytes > limits::ASSET_CACHE_BYTES {
            let Some(oldest) = cache.files.iter().min_by_key(|(_, entry)| entry.used).map(|(name, _)| name.clone())
            else {
                return;
            };
            if let Some(entry) = cache.files.remove(&oldest) {
                cache.bytes -= entry.file.size();
            }
        }
    }
}

/// The path that a percent-encoded one stands for, if it is a plain one.
fn decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?
            }
            byte => byte,
        };
        bytes.push(byte);
    }
    let name = String::from_utf8(bytes).ok()?;
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', ':']);
    (name.split('/').all(plain) && !name.contains(char::is_control)).then_some(name)
}

fn load(root: &Path, name: &str) -> Option<File> {
    let path = root.join(name).canonicalize().ok().filter(|path| path.starts_with(root))?;
    // What is no file (a pipe would wait for ever) is not opened.
    fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
    let mut open = fs::File::open(&path).ok()?;
    let metadata = open.metadata().ok().filter(fs::Metadata::is_file)?;
    if metadata.len() > limits::ASSET_BYTES {
        tracing::warn!(target: "http", path = %path.display(), bytes = metadata.len(), "a static file is too large to be served");
        return None;
    }
    let mut plain = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
    open.by_ref().take(limits::ASSET_BYTES).read_to_end(&mut plain).ok()?;
    let guess = mime_guess::from_path(&path).first_or_octet_stream();
    let text = guess.type_() == mime_guess::mime::TEXT || guess.subtype() == "javascript";
    let kind = if text { format!("{guess}; charset=utf-8") } else { guess.to_string() };
    let squeeze = compress::worth(&kind) && plain.len() >= limits::HTTP_COMPRESS_BYTES_MIN;
    let less = |coding| if squeeze { compress::file(&plain, coding).map(Bytes::from) } else { None };
    let (gzip, brotli) = (less(Coding::Gzip), less(Coding::Brotli));
    let hash = Sha256::digest(&plain).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let kind = HeaderValue::try_from(kind).ok()?;
    Some(File { path, stamp: Stamp::of(&metadata), kind, hash, plain: plain.into(), gzip, brotli })
}

fn respond(parts: &Parts, file: &File) -> Result<Response<Body>, Refusal> {
    let ranged = range(&parts.headers, file)?;
    let coding = if ranged.is_none() { compress::choose(&parts.headers, [Coding::Brotli, Coding::Gzip]) } else { None };
    // Each form has its own strong tag.
    let (mut body, suffix, coding) = match (coding, &file.brotli, &file.gzip) {
        (Some(Coding::Brotli), Some(brotli), _) => (brotli.clone(), "-br", Some(Coding::Brotli)),
        (Some(Coding::Gzip), _, Some(gzip)) => (gzip.clone(), "-gz", Some(Coding::Gzip)),
        _ => (file.plain.clone(), "", None),
    };
    let mut fields = HeaderMap::with_capacity(10);
    let etag = format!("\"{}{suffix}\"", file.hash);
    let any_form = ["", "-br", "-gz"].into_iter().any(|suffix| {
        parts.headers.contains_key(header::IF_NONE_MATCH)
            && header_fields::none_match(&parts.headers, &format!("\"{}{suffix}\"", file.hash))
    });
    if let Ok(etag) = HeaderValue::try_from(etag) {
        fields.insert(header::ETAG, etag);
    }
    let versioned = parts.uri.query().and_then(|query| query.strip_prefix("v="));
    let current = versioned.is_some_and(|version| version.len() >= 8 && file.hash.starts_with(version));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(if current { FOREVER } else { SHORTLY }));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if file.gzip.is_some() || file.brotli.is_some() {
        fields.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    let mut status = StatusCode::OK;
    if any_form {
        status = StatusCode::NOT_MODIFIED;
        body = Bytes::new();
    } else {
        fields.insert(header::CONTENT_TYPE, file.kind.clone());
        match coding {
            Some(coding) => {
                fields.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
                fields.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            }
            None => {
                fields.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            }
        }
        if let Some((first, last)) = ranged {
            status = StatusCode::PARTIAL_CONTENT;
            let length = body.len();
            body = body.slice(first..=last);
            if let Ok(value) = HeaderValue::try_from(format!("bytes {first}-{last}/{length}")) {
                fields.insert(header::CONTENT_RANGE, value);
            }
        }
    }
    let mut response = Response::new(Body::Whole(body));
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    Ok(response)
}

/// The one range that was asked for, first and last byte; `None` sends the whole file, as for anything unusual (RFC 9110 14.2).
fn range(headers: &HeaderMap, file: &File) -> Result<Option<(usize, usize)>, Refusal> {
    let Some(asked) = headers.get(header::RANGE).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    if headers.contains_key(header::IF_NONE_MATCH) {
        return Ok(None);
    }
    if let Some(condition) = headers.get(header::IF_RANGE)
        && condition.as_bytes() != format!("\"{}\"", file.hash).as_bytes()
    {
        return Ok(None);
    }
    let length = file.plain.len();
    let Some((first, last)) = asked.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Ok(None);
    };
    let bounds = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(length.saturating_sub(1))),
        (Ok(first), Err(_)) if last.is_empty() => (first, length.saturating_sub(1)),
        (Err(_), Ok(suffix)) if first.is_empty() && suffix > 0 => {
            (length.saturating_sub(suffix), length.saturating_sub(1))
        }
        _ => return Ok(None),
    };
    if bounds.0 >= length {
        return Err(Refusal::Range(length as u64));
    }
    Ok(Some(bounds))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn folder() -> (tempfile::TempDir, Assets) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("assets");
        fs::create_dir_all(root.join("css")).unwrap();
        fs::write(root.join("css/shop.css"), "body { color: red }\n".repeat(200)).unwrap();
        fs::write(root.join(".secret"), "x").unwrap();
        fs::write(temp.path().join("outside.txt"), "x").unwrap();
        std::os::unix::fs::symlink(temp.path().join("outside.txt"), root.join("link.txt")).unwrap();
        std::os::unix::fs::symlink("css/shop.css", root.join("inside.css")).unwrap();
        let assets = Assets::open(&root, &ContextName::new("shop").unwrap()).unwrap();
        (temp, assets)
    }

    fn get(assets: &Assets, name: &str, fields: &[(&str, &str)]) -> Result<Response<Body>, Refusal> {
        let mut request = http::Request::builder().uri("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        assets.answer(&request.body(()).unwrap().into_parts().0, name)
    }

    #[test]
    fn nothing_outside_the_folder_is_served() {
        let (_temp, assets) = folder();
        for good in ["css/shop.css", "css%2fshop.css", "inside.css"] {
            assert_eq!(get(&assets, good, &[]).unwrap().status(), 200, "{good}");
        }
        for bad in [
            "../outside.txt",
            "css/../../outside.txt",
            "%2e%2e/outside.txt",
            "..%2foutside.txt",
            "/etc/passwd",
            "%2fetc/passwd",
            "css//shop.css",
            "css/./shop.css",
            "css",
            "",
            ".secret",
            "link.txt",
            "css/shop.css%00",
            "..\\outside.txt",
            "%",
            "%f",
            "%ff",
        ] {
            assert!(matches!(get(&assets, bad, &[]), Err(Refusal::NotFound)), "{bad}");
        }
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let (temp, assets) = folder();
        let tag = |assets| get(assets, "css/shop.css", &[]).unwrap().headers()[header::ETAG].clone();
        let (first, again) = (tag(&assets), tag(&assets));
        assert_eq!(first, again);
        fs::write(temp.path().join("assets/css/shop.css"), "body {}").unwrap();
        assert_ne!(tag(&assets), first);
    }

    #[test]
    fn each_form_has_its_tag_and_any_of_them_is_unchanged() {
        let (_temp, assets) = folder();
        let plain = get(&assets, "css/shop.css", &[]).unwrap();
        let brotli = get(&assets, "css/shop.css", &[("accept-encoding", "gzip, br")]).unwrap();
        assert_eq!(brotli.headers()[header::CONTENT_ENCODING], "br");
        assert_eq!(brotli.headers()[header::VARY], "accept-encoding");
        assert_eq!(brotli.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        assert_ne!(plain.headers()[header::ETAG], brotli.headers()[header::ETAG]);
        let tag = brotli.headers()[header::ETAG].to_str().unwrap();
        assert_eq!(get(&assets, "css/shop.css", &[("if-none-match", tag)]).unwrap().status(), 304);
    }

    #[test]
    fn one_range_is_served_and_a_wrong_one_refused() {
        let (_temp, assets) = folder();
        let check = |range: &str, status: u16, length: Option<&str>| {
            let response = get(&assets, "css/shop.css", &[("range", range), ("accept-encoding", "br")]).unwrap();
            assert_eq!(response.status().as_u16(), status, "{range}");
            let sent = response.headers().get(header::CONTENT_RANGE).map(|value| value.to_str().unwrap());
            assert_eq!(sent, length, "{range}");
        };
        check("bytes=0-3", 206, Some("bytes 0-3/4000"));
        check("bytes=3990-", 206, Some("bytes 3990-3999/4000"));
        check("bytes=-10", 206, Some("bytes 3990-3999/4000"));
        check("bytes=3990-9999", 206, Some("bytes 3990-3999/4000"));
        check("bytes=5-1", 200, None);
        check("bytes=0-1,3-4", 200, None);
        check("lines=1-2", 200, None);
        assert!(matches!(get(&assets, "css/shop.css", &[("range", "bytes=4000-")]), Err(Refusal::Range(4000))));
    }

    #[test]
    fn the_cache_stays_within_its_bound() {
        let (temp, assets) = folder();
        for number in 0..6 {
            let noise: Vec<u8> =
                (0..14 * 1024 * 1024).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            fs::write(temp.path().join(format!("assets/{number}.bin")), noise).unwrap();
            get(&assets, &format!("{number}.bin"), &[]).unwrap();
            assert!(assets.cache.lock().bytes <= limits::ASSET_CACHE_BYTES);
        }
        assert!(get(&assets, "0.bin", &[]).is_ok());
    }
}
