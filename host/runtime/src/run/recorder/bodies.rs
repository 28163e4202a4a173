//! Blanks secret values in text that comes with requests: JSON, forms, queries and cookies. All other text stays as it
//! is, to the byte, so that the same request can be made again.

use super::BLANK;

/// Blanks a body field by field; one that is neither JSON nor a form as a whole. Returns whether it blanked anything.
pub fn body(content_type: &str, body: &mut Vec<u8>, secret: &dyn Fn(&str) -> bool) -> bool {
    if body.is_empty() {
        return false;
    }
    let blanked = match std::str::from_utf8(body) {
        Ok(text) if content_type.contains("x-www-form-urlencoded") => Some(pairs(text, '&', secret)),
        Ok(text) => json(text, secret, "0"),
        Err(_) => None,
    };
    match blanked {
        Some(blanked) => {
            let found = blanked.as_bytes() != body.as_slice();
            *body = blanked.into_bytes();
            found
        }
        None => {
            *body = BLANK.into();
            true
        }
    }
}

/// `name=value` pairs, as in forms and queries (`&`) and in cookies (`;`).
pub fn pairs(text: &str, between: char, secret: &dyn Fn(&str) -> bool) -> String {
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() && secret(&decoded(name)) => format!("{name}={BLANK}"),
        _ => pair.to_owned(),
    };
    text.split(between).map(pair).collect::<Vec<_>>().join(&between.to_string())
}

/// A name in a form: `card%5Bnumber%5D` is `card[number]`.
fn decoded(name: &str) -> String {
    let mut bytes = name.as_bytes().iter();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let hex = bytes.as_slice().get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| *byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(escaped) => {
                decoded.push(escaped);
                bytes.nth(1);
            }
            None => decoded.push(*byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Blanks the texts and numbers under secret names, at any depth; numbers become `number`. `None`: `text` is not JSON.
pub fn json(text: &str, secret: &dyn Fn(&str) -> bool, number: &str) -> Option<String> {
    // It also bounds the depth.
    serde_json::from_str::<serde_json::Value>(text).ok()?;
    let mut scanner = Scanner { rest: text, out: String::with_capacity(text.len()), secret, number };
    scanner.value(false);
    scanner.out.push_str(scanner.rest);
    Some(scanner.out)
}

/// Walks over valid JSON.
struct Scanner<'a> {
    rest: &'a str,
    out: String,
    secret: &'a dyn Fn(&str) -> bool,
    number: &'a str,
}

impl<'a> Scanner<'a> {
    fn value(&mut self, hidden: bool) {
        self.pass(self.spaces());
        match self.rest.bytes().next() {
            Some(b'{') => {
                self.pass(1);
                while self.next_item('}') {
                    let name = self.string();
                    self.out.push_str(name);
                    let name: String = serde_json::from_str(name).unwrap_or_default();
                    // The colon.
                    self.pass(self.spaces());
                    self.pass(1);
                    self.value(hidden || (self.secret)(&name));
                }
            }
            Some(b'[') => {
                self.pass(1);
                while self.next_item(']') {
                    self.value(hidden);
                }
            }
            Some(b'"') => {
                let text = self.string();
                self.out.push_str(if hidden { "\"***\"" } else { text });
            }
            _ => {
                let end = self.rest.find([',', '}', ']', ' ', '\n', '\r', '\t']).unwrap_or(self.rest.len());
                let (literal, rest) = self.rest.split_at(end);
                let number = literal.starts_with(|c: char| c == '-' || c.is_ascii_digit());
                self.out.push_str(if hidden && number { self.number } else { literal });
                self.rest = rest;
            }
        }
    }

    /// Passes to the next item of an object or a list; false at its end.
    fn next_item(&mut self, end: char) -> bool {
        loop {
            self.pass(self.spaces());
            let at_comma = self.rest.starts_with(',');
            let ended = self.rest.starts_with(end) || self.rest.is_empty();
            if !at_comma && !ended {
                return true;
            }
            self.pass(usize::from(!self.rest.is_empty()));
            if ended {
                return false;
            }
        }
    }

    fn spaces(&self) -> usize {
        self.rest.len() - self.rest.trim_start_matches([' ', '\n', '\r', '\t']).len()
    }

    fn pass(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.out.push_str(passed);
        self.rest = rest;
    }

    /// Takes a string with its quotes.
    fn string(&mut self) -> &'a str {
        let mut escaped = true;
        let end = self.rest.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            // The first quote opens the string.
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let (string, rest) = self.rest.split_at(end.map_or(self.rest.len(), |end| end + 1));
        self.rest = rest;
        string
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn secret(name: &str) -> bool {
        name == "card"
    }

    #[test]
    fn json_loses_what_is_under_secret_names_and_nothing_else() {
        for (text, expected) in [
            (r#"{"a": "x", "card": "42"}"#, r#"{"a": "x", "card": "***"}"#),
            (
                r#"{"card":{"n":[42,-1.5e3,true,null,"a\"b"],"to":{}},"b":1}"#,
                r#"{"card":{"n":[0,0,true,null,"***"],"to":{}},"b":1}"#,
            ),
            (r#"[ {"c\u0061rd" : "x" } , "card", 7 ] "#, r#"[ {"c\u0061rd" : "***" } , "card", 7 ] "#),
            (r#""card""#, r#""card""#),
            ("12", "12"),
            (r#"{"a":"\\","card":"\\\""}"#, r#"{"a":"\\","card":"***"}"#),
            ("[]", "[]"),
            ("{\"a\":\"é,}\"}", "{\"a\":\"é,}\"}"),
        ] {
            assert_eq!(json(text, &secret, "0").unwrap(), expected);
        }
        assert!(json("{\"card\":", &secret, "0").is_none() && json(&"[".repeat(10_000), &secret, "0").is_none());
    }

    #[test]
    fn forms_and_cookies_lose_values_and_other_bodies_everything() {
        let of = |content_type: &str, text: &[u8]| {
            let mut bytes = text.to_vec();
            let found = body(content_type, &mut bytes, &|name| name.contains("card"));
            (String::from_utf8(bytes).unwrap(), found)
        };
        let form = "application/x-www-form-urlencoded";
        assert_eq!(of(form, b"a=1&card%5Bno%5D=42&b=&card="), ("a=1&card%5Bno%5D=***&b=&card=".to_owned(), true));
        assert_eq!(of("application/json", b"{\"a\":1}"), ("{\"a\":1}".to_owned(), false));
        assert_eq!(of("text/plain", b"my card is 42"), (BLANK.to_owned(), true));
        assert_eq!(of("application/octet-stream", b"\xff"), (BLANK.to_owned(), true));
        assert_eq!(pairs("a=1; session=x=y; s", ';', &|name| name.trim() == "session"), "a=1; session=***; s");
    }
}
