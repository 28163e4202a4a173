//! One customer: what they bought, paid and got back, and their orders. Their address and password are nobody's business here.

use askama::Template;

use crate::assets;
use crate::money::Price;
use crate::pages::{Away, Problem};
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::Seams;

use super::books::problem;
use super::desk::{Desk, Place, Shell};
use super::list::{Row, rows};
use super::query::Query;
use super::reply;
use super::view::{When, is_number, or_away};

#[derive(Template)]
#[template(path = "office/customer.html")]
struct CustomerPage<'a> {
    shell: Shell<'a>,
    id: &'a str,
    /// The id where nobody knows the name.
    name: &'a str,
    lines: Vec<Line<'a>>,
    more: bool,
    /// The newest ones; none: the order desk does not answer.
    orders: Option<Vec<Row<'a>>>,
}

struct Line<'a> {
    at: When,
    order: Option<&'a str>,
    text: &'a str,
    amount: Price<'a>,
    balance: Price<'a>,
}

/// `GET /office/customers?id=`: the number or the e-mail address that somebody typed becomes an address of ours.
pub fn find<S: Seams>(desk: &Desk<'_, S>, query: &Query) -> Result<Reply, Problem> {
    let typed = query.id.as_str();
    let found = if typed.contains('@') {
        desk.seams().find_customer(typed).map_err(|_| Problem::Away(Away::Accounts))?
    } else {
        Some(typed.to_owned())
    };
    match found.filter(|id| is_number(id)) {
        Some(id) => Ok(Reply::see_other(format!("/office/customers/{id}"))),
        None => Err(Problem::NotFound),
    }
}

/// `GET /office/customers/ID`
pub fn page<S: Seams>(desk: &Desk<'_, S>, id: &str) -> Result<Reply, Problem> {
    let seams = desk.seams();
    // Only `customer` knows who exists; while it is away, the statement of whoever is asked for is shown.
    let names = or_away(seams.names(&[id]));
    if matches!(names.as_deref(), Some([None])) {
        return Err(Problem::NotFound);
    }
    let name = names.as_ref().and_then(|names| names.first()?.as_deref()).unwrap_or(id);
    let statement = seams.statement(id).map_err(|error| problem(&error, seams))?;
    let orders = or_away(seams.orders_of(id, 1)).map(|page| page.orders);
    let currencies = Currencies::of(seams);
    let page = CustomerPage {
        shell: desk.shell(Place::Books, None),
        id,
        name,
        lines: statement
            .lines
            .iter()
            .map(|line| Line {
                at: When(line.at),
                order: is_number(&line.order).then_some(&*line.order),
                text: &line.text,
                amount: currencies.price(line.amount, &line.currency),
                balance: currencies.price(line.balance, &line.currency),
            })
            .collect(),
        more: statement.more,
        orders: orders.as_ref().map(|orders| rows(orders, &[], &currencies)),
    };
    Ok(reply(&page, 200))
}
