//! How many cards one may try: who has stolen numbers tries many, to find those that are good.
//!
//! A card that is being looked at may turn out to be good or not. Until then it counts like one that fails, so that of
//! many cards at once no more are looked at than may fail. But it is no failure: a card that it leaves no room for may
//! try again at once, and only one that comes after as many failures has to wait for the window.

use seam_sdk::attempts::{Limit, network};

/// Cards of one customer that fail at once, and again within an hour. An honest customer has a few cards, and types
/// each wrong now and then.
pub const PER_CUSTOMER: u32 = 10;
/// Cards that fail from one network address: a thief may make accounts, but not addresses.
pub const PER_ADDRESS: u32 = 20;
pub const WINDOW_SECONDS: u32 = 60 * 60;

/// When a card that found no room beside those that are being looked at may try again: placing an order takes less.
pub const BUSY_SECONDS: u32 = 2;

/// The limits of one card.
pub struct Cards {
    /// Counts it while it is looked at, and on if it fails.
    pub tried: [Limit; 2],
    /// Counts it if it fails.
    pub failed: [Limit; 2],
}

/// The limits under which a card of this customer, who sends it from this address, counts.
pub fn cards(customer: &str, from: &str) -> Cards {
    let network = network(from);
    let limits = |what: &str| {
        let limit = |whose: String, most| Limit { key: format!("{what} {whose}"), most, window: WINDOW_SECONDS };
        [limit(format!("of {customer}"), PER_CUSTOMER), limit(format!("from {network}"), PER_ADDRESS)]
    };
    Cards { tried: limits("card"), failed: limits("failed card") }
}
