//! What one host asks another one of a total: the amounts that one of its sides says, in pages.

use std::pin::Pin;
use std::time::Duration;

use seam_runtime::call::Failure;
use seam_store::Range;
use seam_store::ids::ContextName;
use tokio::sync::mpsc;

/// A question for the amounts of one context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotalAsk {
    /// The context whose amounts they are.
    pub context: ContextName,
    /// Lower-case words with hyphens.
    pub total: String,
    /// The context of the asking host that they are compared for: it declares the total, too, or mends it.
    pub side: ContextName,
    /// The time that all of the answer may take.
    pub remaining: Duration,
}

/// A part of the answer. The keys ascend by their bytes over all pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// At most `TOTAL_PAGE_BYTES` of keys, unless one row has more.
    Rows(Vec<(String, Range)>),
    /// All rows have come.
    End,
    /// No more will come, and why.
    Failed(String),
}

/// The pages as they come. One that ends without `End` or `Failed` was cut off. Dropping it ends the statement.
pub type Pages = mpsc::Receiver<Page>;

/// All pages show the context's file as it was at one moment before this is ready.
pub type Opening = Pin<Box<dyn Future<Output = Result<Pages, Failure>> + Send>>;

/// Gives the amounts of contexts: of those of other hosts, or of this one.
pub trait Totals: Send + Sync {
    fn open(&self, ask: TotalAsk) -> Opening;
}
