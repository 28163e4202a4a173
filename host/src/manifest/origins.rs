//! Which mounts share an origin with those of another context, and what each may set there.
//!
//! A browser separates origins, which are hosts, and no paths below one: without more, what the context under `/raw`
//! sets holds for the shop at `/` as well.

use std::collections::{BTreeMap, BTreeSet};

use super::host_name::is_named;
use super::model::{Manifest, Mount};
use super::table::Table;

/// Response headers by which a page changes what browsers do with its whole origin, or what they send to all of it.
pub const ORIGIN_HEADERS: [&str; 8] = [
    "accept-ch",
    "clear-site-data",
    "critical-ch",
    "nel",
    "report-to",
    "service-worker-allowed",
    "set-login",
    "www-authenticate",
];

/// The other contexts beside a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// No other context is mounted.
    Alone,
    /// Other contexts are mounted, under other hosts.
    OtherOrigins,
    /// Another context is mounted under the same host.
    SameOrigin,
}

impl Manifest {
    /// The other contexts beside `mount`, one of its mounts.
    pub fn company(&self, mount: &Mount) -> Company {
        let others = || self.mounts.iter().filter(|other| other.context != mount.context);
        if others().any(|other| other.host == mount.host) {
            Company::SameOrigin
        } else if others().next().is_some() {
            Company::OtherOrigins
        } else {
            Company::Alone
        }
    }

    /// A sentence for each origin whose contexts are not separated: a mount does not say which cookies are its own, or
    /// two say it of the same one.
    pub(super) fn shared_origins(&self) -> Vec<String> {
        let mut origins: BTreeMap<Option<&str>, Vec<&Mount>> = BTreeMap::new();
        for mount in self.mounts.iter().filter(|mount| self.company(mount) == Company::SameOrigin) {
            origins.entry(mount.host.as_deref()).or_default().push(mount);
        }
        origins.into_values().filter_map(|mounts| unseparated(&mounts)).collect()
    }

    /// A sentence for each mount with `*` that the requests to another mount's host do not reach: a whole name has its
    /// mounts alone.
    pub(super) fn hidden_mounts(&self) -> Vec<String> {
        let hosts: BTreeSet<&str> = self.mounts.iter().filter_map(|mount| mount.host.as_deref()).collect();
        let mut hidden = Vec::new();
        for mount in &self.mounts {
            let Some(name) = mount.host.as_deref().filter(|name| name.starts_with('*')) else { continue };
            let there = |host: &str| {
                self.mounts.iter().any(|other| other.host.as_deref() == Some(host) && other.path == mount.path)
            };
            for host in hosts.iter().filter(|host| **host != name && is_named(host, name) && !there(host)) {
                hidden.push(format!(
                    "the mounts of `{host}` and `{}` ({}) overlap: the former has its mounts alone, so requests to it do \
                     not reach the latter. Mount it there, too, with `host = \"{host}\"`, or choose another name",
                    mount.address(),
                    mount.context
                ));
            }
        }
        hidden
    }
}

fn unseparated(mounts: &[&Mount]) -> Option<String> {
    let named = |mount: &&Mount| format!("`{}` ({})", mount.address(), mount.context);
    let listed = |mount: &&Mount| mount.cookies.clone().unwrap_or_default();
    let twice = mounts.iter().enumerate().find_map(|(at, mount)| {
        let others = mounts.iter().skip(at + 1).filter(|other| other.context != mount.context);
        let mut both = others.flat_map(listed).filter(|cookie| listed(mount).contains(cookie));
        both.next()
    });
    let silent: Vec<String> = mounts.iter().filter(|mount| mount.cookies.is_none()).map(named).collect();
    let fault = match twice {
        Some(cookie) => format!("more than one of them lists the cookie `{cookie}` and gets what the others set"),
        None if silent.is_empty() => return None,
        None => format!("{} has no `cookies`, so it gets and sets none", silent.join(", ")),
    };
    let all: Vec<String> = mounts.iter().map(named).collect();
    Some(format!(
        "the mounts {} share an origin: in a browser, their pages reach each other and what each keeps there; {fault}. \
         Give each context a `host` of its own, or list in each `[[mount]]` the `cookies` that are its own (`[]`: none)",
        all.join(" and ")
    ))
}

