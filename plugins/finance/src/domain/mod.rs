//! What the finance context accepts, decides and books. Pure: no store, no host, no clock.
//!
//! `check` and `card` look at arguments, `processor` answers for the bank, `stages` says what may follow what, `ledger` writes the journal's
//! entries, `keys` tells one request from another, `past` takes in sales that were made elsewhere.

pub mod card;
pub mod check;
pub mod keys;
pub mod ledger;
pub mod past;
pub mod processor;
pub mod stages;

use serde::{Deserialize, Serialize};

pub use stages::Stage;

/// The first invoice's number.
pub const INVOICE_FIRST: u32 = 1_000_001;

/// One album on an invoice. Its title is the catalog's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub sku: String,
    pub quantity: u32,
    /// Of one copy, in minor units.
    pub price: u32,
}

/// What was sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    pub order: String,
    pub customer: String,
    pub lines: Vec<Line>,
    pub shipping: u32,
    pub currency: String,
}

impl Sale {
    /// What the records cost, without shipping.
    pub fn goods(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.quantity) * u64::from(line.price)).sum()
    }

    pub fn total(&self) -> u64 {
        self.goods() + u64::from(self.shipping)
    }
}

/// A payment as others see it. The order of the fields is that of the columns in `store`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub order: String,
    pub stage: Stage,
    /// In minor units of `currency`.
    pub amount: u64,
    pub currency: String,
    pub refunded: u64,
    /// The last four digits.
    pub card: String,
}

/// One field of the card and what is wrong with it, in a sentence for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub field: String,
    pub problem: String,
}

/// Why something was not done; the cases of the interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Error {
    Card(Vec<Problem>),
    Declined(String),
    Unanswered,
    UnknownOrder(String),
    Refused(String),
    Invalid(String),
    Unavailable(String),
}

/// What was answered to a change: the payment after it, none where there never was one.
pub type Answer = Result<Option<Payment>, Error>;

impl From<seam_sdk::store::Error> for Error {
    fn from(error: seam_sdk::store::Error) -> Self {
        Self::Unavailable(error.unavailable())
    }
}

/// Money of ours as SQLite has it: every amount and every time here is far below the bound.
pub fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
