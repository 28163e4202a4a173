//! An order and its status.

/// The currency of all prices.
pub const CURRENCY: &str = "GBP";

#[derive(Debug, Clone)]
pub struct Order {
    /// From `D-000001`. The orders context numbers its own from `MC-100001`, so numbers never collide.
    pub number: String,
    /// Position among the customers.
    pub who: usize,
    /// Seconds since 1970, UTC.
    pub at: u64,
    pub lines: Vec<Line>,
    pub shipping: u32,
    pub status: Status,
}

#[derive(Debug, Clone)]
pub struct Line {
    pub sku: String,
    pub copies: u32,
    /// Of one copy, in pence.
    pub price: u32,
    /// How many copies the customer returns or has returned.
    pub returned: u32,
    /// Whether copies may come back; see `Supply`.
    pub plenty: bool,
}

impl Order {
    /// The price of the returned copies.
    pub fn refund(&self) -> u64 {
        self.lines.iter().map(|line| u64::from(line.returned) * u64::from(line.price)).sum()
    }
}

/// How far an order has come. Times are seconds since 1970, UTC; each is later than the one before it, none after
/// `END`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The bank declined: copies released, no money held.
    Rejected {
        at: u64,
    },
    /// Before it was shipped: copies released, payment voided.
    Cancelled {
        at: u64,
        by_shop: bool,
    },
    /// Waits for picking.
    Placed,
    Shipped {
        at: u64,
    },
    /// The copies are on their way back, or not sent yet.
    ReturnRequested {
        shipped: u64,
        at: u64,
    },
    /// The copies are in stock again, and their price is refunded.
    Returned {
        shipped: u64,
        requested: u64,
        at: u64,
    },
}

impl Status {
    pub fn shipped(self) -> Option<u64> {
        match self {
            Self::Shipped { at } => Some(at),
            Self::ReturnRequested { shipped, .. } | Self::Returned { shipped, .. } => Some(shipped),
            Self::Rejected { .. } | Self::Cancelled { .. } | Self::Placed => None,
        }
    }

    /// When the reserved copies were released.
    pub fn released(self) -> Option<u64> {
        match self {
            Self::Rejected { at } | Self::Cancelled { at, .. } => Some(at),
            _ => None,
        }
    }

    /// Whether the order counts as a purchase.
    pub fn sold(self) -> bool {
        self.released().is_none()
    }
}
