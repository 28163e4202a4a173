//! How a visitor looks at a list of albums: in which order, and with or without what is sold out. The address keeps it.

use crate::seams::Sorting;

/// The value of `stock=` that leaves out what is sold out.
pub const IN_STOCK: &str = "in";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListView {
    pub sorting: Sorting,
    pub in_stock: bool,
}

impl ListView {
    /// The catalog's own order, and everything.
    pub const PLAIN: ListView = ListView { sorting: Sorting::Best, in_stock: false };

    pub fn is_plain(self) -> bool {
        self == Self::PLAIN
    }

    /// The value of `sort=`; the catalog's own order has none.
    pub fn word(self) -> Option<&'static str> {
        match self.sorting {
            Sorting::Best => None,
            Sorting::Newest => Some("newest"),
            Sorting::Cheapest => Some("cheapest"),
            Sorting::Dearest => Some("dearest"),
            Sorting::Artist => Some("artist"),
        }
    }
}

/// The order that a value of `sort=` names.
pub fn sorting(word: &str) -> Option<Sorting> {
    let all = [Sorting::Best, Sorting::Newest, Sorting::Cheapest, Sorting::Dearest, Sorting::Artist];
    all.into_iter().find(|sorting| ListView { sorting: *sorting, in_stock: false }.word().unwrap_or("best") == word)
}
