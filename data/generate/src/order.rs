//! An order and what became of it.

/// Of everything that is sold here.
pub const CURRENCY: &str = "GBP";

#[derive(Debug, Clone)]
pub struct Order {
    /// `D-000001` and up: the orders context numbers its own `MC-100001` and up, so the two never meet.
    pub number: String,
    /// Position among the people.
    pub who: usize,
    /// Seconds since 1970, UTC.
    pub at: u64,
    pub lines: Vec<Line>,
    pub shipping: u32,
    pub fate: Fate,
}

#[derive(Debug, Clone)]
pub struct Line {
    pub sku: String,
    pub copies: u32,
    /// Of one copy, in pence.
    pub price: u32,
    /// How many of them the customer sends or has sent back.
    pub returned: u32,
    /// Whether copies of it may come back at all; see `Supply`.
    pub plenty: bool,
}

impl Order {
    /// What the copies cost that go back.
    pub fn refund(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.returned) * u64::from(line.price)).sum()
    }
}

/// All times in seconds since 1970, UTC; each later than the one before it, none after `END`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The bank said no: released, nothing held.
    Rejected {
        at: u64,
    },
    /// Before it was shipped: released and voided.
    Cancelled {
        at: u64,
        by_shop: bool,
    },
    /// Waits to be picked.
    Placed,
    Shipped {
        at: u64,
    },
    /// The copies are on their way back, or not even sent yet.
    ReturnRequested {
        shipped: u64,
        at: u64,
    },
    /// They are on the shelf again, and their price on the card.
    Returned {
        shipped: u64,
        requested: u64,
        at: u64,
    },
}

impl Fate {
    pub fn shipped(self) -> Option<u64> {
        match self {
            Self::Shipped { at } => Some(at),
            Self::ReturnRequested { shipped, .. } | Self::Returned { shipped, .. } => Some(shipped),
            Self::Rejected { .. } | Self::Cancelled { .. } | Self::Placed => None,
        }
    }

    /// Copies that were reserved and are back on the shelf.
    pub fn released(self) -> Option<u64> {
        match self {
            Self::Rejected { at } | Self::Cancelled { at, .. } => Some(at),
            _ => None,
        }
    }

    /// Somebody has bought something, as far as anybody knows today.
    pub fn sold(self) -> bool {
        self.released().is_none()
    }
}
