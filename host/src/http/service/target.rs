//! Paths that this host and another reader, a proxy before it or a framework in a guest, could take for different ones.
//!
//! The host compares a path as it came: it resolves no `.` and `..` and decodes nothing. A proxy that does may let
//! `/office/a/../../cart` through by its rule for `/cart`. No browser sends such a path.

/// Whether another reader could resolve `path`: a segment is `.` or `..`, or there is a backslash, which some take for
/// a slash. Dots and slashes count in percent-encoding too; a whole encoded slash in a longer segment does not.
pub(super) fn is_ambiguous(path: &str) -> bool {
    let mut rest = path.as_bytes();
    // How many dots the segment has up to here; `None` once it has anything else.
    let mut dots = Some(0);
    loop {
        let (byte, after) = match rest {
            [] => return matches!(dots, Some(1 | 2)),
            [b'\\', ..] => return true,
            [b'%', b'2', b'e' | b'E', after @ ..] => (b'.', after),
            [b'%', b'2', b'f' | b'F', after @ ..] | [b'%', b'5', b'c' | b'C', after @ ..] => (b'/', after),
            [byte, after @ ..] => (*byte, after),
        };
        dots = match byte {
            b'/' if matches!(dots, Some(1 | 2)) => return true,
            b'/' => Some(0),
            b'.' => dots.map(|dots| dots + 1),
            _ => None,
        };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_reader_resolves_is_ambiguous() {
        for path in [
            "/..",
            "/.",
            "/a/../b",
            "/a/./b",
            "/office/orders/../../cart",
            "/a/%2e%2e/b",
            "/a/.%2E/b",
            "/a/%2E",
            "/a/..%2fb",
            "/a%2F..%2F..%2fb",
            "/a/%2e%2e%5cb",
            "/a\\b",
            "/..\\b",
        ] {
            assert!(is_ambiguous(path), "{path}");
        }
        for path in [
            "/",
            "//",
            "/a//b",
            "/...",
            "/a/...",
            "/.well-known/x",
            "/a.b/..c/d..",
            "/a%2fb",
            "/AC%2FDC",
            "/a%5cb",
            "/%",
            "/%2",
            "/%2e%2e%2e",
            "/a/%252e%252e/b",
            "/é/..é",
        ] {
            assert!(!is_ambiguous(path), "{path}");
        }
    }
}
