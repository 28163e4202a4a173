//! Orders: first what needs doing; otherwise those that match a number, a name, an e-mail address, a state, a date.

use askama::Template;

use crate::assets;
use crate::href::Encoded;
use crate::money::Price;
use crate::pages::{Problem, Service};
use crate::reference::Currencies;
use crate::reply::Reply;
use crate::seams::Seams;
use crate::seams::desk::{HeldUp, Search};
use crate::seams::ordering::{self, State, Summary};
use crate::time::Date;

use super::csv::{Cell, Csv, ROWS_MAX};
use super::desk::{Desk, Section, Shell};
use super::held_up::{NAMED_MAX, Notes, notes};
use super::notice::Notice;
use super::query::{PAGE_MAX, Query};
use super::reply;
use super::view::{Names, STATES, When, is_number, state_label, state_name};

/// Orders on a page.
const PAGE_SIZE: u32 = 20;
/// Orders that one call brings into a file.
const PART: u32 = 1_000;
const DAY_SECONDS: u64 = 86_400;

#[derive(Template)]
#[template(path = "office/orders.html")]
struct OrdersPage<'a> {
    shell: Shell<'a>,
    query: &'a Query,
    title: &'a str,
    /// Why the list is empty.
    nothing: &'static str,
    /// Orders that are held up, above the list of what needs doing.
    held_up: Vec<Notes<'a>>,
    rows: Vec<Row<'a>>,
    page: u32,
    previous: Option<String>,
    next: Option<String>,
    csv: String,
}

impl OrdersPage<'_> {
    fn is(&self, state: State) -> bool {
        self.query.state == Some(state)
    }

    fn in_state(&self, state: State) -> String {
        address("/office/orders", self.query, Some(state), 1)
    }

    fn searched(&self) -> bool {
        searched(self.query)
    }
}

pub struct Row<'a> {
    pub summary: &'a Summary,
    pub state: &'static str,
    /// A change of it was cut off.
    pub held_up: bool,
    pub at: When,
    pub total: Price<'a>,
    /// The id if the name is unknown.
    pub customer: &'a str,
}

