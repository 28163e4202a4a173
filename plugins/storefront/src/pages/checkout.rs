//! Checkout: a page with address, card and price, and the order that its form places.
//!
//! The form carries the lines and the total that it showed, and as its key the version of the cart that it was made
//! from. It counts only while the cart has that version. So the customer orders exactly what the page showed, and forms
//! of one cart place one order, whether one is sent twice or two in two tabs. The card's number and code go to
//! `finance` and `orders` and are never shown again. After an error the cart has a new version and the form carries it.
//! Both keep theirs only if the result is unknown: then sending the form again must mean the same order.
//!
//! Which address and which card are good, their contexts say (`customer`, `finance`). All wrong fields are shown at
//! once.

mod outcome;

use askama::Template;

use self::outcome::{Outcome, Typed};
use super::cart::{self, Sums};
use super::field::{AddressInput, Alarm, Field, Problems, unavailable};
use super::problem::RETRY_SECONDS;
use super::sign::minutes;
use super::{Customer, Problem, Service, Shell, pending, render, signed_in};
use crate::assets;
use crate::cart::Cart;
use crate::csrf;
use crate::form::Form;
use crate::key::{is_key, new_key};
use crate::reference::{Countries, Currencies};
use crate::reply::{CachePolicy, Reply};
use crate::seams::{Seams, accounts, ordering, payments};
use crate::visit::{Header, Visit};

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
    typed: Typed,
    key: String,
}

/// What stands above the form.
#[derive(Debug)]
enum Above {
    Nothing,
    Outcome(Outcome),
    /// A context is away, so the page is the answer itself.
    Away(Alarm),
}

/// `/checkout`
pub fn checkout(visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let (cart, settled) = pending::cart(visit, seams);
    if cart.is_empty() {
        let mut reply = Reply::see_other("/cart");
        reply.headers.extend(settled);
        return Ok(reply);
    }
    let customer = signed_in(visit, "/checkout", seams)?;
    let draft = visit.draft("/checkout");
    let typed = match (&draft, customer.account.address.clone()) {
        (Some(draft), _) => Typed::of(draft.form()),
        (None, Some(address)) => Typed { address: address.into(), ..Typed::default() },
        (None, None) => {
            let address = AddressInput { name: customer.account.name, ..AddressInput::default() };
            Typed { address, save: true, ..Typed::default() }
        }
    };
    let above = draft.as_ref().and_then(Outcome::of).map_or(Above::Nothing, Above::Outcome);
    let version = cart.version().filter(|_| settled.is_none());
    let key = version.map_or_else(|| new_key(seams), Into::into);
    show(&cart, &CheckoutForm { typed, key }, &above, 200, visit, seams)
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
    let filled = CheckoutForm { typed: Typed::of(form), key: key.into() };
    if cart.version() != Some(key) {
        return moved_on(&cart, filled, visit, seams);
    }
    let card = ordering::Card {
        number: form.line("number"),
        holder: filled.typed.holder.clone(),
        expiry: filled.typed.expiry.clone(),
        code: form.line("code"),
    };
    match check(&filled.typed.address, &card, seams) {
        Ok(problems) if problems.is_empty() => {}
        Ok(problems) => return again(&cart, &filled, Outcome::Fields(problems), visit, seams),
        Err(away) => return show(&cart, &filled, &Above::Away(unavailable(away)), 503, visit, seams),
    }
    let request = ordering::Request {
        customer: customer.account.id.clone(),
        lines: lines.lines().to_vec(),
        address: filled.typed.address.clone().into(),
        card,
        // An invalid total is handled like one that has changed.
        total: form.number("total").unwrap_or_default(),
        from: visit.from.to_string(),
    };
    match seams.place(key, &request) {
        Ok(order) => Ok(placed(&order, &request, &filled, &customer, visit, seams)),
        Err(ordering::Error::InProcess(number)) => {
            let mut reply = Reply::see_other(order_address(&number, "in-process"));
            // The answer that empties the cart may never arrive: the next page looks (`pending`).
            reply.headers.extend(keep_ordered(key, &number, visit));
            Ok(reply)
        }
        Err(error) => refused(error, &cart, filled, visit, seams),
    }
}

