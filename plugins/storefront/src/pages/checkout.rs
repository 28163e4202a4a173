//! Checkout: a page with address, card and price, and the order that its form places.
//!
//! The form carries the lines and the total that it showed, and as its key the version of the cart that it was made
//! from. It counts only while the cart has that version. So the customer orders exactly what the page showed, and forms
//! of one cart place one order, whether one is sent twice or two in two tabs. The card's number and code go to `orders`
//! and are never shown again. After an error the cart has a new version and the form carries it. Both keep theirs only
//! if the result is unknown: then sending the form again must mean the same order.

use askama::Template;

use super::card;
use super::cart::Sums;
use super::field::{AddressInput, Alarm, Field, Problems};
use super::problem::RETRY_SECONDS;
use super::sign::minutes;
use super::{Customer, Problem, Service, Shell, render, signed_in};
use crate::assets;
use crate::cart::Cart;
use crate::csrf;
use crate::form::Form;
use crate::key::{is_key, new_key};
use crate::reference::{Countries, Currencies};
use crate::reply::{CachePolicy, Reply};
use crate::seams::{Seams, accounts, ordering};
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "checkout.html")]
struct CheckoutPage<'a> {
    shell: Shell<'a>,
    note: Option<&'static str>,
    alarm: Option<Alarm>,
    token: String,
    key: &'a str,
    /// As the form sends them.
    lines: String,
    total: u64,
    /// How many lines are left out because they are no longer sold.
    gone: usize,
    rows: Vec<Row<'a>>,
    sums: Sums<'a>,
    address: Vec<Field<'a>>,
    save: bool,
    card: Vec<Field<'a>>,
}

struct Row<'a> {
    title: &'a str,
    artist: &'a str,
    copies: u32,
    sum: crate::money::Price<'a>,
}

/// The state of the form.
#[derive(Debug, Default)]
struct CheckoutForm {
    address: AddressInput,
    save: bool,
    holder: String,
    expiry: String,
    key: String,
    problems: Problems,
    alarm: Option<Alarm>,
}

/// `/checkout`
pub fn checkout(visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let cart = visit.cart();
    if cart.is_empty() {
        return Ok(Reply::see_other("/cart"));
    }
    let customer = signed_in(visit, "/checkout", seams)?;
    let quote = match seams.quote(cart.lines()) {
        Ok(quote) => quote,
        Err(ordering::Error::Unavailable(_)) => return Err(Problem::Unavailable(Service::Orders)),
        // The cart's page says what is wrong.
        Err(_) => return Ok(Reply::see_other("/cart")),
    };
    let saved = customer.account.address.is_some();
    let typed = match customer.account.address {
        Some(address) => address.into(),
        None => AddressInput { name: customer.account.name, ..AddressInput::default() },
    };
    let key = cart.version().map_or_else(|| new_key(seams), Into::into);
    let filled = CheckoutForm { address: typed, save: !saved, key, ..CheckoutForm::default() };
    Ok(page(&quote, &cart, &filled, 200, visit, seams))
}

/// The form of `/checkout`
pub fn place(form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let customer = signed_in(visit, "/checkout", seams)?;
    let lines = Cart::parse(form.raw("lines"));
    let key = form.raw("key");
    if lines.is_empty() {
        return Ok(Reply::see_other("/cart"));
    }
    if !is_key(key) {
        return Err(Problem::Stale);
    }
    let cart = visit.cart();
    let mut filled = CheckoutForm {
        address: AddressInput::of(form),
        save: form.has("save"),
        holder: form.line("holder"),
        expiry: form.line("expiry"),
        key: key.into(),
        ..CheckoutForm::default()
    };
    if cart.version() != Some(key) {
        return moved_on(&cart, filled, visit, seams);
    }
    let card = ordering::Card {
        number: form.line("number"),
        holder: filled.holder.clone(),
        expiry: filled.expiry.clone(),
        code: form.line("code"),
    };
    filled.address.check(&mut filled.problems);
    card::check(&card, seams.now(), &mut filled.problems);
    if !filled.problems.is_empty() {
        return again(&cart, filled, None, 422, visit, seams);
    }
    let request = ordering::Request {
        customer: customer.account.id.clone(),
        lines: lines.lines().to_vec(),
        address: filled.address.clone().into(),
        card,
        // An invalid total is handled like one that has changed.
        total: form.number("total").unwrap_or_default(),
        from: visit.from.to_string(),
    };
    match seams.place(key, &request) {
        Ok(order) => Ok(placed(&order, &request, &filled, &customer, visit, seams)),
        Err(ordering::Error::InProcess(number)) => Ok(Reply::see_other(order_address(&number, "in-process"))),
        Err(error) => refused(error, &cart, filled, visit, seams),
    }
}

