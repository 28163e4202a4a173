//! The orders context: the order in process, as its customer and the operator see it.
//!
//! The records of the interfaces are its types. `domain` holds the rules, `store` the SQL, `neighbours` what orders
//! asks of other contexts. `placing` and `changing` start what is done with an order and move it on; the host has its
//! `steps` performed, and has `mending` let go what is held for an order that is over. This file is where they meet.

pub mod changing;
pub mod domain;
pub mod mending;
pub mod neighbours;
pub mod placing;
pub mod steps;
pub mod store;

wit_bindgen::generate!({
    path: [
        "../../wit/host",
        "../../wit/catalog",
        "../../wit/warehouse",
        "../../wit/finance",
        "../../wit/orders",
    ],
    world: "musiccorp:orders/orders",
    generate_all,
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});

use domain::states::Step;
use domain::{check, past, progress, search};
pub use exports::musiccorp::orders::{archive, desk, ordering as wit};
pub use musiccorp::orders::events;
use neighbours::Linked;
use seam_sdk::sagas::{Definition, Outcome, Steps, Task};
use seam_sdk::two_phase;
use store::changing::Change;

seam_sdk::context!(Orders, migrations, invariants, sagas);
seam_sdk::health!(Orders, domain::sagas::check);
seam_sdk::mends!(Orders, |found| mending::mend(found, &Linked));
seam_sdk::errors!(wit::Error);

/// The outbox is a part of the store.
impl From<events::Error> for seam_sdk::store::Error {
    fn from(error: events::Error) -> Self {
        match error {
            events::Error::Invalid(why) | events::Error::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

/// Nothing is written, or whether it is is not known yet: the key tells.
impl From<two_phase::Error> for wit::Error {
    fn from(error: two_phase::Error) -> Self {
        Self::Unavailable(error.unavailable())
    }
}

impl Steps for Orders {
    fn definitions() -> Vec<Definition> {
        domain::sagas::definitions()
    }

    fn perform(task: &Task) -> Outcome {
        steps::perform(task, &Linked)
    }

    fn undo(task: &Task) -> Outcome {
        steps::undo(task, &Linked)
    }
}

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

    fn get_progress(customer: String, numbers: Vec<String>) -> Result<Vec<wit::Progress>, wit::Error> {
        check::customer(&customer)?;
        check::asked(&numbers)?;
        let progress = |(number, doing, since): (String, _, u64)| {
            let status = store::desk::saga_of(doing, &number)?;
            Ok(wit::Progress { number, since, text: progress::sentence(doing, status.as_ref()).into() })
        };
        store::in_process(&customer, &numbers)?.into_iter().map(progress).collect()
    }

    fn orders_of(customer: String, page: u32) -> Result<wit::Page, wit::Error> {
        check::customer(&customer)?;
        check::page(page)?;
        Ok(store::of_customer(&customer, page)?)
    }

    fn cancel(key: String, customer: String, number: String) -> Result<wit::Order, wit::Error> {
        let customer = Some(customer.as_str());
        let change = Change { key: &key, step: Step::Cancel, number: &number, customer, by: None };
        changing::change(change, "", &Linked)
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

    fn list_held_up(count: u32) -> Result<Vec<desk::HeldUp>, wit::Error> {
        search::count(count)?;
        Ok(store::desk::held_up(count, seam_sdk::clock::now())?)
    }

    fn get_authors(number: String) -> Result<Vec<desk::Author>, wit::Error> {
        Ok(store::desk::authors(&number)?)
    }

    fn ship(key: String, number: String) -> Result<wit::Order, wit::Error> {
        changing::change(at_desk(&key, Step::Ship, &number, None), "", &Linked)
    }

    fn receive_return(key: String, number: String) -> Result<wit::Order, wit::Error> {
        changing::change(at_desk(&key, Step::ReceiveReturn, &number, None), "", &Linked)
    }

    fn cancel(key: String, number: String, reason: String) -> Result<wit::Order, wit::Error> {
        changing::change(at_desk(&key, Step::Cancel, &number, None), &reason, &Linked)
    }

    fn take_over() -> Result<u32, wit::Error> {
        store::archive::publish_earlier(&Linked)?;
        Ok(store::archive::start_sagas()?)
    }

    fn ship_by(key: String, number: String, by: String) -> Result<wit::Order, wit::Error> {
        changing::change(at_desk(&key, Step::Ship, &number, Some(&by)), "", &Linked)
    }

    fn receive_return_by(key: String, number: String, by: String) -> Result<wit::Order, wit::Error> {
        changing::change(at_desk(&key, Step::ReceiveReturn, &number, Some(&by)), "", &Linked)
    }

    fn cancel_by(key: String, number: String, reason: String, by: String) -> Result<wit::Order, wit::Error> {
        changing::change(at_desk(&key, Step::Cancel, &number, Some(&by)), &reason, &Linked)
    }

    fn correct_return(number: String, lines: Vec<wit::Line>, by: String) -> Result<wit::Order, wit::Error> {
        changing::correct_return(&number, &lines, &by)
    }
}

/// What an operator asks for.
fn at_desk<'a>(key: &'a str, step: Step, number: &'a str, by: Option<&'a str>) -> Change<'a> {
    Change { key, step, number, customer: None, by }
}

impl archive::Guest for Orders {
    fn put_orders(orders: Vec<archive::PastOrder>) -> Result<u32, wit::Error> {
        past::check(&orders)?;
        Ok(store::archive::put(&orders, &Linked)?)
    }
}
