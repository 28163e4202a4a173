//! What a recording becomes, as text. `tests/tests/components/scenarios.rs` records a real context and runs it again.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use super::*;
use crate::harness::scenario::{self, Action, Request};

fn call(data: CallData) -> RecordedCall {
    let (outgoing, outgoing_complete, took) = (Vec::new(), true, Duration::ZERO);
    let (sequence, wrote, blanked, random, began_s) = (1, false, false, false, 100);
    RecordedCall { sequence, data, outgoing, outgoing_complete, wrote, blanked, random, began_s, took }
}

fn function(outcome: Result<Vec<Val>, Failure>) -> RecordedCall {
    let interface = InterfaceName::parse("a:b/c@0.1.0").unwrap();
    let params = vec![Val::String("***".into())];
    call(CallData::Function { interface, function: "f".into(), params, outcome })
}

fn request(body: &[u8], outcome: Result<buffered_http::Response, Failure>) -> RecordedCall {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = vec![
        header("Cookie", "a=***"),
        header("content-length", "17"),
        header("accept", "text/html"),
        header("cookie", "b=1"),
    ];
    let (method, path, query) = ("POST".into(), "/pay".into(), None);
    call(CallData::Request {
        request: buffered_http::Request { method, path, query, headers, body: body.to_vec() },
        outcome,
    })
}

fn response(content_type: &str, body: &str) -> Result<buffered_http::Response, Failure> {
    let headers = vec![("content-type".to_owned(), content_type.to_owned())];
    Ok(buffered_http::Response { status: 200, headers, body: body.as_bytes().to_vec() })
}

fn header(functions: &Functions) -> Header<'_> {
    Header { context: "orders", name: "it", clock_s: 100, file: None, functions }
}

fn recorded(calls: Vec<RecordedCall>) -> Recorded {
    let mut log = CallLog::default();
    log.calls = calls;
    let functions = Functions::default();
    let recorded = scenario(&header(&functions), &log);
    assert!(toml::from_str::<toml::Table>(&recorded.text).is_ok(), "{}", recorded.text);
    recorded
}

/// The only request of the scenario, as a scenario file is read.
fn read(text: &str) -> Request {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recorded.toml");
    std::fs::write(&file, text).unwrap();
    let suite = scenario::suite(&file).unwrap();
    match suite.scenarios[0].when[0].what.clone() {
        Action::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_is_repeated_with_its_fields_and_its_answer_is_expected() {
    let body = br#"{"customer":"C-1","card":"***"}"#;
    let answer = "{\"token\":\"***\",\n \"ok\":true}";
    let text = recorded(vec![request(body, response("application/json", answer))]).text;
    let read = read(&text);
    assert_eq!(read.body.as_bytes(), body);
    assert_eq!(read.answer.unwrap().value, answer);
    let headers: Vec<_> = read.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(headers, ["accept: text/html", "cookie: a=***; b=1"]);
    let page = recorded(vec![request(b"", response("text/html", "<head><title>A & B</title>"))]).text;
    assert!(page.contains("<title>A & B</title>") && !page.contains("answer ="), "{page}");
}

#[test]
fn what_may_differ_is_not_expected() {
    let away = Val::Variant("unavailable".into(), Some(Box::new(Val::String("`b` failed".into()))));
    let value = Val::Record(vec![
        ("bytes".into(), Val::List(BLANK.bytes().map(Val::U8).collect())),
        ("text".into(), Val::String("say \"***\"".into())),
        ("why".into(), Val::Result(Err(Some(Box::new(away))))),
        ("key".into(), Val::String(BLANK.into())),
    ]);
    let text = recorded(vec![function(Ok(vec![value.clone()]))]).text;
    // A call needs a value; an expectation leaves it open.
    assert!(text.contains(r#"c@0.1.0.f("***")"#), "{text}");
    assert!(text.contains(r#"{bytes: _, text: "say \"***\"", why: err(unavailable(_)), key: _}"#), "{text}");
    let mut random = function(Ok(vec![Val::Result(Ok(Some(Box::new(value))))]));
    random.random = true;
    assert!(recorded(vec![random]).text.contains("then = \"ok(_)\""));
    let mut page = request(b"", response("text/html", "<title>key 17</title>"));
    page.random = true;
    let text = recorded(vec![page]).text;
    assert!(text.contains("status = 200") && !text.contains("key 17"), "{text}");
}

#[test]
fn calls_that_cannot_be_repeated_are_comments() {
    let context = || "c".to_owned();
    let many = RecordedCall { outgoing_complete: false, ..function(Ok(vec![Val::Bool(true)])) };
    let made = recorded(vec![
        function(Err(Failure::TimedOut { context: context() })),
        function(Err(Failure::Overloaded { context: context() })),
        request(b"\xff", response("text/plain", "")),
        many,
        function(Err(Failure::Trapped { context: context(), reason: "r".into() })),
    ]);
    assert_eq!((made.calls, made.left_out, made.dropped), (1, 4, 0), "{}", made.text);
    assert_eq!(made.text.matches("# Left out: ").count(), 4);
    assert!(made.text.contains("fails = \"trapped\""));
}

#[test]
fn a_file_holds_as_many_calls_as_can_be_read_again() {
    let long = || function(Ok(vec![Val::String("x".repeat(1 << 20))]));
    let made = recorded((0..10).map(|_| long()).collect());
    assert!(u64::try_from(made.text.len()).unwrap() <= limits::SCENARIO_FILE_BYTES_MAX);
    assert_eq!(made.calls + made.dropped, 10);
    assert!(made.calls >= 5 && made.text.contains(&format!("# {} more calls did not fit", made.dropped)));
}

#[test]
fn the_head_says_whose_values_the_files_hold() {
    let mut asked = function(Ok(vec![Val::Bool(true)]));
    let interface = InterfaceName::parse("shop:stock/levels@0.1.0").unwrap();
    asked.outgoing.push(OutgoingCall {
        callee: 0,
        interface,
        function: "of".into(),
        names: vec![],
        params: vec![],
        outcome: Ok(vec![]),
        took: Duration::ZERO,
    });
    let mut log = CallLog::default();
    log.calls.push(asked);
    let functions = Functions::default();
    let text = scenario(&Header { file: Some("recorded.sqlite"), ..header(&functions) }, &log).text;
    for said in [
        "# It holds values of real calls: those of the calls to `orders` and of the calls that it made to \
         shop:stock/levels@0.1.0.",
        "# `recorded.sqlite` is the whole store of `orders`",
        "# Keep them out of version control",
    ] {
        assert!(text.contains(said), "{text}");
    }
    let without = recorded(vec![function(Ok(vec![]))]).text;
    assert!(!without.contains("whole store") && without.contains("those of the calls to `orders`."), "{without}");
}
