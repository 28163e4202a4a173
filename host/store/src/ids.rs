//! Names and numbers that identify contexts and requests. Each is a type of its own, so that they cannot be confused.

use std::fmt;
use std::sync::Arc;

/// The name of a bounded context as the manifest writes it: kebab case, at most 64 bytes. A variant of a context is a
/// context too; its name is both names joined by an `@`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextName(Arc<str>);

impl ContextName {
    /// `None` when `name` is over 64 bytes or not kebab case: `a-z`, `0-9`, single hyphens inside, a letter first.
    pub fn new(name: &str) -> Option<Self> {
        let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let kebab = name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('-').all(word);
        kebab.then(|| Self(name.into()))
    }

    /// The name of a variant of this context: `recommendation@js`. `None` when `variant` is not kebab case.
    pub fn with_variant(&self, variant: &str) -> Option<Self> {
        let named = Self::new(variant).filter(|_| self.variant().is_none());
        named.map(|variant| Self(format!("{self}@{variant}").into()))
    }

    /// The name of a context, or of a variant (`recommendation@js`). `None` when it is neither.
    pub fn parse(name: &str) -> Option<Self> {
        match name.split_once('@') {
            Some((context, variant)) => Self::new(context)?.with_variant(variant),
            None => Self::new(name),
        }
    }

    /// The names of the context and of the variant, if this is a variant.
    pub fn variant(&self) -> Option<(&str, &str)> {
        self.0.split_once('@')
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An interface's name without its version: `acme:orders/events` of `acme:orders/events@0.1.0`.
pub fn interface_path(name: &str) -> &str {
    name.split_once('@').map_or(name, |(path, _)| path)
}

impl std::borrow::Borrow<str> for ContextName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ContextName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Where one request is in a distributed trace (W3C Trace Context, version 00).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Follows the request through every context and host; never 0.
    pub trace_id: u128,
    /// The span that is running now; never 0.
    pub span_id: u64,
    /// Whether the client that started the trace records it.
    pub sampled: bool,
}

impl Trace {
    /// A trace that starts here.
    pub fn start() -> Self {
        Self { trace_id: rand::random::<u128>() | 1, span_id: rand::random::<u64>() | 1, sampled: false }
    }

    /// The next span of the same trace.
    pub fn child(self) -> Self {
        Self { span_id: rand::random::<u64>() | 1, ..self }
    }

    /// Reads a `traceparent` header; `None` when it is malformed, which the standard says to treat as absent.
    pub fn parse(header: &str) -> Option<Self> {
        let lower_hex = |s: &str| s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let mut parts = header.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let widths = version.len() == 2 && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
        let hex = [version, trace, span, flags].into_iter().all(lower_hex);
        if !widths || !hex || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let span_id = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        Some(Self { trace_id, span_id, sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1 })
    }
}

/// The `traceparent` header.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_names_are_kebab_case() {
        for good in ["catalog", "order-desk", "a1"] {
            assert!(ContextName::new(good).is_some(), "{good}");
        }
        for bad in ["", "Catalog", "a--b", "-a", "a-", "1a", "a_b", "a/b", "a@b", &"x".repeat(65)] {
            assert!(ContextName::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_variant_has_the_name_of_its_context_and_its_own() {
        let shop = ContextName::new("shop");
        let variant = shop.as_ref().and_then(|shop| shop.with_variant("js"));
        assert_eq!(variant.as_ref().map(ContextName::as_str), Some("shop@js"));
        assert_eq!(variant.as_ref().and_then(ContextName::variant), Some(("shop", "js")));
        assert_eq!(shop.as_ref().and_then(ContextName::variant), None);
        assert!(variant.and_then(|variant| variant.with_variant("b")).is_none());
        assert!(shop.and_then(|shop| shop.with_variant("a@b")).is_none());
    }

    #[test]
    fn traceparent_survives_a_round_trip_and_garbage_is_absent() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(Trace::parse(header).map(|t| t.to_string()).as_deref(), Some(header));
        for bad in [
            "",
            "00-4bf9-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(Trace::parse(bad), None, "{bad}");
        }
    }
}
