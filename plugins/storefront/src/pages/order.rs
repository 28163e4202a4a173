//! One order: its lines, its history, and what its customer can still do with it.
//!
//! Calls `customer` for the account, `orders` for the order, and the catalog for titles (without it, the page shows
//! SKUs).

use askama::Template;

use super::field::Alarm;
use super::note::note;
use super::problem::RETRY_SECONDS;
use super::{Problem, Service, Shell, pending, render, signed_in};
use crate::assets;
use crate::cart::{COPIES_MAX, LINES_MAX, is_sku};
use crate::csrf;
use crate::draft::Draft;
use crate::form::Form;
use crate::key::{is_key, new_key};
use crate::money::{Charge, Price};
use crate::params::Params;
use crate::reference::{Countries, Currencies, Returns};
use crate::reply::{CachePolicy, Reply};
use crate::seams::ordering::State;
use crate::seams::{Seams, ordering};
use crate::time::{Machine, Moment};
use crate::visit::Visit;

/// The bound on an order's number in the contexts' interfaces.
const NUMBER_BYTES_MAX: usize = 32;

/// Whether a text can be an order's number, which then needs no encoding in an address.
pub fn is_number(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=NUMBER_BYTES_MAX).contains(&text.len()) && text.bytes().all(known)
}

/// A state, as the customer reads it.
pub fn state(state: State) -> &'static str {
    match state {
        State::Placing => "In process",
        State::Placed => "Placed",
        State::Shipped => "On its way",
        State::ReturnRequested => "Return under way",
        State::Returned => "Returned",
        State::Cancelled => "Cancelled",
        State::Rejected => "Not placed",
    }
}

/// The CSS class of its dot.
pub fn state_class(state: State) -> &'static str {
    match state {
        State::Placing | State::Placed | State::ReturnRequested => "few",
        State::Shipped | State::Returned => "in",
        State::Cancelled | State::Rejected => "out",
    }
}

#[derive(Template)]
#[template(path = "order.html")]
struct OrderPage<'a> {
    shell: Shell<'a>,
    note: Option<&'static str>,
    alarm: Option<Alarm>,
    token: String,
    key: String,
    order: &'a ordering::Order,
    state: &'static str,
    class: &'static str,
    since: Moment,
    country: &'a str,
    rows: Vec<Row<'a>>,
    shipping: Charge<'a>,
    total: Price<'a>,
    history: Vec<HistoryEntry<'a>>,
    /// What is being done with it; the page asks the customer to look again.
    progress: Option<&'a str>,
    cancellable: bool,
    /// Whether something of it can be sent back.
    returnable: bool,
    /// Copies are on their way back: the page says where to.
    returning: bool,
    returns: &'a Returns,
    invoiced: bool,
}

/// An entry of its history.
struct HistoryEntry<'a> {
    state: &'static str,
    at: Moment,
    machine: Machine,
    note: &'a str,
}

struct Row<'a> {
    sku: &'a str,
    title: &'a str,
    artist: &'a str,
    copies: u32,
    returned: u32,
    price: Price<'a>,
    sum: Price<'a>,
}

impl Row<'_> {
    /// How many copies can still be sent back.
    fn left(&self) -> u32 {
        self.copies.saturating_sub(self.returned)
    }
}

/// `/orders/{number}`
pub fn order(number: &str, params: &Params<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let customer = signed_in(visit, &format!("/orders/{number}"), seams)?;
    let order = known(seams.order(&customer.account.id, number), seams)?;
    let alarm = Alarm::drafted(visit.draft(&format!("/orders/{number}")).as_ref());
    Ok(page(&order, note(params.note.as_deref()), alarm, 200, visit, seams))
}

/// `/orders/{number}/cancel`
pub fn cancel(number: &str, form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let customer = signed_in(visit, &format!("/orders/{number}"), seams)?;
    let key = key(form)?;
    let result = seams.cancel(key, &customer.account.id, number);
    changed(result, "cancelled", number, &customer.account.id, visit, seams)
}

/// `/orders/{number}/return`: how many copies of each album, in fields `copies-SKU`.
pub fn send_back(number: &str, form: &Form<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let customer = signed_in(visit, &format!("/orders/{number}"), seams)?;
    let key = key(form)?;
    let lines = match lines(form) {
        Some(lines) if !lines.is_empty() => lines,
        chosen => {
            let alarm = match chosen {
                Some(_) => Alarm::new("Nothing was chosen", "Say of which records how many copies you send back."),
                None => Alarm::new("That is no number of copies", "Nothing was sent back. Type each number in digits."),
            };
            let order = known(seams.order(&customer.account.id, number), seams)?;
            return Ok(again(&order, alarm, 422, visit, seams));
        }
    };
    let result = seams.request_return(key, &customer.account.id, number, &lines);
    changed(result, "return-requested", number, &customer.account.id, visit, seams)
}

fn key<'a>(form: &'a Form<'_>) -> Result<&'a str, Problem> {
    Some(form.raw("key")).filter(|key| is_key(key)).ok_or(Problem::Stale)
}

/// `None` if a field holds something else than a number of copies of a record.
fn lines(form: &Form<'_>) -> Option<Vec<ordering::Line>> {
    let mut lines: Vec<ordering::Line> = Vec::new();
    for (sku, text) in form.each("copies-") {
        let text = text.trim();
        if text.is_empty() || text.bytes().all(|digit| digit == b'0') {
            continue;
        }
        let digits = text.bytes().all(|digit| digit.is_ascii_digit());
        let copies = text.parse().ok().filter(|copies| digits && *copies <= COPIES_MAX)?;
        let twice = lines.iter().any(|line| line.sku == sku);
        if twice || !is_sku(sku) || lines.len() == LINES_MAX {
            return None;
        }
        lines.push(ordering::Line { sku: sku.into(), copies });
    }
    Some(lines)
}

