//! The orders context: the order in process, as its customer and the operator see it.
//!
//! The records of the interfaces are its types. `domain` holds the rules, `store` the SQL, `neighbours` what orders
//! asks of other contexts, `placing` and `changing` the order in which all of them are asked. This file is where they
//! meet.

pub mod changing;
pub mod domain;
pub mod neighbours;
pub mod placing;
pub mod store;

wit_bindgen::generate!({
    path: [
        "../../wit/host",
        "../../wit/catalog",
        "../../wit/warehouse",
        "../../wit/recommendation",
        "../../wit/finance",
        "../../wit/orders",
    ],
    world: "musiccorp:orders/orders",
    generate_all,
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});

use domain::states::Step;
use domain::{check, invalid, past, search};
pub use exports::musiccorp::orders::{archive, desk, history, ordering as wit};
use neighbours::Linked;
use store::changing::Change;

seam_sdk::context!(Orders, migrations, invariants);
seam_sdk::errors!(wit::Error);

impl wit::Guest for Orders {
    fn get_quote(lines: Vec<wit::Line>) -> Result<wit::Quote, wit::Error> {
        placing::get_quote(&lines, &Linked)
    }

    fn get_shipping() -> Result<wit::Shipping, wit::Error> {
        placing::shipping()
    }

    fn place(key: String, request: wit::Request) -> Result<wit::Order, wit::Error> {
        placing::place(&key, &request, &Linked)
    }

    fn get_order(customer: String, number: String) -> Result<wit::Order, wit::Error> {
        store::order(&number)?.filter(|order| order.customer == customer).ok_or(wit::Error::UnknownOrder)
    }

    fn orders_of(customer: String, page: u32) -> Result<wit::Page, wit::Error> {
        check::customer(&customer)?;
        check::page(page)?;
        Ok(store::of_customer(&customer, page)?)
    }

    fn cancel(key: String, customer: String, number: String) -> Result<wit::Order, wit::Error> {
        let customer = Some(customer.as_str());
        let change = Change { key: &key, step: Step::Cancel, number: &number, customer, by: None };
        changing::cancel(change, "", &Linked)
    }

    fn request_return(
        key: String,
        customer: String,
        number: String,
        lines: Vec<wit::Line>,
    ) -> Result<wit::Order, wit::Error> {
        let customer = Some(customer.as_str());
        let change = Change { key: &key, step: Step::RequestReturn, number: &number, customer, by: None };
        changing::request_return(change, &lines)
    }
}

impl desk::Guest for Orders {
    fn find(wanted: desk::Search, range: desk::Range) -> Result<wit::Page, wit::Error> {
        Ok(store::desk::find(&search::search(wanted)?, search::range(range)?)?)
    }

    fn waiting(range: desk::Range) -> Result<wit::Page, wit::Error> {
        Ok(store::desk::waiting(search::range(range)?, seam_sdk::clock::now())?)
    }

    fn recipients(orders: Vec<String>) -> Result<Vec<desk::Recipient>, wit::Error> {
        search::numbers(&orders)?;
        Ok(store::desk::recipients(&orders)?)
    }

    fn in_state(state: wit::State, page: u32) -> Result<wit::Page, wit::Error> {
        check::page(page)?;
        Ok(store::in_state(state, page)?)
    }

    fn in_between(page: u32) -> Result<wit::Page, wit::Error> {
        check::page(page)?;
        Ok(store::in_between(page)?)
    }

    fn get_order(number: String) -> Result<wit::Order, wit::Error> {
        store::order(&number)?.ok_or(wit::Error::UnknownOrder)
    }

    fn list_cut_off(count: u32) -> Result<Vec<desk::CutOff>, wit::Error> {
        search::count(count)?;
        Ok(store::desk::cut_off(count, seam_sdk::clock::now())?)
    }

    fn get_authors(number: String) -> Result<Vec<desk::Author>, wit::Error> {
        Ok(store::desk::authors(&number)?)
    }

    fn ship(key: String, number: String) -> Result<wit::Order, wit::Error> {
        changing::ship(at_desk(&key, Step::Ship, &number, None), &Linked)
    }

    fn receive_return(key: String, number: String) -> Result<wit::Order, wit::Error> {
        changing::receive_return(at_desk(&key, Step::ReceiveReturn, &number, None), &Linked)
    }

    fn cancel(key: String, number: String, reason: String) -> Result<wit::Order, wit::Error> {
        changing::cancel(at_desk(&key, Step::Cancel, &number, None), &reason, &Linked)
    }

    fn settle() -> Result<u32, wit::Error> {
        changing::settle(None, &Linked)
    }

    fn ship_by(key: String, number: String, by: String) -> Result<wit::Order, wit::Error> {
        changing::ship(at_desk(&key, Step::Ship, &number, Some(&by)), &Linked)
    }

    fn receive_return_by(key: String, number: String, by: String) -> Result<wit::Order, wit::Error> {
        changing::receive_return(at_desk(&key, Step::ReceiveReturn, &number, Some(&by)), &Linked)
    }

    fn cancel_by(key: String, number: String, reason: String, by: String) -> Result<wit::Order, wit::Error> {
        changing::cancel(at_desk(&key, Step::Cancel, &number, Some(&by)), &reason, &Linked)
    }

    fn settle_by(by: String) -> Result<u32, wit::Error> {
        changing::settle(Some(&by), &Linked)
    }
}

/// What an operator asks for.
fn at_desk<'a>(key: &'a str, step: Step, number: &'a str, by: Option<&'a str>) -> Change<'a> {
    Change { key, step, number, customer: None, by }
}

impl history::Guest for Orders {
    fn purchases(after: u64, count: u32) -> Result<Vec<history::Purchase>, wit::Error> {
        if !(1..=domain::PURCHASES_MAX).contains(&count) {
            return Err(invalid("count", format_args!("{count} does not lie between 1 and {}", domain::PURCHASES_MAX)));
        }
        Ok(store::purchases(after, count)?)
    }
}

impl archive::Guest for Orders {
    fn put_orders(orders: Vec<archive::PastOrder>) -> Result<u32, wit::Error> {
        past::check(&orders)?;
        Ok(store::archive::put(&orders)?)
    }
}
