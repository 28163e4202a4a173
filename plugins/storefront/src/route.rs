//! From a request to a page.
//!
//! The addresses are absolute and start at the root: the shop is mounted at `/`.

use std::borrow::Cow;

use crate::cart::is_sku;
use crate::csrf;
use crate::form::Form;
use crate::href::Encoded;
use crate::office;
use crate::pages::{self, Problem};
use crate::params::{self, Params};
use crate::reply::{Freshness, Kind, Reply};
use crate::seams::{Request, Response, Seams};
use crate::visit::Visit;

const READ: &str = "GET, HEAD";
const READ_AND_WRITE: &str = "GET, HEAD, POST";
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
    /// The operator's side: the path below `/office`.
    Office(&'a str),
    /// Known under another address.
    Moved(String),
}

impl Route<'_> {
    fn methods(&self) -> &'static str {
        match self {
            Route::Office(_) => READ_AND_WRITE,
            _ => READ,
        }
    }
}

/// Answers one request, whatever it contains.
pub fn handle(request: &Request, seams: &impl Seams) -> Response {
    let visit = Visit::of(request);
    let reply = answer(request, &visit, seams).unwrap_or_else(|problem| pages::problem(problem, &visit));
    reply.to(&visit).respond(request)
}

fn answer(request: &Request, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let route = route(&request.path)?;
    let methods = route.methods();
    match request.method.as_str() {
        "GET" | "HEAD" => read(route, request.query.as_deref(), visit, seams),
        "POST" if methods != READ => {
            let form = form(request, visit)?;
            write(route, &form, visit, seams)
        }
        _ => Err(Problem::Method(methods)),
    }
}

/// The form, when it is one of ours from one of our pages.
fn form<'a>(request: &'a Request, visit: &Visit<'_>) -> Result<Form<'a>, Problem> {
    if !csrf::same_origin(request) {
        return Err(Problem::Foreign);
    }
    let form = Form::of(request).map_err(Problem::Unreadable)?;
    if !visit.gave_out(&form) {
        return Err(Problem::Stale);
    }
    Ok(form)
}

fn read(route: Route<'_>, query: Option<&str>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let params = || Params::parse(query).map_err(Problem::Bad);
    match route {
        Route::Home => pages::home(visit, seams),
        Route::Search => pages::search(&params()?, visit, seams),
        Route::Browse => pages::browse(&params()?, visit, seams),
        Route::Album(sku) => pages::album(&sku, visit, seams),
        Route::Cover(sku) => Ok(pages::cover(&sku, params()?.v.as_deref(), seams)),
        Route::Robots => Ok(Reply {
            status: 200,
            kind: Kind::Text,
            freshness: Freshness::Day,
            headers: Vec::new(),
            body: ROBOTS.into(),
        }),
        Route::Office(path) => office::read(path, query, visit, seams),
        Route::Moved(to) => Ok(Reply::moved(to)),
    }
}

/// What a form of ours wants done.
fn write(route: Route<'_>, form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    match route {
        Route::Office(path) => office::write(path, form, visit, seams),
        _ => Err(Problem::Method(READ)),
    }
}

fn route(path: &str) -> Result<Route<'_>, Problem> {
    if path == "/" || path.is_empty() {
        return Ok(Route::Home);
    }
    let Some(relative) = path.strip_prefix('/') else { return Err(Problem::NotFound) };
    if let Some(below) = relative.strip_prefix("office")
        && (below.is_empty() || below.starts_with('/'))
    {
        return Ok(Route::Office(below));
    }
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
    if is_sku(&sku) { Ok(sku) } else { Err(Problem::NotFound) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cart::SKU_BYTES_MAX;

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
            ("/office", Some(Route::Office(""))),
            ("/office/orders/7", Some(Route::Office("/orders/7"))),
            ("/offices", None),
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
