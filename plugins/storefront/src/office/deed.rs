//! What is done with an order and cannot be undone: shipping, cancelling, taking a return in, giving money back.
//!
//! Each has a page that says what will happen; its form does it. The page is read with GET, so that going back never
//! sends a form again.

use askama::Template;

use crate::assets;
use crate::command::Action;
use crate::form::Form;
use crate::href::Encoded;
use crate::key::is_key;
use crate::pages::{Problem, Service};
use crate::reference::{Countries, Currencies};
use crate::reply::Reply;
use crate::seams::Seams;
use crate::seams::ordering::{Order, State};

use super::desk::{Desk, Section, Shell};
use super::fields::{Field, WAS, minor_units, plain};
use super::list::problem;
use super::notice::{self, Done, Failed, Notice};
use super::order;
use super::payment::{Account, return_money};
use super::query::Query;
use super::reply;
use super::view::state_label;

/// Characters of a reason.
const REASON_MAX: usize = 200;

/// The key for the context. Each form has a key of its own, because each is a different request.
fn key(action: Action, key: &str) -> String {
    format!("{key}-{}", action.name())
}

/// Whether the page of an order in this state offers the action. The contexts decide whether it happens.
fn fits(action: Action, state: State) -> bool {
    match action {
        Action::Ship | Action::Cancel => state == State::Placed,
        Action::Receive => state == State::ReturnRequested,
        Action::Refund => matches!(state, State::Shipped | State::ReturnRequested | State::Returned),
    }
}

/// Whether the customer reads a reason.
fn has_reason(action: Action) -> bool {
    matches!(action, Action::Cancel | Action::Refund)
}

#[derive(Template)]
#[template(path = "office/deed.html")]
struct DeedPage<'a> {
    shell: Shell<'a>,
    order: &'a Order,
    action: &'static str,
    title: String,
    /// What will happen, a sentence each.
    facts: Vec<String>,
    button: String,
    grave: bool,
    key: String,
    /// For a refund: what was left when the page was made, and the amount to give back.
    amount: Option<(u64, String)>,
    reason: Option<Field>,
}

/// What was typed or sent before.
#[derive(Default)]
struct Input {
    key: Option<String>,
    amount: Option<String>,
    reason: Field,
}

/// `GET /office/orders/NUMBER/ACTION`, for a refund with `?amount=`.
pub fn page<S: Seams>(desk: &Desk<'_, S>, number: &str, action: Action, query: &Query) -> Result<Reply, Problem> {
    let draft = desk.draft(&path(number, action));
    let mut typed = draft.as_ref().map_or_else(Input::default, |draft| Input {
        key: Some(draft.form().raw("key").into()),
        reason: Field::drafted(draft, "reason"),
        ..Input::default()
    });
    typed.amount.clone_from(&query.amount);
    show(desk, number, action, Notice::drafted(draft.as_ref()), typed, 200)
}

/// `POST /office/orders/NUMBER/ACTION`
pub fn act<S: Seams>(desk: &Desk<'_, S>, number: &str, action: Action, form: &Form<'_>) -> Result<Reply, Problem> {
    let sent = form.raw("key");
    if !is_key(sent) {
        return Err(Problem::Stale);
    }
    let key = key(action, sent);
    let mut typed = Input { key: Some(sent.into()), ..Input::default() };
    if action == Action::Refund {
        typed.amount = Some(form.line("amount").chars().take(20).collect());
    }
    if has_reason(action) {
        typed.reason = Field::line(form, "reason", 1, REASON_MAX);
        if typed.reason.wrong() {
            return again(desk, number, action, notice::fields(), typed);
        }
    }
    let (seams, by) = (desk.seams(), desk.account());
    let done = match action {
        Action::Ship => seams.ship(&key, number, by).map(|_| Done::Shipped).map_err(Failed::from),
        Action::Receive => seams.receive_return(&key, number, by).map(received).map_err(Failed::from),
        Action::Cancel => {
            seams.desk_cancel(&key, number, &typed.reason.value, by).map(|_| Done::Cancelled).map_err(Failed::from)
        }
        Action::Refund => {
            let was = form.number(WAS).ok_or(Problem::Stale)?;
            refund(desk, number, &key, was, &typed)?
        }
    };
    match done {
        Ok(done) => Ok(desk.done(&format!("/orders/{number}"), done)),
        Err(failed) if failed.keep_key => again(desk, number, action, failed, typed),
        Err(failed) => {
            let (status, draft) = (failed.status, failed.draft(&format!("/orders/{number}")));
            Ok(order::show(desk, number, Some(failed.into()), None, status)?.again(draft))
        }
    }
}

