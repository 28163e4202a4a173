//! Text that comes in by files: seeds, migrations, shared data, scenarios, the manifest.
//!
//! One decision for all of them. A byte order mark at the start and the carriage return of a line end (CRLF) are read
//! as if they were not there: editors and version control add them unasked. Everything else has to be UTF-8, and is
//! kept as it is; another encoding is an error that names the encoding and the line.
//! Not here: what the text means.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::Path;

/// A file in another encoding than UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: not UTF-8 but {encoding}")]
pub struct NotUtf8 {
    /// Counted from 1.
    pub line: u64,
    pub encoding: String,
}

/// `text` without its byte order mark, and with LF at each line's end.
pub fn normalised(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) }
}

/// The text of the file at `path`.
///
/// # Errors
/// When it cannot be read. The source of an error of the kind `InvalidData` is a `NotUtf8`.
pub fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    Reader::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    Ok(text)
}

/// The reason in `error`, if it comes from a `Reader` that found another encoding.
pub fn not_utf8(error: &io::Error) -> Option<&NotUtf8> {
    error.get_ref()?.downcast_ref()
}

const MARK: char = '\u{feff}';
const CHUNK_BYTES: usize = 64 * 1024;

/// Reads text in chunks; only one is in memory.
pub struct Reader<R> {
    inner: R,
    /// Read and not normalised yet: the start of a character, or a carriage return whose next byte is to come.
    rest: Vec<u8>,
    /// Normalised text, of which the part from `at` on is still to be given out.
    text: Vec<u8>,
    at: usize,
    /// The line at which `rest` starts, from 1.
    line: u64,
    started: bool,
    ended: bool,
}

impl<R: Read> Reader<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, rest: Vec::new(), text: Vec::new(), at: 0, line: 1, started: false, ended: false }
    }

    /// Reads and normalises the next chunk. At the end of the file, `ended` is set.
    fn fill(&mut self) -> io::Result<()> {
        let before = self.rest.len();
        // `Take` reads short only at the end, so a mark and the first characters are never cut.
        (&mut self.inner).take(CHUNK_BYTES as u64).read_to_end(&mut self.rest)?;
        self.ended = self.rest.len() - before < CHUNK_BYTES;
        if !self.started {
            self.started = true;
            if let Some(encoding) = utf_16(&self.rest) {
                return Err(self.wrong(1, encoding.to_owned()));
            }
            if self.rest.starts_with("\u{feff}".as_bytes()) {
                self.rest.drain(..3);
            }
        }
        let mut whole = match std::str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() && !self.ended => error.valid_up_to(),
            Err(error) => {
                let (good, bad) = self.rest.split_at(error.valid_up_to());
                let encoding = guess(bad.first().copied().unwrap_or_default());
                return Err(self.wrong(self.line + line_feeds(good), encoding));
            }
        };
        if !self.ended && self.rest[..whole].ends_with(b"\r") {
            whole -= 1;
        }
        self.text.clear();
        self.at = 0;
        self.line += line_feeds(&self.rest[..whole]);
        let mut bytes = self.rest.drain(..whole).peekable();
        while let Some(byte) = bytes.next() {
            if byte != b'\r' || bytes.peek() != Some(&b'\n') {
                self.text.push(byte);
            }
        }
        Ok(())
    }

    fn wrong(&self, line: u64, encoding: String) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, NotUtf8 { line, encoding })
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() && !self.ended {
            self.fill()?;
        }
        let mut left = &self.text[self.at..];
        let read = left.read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

fn line_feeds(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Whether a file that starts with these bytes is UTF-16: by its mark, or by the zeros of its first two characters.
fn utf_16(start: &[u8]) -> Option<&'static str> {
    match start {
        [0xff, 0xfe, ..] | [1..=0xff, 0, 1..=0xff, 0, ..] => Some("UTF-16, little-endian"),
        [0xfe, 0xff, ..] | [0, 1..=0xff, 0, 1..=0xff, ..] => Some("UTF-16, big-endian"),
        _ => None,
    }
}

/// The likely encoding of text in which `byte` is not UTF-8.
fn guess(byte: u8) -> String {
    /// 0x80 to 0x9f in Windows-1252; five of them are no characters there.
    const HIGH: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
    let character = match byte {
        0x80..0xa0 => HIGH.chars().nth(usize::from(byte - 0x80)).filter(|c| !c.is_control()),
        _ => Some(char::from(byte)),
    };
    match character {
        Some(character) => format!("probably Windows-1252, where the byte {byte:02X} is `{character}`"),
        None => format!("an unknown encoding, with the byte {byte:02X}"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Gives out one byte at a time.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let one = self.0.len().min(1).min(buffer.len());
            buffer[..one].copy_from_slice(&self.0[..one]);
            self.0 = &self.0[one..];
            Ok(one)
        }
    }

    fn read_all(bytes: &[u8]) -> Result<String, NotUtf8> {
        let mut text = String::new();
        let read = Reader::new(Drops(bytes)).read_to_string(&mut text);
        read.map(|_| text).map_err(|error| not_utf8(&error).unwrap().clone())
    }

    #[test]
    fn marks_and_carriage_returns_of_line_ends_are_not_there_and_all_else_is_kept() {
        let cases =
            [("\u{feff}a\r\nb\r\n", "a\nb\n"), ("a\rb\r\r\n\u{feff}", "a\rb\r\n\u{feff}"), ("", ""), ("é\r", "é\r")];
        for (text, expect) in cases {
            assert_eq!(read_all(text.as_bytes()).unwrap(), expect);
            assert_eq!(normalised(text), expect);
        }
    }

    #[test]
    fn a_line_end_and_a_character_that_two_chunks_share_are_whole() {
        for across in ["\r\n", "é", "€", "\u{1f4bf}"] {
            for before in CHUNK_BYTES - 4..=CHUNK_BYTES {
                let text = format!("{}{across}end", "x".repeat(before));
                assert_eq!(read_all(text.as_bytes()).unwrap(), normalised(&text), "{across:?} at {before}");
            }
        }
    }

    #[test]
    fn another_encoding_is_named_with_its_line() {
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let cases: &[(&[u8], u64, &str)] = &[
            (b"a\r\nZo\xe9\r\n", 2, "probably Windows-1252, where the byte E9 is `é`"),
            (b"\n\n5 \x80", 3, "probably Windows-1252, where the byte 80 is `€`"),
            (b"\x81", 1, "an unknown encoding, with the byte 81"),
            (&utf_16("\u{feff}id;name"), 1, "UTF-16, little-endian"),
            (&utf_16("id;name"), 1, "UTF-16, little-endian"),
            (b"\xfe\xff\0a", 1, "UTF-16, big-endian"),
            (b"cut short: \xc3", 1, "probably Windows-1252, where the byte C3 is `Ã`"),
        ];
        for (bytes, line, encoding) in cases {
            assert_eq!(read_all(bytes), Err(NotUtf8 { line: *line, encoding: (*encoding).to_owned() }));
        }
        let late = [vec![b'\n'; CHUNK_BYTES + 7], b"\xe9".to_vec()].concat();
        assert_eq!(read_all(&late).unwrap_err().line, CHUNK_BYTES as u64 + 8);
    }
}
