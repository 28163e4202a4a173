//! How connections and the server start and end, also without file descriptors.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::{Site, TIMEOUT, one, to_end};

const ASK: &[u8] = b"GET /shop/x HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_many_requests() {
    let site = Site::start();
    let mut stream = site.connect().await;
    for _ in 0..20 {
        stream.write_all(ASK).await.unwrap();
        assert_eq!(one(&mut stream).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed() {
    let site = Site::with(|config| config.limits.idle_time = Duration::from_millis(300));
    let mut stream = site.connect().await;
    stream.write_all(ASK).await.unwrap();
    assert_eq!(one(&mut stream).await.status, 200);
    // The first check of a connection comes after the time for its head, 10 s by default; here it is shorter.
    let quick = Site::with(|config| {
        config.limits.idle_time = Duration::from_millis(300);
        config.limits.header_time = Duration::from_millis(200);
    });
    let mut stream = quick.connect().await;
    stream.write_all(ASK).await.unwrap();
    assert_eq!(one(&mut stream).await.status, 200);
    assert_eq!(to_end(&mut stream).await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_finishes_running_requests_and_refuses_new_connections() {
    let mut site = Site::start();
    let mut held = site.connect().await;
    held.write_all(b"GET /shop/held HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut idle = site.connect().await;
    idle.write_all(ASK).await.unwrap();
    assert_eq!(one(&mut idle).await.status, 200);
    site.hold.arrived().await;
    let started = Instant::now();
    site.stop();
    assert_eq!(to_end(&mut idle).await, b"", "an idle connection is closed at once");
    assert!(started.elapsed() < Duration::from_millis(500));
    assert!(TcpStream::connect(site.address).await.is_err());
    site.hold.release();
    let reply = one(&mut held).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "held"));
    assert_eq!(to_end(&mut held).await, b"", "a connection closes after its last response");
    timeout(TIMEOUT, &mut site.running).await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_exceed_the_drain_time_are_cut_off() {
    let mut site = Site::with(|config| config.limits.drain_time = Duration::from_millis(300));
    let mut stuck = site.connect().await;
    stuck
        .write_all(b"POST /shop/echo HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
        .await
        .unwrap();
    let mut reply = [0; 25];
    timeout(TIMEOUT, stuck.read_exact(&mut reply)).await.expect("the request does not run").unwrap();
    assert_eq!(&reply, b"HTTP/1.1 100 Continue\r\n\r\n");
    stuck.write_all(b"ab").await.unwrap();
    let started = Instant::now();
    site.stop();
    timeout(TIMEOUT, &mut site.running).await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(to_end(&mut stuck).await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_for_a_permit() {
    let site = Site::with(|config| config.limits.connections = 2);
    let (mut first, mut second, mut third) = (site.connect().await, site.connect().await, site.connect().await);
    for stream in [&mut first, &mut second] {
        stream.write_all(ASK).await.unwrap();
        assert_eq!(one(stream).await.status, 200);
    }
    third.write_all(ASK).await.unwrap();
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(200), third.read(&mut byte)).await.is_err(), "served beyond the limit");
    drop(first);
    assert_eq!(one(&mut third).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_addresses_are_served_and_the_error_names_an_occupied_one() {
    let site = Site::with(|config| config.listen.push("[::1]:0".parse().unwrap()));
    assert_eq!(site.get("/shop/x").await.status, 200);
    let config = super::Config {
        listen: vec![site.address],
        tls: None,
        mounts: vec![],
        feeds: vec![],
        ops: crate::manifest::Ops::Public,
        affinity: Default::default(),
        proxies: Default::default(),
        hsts_days: 0,
        dev: None,
        limits: super::Limits::default(),
    };
    let contexts = super::contexts(&Default::default());
    let outboxes: super::Outboxes = std::sync::Arc::new(|_| None);
    let error = super::Server::bind_contexts(config, contexts, &outboxes, &prometheus::Registry::new()).err().unwrap();
    assert_eq!(error.to_string(), format!("cannot listen on {}", site.address));
}

/// The limit on open files applies to a whole process, so the test runs in a child process.
#[test]
fn accepting_resumes_when_file_descriptors_are_free_again() {
    let name = "http::tests::lifecycle::child_without_file_descriptors";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&child.stderr));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "lowers the limits of its process: the test above runs it"]
async fn child_without_file_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let site = Site::start();
    // It stays open: a server that closes its end later would have a descriptor to accept with.
    let mut open = site.connect().await;
    open.write_all(ASK).await.unwrap();
    assert_eq!(one(&mut open).await.status, 200);
    let waiting = TcpSocket::new_v4().unwrap();
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(64);
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut fillers = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        fillers.push(file);
    }
    let mut stream = waiting.connect(site.address).await.unwrap();
    stream.write_all(ASK).await.unwrap();
    let mut byte = [0];
    assert!(
        timeout(Duration::from_millis(300), stream.read(&mut byte)).await.is_err(),
        "accepted without a descriptor"
    );
    drop(fillers);
    assert_eq!(one(&mut stream).await.status, 200);
    open.write_all(ASK).await.unwrap();
    assert_eq!(one(&mut open).await.status, 200);
}
