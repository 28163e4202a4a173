//! The log lines of a test, all of whose tasks run on one thread.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::in_time;

#[derive(Clone, Default)]
pub struct Lines(Arc<Written>);

#[derive(Default)]
struct Written {
    lines: Mutex<Vec<String>>,
    written: Notify,
}

impl Lines {
    /// Keeps the lines of this thread for as long as the guard is there.
    pub fn keep() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines.clone()));
        (lines, guard)
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lines.lock().unwrap().clone()
    }

    /// Waits for a line with these texts in it; the line.
    pub async fn with(&self, texts: &[&str]) -> String {
        let found = || {
            let mut lines = self.all().into_iter();
            lines.find(|line| texts.iter().all(|text| line.contains(text)))
        };
        let found = async {
            loop {
                match found() {
                    Some(line) => return line,
                    None => self.0.written.notified().await,
                }
            }
        };
        match tokio::time::timeout(super::TIMEOUT, found).await {
            Ok(line) => line,
            Err(_) => panic!("no line has {texts:?}: {:#?}", self.all()),
        }
    }
}

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{}={value:?} ", field.name()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push_str(&format!("{}={value} ", field.name()));
    }
}

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "remote" && *event.metadata().level() <= tracing::Level::INFO {
            let mut line = Line::default();
            event.record(&mut line);
            self.0.lines.lock().unwrap().push(line.0);
            self.0.written.notify_one();
        }
    }
}

#[tokio::test]
async fn a_line_is_found_by_its_fields() {
    let (lines, _guard) = Lines::keep();
    tracing::warn!(target: "remote", who = "shop", "refused {}", "it");
    in_time(lines.with(&["who=shop", "refused it"])).await;
}
