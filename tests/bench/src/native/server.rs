//! hyper over HTTP/1.1 on a port of the system's choice, until SIGTERM.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

pub type Answer = Response<Full<Bytes>>;

/// Serves with one `handler` for each connection, made by `connect`; so a handler may own what is not shared.
pub fn serve<H, F>(connect: impl Fn() -> H + Send + Sync + 'static) -> anyhow::Result<()>
where
    H: Fn(Request<Incoming>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut end = signal(SignalKind::terminate())?;
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        eprintln!("serving on http://{}", listener.local_addr()?);
        loop {
            tokio::select! {
                _ = end.recv() => return Ok(()),
                accepted = listener.accept() => {
                    let (stream, _) = accepted?;
                    tokio::spawn(connection(stream, connect()));
                }
            }
        }
    })
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
