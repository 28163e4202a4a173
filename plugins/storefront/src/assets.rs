//! Addresses of the static files that the host serves from `assets/`, each with a hash of its bytes.
//!
//! The compiler computes the hash: a changed file gets another address, so caches may keep each address for ever.

use xxhash_rust::const_xxh64::xxh64;

/// The one style sheet.
pub const CSS: &str = address(&CSS_BYTES);
/// The office adds these rules.
pub const OFFICE_CSS: &str = address(&OFFICE_CSS_BYTES);
/// Makes forms more convenient. Everything works without it.
pub const SCRIPT: &str = address(&SCRIPT_BYTES);
/// The icon in the browser's tab.
pub const ICON: &str = address(&ICON_BYTES);

const CSS_BYTES: [u8; 25 + HEX] = with_hash(b"/assets/storefront.css?v=", include_bytes!("../assets/storefront.css"));
const SCRIPT_BYTES: [u8; 18 + HEX] = with_hash(b"/assets/shop.js?v=", include_bytes!("../assets/shop.js"));
const OFFICE_CSS_BYTES: [u8; 21 + HEX] = with_hash(b"/assets/office.css?v=", include_bytes!("../assets/office.css"));
const ICON_BYTES: [u8; 22 + HEX] = with_hash(b"/assets/favicon.svg?v=", include_bytes!("../assets/favicon.svg"));

/// Digits of the hash in an address: two versions collide once in four thousand million.
const HEX: usize = 8;

const fn with_hash<const P: usize, const N: usize>(path: &[u8; P], content: &[u8]) -> [u8; N] {
    let hash = xxh64(content, 0);
    let mut out = [0; N];
    let mut at = 0;
    while at < P {
        out[at] = path[at];
        at += 1;
    }
    while at < N {
        out[at] = b"0123456789abcdef"[((hash >> ((at - P) * 4)) & 15) as usize];
        at += 1;
    }
    out
}

const fn address(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // Impossible, because the bytes are ASCII; the test below would fail.
        Err(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_file_and_eight_digits() {
        for (address, path) in
            [(CSS, "/assets/storefront.css?v="), (SCRIPT, "/assets/shop.js?v="), (ICON, "/assets/favicon.svg?v=")]
        {
            let digits = address.strip_prefix(path).unwrap_or_default();
            assert_eq!(digits.len(), HEX, "{address}");
            assert!(digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{address}");
        }
    }
}