/// Redirects to the changed order, or shows its page with the reason why it did not change.
fn changed(
    result: Result<ordering::Order, ordering::Error>,
    word: &str,
    number: &str,
    customer: &str,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Result<Reply, Problem> {
    let (alarm, status) = match result {
        Ok(_) => return Ok(Reply::see_other(format!("/orders/{number}?note={word}"))),
        Err(ordering::Error::UnknownOrder) => return Err(Problem::UnknownOrder),
        Err(ordering::Error::InProcess(_)) => {
            return Ok(Reply::see_other(format!("/orders/{number}?note=busy")));
        }
        Err(ordering::Error::Refused(why)) => (Alarm::new("That is not possible", why), 409),
        Err(ordering::Error::Unavailable(_)) => {
            let text = "A part of the shop that we need for this did not answer. Look at the order's state below, and \
                        please try again in a few seconds; doing it twice does no harm.";
            (Alarm::new("That could not be done just now", text), 503)
        }
        Err(error) => {
            seams.warn(&format!("ordering refused a change of order {number}: {error}"));
            (Alarm::new("That is not possible", "Please check what you chose, and try again."), 422)
        }
    };
    let order = known(seams.order(customer, number), seams)?;
    Ok(again(&order, alarm, status, visit, seams))
}

/// The order's page after a form that could not be done.
fn again(order: &ordering::Order, alarm: Alarm, status: u16, visit: &Visit<'_>, seams: &impl Seams) -> Reply {
    let draft = Draft::of(&format!("/orders/{}", order.number)).with_message(&alarm.title, &alarm.text);
    page(order, None, Some(alarm), status, visit, seams).again(draft)
}

fn known(result: Result<ordering::Order, ordering::Error>, seams: &impl Seams) -> Result<ordering::Order, Problem> {
    result.map_err(|error| match error {
        ordering::Error::Unavailable(_) => Problem::Unavailable(Service::Orders),
        ordering::Error::UnknownOrder => Problem::UnknownOrder,
        error => {
            seams.warn(&format!("ordering.get-order: {error}"));
            Problem::UnknownOrder
        }
    })
}

/// What is being done with those of these orders that have not ended; nothing while `orders` does not say it.
pub fn progress(customer: &str, orders: &[(&str, State)], seams: &impl Seams) -> Vec<ordering::Progress> {
    let open = |state| matches!(state, State::Placing | State::Placed | State::ReturnRequested);
    let numbers: Vec<&str> = orders.iter().filter(|(_, state)| open(*state)).map(|(number, _)| *number).collect();
    if numbers.is_empty() { Vec::new() } else { seams.progress(customer, &numbers).unwrap_or_default() }
}

fn history_entry(event: &ordering::Event) -> HistoryEntry<'_> {
    HistoryEntry { state: state(event.state), at: Moment(event.at), machine: Machine(event.at), note: &event.note }
}

fn page(
    order: &ordering::Order,
    note: Option<&'static str>,
    alarm: Option<Alarm>,
    status: u16,
    visit: &Visit<'_>,
    seams: &impl Seams,
) -> Reply {
    let skus: Vec<&str> = order.lines.iter().map(|line| line.sku.as_str()).collect();
    let albums = if skus.is_empty() { Vec::new() } else { seams.albums(&skus).unwrap_or_default() };
    let currencies = Currencies::of(seams);
    let countries = Countries::of(seams);
    let returns = Returns::of(seams);
    let row = |line: &'_ ordering::PlacedLine| u64::from(line.price) * u64::from(line.copies);
    let rows: Vec<Row<'_>> = order
        .lines
        .iter()
        .map(|line| {
            let album = albums.iter().find(|album| album.sku == line.sku);
            Row {
                sku: &line.sku,
                title: album.map_or(line.sku.as_str(), |album| album.title.as_str()),
                artist: album.map_or("", |album| album.artist.as_str()),
                copies: line.copies,
                returned: line.returned,
                price: currencies.price(line.price, &order.currency),
                sum: currencies.price(row(line), &order.currency),
            }
        })
        .collect();
    let (cart, settled) = pending::without(visit.cart(), order, visit, seams);
    let progress = progress(&order.customer, &[(&order.number, order.state)], seams);
    let page = OrderPage {
        shell: Shell { copies: cart.copies(), ..Shell::of(visit) },
        note,
        alarm,
        token: visit.form_token(seams),
        key: new_key(seams),
        order,
        state: state(order.state),
        class: state_class(order.state),
        since: Moment(order.history.last().map_or(order.at, |event| event.at)),
        country: countries.name(&order.address.country),
        history: order.history.iter().map(history_entry).collect(),
        progress: match progress.first() {
            Some(one) => Some(&one.text),
            None => (order.state == State::Placing).then_some("Your order is being worked on at this moment."),
        },
        cancellable: order.state == State::Placed && progress.is_empty(),
        returning: order.state == State::ReturnRequested,
        returns: &returns,
        invoiced: matches!(order.state, State::Shipped | State::ReturnRequested | State::Returned),
        returnable: order.state == State::Shipped && rows.iter().any(|row| row.left() > 0),
        rows,
        shipping: Charge(currencies.price(order.shipping, &order.currency)),
        total: currencies.price(order.total, &order.currency),
    };
    let mut reply = Reply::html(CachePolicy::NoStore, render(&page, 8 * 1024)).with_status(status);
    reply.headers.extend(settled);
    if status == 503 {
        reply.headers.push(("retry-after", RETRY_SECONDS.into()));
    }
    reply
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests;
