//! Addresses of our own pages; every value in them is percent-encoded.

use std::fmt::{self, Write};

use askama::filters::HtmlSafe;
use askama::{FastWritable, Values};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::list_view::{IN_STOCK, ListView};
use crate::seams::Filter;

/// Text as one segment of a path or one value of a query.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a>(pub &'a str);

/// All but the unreserved characters of RFC 3986, 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Encoded<'_> {
    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        utf8_percent_encode(self.0, RESERVED).try_for_each(|part| out.write_str(part))
    }
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

/// Longer than the address of any page of ours with a form.
const NEXT_BYTES_MAX: usize = 200;

/// A page of browsing. The same choice always has the same address, so it can be canonical.
pub fn browse(filter: &Filter<'_>, view: ListView, page: u32) -> String {
    let mut out = String::from("/browse");
    let decade = filter.decade.map(|decade| decade.to_string());
    let [sort, stock] = of_view(view);
    let parts = [("genre", filter.genre), ("artist", filter.artist), ("decade", decade.as_deref()), sort, stock];
    append(&mut out, &parts, page);
    out
}

/// A page of search results.
pub fn search(words: &str, view: ListView, page: u32) -> String {
    let mut out = String::from("/search");
    let [sort, stock] = of_view(view);
    append(&mut out, &[("q", Some(words)), sort, stock], page);
    out
}

fn of_view(view: ListView) -> [(&'static str, Option<&'static str>); 2] {
    [("sort", view.word()), ("stock", view.in_stock.then_some(IN_STOCK))]
}

/// The sign-in page, which leads back to `next`, an address of ours.
pub fn sign_in(next: &str) -> String {
    with_next("/sign-in", next)
}

/// A page that leads on to `next`, an address of ours. An empty `next` is left out.
pub fn with_next(page: &str, next: &str) -> String {
    let mut out = String::from(page);
    append(&mut out, &[("next", (!next.is_empty()).then_some(next))], 1);
    out
}

/// Whether every browser resolves an address from a request to one of our pages: a path from the root in printable
/// ASCII. `//elsewhere` and `/\\elsewhere` lead to another site.
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
        out.extend(utf8_percent_encode(value, RESERVED));
        before = '&';
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seams::Sorting;

    #[test]
    fn no_character_of_a_name_ends_its_segment_or_value() {
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
        let plain = ListView::PLAIN;
        assert_eq!(browse(&filter, plain, 1), "/browse?genre=Hip%20hop&decade=1990");
        assert_eq!(browse(&filter, plain, 2), "/browse?genre=Hip%20hop&decade=1990&page=2");
        assert_eq!(browse(&Filter::default(), plain, 1), "/browse");
        assert_eq!(browse(&Filter::default(), plain, 3), "/browse?page=3");
        assert_eq!(search("a b", plain, 1), "/search?q=a%20b");
        let view = ListView { sorting: Sorting::Dearest, in_stock: true };
        assert_eq!(search("a b", view, 2), "/search?q=a%20b&sort=dearest&stock=in&page=2");
        assert_eq!(browse(&Filter::default(), view, 1), "/browse?sort=dearest&stock=in");
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
