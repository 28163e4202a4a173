//! hyper over HTTP/1.1 on a port of the system's choice, until SIGTERM.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use storefront::seams;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

pub type Answer = Response<Full<Bytes>>;

/// What pages read of a request's headers.
const HEADERS: [&str; 8] =
    ["content-type", "cookie", "forwarded", "host", "if-none-match", "origin", "referer", "sec-fetch-site"];

/// Serves with one `handler` for each connection, made by `connect`; so a handler may own what is not shared.
pub fn serve<H, F>(connect: impl Fn() -> H + Send + Sync + 'static) -> anyhow::Result<()>
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(accept(|stream| {
        tokio::spawn(connection(stream, connect()));
        Ok(())
    }))
}

/// Hands each connection to `take`, until the process is asked to end.
async fn accept(take: impl Fn(TcpStream) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut end = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    eprintln!("serving on http://{}", listener.local_addr()?);
    loop {
        tokio::select! {
            _ = end.recv() => return Ok(()),
            accepted = listener.accept() => take(accepted?.0)?,
        }
    }
}

async fn connection<H, F>(stream: TcpStream, handler: H)
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Answer>,
{
    stream.set_nodelay(true).ok();
    let service = service_fn(|request| {
        let answer = handler(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    // The timer bounds how long a client may take for its headers, as it would in production.
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        eprintln!("a connection failed: {error}");
    }
}

/// Serves each connection on a thread of its own: its `handler` may wait for other services or the disk, and no other
/// connection waits.
pub fn serve_threads<H, F>(connect: impl Fn() -> H + Send + Sync + 'static) -> anyhow::Result<()>
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Answer>,
{
    let connect = Arc::new(connect);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(accept(|stream| {
        let (stream, connect) = (stream.into_std()?, connect.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let served = runtime.and_then(|runtime| {
                runtime.block_on(async {
                    connection(TcpStream::from_std(stream)?, connect()).await;
                    Ok(())
                })
            });
            if let Err(error) = served {
                eprintln!("a connection failed: {error}");
            }
        });
        Ok(())
    }))
}

/// The request as pages take it.
pub async fn asked(request: Request<Incoming>) -> anyhow::Result<seams::Request> {
    let (head, body) = request.into_parts();
    let header = |name: &&str| {
        let value = head.headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    };
    Ok(seams::Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: HEADERS.iter().filter_map(header).collect(),
        body: body.collect().await?.to_bytes().into(),
    })
}

/// A page as hyper takes it.
pub fn rendered(page: seams::Response) -> Answer {
    let mut response = Response::builder().status(page.status);
    for (name, value) in page.headers {
        response = response.header(name, value);
    }
    match response.body(Full::new(page.body.into())) {
        Ok(response) => response,
        Err(error) => answer(500, "text/plain; charset=utf-8", format!("{error}\n")),
    }
}

/// A question that has no answer.
pub fn absent(error: anyhow::Error) -> seams::CallError {
    eprintln!("a question has no answer: {error:#}");
    seams::CallError::Unavailable
}

/// An answer of a known media type.
pub fn answer(status: u16, media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(media_type));
    response
}

/// A row as JSON, 404 without one, 500 with the reason.
pub fn json<T: serde::Serialize>(row: anyhow::Result<Option<T>>) -> Answer {
    let text = "text/plain; charset=utf-8";
    match row.and_then(|row| Ok(row.map(|row| serde_json::to_vec(&row)).transpose()?)) {
        Ok(Some(json)) => answer(200, "application/json", json),
        Ok(None) => answer(404, text, "There is no such thing.\n"),
        Err(error) => answer(500, text, format!("{error:#}\n")),
    }
}