/// The form was made from another version of the cart, and nothing is ordered: shows the order that was made from it
/// since, or the checkout of the cart as it is now.
fn moved_on(cart: &Cart, mut filled: CheckoutForm, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    if let Some(number) = visit.ordered(&filled.key) {
        return Ok(Reply::see_other(order_address(number, "ordered-before")));
    }
    if cart.is_empty() {
        return Ok(Reply::see_other("/cart?note=moved-on"));
    }
    let text = "You have changed your cart or tried to order it since you opened the page that you sent. Sending it \
                ordered nothing. This is your cart now; if it is what you would like, type your card once more and \
                place the order.";
    filled.alarm = Some(Alarm::new("Your cart has changed", text).with("/account", "See your orders"));
    filled.key = cart.version().map_or_else(|| new_key(seams), Into::into);
    again(cart, filled, None, 409, visit, seams)
}

/// Redirects to the order and removes what was ordered from the cart.
fn placed(
    order: &ordering::Order,
    request: &ordering::Request,
    filled: &CheckoutForm,
    customer: &Customer<'_>,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Reply {
    if filled.save {
        let address: accounts::Address = filled.address.clone().into();
        // The order stands. If the address could not be saved, the customer types it again next time.
        if let Err(error) = seams.change_address(customer.token, &address) {
            seams.warn(&format!("the address of an order could not be saved: {}", case(&error)));
        }
    }
    let mut cart = visit.cart();
    cart.take(&request.lines);
    let mut reply = Reply::see_other(order_address(&order.number, "placed"));
    reply.headers.push(visit.keep_cart(&cart, &new_key(seams)));
    // The number comes from another context: only one that needs no encoding may become a header.
    if super::order::is_number(&order.number) {
        reply.headers.push(visit.keep_ordered(&filled.key, &order.number));
    }
    reply
}

/// The kind of error, without personal data, for the log.
fn case(error: &accounts::Error) -> &'static str {
    match error {
        accounts::Error::Fields(_) => "fields",
        accounts::Error::SignedOut => "signed-out",
        accounts::Error::Unavailable(_) => "unavailable",
        _ => "refused",
    }
}

/// The address of an order's page. The number comes from another context; an invalid one leads to the list of orders.
fn order_address(number: &str, note: &str) -> String {
    if super::order::is_number(number) { format!("/orders/{number}?note={note}") } else { "/account".into() }
}

