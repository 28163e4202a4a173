//! From events to lines: one pass for all outputs, on the thread that logs. Another thread writes them.

use std::cell::RefCell;
use std::io::Write;
use std::time::SystemTime;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::line::{Line, SpanFields};
use crate::manifest::LogFormat;

pub(super) struct Output {
    pub to: NonBlocking,
    pub format: LogFormat,
}

pub(super) struct Lines {
    pub outputs: Vec<Output>,
    /// Whether lines for people have colours.
    pub colours: bool,
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = SpanFields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<SpanFields>() {
            record.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        thread_local! {
            static LINE: RefCell<Line> = RefCell::default();
        }
        LINE.with(|line| match line.try_borrow_mut() {
            Ok(mut line) => self.write(&mut line, event, &context),
            // The value being formatted logs a line itself.
            Err(_) => self.write(&mut Line::default(), event, &context),
        });
    }
}

impl Lines {
    fn write<S: Subscriber + for<'span> LookupSpan<'span>>(
        &self,
        line: &mut Line,
        event: &Event<'_>,
        context: &Context<'_, S>,
    ) {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        line.begin(SystemTime::now(), level, target);
        event.record(line);
        match context.event_span(event) {
            Some(span) => {
                let extensions = span.extensions();
                line.end(
                    level,
                    target,
                    extensions.get::<SpanFields>().map(|fields| (span.name(), fields)),
                    self.colours,
                );
            }
            None => line.end(level, target, None, self.colours),
        }
        for Output { to, format } in &self.outputs {
            let text = if *format == LogFormat::Human { &line.human } else { &line.json };
            // This only queues the line; the queue counts lines that do not fit.
            let _ = to.clone().write(text.as_bytes());
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
