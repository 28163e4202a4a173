//! The figures of one way under one fault, and how they are printed: a Markdown table for each fault.

use std::fmt::Write as _;
use std::time::Duration;

use super::Mode;
use super::customers::Sales;
use super::shop::Checked;

pub struct Row {
    pub mode: Mode,
    pub orders: usize,
    pub sales: Sales,
    pub commits: u64,
    pub syncs: u64,
    /// From the last answer until nothing was under way; none: not within the time.
    pub consistent: Option<Duration>,
    /// Sagas that wait for an operator.
    pub left: usize,
    /// For how long writers of files were held, all together, in milliseconds; none if that was not counted to the end.
    pub held: Option<f64>,
    pub checked: Checked,
}

impl Row {
    /// Whether nothing was lost: the files have as many placed orders as customers were promised, and agree.
    pub fn holds(&self) -> bool {
        let (promised, placed) = (self.sales.placed, self.checked.placed);
        // An order that was taken is placed later, or not; an order without an answer may be either.
        let most = promised + self.sales.taken + self.sales.lost;
        self.checked.verified && self.checked.open == 0 && (promised..=most).contains(&placed)
    }
}

/// One table; the first row is what the others stand beside.
pub fn text<'r>(fault: &str, rows: impl Iterator<Item = &'r Row>) -> String {
    let mut text = format!(
        "**{}**\n\n| | orders/s | p50 | p99 | commits an order | syncs an order | writers held an order | consistent after | placed | \
         taken, then placed | refused | sent again | for an operator | holds |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        capital(fault)
    );
    for row in rows {
        let Row { mode, sales, checked, .. } = row;
        let orders = row.orders.max(1) as f64;
        let later = checked.placed.saturating_sub(sales.placed);
        let _ = writeln!(
            text,
            "| {} | {:.0} | {} | {} | {:.1} | {:.1} | {} | {} | {} | {} | {} | {} | {} | {} |",
            mode.name(),
            orders / sales.elapsed.as_secs_f64(),
            ms(sales.latency(500)),
            ms(sales.latency(990)),
            row.commits as f64 / orders,
            row.syncs as f64 / orders,
            row.held.map_or_else(|| "-".to_owned(), |held| format!("{:.1} ms", held / orders)),
            row.consistent.map_or_else(|| "not".to_owned(), |took| format!("{:.1} s", took.as_secs_f64())),
            sales.placed,
            later,
            sales.refused,
            sales.again,
            row.left,
            if row.holds() { "yes" } else { "NO" },
        );
    }
    text
}

fn ms(micros: u32) -> String {
    let ms = f64::from(micros) / 1_000.0;
    if ms < 100.0 { format!("{ms:.1} ms") } else { format!("{:.2} s", ms / 1_000.0) }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
