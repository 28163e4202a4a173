//! Which values of a call are not kept: those under the names that the manifest lists, and bodies that have no names.

use std::collections::BTreeSet;

use wasmtime::component::Val;

use super::{CallData, RecordedCall, bodies};

/// Replaces a secret text.
pub const BLANK: &str = "***";

/// Names of parameters, of fields of records, and of HTTP headers.
pub(super) struct Secrets(BTreeSet<String>);

impl Secrets {
    pub fn new(names: &[String]) -> Self {
        Self(names.iter().cloned().collect())
    }

    /// Blanks the secrets of a call. `names` are those of its parameters; none for a request.
    pub fn blank(&self, call: &mut RecordedCall, names: &[String]) {
        let mut found = false;
        match &mut call.data {
            CallData::Function { params, outcome, .. } => {
                found |= self.named(params, names);
                self.results(outcome.as_deref_mut().unwrap_or_default());
            }
            CallData::Request { request, outcome } => {
                found |= bodies::body(&content_type(&request.headers), &mut request.body, &|name| self.in_text(name));
                if let Some(query) = &mut request.query {
                    let blanked = bodies::pairs(query, '&', &|name| self.in_text(name));
                    found |= blanked != *query;
                    *query = blanked;
                }
                found |= self.headers(&mut request.headers);
                if let Ok(response) = outcome {
                    self.headers(&mut response.headers);
                    if let Some(blanked) = self.answer(&response.body) {
                        response.body = blanked.into_bytes();
                    }
                }
            }
        }
        for made in &mut call.outgoing {
            let names = std::mem::take(&mut made.names);
            found |= self.named(&mut made.params, &names);
            made.names = names;
            found |= self.results(made.outcome.as_deref_mut().unwrap_or_default());
        }
        call.blanked |= found;
    }

    /// Blanks the secrets in `results`. Returns whether there were any.
    pub fn results(&self, results: &mut [Val]) -> bool {
        results.iter_mut().fold(false, |found, value| found | self.inside(value))
    }

    pub fn headers(&self, headers: &mut [(String, String)]) -> bool {
        let secret = headers.iter_mut().filter(|(name, _)| self.0.contains(&name.to_ascii_lowercase()));
        let blank = |(name, value): &mut (String, String)| match name.eq_ignore_ascii_case("cookie") {
            // The names show the context which of its cookies the client had.
            true => *value = bodies::pairs(value, ';', &|_| true),
            false => BLANK.clone_into(value),
        };
        secret.map(blank).count() > 0
    }

    /// The body of a response without its secrets, if it is JSON. Nothing reads it but tools, so a blanked number may be
    /// a text, which shows that it was blanked.
    fn answer(&self, body: &[u8]) -> Option<String> {
        bodies::json(std::str::from_utf8(body).ok()?, &|name| self.in_text(name), "\"***\"")
    }

    /// Whether a name in JSON, in a form or in a query is secret: it or one of its words is on the list, however the
    /// words are joined (`cardNumber`, `new_password`, `card[number]`).
    fn in_text(&self, name: &str) -> bool {
        let mut words = String::new();
        for c in name.chars() {
            match c {
                c if c.is_ascii_uppercase() => {
                    words.extend(['-', c.to_ascii_lowercase()]);
                }
                c if c.is_alphanumeric() => words.push(c),
                _ => words.push('-'),
            }
        }
        let joined = words.trim_matches('-');
        self.0.contains(joined)
            || self.0.contains(&name.to_lowercase())
            || joined.split('-').any(|w| self.0.contains(w))
    }

    fn named(&self, params: &mut [Val], names: &[String]) -> bool {
        let mut found = false;
        for (at, value) in params.iter_mut().enumerate() {
            found |= match names.get(at) {
                Some(name) if self.0.contains(name) => texts(value),
                _ => self.inside(value),
            };
        }
        found
    }

    /// Blanks the secret fields anywhere in a value.
    fn inside(&self, value: &mut Val) -> bool {
        match value {
            Val::Record(fields) => {
                let mut found = false;
                for (name, value) in fields {
                    found |= if self.0.contains(name) { texts(value) } else { self.inside(value) };
                }
                found
            }
            other => parts(other).into_iter().fold(false, |found, part| found | self.inside(part)),
        }
    }
}

/// Blanks every text in a value that is secret as a whole. Returns whether there was any.
fn texts(value: &mut Val) -> bool {
    match value {
        Val::String(text) => {
            BLANK.clone_into(text);
            true
        }
        Val::List(items) if items.iter().all(|item| matches!(item, Val::U8(_))) => {
            *items = BLANK.bytes().map(Val::U8).collect();
            true
        }
        other => parts(other).into_iter().fold(false, |found, part| found | texts(part)),
    }
}

fn content_type(headers: &[(String, String)]) -> String {
    let known = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    known.map(|(_, value)| value.to_ascii_lowercase()).unwrap_or_default()
}

/// The values directly inside a value.
fn parts(value: &mut Val) -> Vec<&mut Val> {
    match value {
        Val::List(items) | Val::Tuple(items) => items.iter_mut().collect(),
        Val::Record(fields) => fields.iter_mut().map(|(_, value)| value).collect(),
        Val::Variant(_, inner) | Val::Option(inner) | Val::Result(Ok(inner) | Err(inner)) => {
            inner.as_deref_mut().into_iter().collect()
        }
        _ => Vec::new(),
    }
}
