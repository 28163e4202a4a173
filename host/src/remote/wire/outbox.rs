//! Questions for events of an outbox, and their answers: docs/remote-calls.md, "Events".
//!
//! Positions are text in the answers: they are larger than the numbers that JSON has in some languages.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, Request};
use seam_runtime::interface_name::InterfaceName;
use seam_runtime::remote::{Ask, Page, Question, Reply};
use seam_store::ids::ContextName;
use seam_store::{Bounds, Event, Kept, Kind, Span};
use serde::{Deserialize, Serialize};

use super::head::{Fields, Repeats, common, set, unreadable, uri};
use super::outcome::Rejection;
use super::{FORM, field};
use crate::limits;
use crate::remote::config::System;

/// The segment of the path after the form.
pub const FIRST: &str = "events";

/// The last segment of the path.
const PAGE: &str = "page";
const SPAN: &str = "span";
const KINDS: &str = "kinds";
const BOUNDS: &str = "bounds";

/// Positions are SQLite's.
const POSITION_MAX: u64 = i64::MAX as u64;

/// A question.
///
/// # Errors
/// Which part of it cannot travel.
pub fn request(authority: &Authority, system: &System, ask: &Ask) -> Result<Request<Bytes>, String> {
    let kind = match &ask.question {
        Question::Page { .. } => PAGE,
        Question::Span { .. } => SPAN,
        Question::Kinds { .. } => KINDS,
        Question::Bounds { .. } => BOUNDS,
    };
    let path = format!("/{FORM}/{FIRST}/{}/{}/{kind}", ask.publisher, ask.interface);
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri(authority, &path).ok_or_else(|| format!("`{path}` cannot be sent as a path"))?;
    let fields = request.headers_mut();
    common(fields, system);
    set(fields, field::SUBSCRIBER, &ask.subscriber, Repeats::Often)?;
    set(fields, field::REMAINING, ask.remaining.as_millis(), Repeats::Often)?;
    let number =
        |fields: &mut HeaderMap, name, number: u64| set(fields, name, number.min(POSITION_MAX), Repeats::Seldom);
    match &ask.question {
        Question::Page { after, most, wait, taken } => {
            number(fields, field::AFTER, *after)?;
            set(fields, field::MOST, most, Repeats::Often)?;
            if !wait.is_zero() {
                set(fields, field::WAIT, wait.as_millis(), Repeats::Often)?;
            }
            taken.map_or(Ok(()), |taken| number(fields, field::TAKEN, taken))
        }
        Question::Span { after, up_to, most } => {
            number(fields, field::AFTER, *after)?;
            number(fields, field::UP_TO, *up_to)?;
            set(fields, field::MOST, most, Repeats::Often)
        }
        Question::Kinds { after } | Question::Bounds { at: after } => number(fields, field::AFTER, *after),
    }?;
    Ok(request)
}

/// Reads what `request` has written, from the segments of its path and its fields.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn read(fields: &Fields<'_>, publisher: &str, interface: &str, kind: &str) -> Result<Ask, Rejection> {
    let invalid = |what: &str, text: &str| unreadable(format!("`{}` is no {what}", text.escape_debug()));
    let name = |text: &str| ContextName::parse(text).ok_or_else(|| invalid("name of a context", text));
    // A question is about all versions.
    let path = InterfaceName::parse(interface).is_some_and(|name| name.path == interface);
    if !path {
        return Err(invalid("name of an interface without a version", interface));
    }
    let after = fields.number(field::AFTER, POSITION_MAX)?;
    let most = |max: u32| Ok::<_, Rejection>(u32::try_from(fields.number(field::MOST, max.into())?).unwrap_or(max));
    let question = match kind {
        PAGE => Question::Page {
            after,
            most: most(limits::EVENT_BATCH_MAX)?,
            wait: Duration::from_millis(fields.number_if_any(field::WAIT, limits::OUTBOX_WAIT_MS)?.unwrap_or(0)),
            taken: fields.number_if_any(field::TAKEN, POSITION_MAX)?,
        },
        SPAN => {
            let up_to = fields.number(field::UP_TO, POSITION_MAX)?;
            Question::Span { after, up_to, most: most(seam_store::limits::EVENT_COUNT_MAX)? }
        }
        KINDS => Question::Kinds { after },
        BOUNDS => Question::Bounds { at: after },
        other => return Err(invalid("question about events", other)),
    };
    Ok(Ask {
        subscriber: name(fields.required(field::SUBSCRIBER)?)?,
        publisher: name(publisher)?,
        interface: interface.to_owned(),
        question,
        remaining: Duration::from_millis(fields.number(field::REMAINING, limits::CALL_TIMEOUT_MS_MAX)?),
    })
}

#[derive(Serialize, Deserialize)]
struct PageBody<'b> {
    kept: KeptBody,
    events: Vec<EventBody<'b>>,
}

#[derive(Serialize, Deserialize)]
struct KeptBody {
    #[serde(with = "position")]
    first: u64,
    #[serde(with = "position")]
    last: u64,
    cut: bool,
}

