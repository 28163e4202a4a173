//! Values and patterns as text, to be compared line by line.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};
use wasmtime::component::Val;
use wasmtime::component::wasm_wave;

use super::{Bindings, Pattern};

/// Longer lines are broken up.
const WIDTH: usize = 100;
/// Lines shown around a difference.
const AROUND: usize = 2;

/// Text, or parts between brackets.
enum Shown {
    Text(String),
    Group { open: String, parts: Vec<(String, Shown)>, close: &'static str },
}

impl Shown {
    fn one_line(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Group { open, parts, close } => {
                let parts: Vec<String> =
                    parts.iter().map(|(name, part)| format!("{name}{}", part.one_line())).collect();
                format!("{open}{}{close}", parts.join(", "))
            }
        }
    }

    fn write(&self, indent: usize, before: &str, text: &mut String) {
        let line = self.one_line();
        match self {
            Self::Group { open, parts, close } if indent + before.chars().count() + line.chars().count() > WIDTH => {
                let _ = writeln!(text, "{before}{open}");
                // WAVE has no comma after what a case holds.
                let after = if open.len() > 1 && open.ends_with('(') { "\n" } else { ",\n" };
                for (name, part) in parts {
                    text.push_str(&" ".repeat(indent + 2));
                    part.write(indent + 2, name, text);
                    text.push_str(after);
                }
                let _ = write!(text, "{}{close}", " ".repeat(indent));
            }
            _ => {
                let _ = write!(text, "{before}{line}");
            }
        }
    }
}

fn group(open: impl Into<String>, parts: Vec<(String, Shown)>, close: &'static str) -> Shown {
    Shown::Group { open: open.into(), parts, close }
}

fn unnamed(parts: impl Iterator<Item = Shown>) -> Vec<(String, Shown)> {
    parts.map(|part| (String::new(), part)).collect()
}

fn case(name: &str, payload: Option<Shown>) -> Shown {
    match payload {
        Some(payload) => group(format!("{name}("), vec![(String::new(), payload)], ")"),
        None => Shown::Text(name.to_owned()),
    }
}

fn value(val: &Val) -> Shown {
    let payload = |inner: &Option<Box<Val>>| inner.as_deref().map(value);
    match val {
        Val::List(items) => group("[", unnamed(items.iter().map(value)), "]"),
        Val::Tuple(items) => group("(", unnamed(items.iter().map(value)), ")"),
        Val::Record(fields) => {
            group("{", fields.iter().map(|(name, val)| (format!("{name}: "), value(val))).collect(), "}")
        }
        Val::Variant(name, inner) => case(name, payload(inner)),
        Val::Option(Some(inner)) => case("some", Some(value(inner))),
        Val::Result(Ok(inner)) => case("ok", payload(inner)),
        Val::Result(Err(inner)) => case("err", payload(inner)),
        leaf => Shown::Text(wasm_wave::to_string(leaf).unwrap_or_else(|error| format!("({error})"))),
    }
}

/// The pattern, with its open parts filled from the actual value.
fn pattern(expected: &Pattern, actual: Option<&Val>, bound: &Bindings) -> Shown {
    let open = |text: &str| actual.map_or_else(|| Shown::Text(text.to_owned()), value);
    let payload = |inner: &Option<Box<Pattern>>, actual: Option<&Val>| {
        inner.as_deref().map(|inner| pattern(inner, actual, bound))
    };
    match expected {
        Pattern::Any => open("_"),
        Pattern::Bind(name) => match bound.get(name) {
            Some(known) => value(known),
            None => open(&format!("${name}")),
        },
        Pattern::Exact(val) => value(val),
        Pattern::List { first, rest, last } => {
            let found: &[Val] = if let Some(Val::List(found)) = actual { found } else { &[] };
            let middle = found.len().saturating_sub(first.len() + last.len());
            let mut parts: Vec<Shown> =
                first.iter().enumerate().map(|(at, p)| pattern(p, found.get(at), bound)).collect();
            if *rest {
                let between = found.iter().skip(first.len()).take(middle);
                parts.extend(between.map(value));
            }
            let skipped = if *rest { first.len() + middle } else { first.len() };
            parts.extend(last.iter().enumerate().map(|(at, p)| pattern(p, found.get(skipped + at), bound)));
            group("[", unnamed(parts.into_iter()), "]")
        }
        Pattern::Tuple(all) => {
            let found: &[Val] = if let Some(Val::Tuple(found)) = actual { found } else { &[] };
            group("(", unnamed(all.iter().enumerate().map(|(at, p)| pattern(p, found.get(at), bound))), ")")
        }
        Pattern::Record(fields) => {
            let found: &[(String, Val)] = if let Some(Val::Record(found)) = actual { found } else { &[] };
            let field = |(name, p): &(String, Pattern)| {
                let actual = found.iter().find(|(known, _)| known == name).map(|(_, val)| val);
                (format!("{name}: "), pattern(p, actual, bound))
            };
            group("{", fields.iter().map(field).collect(), "}")
        }
        Pattern::Variant(name, inner) => {
            let actual = match actual {
                Some(Val::Variant(found, actual)) if found == name => actual.as_deref(),
                _ => None,
            };
            case(name, payload(inner, actual))
        }
        Pattern::Option(None) => Shown::Text("none".into()),
        Pattern::Option(inner) => {
            let actual = if let Some(Val::Option(actual)) = actual { actual.as_deref() } else { None };
            case("some", payload(inner, actual))
        }
        Pattern::Result(Ok(inner)) => {
            let actual = if let Some(Val::Result(Ok(actual))) = actual { actual.as_deref() } else { None };
            case("ok", payload(inner, actual))
        }
        Pattern::Result(Err(inner)) => {
            let actual = if let Some(Val::Result(Err(actual))) = actual { actual.as_deref() } else { None };
            case("err", payload(inner, actual))
        }
    }
}

/// A value, over as many lines as it needs.
pub fn pretty(val: &Val) -> String {
    let mut text = String::new();
    value(val).write(0, "", &mut text);
    text
}

/// Expected and actual value line by line: `-` expected, `+` actual.
pub fn diff(expected: &Pattern, actual: &Val, bound: &Bindings) -> String {
    let mut wanted = String::new();
    pattern(expected, Some(actual), bound).write(0, "", &mut wanted);
    lines(&wanted, &pretty(actual))
}

/// A diff of two texts, with the lines around each difference.
pub fn lines(expected: &str, actual: &str) -> String {
    // The last line ends like the others, so that it compares like them.
    let (expected, actual) = (format!("{expected}\n"), format!("{actual}\n"));
    let diff = TextDiff::from_lines(&expected, &actual);
    let mut text = String::new();
    for (at, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if at > 0 {
            text.push_str("  ...\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let _ = writeln!(text, "{sign} {}", change.value().trim_end_matches('\n'));
        }
    }
    text
}
