//! The form in a request's body: bounded, decoded, and without control characters before a page sees it.
//!
//! Only `application/x-www-form-urlencoded`, which HTML forms send. File uploads are not accepted.

use std::borrow::Cow;

use crate::href::Encoded;
use crate::params::{BadInput, decode};
use crate::seams::Request;

/// The largest form is an album's: 2,000 characters of notes, each up to 12 bytes when percent-encoded.
const BODY_BYTES_MAX: usize = 32 * 1024;
/// The one with the most fields is a full cart: 50 lines, and what every form carries.
const FIELDS_MAX: usize = 100;

/// Why the body is no form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// Not a form, or not one in UTF-8.
    MediaType,
    TooLarge,
    Input(BadInput),
}

/// Names and values, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Form<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Form<'a> {
    pub fn of(request: &'a Request) -> Result<Form<'a>, Unreadable> {
        let media_type = request.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| &**value);
        if !media_type.is_some_and(acceptable) {
            return Err(Unreadable::MediaType);
        }
        Form::parse(&request.body)
    }

    /// Also of a draft: what a form carried, kept by the browser.
    pub fn parse(body: &'a [u8]) -> Result<Form<'a>, Unreadable> {
        if body.len() > BODY_BYTES_MAX {
            return Err(Unreadable::TooLarge);
        }
        let body = std::str::from_utf8(body).map_err(|_| Unreadable::Input(BadInput::Encoding))?;
        let pairs = || body.split('&').filter(|pair| !pair.is_empty());
        if pairs().count() > FIELDS_MAX {
            return Err(Unreadable::TooLarge);
        }
        let read = |pair: &'a str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name, true)?, decode(value, true)?))
        };
        Ok(Form(pairs().map(read).collect::<Result<_, BadInput>>().map_err(Unreadable::Input)?))
    }

    /// With one more field.
    pub fn with(mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Form<'a> {
        self.0.push((name.into(), value.into()));
        self
    }

    /// As `parse` reads it: only letters, digits and `-._~%&=`.
    pub fn encode(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| format!("{}={}", Encoded(name), Encoded(value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// The value as it was typed; empty if the field is missing. Of two fields with one name the last one counts. For
    /// passwords and for values that are compared.
    pub fn raw(&self, name: &str) -> &str {
        self.0.iter().rev().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// One line of text: trimmed, with single spaces.
    pub fn line(&self, name: &str) -> String {
        self.raw(name).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Text of several lines: trimmed, lines end with `\n`.
    pub fn text(&self, name: &str) -> String {
        self.raw(name).trim().replace("\r\n", "\n").replace('\r', "\n")
    }

    /// A count. `None` if there are other characters than digits, or too many digits.
    pub fn number(&self, name: &str) -> Option<u64> {
        let text = self.raw(name).trim();
        let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        if digits { text.parse().ok() } else { None }
    }

    /// Whether a box is ticked or a button was pressed.
    pub fn has(&self, name: &str) -> bool {
        !self.raw(name).is_empty()
    }

    /// The fields whose name starts with `prefix`, each as the rest of its name and its value. For tables of fields.
    pub fn each<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = (&'s str, &'s str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, &**value)))
    }
}

/// The media type of a form, in UTF-8 if it names a character set.
fn acceptable(value: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let form = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    form && parts.all(|part| match part.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    })
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let form = Form::parse(b"name=+Ann%C3%A9+%09+Lee+&copies-A=2&copies-B=&tick=on&notes=a%0D%0Ab%0Dc&name2")
            .expect("a form");
        assert_eq!(form.line("name"), "Anné Lee");
        assert_eq!(form.raw("name"), " Anné \t Lee ");
        assert_eq!(form.text("notes"), "a\nb\nc");
        assert_eq!(form.each("copies-").collect::<Vec<_>>(), [("A", "2"), ("B", "")]);
        assert!(form.has("tick") && !form.has("name2") && !form.has("nothing"));
        assert_eq!(Form::parse(b"").expect("a form"), Form::default());
        assert_eq!(Form::parse(b"a=1&a=2").expect("a form").raw("a"), "2");
    }

    #[test]
    fn numbers_are_digits_and_nothing_else() {
        for (value, number) in [
            ("7", Some(7)),
            ("+7+", Some(7)),
            ("007", Some(7)),
            ("", None),
            ("%2B7", None),
            ("-7", None),
            ("7.0", None),
            ("1e3", None),
            ("%D9%A7", None),
            ("99999999999999999999999", None),
        ] {
            let body = format!("n={value}");
            assert_eq!(Form::parse(body.as_bytes()).expect("a form").number("n"), number, "{value}");
        }
    }

    #[test]
    fn a_body_that_is_no_form_is_refused_before_it_is_read() {
        let bad = |bad| Err(Unreadable::Input(bad));
        let large = format!("a={}", "x".repeat(BODY_BYTES_MAX));
        let many = "a=&".repeat(FIELDS_MAX + 1);
        for (body, expected) in [
            (&b"a=%"[..], bad(BadInput::Encoding)),
            (b"a=%ff", bad(BadInput::Encoding)),
            (b"\xff=a", bad(BadInput::Encoding)),
            (b"a=\xc3", bad(BadInput::Encoding)),
            (b"a=%00", bad(BadInput::Control)),
            (b"%1b=a", bad(BadInput::Control)),
            (b"a=%C2%80", bad(BadInput::Control)),
            (large.as_bytes(), Err(Unreadable::TooLarge)),
            (many.as_bytes(), Err(Unreadable::TooLarge)),
        ] {
            assert_eq!(Form::parse(body), expected, "{:?}", body.get(..20));
        }
    }

    #[test]
    fn only_forms_in_utf_8_are_taken() {
        for (value, taken) in [
            ("application/x-www-form-urlencoded", true),
            ("Application/X-WWW-Form-Urlencoded; Charset=\"UTF-8\"", true),
            ("application/x-www-form-urlencoded;charset=iso-8859-1", false),
            ("application/x-www-form-urlencodedx", false),
            ("multipart/form-data; boundary=x", false),
            ("application/json", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(acceptable(value), taken, "{value}");
        }
    }
}