#[derive(Serialize, Deserialize)]
struct EventBody<'b> {
    #[serde(with = "position")]
    position: u64,
    interface: Cow<'b, str>,
    function: Cow<'b, str>,
    subject: Option<Cow<'b, str>>,
    time_ms: u64,
    trace: Cow<'b, str>,
    data: Cow<'b, str>,
}

#[derive(Serialize, Deserialize)]
struct SpanBody {
    events: u64,
    first_ms: Option<u64>,
    last_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct KindBody<'b> {
    interface: Cow<'b, str>,
    function: Cow<'b, str>,
    events: u64,
}

#[derive(Serialize, Deserialize)]
struct BoundsBody {
    #[serde(with = "position")]
    last: u64,
    #[serde(with = "position")]
    forgotten: u64,
    rows: u64,
    known: Option<PositionBody>,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct PositionBody(#[serde(with = "position")] u64);

/// A position as text.
mod position {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(position: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(position)
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<u64, D::Error> {
        let text = std::borrow::Cow::<'d, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| de::Error::custom("a position is a number in quotes"))
    }
}

/// The bytes of an answer, within those that may travel: of a page, the first events.
pub fn body(reply: &Reply) -> Bytes {
    match reply {
        Reply::Page(page) => {
            let mut events = page.events.as_slice();
            loop {
                let bytes = json(&page_body(events, page.kept));
                if bytes.len() <= limits::SEAM_MESSAGE_BYTES_MAX || events.len() <= 1 {
                    return bytes;
                }
                events = events.get(..events.len() / 2).unwrap_or_default();
            }
        }
        Reply::Span(Span { events, first_ms, last_ms }) => {
            json(&SpanBody { events: *events, first_ms: *first_ms, last_ms: *last_ms })
        }
        Reply::Kinds(kinds) => {
            let body = |Kind { interface, function, events }: &Kind| KindBody {
                interface: interface.clone().into(),
                function: function.clone().into(),
                events: *events,
            };
            json(&kinds.iter().map(body).collect::<Vec<_>>())
        }
        Reply::Bounds(Bounds { last, forgotten, rows, known }) => {
            json(&BoundsBody { last: *last, forgotten: *forgotten, rows: *rows, known: known.map(PositionBody) })
        }
    }
}

fn page_body(events: &[Event], kept: Kept) -> PageBody<'_> {
    let Kept { first, last, is_cut } = kept;
    PageBody { kept: KeptBody { first, last, cut: is_cut }, events: events.iter().map(event_body).collect() }
}

fn event_body(event: &Event) -> EventBody<'_> {
    EventBody {
        position: event.position,
        interface: event.interface.as_str().into(),
        function: event.function.as_str().into(),
        subject: event.subject.as_deref().map(Cow::from),
        time_ms: event.time_ms,
        trace: event.trace.as_str().into(),
        data: event.data.as_str().into(),
    }
}

/// Structs of texts and numbers have a form in JSON.
fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// The answer to a question, from what `body` has written.
///
/// # Errors
/// What is wrong with it.
pub fn reply(question: &Question, body: &[u8]) -> Result<Reply, serde_json::Error> {
    Ok(match question {
        Question::Page { .. } => {
            let PageBody { kept: KeptBody { first, last, cut }, events } = serde_json::from_slice(body)?;
            let event = |event: EventBody<'_>| Event {
                position: event.position,
                interface: event.interface.into_owned(),
                function: event.function.into_owned(),
                subject: event.subject.map(Cow::into_owned),
                time_ms: event.time_ms,
                trace: event.trace.into_owned(),
                data: event.data.into_owned(),
            };
            let events = events.into_iter().map(event).collect();
            Reply::Page(Page { events, kept: Kept { first, last, is_cut: cut } })
        }
        Question::Span { .. } => {
            let SpanBody { events, first_ms, last_ms } = serde_json::from_slice(body)?;
            Reply::Span(Span { events, first_ms, last_ms })
        }
        Question::Kinds { .. } => {
            let kinds: Vec<KindBody<'_>> = serde_json::from_slice(body)?;
            let kind = |KindBody { interface, function, events }: KindBody<'_>| Kind {
                interface: interface.into_owned(),
                function: function.into_owned(),
                events,
            };
            Reply::Kinds(kinds.into_iter().map(kind).collect())
        }
        Question::Bounds { .. } => {
            let BoundsBody { last, forgotten, rows, known } = serde_json::from_slice(body)?;
            Reply::Bounds(Bounds { last, forgotten, rows, known: known.map(|PositionBody(known)| known) })
        }
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::wanted::{Wanted, read};
    use super::*;

    const SYSTEM: System = System { codec: 1, placement: [7; 32] };

    fn ask(question: Question) -> Ask {
        Ask {
            subscriber: ContextName::parse("mail@js").unwrap(),
            publisher: ContextName::parse("orders").unwrap(),
            interface: "acme:orders/events".to_owned(),
            question,
            remaining: Duration::from_millis(1_500),
        }
    }

    fn questions() -> [Question; 5] {
        let wait = Duration::from_secs(2);
        [
            Question::Page { after: 112_201_764_437_954_561, most: 9, wait, taken: Some(7) },
            Question::Page { after: 0, most: 1, wait: Duration::ZERO, taken: None },
            Question::Span { after: 1, up_to: POSITION_MAX, most: 1_000_000 },
            Question::Kinds { after: 5 },
            Question::Bounds { at: 6 },
        ]
    }

    #[test]
    fn a_question_is_read_as_it_was_written() {
        for question in questions() {
            let ask = ask(question);
            let request = request(&Authority::from_static("shop:7443"), &SYSTEM, &ask).unwrap();
            assert_eq!(read(&request.into_parts().0, &SYSTEM), Ok(Wanted::Events(ask)));
        }
    }

    #[test]
    fn what_is_wrong_in_a_question_is_named() {
        let parts =
            |question| request(&Authority::from_static("shop:7443"), &SYSTEM, &ask(question)).unwrap().into_parts().0;
        for (name, value, expect) in [
            (field::SUBSCRIBER, "Mail", "`Mail` is no name of a context"),
            (field::SUBSCRIBER, "", "`seam-subscriber` is missing"),
            (field::AFTER, "-1", "`seam-after` is `-1`"),
            (field::AFTER, "9223372036854775808", "up to 9223372036854775807"),
            (field::MOST, "1001", "up to 1000"),
            (field::WAIT, "30001", "up to 30000"),
            (field::REMAINING, "", "`seam-remaining-ms` is missing"),
        ] {
            let mut parts = parts(Question::Page { after: 1, most: 9, wait: Duration::from_secs(1), taken: Some(1) });
            parts.headers.remove(name);
            if !value.is_empty() {
                parts.headers.insert(name, value.parse().unwrap());
            }
            let found = read(&parts, &SYSTEM).unwrap_err().to_string();
            assert!(found.contains(expect), "{name}: {value}: {found}");
        }
        for (path, expect) in [
            ("/v1/events/Orders/acme:orders/events/page", "`Orders` is no name of a context"),
            ("/v1/events/orders/acme:orders/events@0.1.0/page", "no name of an interface without a version"),
            ("/v1/events/orders/acme:orders/events/all", "`all` is no question about events"),
            ("/v1/events/orders/acme:orders/events", "asks for no events"),
        ] {
            let mut parts = parts(Question::Page { after: 1, most: 9, wait: Duration::ZERO, taken: None });
            parts.uri = path.parse().unwrap();
            let found = read(&parts, &SYSTEM).unwrap_err().to_string();
            assert!(found.contains(expect), "{path}: {found}");
        }
    }

    fn event(position: u64, data: &str) -> Event {
        Event {
            position,
            interface: "acme:orders/events@0.1.0".to_owned(),
            function: "order-placed".to_owned(),
            subject: position.is_multiple_of(2).then(|| "MC-\u{e9}\u{1}".to_owned()),
            time_ms: 1,
            trace: "00-x".to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let [page, _, span, kinds, bounds] = questions();
        let kept = Kept { first: 3, last: u64::MAX >> 1, is_cut: true };
        let events = vec![event(u64::MAX >> 1, r#"[{"order":"MC-7","lines":2}]"#), event(8, "")];
        let kind = Kind { interface: "a:b/c".to_owned(), function: "d".to_owned(), events: 9 };
        for (question, expect) in [
            (page, Reply::Page(Page { events, kept })),
            (span, Reply::Span(Span { events: 2, first_ms: Some(1), last_ms: None })),
            (kinds, Reply::Kinds(vec![kind])),
            (bounds, Reply::Bounds(Bounds { last: u64::MAX >> 1, forgotten: 3, rows: 2, known: Some(4) })),
        ] {
            let body = body(&expect);
            assert_eq!(reply(&question, &body).unwrap(), expect, "{}", String::from_utf8_lossy(&body));
            assert!(reply(&question, body.get(..body.len() - 1).unwrap()).is_err(), "cut off");
        }
    }

    #[test]
    fn a_page_that_is_too_large_to_travel_has_its_first_events() {
        // What its data takes as text in text grows.
        let data = "\u{1}".repeat(seam_store::limits::EVENT_BYTES_MAX);
        let events: Vec<Event> = (1..=17).map(|position| event(position, &data)).collect();
        let body = body(&Reply::Page(Page { events, kept: Kept::default() }));
        assert!(body.len() <= limits::SEAM_MESSAGE_BYTES_MAX);
        let [page, ..] = questions();
        let Reply::Page(page) = reply(&page, &body).unwrap() else { unreachable!("a page") };
        let positions: Vec<u64> = page.events.iter().map(|event| event.position).collect();
        assert_eq!(positions, (1..=8).collect::<Vec<_>>());
    }
}