/// The cookies that a mount lists; `None` without the key.
pub(super) fn cookies(table: &Table<'_, '_>) -> Option<Vec<String>> {
    let listed = table.strings("cookies", "session");
    if !table.has("cookies") {
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    for cookie in listed {
        let report = |message: String, remedy: &str| table.document.report(cookie.place, message, remedy);
        let name = &cookie.value;
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)) {
            report(format!("`{name}` is not the name of a cookie"), "write the name alone");
        } else if name.to_ascii_lowercase().starts_with("__host-") || name.to_ascii_lowercase().starts_with("__secure-")
        {
            report(format!("`{name}` has a prefix"), "leave the prefix out: a name stands for its prefixed forms, too");
        } else if name.starts_with("seam-") {
            report(format!("`{name}` is a cookie of the host's own"), "choose another name");
        } else if names.contains(name) {
            report(format!("`{name}` is listed twice"), "list it once");
        } else {
            names.push(cookie.value);
        }
    }
    Some(names)
}

/// Those of `ORIGIN_HEADERS` that a mount may send although it shares its origin.
pub(super) fn headers(table: &Table<'_, '_>) -> Vec<String> {
    let mut names = Vec::new();
    for header in table.strings("headers", "clear-site-data") {
        let name = header.value.to_ascii_lowercase();
        if ORIGIN_HEADERS.contains(&&*name) {
            names.push(name);
        } else {
            let message = format!("`{name}` is not a header that needs leave");
            let remedy = format!("leave it out, or write one of: {}", ORIGIN_HEADERS.join(", "));
            table.document.report(header.place, message, remedy);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::manifest::tests::{folder, problems};

    /// Two contexts and these mounts.
    fn mounted(mounts: &str) -> String {
        let context = |name| format!("[context.{name}]\ncomponent = \"component.wasm\"\n");
        format!("{}{}{mounts}", context("shop"), context("raw"))
    }

    #[test]
    fn mounts_of_one_origin_are_named_until_their_cookies_are_separated() {
        let folder = folder();
        let warnings = |mounts: &str| {
            let manifest = Manifest::parse(&mounted(mounts), &folder.path().join("seam.toml"));
            manifest.unwrap_or_else(|problems| panic!("{problems}")).warnings().join("\n")
        };
        let mount = |context: &str, rest: &str| format!("[[mount]]\ncontext = \"{context}\"\n{rest}\n");
        let (shop, raw) =
            (|rest: &str| mount("shop", &format!("path = \"/\"\n{rest}")), |rest: &str| mount("raw", rest));
        let both = warnings(&(shop("") + &raw("path = \"/raw\"")));
        assert!(both.starts_with("the mounts `/` (shop) and `/raw` (raw) share an origin: "), "{both}");
        assert!(
            both.contains("`/` (shop), `/raw` (raw) has no `cookies`") && both.contains("a `host` of its own"),
            "{both}"
        );
        let one = warnings(&(shop("cookies = [\"session\"]") + &raw("path = \"/raw\"")));
        assert!(one.contains("; `/raw` (raw) has no `cookies`, so it gets and sets none"), "{one}");
        let twice =
            warnings(&(shop("cookies = [\"session\"]") + &raw("path = \"/raw\"\ncookies = [\"a\", \"session\"]")));
        assert!(twice.contains("more than one of them lists the cookie `session`"), "{twice}");
        for separated in [
            shop("cookies = [\"session\"]") + &raw("path = \"/raw\"\ncookies = []"),
            shop("") + &raw("path = \"/\"\nhost = \"raw.shop.example\""),
            shop("") + &mount("shop", "path = \"/other\""),
            shop(""),
        ] {
            assert_eq!(warnings(&separated), "", "{separated}");
        }
        let named = "host = \"Shop.Example\"";
        let named = warnings(&(shop(named) + &raw(&format!("{named}\npath = \"/raw\"")) + &raw("path = \"/\"")));
        assert!(named.starts_with("the mounts `shop.example/` (shop) and `shop.example/raw` (raw) share"), "{named}");
    }

    #[test]
    fn mounts_with_a_star_that_a_whole_name_hides_are_named() {
        let folder = folder();
        let warnings = |mounts: &[(&str, &str, &str)]| {
            let mount = |(context, host, path): &(&str, &str, &str)| {
                format!("[[mount]]\ncontext = \"{context}\"\nhost = \"{host}\"\npath = \"{path}\"\n")
            };
            let mounts: String = mounts.iter().map(mount).collect();
            let manifest = Manifest::parse(&mounted(&mounts), &folder.path().join("seam.toml"));
            manifest.unwrap_or_else(|problems| panic!("{problems}")).warnings()
        };
        let all = ("shop", "*.Shop.example", "/");
        let hidden = warnings(&[all, ("raw", "raw.shop.example", "/raw"), ("raw", "a.raw.shop.example", "/raw")]);
        assert_eq!(
            hidden,
            [
                "the mounts of `raw.shop.example` and `*.shop.example/` (shop) overlap: the former has its mounts alone, \
                 so requests to it do not reach the latter. Mount it there, too, with `host = \"raw.shop.example\"`, or \
                 choose another name"
            ]
        );
        for separated in [
            &[all, ("raw", "raw.shop.example", "/")][..],
            &[all, ("shop", "raw.shop.example", "/"), ("shop", "raw.shop.example", "/raw")],
            &[all, ("raw", "shop.example", "/raw")],
            &[all, ("raw", "*.raw.shop.example", "/raw")],
        ] {
            assert!(warnings(separated).is_empty(), "{separated:?}");
        }
        let shared = warnings(&[all, ("raw", "*.shop.example", "/raw")]).join("\n");
        assert!(shared.contains("`*.shop.example/` (shop) and `*.shop.example/raw` (raw) share an origin"), "{shared}");
    }

    #[test]
    fn mistakes_in_hosts_cookies_and_headers_of_mounts_are_reported() {
        let check = |line: &str, message: &str, remedy: &str| {
            let shown = problems(&mounted(&format!("[[mount]]\npath = \"/\"\ncontext = \"raw\"\n{line}\n")));
            assert!(shown.contains(&format!("error: {message}\n")) && shown.contains(remedy), "{shown}");
            assert_eq!(shown.matches("error").count(), 1, "{shown}");
        };
        for (host, remedy) in [
            ("http://shop.example", "the host alone"),
            ("shop.example/raw", "the path in `path`"),
            ("shop.example:80", "on every port"),
            ("*", "the whole first part of a name"),
            ("a.*.example", "the whole first part of a name"),
            ("a*.example", "the whole first part of a name"),
            ("*.*.example", "the whole first part of a name"),
            ("*.0.0.1", "the whole first part of a name"),
            ("*.", "write a name such as"),
            ("*.-a", "write a name such as"),
            ("b\u{fc}cher.example", "begins with `xn--`"),
            ("-a.example", "write a name such as"),
            ("a..b", "write a name such as"),
        ] {
            check(&format!("host = \"{host}\""), &format!("`{host}` is not the name of a host"), remedy);
        }
        for (name, message) in [
            ("a=b", "`a=b` is not the name of a cookie"),
            ("__Host-session", "`__Host-session` has a prefix"),
            ("seam-visitor", "`seam-visitor` is a cookie of the host's own"),
        ] {
            check(&format!("cookies = [\"{name}\"]"), message, "hint: ");
        }
        check("cookies = [\"a\", \"a\"]", "`a` is listed twice", "list it once");
        check("headers = [\"content-type\"]", "`content-type` is not a header that needs leave", "clear-site-data");
        check("headers = [\"Alt-Svc\"]", "`alt-svc` is not a header that needs leave", "leave it out");
        let twice = "[[mount]]\npath = \"/\"\nhost = \"a.b\"\ncontext = \"raw\"\n";
        let other =
            "[[mount]]\npath = \"/\"\nhost = \"A.B\"\ncontext = \"shop\"\n[[mount]]\npath = \"/\"\ncontext = \"raw\"\n";
        let shown = problems(&mounted(&format!("{twice}{other}")));
        assert!(shown.contains("`a.b/` is mounted twice, for `raw` and for `shop`"), "{shown}");
        assert_eq!(shown.matches("error").count(), 1, "{shown}");
    }
}
