//! The same shop as four processes that speak HTTP and JSON over loopback, on connections that stay open.
//!
//! Each connection to the storefront has its own connections to the services, so that no pool has to be asked.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use serde::de::DeserializeOwned;
use storefront::seams;
use tokio::sync::Mutex;

use super::database::with;
use super::monolith::{asked, rendered};
use super::server::{self, answer, json};
use super::wire;
use crate::load;

/// As many as the album page asks for.
const SUGGESTIONS: u32 = 6;

pub fn catalog(databases: PathBuf) -> Result<()> {
    service(databases, |open, skus| {
        let albums = open.albums(skus)?;
        Ok(serde_json::to_vec(&albums.into_iter().map(wire::Album::from).collect::<Vec<_>>())?)
    })
}

pub fn warehouse(databases: PathBuf) -> Result<()> {
    service(databases, |open, skus| {
        let levels = open.levels(skus)?;
        Ok(serde_json::to_vec(&levels.into_iter().map(wire::Level::from).collect::<Vec<_>>())?)
    })
}

pub fn recommendation(databases: PathBuf) -> Result<()> {
    service(databases, |open, skus| {
        let suggestions = open.suggest(skus, SUGGESTIONS)?;
        Ok(serde_json::to_vec(&suggestions.into_iter().map(wire::Suggestion::from).collect::<Vec<_>>())?)
    })
}

/// Answers `/SKU,SKU,...` with what `work` makes of the SKUs.
fn service(databases: PathBuf, work: fn(&super::database::Databases, &[&str]) -> Result<Vec<u8>>) -> Result<()> {
    let databases = Arc::new(databases);
    server::serve(move || {
        let databases = databases.clone();
        move |request: Request<Incoming>| {
            let skus: Vec<&str> = request.uri().path().trim_start_matches('/').split(',').collect();
            std::future::ready(match with(&databases, |open| work(open, &skus)) {
                Ok(json) => answer(200, "application/json", json),
                Err(error) => answer(500, "text/plain; charset=utf-8", format!("{error:#}\n")),
            })
        }
    })
}

/// Answers `/ID`.
pub fn teller() -> Result<()> {
    server::serve(|| {
        |request: Request<Incoming>| {
            let id: Option<u64> = request.uri().path().trim_start_matches('/').parse().ok();
            std::future::ready(json(Ok(id.filter(|id| *id > 0).map(|id| wire::Item {
                id,
                title: format!("Long Player number {id}"),
                price: 999 + u32::try_from(id % 1000).unwrap_or(0),
                tags: vec!["vinyl".to_owned(), "reissue".to_owned(), "stereo".to_owned()],
            }))))
        }
    })
}

/// The storefront; `services` are catalog, warehouse, recommendation.
pub fn storefront(services: [SocketAddr; 3]) -> Result<()> {
    server::serve(move || {
        let remote = Arc::new(Mutex::new(Remote { addresses: services, open: [None, None, None] }));
        move |request: Request<Incoming>| {
            let remote = remote.clone();
            async move {
                match page(&mut *remote.lock().await, &request).await {
                    Ok(page) => rendered(page),
                    Err(error) => answer(502, "text/plain; charset=utf-8", format!("{error:#}\n")),
                }
            }
        }
    })
}

/// Asks first, then renders from the answers: the same three questions that the page asks.
async fn page(remote: &mut Remote, request: &Request<Incoming>) -> Result<seams::Response> {
    let asked = asked(request);
    let sku = asked.path.strip_prefix("/albums/").context("the split serves album pages only")?;
    let suggestions: Vec<wire::Suggestion> = remote.ask(Service::Recommendation, &format!("/{sku}")).await?;
    let skus = suggestions.iter().fold(format!("/{sku}"), |skus, suggestion| skus + "," + &suggestion.sku);
    let albums: Vec<wire::Album> = remote.ask(Service::Catalog, &skus).await?;
    let shown = albums.iter().filter(|album| !album.discontinued || album.sku == sku);
    let skus: Vec<&str> = shown.map(|album| album.sku.as_str()).collect();
    let levels: Vec<wire::Level> = remote.ask(Service::Warehouse, &format!("/{}", skus.join(","))).await?;
    let answers = Answers {
        suggestions: Cell::new(suggestions.into_iter().map(Into::into).collect()),
        albums: Cell::new(albums.into_iter().map(Into::into).collect()),
        levels: Cell::new(levels.into_iter().map(Into::into).collect()),
    };
    Ok(storefront::handle(&asked, &answers))
}

#[derive(Clone, Copy)]
enum Service {
    Catalog,
    Warehouse,
    Recommendation,
}

/// The services, and the connections to them that are open.
struct Remote {
    addresses: [SocketAddr; 3],
    open: [Option<SendRequest<Empty<Bytes>>>; 3],
}

impl Remote {
    async fn ask<T: DeserializeOwned>(&mut self, service: Service, path: &str) -> Result<T> {
        let (address, open) = match service {
            Service::Catalog => (self.addresses[0], &mut self.open[0]),
            Service::Warehouse => (self.addresses[1], &mut self.open[1]),
            Service::Recommendation => (self.addresses[2], &mut self.open[2]),
        };
        let connection = match open {
            Some(connection) => connection,
            None => open.insert(load::connect(address).await?),
        };
        let (status, body) = load::get(connection, path).await?;
        if status != 200 {
            bail!("http://{address}{path} answers {status}");
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// What the services have said; each is asked for once.
struct Answers {
    suggestions: Cell<Vec<seams::Suggestion>>,
    albums: Cell<Vec<seams::Album>>,
    levels: Cell<Vec<seams::Level>>,
}

impl seams::Seams for Answers {
    fn albums(&self, _: &[&str]) -> Result<Vec<seams::Album>, seams::Trouble> {
        Ok(self.albums.take())
    }

    fn levels(&self, _: &[&str]) -> Result<Vec<seams::Level>, seams::Trouble> {
        Ok(self.levels.take())
    }

    fn suggest(&self, _: &[&str], _: u32) -> Result<Vec<seams::Suggestion>, seams::Trouble> {
        Ok(self.suggestions.take())
    }

    fn search(&self, _: &str, _: u32, _: u32) -> Result<seams::AlbumPage, seams::Trouble> {
        Err(seams::Trouble::Absent)
    }

    fn browse(&self, _: seams::Filter<'_>, _: u32, _: u32) -> Result<seams::AlbumPage, seams::Trouble> {
        Err(seams::Trouble::Absent)
    }

    fn facets(&self) -> Result<seams::Facets, seams::Trouble> {
        Err(seams::Trouble::Absent)
    }
}
