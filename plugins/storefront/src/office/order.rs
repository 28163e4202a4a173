//! One order and its actions: ship, cancel, take in a return, refund.

use askama::Template;

use crate::assets;
use crate::form::Form;
use crate::key::is_key;
use crate::money::Price;
use crate::pages::Problem;
use crate::reference::{Countries, Currencies};
use crate::reply::Reply;
use crate::seams::Seams;
use crate::seams::ordering::{Order, State};
use crate::seams::payments::{self, Payment};

use super::desk::{Desk, Section, Shell};
use super::fields::{Field, WAS, plain};
use super::list::problem;
use super::notice::{self, Done, Failed, Notice};
use super::query::Query;
use super::reply;
use super::view::{Titles, When, state_label, state_name};

/// Characters of a reason.
const REASON_MAX: usize = 200;
/// The bound of `finance` on an amount.
const AMOUNT_MAX: u64 = 100_000_000;

/// An action on an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Ship,
    Cancel,
    Receive,
    Refund,
}

impl Action {
    pub fn named(name: &str) -> Option<Action> {
        Some(match name {
            "ship" => Action::Ship,
            "cancel" => Action::Cancel,
            "receive" => Action::Receive,
            "refund" => Action::Refund,
            _ => return None,
        })
    }

    /// Each of a page's forms has a key of its own, because each is a different request.
    fn key(self, key: &str) -> String {
        let suffix = match self {
            Action::Ship => "ship",
            Action::Cancel => "cancel",
            Action::Receive => "receive",
            Action::Refund => "refund",
        };
        format!("{key}-{suffix}")
    }
}

/// The values in the page's forms: empty, or as they were sent.
#[derive(Default)]
struct Input {
    key: Option<String>,
    cancel_reason: Field,
    amount: Option<Field>,
    refund_reason: Field,
}

#[derive(Template)]
#[template(path = "office/order.html")]
struct OrderPage<'a> {
    shell: Shell<'a>,
    order: &'a Order,
    state: &'static str,
    state_in_address: &'static str,
    at: When,
    customer: &'a str,
    country: &'a str,
    lines: Vec<Line<'a>>,
    shipping: Price<'a>,
    total: Price<'a>,
    history: Vec<(When, &'static str, &'a str)>,
    money: Money<'a>,
    key: String,
    cancel_reason: Field,
    amount: Field,
    /// What can still be refunded, in minor units.
    left: u64,
    refund_reason: Field,
}

struct Line<'a> {
    sku: &'a str,
    artist: &'a str,
    title: &'a str,
    copies: u32,
    returned: u32,
    price: Price<'a>,
    sum: Price<'a>,
}

/// The state of the payment.
enum Money<'a> {
    /// Finance does not answer.
    Unknown,
    /// No money was ever held.
    None,
    Known {
        stage: &'static str,
        card: &'a str,
        held: Price<'a>,
        refunded: Option<Price<'a>>,
        /// What can still be refunded.
        left: Option<Price<'a>>,
    },
}

impl OrderPage<'_> {
    fn can_ship(&self) -> bool {
        self.order.state == State::Placed
    }

    fn can_receive(&self) -> bool {
        self.order.state == State::ReturnRequested
    }
}

/// `GET /office/orders/NUMBER`
pub fn page<S: Seams>(desk: &Desk<'_, S>, number: &str, query: &Query) -> Result<Reply, Problem> {
    show(desk, number, query.done.map(Notice::from), Input::default(), 200)
}

/// `POST /office/orders/NUMBER/ACTION`
pub fn act<S: Seams>(desk: &Desk<'_, S>, number: &str, action: Action, form: &Form<'_>) -> Result<Reply, Problem> {
    let sent = form.raw("key");
    if !is_key(sent) {
        return Err(Problem::Stale);
    }
    let key = action.key(sent);
    let mut typed = Input::default();
    let seams = desk.seams();
    let done = match action {
        Action::Ship => seams.ship(&key, number).map(|_| Done::Shipped).map_err(Failed::from),
        Action::Receive => seams.receive_return(&key, number).map(|_| Done::Received).map_err(Failed::from),
        Action::Cancel => {
            typed.cancel_reason = Field::line(form, "reason", 1, REASON_MAX);
            match typed.cancel_reason.wrong() {
                true => Err(notice::fields()),
                false => seams
                    .desk_cancel(&key, number, &typed.cancel_reason.value)
                    .map(|_| Done::Cancelled)
                    .map_err(Failed::from),
            }
        }
        Action::Refund => refund(desk, number, &key, form, &mut typed)?,
    };
    match done {
        Ok(done) => Ok(desk.done(&format!("/orders/{number}"), done)),
        Err(failed) => {
            typed.key = failed.keep_key.then(|| sent.into());
            let status = failed.status;
            show(desk, number, Some(failed.into()), typed, status)
        }
    }
}

