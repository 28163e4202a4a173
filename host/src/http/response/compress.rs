//! gzip and Brotli: which one a client gets, and the compression itself, at one level for pages and one for files.

use std::cell::RefCell;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use http::HeaderMap;
use http::header;
use hyper::body::{Body, Frame};
use seam_store::blocking;

use crate::http::body::{BoxError, Stream};
use crate::limits;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    Gzip,
    Brotli,
}

/// For pages: compressed once, sent once.
const PAGE_GZIP: u32 = 3;
const PAGE_BROTLI: i32 = 4;
/// For files: compressed once, sent often.
const FILE_GZIP: u32 = 9;
const FILE_BROTLI: i32 = 9;
/// Brotli's window in bits: 256 KiB, larger than most pages. A larger one takes longer to set up than to fill.
const WINDOW: i32 = 18;

impl Coding {
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }
}

/// The coding that `Accept-Encoding` prefers; among equals the first of `preferred`. `None`: send the body
/// uncompressed.
pub fn choose(headers: &HeaderMap, preferred: [Coding; 2]) -> Option<Coding> {
    let (mut named, mut any) = ([None, None], None);
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for item in value.to_str().unwrap_or_default().split(',') {
            let mut parts = item.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
            if name == "*" {
                any = Some(quality);
            } else if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                named[0] = Some(quality);
            } else if name.eq_ignore_ascii_case("br") {
                named[1] = Some(quality);
            }
        }
    }
    let quality = |coding| match coding {
        Coding::Gzip => named[0].or(any).unwrap_or(0.0),
        Coding::Brotli => named[1].or(any).unwrap_or(0.0),
    };
    let [first, second] = preferred;
    let best = if quality(second) > quality(first) { second } else { first };
    (quality(best) > 0.0).then_some(best)
}

/// Whether bodies of this content type become smaller.
pub fn is_compressible(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || matches!(
            kind.as_str(),
            "application/json"
                | "application/javascript"
                | "application/xml"
                | "application/wasm"
                | "application/manifest+json"
        )
}

/// A page's body, compressed; `None` if that does not make it smaller.
pub fn page(body: &[u8], coding: Coding) -> Option<Vec<u8>> {
    let work = || match coding {
        Coding::Gzip => gzip_page(body),
        Coding::Brotli => brotli(body, PAGE_BROTLI),
    };
    let less = if body.len() > limits::HTTP_COMPRESS_INLINE_BYTES { blocking::block_in_place(work) } else { work() };
    less.filter(|less| less.len() < body.len())
}

/// A file's body, compressed; `None` if that does not make it smaller.
pub fn file(body: &[u8], coding: Coding) -> Option<Vec<u8>> {
    let less = match coding {
        Coding::Gzip => gzip(&mut Compress::new_gzip(Compression::new(FILE_GZIP), 15), body),
        Coding::Brotli => brotli(body, FILE_BROTLI),
    };
    less.filter(|less| less.len() < body.len())
}

thread_local! {
    /// A gzip state takes 200 KiB; setting one up costs as much as compressing a page.
    static GZIP: RefCell<Compress> = RefCell::new(Compress::new_gzip(Compression::new(PAGE_GZIP), 15));
}

fn gzip_page(body: &[u8]) -> Option<Vec<u8>> {
    GZIP.with_borrow_mut(|state| {
        state.reset();
        gzip(state, body)
    })
}

fn gzip(state: &mut Compress, body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len() / 3 + 256);
    loop {
        let rest = body.get(usize::try_from(state.total_in()).ok()?..)?;
        match state.compress_vec(rest, &mut out, FlushCompress::Finish).ok()? {
            Status::StreamEnd => return Some(out),
            // A result longer than the body is not used: stop there.
            Status::Ok | Status::BufError if out.len() <= body.len() => out.reserve(body.len() / 2 + 256),
            Status::Ok | Status::BufError => return None,
        }
    }
}

fn brotli(mut body: &[u8], quality: i32) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len() / 3 + 256);
    let params =
        brotli::enc::BrotliEncoderParams { quality, lgwin: WINDOW, size_hint: body.len(), ..Default::default() };
    brotli::BrotliCompress(&mut body, &mut out, &params).ok()?;
    Some(out)
}

