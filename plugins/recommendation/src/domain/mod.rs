//! The engine "bought together": counts how often albums were in one purchase, and suggests by that. Pure: no store, no
//! host.

mod learning;
mod ranking;

pub use learning::{Counts, check_purchases};
pub use ranking::{Neighbour, Popular, Question};

use seam_sdk::Invalid;

/// Length of a SKU.
const SKU_CHARS_MAX: usize = 32;

fn at_most(max: usize, count: usize, what: &str) -> Result<(), Invalid> {
    if count > max {
        return Err(Invalid(format!("{count} {what}; {max} are allowed")));
    }
    Ok(())
}

/// Checks a SKU; `place` says where it stands.
fn check_sku(place: impl FnOnce() -> String, sku: &str) -> Result<(), Invalid> {
    let good = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
    if sku.is_empty() || sku.len() > SKU_CHARS_MAX || !sku.bytes().all(good) {
        let shown: String = sku.chars().take(SKU_CHARS_MAX).collect();
        let place = place();
        return Err(Invalid(format!(
            "{place}: {shown:?} is not 1 to {SKU_CHARS_MAX} capital letters, digits and hyphens"
        )));
    }
    Ok(())
}
