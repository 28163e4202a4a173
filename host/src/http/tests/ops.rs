//! Who gets the pages of operators.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Reply, Site, to_end};
use crate::manifest::{Network, Ops};

const PAGES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The status of `path` with this head, which has `PATH` in it.
async fn status(site: &Site, path: &str, head: &str) -> u16 {
    let head = format!("{}connection: close\r\n\r\n", head.replace("PATH", path));
    site.raw(head.as_bytes()).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_only_this_machine_gets_them() {
    let site = Site::with(|config| config.ops = Ops::Loopback);
    for path in PAGES {
        for host in ["127.0.0.1:80", "localhost", "LocalHost:8080", "[::1]:80", "127.8.0.1"] {
            let head = format!("GET PATH HTTP/1.1\r\nhost: {host}\r\n");
            assert_eq!(status(&site, path, &head).await, 200, "{path} {host}");
        }
        // What customers send through a proxy on this machine.
        for (what, head) in [
            ("by name", "GET PATH HTTP/1.1\r\nhost: shop.example\r\n"),
            ("by another name", "GET PATH HTTP/1.1\r\nhost: localhost.shop.example\r\n"),
            ("by an address", "GET PATH HTTP/1.1\r\nhost: 192.0.2.1\r\n"),
            ("named", "GET PATH HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: 203.0.113.1\r\n"),
            ("named as this machine", "GET PATH HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: 127.0.0.1\r\n"),
            ("real", "GET PATH HTTP/1.1\r\nhost: localhost\r\nx-real-ip: 203.0.113.1\r\n"),
            ("forwarded", "GET PATH HTTP/1.1\r\nhost: localhost\r\nforwarded: for=127.0.0.1\r\n"),
            ("via", "GET PATH HTTP/1.1\r\nhost: localhost\r\nvia: 1.1 edge\r\n"),
            ("through a network", "GET PATH HTTP/1.1\r\nhost: localhost\r\ncf-ray: 1\r\n"),
            ("through a balancer", "GET PATH HTTP/1.1\r\nhost: localhost\r\nx-amzn-trace-id: Root=1\r\n"),
            ("by the client's header", "GET PATH HTTP/1.1\r\nhost: localhost\r\ntrue-client-ip: 127.0.0.1\r\n"),
            ("by another site's page", "GET PATH HTTP/1.1\r\nhost: localhost\r\nsec-fetch-site: cross-site\r\n"),
            ("by a rebound name", "GET PATH HTTP/1.1\r\nhost: rebound.example\r\nsec-fetch-site: same-origin\r\n"),
            ("as nginx asks", "GET PATH HTTP/1.0\r\nhost: 127.0.0.1:8080\r\n"),
        ] {
            assert_eq!(status(&site, path, head).await, 404, "{path} {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_on_this_machine_does_not_pass_them_on() {
    let site = Site::with(|config| {
        config.ops = Ops::Loopback;
        config.proxies.trusted = vec![Network::parse("127.0.0.1").unwrap()];
    });
    let head = "GET PATH HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: ";
    assert_eq!(status(&site, "/metrics", &format!("{head}203.0.113.1\r\n")).await, 404);
    assert_eq!(status(&site, "/metrics", &format!("{head}127.0.0.1, 203.0.113.1\r\n")).await, 404);
    assert_eq!(status(&site, "/metrics", &format!("{head}127.0.0.1\r\n")).await, 200);
    assert_eq!(status(&site, "/metrics", "GET PATH HTTP/1.1\r\nhost: localhost\r\n").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn off_means_nowhere_and_public_means_everywhere() {
    for (ops, expect) in [(Ops::Off, 404), (Ops::Public, 200)] {
        let site = Site::with(|config| config.ops = ops);
        for path in PAGES {
            for host in ["localhost", "shop.example"] {
                let head = format!("GET PATH HTTP/1.1\r\nhost: {host}\r\n");
                assert_eq!(status(&site, path, &head).await, expect, "{ops:?} {path} {host}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_their_own_has_them_and_nothing_else() {
    let site = Site::with(|config| {
        config.ops = Ops::Address("127.0.0.1:0".parse().unwrap());
        config.limits.connections = 1;
    });
    let head = "GET PATH HTTP/1.1\r\nhost: localhost\r\n";
    for path in PAGES {
        assert_eq!(status(&site, path, head).await, 404, "customers do not get {path}");
    }
    assert_eq!(site.get("/shop/page").await.status, 200);
    // A customer who has taken the last connection does not keep operators out.
    let _customer = site.connect().await;
    for (path, expect) in PAGES.map(|path| (path, 200)).into_iter().chain([("/shop/page", 404), ("/", 404)]) {
        let mut stream = TcpStream::connect(site.ops_address.unwrap()).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(Reply::parse(&to_end(&mut stream).await).status, expect, "{path}");
    }
}
