//! The hosts that a mount is for: a name, or `*.` before one.

use super::table::Table;

/// Whether `name`, a host or one with `*` for its first label, stands for `host`. Letter case does not count.
pub fn is_named(host: &str, name: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(domain) => {
            let below = host.split_once('.').filter(|(label, _)| !label.is_empty());
            below.is_some_and(|(_, below)| below.eq_ignore_ascii_case(domain))
        }
        None => host.eq_ignore_ascii_case(name),
    }
}

/// The name of a host, or one with `*` for its first label, in lower case. Reports what is none.
pub(super) fn host(table: &Table<'_, '_>) -> Option<String> {
    let host = table.string("host", "shop.example")?;
    let text = host.value.as_str();
    let starred = text.strip_prefix("*.");
    let domain = starred.unwrap_or(text);
    let remedy = if text.contains('/') {
        "write the host alone, and the path in `path`"
    } else if text.contains(':') {
        "write the name alone: a mount is there on every port"
    } else if domain.contains('*') || starred.is_some_and(is_end_of_address) {
        "a `*` stands for the whole first part of a name, such as `*.shop.example`; a mount without `host` gets every \
         name that no other has"
    } else if !text.is_ascii() {
        "write the name as browsers send it, which begins with `xn--`"
    } else if text.len() > 253 || !domain.split('.').all(is_label) {
        "write a name such as `shop.example`"
    } else {
        return Some(text.to_ascii_lowercase());
    };
    table.document.report(host.place, format!("`{}` is not the name of a host", host.value), remedy);
    None
}

/// Whether a host that ends so is an address, whose parts are no labels: `0.0.1`.
fn is_end_of_address(domain: &str) -> bool {
    let last = domain.rsplit('.').next().unwrap_or_default();
    !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        for (host, name, expect) in [
            ("a.example", "A.Example", true),
            ("a.Shop.example", "*.shop.example", true),
            ("xn--bcher-kva.shop.example", "*.shop.example", true),
            ("shop.example", "*.shop.example", false),
            (".shop.example", "*.shop.example", false),
            ("a.b.shop.example", "*.shop.example", false),
            ("ashop.example", "*.shop.example", false),
            ("a.shop.example.evil.example", "*.shop.example", false),
            ("a.localhost", "*.localhost", true),
        ] {
            assert_eq!(is_named(host, name), expect, "{host} {name}");
        }
    }
}
