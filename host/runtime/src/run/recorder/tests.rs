//! Which calls and values a recorder keeps, without a guest; `tests/tests/components/recording.rs` records real calls.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::time::Duration;

use super::*;
use crate::limits;

fn config(per_s: u32) -> Recording {
    Recording { per_s, ..Recording::default() }
}

fn text(text: &str) -> Val {
    Val::String(text.into())
}

fn record(fields: &[(&str, Val)]) -> Val {
    Val::Record(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
}

/// Records a call of `function` with one parameter.
fn keep(recorder: &Recorder, function: &str, (name, param): (&str, Val), answered: bool, wrote: bool) {
    let failure = || Failure::TimedOut { context: "c".into() };
    let outcome = if answered { Ok(vec![param.clone()]) } else { Err(failure()) };
    let data = CallData::Function {
        interface: InterfaceName::parse("a:b/c").unwrap(),
        function: function.into(),
        params: vec![param],
        outcome,
    };
    recorder.keep(data, vec![name.to_owned()], Noted { wrote, ..Noted::default() }, Duration::ZERO);
}

fn functions(recorder: &Recorder) -> Vec<(String, Val)> {
    let of = |call: &Arc<RecordedCall>| match &call.data {
        CallData::Function { function, params, .. } => (function.clone(), params[0].clone()),
        CallData::Request { request, .. } => (request.path.clone(), Val::Bool(true)),
    };
    recorder.recent().iter().map(of).collect()
}

#[test]
fn calls_are_sampled_at_the_configured_rate_and_all_recorded_while_a_log_runs() {
    let recorder = Recorder::new(&config(10));
    let taken = |ms: u64| (0..50).filter(|_| recorder.takes(recorder.epoch + Duration::from_millis(ms))).count();
    assert_eq!([5, 50, 104, 106, 150, 300].map(taken), [1, 0, 0, 1, 0, 1]);
    assert!(recorder.start_log(false) && !recorder.start_log(false), "one log at a time");
    assert_eq!(taken(301), 50);
    assert!(recorder.stop_log().is_some() && recorder.stop_log().is_none());
    let none = Recorder::new(&config(0));
    assert!(!none.takes(none.epoch + Duration::from_secs(3_600)));
    none.start_log(false);
    assert!(none.takes(Instant::now()));
    none.stop_log();
    assert!(!none.takes(Instant::now() + Duration::from_secs(3_600)));
}

#[test]
fn the_last_answered_reading_calls_of_each_function_are_recent() {
    let recorder = Recorder::new(&config(1));
    keep(&recorder, "seldom", ("n", Val::U32(7)), true, false);
    keep(&recorder, "often", ("n", Val::U32(0)), false, false);
    keep(&recorder, "often", ("n", Val::U32(0)), true, true);
    for n in 0..limits::RECORD_KEPT_PER_FUNCTION as u32 + 5 {
        keep(&recorder, "often", ("n", Val::U32(n)), true, false);
    }
    let recent = functions(&recorder);
    assert_eq!(recent.len(), 1 + limits::RECORD_KEPT_PER_FUNCTION);
    assert_eq!(recent[0], ("seldom".to_owned(), Val::U32(7)));
    assert_eq!(recent[1], ("often".to_owned(), Val::U32(5)), "the oldest calls are gone");
}

#[test]
fn kept_calls_are_bounded_by_bytes_and_a_rare_function_keeps_its_calls() {
    let recorder = Recorder::new(&config(1));
    keep(&recorder, "rare", ("n", Val::U32(1)), true, false);
    keep(&recorder, "huge", ("n", text(&"x".repeat(limits::RECORD_CALL_BYTES_MAX))), true, false);
    for function in ["f", "g", "h"] {
        for _ in 0..limits::RECORD_KEPT_PER_FUNCTION {
            keep(&recorder, function, ("n", text(&"x".repeat(limits::RECORD_CALL_BYTES_MAX / 3))), true, false);
        }
    }
    let kept = recorder.kept.lock().bytes();
    assert!(kept <= limits::RECORD_KEPT_BYTES_MAX && kept > limits::RECORD_KEPT_BYTES_MAX / 2, "{kept}");
    let recent = functions(&recorder);
    assert!(recent.iter().any(|(name, _)| name == "rare") && !recent.iter().any(|(name, _)| name == "huge"));
}

#[test]
fn secrets_are_blanked_at_any_depth_and_kept_only_on_a_log_that_asks_for_them() {
    let recorder = Recorder::new(&config(1));
    let card = record(&[("number", text("4242")), ("lines", Val::List(vec![text("a")]))]);
    let request = record(&[("customer", text("C-1")), ("card", card)]);
    for (keep_secrets, blanked) in [(false, true), (true, false)] {
        recorder.start_log(keep_secrets);
        keep(&recorder, "place", ("request", request.clone()), true, false);
        keep(&recorder, "sign-in", ("token", text("abc")), true, false);
        let log = recorder.stop_log().unwrap();
        let shown = format!("{:?}", log.calls);
        assert_eq!(shown.contains("4242"), !blanked, "{shown}");
        assert_eq!(log.calls.iter().filter(|call| call.blanked).count(), if blanked { 2 } else { 0 });
        assert!(shown.contains("C-1"));
    }
    let recent = format!("{:?}", recorder.recent());
    assert!(!recent.contains("4242") && recent.contains(BLANK) && recent.contains("C-1"), "{recent}");
}

/// The caller's manifest names the field; its recording must not hold what it gave a callee in it, or what that
/// answered.
#[test]
fn secrets_in_a_call_of_a_callee_are_blanked_in_the_callers_recording() {
    let recorder = Recorder::new(&config(1));
    let card = || record(&[("card", record(&[("number", text("4242"))])), ("name", text("Ann"))]);
    let nested = Val::Option(Some(Box::new(Val::List(vec![Val::Tuple(vec![Val::U8(1), card()])]))));
    let answers = [
        Val::Result(Ok(Some(Box::new(nested)))),
        Val::Result(Err(Some(Box::new(Val::Variant("refused".into(), Some(Box::new(card()))))))),
    ];
    let calls: Vec<OutgoingCall> = answers
        .into_iter()
        .map(|answer| OutgoingCall {
            callee: 1,
            interface: InterfaceName::parse("t:customer/accounts@0.1.0").unwrap(),
            function: "find".into(),
            names: vec!["id".into(), "token".into()],
            params: vec![text("C-1"), text("open sesame")],
            outcome: Ok(vec![answer]),
            took: Duration::ZERO,
        })
        .collect();
    recorder.start_log(false);
    let data = CallData::Function {
        interface: InterfaceName::parse("a:b/c").unwrap(),
        function: "show".into(),
        params: Vec::new(),
        outcome: Ok(Vec::new()),
    };
    let notes = Some(Box::new(Notes { calls, ..Notes::default() }));
    recorder.keep(data, Vec::new(), Noted { notes, wrote: false, random: false }, Duration::ZERO);
    let log = recorder.stop_log().unwrap();
    for calls in [format!("{:?}", log.calls), format!("{:?}", recorder.recent())] {
        assert!(!calls.contains("4242") && !calls.contains("sesame"), "{calls}");
        let count = |word| calls.matches(word).count();
        assert_eq!((count(BLANK), count("Ann"), count("C-1")), (4, 2, 2), "{calls}");
    }
    assert!(log.calls[0].blanked);
}

#[test]
fn requests_lose_secrets_in_bodies_queries_and_headers() {
    let recorder = Recorder::new(&config(1));
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let request = buffered_http::Request {
        method: "POST".into(),
        path: "/sign-in".into(),
        query: Some("page=2&token=abc".into()),
        headers: vec![header("cookie", "session=abc; theme=dark"), header("host", "shop")],
        body: br#"{"customer":"C-1","newPassword":"abc","card":{"number":4242}}"#.to_vec(),
    };
    let response = buffered_http::Response {
        status: 200,
        headers: vec![header("Set-Cookie", "session=abc")],
        body: br#"{"token":"abc","ok":true}"#.to_vec(),
    };
    recorder.keep_request(request, &Ok(response), Noted::default(), Duration::ZERO);
    let recent = recorder.recent();
    assert!(recent[0].blanked);
    let CallData::Request { request, outcome } = &recent[0].data else { panic!("{recent:?}") };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&request.body), r#"{"customer":"C-1","newPassword":"***","card":{"number":0}}"#);
    assert_eq!(request.query.as_deref(), Some("page=2&token=***"));
    assert_eq!(request.headers, [header("cookie", "session=***; theme=***"), header("host", "shop")]);
    let response = outcome.as_ref().unwrap();
    assert_eq!(text(&response.body), r#"{"token":"***","ok":true}"#);
    assert_eq!(response.headers, [header("Set-Cookie", BLANK)]);
}

#[test]
fn a_full_log_counts_the_calls_that_it_drops() {
    let recorder = Recorder::new(&config(1));
    recorder.start_log(true);
    for n in 0..limits::RECORD_LOG_CALLS_MAX as u32 + 3 {
        keep(&recorder, "f", ("n", Val::U32(n)), true, true);
    }
    let log = recorder.stop_log().unwrap();
    assert_eq!((log.calls.len(), log.dropped), (limits::RECORD_LOG_CALLS_MAX, 3));
    // A call that is too large leaves no gap: what comes after it is missing, too.
    recorder.start_log(true);
    for size in [1, limits::RECORD_LOG_BYTES_MAX, 1] {
        keep(&recorder, "f", ("text", text(&"x".repeat(size))), true, true);
    }
    let log = recorder.stop_log().unwrap();
    assert_eq!((log.calls.len(), log.dropped), (1, 2));
}
