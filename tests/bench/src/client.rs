//! An HTTP client with one keep-alive connection, with no more in it than the load needs.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;

/// An answer that takes longer than this ends the bench.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A keep-alive connection whose other half runs on this runtime.
pub struct Client {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

/// An answer with all of its body.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { address, sender })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for a page, with these cookies.
    pub async fn get(&mut self, path: &str, cookies: Option<&str>) -> Result<Answer> {
        let mut request = Request::get(path).header(http::header::HOST, "127.0.0.1");
        if let Some(cookies) = cookies {
            request = request.header(http::header::COOKIE, cookies);
        }
        self.send(path, request.body(Full::default())?).await
    }

    /// A page that has to be there.
    pub async fn page(&mut self, path: &str, cookies: Option<&str>) -> Result<Bytes> {
        let Answer { status, body, .. } = self.get(path, cookies).await?;
        if status != 200 || body.is_empty() {
            bail!("http://{}{path} answers {status} with {} bytes", self.address, body.len());
        }
        Ok(body)
    }

    /// Sends a form as a browser does.
    pub async fn post(&mut self, path: &str, cookies: &str, form: String) -> Result<Answer> {
        let request = Request::post(path)
            .header(http::header::HOST, "127.0.0.1")
            .header(http::header::COOKIE, cookies)
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin")
            .body(Full::from(form))?;
        self.send(path, request).await
    }

    async fn send(&mut self, path: &str, request: Request<Full<Bytes>>) -> Result<Answer> {
        let answer = async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            anyhow::Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        tokio::time::timeout(ANSWER_MAX, answer).await.with_context(|| format!("{path} is not answered"))?
    }
}

/// One request on a connection of its own, from outside any runtime.
pub fn get_once(address: SocketAddr, path: &str, cookies: Option<&str>) -> Result<Answer> {
    once(address, async |client| client.get(path, cookies).await)
}

/// Does `work` with a connection of its own, from outside any runtime.
pub fn once<T>(address: SocketAddr, work: impl AsyncFnOnce(&mut Client) -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { work(&mut Client::connect(address).await?).await })
}
