//! A forecast as text.

use std::fmt::Write as _;

use super::{Forecast, Why};
use crate::limits;

/// The forecast for a person, in lines of at most about 120 characters.
pub fn text(forecast: &Forecast) -> String {
    let Forecast { context, way, edges, pages, chatty, store, unknown } = forecast;
    let mut text = String::new();
    let mut line = |words: String| {
        let _ = writeln!(text, "{words}");
    };
    line(format!("moving `{context}`: a call takes {} more", time(way.round_trip_us)));
    for edge in edges.iter().filter(|edge| edge.calls > 0) {
        line(format!(
            "  {}->{} {}: {:.1} calls/s, {} and {} a call, {}/s, {} more a call",
            edge.caller,
            edge.callee,
            edge.interface,
            edge.calls_per_s,
            size(edge.request_bytes),
            size(edge.answer_bytes),
            size(edge.bytes_per_s()),
            time(edge.added_us)
        ));
    }
    if !pages.is_empty() {
        line("pages that would wait longer:".to_owned());
    }
    for page in pages {
        line(format!(
            "  {} {}: {:.1} calls, {} more than {}",
            page.context,
            page.page,
            page.crossings,
            time(page.added_us),
            time(page.took_us)
        ));
    }
    if let Some(store) = store {
        let commits = if store.over_s > 0.0 { store.commits as f64 / store.over_s } else { 0.0 };
        line(format!("its file: {}, {commits:.1} commits/s", size((store.file_bytes + store.wal_bytes) as f64)));
    }
    for one in chatty {
        let why = match &one.why {
            Why::Calls { page, calls } => format!(
                "{page} makes {calls:.1} calls of it; more than {} should be one call with a list",
                limits::FORECAST_CALLS_PER_PAGE_MAX
            ),
            Why::Bytes { bytes } => {
                format!("a call carries {}, more than {}", size(*bytes), size(limits::FORECAST_CALL_BYTES_MAX))
            }
        };
        line(format!("too chatty: {}->{} {}: {why}", one.caller, one.callee, one.interface));
    }
    for one in unknown {
        line(format!("not known: {one}"));
    }
    text
}

fn time(us: f64) -> String {
    match us {
        us if us < 999.5 => format!("{us:.0} us"),
        us if us < 999_500.0 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}

fn size(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 999.5 => format!("{bytes:.0} B"),
        bytes if bytes < 999_500.0 => format!("{:.1} KB", bytes / 1e3),
        bytes => format!("{:.1} MB", bytes / 1e6),
    }
}
