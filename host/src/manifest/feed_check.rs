//! Feeds of what is not published, and feeds where a mount is.

use seam_runtime::did_you_mean::nearest;

use super::feeds::published;
use super::host_name::is_named;
use super::model::{Feed, Manifest, Mount};
use super::parse::Parsed;
use super::problem::Place;

/// Reports them all, each with its place, its message and its remedy.
pub(super) fn check(parsed: &Parsed, report: &dyn Fn(Place, String, String)) {
    let manifest = &parsed.manifest;
    for (at, (feed, places)) in manifest.feeds.iter().zip(&parsed.feeds).enumerate() {
        let context = &feed.context;
        if manifest.feeds.iter().take(at).any(|other| other.context == *context) {
            let message = format!("`{context}` has two feeds");
            report(places.feed, message, "merge them: a feed may have several interfaces and tokens".to_owned());
        }
        let known = manifest.entries().any(|entry| entry.settings.name == *context);
        let published = published(manifest, context);
        if known && published.is_empty() {
            let message = format!("`{context}` publishes nothing, so it has no feed");
            let remedy = format!("add `publishes` to `[context.{context}]`, or remove the `[[feed]]`");
            report(places.context, message, remedy);
        } else if known {
            for (interface, place) in feed.interfaces.iter().zip(&places.interfaces) {
                if !published.contains(interface) {
                    let remedy = match nearest(interface, published.iter().map(String::as_str)) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("it publishes {}", published.join(", ")),
                    };
                    report(*place, format!("`{context}` does not publish `{interface}`"), remedy);
                }
            }
        }
        for (mount, (place, _)) in manifest.mounts.iter().zip(&parsed.mounts) {
            if is_in_the_way(mount, feed) {
                let message = format!("the mount `{}` is where the feed of `{context}` is", mount.address());
                report(*place, message, "choose another path, or give the feed a `host` of its own".to_owned());
            }
        }
    }
}

/// Whether requests for the mount's pages and those for the feed look alike. A mount at `/` has other pages.
fn is_in_the_way(mount: &Mount, feed: &Feed) -> bool {
    let path = Feed::path(&feed.context);
    let below = mount.path.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let same_host = match (&mount.host, &feed.host) {
        (Some(mount), Some(feed)) => mount == feed || is_named(feed, mount) || is_named(mount, feed),
        _ => true,
    };
    (mount.path == "/feeds" || below) && same_host
}