/// The path of the page below `/office`.
fn path(number: &str, action: Action) -> String {
    format!("/orders/{number}/{}", action.name())
}

/// The page after its form could not be done, or may not have been: with the key and what was typed.
fn again<S: Seams>(
    desk: &Desk<'_, S>,
    number: &str,
    action: Action,
    failed: Failed,
    typed: Input,
) -> Result<Reply, Problem> {
    let mut path = path(number, action);
    if let Some(amount) = &typed.amount {
        path += &format!("?amount={}", Encoded(amount));
    }
    let draft = failed.draft(&path).with("key", typed.key.as_deref().unwrap_or_default());
    let draft = typed.reason.keep("reason", draft);
    let status = failed.status;
    Ok(show(desk, number, action, Some(failed.into()), typed, status)?.again(draft))
}

/// Whether the money of the return went back: where it did not, the order's last note says why.
fn received(order: Order) -> Done {
    match order.history.last() {
        Some(event) if event.state == State::Returned && !event.note.is_empty() => Done::ReceivedUnpaid,
        _ => Done::Received,
    }
}

/// The inner error: nothing was done.
fn refund<S: Seams>(
    desk: &Desk<'_, S>,
    number: &str,
    key: &str,
    was: u64,
    typed: &Input,
) -> Result<Result<Done, Failed>, Problem> {
    let seams = desk.seams();
    // The order's currency decides how many digits the amount may have after the point.
    let order = seams.desk_order(number).map_err(|error| problem(&error, seams))?;
    let currencies = Currencies::of(seams);
    let payments = seams.payments(&[number]).map_err(Failed::from);
    let left = match payments {
        Ok(payments) => payments.iter().find(|one| one.order == number).map_or(0, super::payment::left),
        Err(failed) => return Ok(Err(failed)),
    };
    let text = typed.amount.as_deref().unwrap_or_default();
    if left != was {
        let units = amount(text, &order.currency, was, &currencies).unwrap_or_default();
        let repeated = left.checked_add(units) == Some(was) && is_last(desk, number, units, &typed.reason.value);
        return Ok(if repeated { Ok(Done::Refunded) } else { Err(notice::moved_on("The payment")) });
    }
    match amount(text, &order.currency, left, &currencies) {
        // `show` says what is wrong with it.
        Err(_) => Ok(Err(notice::fields())),
        Ok(units) => {
            let refunded = seams.refund(key, number, units, &typed.reason.value, desk.account());
            Ok(refunded.map(|_| Done::Refunded).map_err(Failed::from))
        }
    }
}

/// Whether what was given back last is this, by the same operator: then the form was sent twice.
fn is_last<S: Seams>(desk: &Desk<'_, S>, number: &str, amount: u64, reason: &str) -> bool {
    let refunds = desk.seams().refunds(number).unwrap_or_default();
    refunds.last().is_some_and(|last| last.amount == amount && last.reason == reason && last.by == desk.account())
}

/// An amount that may be given back, in minor units, or what is wrong with it.
fn amount(text: &str, currency: &str, left: u64, currencies: &Currencies) -> Result<u64, String> {
    let (_, digits) = currencies.sign(currency);
    match minor_units(text, digits) {
        None => Err(format!("An amount such as {}.", plain(1299, digits))),
        Some(0) => Err("More than nothing.".into()),
        Some(units) if units > left => Err(format!("At most {}: no more is left.", currencies.price(left, currency))),
        Some(units) => Ok(units),
    }
}

