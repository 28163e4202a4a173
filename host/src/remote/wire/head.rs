//! The head of a request: its path and its fields.

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use seam_runtime::interface_name::InterfaceName;
use seam_runtime::remote::Head;
use seam_runtime::two_phase;
use seam_store::ids::{ContextName, Trace};

use super::outcome::Rejection;
use super::{FORM, field};
use crate::limits;
use crate::remote::config::System;

/// The request that opens a connection: the answer says whether both hosts fit each other.
pub fn greeting(authority: &Authority, system: &System) -> Request<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = uri(authority, &format!("/{FORM}")).unwrap_or_default();
    common(request.headers_mut(), system);
    request
}

/// A call that has `remaining` left.
///
/// # Errors
/// Which part of the head cannot travel.
pub fn request(
    authority: &Authority,
    system: &System,
    head: &Head,
    remaining: Duration,
    arguments: Bytes,
) -> Result<Request<Bytes>, String> {
    if !is_function(&head.function) {
        return Err(format!("the name of its function `{}` is not one of WIT", head.function.escape_debug()));
    }
    let path = format!("/{FORM}/{}/{}/{}", head.context, head.interface, head.function);
    let unfit = || format!("`{path}` cannot be sent as a path");
    let mut request = Request::new(arguments);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri(authority, &path).ok_or_else(unfit)?;
    let fields = request.headers_mut();
    common(fields, system);
    set(fields, field::SIGNATURE, hex::encode(head.signature), Repeats::Often)?;
    // Rounded up: a call with less than a millisecond left is still one with time left.
    let ms = remaining.as_micros().div_ceil(1_000);
    set(fields, field::REMAINING, ms, Repeats::Seldom)?;
    set(fields, field::TRACE, head.trace, Repeats::Seldom)?;
    set(fields, field::VISITOR, format!("{:016x}", head.visitor), Repeats::Seldom)?;
    if !head.chain.is_empty() {
        set(fields, field::CHAIN, list(&head.chain), Repeats::Often)?;
    }
    if !head.forced.is_empty() {
        set(fields, field::FORCED, list(&head.forced), Repeats::Often)?;
    }
    if head.bulk {
        set(fields, field::BULK, 1, Repeats::Often)?;
    }
    if let Some(two_phase::Part { transaction, coordinator, before }) = &head.part {
        set(fields, field::TRANSACTION, transaction, Repeats::Seldom)?;
        set(fields, field::COORDINATOR, coordinator, Repeats::Often)?;
        set(fields, field::BEFORE, before, Repeats::Often)?;
    }
    Ok(request)
}

pub(super) struct Fields<'h>(pub &'h HeaderMap);

impl<'h> Fields<'h> {
    /// A field of a later form may change what the call means.
    pub fn are_known(&self) -> Result<(), Rejection> {
        const KNOWN: [&str; 20] = [
            field::CODEC,
            field::PLACEMENT,
            field::SIGNATURE,
            field::REMAINING,
            field::CHAIN,
            field::VISITOR,
            field::FORCED,
            field::BULK,
            field::SUBSCRIBER,
            field::AFTER,
            field::UP_TO,
            field::MOST,
            field::WAIT,
            field::TAKEN,
            field::TRANSACTION,
            field::COORDINATOR,
            field::BEFORE,
            field::CALLEE,
            field::AT,
            field::SIDE,
        ];
        let known = |name: &&HeaderName| !name.as_str().starts_with(field::PREFIX) || KNOWN.contains(&name.as_str());
        match self.0.keys().find(|name| !known(name)) {
            Some(name) => Err(Rejection::Version(format!("this host does not know the field `{name}`"))),
            None => Ok(()),
        }
    }