impl Manifest {
    /// A sentence for each feed that other machines may read without TLS.
    pub(super) fn plain_feeds(&self) -> Vec<String> {
        let reached = self.host.tls.is_none() && self.host.listen.iter().any(|address| !address.ip().is_loopback());
        let plain = self.feeds.iter().filter(|feed| reached && feed.plain_http);
        let sentence = |feed: &Feed| {
            format!(
                "the feed of `{}` is there without TLS, by `plain_http` in `[[feed]]`: who listens on the way gets \
                 the token and the events; set `tls` in `[host]`, or put a proxy with TLS in front",
                feed.context
            )
        };
        plain.map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

    use super::*;
    use crate::manifest::TokenSecret;
    use crate::manifest::tests::{folder, problems};

    const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    /// A context that publishes, one that does not, and these lines.
    fn manifest(lines: &str) -> String {
        format!(
            "[context.orders]\ncomponent = \"component.wasm\"\nstore = true\npublishes.\"acme:orders/events@0.2.0\" = {{}}\n\
             publishes.\"acme:orders/returns\" = {{ keep = \"forever\" }}\n\
             [context.shop]\ncomponent = \"component.wasm\"\n{lines}\n"
        )
    }

    fn token() -> String {
        format!("tokens.reports.sha256 = \"{DIGEST}\"")
    }

    #[test]
    fn a_feed_has_what_it_lists_or_all_that_its_context_publishes() {
        let folder = folder();
        let read = |lines: &str| {
            let text = manifest(&format!("[[feed]]\ncontext = \"orders\"\n{lines}\n{}", token()));
            let manifest = Manifest::parse(&text, &folder.path().join("seam.toml"));
            manifest.unwrap_or_else(|problems| panic!("{problems}"))
        };
        let all = read("");
        assert_eq!(all.feeds[0].interfaces, ["acme:orders/events", "acme:orders/returns"]);
        assert!(!all.feeds[0].plain_http && all.warnings().is_empty());
        let TokenSecret::Sha256(digest) = all.feeds[0].tokens[0].secret else { panic!("{all:?}") };
        assert_eq!(hex::encode(digest), DIGEST);
        let one = read("interfaces = [\"acme:orders/events@0.2.0\"]\nhost = \"Feeds.example\"");
        assert_eq!(one.feeds[0].interfaces, ["acme:orders/events"]);
        assert_eq!(one.feeds[0].host.as_deref(), Some("feeds.example"));
        let mut plain = read("plain_http = true");
        assert!(plain.warnings().is_empty(), "only this machine reaches it");
        plain.host.listen = vec!["0.0.0.0:80".parse().unwrap()];
        assert!(plain.warnings().join("\n").contains("the feed of `orders` is there without TLS"));
    }

    #[test]
    fn mistakes_in_feeds_are_reported() {
        let check = |lines: &str, message: &str, remedy: &str| {
            let shown = problems(&manifest(lines));
            assert!(shown.contains(&format!("error: {message}\n")) && shown.contains(remedy), "{lines}: {shown}");
            assert_eq!(shown.matches("error").count(), 1, "{lines}: {shown}");
        };
        let feed = |context: &str, rest: &str| format!("[[feed]]\ncontext = \"{context}\"\n{rest}\n");
        let good = feed("orders", &token());
        check("[[feed]]\ntokens.a.file = \"key.pem\"", "`feed.context` is missing", "add `context = ");
        check(&feed("order", &token()), "there is no context `order`", "did you mean `orders`?");
        check(&feed("shop", &token()), "`shop` publishes nothing, so it has no feed", "add `publishes`");
        check(&feed("orders", ""), "`feed.tokens` is missing", "secrets/NAME.token");
        check(&feed("orders", "tokens.a = {}"), "`feed.tokens.a` has neither `file` nor `sha256`", "write `{ file");
        check(
            &feed("orders", &format!("tokens.a = {{ file = \"key.pem\", sha256 = \"{DIGEST}\" }}")),
            "`feed.tokens.a` has both `file` and `sha256`",
            "keep one",
        );
        check(&feed("orders", "tokens.a.sha256 = \"9f86\""), "`feed.tokens.a.sha256` is no SHA-256", "64 digits");
        check(
            &feed("orders", "tokens.a.file = \"none.token\""),
            "`feed.tokens.a.file` names `none.token`, which is not a file",
            "create it",
        );
        check(
            &feed("orders", &format!("interfaces = [\"acme:orders/event\"]\n{}", token())),
            "`orders` does not publish `acme:orders/event`",
            "did you mean `acme:orders/events`?",
        );
        check(
            &feed("orders", &format!("interfaces = [\"events\"]\n{}", token())),
            "`events` is not a valid interface name",
            "namespace:package/interface",
        );
        check(
            &feed(
                "orders",
                &format!("interfaces = [\"acme:orders/events\", \"acme:orders/events@0.2.0\"]\n{}", token()),
            ),
            "`acme:orders/events` is listed twice",
            "list it once",
        );
        check(&format!("{good}{good}"), "`orders` has two feeds", "merge them");
        check(&feed("orders", &format!("{}\ncors = true", token())), "unknown key `cors` in `feed`", "known keys");
        let mount = |path: &str, host: &str| format!("[[mount]]\npath = \"{path}\"\ncontext = \"shop\"\n{host}\n");
        for path in ["/feeds", "/feeds/orders", "/feeds/orders/new"] {
            let message = format!("the mount `{path}` is where the feed of `orders` is");
            check(&format!("{good}{}", mount(path, "")), &message, "choose another path");
        }
        let named = feed("orders", &format!("host = \"feeds.shop.example\"\n{}", token()));
        let starred = mount("/feeds", "host = \"*.shop.example\"");
        check(
            &format!("{named}{starred}"),
            "the mount `*.shop.example/feeds` is where the feed of `orders` is",
            "choose another path",
        );
        for beside in [
            good.clone() + &mount("/", ""),
            good.clone() + &mount("/feed", ""),
            good + &mount("/feeds/shop", ""),
            named + &mount("/feeds", "host = \"shop.example\""),
        ] {
            assert_eq!(problems(&manifest(&beside)), "", "{beside}");
        }
        let served = "[[feed]]\ncontext = \"orders\"\ntokens.a.file = \"assets/a.token\"\n\
                      [context.page]\ncomponent = \"component.wasm\"\nassets = \"assets\"";
        assert!(problems(&manifest(served)).contains("the assets of `page` contain a token of the feed of `orders`"));
    }
}
