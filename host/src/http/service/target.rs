//! Paths that this host and another reader, a proxy before it or a framework in a guest, could take for different ones.
//!
//! The host compares a path as it came: it resolves no `.` and `..`, merges no slashes and decodes nothing. A proxy
//! that does may let `/office/a/../../cart` through by its rule for `/cart`, and a guest that does may take
//! `/office%2Forders` for a page below `/office`. No browser sends such a path but for a link that is written so.

/// What another reader could take for something else in `path`, as a sentence about the request; `None` if nothing.
///
/// - a segment `.` or `..`, also with a parameter (`..;x`), which some readers cut off first;
/// - an empty segment, which some leave out; one at the end is the usual slash;
/// - a backslash or an encoded slash, which some take for a slash;
/// - an encoded control character: some end the path there, or write it into a header.
///
/// Dots, backslashes and semicolons count in percent-encoding too, decoded once.
pub(super) fn ambiguity(path: &str) -> Option<&'static str> {
    let mut rest = path.as_bytes();
    // How many dots the segment has up to here; `None` once it has anything else.
    let mut dots = Some(0);
    while let Some((&plain, after)) = rest.split_first() {
        let encoded = (plain == b'%').then(|| encoded(after)).flatten();
        let byte = encoded.unwrap_or(plain);
        rest = if encoded.is_some() { after.get(2..).unwrap_or_default() } else { after };
        dots = match byte {
            b'/' if encoded.is_some() => return Some("the path has an encoded slash"),
            b'\\' => return Some("the path has a backslash"),
            0..=0x1f | 0x7f => return Some("the path has a control character"),
            b'/' | b';' if matches!(dots, Some(1 | 2)) => return Some(DOTS),
            b'/' if rest.first() == Some(&b'/') => return Some("the path has two slashes in a row"),
            b'/' => Some(0),
            b'.' => dots.map(|dots| dots + 1),
            _ => None,
        };
    }
    matches!(dots, Some(1 | 2)).then_some(DOTS)
}

const DOTS: &str = "the path has a segment `.` or `..`";

/// The byte that the two digits after a percent sign stand for.
fn encoded(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What nginx, Apache, Tomcat, Jetty, Envoy and the frameworks of guests are known to read differently.
    #[test]
    fn only_what_another_reader_could_take_for_another_path_is_ambiguous() {
        for (fault, paths) in [
            (
                "segment",
                &[
                    "/..",
                    "/.",
                    "/a/../b",
                    "/a/./b",
                    "/office/orders/../../cart",
                    "/a/%2e%2e/b",
                    "/a/.%2E/b",
                    "/a/%2E",
                    "/..;",
                    "/a/..;/b",
                    "/a/..;x=1/b",
                    "/a/.;x/b",
                    "/a/%2e%2e;x/b",
                    "/a/..%3bx/b",
                    "/a/.%3B",
                    "/../a//b",
                ][..],
            ),
            ("slash", &["/a%2fb", "/AC%2FDC", "/%2f", "/a/..%2fb", "/a%2F..%2F..%2fb", "/office%2Forders"]),
            ("backslash", &["/a\\b", "/..\\b", "/a%5cb", "/a/%2e%2e%5Cb"]),
            ("two slashes", &["//", "//evil.example/", "/a//b", "/a//", "///", "//%2f.."]),
            ("control", &["/a%00", "/a%00.css", "/a%0d%0Aset-cookie:x", "/%1f", "/a%7F", "/a%09"]),
        ] {
            for path in paths {
                let found = ambiguity(path);
                assert!(found.is_some_and(|found| found.contains(fault)), "{path}: {found:?}");
            }
        }
        for path in [
            "/",
            "/a/",
            "/...",
            "/a/...;x",
            "/.well-known/x",
            "/a.b/..c/d..",
            "/a;b/c",
            "/;",
            "/a/;/b",
            "/..a;b",
            "/%",
            "/%2",
            "/%2x",
            "/%2e%2e%2e",
            "/a/%252e%252e/b",
            "/a%252fb",
            "/%20",
            "/%c3%a9",
            "/é/..é",
            "/a%3bb",
        ] {
            assert_eq!(ambiguity(path), None, "{path}");
        }
    }
}
