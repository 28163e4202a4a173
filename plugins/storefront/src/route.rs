//! From a request to a page.
//!
//! The addresses are absolute and start at the root: the shop is mounted at `/`.

use std::borrow::Cow;

use crate::cart::is_sku;
use crate::command::{Command, command, matched};
use crate::form::Form;
use crate::href::Encoded;
use crate::office;
use crate::pages::sign::{self, Mode};
use crate::pages::{self, Problem, checkout, order, settings};
use crate::params::{self, Params};
use crate::reply::{CachePolicy, Kind, Reply};
use crate::seams::{Request, Response, Seams};
use crate::visit::Visit;

const READ: &str = "GET, HEAD";
const WRITE: &str = "POST";
const READ_AND_WRITE: &str = "GET, HEAD, POST";
/// Crawlers may read the albums, but not the endless combinations of filters and words.
const ROBOTS: &str = "User-agent: *\n\
                      Disallow: /search\n\
                      Disallow: /browse?*&\n\
                      Disallow: /cart\n\
                      Disallow: /scriptless\n\
                      Disallow: /account\n\
                      Disallow: /orders\n\
                      Disallow: /checkout\n\
                      Disallow: /sign-\n\
                      Disallow: /office\n";

/// The page that an address names. Whether it exists, the page itself finds out.
#[derive(Debug, PartialEq, Eq)]
enum Route<'a> {
    Home,
    Search,
    Browse,
    Album(Cow<'a, str>),
    Cover(Cow<'a, str>),
    Robots,
    /// What only browsers without scripts load.
    Scriptless,
    Cart,
    SignIn,
    SignUp,
    Checkout,
    Order(&'a str),
    Invoice(&'a str),
    Account,
    Statement,
    Address,
    Password,
    DeleteAccount,
    /// The operator's pages: the path below `/office`.
    Office(&'a str),
    /// The page has another address now.
    Moved(String),
}

/// How a page is found in a path.
type Found = for<'a> fn(&'a str) -> Route<'a>;

/// Pages that belong to one customer. Only our own pages link to them, so each has one spelling.
const PERSONAL: [(&str, Found); 6] = [
    ("/orders/{order}", |number| Route::Order(number)),
    ("/orders/{order}/invoice", |number| Route::Invoice(number)),
    ("/account/statement", |_| Route::Statement),
    ("/account/address", |_| Route::Address),
    ("/account/password", |_| Route::Password),
    ("/account/delete", |_| Route::DeleteAccount),
];

/// The addresses of the pages that belong to one customer, but for `/account` itself. `{order}` stands for the number
/// of an order.
pub fn personal_pages() -> impl Iterator<Item = &'static str> {
    PERSONAL.iter().map(|(pattern, _)| *pattern)
}

/// Answers a request. A request that makes no sense is answered with a page that says why.
pub fn handle(request: &Request, seams: &impl Seams) -> Response {
    let visit = Visit::of(request);
    let reply = answer(request, &visit, seams).unwrap_or_else(|problem| pages::problem(problem, &visit));
    reply.elsewhere(&visit, seams).for_visit(&visit).respond(request)
}

fn answer(request: &Request, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let page = route(&request.path);
    if let Ok(Route::Office(path)) = page {
        return office::answer(path, request, visit, seams);
    }
    match (request.method.as_str(), page, command(&request.path)) {
        ("GET" | "HEAD", Ok(page), _) => read(page, request.query.as_deref(), visit, seams),
        ("POST", _, Some((command, id))) => {
            let form = pages::sent_form(request, |form| is_ours(command, form, visit))?;
            write(command, id, &form, visit, seams)
        }
        (_, Ok(_), Some(_)) => Err(Problem::Method(READ_AND_WRITE)),
        (_, Ok(_), None) => Err(Problem::Method(READ)),
        (_, Err(_), Some(_)) => Err(Problem::Method(WRITE)),
        (_, Err(problem), None) => Err(problem),
    }
}

/// Whether we gave this form to this visitor.
fn is_ours(command: Command, form: &Form<'_>, visit: &Visit<'_>) -> bool {
    match command {
        // The album page is the same for all visitors, so it carries no token. A forged form can only fill a cart.
        Command::AddToCart => true,
        // The second click of two comes with the session that the first one began, or without the one that it ended.
        Command::SignIn | Command::SignUp => visit.issued(form) || visit.issued_before(form),
        Command::SignOut => visit.issued(form) || visit.session.is_none(),
        _ => visit.issued(form),
    }
}

fn read(route: Route<'_>, query: Option<&str>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let params = || Params::parse(query).map_err(Problem::Input);
    match route {
        Route::Home => pages::home(visit, seams),
        Route::Search => pages::search(&params()?, visit, seams),
        Route::Browse => pages::browse(&params()?, visit, seams),
        Route::Album(sku) => pages::album(&sku, visit, seams),
        Route::Cover(sku) => Ok(pages::cover(&sku, params()?.v.as_deref(), seams)),
        Route::Robots => Ok(Reply {
            status: 200,
            kind: Kind::Text,
            cache: CachePolicy::OneDay,
            headers: Vec::new(),
            body: ROBOTS.into(),
            draft: None,
        }),
        Route::Scriptless => Ok(pages::scriptless(visit)),
        Route::Cart => pages::cart::cart(&params()?, visit, seams),
        Route::SignIn => sign::sign(Mode::SignIn, &params()?, visit, seams),
        Route::SignUp => sign::sign(Mode::SignUp, &params()?, visit, seams),
        Route::Checkout => checkout::checkout(visit, seams),
        Route::Order(number) => order::order(number, &params()?, visit, seams),
        Route::Invoice(number) => pages::invoice(number, visit, seams),
        Route::Account => pages::account(&params()?, visit, seams),
        Route::Statement => pages::statement(visit, seams),
        Route::Address => settings::address(visit, seams),
        Route::Password => settings::password(visit, seams),
        Route::DeleteAccount => settings::delete(visit, seams),
        Route::Moved(to) => Ok(Reply::moved(to)),
        // The office reads its requests itself.
        Route::Office(_) => Err(Problem::NotFound),
    }
}

/// Does what a form asks for; `id` is the number of the order that it is about.
fn write(command: Command, id: &str, form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    match command {
        Command::AddToCart => pages::cart::add(form, visit, seams),
        Command::ChangeCart => pages::cart::change(form, visit, seams),
        Command::SignIn => sign::sign_in(form, visit, seams),
        Command::SignUp => sign::sign_up(form, visit, seams),
        Command::SignOut => sign::sign_out(visit, seams),
        Command::Checkout => checkout::place(form, visit, seams),
        Command::CancelOrder => order::cancel(id, form, visit, seams),
        Command::ReturnOrder => order::send_back(id, form, visit, seams),
        Command::ChangeAddress => settings::change_address(form, visit, seams),
        Command::ChangePassword => settings::change_password(form, visit, seams),
        Command::DeleteAccount => settings::delete_account(form, visit, seams),
        // The office reads its requests itself.
        Command::ChangeOrder(_) | Command::AddRecord => Err(Problem::NotFound),
        Command::DescribeRecord | Command::ChangeRecord(_) => Err(Problem::NotFound),
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
        (Some("scriptless.svg"), None, _) if trimmed.is_none() => return Ok(Route::Scriptless),
        (Some("cart"), None, _) => Route::Cart,
        (Some("sign-in"), None, _) => Route::SignIn,
        (Some("sign-up"), None, _) => Route::SignUp,
        (Some("checkout"), None, _) => Route::Checkout,
        (Some("account"), None, _) => Route::Account,
        (Some("orders"), None, _) => return Ok(Route::Moved("/account".into())),
        (Some("orders" | "account"), ..) if trimmed.is_none() => return personal(path),
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
    // The address is built from the parsed route and never copied from the request: `//elsewhere/` leads nowhere.
    Ok(Route::Moved(match route {
        Route::Search => "/search".into(),
        Route::Browse => "/browse".into(),
        Route::Cart => "/cart".into(),
        Route::SignIn => "/sign-in".into(),
        Route::SignUp => "/sign-up".into(),
        Route::Checkout => "/checkout".into(),
        Route::Account => "/account".into(),
        Route::Album(sku) => format!("/albums/{}", Encoded(&sku)),
        _ => return Err(Problem::NotFound),
    }))
}

fn personal(path: &str) -> Result<Route<'_>, Problem> {
    let page = PERSONAL.iter().find_map(|(pattern, page)| Some(page(matched(pattern, path)?)));
    page.ok_or(Problem::NotFound)
}

/// The SKU in a segment of a path: capital letters, digits and hyphens. Other text is not found without asking a
/// context.
fn sku(segment: &str) -> Result<Cow<'_, str>, Problem> {
    let sku = params::decode(segment, false).map_err(Problem::Input)?;
    if is_sku(&sku) { Ok(sku) } else { Err(Problem::NotFound) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cart::SKU_BYTES_MAX;

    #[test]
    fn every_address_names_its_page_or_none() {
        let long = format!("/albums/{}", "X".repeat(SKU_BYTES_MAX + 1));
        for (path, expected) in [
            ("/", Some(Route::Home)),
            ("", Some(Route::Home)),
            ("/search", Some(Route::Search)),
            ("/browse", Some(Route::Browse)),
            ("/robots.txt", Some(Route::Robots)),
            ("/scriptless.svg", Some(Route::Scriptless)),
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
            ("/cart", Some(Route::Cart)),
            ("/cart/", Some(Route::Moved("/cart".into()))),
            ("/cart/add", None),
            ("/cart/add/", None),
            ("/account/password", Some(Route::Password)),
            ("/cart/x", None),
            ("/sign-out", None),
            ("/orders", Some(Route::Moved("/account".into()))),
            ("/orders/1000123", Some(Route::Order("1000123"))),
            ("/orders/1000123/", None),
            ("/orders/1000123/invoice", Some(Route::Invoice("1000123"))),
            ("/orders/1000123/return", None),
            ("/orders/1000123/cancel", None),
            ("/orders/1000123/cancel/x", None),
            ("/orders/10%30", None),
            ("/orders/..", None),
            ("/account/statement", Some(Route::Statement)),
            ("/account/x", None),
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
