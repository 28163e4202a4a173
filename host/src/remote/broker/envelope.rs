//! Requests and responses as messages of a broker: docs/remote-calls.md, "Through a broker".
//!
//! Their fields are those of HTTP/2, with some more for who sends and when.

use std::time::SystemTime;

use async_nats::{HeaderMap as Headers, Subject};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, request, response};
use sha2::{Digest, Sha256};

use super::seal::{Seal, Seals};
use crate::limits;
use crate::remote::names::Names;
use crate::remote::trust::{Distrust, Side};
use crate::remote::wire::{FORM, Rejection};

/// The fields beside those of HTTP/2.
pub mod field {
    /// The number of the call: 32 lower-case hexadecimal digits, chosen by chance.
    pub const CALL: &str = "seam-call";
    /// When it was sent, in milliseconds since 1970 by the clock of its host.
    pub const SENT: &str = "seam-sent-ms";
    pub const CERTIFICATE: &str = "seam-certificate";
    pub const PROOF: &str = "seam-proof";

    pub const ALL: [&str; 4] = [CALL, SENT, CERTIFICATE, PROOF];
}

/// What the calls of all functions of `context` match.
pub fn calls(context: &str) -> String {
    format!("seam.{FORM}.call.{context}.>")
}

/// Where a copy of `context` that leaves sends what fills up the last messages that it gets.
pub fn leave(context: &str) -> String {
    format!("seam.{FORM}.call.{context}.leave")
}

/// Where callers say that they have given a call up.
pub fn cancel(context: &str) -> String {
    format!("seam.{FORM}.cancel.{context}")
}

/// What the answers for the host `this` match, without their last two parts.
pub fn replies(this: &str) -> String {
    format!("seam.{FORM}.reply.{this}")
}

/// The path of a call as a subject: its segments, with `_` for each `.` in them. WIT knows no `_`.
fn subject(path: &str) -> String {
    let segments = path.split('/').skip(2).map(|segment| segment.replace('.', "_"));
    segments.fold(format!("seam.{FORM}.call"), |subject, segment| format!("{subject}.{segment}"))
}

/// The path of which `subject` has made this one.
fn path(subject: &str) -> Option<String> {
    let segments = subject.strip_prefix(&format!("seam.{FORM}.call."))?;
    Some(segments.split('.').fold(format!("/{FORM}"), |path, segment| format!("{path}/{}", segment.replace('_', "."))))
}

/// A message, ready to be sent.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub subject: String,
    pub headers: Headers,
}

/// The call `number` with `arguments`, as `wire::request` has made it. `now_ms`: since 1970.
///
/// # Errors
/// When this host cannot sign it.
pub fn request(
    parts: &request::Parts,
    arguments: &[u8],
    number: u128,
    now_ms: u64,
    seals: &Seals,
) -> Result<Sealed, String> {
    let mut fields = parts.headers.clone();
    set(&mut fields, field::CALL, format!("{number:032x}"))?;
    set(&mut fields, field::SENT, now_ms.to_string())?;
    let subject = subject(parts.uri.path());
    sealed(&mut fields, &subject, arguments, seals)?;
    Ok(Sealed { subject, headers: headers(&fields) })
}

/// The answer to the call `number`.
///
/// # Errors
/// When this host cannot sign it.
pub fn response(response: Response<Bytes>, number: u128, seals: &Seals) -> Result<(Headers, Bytes), String> {
    let (parts, body) = response.into_parts();
    let mut fields = parts.headers;
    sealed(&mut fields, &of_answer(number), &body, seals)?;
    Ok((headers(&fields), body))
}

/// What an answer to the call is signed for, in the place of a subject.
fn of_answer(number: u128) -> String {
    format!("answer {number:032x}")
}

fn set(fields: &mut HeaderMap, name: &'static str, value: String) -> Result<(), String> {
    let value = HeaderValue::try_from(value).map_err(|_| format!("its field `{name}` is not visible ASCII"))?;
    fields.insert(name, value);
    Ok(())
}

fn sealed(fields: &mut HeaderMap, purpose: &str, body: &[u8], seals: &Seals) -> Result<(), String> {
    let signer = seals.signer();
    set(fields, field::CERTIFICATE, signer.certificates())?;
    let proof = signer.proof(&text(purpose, fields, body))?;
    set(fields, field::PROOF, proof)
}

fn headers(fields: &HeaderMap) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        if let Ok(value) = value.to_str() {
            headers.insert(name.as_str(), value);
        }
    }
    headers
}

/// What is signed: the purpose, each field but the signature, by name, and the digest of the body.
fn text(purpose: &str, fields: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut lines: Vec<(&str, &[u8])> = Vec::new();
    for (name, value) in fields.iter().filter(|(name, _)| *name != field::PROOF) {
        lines.push((name.as_str(), value.as_bytes()));
    }
    lines.sort_unstable();
    let mut text = format!("seam-broker 1\n{purpose}\n").into_bytes();
    for (name, value) in lines {
        for part in [name.as_bytes(), b": ", value, b"\n"] {
            text.extend_from_slice(part);
        }
    }
    text.extend_from_slice(hex::encode(Sha256::digest(body)).as_bytes());
    text
}

