//! The account: the customer's orders, and links to everything else that belongs to the customer.
//!
//! Calls `customer` for the account and `orders` for a page of orders. Without `orders` the page lacks the list.

use askama::Template;

use super::note::note;
use super::order::{is_number, progress, state, state_class};
use super::{Problem, Shell, render, signed_in};
use crate::assets;
use crate::csrf;
use crate::money::Price;
use crate::params::Params;
use crate::reference::Currencies;
use crate::reply::{CachePolicy, Reply};
use crate::seams::{Seams, accounts, ordering};
use crate::time::Day;
use crate::visit::Visit;

/// The last page that `orders` lists.
const ORDERS_PAGE_MAX: u32 = 500;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    shell: Shell<'a>,
    note: Option<&'static str>,
    alarm: Option<super::field::Alarm>,
    token: String,
    account: &'a accounts::Account,
    /// `None` if `orders` does not answer.
    orders: Option<Vec<Row<'a>>>,
    page: u32,
    previous: Option<u32>,
    next: Option<u32>,
}

struct Row<'a> {
    /// `None` if it cannot be part of an address.
    number: Option<&'a str>,
    day: Day,
    copies: u32,
    total: Price<'a>,
    state: &'static str,
    class: &'static str,
    /// What is being done with it.
    progress: Option<String>,
}

/// `/account?page=&note=`
pub fn account(params: &Params<'_>, visit: &Visit<'_>, seams: &impl Seams) -> Result<Reply, Problem> {
    let customer = signed_in(visit, "/account", seams)?;
    let number = params.page.unwrap_or(1);
    if number > ORDERS_PAGE_MAX {
        return Err(Problem::PastTheEnd);
    }
    let found = match seams.orders_of(&customer.account.id, number) {
        Ok(page) if page.orders.is_empty() && number > 1 => return Err(Problem::PastTheEnd),
        Ok(page) => Some(page),
        Err(ordering::Error::Unavailable(_)) => None,
        Err(error) => {
            seams.warn(&format!("ordering.orders-of: {error}"));
            None
        }
    };
    let currencies = Currencies::of(seams);
    let rows = found.as_ref().map(|page| {
        let open: Vec<_> = page.orders.iter().map(|order| (order.number.as_str(), order.state)).collect();
        let progress = progress(&customer.account.id, &open, seams);
        let rows = page.orders.iter().map(|order| {
            let number = Some(order.number.as_str()).filter(|number| is_number(number));
            let total = currencies.price(order.total, &order.currency);
            let (state, class) = (state(order.state), state_class(order.state));
            let progress = progress.iter().find(|one| one.number == order.number).map(|one| one.text.clone());
            Row { number, day: Day(order.at), copies: order.copies, total, state, class, progress }
        });
        rows.collect()
    });
    let more = found.as_ref().is_some_and(|page| page.more) && number < ORDERS_PAGE_MAX;
    let page = AccountPage {
        shell: Shell::of(visit),
        note: note(params.note.as_deref()),
        alarm: None,
        token: visit.form_token(seams),
        account: &customer.account,
        orders: rows,
        page: number,
        previous: (number > 1).then(|| number - 1),
        next: more.then(|| number + 1),
    };
    Ok(Reply::html(CachePolicy::NoStore, render(&page, 8 * 1024)))
}