/// All that is wrong with address and card, in the order of the form; the error names the context that is away.
fn check(address: &AddressInput, card: &ordering::Card, seams: &impl Seams) -> Result<Problems, &'static str> {
    let mut problems = match seams.check_address(&address.clone().into()) {
        Ok(()) => Problems::default(),
        Err(accounts::Error::Fields(problems)) => problems.into(),
        Err(error) => {
            seams.warn(&format!("accounts.check-address: {}", case(&error)));
            return Err("Our accounts");
        }
    };
    let ordering::Card { number, holder, expiry, code } = card.clone();
    match seams.check_card(&payments::Card { number, holder, expiry, code }) {
        Ok(()) => {}
        Err(payments::Error::Card(wrong)) => problems.extend(wrong.into()),
        // Its text might repeat what was typed.
        Err(_) => return Err("Our bookkeeping"),
    }
    Ok(problems)
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
    filled.key = cart.version().map_or_else(|| new_key(seams), Into::into);
    again(cart, &filled, Outcome::MovedOn, visit, seams)
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
    if filled.typed.save {
        let address: accounts::Address = filled.typed.address.clone().into();
        // The order stands. If the address could not be saved, the customer types it again next time.
        if let Err(error) = seams.change_address(customer.token, &address) {
            seams.warn(&format!("the address of an order could not be saved: {}", case(&error)));
        }
    }
    let mut cart = visit.cart();
    cart.take(&request.lines);
    let mut reply = Reply::see_other(order_address(&order.number, "placed"));
    reply.headers.push(visit.keep_cart(&cart, &new_key(seams)));
    reply.headers.extend(keep_ordered(&filled.key, &order.number, visit));
    reply
}

