//! What a repeated call came to, and how two of them differ: in words that hold no value of a call, and with the values
//! for an operator who asks for them.
//!
//! Names of fields, cases and headers are the developer's; they are no values.

use seam_runtime::call::Failure;
use wasmtime::component::{Val, wasm_wave};

/// Characters of a page that `Broken` shows.
const PAGE_SHOWN: usize = 80;

/// The result of one replayed call, for comparison.
#[derive(Debug, PartialEq)]
pub enum CallResult {
    Values(Vec<Val>),
    Page {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    Broken(Broken),
    /// It made a call that the recording does not contain.
    NotRecorded,
}

/// How a call broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Without values: `it trapped`, `status 503`.
    pub kind: String,
    /// With the words of the guest.
    pub why: String,
}

impl CallResult {
    pub fn of_values(results: Vec<Val>) -> Self {
        match unavailable(&results) {
            Some(why) => {
                Self::Broken(Broken { kind: "it is `unavailable`".to_owned(), why: format!("unavailable: {why}") })
            }
            None => Self::Values(results),
        }
    }

    /// A page with an error of the server is broken.
    pub fn of_page(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        if status < 500 {
            return Self::Page { status, headers, body };
        }
        let kind = format!("status {status}");
        let shown: String = String::from_utf8_lossy(&body).chars().take(PAGE_SHOWN).collect();
        Self::Broken(Broken { why: format!("{kind}: {shown}"), kind })
    }

    pub fn of_failure(failure: &Failure) -> Self {
        let kind = match failure {
            Failure::Trapped { .. } => "it trapped",
            Failure::TimedOut { .. } => "it did not answer in time",
            Failure::Overloaded { .. } => "it was overloaded",
            Failure::Absent { .. } | Failure::Moved { .. } => "it was not available",
            Failure::Refused { .. } => "it was not called",
        };
        Self::Broken(Broken { kind: kind.to_owned(), why: failure.to_string() })
    }

    /// Its case or its status, without values.
    pub fn kind(&self) -> String {
        match self {
            Self::Values(values) => match values.first() {
                Some(value) => format!("`{}`", case(value)),
                None => "nothing".to_owned(),
            },
            Self::Page { status, .. } => format!("status {status}"),
            Self::Broken(broken) => broken.kind.clone(),
            Self::NotRecorded => String::new(),
        }
    }

    /// All of it, with values.
    pub fn shown(&self) -> String {
        match self {
            Self::Values(values) => values.iter().map(wave).collect::<Vec<_>>().join(", "),
            Self::Page { status, headers, body } => {
                let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                format!("{status} {} {}", headers.join(" "), String::from_utf8_lossy(body))
            }
            Self::Broken(broken) => broken.why.clone(),
            Self::NotRecorded => String::new(),
        }
    }
}

pub fn wave(value: &Val) -> String {
    wasm_wave::to_string(value).unwrap_or_else(|error| format!("({error})"))
}

fn unavailable(results: &[Val]) -> Option<String> {
    let [Val::Result(Err(Some(error)))] = results else { return None };
    match &**error {
        Val::Variant(case, Some(text)) if case == "unavailable" => Some(match &**text {
            Val::String(text) => text.clone(),
            _ => String::new(),
        }),
        _ => None,
    }
}

/// The name of a value's case, or of its kind.
fn case(value: &Val) -> &str {
    match value {
        Val::Result(Ok(_)) => "ok",
        Val::Result(Err(_)) => "err",
        Val::Option(Some(_)) => "some",
        Val::Option(None) => "none",
        Val::Variant(case, _) | Val::Enum(case) => case,
        Val::List(_) => "list",
        Val::Record(_) => "record",
        _ => "value",
    }
}

/// Where two answers begin to differ, and in what way, without their values: `ok[3].price: another value`.
pub fn place(old: &CallResult, new: &CallResult) -> String {
    match (old, new) {
        (CallResult::Values(old), CallResult::Values(new)) => {
            let mut path = String::new();
            let how = old.iter().zip(new).find_map(|(old, new)| differing(old, new, &mut path));
            let how = how.unwrap_or_else(|| "another number of results".to_owned());
            if path.is_empty() { how } else { format!("{}: {how}", path.trim_start_matches('.')) }
        }
        (
            CallResult::Page { status: was, headers: old, body: before },
            CallResult::Page { status: is, headers: new, body: after },
        ) => {
            if was != is {
                return format!("status {was} became {is}");
            }
            let header = old.iter().find(|line| !new.contains(line)).or(new.iter().find(|line| !old.contains(line)));
            match header {
                Some((name, _)) => format!("another header `{name}`"),
                None if before == after => "its headers are in another order".to_owned(),
                None => {
                    let same = before.iter().zip(after).take_while(|(a, b)| a == b).count();
                    format!("another body, from its byte {} on", same + 1)
                }
            }
        }
        (old, new) => format!("{} became {}", old.kind(), new.kind()),
    }
}

