//! The shop over HTTP for those who only look: its pages, bad addresses, caches, and what operators see of the host.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use anyhow::Result;
use seam_tests::host::Host;
use seam_tests::shop::{Shop, first_sku};

/// One running shop for all tests that only look. It ends with the last of them: what a `static` keeps is never
/// dropped, and the host would run on.
fn shop() -> Arc<(Host, Shop)> {
    static SHOP: Mutex<Weak<(Host, Shop)>> = Mutex::new(Weak::new());
    let mut running = SHOP.lock().unwrap();
    running.upgrade().unwrap_or_else(|| {
        let shop = Shop::new().unwrap();
        let host = shop.up().unwrap();
        let fresh = Arc::new((host, shop));
        *running = Arc::downgrade(&fresh);
        fresh
    })
}

#[test]
fn a_visitor_finds_an_album_by_search_by_genre_and_by_its_neighbours() -> Result<()> {
    let shop = shop();
    let (host, _) = &*shop;
    let home = host.get("/")?;
    assert_eq!(home.status, 200, "{}", home.text());
    assert!(home.text().contains("MusicCorp"));
    let found = host.get("/search?q=miles%20davis")?;
    assert_eq!(found.status, 200);
    let sku = first_sku(&found.text())?;
    let album = host.get(&format!("/albums/{sku}"))?;
    assert_eq!(album.status, 200);
    let text = album.text();
    assert!(text.contains("Miles Davis"), "{text}");
    assert!(text.contains("/covers/"), "{text}");
    let others = text.split("href=\"/albums/").skip(1).filter_map(|after| after.split('"').next());
    let next = others.into_iter().find(|other| *other != sku).expect("something that goes with it");
    assert_eq!(host.get(&format!("/albums/{next}"))?.status, 200);
    assert_eq!(host.get("/browse?genre=Jazz")?.status, 200);
    let cover = host.get(&format!("/covers/{sku}.svg"))?;
    assert_eq!((cover.status, cover.header("content-type")), (200, Some("image/svg+xml")));
    Ok(())
}

#[test]
fn accents_are_found_without_accents() -> Result<()> {
    let found = shop().0.get("/search?q=bjork")?.text();
    assert!(found.contains("Björk"), "{found}");
    Ok(())
}

#[test]
fn bad_input_gets_a_page_of_the_400_kind_and_nothing_of_the_500_kind() -> Result<()> {
    let shop = shop();
    let (host, _) = &*shop;
    let long = format!("/search?q={}", "a".repeat(5000));
    for path in [
        "/browse?page=0",
        "/browse?page=abc",
        "/browse?page=99999999999999999999",
        "/browse?page=-1",
        "/browse?decade=1955x",
        "/browse?genre=%00",
        "/browse?genre=%ff%fe",
        "/search?q=%",
        "/search?q=%22%22%22%20AND%20(",
        "/search?q=*",
        "/search?q='%3B%20DROP%20TABLE%20albums%3B--",
        "/search?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/search",
        "/albums/",
        "/albums/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/albums/NO-SUCH",
        "/covers/NO-SUCH.svg",
        "/covers/../../../etc/passwd",
        "/assets/../../seam.toml",
        "/assets/%2e%2e/%2e%2e/seam.toml",
        "/no/such/page",
        &long,
    ] {
        let answer = host.get(path)?;
        assert!(answer.status < 500, "{path}: {}", answer.status);
        let text = answer.text();
        assert!(!text.contains("<script>alert"), "{path}: {text}");
        assert!(!text.contains("[host]") && !text.contains("root:"), "{path}: {text}");
    }
    assert_eq!(host.get("/albums/NO-SUCH")?.status, 404);
    assert_eq!(host.get("/no/such/page")?.status, 404);
    Ok(())
}

#[test]
fn pages_can_be_cached_and_compressed_and_carry_their_protection() -> Result<()> {
    let shop = shop();
    let (host, _) = &*shop;
    let page = host.get("/browse?genre=Jazz")?;
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("default-src") && !policy.contains("unsafe-inline"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let tag = page.header("etag").unwrap();
    let again = host.get_with("/browse?genre=Jazz", &[("if-none-match", tag)])?;
    assert_eq!((again.status, again.body.len()), (304, 0));
    for encoding in ["gzip", "br"] {
        let packed = host.get_with("/browse?genre=Jazz", &[("accept-encoding", encoding)])?;
        assert_eq!(packed.header("content-encoding"), Some(encoding));
        assert!(packed.body.len() * 2 < page.body.len());
    }
    Ok(())
}

#[test]
fn one_id_follows_a_request_and_the_operators_see_it() -> Result<()> {
    let shop = shop();
    let (host, _) = &*shop;
    let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = host.get_with("/", &[("traceparent", sent)])?;
    let id = answer.header("traceparent").unwrap().split('-').nth(1).unwrap().to_owned();
    assert!(!sent.contains(&id), "a client does not choose the id");
    host.log_line(&[&id, "4bf92f3577b34da6a3ce929d0e0e4736"])?;
    assert_eq!(host.get("/healthz")?.status, 200);
    assert_eq!(host.get("/readyz")?.status, 200);
    let metrics = shop.1.host_of(host, "catalog").get("/metrics")?.text();
    assert!(metrics.contains("seam_call_duration_seconds_count{context=\"catalog\"}"), "{metrics}");
    Ok(())
}

#[test]
fn an_operator_sees_what_runs_and_calls_it() -> Result<()> {
    let shop = shop();
    let (host, shop) = &*shop;
    host.get("/")?;
    let contexts = shop.seam(&["contexts", "--format", "json"])?;
    let contexts: serde_json::Value = serde_json::from_str(&contexts)?;
    let names = contexts.as_array().into_iter().flatten().map(|one| one["context"].to_string());
    assert_eq!(names.collect::<BTreeSet<_>>().len(), 7, "{contexts}");
    let answer = shop.seam(&["call", "catalog", r#"albums.search("kind of blue", {page: 1, size: 1})"#])?;
    assert!(answer.contains("Miles Davis"), "{answer}");
    Ok(())
}

#[test]
fn a_shop_that_was_killed_starts_with_all_its_data_and_seeds_nothing_twice() -> Result<()> {
    let shop = Shop::new()?;
    let host = shop.up()?;
    let before = host.get("/search?q=coltrane")?.text();
    host.kill()?;
    let host = shop.up()?;
    assert_eq!(host.get("/search?q=coltrane")?.text(), before);
    assert!(host.stop(Duration::from_secs(10))?.success());
    Ok(())
}

#[test]
fn a_second_host_on_the_same_data_is_refused() -> Result<()> {
    let shop = shop();
    let (_, shop) = &*shop;
    let Err(error) = shop.up() else { panic!("two hosts share one folder") };
    assert!(format!("{error:#}").contains("another host"), "{error:#}");
    Ok(())
}
