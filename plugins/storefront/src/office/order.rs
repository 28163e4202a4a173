//! One order: what was ordered, where it goes, its money, and what can be done with it.

use askama::Template;

use crate::assets;
use crate::money::Price;
use crate::pages::Problem;
use crate::reference::{Countries, Currencies, Returns};
use crate::reply::Reply;
use crate::seams::Seams;
use crate::seams::ordering::{Order, State};

use super::desk::{Desk, Section, Shell};
use super::fields::{Field, plain};
use super::list::problem;
use super::notice::Notice;
use super::payment::{Account, Money, Refund, return_money};
use super::query::Query;
use super::reply;
use super::view::{Titles, When, state_label, state_name};

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
    refunds: Vec<Refund<'a>>,
    /// Why and by whom is not known while `finance` does not answer.
    refunds_known: bool,
    amount: Field,
    /// What taking the return in does with its money.
    return_money: String,
    returns: &'a Returns,
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
        self.order.state == State::Placed
    }

    fn can_receive(&self) -> bool {
        self.order.state == State::ReturnRequested
    }

    fn invoiced(&self) -> bool {
        matches!(self.order.state, State::Shipped | State::ReturnRequested | State::Returned)
    }
}

/// `GET /office/orders/NUMBER`
pub fn page<S: Seams>(desk: &Desk<'_, S>, number: &str, query: &Query) -> Result<Reply, Problem> {
    show(desk, number, query.done.map(Notice::from), None, 200)
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
    let order = seams.desk_order(number).map_err(|error| problem(&error, seams))?;
    let titles = Titles::of(order.lines.iter().map(|line| line.sku.as_str()), seams);
    let account = Account::of(&order, seams);
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
        customer: account.name(&order.customer),
        country: countries.name(&order.address.country),
        lines: lines(&order, &titles, &currencies),
        shipping: currencies.price(order.shipping, &order.currency),
        total: currencies.price(order.total, &order.currency),
        history: order.history.iter().map(|event| (When(event.at), state_label(event.state), &*event.note)).collect(),
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
