//! One order: what was ordered, where it goes, its money, and what can be done with it.

use askama::Template;

use crate::assets;
use crate::money::Price;
use crate::pages::Problem;
use crate::reference::{Countries, Currencies, Returns};
use crate::reply::Reply;
use crate::seams::Seams;
use crate::seams::desk::Author;
use crate::seams::ordering::{self, Order, State};

use super::desk::{Desk, Section, Shell};
use super::fields::{Field, plain};
use super::held_up::{NAMED_MAX, Notes, notes};
use super::list::problem;
use super::notice::Notice;
use super::payment::{Account, Money, Refund, return_money};
use super::query::Query;
use super::reply;
use super::view::{Names, Titles, When, state_label, state_name};

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
    history: Vec<Event<'a>>,
    held_up: Option<Notes<'a>>,
    money: Money<'a>,
    refunds: Vec<Refund<'a>>,
    /// Why and by whom is not known while `finance` does not answer.
    refunds_known: bool,
    amount: Field,
    /// What taking the return in does with its money.
    return_money: String,
    returns: &'a Returns,
}

/// What happened to the order.
struct Event<'a> {
    at: When,
    state: &'static str,
    note: &'a str,
    /// Which operators did it; empty if none was named.
    who: String,
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

impl OrderPage<'_> {
    fn can_ship(&self) -> bool {
        self.order.state == State::Placed && self.held_up.is_none()
    }

    fn can_receive(&self) -> bool {
        self.order.state == State::ReturnRequested && self.held_up.is_none()
    }

    fn invoiced(&self) -> bool {
        matches!(self.order.state, State::Shipped | State::ReturnRequested | State::Returned)
    }
}

/// `GET /office/orders/NUMBER`
pub fn page<S: Seams>(desk: &Desk<'_, S>, number: &str, query: &Query) -> Result<Reply, Problem> {
    let notice = Notice::drafted(desk.draft(&format!("/orders/{number}")).as_ref());
    show(desk, number, notice.or(query.done.map(Notice::from)), None, 200)
}

/// The page of the order. `amount` is what was typed as the amount to give back, if something is wrong with it.
pub fn show<S: Seams>(
    desk: &Desk<'_, S>,
    number: &str,
    notice: Option<Notice>,
    amount: Option<Field>,
    status: u16,
) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let (order, authors, held_up) = seam_sdk::together((
        || seams.desk_order(number),
        // Without them, the history names no operator.
        || seams.authors(number).unwrap_or_default(),
        || seams.held_up_orders(NAMED_MAX).unwrap_or_default(),
    ));
    let order = order.map_err(|error| problem(&error, seams))?;
    let titles = Titles::of(order.lines.iter().map(|line| line.sku.as_str()), seams);
    let operators: Vec<&str> =
        authors.iter().flat_map(|author| [author.by.as_str(), author.ended_by.as_str()]).collect();
    let account = Account::of(&order, &operators, seams);
    let countries = Countries::of(seams);
    let currencies = Currencies::of(seams);
    let returns = Returns::of(seams);
    let (_, digits) = currencies.sign(&order.currency);
    let left = account.left().unwrap_or(0);
    let page = OrderPage {
        shell: desk.shell(Section::Orders, notice),
        state: state_label(order.state),
        state_in_address: state_name(order.state),
        at: When(order.at),
        customer: account.names.name(&order.customer),
        country: countries.name(&order.address.country),
        lines: lines(&order, &titles, &currencies),
        shipping: currencies.price(order.shipping, &order.currency),
        total: currencies.price(order.total, &order.currency),
        history: history(&order, &authors, &account.names),
        held_up: held_up.iter().find(|one| one.order.number == order.number).map(notes),
        money: account.money(&currencies),
        refunds: account.refunds(&order, &currencies),
        refunds_known: account.refunds.is_some(),
        amount: amount.unwrap_or_else(|| Field::of(if left > 0 { plain(left, digits) } else { String::new() })),
        return_money: return_money(&order, &account, &currencies),
        returns: &returns,
        order: &order,
    };
    Ok(reply(&page, status))
}

fn history<'a>(order: &'a Order, authors: &[Author], names: &Names) -> Vec<Event<'a>> {
    let event = |(at, event): (usize, &'a ordering::Event)| Event {
        at: When(event.at),
        state: state_label(event.state),
        note: &event.note,
        who: authors.get(at).map(|author| who(author, names)).unwrap_or_default(),
    };
    order.history.iter().enumerate().map(event).collect()
}

fn who(author: &Author, names: &Names) -> String {
    let Author { by, ended_by } = author;
    match (by.as_str(), ended_by.as_str()) {
        ("", "") => String::new(),
        (by, "") => format!("by {}", names.name(by)),
        ("", ended_by) => format!("brought to its end by {}", names.name(ended_by)),
        (by, ended_by) => format!("by {}, brought to its end by {}", names.name(by), names.name(ended_by)),
    }
}

fn lines<'a>(order: &'a Order, titles: &'a Titles, currencies: &'a Currencies) -> Vec<Line<'a>> {
    let line = |line: &'a ordering::PlacedLine| {
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