    pub fn call(&self, context: &str, interface: &str, function: &str) -> Result<Head, Rejection> {
        let invalid = |what: &str, text: &str| unreadable(format!("`{}` is no {what}", text.escape_debug()));
        Ok(Head {
            context: ContextName::new(context).ok_or_else(|| invalid("name of a context", context))?,
            interface: InterfaceName::parse(interface).ok_or_else(|| invalid("name of an interface", interface))?,
            function: match is_function(function) {
                true => function.to_owned(),
                false => return Err(invalid("name of a function", function)),
            },
            signature: self.digest(field::SIGNATURE)?,
            remaining: Duration::from_millis(self.number(field::REMAINING, limits::CALL_TIMEOUT_MS_MAX)?),
            trace: {
                let text = self.required(field::TRACE)?;
                Trace::parse(text).ok_or_else(|| wrong(field::TRACE, text, "a `traceparent` of W3C Trace Context"))?
            },
            chain: self.contexts(field::CHAIN, limits::CALL_DEPTH_MAX)?,
            visitor: {
                let text = self.required(field::VISITOR)?;
                let number = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16 && is_lower_hex(text));
                number.ok_or_else(|| wrong(field::VISITOR, text, "16 hexadecimal digits"))?
            },
            forced: self.contexts(field::FORCED, limits::FORCED_VARIANTS_MAX)?,
            bulk: match self.optional(field::BULK)? {
                None => false,
                Some("1") => true,
                Some(other) => return Err(wrong(field::BULK, other, "`1`, or left out")),
            },
            part: self.part()?,
        })
    }

    fn part(&self) -> Result<Option<two_phase::Part>, Rejection> {
        if self.optional(field::TRANSACTION)?.is_none() {
            return Ok(None);
        }
        let (transaction, coordinator) = self.transaction()?;
        let before = u32::try_from(self.number(field::BEFORE, u64::from(u32::MAX))?).unwrap_or(u32::MAX);
        Ok(Some(two_phase::Part { transaction, coordinator, before }))
    }

    /// A transaction over several files, and its coordinator.
    pub fn transaction(&self) -> Result<(String, ContextName), Rejection> {
        let text = self.required(field::TRANSACTION)?;
        if text.len() != 32 || !is_lower_hex(text) {
            return Err(wrong(field::TRANSACTION, text, "32 hexadecimal digits"));
        }
        let coordinator = self.required(field::COORDINATOR)?;
        let name = ContextName::parse(coordinator);
        let name = name.ok_or_else(|| wrong(field::COORDINATOR, coordinator, "the name of a context"))?;
        Ok((text.to_owned(), name))
    }

    pub fn optional(&self, name: &str) -> Result<Option<&'h str>, Rejection> {
        let mut values = self.0.get_all(name).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(unreadable(format!("the field `{name}` is there twice")));
        }
        value.to_str().map(Some).map_err(|_| unreadable(format!("the field `{name}` is not visible ASCII")))
    }

    pub fn required(&self, name: &str) -> Result<&'h str, Rejection> {
        self.optional(name)?.ok_or_else(|| unreadable(format!("the field `{name}` is missing")))
    }

    pub fn number(&self, name: &str, max: u64) -> Result<u64, Rejection> {
        let text = self.required(name)?;
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && *number <= max);
        number.ok_or_else(|| wrong(name, text, &format!("a number up to {max}")))
    }

    /// A number that may be left out.
    pub fn number_if_any(&self, name: &str, max: u64) -> Result<Option<u64>, Rejection> {
        self.optional(name)?.map(|_| self.number(name, max)).transpose()
    }

    pub fn digest(&self, name: &str) -> Result<[u8; 32], Rejection> {
        let text = self.required(name)?;
        let mut digest = [0; 32];
        match hex::decode_to_slice(text, &mut digest) {
            Ok(()) if is_lower_hex(text) => Ok(digest),
            _ => Err(wrong(name, text, "64 hexadecimal digits")),
        }
    }

    fn contexts(&self, name: &str, max: usize) -> Result<Vec<ContextName>, Rejection> {
        let Some(text) = self.optional(name)? else { return Ok(Vec::new()) };
        let names: Option<Vec<ContextName>> = text.split(',').take(max + 1).map(ContextName::parse).collect();
        names
            .filter(|names| names.len() <= max)
            .ok_or_else(|| wrong(name, text, &format!("up to {max} names of contexts, with commas between them")))
    }
}

pub(super) fn unreadable(why: String) -> Rejection {
    Rejection::Unreadable(why)
}

fn wrong(name: &str, value: &str, expected: &str) -> Rejection {
    const SHOWN: usize = 100;
    let shown: String = value.chars().take(SHOWN).collect();
    unreadable(format!("the field `{name}` is `{}`, not {expected}", shown.escape_debug()))
}