fn refund<S: Seams>(
    desk: &Desk<'_, S>,
    number: &str,
    key: &str,
    form: &Form<'_>,
    typed: &mut Input,
) -> Result<Result<Done, Failed>, Problem> {
    let seams = desk.seams();
    let was = form.number(WAS).ok_or(Problem::Stale)?;
    // The order's currency decides how many digits the amount may have after the point.
    let order = seams.desk_order(number).map_err(|error| problem(&error, seams))?;
    let currencies = Currencies::of(seams);
    let (_, digits) = currencies.sign(&order.currency);
    let (amount, units) = Field::amount(form, "amount", digits, AMOUNT_MAX);
    typed.refund_reason = Field::line(form, "reason", 1, REASON_MAX);
    let wrong = amount.wrong() || typed.refund_reason.wrong();
    typed.amount = Some(amount);
    if wrong {
        return Ok(Err(notice::fields()));
    }
    let payments = seams.payments(&[number]).unwrap_or_default();
    if payments.iter().find(|payment| payment.order == number).map_or(0, left) != was {
        return Ok(Err(notice::moved_on("The payment")));
    }
    let refunded = seams.refund(key, number, units, &typed.refund_reason.value);
    Ok(refunded.map(|_| Done::Refunded).map_err(Failed::from))
}

fn show<S: Seams>(
    desk: &Desk<'_, S>,
    number: &str,
    notice: Option<Notice>,
    typed: Input,
    status: u16,
) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let order = seams.desk_order(number).map_err(|error| problem(&error, seams))?;
    let titles = Titles::of(order.lines.iter().map(|line| line.sku.as_str()), seams);
    let names = seams.names(&[&order.customer]).unwrap_or_default();
    let payments = seams.payments(&[number]).ok();
    let countries = Countries::of(seams);
    let currencies = Currencies::of(seams);
    let (_, digits) = currencies.sign(&order.currency);
    let payment = payments.as_ref().map(|payments| payments.iter().find(|payment| payment.order == number));
    let left = payment.flatten().map_or(0, left);
    let page = OrderPage {
        shell: desk.shell(Section::Orders, notice),
        state: state_label(order.state),
        state_in_address: state_name(order.state),
        at: When(order.at),
        customer: names.first().and_then(Option::as_deref).unwrap_or(&order.customer),
        country: countries.name(&order.address.country),
        lines: lines(&order, &titles, &currencies),
        shipping: currencies.price(order.shipping, &order.currency),
        total: currencies.price(order.total, &order.currency),
        history: order.history.iter().map(|event| (When(event.at), state_label(event.state), &*event.note)).collect(),
        money: match payment {
            None => Money::Unknown,
            Some(None) => Money::None,
            Some(Some(payment)) => money(payment, &currencies),
        },
        key: typed.key.unwrap_or_else(|| desk.key()),
        cancel_reason: typed.cancel_reason,
        amount: typed.amount.unwrap_or_else(|| Field::of(if left > 0 { plain(left, digits) } else { String::new() })),
        left,
        refund_reason: typed.refund_reason,
        order: &order,
    };
    Ok(reply(&page, status))
}

fn lines<'a>(order: &'a Order, titles: &'a Titles, currencies: &'a Currencies) -> Vec<Line<'a>> {
    let line = |line: &'a crate::seams::ordering::PlacedLine| {
        let (artist, title) = titles.artist_and_title(&line.sku);
        Line {
            sku: &line.sku,
            artist,
            title,
            copies: line.copies,
            returned: line.returned,
            price: currencies.price(line.price, &order.currency),
            sum: currencies.price(u64::from(line.price) * u64::from(line.copies), &order.currency),
        }
    };
    order.lines.iter().map(line).collect()
}

fn money<'a>(payment: &'a Payment, currencies: &'a Currencies) -> Money<'a> {
    let price = |units| currencies.price(units, &payment.authorised.currency);
    let left = left(payment);
    Money::Known {
        stage: match payment.stage {
            payments::Stage::Unknown => "The card processor did not answer",
            payments::Stage::Authorised => "Held on the card",
            payments::Stage::Captured => "Taken from the card",
            payments::Stage::Voided => "Let go, nothing was taken",
            payments::Stage::Declined => "Declined",
        },
        card: &payment.card,
        held: price(payment.authorised.minor_units),
        refunded: (payment.refunded > 0).then(|| price(payment.refunded)),
        left: (left > 0).then(|| price(left)),
    }
}

fn left(payment: &Payment) -> u64 {
    match payment.stage {
        payments::Stage::Captured => payment.authorised.minor_units.saturating_sub(payment.refunded),
        _ => 0,
    }
}
