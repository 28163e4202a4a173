//! Orders by their state, oldest first, twenty on a page.

use askama::Template;

use crate::assets;
use crate::money::Price;
use crate::pages::{Problem, Service};
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::Seams;
use crate::seams::ordering::{self, State, Summary};

use super::desk::{Desk, Section, Shell};
use super::query::{PAGE_MAX, Query};
use super::reply;
use super::view::{STATES, When, state_label, state_name};

#[derive(Template)]
#[template(path = "office/orders.html")]
struct OrdersPage<'a> {
    shell: Shell<'a>,
    state: State,
    label: &'static str,
    rows: Vec<Row<'a>>,
    page: u32,
    previous: Option<String>,
    next: Option<String>,
}

pub struct Row<'a> {
    pub summary: &'a Summary,
    pub state: &'static str,
    pub at: When,
    pub total: Price<'a>,
    /// The id if the name is unknown.
    pub customer: &'a str,
}

/// `GET /office/orders?state=&page=`
pub fn page<S: Seams>(desk: &Desk<'_, S>, query: &Query) -> Result<Reply, Problem> {
    let state = query.state.unwrap_or(State::Placed);
    if query.page > PAGE_MAX {
        return Err(Problem::PastTheEnd);
    }
    let found = desk.seams().orders_in_state(state, query.page).map_err(|error| problem(&error, desk.seams()))?;
    if found.orders.is_empty() && query.page > 1 {
        return Err(Problem::PastTheEnd);
    }
    let names = names(&found.orders, desk.seams());
    let currencies = Currencies::of(desk.seams());
    let href = |page: u32| format!("/office/orders?state={}&page={page}", state_name(state));
    let page = OrdersPage {
        shell: desk.shell(Section::Orders, None),
        state,
        label: state_label(state),
        rows: rows(&found.orders, &names, &currencies),
        page: query.page,
        previous: (query.page > 1).then(|| href(query.page - 1)),
        next: (found.more && query.page < PAGE_MAX).then(|| href(query.page + 1)),
    };
    Ok(reply(&page, 200))
}

pub fn rows<'a>(orders: &'a [Summary], names: &'a [Option<String>], currencies: &'a Currencies) -> Vec<Row<'a>> {
    let row = |(at, summary): (usize, &'a Summary)| Row {
        summary,
        state: state_label(summary.state),
        at: When(summary.at),
        total: currencies.price(summary.total, &summary.currency),
        customer: names.get(at).and_then(Option::as_deref).unwrap_or(&summary.customer),
    };
    orders.iter().enumerate().map(row).collect()
}

/// The name of each order's customer, in one call; empty while `customer` is away.
fn names(orders: &[Summary], seams: &impl Seams) -> Vec<Option<String>> {
    let ids: Vec<&str> = orders.iter().map(|order| order.customer.as_str()).collect();
    if ids.is_empty() { Vec::new() } else { seams.names(&ids).unwrap_or_default() }
}

/// The error page for an error of `orders`.
pub fn problem(error: &ordering::Error, seams: &impl Seams) -> Problem {
    match error {
        ordering::Error::UnknownOrder => Problem::NotFound,
        ordering::Error::Unavailable(_) => Problem::Unavailable(Service::Orders),
        other => {
            seams.warn(&format!("orders refused: {other}"));
            Problem::Refused
        }
    }
}