/// Whether it may be the name of a function in WIT.
pub(super) fn is_function(text: &str) -> bool {
    const BYTES_MAX: usize = 256;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn list(names: &[ContextName]) -> String {
    names.iter().map(ContextName::as_str).collect::<Vec<_>>().join(",")
}

pub(super) fn uri(authority: &Authority, path: &str) -> Option<Uri> {
    let path = PathAndQuery::try_from(path).ok()?;
    Uri::builder().scheme(Scheme::HTTPS).authority(authority.clone()).path_and_query(path).build().ok()
}

pub(super) fn common(fields: &mut HeaderMap, system: &System) {
    fields.insert(field::CODEC, HeaderValue::from(u16::from(system.codec)));
    if let Ok(placement) = HeaderValue::try_from(hex::encode(system.placement)) {
        fields.insert(field::PLACEMENT, placement);
    }
}

/// Whether a connection remembers a value of a field, to send it again as one byte (RFC 7541).
#[derive(PartialEq, Eq)]
pub(super) enum Repeats {
    Often,
    Seldom,
}

pub(super) fn set(
    fields: &mut HeaderMap,
    name: &'static str,
    value: impl Display,
    repeats: Repeats,
) -> Result<(), String> {
    let value = HeaderValue::try_from(value.to_string());
    let mut value = value.map_err(|_| format!("its field `{name}` is not visible ASCII"))?;
    value.set_sensitive(repeats == Repeats::Seldom);
    fields.insert(name, value);
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use http::request;

    use super::super::wanted::{Wanted, read};
    use super::super::{Step, step_request};
    use super::*;

    const SYSTEM: System = System { codec: 1, placement: [7; 32] };

    fn head() -> Head {
        Head {
            context: ContextName::new("finance").unwrap(),
            interface: InterfaceName::parse("acme:finance/payments@0.1.0-rc.1+b").unwrap(),
            function: "take-payment".to_owned(),
            signature: [0xab; 32],
            remaining: Duration::from_millis(1_500),
            trace: Trace { trace_id: 5, span_id: 6, sampled: true },
            chain: ["storefront", "orders@js"].map(|name| ContextName::parse(name).unwrap()).to_vec(),
            visitor: 0xfe,
            forced: vec![ContextName::parse("engine@python").unwrap()],
            bulk: true,
            part: Some(two_phase::Part {
                transaction: "0123456789abcdef0123456789abcdef".to_owned(),
                coordinator: ContextName::parse("orders").unwrap(),
                before: 3,
            }),
        }
    }

    fn parts(head: &Head) -> request::Parts {
        let authority = Authority::from_static("books:7443");
        request(&authority, &SYSTEM, head, head.remaining, Bytes::new()).unwrap().into_parts().0
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let full = head();
        let bare = Head { chain: Vec::new(), forced: Vec::new(), bulk: false, ..head() };
        for head in [full, bare] {
            assert_eq!(read(&parts(&head), &SYSTEM), Ok(Wanted::Call(head)));
        }
        let greeting = greeting(&Authority::from_static("books:7443"), &SYSTEM).into_parts().0;
        assert_eq!(read(&greeting, &SYSTEM), Ok(Wanted::Greeting));
        let step = Step { context: ContextName::parse("finance").unwrap(), name: "hand-over".to_owned() };
        let sent = step_request(&Authority::from_static("books:7443"), &SYSTEM, &step, Bytes::new()).unwrap();
        assert_eq!(read(&sent.into_parts().0, &SYSTEM), Ok(Wanted::Step(step)));
    }

    #[test]
    fn what_is_wrong_in_a_head_is_named() {
        let change = |name: &'static str, value: &str| {
            let mut parts = parts(&head());
            parts.headers.remove(name);
            if !value.is_empty() {
                parts.headers.insert(name, HeaderValue::try_from(value).unwrap());
            }
            read(&parts, &SYSTEM).unwrap_err().to_string()
        };
        for (name, value, expect) in [
            (field::CODEC, "2", "version 1 of the codec, not 2"),
            (field::CODEC, "one", "`seam-codec` is `one`"),
            (field::CODEC, "+1", "`seam-codec` is `+1`"),
            (field::CODEC, "", "`seam-codec` is missing"),
            (field::PLACEMENT, "0707", "64 hexadecimal digits"),
            (field::PLACEMENT, &"08".repeat(32), "0808080808080808"),
            (field::SIGNATURE, &"AB".repeat(32), "64 hexadecimal digits"),
            (field::REMAINING, "600001", "up to 600000"),
            (field::REMAINING, "99999999999999999999999", "up to 600000"),
            (field::TRACE, "00-x", "traceparent"),
            (field::VISITOR, "fe", "16 hexadecimal digits"),
            (field::CHAIN, "a,b,c,d,e,f,g,h,i", "up to 8 names"),
            (field::CHAIN, "a,,b", "names of contexts"),
            (field::FORCED, "a@b@c", "names of contexts"),
            (field::BULK, "0", "`seam-bulk` is `0`"),
            ("seam-priority", "high", "does not know the field `seam-priority`"),
        ] {
            let found = change(name, value);
            assert!(found.contains(expect), "{name}: {value}: {found}");
        }
        for (path, expect) in [
            ("/v2/finance/acme:finance/payments/take", "form `v1`, not `v2`"),
            ("/v1/Finance/acme:finance/payments/take", "`Finance` is no name of a context"),
            ("/v1/finance@js/acme:finance/payments/take", "no name of a context"),
            ("/v1/finance/finance/payments/take", "no name of an interface"),
            ("/v1/finance/acme:finance/payments/%2e", "no name of a function"),
            ("/v1/finance/acme:finance/payments/take/more", "neither a greeting nor a call"),
            ("/v1", "neither a greeting nor a call"),
            ("/v1/moves/Finance/begin", "`Finance` is no name of a context"),
            ("/v1/moves/finance/%2e", "no step of a move"),
        ] {
            let mut parts = parts(&head());
            parts.uri = path.parse().unwrap();
            let found = read(&parts, &SYSTEM).unwrap_err().to_string();
            assert!(found.contains(expect), "{path}: {found}");
        }
        let mut twice = parts(&head());
        twice.headers.append(field::CHAIN, HeaderValue::from_static("finance"));
        assert!(read(&twice, &SYSTEM).unwrap_err().to_string().contains("there twice"));
    }
}
