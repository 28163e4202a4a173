//! One line of the log in its two forms, written in one pass over an event's fields.
//!
//! As JSON: an object with `timestamp`, `level`, `target`, the event's fields, and the innermost span as `span`. For
//! people: as `seam logs` shows it, `time LEVEL context: message key=value ...`. The formatting is our own, because
//! each request logs a line: the general formatters cost more than a small page.

use std::fmt::{Debug, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use seam_store::visible::{one_line, push_json};
use time::OffsetDateTime;
use tracing::Level;
use tracing::field::{Field, Visit};

/// The fields of a span, as the inside of a JSON object: `,"key":value` each.
#[derive(Default)]
pub(super) struct SpanFields {
    pub json: String,
    scratch: String,
}

/// The buffers of a thread, reused from line to line.
#[derive(Default)]
pub(super) struct Line {
    pub json: String,
    pub human: String,
    message: String,
    context: String,
    /// ` key=value` for people, which follows the message.
    rest: String,
    scratch: String,
    clock: Clock,
}

/// The current time as text. Mostly only its fraction changes from line to line.
#[derive(Default)]
struct Clock {
    text: String,
    second: u64,
}

/// `2026-01-02T03:04:05`
const TO_THE_SECOND: usize = 19;

impl Line {
    pub fn begin(&mut self, now: SystemTime, level: Level, target: &str) {
        for text in [&mut self.json, &mut self.human, &mut self.message, &mut self.context, &mut self.rest] {
            text.clear();
        }
        self.clock.set(now);
        self.json.push_str("{\"timestamp\":\"");
        self.json.push_str(&self.clock.text);
        self.json.push_str("\",\"level\":\"");
        self.json.push_str(level.as_str());
        self.json.push_str("\",\"target\":");
        push_json(&mut self.json, target);
    }

    /// After the event's fields; `span` is the innermost one, its name and its fields.
    pub fn end(&mut self, level: Level, target: &str, span: Option<(&str, &SpanFields)>, colours: bool) {
        if let Some((name, fields)) = span {
            key(&mut self.json, "span");
            self.json.push_str("{\"name\":");
            push_json(&mut self.json, name);
            self.json.push_str(&fields.json);
            self.json.push('}');
        }
        self.json.push_str("}\n");
        let who = if self.context.is_empty() { target } else { &self.context };
        // Milliseconds are enough for people.
        let time = self.clock.text.get(..TO_THE_SECOND + 4).unwrap_or_default();
        // Writing to a String does not fail.
        let _ = match colours {
            true => write!(self.human, "\x1b[2m{time}Z\x1b[0m {}{level:5}\x1b[0m ", colour(level)),
            false => write!(self.human, "{time}Z {level:5} "),
        };
        self.human.push_str(&one_line(who));
        self.human.push(':');
        if !self.message.is_empty() {
            self.human.push(' ');
            self.human.push_str(&one_line(&self.message));
        }
        self.human.push_str(&self.rest);
        self.human.push('\n');
    }

    /// The field whose text is in `scratch`.
    fn text(&mut self, field: &Field) {
        let name = name(field);
        key(&mut self.json, name);
        push_json(&mut self.json, &self.scratch);
        match name {
            "message" => self.message.push_str(&self.scratch),
            "context" => self.context.push_str(&self.scratch),
            _ if self.scratch.is_empty() => {}
            _ => {
                pair(&mut self.rest, name);
                self.rest.push_str(&one_line(&self.scratch));
            }
        }
    }

    /// The field whose text in `scratch` is valid JSON.
    fn plain(&mut self, field: &Field) {
        let name = name(field);
        key(&mut self.json, name);
        self.json.push_str(&self.scratch);
        pair(&mut self.rest, name);
        self.rest.push_str(&self.scratch);
    }
}

impl SpanFields {
    fn text(&mut self, field: &Field) {
        key(&mut self.json, name(field));
        push_json(&mut self.json, &self.scratch);
    }

    fn plain(&mut self, field: &Field) {
        key(&mut self.json, name(field));
        self.json.push_str(&self.scratch);
    }
}

/// Both write a field to `scratch` first.
macro_rules! visit {
    ($($kind:ty),+) => { $(
        impl Visit for $kind {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.scratch.clear();
                let _ = write!(self.scratch, "{value:?}");
                self.text(field);
            }

            fn record_str(&mut self, field: &Field, value: &str) {
                self.scratch.clear();
                self.scratch.push_str(value);
                self.text(field);
            }

            fn record_i64(&mut self, field: &Field, value: i64) {
                self.scratch.clear();
                let _ = write!(self.scratch, "{value}");
                self.plain(field);
            }

            fn record_u64(&mut self, field: &Field, value: u64) {
                self.scratch.clear();
                let _ = write!(self.scratch, "{value}");
                self.plain(field);
            }

            fn record_f64(&mut self, field: &Field, value: f64) {
                self.scratch.clear();
                let _ = if value.is_finite() { write!(self.scratch, "{value}") } else { write!(self.scratch, "null") };
                self.plain(field);
            }

            fn record_bool(&mut self, field: &Field, value: bool) {
                self.scratch.clear();
                let _ = write!(self.scratch, "{value}");
                self.plain(field);
            }
        }
    )+ };
}
visit!(Line, SpanFields);

impl Clock {
    fn set(&mut self, now: SystemTime) {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if since.as_secs() != self.second || self.text.is_empty() {
            self.second = since.as_secs();
            self.text.clear();
            let at = OffsetDateTime::from(UNIX_EPOCH + Duration::from_secs(self.second));
            let (month, (hour, minute, second)) = (u8::from(at.month()), at.to_hms());
            let _ = write!(self.text, "{:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}", at.year(), at.day());
        }
        self.text.truncate(TO_THE_SECOND);
        let _ = write!(self.text, ".{:06}Z", since.subsec_micros());
    }
}

/// A field called `type` in Rust is `r#type`.
fn name(field: &Field) -> &'static str {
    field.name().trim_start_matches("r#")
}

fn key(json: &mut String, name: &str) {
    json.push(',');
    push_json(json, name);
    json.push(':');
}

fn pair(human: &mut String, name: &str) {
    human.push(' ');
    human.push_str(name);
    human.push('=');
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}
