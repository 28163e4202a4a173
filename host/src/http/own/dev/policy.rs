//! The Content-Security-Policy of a page during development: scripts and connections of the page's own origin are
//! allowed in addition to what it allows.

use http::HeaderMap;
use http::header::{self, Entry, HeaderValue};

/// Extends the policies of a page so that it may load the script and read the events.
pub(super) fn allow_own_origin(fields: &mut HeaderMap) {
    let Entry::Occupied(mut policies) = fields.entry(header::CONTENT_SECURITY_POLICY) else { return };
    for policy in policies.iter_mut() {
        if let Some(value) = policy.to_str().ok().and_then(|text| HeaderValue::try_from(extended(text)).ok()) {
            *policy = value;
        }
    }
}

/// `policy`, and scripts and connections of the own origin.
fn extended(policy: &str) -> String {
    let mut directives: Vec<(String, Vec<String>)> = Vec::new();
    for directive in policy.split(';').map(str::trim).filter(|directive| !directive.is_empty()) {
        let mut words = directive.split_ascii_whitespace().map(str::to_owned);
        if let Some(name) = words.next() {
            directives.push((name.to_ascii_lowercase(), words.collect()));
        }
    }
    let values = |directives: &[(String, Vec<String>)], name: &str| {
        directives.iter().find(|(n, _)| n == name).map(|(_, values)| values.clone())
    };
    let default = values(&directives, "default-src");
    let script = values(&directives, "script-src").or_else(|| default.clone());
    // A policy without any of these directives restricts neither.
    for (name, fallback) in [("script-src-elem", script), ("connect-src", default)] {
        let Some(mut sources) = values(&directives, name).or(fallback) else { continue };
        let own = |source: &String| source.eq_ignore_ascii_case("'self'");
        if sources.iter().any(own) {
            continue;
        }
        sources.retain(|source| !source.eq_ignore_ascii_case("'none'"));
        sources.push("'self'".into());
        directives.retain(|(n, _)| n != name);
        directives.push((name.into(), sources));
    }
    let written = directives.iter().map(|(name, values)| format!("{name} {}", values.join(" ")).trim().to_owned());
    written.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_extended_by_the_own_origin_only() {
        for (policy, expect) in [
            (
                "default-src 'none'; style-src 'self'; script-src 'self'",
                "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'",
            ),
            ("default-src 'self'", "default-src 'self'"),
            ("frame-ancestors 'none'", "frame-ancestors 'none'"),
            (
                "default-src https://a.example; connect-src 'none'; sandbox",
                "default-src https://a.example; sandbox; script-src-elem https://a.example 'self'; connect-src 'self'",
            ),
            (
                "script-src 'nonce-x' 'strict-dynamic'",
                "script-src 'nonce-x' 'strict-dynamic'; script-src-elem 'nonce-x' 'strict-dynamic' 'self'",
            ),
            ("", ""),
        ] {
            assert_eq!(extended(policy), expect, "{policy}");
        }
    }
}
