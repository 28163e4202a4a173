//! Finds heads that carry Content-Length together with Transfer-Encoding.
//!
//! hyper uses Transfer-Encoding and removes Content-Length before the service sees the head. A proxy before this host
//! may use Content-Length instead, and then the two disagree on where a request ends. So the bytes of a connection pass
//! here on their way to hyper.
//! Invariant: no head that hyper accepts escapes. Its first line ends in the HTTP version, its lines end in a line
//! feed, it ends at an empty line, and hyper accepts neither folded lines nor blanks before the colon. A body that
//! quotes such a head may be found, too: that costs its own connection, not others.

/// Enough of the start of a line to recognise the header's name.
const HEAD: usize = b"transfer-encoding:".len();
/// Enough of the end of a line to recognise a request line.
const TAIL: usize = b" HTTP/1.1\r".len();

#[derive(Default)]
pub struct Scan {
    /// The line that is arriving; of a long one only its start and its end.
    carry: Vec<u8>,
    in_head: bool,
    content_length: bool,
    transfer_encoding: bool,
}

impl Scan {
    /// Takes the next bytes; true if they complete a head with both headers.
    pub fn feed(&mut self, mut bytes: &[u8]) -> bool {
        let mut found = false;
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            if self.carry.is_empty() {
                found |= self.line(line);
            } else {
                self.keep(line);
                let whole = std::mem::take(&mut self.carry);
                found |= self.line(&whole);
                self.carry = whole;
                self.carry.clear();
            }
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.keep(bytes);
        found
    }

    fn keep(&mut self, part: &[u8]) {
        // Of a long part, only its start and end are copied: a body without line feeds costs nothing.
        if part.len() > HEAD + TAIL {
            self.carry.extend_from_slice(part.get(..HEAD).unwrap_or_default());
            self.carry.extend_from_slice(part.get(part.len() - TAIL..).unwrap_or_default());
        } else {
            self.carry.extend_from_slice(part);
        }
        if self.carry.len() > HEAD + TAIL {
            self.carry.drain(HEAD..self.carry.len() - TAIL);
        }
    }

    fn line(&mut self, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            self.in_head = false;
        } else if line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0") {
            (self.in_head, self.content_length, self.transfer_encoding) = (true, false, false);
        } else if self.in_head {
            let is = |name: &[u8]| line.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
            self.content_length |= is(b"content-length:");
            self.transfer_encoding |= is(b"transfer-encoding:");
            return self.content_length && self.transfer_encoding;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use super::*;

    fn check(stream: &str, expect: bool) {
        for size in [1, 2, 3, 7, 16, 1000] {
            let mut scan = Scan::default();
            let found = stream.as_bytes().chunks(size).fold(false, |found, chunk| scan.feed(chunk) | found);
            assert_eq!(found, expect, "in pieces of {size}: {stream:?}");
        }
    }

    #[test]
    fn both_headers_in_one_head_are_found_in_pieces_of_any_size() {
        let long = "x".repeat(300);
        check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", true);
        check("POST / HTTP/1.1\nTRANSFER-encoding:chunked\nCONTENT-length:4\n\n", true);
        check(
            &format!("GET /{long} HTTP/1.1\r\ncontent-length: 4\r\na: {long}\r\ntransfer-encoding: chunked\r\n\r\n"),
            true,
        );
        check(
            "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcPOST / HTTP/1.1\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n",
            true,
        );
    }

    #[test]
    fn one_of_the_headers_per_head_is_accepted() {
        check(
            "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcPOST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
            false,
        );
        check(
            "POST / HTTP/1.1\r\ncontent-length: 60\r\n\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n",
            false,
        );
        check("GET / HTTP/1.1\r\nx-content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", false);
    }

    #[test]
    fn a_body_without_line_feeds_is_not_buffered() {
        let mut scan = Scan::default();
        for _ in 0..1000 {
            scan.feed(&[b'x'; 8192]);
        }
        assert!(scan.carry.capacity() < 1024);
    }
}
