//! What the catalog accepts as an album, and what may be asked about albums. Pure: no store, no host.

mod album;
pub mod aspects;
pub mod near;
mod number;
mod paging;
mod sorting;
mod spelling;
mod words;

pub use seam_sdk::Invalid;

pub use album::{check_albums, check_by, check_changes, check_description, check_list, check_price, check_skus};
pub use number::Number;
pub use paging::{Page, TOTAL_MAX};
pub use sorting::{LISTED_MAX, Listed, sorted};
pub use spelling::forms;
pub use words::{NOTHING, Words};

use crate::albums::Filter;

/// The catalog already has an album of this SKU.
pub fn known(sku: &str) -> Invalid {
    Invalid(format!("the catalog has the SKU `{sku}` already"))
}

/// The catalog never had an album of this SKU.
pub fn unknown(sku: &str) -> Invalid {
    Invalid(format!("the catalog does not know the SKU `{sku}`"))
}

/// Checks what to browse by.
pub fn check_filter(filter: &Filter) -> Result<(), Invalid> {
    match filter.decade {
        Some(year) if year % 10 != 0 => {
            Err(Invalid(format!("the decade {year} does not start with a year that ends in 0")))
        }
        _ => Ok(()),
    }
}

/// A list is of a search or of a filter.
pub fn check_one_question(words: bool, filter: &Filter) -> Result<(), Invalid> {
    let filtered = filter.genre.is_some() || filter.artist.is_some() || filter.decade.is_some();
    match words && filtered {
        true => Err(Invalid("words and a filter: a list has one of them".into())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decade_starts_with_a_round_year() {
        let decade = |year| check_filter(&Filter { genre: None, artist: None, decade: Some(year) });
        assert_eq!(decade(1970), Ok(()));
        assert_eq!(decade(1975), Err(Invalid("the decade 1975 does not start with a year that ends in 0".into())));
    }
}