/// Shows the form again, with what went wrong.
fn refused(
    error: ordering::Error,
    cart: &Cart,
    mut filled: CheckoutForm,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Result<Reply, Problem> {
    if !matches!(error, ordering::Error::Unavailable(_) | ordering::Error::Wait(_)) {
        filled.key = new_key(seams);
    }
    let (mut quote, mut retry_after) = (None, None);
    let (alarm, status) = match error {
        ordering::Error::Fields(problems) => {
            filled.problems = problems.into();
            (None, 422)
        }
        ordering::Error::Changed(now) => {
            let total = Currencies::of(seams).price(now.total, &now.currency).to_string();
            quote = Some(now);
            let text = format!(
                "Prices or records are not what they were when you opened this page. Nothing was charged. The total is \
                 {total} now; if that is all right, type your card once more and place the order."
            );
            (Some(Alarm::new("Something has changed", text)), 409)
        }
        ordering::Error::Short(shortages) => (Some(short(&shortages)), 409),
        ordering::Error::Declined(why) => {
            // The bank's answer says that nothing was charged, and what to do.
            let text = format!("{why} Your records are still here.");
            (Some(Alarm::new("Your card was declined", text)), 422)
        }
        ordering::Error::Wait(seconds) => {
            retry_after = Some(seconds);
            let text = format!(
                "To keep stolen cards out, we look at the next card in {}. Nothing was charged, and your records are \
                 still here.",
                minutes(seconds)
            );
            (Some(Alarm::new("Too many cards that could not be used", text)), 429)
        }
        ordering::Error::Refused(why) => (Some(Alarm::new("The order could not be placed", why)), 409),
        ordering::Error::Unavailable(_) => {
            let text = "Our order desk did not answer in time, so we cannot say what became of your order. It is safe \
                        to type your card once more and send this page again: it will not be ordered twice.";
            (Some(Alarm::new("No answer", text).with("/account", "See whether it is among your orders")), 503)
        }
        error @ (ordering::Error::Invalid(_) | ordering::Error::UnknownOrder | ordering::Error::InProcess(_)) => {
            if let ordering::Error::Invalid(why) = &error {
                seams.warn(&format!("ordering.place refused a form: {why}"));
            }
            let text = "Nothing was charged. Please check what you typed, and try again.";
            (Some(Alarm::new("The order could not be placed", text)), 422)
        }
    };
    filled.alarm = alarm;
    let mut reply = again(cart, filled, quote, status, visit, seams)?;
    reply.headers.extend(retry_after.map(|seconds| ("retry-after", seconds.to_string())));
    Ok(reply)
}

/// Not enough copies.
fn short(shortages: &[ordering::Shortage]) -> Alarm {
    let mut alarm = Alarm::new(
        "Another customer was faster",
        "There are not enough copies left of some records. Nothing was charged. Please change your cart.",
    );
    for shortage in shortages {
        let ordering::Shortage { sku, wanted, on_hand } = shortage;
        let text = match on_hand {
            0 => format!("{sku}: sold out"),
            few => format!("{sku}: {few} left of the {wanted} that you would like"),
        };
        alarm = alarm.with("/cart", text);
    }
    alarm
}

fn again(
    cart: &Cart,
    filled: CheckoutForm,
    quote: Option<ordering::Quote>,
    status: u16,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Result<Reply, Problem> {
    let quote = match quote {
        Some(quote) => quote,
        None => match seams.quote(cart.lines()) {
            Ok(quote) => quote,
            Err(ordering::Error::Unavailable(_)) => return Err(Problem::Unavailable(Service::Orders)),
            Err(_) => return Ok(Reply::see_other("/cart")),
        },
    };
    Ok(page(&quote, cart, &filled, status, visit, seams))
}

fn page(
    quote: &ordering::Quote,
    cart: &Cart,
    filled: &CheckoutForm,
    status: u16,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Reply {
    // Albums that are no longer sold are neither ordered nor shown.
    let mut sold = Cart::default();
    for line in cart.lines().iter().filter(|line| quote.lines.iter().any(|priced| priced.sku == line.sku)) {
        let _ = sold.set(&line.sku, line.copies);
    }
    if sold.is_empty() {
        return Reply::see_other("/cart");
    }
    let currencies = Currencies::of(seams);
    let countries = Countries::of(seams);
    let address = filled.address.fields(&countries, &filled.problems);
    let card = card_fields(filled);
    let alarm = match &filled.alarm {
        Some(Alarm { title, text, items }) => {
            Some(Alarm { title: title.clone(), text: text.clone(), items: named(items, quote) })
        }
        None => (!filled.problems.is_empty()).then(|| filled.problems.alarm(address.iter().chain(&card))),
    };
    let row = |line: &'_ ordering::PricedLine| u64::from(line.price) * u64::from(line.copies);
    let page = CheckoutPage {
        shell: Shell::of(visit),
        note: None,
        alarm,
        token: visit.form_token(seams),
        key: &filled.key,
        lines: sold.to_string(),
        total: quote.total,
        gone: quote.gone.len(),
        rows: quote
            .lines
            .iter()
            .map(|line| Row {
                title: &line.title,
                artist: &line.artist,
                copies: line.copies,
                sum: currencies.price(row(line), &quote.currency),
            })
            .collect(),
        sums: Sums::of(quote, &currencies),
        address,
        save: filled.save,
        card,
    };
    let mut reply = Reply::html(CachePolicy::NoStore, render(&page, 12 * 1024)).with_status(status);
    if cart.version() != Some(&filled.key) {
        reply.headers.push(visit.keep_cart(cart, &filled.key));
    }
    if status == 503 {
        reply.headers.push(("retry-after", RETRY_SECONDS.into()));
    }
    reply
}

/// Replaces the SKU at the start of an item by the album's title.
fn named(items: &[(Option<String>, String)], quote: &ordering::Quote) -> Vec<(Option<String>, String)> {
    let name = |text: &str| {
        let (sku, rest) = text.split_once(": ")?;
        let line = quote.lines.iter().find(|line| line.sku == sku)?;
        Some(format!("{} by {}: {rest}", line.title, line.artist))
    };
    items.iter().map(|(href, text)| (href.clone(), name(text).unwrap_or_else(|| text.clone()))).collect()
}

fn card_fields(filled: &CheckoutForm) -> Vec<Field<'_>> {
    let field = |name, label, autocomplete, value, most, class| {
        Field::line(name, label, autocomplete, value, most, class, &filled.problems)
    };
    vec![
        Field { digits: true, ..field("number", "Card number", "cc-number", "", 30, "") },
        field("holder", "Name on the card", "cc-name", filled.holder.as_str(), 100, ""),
        Field { hint: "MM/YY", ..field("expiry", "Valid until", "cc-exp", &filled.expiry, 7, "half") },
        Field { digits: true, hint: "Three or four digits", ..field("code", "Code", "cc-csc", "", 4, "half") },
    ]
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;
