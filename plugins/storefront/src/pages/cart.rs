//! The cart: its albums, what they cost now, whether they can be ordered, and the two forms that change it.
//!
//! The page calls `orders` for a quote and `warehouse` for stock. It calls `catalog` for the names of albums that are
//! no longer sold, or of all albums while `orders` is away. The cart works without them: it is in the visitor's cookie.

use askama::Template;

use super::field::Alarm;
use super::note::note;
use super::{Problem, Shell, pending, render};
use crate::assets;
use crate::cart::{COPIES_MAX, Cart, CartLimit, is_sku};
use crate::csrf;
use crate::form::Form;
use crate::href::is_local;
use crate::key::new_key;
use crate::money::{Charge, Price};
use crate::params::Params;
use crate::reference::Currencies;
use crate::reply::{CachePolicy, Reply};
use crate::seams::{Album, Level, Seams, ordering};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "cart.html")]
struct CartPage<'a> {
    shell: Shell<'a>,
    note: Option<&'static str>,
    alarm: Option<Alarm>,
    token: String,
    rows: Vec<Row<'a>>,
    sums: Option<Sums<'a>>,
    /// What is missing from free shipping.
    until_free: Option<Price<'a>>,
    till: Till,
}

/// Whether the cart can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Till {
    Open,
    /// Something in it has to be changed first; the page says what.
    Blocked,
    /// Nothing in it is sold any more.
    Nothing,
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
    /// The warning has to be dealt with before anything can be ordered.
    blocks: bool,
    /// How many of the wanted copies there are, if there are some and not all.
    few: Option<u32>,
}

/// The sums below the lines of an order.
pub struct Sums<'a> {
    pub goods: Price<'a>,
    pub shipping: Charge<'a>,
    pub total: Price<'a>,
}

impl<'a> Sums<'a> {
    pub fn of(quote: &'a ordering::Quote, currencies: &'a Currencies) -> Sums<'a> {
        Sums {
            goods: currencies.price(quote.total.saturating_sub(quote.shipping.into()), &quote.currency),
            shipping: Charge(currencies.price(quote.shipping, &quote.currency)),
            total: currencies.price(quote.total, &quote.currency),
        }
    }
}

/// Whether there are fewer copies of something than the cart has. While the warehouse is away, nothing is short.
pub fn is_short(cart: &Cart, seams: &impl Seams) -> bool {
    let skus: Vec<&str> = cart.lines().iter().map(|line| line.sku.as_str()).collect();
    let levels = seams.levels(&skus).unwrap_or_default();
    levels.iter().any(|level| level.on_hand < cart.copies_of(&level.sku))
}

/// `/cart`
pub fn cart(params: &Params<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let (cart, settled) = pending::cart(visit, seams);
    let mut page = CartPage {
        shell: Shell { copies: cart.copies(), ..Shell::of(visit) },
        note: note(params.note.as_deref()),
        alarm: None,
        token: String::new(),
        rows: Vec::new(),
        sums: None,
        until_free: None,
        till: Till::Nothing,
    };
    if cart.is_empty() {
        let mut reply = Reply::html(CachePolicy::NoStore, render(&page, 4 * 1024));
        reply.headers.extend(settled);
        return Ok(reply);
    }
    let skus: Vec<&str> = cart.lines().iter().map(|line| line.sku.as_str()).collect();
    let (answer, levels) =
        seam_sdk::together((|| seams.quote(cart.lines()), || seams.levels(&skus).unwrap_or_default()));
    let quote = answer.as_ref().ok();
    let unnamed: Vec<&str> = match quote {
        Some(quote) => quote.gone.iter().map(String::as_str).filter(|sku| is_sku(sku)).collect(),
        None => skus.clone(),
    };
    let named = if unnamed.is_empty() { Vec::new() } else { seams.albums(&unnamed).unwrap_or_default() };
    let currencies = Currencies::of(seams);
    page.token = visit.form_token(seams);
    page.sums = quote.filter(|quote| !quote.lines.is_empty()).map(|quote| Sums::of(quote, &currencies));
    page.until_free = quote.and_then(|quote| until_free(quote, &currencies, seams));
    page.rows = cart.lines().iter().map(|line| row(line, quote, &named, &levels, &currencies)).collect();
    page.till = match page.rows.iter().find(|row| !row.gone) {
        None => Till::Nothing,
        Some(_) if page.rows.iter().any(|row| row.blocks) => Till::Blocked,
        Some(_) => Till::Open,
    };
    if let Err(error) = &answer {
        // While the order desk is away one may go on: it may be back in a moment.
        if !matches!(error, ordering::Error::Unavailable(_)) {
            page.till = Till::Blocked;
        }
        page.alarm = Some(unpriced(error, &mut page.rows, &named, seams));
    }
    let mut reply = Reply::html(CachePolicy::NoStore, render(&page, 8 * 1024));
    reply.headers.extend(settled);
    Ok(reply)
}