/// The number comes from another context: only one that needs no encoding may become a header.
fn keep_ordered(key: &str, number: &str, visit: &Visit<'_>) -> Option<Header> {
    super::order::is_number(number).then(|| visit.keep_ordered(key, number))
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

/// Nothing was ordered, or the result is unknown.
fn refused(
    error: ordering::Error,
    cart: &Cart,
    mut filled: CheckoutForm,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Result<Reply, Problem> {
    if let ordering::Error::Unavailable(_) = error {
        let text = "Our order desk did not answer in time, so we do not know yet whether your order is placed. You are \
                    not charged twice: it is safe to type your card once more and send this page again.";
        let alarm = Alarm::new("No answer", text).with("/account", "See whether it is among your orders");
        return show(cart, &filled, &Above::Away(alarm), 503, visit, seams);
    }
    if let ordering::Error::Busy(seconds) = error {
        let text = "Many orders are being placed from your account or your network at this moment, and yours has to wait \
                    for one of them. Nothing was charged, and your records are still here. Please type your card once \
                    more and send this page again.";
        let alarm = Alarm::new("One moment, please", text);
        return answered_later(seconds, 503, alarm, cart, &filled, visit, seams);
    }
    if let ordering::Error::Wait(seconds) = error {
        let text = format!(
            "To keep stolen cards out, we look at the next card in {}. Nothing was charged, and your records are still \
             here.",
            minutes(seconds)
        );
        let alarm = Alarm::new("Too many cards that could not be used", text);
        return answered_later(seconds, 429, alarm, cart, &filled, visit, seams);
    }
    filled.key = new_key(seams);
    let outcome = match error {
        ordering::Error::Fields(problems) => Outcome::Fields(problems.into()),
        ordering::Error::Changed(_) => Outcome::Changed,
        ordering::Error::Declined(why) => Outcome::Declined(why),
        ordering::Error::Refused(why) => Outcome::Refused(why),
        // The cart says it beside each record. What was typed waits for the way back.
        ordering::Error::Short(_) => {
            let mut reply = Reply::see_other("/cart?note=short");
            reply.headers.push(visit.keep_cart(cart, &filled.key));
            reply.headers.extend(visit.keep_draft(filled.typed.draft(None), seams));
            return Ok(reply);
        }
        error => {
            if let ordering::Error::Invalid(why) = &error {
                seams.warn(&format!("ordering.place refused a form: {why}"));
            }
            Outcome::Failed
        }
    };
    again(cart, &filled, outcome, visit, seams)
}

/// The form again, with its key: it may be sent again after so many seconds.
fn answered_later(
    seconds: u32,
    status: u16,
    alarm: Alarm,
    cart: &Cart,
    filled: &CheckoutForm,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Result<Reply, Problem> {
    let mut reply = show(cart, filled, &Above::Away(alarm), status, visit, seams)?;
    reply.headers.retain(|(name, _)| *name != "retry-after");
    reply.headers.push(("retry-after", seconds.to_string()));
    Ok(reply)
}

/// Leads to the checkout, which then shows the form again with what went wrong.
fn again(
    cart: &Cart,
    filled: &CheckoutForm,
    outcome: Outcome,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Result<Reply, Problem> {
    let Some(draft) = visit.keep_draft(filled.typed.draft(Some(&outcome)), seams) else {
        let status = outcome.status();
        return show(cart, filled, &Above::Outcome(outcome), status, visit, seams);
    };
    let mut reply = Reply::see_other("/checkout");
    reply.headers.push(draft);
    reply.headers.extend(new_version(cart, &filled.key, visit));
    Ok(reply)
}

/// The header that gives the cart the form's version, if it has another one.
fn new_version(cart: &Cart, key: &str, visit: &Visit<'_>) -> Option<Header> {
    (cart.version() != Some(key)).then(|| visit.keep_cart(cart, key))
}

/// The page, unless the cart cannot be ordered as it is: then the cart's page says why.
fn show(
    cart: &Cart,
    filled: &CheckoutForm,
    above: &Above,
    status: u16,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Result<Reply, Problem> {
    let quote = match seams.quote(cart.lines()) {
        Ok(quote) => quote,
        Err(ordering::Error::Unavailable(_)) => return Err(Problem::Unavailable(Service::Orders)),
        Err(_) => return Ok(Reply::see_other("/cart")),
    };
    // Albums that are no longer sold are neither ordered nor shown.
    let mut sold = Cart::default();
    for line in cart.lines().iter().filter(|line| quote.lines.iter().any(|priced| priced.sku == line.sku)) {
        let _ = sold.set(&line.sku, line.copies);
    }
    // While it is not known whether the order is placed, its own copies may be those that are missing.
    let unknown = matches!(above, Above::Away(_));
    if sold.is_empty() || !unknown && cart::is_short(&sold, seams) {
        return Ok(Reply::see_other("/cart"));
    }
    let currencies = Currencies::of(seams);
    let countries = Countries::of(seams);
    let none = Problems::default();
    let problems = if let Above::Outcome(Outcome::Fields(problems)) = above { problems } else { &none };
    let address = filled.typed.address.fields(&countries, problems);
    let card = card_fields(&filled.typed, problems);
    let sums = Sums::of(&quote, &currencies);
    let alarm = match above {
        Above::Nothing => None,
        Above::Outcome(outcome) => Some(outcome.alarm(&sums.total.to_string(), address.iter().chain(&card))),
        Above::Away(alarm) => Some(alarm.clone()),
    };
    let row = |line: &'_ ordering::PricedLine| u64::from(line.price) * u64::from(line.copies);
    let page = CheckoutPage {
        shell: Shell { copies: cart.copies(), ..Shell::of(visit) },
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
        sums,
        address,
        save: filled.typed.save,
        card,
    };
    let mut reply = Reply::html(CachePolicy::NoStore, render(&page, 12 * 1024)).with_status(status);
    reply.headers.extend(new_version(cart, &filled.key, visit));
    if status == 503 {
        reply.headers.push(("retry-after", RETRY_SECONDS.into()));
    }
    Ok(reply)
}

fn card_fields<'a>(typed: &'a Typed, problems: &'a Problems) -> Vec<Field<'a>> {
    let field = |name, label, autocomplete, value, most, class| {
        Field::line(name, label, autocomplete, value, most, class, problems)
    };
    vec![
        Field { digits: true, ..field("number", "Card number", "cc-number", "", 30, "") },
        field("holder", "Name on the card", "cc-name", typed.holder.as_str(), 100, ""),
        Field {
            hint: "Month and year, like 04/29",
            ..field("expiry", "Valid until", "cc-exp", &typed.expiry, 9, "half")
        },
        Field { digits: true, hint: "Three or four digits", ..field("code", "Code", "cc-csc", "", 4, "half") },
    ]
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;
