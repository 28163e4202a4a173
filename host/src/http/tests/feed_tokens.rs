//! Files with the tokens of a feed's readers.

use std::sync::Arc;

use super::Outboxes;
use super::feeds::{TOKEN, feed};
use crate::http::own::feeds::Feeds;
use crate::manifest::{Feed, FeedToken, TokenSecret};

#[test]
fn tokens_that_are_weak_or_readable_by_others_keep_a_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("reports.token");
    let open = || {
        let token = FeedToken { name: "reports".into(), secret: TokenSecret::File(file.clone()) };
        let feed = Feed { tokens: vec![token], ..feed() };
        let outboxes: Outboxes = Arc::new(|_| None);
        let opened = Feeds::open(vec![feed], &outboxes, &prometheus::Registry::new());
        opened.map(drop).map_err(|error| error.to_string())
    };
    assert!(open().unwrap_err().contains("the token `reports` of the feed of `orders`"));
    for weak in ["", "short", &"two words ".repeat(9)] {
        seam_store::private::write(&file, weak.as_bytes()).unwrap();
        assert!(open().unwrap_err().contains("openssl rand -hex 32"), "{weak}");
    }
    seam_store::private::write(&file, format!("{TOKEN}\n").as_bytes()).unwrap();
    assert_eq!(open(), Ok(()));
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(open().unwrap_err().contains("chmod"), "every user could read it");
}