/// What is missing from the sum from which shipping costs nothing.
fn until_free<'a>(quote: &'a ordering::Quote, currencies: &'a Currencies, seams: &impl Seams) -> Option<Price<'a>> {
    if quote.shipping == 0 {
        return None;
    }
    let goods = quote.total.saturating_sub(quote.shipping.into());
    let missing = seams.shipping().ok()?.free_from.checked_sub(goods).filter(|missing| *missing > 0)?;
    Some(currencies.price(missing, &quote.currency))
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
        blocks: false,
        few: None,
    };
    let mut sum = None;
    if let Some(album) = named.iter().find(|album| album.sku == line.sku) {
        (row.title, row.artist, row.gone) = (&album.title, &album.artist, album.discontinued);
        if !row.gone {
            row.price = Some(currencies.of_album(&album.price));
            sum = Some(
                currencies.price(u64::from(album.price.minor_units) * u64::from(line.copies), &album.price.currency),
            );
        }
    }
    if let Some(quote) = quote {
        match quote.lines.iter().find(|priced| priced.sku == line.sku) {
            Some(priced) => {
                (row.title, row.artist) = (&priced.title, &priced.artist);
                row.price = Some(currencies.price(priced.price, &quote.currency));
                sum = Some(currencies.price(u64::from(priced.price) * u64::from(line.copies), &quote.currency));
            }
            None => row.gone = true,
        }
    }
    row.sum = sum.filter(|_| !row.gone);
    let level = levels.iter().find(|level| level.sku == line.sku);
    match level.map(|level| level.on_hand) {
        _ if row.gone => row.warning = Some("No longer sold; it will not be part of the order.".into()),
        Some(0) => row.block("Sold out. Remove it to check out.".into()),
        Some(few) if few < line.copies => {
            row.block(format!("Only {few} left. Take {few} or fewer to check out."));
            row.few = Some(few);
        }
        _ => {}
    }
    row
}

impl Row<'_> {
    fn block(&mut self, warning: String) {
        self.warning.get_or_insert(warning);
        self.blocks = true;
    }
}

/// Says why there are no sums, and what to do.
fn unpriced(error: &ordering::Error, rows: &mut [Row<'_>], named: &[Album], seams: &impl Seams) -> Alarm {
    match error {
        ordering::Error::Unavailable(_) => {
            return Alarm::new(
                "The total cannot be worked out just now",
                "Our order desk cannot be reached. Your cart is kept; please come back in a few seconds.",
            );
        }
        ordering::Error::Refused(why) => return Alarm::new("This cart cannot be ordered at once", why.as_str()),
        _ => {}
    }
    let sold = |sku: &str| named.iter().find(|album| album.sku == sku && !album.discontinued);
    let currency = |row: &Row<'_>| sold(row.sku).map(|album| album.price.currency.as_str());
    let first = rows.iter().find_map(currency);
    let mut mixed = false;
    for row in rows {
        if let (Some(first), Some(own)) = (first, currency(row))
            && own != first
        {
            row.block(format!("Priced in {own}. Order it on its own, without the records in {first}."));
            mixed = true;
        }
    }
    if mixed {
        return Alarm::new(
            "Two currencies in one cart",
            "An order is paid in one currency, so there is no total. Please remove the records of one currency, and \
             order them after the others.",
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
    // Without a script a double click sends the form twice, and the album's page, which is the same for all visitors,
    // has no key that would tell one from the other.
    if visit.added(sku, &cart) {
        return Ok(Reply::see_other("/cart?note=added"));
    }
    let word = word(cart.add(sku, copies), "added");
    let version = new_key(seams);
    let mut reply = Reply::see_other(format!("/cart?note={word}"));
    reply.headers.push(visit.keep_cart(&cart, &version));
    reply.headers.push(visit.keep_added(sku, &version));
    Ok(reply)
}

/// `/cart/change`: the number of copies, in fields `copies-SKU`, and an album to `remove`. Albums without a field stay;
/// invalid values change nothing. Then leads to `next`, an address of ours, or to the cart: every button of the cart
/// takes along what was typed before it was pressed.
pub fn change(form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let before = visit.cart();
    let mut cart = before.clone();
    let mut result = Ok(());
    // A button may stand for a number as well: two fields of one album, of which the last one counts.
    for (sku, text) in form.each("copies-").take(2 * crate::cart::LINES_MAX) {
        if before.copies_of(sku) == 0 {
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
    let fine = match form.raw("remove") {
        "" => "changed",
        sku => {
            let _ = cart.set(sku, 0);
            "removed"
        }
    };
    let next = Some(form.raw("next")).filter(|next| is_local(next) && result.is_ok());
    let mut reply = Reply::see_other(next.map_or_else(|| format!("/cart?note={}", word(result, fine)), Into::into));
    // A cart that stays as it is keeps its version: a checkout that is open in another tab still counts.
    if cart.to_string() != before.to_string() {
        reply.headers.push(visit.keep_cart(&cart, &new_key(seams)));
    }
    Ok(reply)
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

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;
