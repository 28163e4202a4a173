//! Addresses of our own pages, with everything in them percent-encoded.

use std::fmt::{self, Write};

use askama::filters::HtmlSafe;
use askama::{FastWritable, Values};

use crate::seams::Filter;

/// Text as one segment of a path or one value of a query.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a>(pub &'a str);

impl Encoded<'_> {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        let mut plain = 0;
        for (at, byte) in self.0.bytes().enumerate() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                continue;
            }
            // Everything skipped was ASCII, so these are ends of characters.
            out.write_str(self.0.get(plain..at).unwrap_or_default())?;
            out.write_char('%')?;
            out.write_char(hex(byte >> 4))?;
            out.write_char(hex(byte & 15))?;
            plain = at + 1;
        }
        out.write_str(self.0.get(plain..).unwrap_or_default())
    }
}

fn hex(value: u8) -> char {
    char::from(if value < 10 { b'0' + value } else { b'A' + value - 10 })
}

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter)
    }
}

impl FastWritable for Encoded<'_> {
    fn write_into(&self, out: &mut dyn Write, _: &dyn Values) -> askama::Result<()> {
        Ok(self.write(out)?)
    }
}

/// Only letters, digits and `-._~%` come out.
impl HtmlSafe for Encoded<'_> {}

/// Longer than any address of a form's page.
const NEXT_BYTES_MAX: usize = 200;

/// A page of browsing. The same choice always has the same address, so it can be canonical.
pub fn browse(filter: &Filter<'_>, page: u32) -> String {
    let mut out = String::from("/browse");
    let decade = filter.decade.map(|decade| decade.to_string());
    let parts = [("genre", filter.genre), ("artist", filter.artist), ("decade", decade.as_deref())];
    append(&mut out, &parts, page);
    out
}

/// A page of search results.
pub fn search(words: &str, page: u32) -> String {
    let mut out = String::from("/search");
    append(&mut out, &[("q", Some(words))], page);
    out
}

/// Signing in, and then back to an address of ours.
pub fn sign_in(next: &str) -> String {
    with_next("/sign-in", next)
}

/// A page that leads on to an address of ours, if it is not empty.
pub fn with_next(page: &str, next: &str) -> String {
    let mut out = String::from(page);
    append(&mut out, &[("next", (!next.is_empty()).then_some(next))], 1);
    out
}

/// Whether an address that came with a request leads to a page of ours, whatever a browser makes of it: a path from the root, in plain
/// ASCII. `//elsewhere` and `/\\elsewhere` lead away.
pub fn is_local(address: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>');
    address.len() <= NEXT_BYTES_MAX
        && address.starts_with('/')
        && !address.starts_with("//")
        && address.bytes().all(plain)
}

fn append(out: &mut String, parts: &[(&str, Option<&str>)], page: u32) {
    let number = (page > 1).then(|| page.to_string());
    let mut before = '?';
    for (name, value) in parts.iter().copied().chain([("page", number.as_deref())]) {
        let Some(value) = value else { continue };
        out.push(before);
        out.push_str(name);
        out.push('=');
        // Writing to a String does not fail.
        let _ = Encoded(value).write(out);
        before = '&';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_name_contains_stays_in_its_place() {
        for (text, encoded) in [
            ("", ""),
            ("MC-0001", "MC-0001"),
            ("R&B / Soul", "R%26B%20%2F%20Soul"),
            ("Sigur Rós", "Sigur%20R%C3%B3s"),
            ("<\"'>?#%+=", "%3C%22%27%3E%3F%23%25%2B%3D"),
            ("\u{1F3B5}", "%F0%9F%8E%B5"),
        ] {
            assert_eq!(Encoded(text).to_string(), encoded);
        }
    }

    #[test]
    fn the_first_page_has_no_number() {
        let filter = Filter { genre: Some("Hip hop"), artist: None, decade: Some(1990) };
        assert_eq!(browse(&filter, 1), "/browse?genre=Hip%20hop&decade=1990");
        assert_eq!(browse(&filter, 2), "/browse?genre=Hip%20hop&decade=1990&page=2");
        assert_eq!(browse(&Filter::default(), 1), "/browse");
        assert_eq!(browse(&Filter::default(), 3), "/browse?page=3");
        assert_eq!(search("a b", 1), "/search?q=a%20b");
    }
    #[test]
    fn only_a_path_of_ours_is_local() {
        for (address, local) in [
            ("/", true),
            ("/checkout", true),
            ("/account?page=2", true),
            ("/orders/1000123", true),
            ("", false),
            ("checkout", false),
            ("//elsewhere.test", false),
            ("/\\elsewhere.test", false),
            ("/a\\b", false),
            ("https://elsewhere.test", false),
            ("javascript:alert(1)", false),
            ("/\r\nset-cookie: a=1", false),
            ("/\tx", false),
            ("/a b", false),
            ("/\u{e9}", false),
            ("/<script>", false),
            (&*format!("/{}", "x".repeat(NEXT_BYTES_MAX)), false),
        ] {
            assert_eq!(is_local(address), local, "{address}");
        }
        assert_eq!(sign_in("/orders/7?a=b&c"), "/sign-in?next=%2Forders%2F7%3Fa%3Db%26c");
        assert_eq!(sign_in(""), "/sign-in");
    }
}
