//! What the finance context accepts, decides and books. Pure: no store, no host, no clock.
//!
//! `check` and `card` look at arguments, `processor` answers for the bank, `stages` says what may follow what, `ledger`
//! writes the journal's entries, `keys` tells one request from another, `token` stands for a card that is kept, `past`
//! takes in sales that were made elsewhere.

pub mod card;
pub mod check;
pub mod keys;
pub mod ledger;
pub mod past;
pub mod processor;
pub mod stages;
pub mod token;

use crate::wit::{Error, Payment, Sale};

pub use stages::Stage;

/// The first invoice's number.
pub const INVOICE_FIRST: u32 = 1_000_001;

impl Sale {
    /// What the records cost, without shipping.
    pub fn goods(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.quantity) * u64::from(line.price)).sum()
    }

    pub fn total(&self) -> u64 {
        self.goods() + u64::from(self.shipping)
    }
}

/// The answer to a change: the payment after it, none where there never was one.
pub type Answer = Result<Option<Payment>, Error>;

/// Money of ours as SQLite has it: every amount and every time here is far below the bound.
pub fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