/// What to ask `orders` for.
enum Wanted {
    Waiting,
    Search(Search),
    /// It is clear without asking that there is none, and why.
    Nothing(&'static str),
}

/// `GET /office/orders?q=&state=&from=&to=&page=`
pub fn page<S: Seams>(desk: &Desk<'_, S>, query: &Query) -> Result<Reply, Problem> {
    if query.page > PAGE_MAX {
        return Err(Problem::PastTheEnd);
    }
    let wanted = wanted(desk, query)?;
    let found = part(desk, &wanted, (query.page - 1) * PAGE_SIZE, PAGE_SIZE)?;
    if found.orders.is_empty() && query.page > 1 {
        return Err(Problem::PastTheEnd);
    }
    // A number names one order, and the operator wants to see it.
    if let (Wanted::Search(Search { number: Some(_), .. }), [order]) = (&wanted, found.orders.as_slice()) {
        return Ok(Reply::see_other(format!("/office/orders/{}", order.number)));
    }
    show(desk, query, &wanted, &found, query.done.map(Notice::from), 200)
}

/// `GET /office/orders.csv`, with the parameters of the page: the whole list.
pub fn csv<S: Seams>(desk: &Desk<'_, S>, query: &Query) -> Result<Reply, Problem> {
    let wanted = wanted(desk, query)?;
    let mut orders: Vec<Summary> = Vec::new();
    loop {
        let found = part(desk, &wanted, u32::try_from(orders.len()).unwrap_or(u32::MAX), PART)?;
        orders.extend(found.orders);
        if !found.more {
            break;
        }
        if orders.len() >= ROWS_MAX {
            let text = format!("The list has more than {ROWS_MAX} orders. Choose dates, and fetch it in parts.");
            let first = part(desk, &wanted, 0, PAGE_SIZE)?;
            let query = Query { page: 1, ..query.clone() };
            return show(desk, &query, &wanted, &first, Some(Notice { good: false, text }), 422);
        }
    }
    let names = names(&orders, desk.seams());
    let currencies = Currencies::of(desk.seams());
    let held_up = desk.seams().held_up_orders(NAMED_MAX).map_err(|error| problem(&error, desk.seams()))?;
    let mut csv = Csv::new(&[
        "Order",
        "Placed",
        "State",
        "Customer",
        "Customer's name",
        "Copies",
        "Total",
        "Currency",
        "Held up since",
    ]);
    for order in &orders {
        let (_, digits) = currencies.sign(&order.currency);
        let held_up = held_up.iter().find(|one| one.order.number == order.number);
        csv.row(&[
            (&order.number).into(),
            Cell::Time(order.at),
            state_label(order.state).into(),
            (&order.customer).into(),
            names.known(&order.customer).unwrap_or_default().into(),
            order.copies.into(),
            Cell::Amount(i64::try_from(order.total).unwrap_or(i64::MAX), digits),
            (&order.currency).into(),
            held_up.map_or(Cell::Empty, |one| Cell::Time(one.since)),
        ]);
    }
    Ok(csv.reply(&format!("orders-{}", Date(desk.seams().now()))))
}

fn show<S: Seams>(
    desk: &Desk<'_, S>,
    query: &Query,
    wanted: &Wanted,
    found: &ordering::Page,
    notice: Option<Notice>,
    status: u16,
) -> Result<Reply, Problem> {
    let names = names(&found.orders, desk.seams());
    let currencies = Currencies::of(desk.seams());
    let held_up = desk.seams().held_up_orders(NAMED_MAX).unwrap_or_default();
    let above = matches!(wanted, Wanted::Waiting) && query.page == 1;
    let href = |page: u32| address("/office/orders", query, query.state, page);
    let page = OrdersPage {
        shell: desk.shell(Section::Orders, notice),
        title: match (wanted, query.state) {
            (Wanted::Waiting, _) => "What needs doing",
            (_, Some(state)) => state_label(state),
            _ => "Orders found",
        },
        nothing: match wanted {
            Wanted::Waiting => "Nothing waits: no order is to be shipped, none comes back, none is held up.",
            Wanted::Search(_) => "No order is like this.",
            Wanted::Nothing(why) => why,
        },
        held_up: held_up.iter().filter(|_| above).map(notes).collect(),
        rows: rows(&found.orders, &held_up, &names, &currencies),
        page: query.page,
        previous: (query.page > 1).then(|| href(query.page - 1)),
        next: (found.more && query.page < PAGE_MAX).then(|| href(query.page + 1)),
        csv: address("/office/orders.csv", query, query.state, 1),
        query,
    };
    Ok(reply(&page, status))
}

fn searched(query: &Query) -> bool {
    !query.q.is_empty() || query.state.is_some() || query.from.is_some() || query.to.is_some()
}

/// Reads what was typed: an e-mail address, a customer's id, an order's number, or else a name.
fn wanted<S: Seams>(desk: &Desk<'_, S>, query: &Query) -> Result<Wanted, Problem> {
    if !searched(query) {
        return Ok(Wanted::Waiting);
    }
    let mut search = Search {
        number: None,
        state: query.state,
        customer: None,
        recipient: None,
        since: query.from.map(|date| date.0),
        before: query.to.map(|date| date.0 + DAY_SECONDS),
    };
    let typed = query.q.as_str();
    if typed.contains('@') {
        let found = desk.seams().find_customer(typed).map_err(|_| Problem::Unavailable(Service::Accounts))?;
        let Some(id) = found else { return Ok(Wanted::Nothing("No customer has this e-mail address.")) };
        search.customer = Some(id);
    } else if typed.starts_with("C-") && is_number(typed) {
        search.customer = Some(typed.into());
    } else if is_number(typed) && typed.bytes().any(|byte| byte.is_ascii_digit()) {
        search.number = Some(typed.into());
    } else if typed.contains(char::is_alphanumeric) {
        search.recipient = Some(typed.into());
    } else if !typed.is_empty() {
        return Ok(Wanted::Nothing("That is neither a number nor a name nor an e-mail address."));
    }
    Ok(Wanted::Search(search))
}

fn part<S: Seams>(desk: &Desk<'_, S>, wanted: &Wanted, skip: u32, count: u32) -> Result<ordering::Page, Problem> {
    let seams = desk.seams();
    let found = match wanted {
        Wanted::Waiting => seams.waiting_orders(skip, count),
        Wanted::Search(search) => seams.find_orders(search, skip, count),
        Wanted::Nothing(_) => Ok(ordering::Page { orders: Vec::new(), more: false }),
    };
    found.map_err(|error| problem(&error, seams))
}

/// A list with the same parameters. The first page has no number.
fn address(path: &str, query: &Query, state: Option<State>, page: u32) -> String {
    let date = |date: Option<Date>| date.map(|date| date.to_string());
    let number = (page > 1).then(|| page.to_string());
    let parts = [
        ("q", Some(query.q.clone()).filter(|typed| !typed.is_empty())),
        ("state", state.map(|state| state_name(state).to_owned())),
        ("from", date(query.from)),
        ("to", date(query.to)),
        ("page", number),
    ];
    let mut out = String::from(path);
    for (name, value) in parts {
        if let Some(value) = value {
            let before = if out.contains('?') { '&' } else { '?' };
            out += &format!("{before}{name}={}", Encoded(&value));
        }
    }
    out
}

/// `names` has the names of the orders' customers.
pub fn rows<'a>(
    orders: &'a [Summary],
    held_up: &[HeldUp],
    names: &'a Names,
    currencies: &'a Currencies,
) -> Vec<Row<'a>> {
    let row = |summary: &'a Summary| Row {
        summary,
        state: state_label(summary.state),
        held_up: held_up.iter().any(|one| one.order.number == summary.number),
        at: When(summary.at),
        total: currencies.price(summary.total, &summary.currency),
        customer: names.name(&summary.customer),
    };
    orders.iter().map(row).collect()
}

fn names(orders: &[Summary], seams: &impl Seams) -> Names {
    Names::of(orders.iter().map(|order| order.customer.as_str()), seams)
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
