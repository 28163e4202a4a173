//! The finance context: money taken and given back, and the books that account for it.
//!
//! The records of the interfaces are its types. `domain` holds the rules, `store` the SQL; `payments`, `books` and
//! `archive` say in which order they are asked, `neighbours` what finance asks of other contexts. This file is where
//! they meet.
//!
//! Invariant: finance keeps and logs nothing of a card but its last four digits.

pub mod archive;
pub mod books;
pub mod domain;
pub mod neighbours;
pub mod payments;
pub mod store;

wit_bindgen::generate!({
    path: ["../../wit/host", "../../wit/catalog", "../../wit/finance"],
    world: "musiccorp:finance/finance",
    generate_all,
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});

use domain::card::Typed;
pub use exports::musiccorp::finance::archive as wit_archive;
pub use exports::musiccorp::finance::books as wit_books;
pub use exports::musiccorp::finance::payments as wit;
use neighbours::Linked;

seam_sdk::context!(Finance, migrations, invariants);
seam_sdk::errors!(wit::Error);
seam_sdk::health!(Finance, books::check);

impl wit::Guest for Finance {
    fn check_card(card: wit::Card) -> Result<(), wit::Error> {
        payments::check_card(&Typed(card))
    }

    fn authorise(key: String, sale: wit::Sale, card: wit::Card) -> Result<wit::Payment, wit::Error> {
        payments::authorise(&key, &sale, &Typed(card))
    }

    fn keep_card(card: wit::Card) -> Result<String, wit::Error> {
        payments::keep_card(&Typed(card))
    }

    fn authorise_kept(key: String, sale: wit::Sale, token: String) -> Result<wit::Payment, wit::Error> {
        payments::authorise_kept(&key, &sale, &token)
    }

    fn void(key: String, order: String) -> Result<(), wit::Error> {
        payments::void(&key, &order)
    }

    fn capture(key: String, order: String) -> Result<wit::Payment, wit::Error> {
        payments::capture(&key, &order)
    }

    fn refund(key: String, order: String, amount: u64, reason: String) -> Result<wit::Payment, wit::Error> {
        payments::refund(&key, &order, amount, &reason, None)
    }

    fn refund_by(
        key: String,
        order: String,
        amount: u64,
        reason: String,
        by: String,
    ) -> Result<wit::Payment, wit::Error> {
        payments::refund(&key, &order, amount, &reason, Some(&by))
    }

    fn payments(orders: Vec<String>) -> Result<Vec<wit::Payment>, wit::Error> {
        payments::payments(&orders)
    }
}

impl wit_books::Guest for Finance {
    fn get_statement(customer: String) -> Result<wit_books::Statement, wit::Error> {
        books::statement(&customer)
    }

    fn get_invoice(order: String) -> Result<Option<wit_books::Invoice>, wit::Error> {
        books::invoice(&order, &Linked)
    }

    fn get_refunds(order: String) -> Result<Vec<wit_books::GivenBack>, wit::Error> {
        books::refunds(&order)
    }

    fn get_trial_balance() -> Result<wit_books::TrialBalance, wit::Error> {
        books::trial_balance()
    }
}

impl wit_archive::Guest for Finance {
    fn put_sales(sales: Vec<wit_archive::PastSale>) -> Result<u32, wit::Error> {
        archive::put_sales(&sales)
    }
}