/// A call as it came.
#[derive(Debug)]
pub struct Opened {
    /// Without the fields that only a broker needs.
    pub parts: request::Parts,
    pub number: u128,
    pub sent_ms: u64,
    /// Of the host that calls.
    pub names: Names,
}

/// Why a message is not accepted.
#[derive(Debug)]
pub enum Unopened {
    Rejected(Rejection),
    Distrusted(Distrust),
}

/// Reads what `request` has made, and who has sent it. Whether it came before is not known here.
///
/// # Errors
/// Why it cannot be read or believed.
pub fn open_request(subject: &Subject, headers: &Headers, body: &[u8], seals: &Seals) -> Result<Opened, Unopened> {
    let unreadable = |why: &str| Unopened::Rejected(Rejection::Unreadable(why.to_owned()));
    let mut fields = fields(headers).map_err(Unopened::Rejected)?;
    let names = opened(&fields, subject.as_str(), body, seals, Side::Client)?;
    let number = one(&fields, field::CALL).filter(|text| text.len() == 32);
    let number = number.and_then(|text| u128::from_str_radix(text, 16).ok());
    let number = number.ok_or_else(|| unreadable("the field `seam-call` is not 32 hexadecimal digits"))?;
    let sent_ms = one(&fields, field::SENT).and_then(|text| text.parse().ok());
    let sent_ms = sent_ms.ok_or_else(|| unreadable("the field `seam-sent-ms` is no number"))?;
    let path = path(subject.as_str()).ok_or_else(|| unreadable("the subject is not that of a call"))?;
    for name in field::ALL {
        fields.remove(name);
    }
    let request = Request::builder().method(Method::POST).uri(path).body(());
    let (mut parts, ()) = request.map_err(|_| unreadable("the subject is not that of a call"))?.into_parts();
    parts.headers = fields;
    Ok(Opened { parts, number, sent_ms, names })
}

/// Reads what `response` has made for the call `number`, and who has sent it.
///
/// # Errors
/// Why it cannot be read or believed.
pub fn open_response(
    headers: &Headers,
    body: &[u8],
    number: u128,
    seals: &Seals,
) -> Result<(response::Parts, Names), Unopened> {
    let fields = fields(headers).map_err(Unopened::Rejected)?;
    let names = opened(&fields, &of_answer(number), body, seals, Side::Server)?;
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.headers = fields;
    Ok((parts, names))
}

fn opened(fields: &HeaderMap, purpose: &str, body: &[u8], seals: &Seals, side: Side) -> Result<Names, Unopened> {
    let missing = |name: &str| Unopened::Rejected(Rejection::Unreadable(format!("the field `{name}` is missing")));
    let get = |name: &str| one(fields, name).map(str::to_owned).ok_or_else(|| missing(name));
    let seal = Seal { certificates: get(field::CERTIFICATE)?, proof: get(field::PROOF)? };
    seals.verified(&seal, &text(purpose, fields, body), side).map_err(Unopened::Distrusted)
}

fn one<'f>(fields: &'f HeaderMap, name: &str) -> Option<&'f str> {
    fields.get(name)?.to_str().ok()
}

fn fields(headers: &Headers) -> Result<HeaderMap, Rejection> {
    let mut fields = HeaderMap::new();
    let mut bytes = 0;
    for (name, values) in headers.iter() {
        let name: &str = name.as_ref();
        for value in values {
            bytes += name.len() + value.as_str().len();
            if bytes > limits::BROKER_HEAD_BYTES {
                let max = limits::BROKER_HEAD_BYTES >> 10;
                return Err(Rejection::Unreadable(format!("its fields have more than {max} KiB")));
            }
            let unreadable = || Rejection::Unreadable("a field is not one of HTTP".to_owned());
            let name = HeaderName::try_from(name).map_err(|_| unreadable())?;
            fields.append(name, HeaderValue::from_str(value.as_str()).map_err(|_| unreadable())?);
        }
    }
    Ok(fields)
}

/// Since 1970, by this host's clock.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_its_path_again() {
        for (of, expect) in [
            (
                "/v1/finance/acme:finance/payments@0.1.0/take-payment",
                "finance.acme:finance.payments@0_1_0.take-payment",
            ),
            ("/v1/a/b:c/d@0.1.0-rc.1+b.2/e", "a.b:c.d@0_1_0-rc_1+b_2.e"),
        ] {
            assert_eq!(subject(of), format!("seam.v1.call.{expect}"));
            assert_eq!(path(&subject(of)).as_deref(), Some(of));
        }
        assert_eq!(path("seam.v2.call.a.b.c.d"), None);
    }

    #[test]
    fn the_page_for_writers_of_clients_names_each_field_and_subject() {
        let page = include_str!("../../../../docs/remote-calls.md");
        for name in field::ALL {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
        for subject in [calls("CONTEXT"), leave("CONTEXT"), cancel("CONTEXT"), replies("HOST")] {
            assert!(page.contains(&subject), "{subject}");
        }
    }
}
