//! Entries of a feed as CloudEvents 1.0 in JSON, with the extension `traceparent` (Distributed Tracing).

use std::fmt::Write as _;
use std::time::Duration;

use seam_store::ids::interface_path;
use seam_store::{Event, FeedEntry};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The type of the entry that says which events a file that was put back does not have.
pub const RESTORED: &str = "seam.feed.restored";

/// Appends the entry; `source` is the path of its feed.
pub fn write(out: &mut String, source: &str, entry: &FeedEntry) {
    let id = entry.position();
    let _ = write!(out, "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":{}", quoted(source));
    match entry {
        FeedEntry::Event(event) => write_event(out, event),
        FeedEntry::Restored { last, time_ms, .. } => {
            let _ = write!(out, ",\"type\":\"{RESTORED}\",\"time\":\"{}\"", time(*time_ms));
            let _ = write!(out, ",\"datacontenttype\":\"application/json\",\"data\":{{\"last\":\"{last}\"}}}}");
        }
    }
}

fn write_event(out: &mut String, event: &Event) {
    let Event { interface, function, subject, time_ms, trace, data, .. } = event;
    let path = interface_path(interface);
    let kind = quoted(&format!("{path}.{function}"));
    let _ = write!(out, ",\"type\":{kind},\"time\":\"{}\"", time(*time_ms));
    if let Some(subject) = subject.as_ref().filter(|subject| !subject.is_empty()) {
        let _ = write!(out, ",\"subject\":{}", quoted(subject));
    }
    if !trace.is_empty() {
        let _ = write!(out, ",\"traceparent\":{}", quoted(trace));
    }
    let _ = write!(out, ",\"dataschema\":{},\"datacontenttype\":\"application/json\"", quoted(interface));
    // Written by the host as one line of JSON.
    let _ = write!(out, ",\"data\":{data}}}");
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn time(ms: u64) -> String {
    let time = OffsetDateTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms).try_into().unwrap_or_default());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}
