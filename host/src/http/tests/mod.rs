//! The HTTP server over real sockets, with a function in place of the contexts.
//!
//! Clients are plain sockets wherever the bytes matter: a client library would repair what these tests break.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod development;
mod feed_tokens;
mod feeds;
mod lifecycle;
mod ops;
mod origins;
mod pages;
mod protocol;
mod renewal;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use seam_runtime::buffered_http;
use seam_runtime::call::{Call, Failure, RefusalReason};
use seam_store::blocking;
use seam_store::ids::ContextName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::guest::Contexts;
use super::own::feeds::Outboxes;
use super::{Config, Limits, Mount, Server};
use crate::manifest::{Company, Ops};

/// Longer than any step here takes, shorter than a test may hang.
const TIMEOUT: Duration = Duration::from_secs(10);

struct Site {
    address: SocketAddr,
    ops_address: Option<SocketAddr>,
    mounts: super::Mounts,
    hold: Arc<Hold>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

/// Where a request for `/held` waits in the guest until the test lets it go on.
struct Hold {
    arrived: Semaphore,
    released: Semaphore,
}

/// A mount without a host, of a context that is alone.
fn mount(path: &str, context: &str) -> Mount {
    Mount {
        host: None,
        path: path.into(),
        context: ContextName::new(context).unwrap(),
        assets: None,
        timeout: Duration::from_secs(5),
        company: Company::Alone,
        cookies: None,
        headers: Vec::new(),
    }
}

impl Site {
    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let none: Outboxes = Arc::new(|_| None);
        Self::feeding(&none, change)
    }

    /// A site whose feeds read these files.
    fn feeding(outboxes: &Outboxes, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            tls: None,
            mounts: vec![mount("/shop", "shop"), mount("/shop/desk", "desk")],
            feeds: vec![],
            ops: Ops::Public,
            affinity: Default::default(),
            proxies: Default::default(),
            hsts_days: 0,
            dev: None,
            limits: Limits::default(),
        };
        change(&mut config);
        let hold = Arc::new(Hold::default());
        let server = Server::bind_contexts(config, contexts(&hold), outboxes, &prometheus::Registry::new()).unwrap();
        let (address, ops_address, mounts) = (server.addresses()[0], server.ops_address(), server.mounts());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async { drop(stopped.await) }));
        Self { address, ops_address, mounts, hold, stop: Some(stop), running }
    }

    fn start() -> Self {
        Self::with(|_| {})
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes unchanged and reads until the server closes.
    async fn raw(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        Reply::parse(&to_end(&mut stream).await)
    }

    async fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Reply {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.raw(format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{fields}\r\n").as_bytes())
            .await
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[]).await
    }

    fn stop(&mut self) {
        drop(self.stop.take());
    }
}

impl Default for Hold {
    fn default() -> Self {
        Self { arrived: Semaphore::new(0), released: Semaphore::new(0) }
    }
}

impl Hold {
    /// Runs in the guest.
    fn wait(&self) {
        self.arrived.add_permits(1);
        blocking::block_in_place(|| blocking::block_on(timeout(TIMEOUT, self.released.acquire())))
            .unwrap()
            .unwrap()
            .forget();
    }

    /// Ready once a request waits.
    async fn arrived(&self) {
        timeout(TIMEOUT, self.arrived.acquire()).await.expect("no request arrived").unwrap().forget();
    }

    fn release(&self) {
        self.released.add_permits(1);
    }
}

async fn to_end(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset after the response (the server stopped reading) is an end, too.
    let _ = timeout(TIMEOUT, stream.read_to_end(&mut all)).await.expect("the server did not close");
    all
}

/// Reads one response with a Content-Length and leaves the connection open.
async fn one(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Reply {
    let mut all = Vec::new();
    loop {
        let reply = Reply::try_parse(&all);
        if let Some(reply) = reply
            && reply.field("content-length").and_then(|length| length.parse::<usize>().ok()) == Some(reply.body.len())
        {
            return reply;
        }
        let mut byte = [0];
        timeout(TIMEOUT, stream.read_exact(&mut byte)).await.expect("no response").expect("the server closed");
        all.push(byte[0]);
    }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        Self::try_parse(bytes).unwrap_or_else(|| panic!("not a response: {:?}", String::from_utf8_lossy(bytes)))
    }

    fn try_parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let field =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        Some(Self { status, fields: lines.filter_map(field).collect(), body: bytes[end + 4..].to_vec() })
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

fn contexts(hold: &Arc<Hold>) -> Contexts {
    let hold = hold.clone();
    Contexts::Native(Box::new(move |call, request| native(&hold, call, request)))
}

/// The function behind every mount.
fn native(hold: &Hold, call: Call, request: buffered_http::Request) -> Result<buffered_http::Response, Failure> {
    let context = || "shop".to_owned();
    let answer = |status, headers: &[(&str, &str)], body: Vec<u8>| {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Ok(buffered_http::Response { status, headers, body })
    };
    let text = |body: String| answer(200, &[("content-type", "text/plain")], body.into_bytes());
    let html = [("content-type", "text/html; charset=utf-8"), ("etag", "\"v1\""), ("cache-control", "max-age=5")];
    match request.path.as_str() {
        "/page" => answer(200, &html, page()),
        "/fixed" => answer(
            200,
            &[("content-type", "text/html"), ("cache-control", "public, no-transform"), ("etag", "\"v1\"")],
            page(),
        ),
        "/png" => answer(200, &[("content-type", "image/png")], page()),
        "/echo" => answer(200, &[("content-type", "application/octet-stream")], request.body),
        "/request" => text(format!("{} {} {:?} {:?}", request.method, request.path, request.query, request.headers)),
        "/trace" => text(format!("{:032x} {:016x}", call.trace.trace_id, call.trace.span_id)),
        "/held" => {
            hold.wait();
            text("held".into())
        }
        // Answers with the headers that the lines of the body name.
        "/headers" => {
            let lines = String::from_utf8(request.body).unwrap();
            let headers: Vec<_> = lines.lines().filter_map(|line| line.split_once(": ")).collect();
            answer(200, &headers, Vec::new())
        }
        "/nothing" => answer(204, &[], b"a body that must not be sent".to_vec()),
        "/trap" => Err(Failure::Trapped { context: context(), reason: "SECRET".into() }),
        "/late" => Err(Failure::TimedOut { context: context() }),
        "/busy" => Err(Failure::Overloaded { context: context() }),
        "/gone" => Err(Failure::Absent { context: context(), reason: "SECRET".into() }),
        "/circle" => Err(Failure::Refused { context: context(), reason: RefusalReason::Reentry }),
        "/panic" => panic!("SECRET"),
        "/many" => answer(200, &vec![("x-i", "1"); 30_000], Vec::new()),
        "/bad-status" => answer(42, &[], Vec::new()),
        "/bad-header" => answer(200, &[("x", "a\r\nset-cookie: b")], Vec::new()),
        path => text(format!("below {path}")),
    }
}

fn page() -> Vec<u8> {
    "<p>the quick brown fox jumps over the lazy dog</p>\n".repeat(100).into_bytes()
}
