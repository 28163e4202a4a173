//! Checkout: a page with address, card and price, and the order that its form places.
//!
//! The form carries the lines and the total that it showed, and a key of its own. So the customer orders exactly what
//! the page showed, even if cart or prices have changed, and a form that is sent twice places one order. The card's
//! number and code go to `orders` and are never shown again. After an error the form has a new key. It keeps its key
//! only if the result is unknown: then sending it again must mean the same order.

use askama::Template;

use super::card;
use super::cart::Sums;
use super::field::{AddressInput, Alarm, Field, Problems};
use super::problem::RETRY_SECONDS;
use super::{Customer, Problem, Service, Shell, render, signed_in};
use crate::assets;
use crate::cart::Cart;
use crate::csrf;
use crate::form::Form;
use crate::reference::{Countries, Currencies};
use crate::reply::{CachePolicy, Reply};
use crate::seams::{Seams, accounts, ordering};
use crate::visit::{Visit, is_key, new_key};

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
    let filled = CheckoutForm { address: typed, save: !saved, key: new_key(seams), ..CheckoutForm::default() };
    Ok(page(&quote, cart.lines(), &filled, 200, visit, seams))
}

/// The form of `/checkout`
pub fn place(form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let customer = signed_in(visit, "/checkout", seams)?;
    let cart = Cart::parse(form.raw("lines"));
    let key = form.raw("key");
    if cart.is_empty() {
        return Ok(Reply::see_other("/cart"));
    }
    if !is_key(key) {
        return Err(Problem::Stale);
    }
    let mut filled = CheckoutForm {
        address: AddressInput::of(form),
        save: form.has("save"),
        holder: form.line("holder"),
        expiry: form.line("expiry"),
        key: new_key(seams),
        ..CheckoutForm::default()
    };
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
        lines: cart.lines().to_vec(),
        address: filled.address.clone().into(),
        card,
        // An invalid total is handled like one that has changed.
        total: form.number("total").unwrap_or_default(),
    };
    match seams.place(key, &request) {
        Ok(order) => Ok(placed(&order, &request, &filled, &customer, visit, seams)),
        Err(ordering::Error::InProcess(number)) => Ok(Reply::see_other(order_address(&number, "in-process"))),
        Err(error) => refused(error, &cart, filled, key, visit, seams),
    }
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
    reply.headers.push(visit.keep_cart(&cart));
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
    key: &str,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Result<Reply, Problem> {
    let mut quote = None;
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
        ordering::Error::Refused(why) => (Some(Alarm::new("The order could not be placed", why)), 409),
        ordering::Error::Unavailable(_) => {
            filled.key = key.into();
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
    again(cart, filled, quote, status, visit, seams)
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
    Ok(page(&quote, cart.lines(), &filled, status, visit, seams))
}

fn page(
    quote: &ordering::Quote,
    lines: &[ordering::Line],
    filled: &CheckoutForm,
    status: u16,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Reply {
    // Albums that are no longer sold are neither ordered nor shown.
    let mut cart = Cart::default();
    for line in lines.iter().filter(|line| quote.lines.iter().any(|priced| priced.sku == line.sku)) {
        let _ = cart.set(&line.sku, line.copies);
    }
    if cart.is_empty() {
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
        lines: cart.to_string(),
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
