//! The same shop as seven processes that speak HTTP and JSON over loopback, on connections that stay open.
//!
//! Each service has the file of its context, runs its statements, and does for an order what its context does: a commit
//! of its own for each call that changes something. A service that asks others has a thread, and connections of its
//! own, for each of its clients, so that no pool has to be asked.

pub mod client;
mod finance;
mod orders;
mod reading;
mod recommendation;
mod storefront;
mod warehouse;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use serde::Serialize;

pub use finance::finance;
pub use orders::orders;
pub use reading::{catalog, customer};
pub use recommendation::recommendation;
pub use storefront::storefront;
pub use warehouse::warehouse;
pub use wire::Item;

use super::server::{self, Answer, answer, json};
use super::writer::Writer;

/// A service and its file.
pub struct Service {
    file: PathBuf,
    /// The read-only services have none.
    writer: Option<Writer>,
    /// The functions that change something, and so wait for others and for the disk.
    changes: &'static [&'static str],
    /// What it is asked, and how it answers: the function's name and its arguments as JSON.
    answer: fn(&Service, &str, &[u8]) -> Result<Vec<u8>>,
}

impl Service {
    fn writer(&self) -> Result<&Writer> {
        self.writer.as_ref().context("this service changes nothing")
    }

    /// Answers until the process gets a signal to end.
    fn run(self) -> Result<()> {
        let service = Arc::new(self);
        server::serve(move || {
            let service = service.clone();
            move |request| respond(service.clone(), request)
        })
    }
}

async fn respond(service: Arc<Service>, request: Request<Incoming>) -> Answer {
    let (function, body) = match read(request).await {
        Ok(read) => read,
        Err(error) => return answer(400, "text/plain; charset=utf-8", format!("{error:#}\n")),
    };
    let work = || (service.answer)(&service, &function, &body);
    // Meanwhile this thread's other connections go on on another one.
    answered(if service.changes.contains(&&*function) { tokio::task::block_in_place(work) } else { work() })
}

/// The function that is asked for, and its arguments.
async fn read(request: Request<Incoming>) -> Result<(String, bytes::Bytes)> {
    let function = request.uri().path().trim_start_matches('/').to_owned();
    Ok((function, request.into_body().collect().await?.to_bytes()))
}

fn answered(body: Result<Vec<u8>>) -> Answer {
    match body {
        Ok(json) => answer(200, "application/json", json),
        Err(error) => answer(500, "text/plain; charset=utf-8", format!("{error:#}\n")),
    }
}

fn said(answer: &impl Serialize) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(answer)?)
}

fn unknown(function: &str) -> Result<Vec<u8>> {
    bail!("there is no function `{function}`")
}

/// What a teller answers.
pub fn item(id: u64) -> Item {
    Item {
        id,
        title: format!("Long Player number {id}"),
        price: 999 + u32::try_from(id % 1000).unwrap_or(0),
        tags: vec!["vinyl".to_owned(), "reissue".to_owned(), "stereo".to_owned()],
    }
}

/// Answers `/ID`.
pub fn teller() -> Result<()> {
    server::serve(|| {
        |request: Request<Incoming>| {
            let id: Option<u64> = request.uri().path().trim_start_matches('/').parse().ok();
            std::future::ready(json(Ok(id.filter(|id| *id > 0).map(item))))
        }
    })
}
