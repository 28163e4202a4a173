//! Text of guests and clients where a person reads it: without characters that act on what shows it.
//!
//! A terminal obeys control characters: they move its cursor, change its title, send keys. Bidirectional controls let
//! a line read as another one than it is, and tag characters are not shown at all. Each is replaced by its escape,
//! `\u{1b}` in text and `\u001b` in JSON, so that nothing is lost and a reader sees that something is there.
//! Not here: which texts come from a guest. All that the host shows passes through here.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character acts on what shows it, or shows nothing. A tab and a line's end do not count.
pub fn is_unsafe(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        // Left-to-right and right-to-left marks, embeddings, overrides and isolates.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        // Line and paragraph separators.
        '\u{2028}' | '\u{2029}' => true,
        // Tags, a copy of ASCII without glyphs.
        '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    }
}

/// `text` for a terminal; it may have several lines.
pub fn visible(text: &str) -> Cow<'_, str> {
    shown(text, is_unsafe)
}

/// `text` for a terminal as a part of one line: line ends are escaped as well.
pub fn one_line(text: &str) -> Cow<'_, str> {
    shown(text, |c| c == '\n' || is_unsafe(c))
}

fn shown(text: &str, escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if escaped(c) => shown.push_str("\\n"),
            c if escaped(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// JSON for a terminal: the same value, for a parser.
pub fn json(json: &str) -> Cow<'_, str> {
    // Outside of its strings it has none of these characters.
    if !json.chars().any(is_unsafe) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    json.chars().for_each(|c| if is_unsafe(c) { push_escape(&mut safe, c) } else { safe.push(c) });
    Cow::Owned(safe)
}

/// Appends `text` as a JSON string with its quotes (RFC 8259, 7), safe for a terminal.
pub fn push_json(json: &mut String, text: &str) {
    json.push('"');
    match text.is_ascii() {
        true => push_ascii(json, text),
        false => text.chars().for_each(|c| match c {
            '"' | '\\' | '\n' | '\t' => push_escape(json, c),
            c if is_unsafe(c) => push_escape(json, c),
            c => json.push(c),
        }),
    }
    json.push('"');
}

/// Most texts are ASCII and have nothing to escape: they are copied piece by piece.
fn push_ascii(json: &mut String, text: &str) {
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\' {
            continue;
        }
        json.push_str(text.get(plain..at).unwrap_or_default());
        plain = at + 1;
        push_escape(json, char::from(byte));
    }
    json.push_str(text.get(plain..).unwrap_or_default());
}

fn push_escape(json: &mut String, c: char) {
    // Writing to a String does not fail.
    let _ = match c {
        '"' | '\\' => write!(json, "\\{c}"),
        '\n' => json.write_str("\\n"),
        c => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(json, "\\u{unit:04x}")),
    };
}

/// The most bytes that `text` takes in a line of the log, in either of its forms.
pub fn written_bytes(text: &str) -> usize {
    text.chars().map(written).sum()
}

/// The start of `text` that takes at most `max` bytes in a line of the log.
pub fn cut(text: &str, max: usize) -> &str {
    // Nothing is written in fewer bytes than it has.
    let start = text.get(..text.floor_char_boundary(max)).unwrap_or(text);
    let mut left = max;
    let end = start.char_indices().find(|(_, c)| {
        let bytes = written(*c);
        let fits = bytes <= left;
        left = left.saturating_sub(bytes);
        !fits
    });
    end.and_then(|(end, _)| start.get(..end)).unwrap_or(start)
}

fn written(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' => 2,
        '\u{e0000}'..='\u{e007f}' => r"\udb40\udc00".len(),
        '\u{2000}'..='\u{2fff}' if is_unsafe(c) => r"\u{202e}".len(),
        c if c == '\t' || is_unsafe(c) => r"\u001b".len().max(r"\u{61c}".len()),
        c => c.len_utf8(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// An alarm, a cleared screen, a title, a C1 control, a hidden text and one that reads as another.
    const EVIL: &str =
        "a\u{7}b\u{1b}[2Jc\u{1b}]0;x\u{7}\u{9b}2Jd\u{7f}e\r\u{202e}cba\u{2066}\u{200f}\u{61c}\u{2028}\u{e0041}";

    #[test]
    fn nothing_that_acts_on_a_terminal_is_left_and_nothing_is_lost() {
        for shown in [visible(EVIL), one_line(EVIL), json(&serde_json(EVIL))] {
            assert!(!shown.chars().any(is_unsafe), "{shown:?}");
            assert!(shown.is_ascii());
        }
        assert!(visible(EVIL).starts_with(r"a\u{7}b\u{1b}[2Jc"));
        assert_eq!(visible("one\n\ttwo"), "one\n\ttwo");
        assert_eq!(one_line("one\n\ttwo"), "one\\n\ttwo");
        let ordinary = "Bj\u{f6}rk \u{2013} \u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{1f600}\u{200d}\u{1f4bf}";
        assert!(matches!(visible(ordinary), Cow::Borrowed(text) if text == ordinary), "letters of any script stay");
    }

    #[test]
    fn json_keeps_its_value() {
        let text = format!("{EVIL} \"quoted\" back\\slash\n\ttab \u{1f600}");
        let mut quoted = String::new();
        push_json(&mut quoted, &text);
        assert_eq!(unquoted(&quoted), text);
        assert_eq!(unquoted(&json(&serde_json(&text))), text);
        let mut plain = String::new();
        push_json(&mut plain, "plain \"text\"\n\u{1}\u{7f}");
        assert_eq!(plain, r#""plain \"text\"\n\u0001\u007f""#);
    }

    #[test]
    fn a_text_never_takes_more_bytes_than_are_counted() {
        for c in ('\0'..=char::MAX).filter(|c| is_unsafe(*c) || u32::from(*c) % 97 == 0 || c.is_ascii()) {
            let text = c.to_string();
            let mut quoted = String::new();
            push_json(&mut quoted, &text);
            let (json, human) = (quoted.len() - 2, one_line(&text).len());
            assert!(json.max(human) <= written_bytes(&text), "{c:?}: {json} and {human}");
        }
    }

    #[test]
    fn a_text_is_cut_by_what_it_takes_when_it_is_written() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc");
        assert_eq!(cut("\u{f6}\u{f6}", 3), "\u{f6}");
        assert_eq!(cut("\u{1b}\u{1b}\u{1b}", 14), "\u{1b}\u{1b}");
        for max in 0..200 {
            let cut = cut(EVIL, max);
            assert!(written_bytes(cut) <= max && EVIL.starts_with(cut));
        }
    }

    /// As `serde_json` writes a string: it escapes nothing but what JSON asks for.
    fn serde_json(text: &str) -> String {
        let mut json = String::from("\"");
        for c in text.chars() {
            match c {
                '"' | '\\' => write!(json, "\\{c}").unwrap(),
                '\0'..' ' => write!(json, "\\u{:04x}", u32::from(c)).unwrap(),
                c => json.push(c),
            }
        }
        json + "\""
    }

    fn unquoted(json: &str) -> String {
        let mut units = Vec::new();
        let mut chars = json[1..json.len() - 1].chars();
        while let Some(c) = chars.next() {
            match (c, (c == '\\').then(|| chars.next().unwrap())) {
                (_, Some('u')) => {
                    let hex: String = chars.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&hex, 16).unwrap());
                }
                (_, Some('n')) => units.push(10),
                (_, Some(c)) | (c, None) => units.extend(c.encode_utf16(&mut [0; 2]).iter()),
            }
        }
        String::from_utf16(&units).unwrap()
    }
}