/// How two values differ, and to `path` where; `None` if they do not.
fn differing(old: &Val, new: &Val, path: &mut String) -> Option<String> {
    if old == new {
        return None;
    }
    match (old, new) {
        (Val::Record(a), Val::Record(b)) if a.len() == b.len() => {
            let ((name, a), (_, b)) = a.iter().zip(b).find(|((_, a), (_, b))| a != b)?;
            path.push('.');
            path.push_str(name);
            differing(a, b, path)
        }
        (Val::List(a), Val::List(b)) | (Val::Tuple(a), Val::Tuple(b)) => {
            match a.iter().zip(b).enumerate().find(|(_, (a, b))| a != b) {
                Some((at, (a, b))) => {
                    path.push_str(&format!("[{at}]"));
                    differing(a, b, path)
                }
                None => Some(format!("{} elements became {}", a.len(), b.len())),
            }
        }
        (Val::Variant(was, a), Val::Variant(is, b)) if was == is => inner(was, a.as_deref(), b.as_deref(), path),
        (Val::Result(Ok(a)), Val::Result(Ok(b))) => inner("ok", a.as_deref(), b.as_deref(), path),
        (Val::Result(Err(a)), Val::Result(Err(b))) => inner("err", a.as_deref(), b.as_deref(), path),
        (Val::Option(Some(a)), Val::Option(Some(b))) => inner("some", Some(a), Some(b), path),
        _ if case(old) != case(new) => Some(format!("`{}` became `{}`", case(old), case(new))),
        _ => Some("another value".to_owned()),
    }
}

fn inner(case: &str, old: Option<&Val>, new: Option<&Val>, path: &mut String) -> Option<String> {
    path.push('.');
    path.push_str(case);
    match (old, new) {
        (Some(old), Some(new)) => differing(old, new, path),
        _ => Some("another value".to_owned()),
    }
}

/// An excerpt of both texts, around the point where they begin to differ.
pub fn difference(old: &str, new: &str) -> String {
    let same = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(20);
    let part = |text: &str| {
        let shown: String = text.chars().skip(from).take(60).collect();
        let (before, after) =
            (if from > 0 { "..." } else { "" }, if text.chars().count() > from + 60 { "..." } else { "" });
        format!("{before}{}{after}", shown.replace('\n', " "))
    };
    format!("{} became {}", part(old), part(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_where_it_begins() {
        assert_eq!(difference("ok(14)", "ok(21)"), "ok(14) became ok(21)");
        let long = |end: &str| format!("{}{end}", "x".repeat(100));
        let shown = difference(&long("a"), &long("b"));
        assert_eq!(shown, format!("...{0}a became ...{0}b", "x".repeat(20)));
    }

    fn ok(value: Val) -> Val {
        Val::Result(Ok(Some(Box::new(value))))
    }

    fn customer(name: &str, orders: &[u32]) -> Val {
        let orders = orders.iter().map(|order| Val::Record(vec![("number".into(), Val::U32(*order))])).collect();
        Val::Record(vec![("name".into(), Val::String(name.into())), ("orders".into(), Val::List(orders))])
    }

    #[test]
    fn the_place_of_a_difference_is_named_without_its_values() {
        let check = |old: Val, new: Val, expect: &str| {
            assert_eq!(place(&CallResult::Values(vec![old]), &CallResult::Values(vec![new])), expect);
        };
        let anna = |orders: &[u32]| ok(customer("Anna", orders));
        check(anna(&[7]), ok(customer("Bert", &[7])), "ok.name: another value");
        check(anna(&[7, 8]), anna(&[7, 9]), "ok.orders[1].number: another value");
        check(anna(&[7]), anna(&[7, 8]), "ok.orders: 1 elements became 2");
        check(anna(&[7]), Val::Result(Err(None)), "`ok` became `err`");
        let gone = |text: &str| Val::Variant("gone".into(), Some(Box::new(Val::String(text.into()))));
        check(gone("Anna"), gone("Bert"), "gone: another value");
        check(gone("Anna"), Val::Variant("new".into(), None), "`gone` became `new`");
        check(Val::Option(None), Val::Option(Some(Box::new(Val::U8(7)))), "`none` became `some`");
        check(Val::U32(14), Val::U32(21), "another value");
        let page = |status, cookie: &str, body: &str| {
            CallResult::of_page(status, vec![("set-cookie".into(), cookie.into())], body.into())
        };
        let old = page(200, "a=Anna", "Dear Anna");
        for (new, expect) in [
            (page(404, "a=Anna", "Dear Anna"), "status 200 became 404"),
            (page(200, "a=Bert", "Dear Anna"), "another header `set-cookie`"),
            (page(200, "a=Anna", "Dear Bert"), "another body, from its byte 6 on"),
            (page(503, "a=Anna", "Dear Bert"), "status 200 became status 503"),
        ] {
            assert_eq!(place(&old, &new), expect);
        }
    }

    #[test]
    fn what_broke_has_a_kind_without_the_words_of_the_guest() {
        let reason = "unreachable\nno row for Anna".to_owned();
        let trapped = CallResult::of_failure(&Failure::Trapped { context: "orders".into(), reason });
        assert_eq!(trapped.kind(), "it trapped");
        assert!(trapped.shown().contains("Anna"));
        let away = Val::Variant("unavailable".into(), Some(Box::new(Val::String("Anna is not there".into()))));
        let away = CallResult::of_values(vec![Val::Result(Err(Some(Box::new(away))))]);
        assert_eq!(away.kind(), "it is `unavailable`");
        assert_eq!(CallResult::of_values(vec![ok(Val::U8(7))]).kind(), "`ok`");
    }
}
