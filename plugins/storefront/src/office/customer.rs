//! One customer: statement of account and orders. The page shows neither address nor password.

use askama::Template;

use crate::assets;
use crate::money::Price;
use crate::pages::{Problem, Service};
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::Seams;

use super::books::problem;
use super::csv::{Cell, Csv};
use super::desk::{Desk, Section, Shell};
use super::held_up::NAMED_MAX;
use super::list::{Row, rows};
use super::query::Query;
use super::reply;
use super::view::{Names, When, is_number};

#[derive(Template)]
#[template(path = "office/customer.html")]
struct CustomerPage<'a> {
    shell: Shell<'a>,
    id: &'a str,
    /// The id if the name is unknown.
    name: &'a str,
    lines: Vec<Line<'a>>,
    more: bool,
    /// The newest ones; `None` if `orders` does not answer.
    orders: Option<Vec<Row<'a>>>,
}

struct Line<'a> {
    at: When,
    order: Option<&'a str>,
    text: &'a str,
    amount: Price<'a>,
    balance: Price<'a>,
}

/// `GET /office/customers?id=`: redirects from a customer's number or e-mail address to the customer's page.
pub fn find<S: Seams>(desk: &Desk<'_, S>, query: &Query) -> Result<Reply, Problem> {
    let typed = query.id.as_str();
    let found = if typed.contains('@') {
        desk.seams().find_customer(typed).map_err(|_| Problem::Unavailable(Service::Accounts))?
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
    let (names, statement, orders, held_up) = seam_sdk::together((
        || seams.names(&[id]).ok(),
        || seams.statement(id),
        || seams.orders_of(id, 1).ok(),
        || seams.held_up_orders(NAMED_MAX).unwrap_or_default(),
    ));
    // Only `customer` knows which ids exist. While it is away, the page shows the statement of any id.
    if matches!(names.as_deref(), Some([None])) {
        return Err(Problem::NotFound);
    }
    let name = names.as_ref().and_then(|names| names.first()?.as_deref()).unwrap_or(id);
    let statement = statement.map_err(|error| problem(&error, seams))?;
    let orders = orders.map(|page| page.orders);
    let currencies = Currencies::of(seams);
    let named = Names::one(id, name);
    let page = CustomerPage {
        shell: desk.shell(Section::Books, None),
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
        orders: orders.as_ref().map(|orders| rows(orders, &held_up, &named, &currencies)),
    };
    Ok(reply(&page, 200))
}

/// `GET /office/customers/ID/statement.csv`: as many lines as `finance` lists, the newest first.
pub fn csv<S: Seams>(desk: &Desk<'_, S>, id: &str) -> Result<Reply, Problem> {
    let seams = desk.seams();
    let statement = seams.statement(id).map_err(|error| problem(&error, seams))?;
    let currencies = Currencies::of(seams);
    let mut csv = Csv::new(&["When", "Order", "What", "Amount", "Balance", "Currency"]);
    for line in &statement.lines {
        let (_, digits) = currencies.sign(&line.currency);
        csv.row(&[
            Cell::Time(line.at),
            (&line.order).into(),
            (&line.text).into(),
            Cell::Amount(line.amount, digits),
            Cell::Amount(line.balance, digits),
            (&line.currency).into(),
        ]);
    }
    Ok(csv.reply(&format!("statement-{id}")))
}
