//! The host's types for `seam:host/http-handler`: one buffered request, one buffered response.

use wasmtime::component::{ComponentType, Lift, Lower};

use crate::limits;

#[derive(ComponentType, Lower, Clone, Debug)]
#[component(record)]
pub struct Request {
    /// Upper case. A HEAD request arrives as GET.
    pub method: String,
    /// Relative to the mount, with a leading slash.
    pub path: String,
    /// Without the question mark.
    pub query: Option<String>,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// Whether a server can send this head.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence about the guest.
    pub fn check_head(&self) -> Result<(), String> {
        let bytes = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        check_head(self.status, self.headers.len(), bytes)?;
        for (name, value) in &self.headers {
            if name.is_empty() || !name.bytes().all(is_token) {
                let start: String = name.chars().take(100).collect();
                return Err(format!("`{}` is not a valid header name", start.escape_debug()));
            }
            if !value.bytes().all(|byte| byte == b'\t' || byte >= b' ' && byte != 0x7f) {
                return Err(format!("the value of the header `{name}` is not valid"));
            }
        }
        Ok(())
    }
}

/// Whether a guest's answer has a status that ends a request (200 to 599), and a head within the bounds: `lines` header
/// lines, whose names and values have `bytes` bytes.
///
/// # Errors
/// What is wrong with it, as a sentence about the guest.
pub fn check_head(status: u16, lines: usize, bytes: usize) -> Result<(), String> {
    if !(200..600).contains(&status) {
        return Err(format!("it answered with {status}, which is not the status of a response"));
    }
    if lines > limits::RESPONSE_HEADERS_MAX {
        return Err(format!("it answered with {lines} header lines, more than {}", limits::RESPONSE_HEADERS_MAX));
    }
    if bytes > limits::RESPONSE_HEAD_BYTES_MAX {
        let max = limits::RESPONSE_HEAD_BYTES_MAX;
        return Err(format!("it answered with {bytes} bytes of headers, more than {max}"));
    }
    Ok(())
}

/// A character of a header's name (RFC 9110 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_bounded_in_lines_and_bytes() {
        let check = |status, lines: usize, value: usize| {
            let headers = vec![("x".to_owned(), "1".repeat(value)); lines];
            Response { status, headers, body: Vec::new() }.check_head()
        };
        assert_eq!(check(200, limits::RESPONSE_HEADERS_MAX, 1), Ok(()));
        assert!(check(200, limits::RESPONSE_HEADERS_MAX + 1, 1).is_err_and(|reason| reason.contains("1001 header")));
        assert_eq!(check(200, 1, limits::RESPONSE_HEAD_BYTES_MAX - 1), Ok(()));
        assert!(check(200, 1, limits::RESPONSE_HEAD_BYTES_MAX).is_err());
        assert!([0, 100, 101, 199, 600, 999, u16::MAX].into_iter().all(|status| check(status, 0, 0).is_err()));
    }

    #[test]
    fn names_and_values_that_http_does_not_have_are_refused() {
        let check = |name: &str, value: &str| {
            Response { status: 200, headers: vec![(name.into(), value.into())], body: Vec::new() }.check_head()
        };
        assert_eq!(check("X-Own", "caf\u{e9}\t1"), Ok(()));
        for (name, value) in [("a b", "1"), ("", "1"), ("x\r\ny", "1"), ("x", "1\r\nset-cookie: a"), ("x", "\0")] {
            assert!(check(name, value).is_err(), "{name:?}: {value:?}");
        }
    }
}
