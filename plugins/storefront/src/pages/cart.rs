//! The cart: its albums, what they cost now, and the three forms that change it.
//!
//! The page calls `orders` for a quote and `warehouse` for stock. It calls `catalog` for the names of albums that are
//! no longer sold, or of all albums while `orders` is away. The cart works without them: it is in the visitor's cookie.

use askama::Template;

use super::field::Alarm;
use super::note::note;
use super::{Problem, Shell, render};
use crate::assets;
use crate::cart::{COPIES_MAX, Cart, CartLimit, is_sku};
use crate::csrf;
use crate::form::Form;
use crate::key::new_key;
use crate::money::Price;
use crate::params::Params;
use crate::reference::Currencies;
use crate::reply::{CachePolicy, Reply};
use crate::seams::{Album, Level, Seams, ordering};
use crate::visit::{Header, Visit};

#[derive(Template)]
#[template(path = "cart.html")]
struct CartPage<'a> {
    shell: Shell<'a>,
    note: Option<&'static str>,
    alarm: Option<Alarm>,
    token: String,
    rows: Vec<Row<'a>>,
    sums: Option<Sums<'a>>,
    /// Whether something in it can be ordered.
    open: bool,
}

/// One album in the cart.
struct Row<'a> {
    sku: &'a str,
    title: &'a str,
    artist: &'a str,
    copies: u32,
    price: Option<Price<'a>>,
    sum: Option<Price<'a>>,
    /// No longer sold.
    gone: bool,
    warning: Option<String>,
}

/// The sums below the lines of an order.
pub struct Sums<'a> {
    pub goods: Price<'a>,
    pub shipping: Price<'a>,
    pub total: Price<'a>,
}

impl<'a> Sums<'a> {
    pub fn of(quote: &'a ordering::Quote, currencies: &'a Currencies) -> Sums<'a> {
        Sums {
            goods: currencies.price(quote.total.saturating_sub(quote.shipping.into()), &quote.currency),
            shipping: currencies.price(quote.shipping, &quote.currency),
            total: currencies.price(quote.total, &quote.currency),
        }
    }
}

/// `/cart`
pub fn cart(params: &Params<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let cart = visit.cart();
    let mut page = CartPage {
        shell: Shell::of(visit),
        note: note(params.note.as_deref()),
        alarm: None,
        token: String::new(),
        rows: Vec::new(),
        sums: None,
        open: false,
    };
    if cart.is_empty() {
        return Ok(Reply::html(CachePolicy::NoStore, render(&page, 4 * 1024)));
    }
    let quote = seams.quote(cart.lines());
    if let Err(error) = &quote {
        page.alarm = Some(unpriced(error, seams));
    }
    let quote = quote.ok();
    let skus: Vec<&str> = cart.lines().iter().map(|line| line.sku.as_str()).collect();
    let unnamed: Vec<&str> = match &quote {
        Some(quote) => quote.gone.iter().map(String::as_str).filter(|sku| is_sku(sku)).collect(),
        None => skus.clone(),
    };
    let named = if unnamed.is_empty() { Vec::new() } else { seams.albums(&unnamed).unwrap_or_default() };
    let levels = seams.levels(&skus).unwrap_or_default();
    let currencies = Currencies::of(seams);
    page.token = visit.form_token(seams);
    page.sums = quote.as_ref().filter(|quote| !quote.lines.is_empty()).map(|quote| Sums::of(quote, &currencies));
    page.rows = cart.lines().iter().map(|line| row(line, quote.as_ref(), &named, &levels, &currencies)).collect();
    page.open = page.rows.iter().any(|row| !row.gone);
    Ok(Reply::html(CachePolicy::NoStore, render(&page, 8 * 1024)))
}

