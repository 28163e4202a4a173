//! Log lines in both forms.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io;
use std::sync::{Arc, Mutex};

use tracing_appender::non_blocking::NonBlockingBuilder;
use tracing_subscriber::layer::SubscriberExt;

use super::*;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `log` writes, as JSON lines and for people.
fn written(log: impl FnOnce()) -> (Vec<serde_json::Value>, String) {
    let (json, human) = (Kept::default(), Kept::default());
    let (to_json, one) = NonBlockingBuilder::default().finish(json.clone());
    let (to_human, other) = NonBlockingBuilder::default().finish(human.clone());
    let outputs =
        vec![Output { to: to_json, format: LogFormat::Json }, Output { to: to_human, format: LogFormat::Human }];
    let subscriber = tracing_subscriber::registry().with(Lines { outputs, colours: false });
    tracing::subscriber::with_default(subscriber, log);
    drop((one, other));
    let text = |kept: Kept| String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    let json = text(json).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (json, text(human))
}

#[test]
fn fields_keep_their_types_and_the_innermost_span_is_added() {
    let (json, human) = written(|| {
        let outer = tracing::info_span!("outer", a = 1);
        let inner = tracing::info_span!(parent: &outer, "request", trace = "00ab", late = tracing::field::Empty);
        inner.record("late", true);
        inner.in_scope(|| tracing::warn!(target: "guest", context = "orders", n = -3, share = 0.5, "no {}", "stock"));
    });
    let line = &json[0];
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z') && line["timestamp"].as_str().unwrap().len() == 27);
    assert_eq!(
        (&line["level"], &line["target"], &line["context"]),
        (&"WARN".into(), &"guest".into(), &"orders".into())
    );
    assert_eq!((&line["n"], &line["share"], &line["message"]), (&(-3).into(), &0.5.into(), &"no stock".into()));
    assert_eq!(line["span"], serde_json::json!({ "name": "request", "trace": "00ab", "late": true }));
    assert!(human.ends_with(" WARN  orders: no stock n=-3 share=0.5\n"), "{human:?}");
}

#[test]
fn a_logged_text_cannot_end_its_line_or_move_the_cursor() {
    let evil = "a\"b\\c\nd\u{1b}[2Je\u{7f}\u{1f600}";
    let (json, human) = written(|| tracing::info!(evil, shown = %evil, debugged = ?evil, nan = f64::NAN, "{evil}"));
    assert_eq!(json.len(), 1);
    assert_eq!((&json[0]["evil"], &json[0]["shown"], &json[0]["message"]), (&evil.into(), &evil.into(), &evil.into()));
    assert_eq!((&json[0]["debugged"], &json[0]["nan"]), (&format!("{evil:?}").into(), &serde_json::Value::Null));
    assert_eq!(human.lines().count(), 1);
    assert!(!human.trim_end().contains(char::is_control), "{human:?}");
}

#[test]
fn a_value_may_log_while_it_is_formatted() {
    struct Talks;
    impl std::fmt::Display for Talks {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            tracing::info!("inside");
            f.write_str("value")
        }
    }
    let (json, _) = written(|| tracing::info!(talks = %Talks, "outside"));
    // Whether the inner line is logged depends on how the subscriber is set.
    let last = json.last().unwrap();
    assert_eq!((&last["message"], &last["talks"]), (&"outside".into(), &"value".into()));
}

#[test]
fn each_line_has_its_own_time() {
    let mut line = Line::default();
    let at = |ms: u64| SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    for (ms, expect) in [
        (1_767_323_045_678, "2026-01-02T03:04:05.678000Z"),
        (1_767_323_045_679, "2026-01-02T03:04:05.679000Z"),
        (1_767_323_046_000, "2026-01-02T03:04:06.000000Z"),
        (1_709_164_800_000, "2024-02-29T00:00:00.000000Z"),
    ] {
        line.begin(at(ms), tracing::Level::INFO, "t");
        assert!(line.json.starts_with(&format!("{{\"timestamp\":\"{expect}\"")), "{}", line.json);
    }
}
