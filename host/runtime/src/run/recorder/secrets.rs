//! Which values of a call are not kept: those under the names that the manifest lists, and the bodies of requests.

use std::collections::BTreeSet;

use wasmtime::component::Val;

use super::{CallData, RecordedCall};

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
                found |= self.headers(&mut request.headers);
                if !request.body.is_empty() {
                    // The body is what a visitor typed: the names in a form do not show whether it is secret.
                    request.body = BLANK.into();
                    found = true;
                }
                if let Ok(response) = outcome {
                    self.headers(&mut response.headers);
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
        secret.map(|(_, value)| BLANK.clone_into(value)).count() > 0
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
            items.clear();
            true
        }
        other => parts(other).into_iter().fold(false, |found, part| found | texts(part)),
    }
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