/// A stream, compressed frame by frame: a frame of the guest is sent at once.
pub fn stream(source: Stream, coding: Coding) -> Stream {
    let encoder = match coding {
        Coding::Gzip => Encoder::Gzip(Box::new(flate2::write::GzEncoder::new(Vec::new(), Compression::new(PAGE_GZIP)))),
        Coding::Brotli => Encoder::Brotli(Box::new(brotli::CompressorWriter::new(
            Vec::new(),
            4096,
            PAGE_BROTLI as u32,
            WINDOW as u32,
        ))),
    };
    Box::pin(Compressed { source, encoder: Some(encoder) })
}

enum Encoder {
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
}

impl Encoder {
    fn write(&mut self, data: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Gzip(gzip) => {
                gzip.write_all(data)?;
                gzip.flush()?;
                Ok(std::mem::take(gzip.get_mut()))
            }
            Self::Brotli(brotli) => {
                brotli.write_all(data)?;
                brotli.flush()?;
                Ok(std::mem::take(brotli.get_mut()))
            }
        }
    }

    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Gzip(gzip) => (*gzip).finish(),
            Self::Brotli(brotli) => Ok(brotli.into_inner()),
        }
    }
}

struct Compressed {
    source: Stream,
    /// `None` after its last bytes.
    encoder: Option<Encoder>,
}

impl Body for Compressed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let this = &mut *self;
            let Some(encoder) = &mut this.encoder else { return Poll::Ready(None) };
            let last = match ready!(this.source.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => encoder.write(&data)?,
                    // Dropped: trailers would have to follow the encoder's last bytes, and no browser reads them.
                    Err(_) => continue,
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => this.encoder.take().map_or_else(|| Ok(Vec::new()), Encoder::finish)?,
            };
            if !last.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(last.into()))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Read;

    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_coding_follows_the_clients_qualities_then_our_preference() {
        let check = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
            choose(&headers, [Coding::Gzip, Coding::Brotli])
        };
        assert_eq!(choose(&HeaderMap::new(), [Coding::Gzip, Coding::Brotli]), None);
        assert_eq!(check(""), None);
        assert_eq!(check("identity"), None);
        assert_eq!(check("gzip, deflate, br, zstd"), Some(Coding::Gzip));
        assert_eq!(check("br"), Some(Coding::Brotli));
        assert_eq!(check("gzip;q=0.5, br;q=0.8"), Some(Coding::Brotli));
        assert_eq!(check("gzip;q=0, br;q=0"), None);
        assert_eq!(check("*"), Some(Coding::Gzip));
        assert_eq!(check("gzip;q=0, *;q=0.1"), Some(Coding::Brotli));
        assert_eq!(check("GZIP ; q=1.0"), Some(Coding::Gzip));
        assert_eq!(check("gzip;q=rubbish"), None);
    }

    #[test]
    fn decompression_restores_the_body_and_the_encoder_is_reusable() {
        let text = "the quick brown fox jumps over the lazy dog. ".repeat(500);
        for _ in 0..3 {
            let gzipped = page(text.as_bytes(), Coding::Gzip).unwrap();
            let mut back = String::new();
            flate2::read::GzDecoder::new(&*gzipped).read_to_string(&mut back).unwrap();
            assert_eq!(back, text);
        }
        let brotlied = file(text.as_bytes(), Coding::Brotli).unwrap();
        let mut back = String::new();
        brotli::Decompressor::new(&*brotlied, 4096).read_to_string(&mut back).unwrap();
        assert_eq!(back, text);
    }

    #[test]
    fn random_bytes_are_not_compressed() {
        let noise: Vec<u8> = (0..5000).map(|_| rand::random()).collect();
        assert_eq!(page(&noise, Coding::Gzip), None);
        assert_eq!(page(&noise, Coding::Brotli), None);
    }

    #[test]
    fn text_types_are_compressible() {
        for kind in ["text/html; charset=utf-8", "application/json", "image/svg+xml", "Application/Problem+JSON"] {
            assert!(is_compressible(kind), "{kind}");
        }
        for kind in ["image/png", "application/octet-stream", "font/woff2", ""] {
            assert!(!is_compressible(kind), "{kind}");
        }
    }
}