fn row<'a>(
    line: &'a ordering::Line,
    quote: Option<&'a ordering::Quote>,
    named: &'a [Album],
    levels: &[Level],
    currencies: &'a Currencies,
) -> Row<'a> {
    let mut row = Row {
        sku: &line.sku,
        title: &line.sku,
        artist: "",
        copies: line.copies,
        price: None,
        sum: None,
        gone: false,
        warning: None,
    };
    if let Some(album) = named.iter().find(|album| album.sku == line.sku) {
        (row.title, row.artist, row.gone) = (&album.title, &album.artist, album.discontinued);
        row.price = (!row.gone).then(|| currencies.of_album(&album.price));
    }
    if let Some(quote) = quote {
        match quote.lines.iter().find(|priced| priced.sku == line.sku) {
            Some(priced) => {
                (row.title, row.artist) = (&priced.title, &priced.artist);
                row.price = Some(currencies.price(priced.price, &quote.currency));
                let sum = u64::from(priced.price) * u64::from(line.copies);
                row.sum = Some(currencies.price(sum, &quote.currency));
            }
            None => row.gone = true,
        }
    }
    let level = levels.iter().find(|level| level.sku == line.sku);
    row.warning = match level.map(|level| level.on_hand) {
        _ if row.gone => Some("No longer sold; it will not be part of the order.".into()),
        Some(0) => Some("Sold out.".into()),
        Some(few) if few < line.copies => Some(format!("Only {few} left.")),
        _ => None,
    };
    row
}

/// Says why there are no sums.
fn unpriced(error: &ordering::Error, seams: &impl Seams) -> Alarm {
    if let ordering::Error::Unavailable(_) = error {
        return Alarm::new(
            "The total cannot be worked out just now",
            "Our order desk cannot be reached. Your cart is kept; please come back in a few seconds.",
        );
    }
    seams.warn(&format!("ordering.get-quote refused a cart: {error}"));
    Alarm::new("These cannot be ordered together", "Please take something out and try again.")
}

/// `/cart/add`: the only form without a token, because the album page is the same for all visitors.
pub fn add(form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let sku = form.raw("sku");
    if !is_sku(sku) {
        return Err(Problem::NotFound);
    }
    let copies = match form.has("copies") {
        true => copies(form.number("copies")).filter(|copies| *copies > 0).ok_or(Problem::Refused)?,
        false => 1,
    };
    let mut cart = visit.cart();
    let word = word(cart.add(sku, copies), "added");
    Ok(changed(&cart, word, visit, seams))
}

/// `/cart/change`: the number of copies, in fields `copies-SKU`. Albums without a field stay; invalid values change
/// nothing.
pub fn change(form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let mut cart = visit.cart();
    let mut result = Ok(());
    for (sku, text) in form.each("copies-").take(crate::cart::LINES_MAX) {
        if cart.copies_of(sku) == 0 {
            continue;
        }
        let digits = text.trim().bytes().all(|digit| digit.is_ascii_digit());
        // An empty field means 0. A number too large for its type is too many copies.
        let wanted = match (digits, text.trim()) {
            (true, "") => 0,
            (true, digits) => digits.parse().unwrap_or(u32::MAX),
            (false, _) => continue,
        };
        if wanted > COPIES_MAX {
            result = Err(CartLimit::Copies);
        }
        let _ = cart.set(sku, wanted);
    }
    Ok(changed(&cart, word(result, "changed"), visit, seams))
}

/// `/cart/remove`
pub fn remove(form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let mut cart = visit.cart();
    let _ = cart.set(form.raw("sku"), 0);
    Ok(changed(&cart, "removed", visit, seams))
}

fn copies(number: Option<u64>) -> Option<u32> {
    Some(u32::try_from(number?).unwrap_or(u32::MAX))
}

fn word(result: Result<(), CartLimit>, fine: &'static str) -> &'static str {
    match result {
        Ok(()) => fine,
        Err(CartLimit::Copies) => "most",
        Err(CartLimit::Lines) => "full",
    }
}

fn changed(cart: &Cart, word: &str, visit: &Visit<'_>, seams: &impl Seams) -> Reply {
    let mut reply = Reply::see_other(format!("/cart?note={word}"));
    let cookie: Header = visit.keep_cart(cart, &new_key(seams));
    reply.headers.push(cookie);
    reply
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;