fn show<S: Seams>(
    desk: &Desk<'_, S>,
    number: &str,
    action: Action,
    notice: Option<Notice>,
    typed: Input,
    status: u16,
) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let order = seams.desk_order(number).map_err(|error| problem(&error, seams))?;
    if !fits(action, order.state) {
        let why = format!("This order cannot be {}: it is “{}”.", past(action), state_label(order.state));
        let (notice, status) = match notice {
            Some(notice) => (notice, status),
            None => (Notice { good: false, text: why }, 409),
        };
        return order::show(desk, number, Some(notice), None, status);
    }
    let account = Account::of(&order, &[], seams);
    let currencies = Currencies::of(seams);
    let countries = Countries::of(seams);
    let left = account.left().unwrap_or(0);
    let mut sum = None;
    if action == Action::Refund {
        let text = typed.amount.unwrap_or_default();
        match amount(&text, &order.currency, left, &currencies) {
            Ok(units) => sum = Some((units, text)),
            Err(_) if account.left().is_none() => return Err(Problem::Unavailable(Service::Books)),
            Err(why) => {
                let field = Field { value: text, problem: Some(why) };
                let status = if status == 200 { 422 } else { status };
                return order::show(desk, number, Some(notice::fields().into()), Some(field), status);
            }
        }
    }
    let price = |units: u64| currencies.price(units, &order.currency).to_string();
    let card = account.known().map_or_else(|| "the card".into(), |one| format!("the card ending {}", one.card));
    let place = format!("{} in {}, {}", order.address.name, order.address.city, countries.name(&order.address.country));
    let copies: u32 = order.lines.iter().map(|line| line.copies).sum();
    let copies = if copies == 1 { "1 copy".to_owned() } else { format!("{copies} copies") };
    let (title, facts, button) = match action {
        Action::Ship => (
            "Ship",
            vec![
                format!("The parcel with {copies} leaves for {place}."),
                format!("{} is taken from {card}, and the invoice is written.", price(order.total)),
                "This cannot be undone: after it, the records can only be sent back.".into(),
            ],
            "Ship it".into(),
        ),
        Action::Cancel => (
            "Cancel",
            vec![
                format!("The {copies} for {place} go back on the shelf."),
                format!("{} on {card} is let go; nothing is taken.", price(order.total)),
                "This cannot be undone: the customer would have to order again.".into(),
            ],
            "Cancel the order".into(),
        ),
        Action::Receive => (
            "Take in the return of",
            vec![
                "The copies that were sent back go on the shelf again.".into(),
                return_money(&order, &account, &currencies),
                "This cannot be undone: check that all of them have arrived.".into(),
            ],
            "They have arrived".into(),
        ),
        Action::Refund => {
            let units = sum.as_ref().map_or(0, |(units, _)| *units);
            (
                "Give money back for",
                vec![
                    format!("{} goes back to {card}. {} is left then.", price(units), price(left - units)),
                    "This cannot be undone.".into(),
                ],
                format!("Give {} back", price(units)),
            )
        }
    };
    let page = DeedPage {
        shell: desk.shell(Section::Orders, notice),
        action: action.name(),
        title: format!("{title} order {number}?"),
        facts,
        button,
        grave: has_reason(action),
        key: typed.key.unwrap_or_else(|| desk.key()),
        amount: sum.map(|(_, text)| (left, text)),
        reason: has_reason(action).then_some(typed.reason),
        order: &order,
    };
    Ok(reply(&page, status))
}

fn past(action: Action) -> &'static str {
    match action {
        Action::Ship => "shipped",
        Action::Cancel => "cancelled",
        Action::Receive => "taken in",
        Action::Refund => "paid back",
    }
}
