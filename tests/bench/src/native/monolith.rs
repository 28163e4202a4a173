//! Everything in one process: the storefront's pages, and the rows of the other contexts one function call away.

use std::path::PathBuf;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use storefront::seams;

use super::database::{Databases, with};
use super::server::{self, Answer, answer, json};

pub fn run(databases: PathBuf) -> anyhow::Result<()> {
    let databases = Arc::new(databases);
    server::serve(move || {
        let databases = databases.clone();
        move |request| std::future::ready(respond(&databases, &request))
    })
}

fn respond(databases: &std::path::Path, request: &Request<Incoming>) -> Answer {
    let path = request.uri().path();
    if path == "/bench/hello" {
        return answer(200, "text/plain; charset=utf-8", "Hello from the shop\n");
    }
    if let Some(sku) = path.strip_prefix("/bench/items/") {
        return json(with(databases, |open| open.item(sku)));
    }
    let page = with(databases, |open| Ok(storefront::handle(&asked(request), open)));
    match page {
        Ok(page) => rendered(page),
        Err(error) => answer(500, "text/plain; charset=utf-8", format!("{error:#}\n")),
    }
}

/// The request as the storefront takes it, with the one header that it reads.
pub fn asked(request: &Request<Incoming>) -> seams::Request {
    let tag = request.headers().get(http::header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    seams::Request {
        method: request.method().as_str().to_owned(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers: tag.map(|tag| ("if-none-match".to_owned(), tag.to_owned())).into_iter().collect(),
        body: Vec::new(),
    }
}

/// The storefront's answer as hyper takes it.
pub fn rendered(page: seams::Response) -> Answer {
    let mut response = http::Response::builder().status(page.status);
    for (name, value) in page.headers {
        response = response.header(name, value);
    }
    match response.body(http_body_util::Full::new(page.body.into())) {
        Ok(response) => response,
        Err(error) => answer(500, "text/plain; charset=utf-8", format!("{error}\n")),
    }
}

impl seams::Seams for Databases {
    fn albums(&self, skus: &[&str]) -> Result<Vec<seams::Album>, seams::Trouble> {
        self.albums(skus).map_err(absent)
    }

    fn levels(&self, skus: &[&str]) -> Result<Vec<seams::Level>, seams::Trouble> {
        self.levels(skus).map_err(absent)
    }

    fn suggest(&self, skus: &[&str], count: u32) -> Result<Vec<seams::Suggestion>, seams::Trouble> {
        self.suggest(skus, count).map_err(absent)
    }

    // The bench asks for album pages only; these belong to pages that it does not compare.
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

fn absent(error: anyhow::Error) -> seams::Trouble {
    eprintln!("a query failed: {error:#}");
    seams::Trouble::Absent
}
