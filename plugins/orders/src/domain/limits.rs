//! How many cards one may try: who has stolen numbers tries many, to find those that are good.

use seam_sdk::attempts::{Limit, network};

/// Cards of one customer that fail at once, and again within an hour. An honest customer has a few cards, and types
/// each wrong now and then.
pub const PER_CUSTOMER: u32 = 10;
/// Cards that fail from one network address: a thief may make accounts, but not addresses.
pub const PER_ADDRESS: u32 = 20;
pub const WINDOW_SECONDS: u32 = 60 * 60;

/// The limits under which a card of this customer, who sends it from this address, counts.
pub fn cards(customer: &str, from: &str) -> [Limit; 2] {
    let limit = |key, most| Limit { key, most, window: WINDOW_SECONDS };
    let network = network(from);
    [limit(format!("card of {customer}"), PER_CUSTOMER), limit(format!("card from {network}"), PER_ADDRESS)]
}
