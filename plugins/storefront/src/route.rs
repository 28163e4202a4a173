//! From a request to a page.
//!
//! The addresses are absolute and start at the root: the shop is mounted at `/`.

use std::borrow::Cow;

use crate::href::Encoded;
use crate::pages::{self, Problem};
use crate::params::{self, Params};
use crate::reply::{Freshness, Kind, Reply};
use crate::seams::{Request, Response, Seams};

/// Bytes of a SKU, as the contexts take them.
const SKU_BYTES_MAX: usize = 32;
const METHODS: &str = "GET, HEAD";
/// Crawlers get the albums; endless combinations of filters and words are not worth their while.
const ROBOTS: &str = "User-agent: *\nDisallow: /search\nDisallow: /browse?*&\n";

/// A page that exists, as far as its address says.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    Home,
    Search,
    Browse,
    Album(Cow<'a, str>),
    Cover(Cow<'a, str>),
    Robots,
    /// Known under another address.
    Moved(String),
}

/// Answers one request, whatever it contains.
pub fn handle(request: &Request, seams: &impl Seams) -> Response {
    if request.method != "GET" && request.method != "HEAD" {
        let mut reply = pages::problem(Problem::Method);
        reply.headers.push(("allow", METHODS.into()));
        return reply.respond(request);
    }
    answer(request, seams).unwrap_or_else(pages::problem).respond(request)
}

fn answer(request: &Request, seams: &impl Seams) -> Result<Reply, Problem> {
    let query = request.query.as_deref();
    match route(&request.path)? {
        Route::Home => pages::home(seams),
        Route::Search => pages::search(&Params::parse(query).map_err(Problem::Bad)?, seams),
        Route::Browse => pages::browse(&Params::parse(query).map_err(Problem::Bad)?, seams),
        Route::Album(sku) => pages::album(&sku, seams),
        Route::Cover(sku) => {
            let version = Params::parse(query).map_err(Problem::Bad)?.v;
            Ok(pages::cover(&sku, version.as_deref(), seams))
        }
        Route::Robots => Ok(Reply {
            status: 200,
            kind: Kind::Text,
            freshness: Freshness::Day,
            headers: Vec::new(),
            body: ROBOTS.into(),
        }),
        Route::Moved(to) => Ok(Reply::moved(to)),
    }
}

fn route(path: &str) -> Result<Route<'_>, Problem> {
    if path == "/" || path.is_empty() {
        return Ok(Route::Home);
    }
    let Some(relative) = path.strip_prefix('/') else { return Err(Problem::NotFound) };
    let trimmed = relative.strip_suffix('/');
    let mut segments = trimmed.unwrap_or(relative).split('/');
    let route = match (segments.next(), segments.next(), segments.next()) {
        (Some("search"), None, _) => Route::Search,
        (Some("browse"), None, _) => Route::Browse,
        (Some("robots.txt"), None, _) if trimmed.is_none() => return Ok(Route::Robots),
        (Some("albums"), None, _) => return Ok(Route::Moved("/browse".into())),
        (Some("albums"), Some(sku), None) => Route::Album(self::sku(sku)?),
        (Some("covers"), Some(file), None) if trimmed.is_none() => match file.strip_suffix(".svg") {
            Some(sku) => return Ok(Route::Cover(self::sku(sku)?)),
            None => return Err(Problem::NotFound),
        },
        _ => return Err(Problem::NotFound),
    };
    if trimmed.is_none() {
        return Ok(route);
    }
    // The address is made from what was understood, never copied from the request: `//elsewhere/` leads nowhere.
    Ok(Route::Moved(match route {
        Route::Search => "/search".into(),
        Route::Browse => "/browse".into(),
        Route::Album(sku) => format!("/albums/{}", Encoded(&sku)),
        _ => return Err(Problem::NotFound),
    }))
}

/// A SKU as its interface describes it: capital letters, digits and hyphens. Of anything else nobody needs to be asked.
fn sku(segment: &str) -> Result<Cow<'_, str>, Problem> {
    let sku = params::decode(segment, false).map_err(Problem::Bad)?;
    let known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    let possible = (1..=SKU_BYTES_MAX).contains(&sku.len()) && sku.bytes().all(known);
    if possible { Ok(sku) } else { Err(Problem::NotFound) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_where_they_say() {
        let long = format!("/albums/{}", "X".repeat(SKU_BYTES_MAX + 1));
        for (path, expected) in [
            ("/", Some(Route::Home)),
            ("", Some(Route::Home)),
            ("/search", Some(Route::Search)),
            ("/browse", Some(Route::Browse)),
            ("/robots.txt", Some(Route::Robots)),
            ("/albums/A-1", Some(Route::Album("A-1".into()))),
            ("/albums/A%2d1", Some(Route::Album("A-1".into()))),
            ("/albums/A%201", None),
            ("/albums/a-1", None),
            ("/covers/A-1.svg", Some(Route::Cover("A-1".into()))),
            ("/browse/", Some(Route::Moved("/browse".into()))),
            ("/albums", Some(Route::Moved("/browse".into()))),
            ("/albums/", Some(Route::Moved("/browse".into()))),
            ("/albums/A%2d1/", Some(Route::Moved("/albums/A-1".into()))),
            ("/albums/A%2f1", None),
            ("//elsewhere.example/", None),
            ("//", None),
            ("/covers/A-1.png", None),
            ("/covers/.svg", None),
            ("/albums//", None),
            ("/albums/a/b", None),
            ("/search/x", None),
            ("/Browse", None),
            ("*", None),
            ("/../etc/passwd", None),
            (long.as_str(), None),
        ] {
            assert_eq!(route(path).ok(), expected, "{path}");
        }
    }
}
