//! The finance context: money taken and given back, and the books that account for it.
//!
//! `domain` holds the rules, `store` the SQL; `payments`, `books` and `archive` say in which order they are asked, `titles` what the catalog is
//! asked; this file is where they meet the component's interfaces.
//!
//! Invariant: nothing of a card is kept or logged but its last four digits.

pub mod archive;
pub mod books;
pub mod domain;
pub mod payments;
pub mod store;
pub mod titles;

wit_bindgen::generate!({
    path: ["../../wit/host", "../../wit/catalog", "../../wit/finance"],
    world: "musiccorp:finance/finance",
    generate_all,
});

use exports::musiccorp::finance::archive as wit_archive;
use exports::musiccorp::finance::books as wit_books;
use exports::musiccorp::finance::payments as wit;

seam_sdk::context!(Finance, "0001-books");
seam_sdk::health!(Finance, books::check);

impl wit::Guest for Finance {
    fn authorise(key: String, sale: wit::Sale, card: wit::Card) -> Result<wit::Payment, wit::Error> {
        Ok(payments::authorise(&key, &sale.into(), &card.into())?.into())
    }

    fn void(key: String, order: String) -> Result<(), wit::Error> {
        Ok(payments::void(&key, &order)?)
    }

    fn capture(key: String, order: String) -> Result<wit::Payment, wit::Error> {
        Ok(payments::capture(&key, &order)?.into())
    }

    fn refund(key: String, order: String, amount: u64, reason: String) -> Result<wit::Payment, wit::Error> {
        Ok(payments::refund(&key, &order, amount, &reason)?.into())
    }

    fn payments(orders: Vec<String>) -> Result<Vec<wit::Payment>, wit::Error> {
        Ok(payments::payments(&orders)?.into_iter().map(wit::Payment::from).collect())
    }
}

impl wit_books::Guest for Finance {
    fn get_statement(customer: String) -> Result<wit_books::Statement, wit::Error> {
        let books::Statement { lines, more } = books::statement(&customer)?;
        Ok(wit_books::Statement { lines: lines.into_iter().map(wit_books::StatementLine::from).collect(), more })
    }

    fn get_invoice(order: String) -> Result<Option<wit_books::Invoice>, wit::Error> {
        Ok(books::invoice(&order, &titles::Linked)?.map(wit_books::Invoice::from))
    }

    fn get_trial_balance() -> Result<wit_books::TrialBalance, wit::Error> {
        let books::TrialBalance { lines, sum, entries } = books::trial_balance()?;
        let line = |line: store::Total| {
            let store::Total { account, currency, debit, credit, entries: _ } = line;
            wit_books::TrialBalanceLine { account, currency, debit, credit }
        };
        Ok(wit_books::TrialBalance { lines: lines.into_iter().map(line).collect(), sum, entries })
    }
}

impl wit_archive::Guest for Finance {
    fn put_sales(sales: Vec<wit_archive::PastSale>) -> Result<u32, wit::Error> {
        let sales: Vec<_> = sales.into_iter().map(domain::past::PastSale::from).collect();
        Ok(archive::put_sales(&sales)?)
    }
}

impl From<domain::Error> for wit::Error {
    fn from(error: domain::Error) -> Self {
        use domain::{Error, Problem};
        match error {
            Error::Card(problems) => {
                let field = |Problem { field, problem }| wit::FieldProblem { field, problem };
                Self::Card(problems.into_iter().map(field).collect())
            }
            Error::Declined(why) => Self::Declined(why),
            Error::Unanswered => Self::Unanswered,
            Error::UnknownOrder(order) => Self::UnknownOrder(order),
            Error::Refused(why) => Self::Refused(why),
            Error::Invalid(why) => Self::Invalid(why),
            Error::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<wit::Sale> for domain::Sale {
    fn from(sale: wit::Sale) -> Self {
        let wit::Sale { order, customer, lines, shipping, currency } = sale;
        let line = |wit::Line { sku, quantity, price }| domain::Line { sku, quantity, price };
        Self { order, customer, lines: lines.into_iter().map(line).collect(), shipping, currency }
    }
}

impl From<wit::Card> for domain::card::Typed {
    fn from(card: wit::Card) -> Self {
        let wit::Card { number, holder, expiry, code } = card;
        Self { number, holder, expiry, code }
    }
}

impl From<domain::Payment> for wit::Payment {
    fn from(payment: domain::Payment) -> Self {
        let domain::Payment { order, stage, amount, currency, refunded, card } = payment;
        let stage = match stage {
            domain::Stage::Unknown => wit::Stage::Unknown,
            domain::Stage::Authorised => wit::Stage::Authorised,
            domain::Stage::Captured => wit::Stage::Captured,
            domain::Stage::Declined => wit::Stage::Declined,
            // No payment is in the stage `Marked`; of an order that is, `voided` would be the truth.
            domain::Stage::Voided | domain::Stage::Marked => wit::Stage::Voided,
        };
        Self { order, stage, authorised: wit::Money { minor_units: amount, currency }, refunded, card }
    }
}

impl From<books::StatementLine> for wit_books::StatementLine {
    fn from(line: books::StatementLine) -> Self {
        let books::StatementLine { owed, balance } = line;
        let store::Owed { at, order, text, amount, currency, owes: _ } = owed;
        Self { at, order, text, amount, balance, currency }
    }
}

impl From<books::Invoice> for wit_books::Invoice {
    fn from(invoice: books::Invoice) -> Self {
        let books::Invoice { number, at, payment, customer, shipping, lines } = invoice;
        let domain::Payment { order, stage: _, amount, currency, refunded, card } = payment;
        let line = |(domain::Line { sku, quantity, price }, title)| {
            let title = match title {
                books::Title::Known(title) => wit_books::Title::Known(title),
                books::Title::Gone => wit_books::Title::Gone,
                books::Title::Unavailable => wit_books::Title::Unavailable,
            };
            wit_books::InvoiceLine { sku, title, quantity, price }
        };
        Self {
            number: number.to_string(),
            order,
            customer,
            at,
            lines: lines.into_iter().map(line).collect(),
            shipping,
            total: wit::Money { minor_units: amount, currency },
            refunded,
            card,
        }
    }
}

impl From<wit_archive::PastSale> for domain::past::PastSale {
    fn from(past: wit_archive::PastSale) -> Self {
        let wit_archive::PastSale { sale, at, captured, voided, card, refunds } = past;
        let refund = |wit_archive::PastRefund { at, amount, reason }| domain::past::PastRefund { at, amount, reason };
        Self { sale: sale.into(), at, captured, voided, card, refunds: refunds.into_iter().map(refund).collect() }
    }
}
