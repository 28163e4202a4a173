//! What an album is and what may be asked about albums. Pure: no store, no host.

mod album;
mod paging;
mod words;

pub use album::{Album, Money, check_albums, check_price, check_question};
pub use paging::{Found, Page, TOTAL_MAX};
pub use words::Words;

/// The argument is wrong: where, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

impl Invalid {
    /// Somebody put this SKU into the catalog before.
    pub fn known(sku: &str) -> Self {
        Self(format!("the catalog has the SKU `{sku}` already"))
    }

    /// Nobody ever put this SKU into the catalog.
    pub fn unknown(sku: &str) -> Self {
        Self(format!("the catalog does not know the SKU `{sku}`"))
    }
}

/// What to browse by; everything given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub genre: Option<String>,
    pub artist: Option<String>,
    /// Its first year.
    pub decade: Option<u16>,
}

impl Filter {
    pub fn new(genre: Option<String>, artist: Option<String>, decade: Option<u16>) -> Result<Self, Invalid> {
        if let Some(year) = decade.filter(|year| year % 10 != 0) {
            return Err(Invalid(format!("the decade {year} does not start with a year that ends in 0")));
        }
        Ok(Self { genre, artist, decade })
    }
}

/// Names with their number of albums on sale.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Facets {
    pub genres: Vec<(String, u32)>,
    pub decades: Vec<(String, u32)>,
    pub artists: Vec<(String, u32)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decade_starts_with_a_round_year() {
        assert!(Filter::new(None, None, Some(1970)).is_ok());
        let wrong = Filter::new(None, None, Some(1975));
        assert_eq!(wrong, Err(Invalid("the decade 1975 does not start with a year that ends in 0".into())));
    }
}
