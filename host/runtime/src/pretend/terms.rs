//! What a pretended network does to the calls of an edge, and how an operator writes it:
//! `orders->finance latency=5ms jitter=2ms loss=1% duplicates=0.1% seed=7`.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::edges::Edges;
use crate::did_you_mean::nearest;
use crate::limits;

const KEYS: [&str; 5] = ["latency", "jitter", "loss", "duplicates", "seed"];
const EXAMPLE: &str = "'orders->finance' latency=5ms jitter=2ms loss=1% duplicates=0.1%";

/// What happens to the calls of an edge. Without anything, their values pass through the codec alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Terms {
    /// There and back together.
    pub latency: Duration,
    /// The latency of a call is at most so much shorter or longer.
    pub jitter: Duration,
    /// Of the calls, half lose their request and half their answer.
    pub loss: Share,
    /// The callee performs these twice.
    pub duplicates: Share,
}

/// A share of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Share {
    pub per_million: u32,
}

impl Share {
    pub const ALL: Self = Self { per_million: 1_000_000 };
}

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// From now on.
    Pretend { edges: Edges, terms: Terms, seed: Option<u64> },
    /// No longer.
    End { edges: Edges },
}

/// A text that is no order: where, why, and what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    pub text: String,
    /// The bytes of `text` that are wrong.
    pub at: Range<usize>,
    pub message: String,
    pub remedy: String,
}

impl Unreadable {
    /// The text with carets under what is wrong.
    pub fn excerpt(&self) -> String {
        let before = self.text.get(..self.at.start).unwrap_or_default().chars().count();
        let wrong = self.text.get(self.at.clone()).unwrap_or_default().chars().count().max(1);
        format!("{}\n{}{}", self.text, " ".repeat(before), "^".repeat(wrong))
    }
}

/// What is wrong with one word, and what to write.
type Wrong = (String, String);

/// Reads an order: an edge and what to pretend on it, an edge and `off`, or `off` alone.
///
/// # Errors
/// The first word that cannot be read.
pub fn parse(text: &str) -> Result<Order, Unreadable> {
    let fail = |at: Range<usize>, (message, remedy): Wrong| Unreadable { text: text.to_owned(), at, message, remedy };
    let mut words = words(text);
    let Some((at, first)) = words.next() else {
        return Err(fail(0..0, ("the edge is missing".to_owned(), format!("write {EXAMPLE}"))));
    };
    let edges = match first {
        "off" => Edges::default(),
        edge => Edges::parse(edge).map_err(|wrong| fail(at.clone(), wrong))?,
    };
    let mut rest = words.peekable();
    if first == "off" || rest.peek().is_some_and(|(_, word)| *word == "off") {
        let surplus = if first == "off" { rest.next() } else { rest.nth(1) };
        return match surplus {
            None => Ok(Order::End { edges }),
            Some((at, word)) => {
                let remedy = "write `EDGE off`, or `off` alone for all edges".to_owned();
                Err(fail(at, (format!("`{word}` follows `off`"), remedy)))
            }
        };
    }
    let (mut terms, mut seed, mut seen) = (Terms::default(), None, Vec::new());
    let mut last = at;
    for (at, word) in rest {
        let key = set(word, &mut terms, &mut seed).map_err(|wrong| fail(at.clone(), wrong))?;
        if seen.contains(&key) {
            return Err(fail(at, (format!("`{key}` stands there twice"), "keep one of the two".to_owned())));
        }
        seen.push(key);
        last = at;
    }
    if seen.iter().all(|key| *key == "seed") {
        let remedy = "write for example `latency=5ms loss=1%`, or `latency=0ms` for the codec alone".to_owned();
        return Err(fail(last, ("it does not say what to pretend".to_owned(), remedy)));
    }
    if terms.jitter > terms.latency {
        let remedy = "make `latency` at least as long as `jitter`".to_owned();
        return Err(fail(last, ("the jitter is longer than the latency".to_owned(), remedy)));
    }
    Ok(Order::Pretend { edges, terms, seed })
}

/// The words of a text, each with its place.
fn words(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let start = |word: &str| word.as_ptr().addr() - text.as_ptr().addr();
    text.split_whitespace().map(move |word| (start(word)..start(word) + word.len(), word))
}

/// Sets what `word` says, and returns its key.
fn set(word: &str, terms: &mut Terms, seed: &mut Option<u64>) -> Result<&'static str, Wrong> {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    let known = KEYS.into_iter().find(|known| *known == key).ok_or_else(|| {
        let near = nearest(key, KEYS).map(|near| format!("did you mean `{near}`?"));
        (format!("`{key}` cannot be pretended"), near.unwrap_or_else(|| format!("there are: {}", KEYS.join(", "))))
    })?;
    match known {
        "latency" => terms.latency = time(known, value)?,
        "jitter" => terms.jitter = time(known, value)?,
        "loss" => terms.loss = share(known, value)?,
        "duplicates" => terms.duplicates = share(known, value)?,
        _ => {
            let wrong = || (format!("`{value}` is no seed"), "write a whole number: `seed=7`".to_owned());
            *seed = Some(value.parse().map_err(|_| wrong())?);
        }
    }
    Ok(known)
}

fn time(key: &str, value: &str) -> Result<Duration, Wrong> {
    let most = Duration::from_millis(limits::PRETENDED_LATENCY_MS_MAX);
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let nanos: u64 = match unit {
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => 0,
    };
    let number = decimal(value.strip_suffix(unit).unwrap_or_default(), nanos).filter(|_| nanos > 0);
    let time = number.map(Duration::from_nanos).filter(|time| *time <= most);
    time.ok_or_else(|| {
        let remedy = format!("write a number with its unit, up to {} s: `{key}=5ms`", most.as_secs());
        (format!("`{value}` is no time for `{key}`"), remedy)
    })
}

fn share(key: &str, value: &str) -> Result<Share, Wrong> {
    let percent = value.strip_suffix('%').and_then(|number| decimal(number, 10_000));
    let share = percent.and_then(|n| u32::try_from(n).ok()).map(|per_million| Share { per_million });
    share.filter(|share| *share <= Share::ALL).ok_or_else(|| {
        let remedy = format!("write a percentage from 0 to 100, with at most 4 decimals: `{key}=1%`");
        (format!("`{value}` is no share of the calls for `{key}`"), remedy)
    })
}

/// A decimal number times `unit`, if that is a whole number.
fn decimal(text: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = fraction.parse::<u64>().ok()?.checked_mul(unit)?;
    let exact = parts.is_multiple_of(scale).then_some(parts / scale)?;
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(exact)
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.per_million) / 10_000.0)
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "latency={}", shown(self.latency))?;
        if !self.jitter.is_zero() {
            write!(f, " jitter={}", shown(self.jitter))?;
        }
        if self.loss > Share::default() {
            write!(f, " loss={}", self.loss)?;
        }
        if self.duplicates > Share::default() {
            write!(f, " duplicates={}", self.duplicates)?;
        }
        Ok(())
    }
}

fn shown(time: Duration) -> String {
    match time.as_nanos() {
        nanos if nanos > 0 && nanos < 1_000_000 => format!("{}us", nanos as f64 / 1e3),
        nanos => format!("{}ms", nanos as f64 / 1e6),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_is_shown() {
        for (text, shown) in [
            ("orders->finance latency=5ms jitter=2ms loss=1% duplicates=0.1%", None),
            ("*->finance latency=0ms loss=100%", None),
            ("orders->* latency=1.5ms", None),
            ("*->* latency=200us duplicates=0.0001%", None),
            ("  a->b   loss=12.5%  seed=18446744073709551615 ", Some("a->b latency=0ms loss=12.5%")),
            ("a->b latency=2s", Some("a->b latency=2000ms")),
        ] {
            let Order::Pretend { edges, terms, .. } = parse(text).unwrap() else { panic!("{text}") };
            assert_eq!(format!("{edges} {terms}"), shown.unwrap_or(text));
        }
        let Order::Pretend { seed, .. } = parse("a->b loss=1% seed=9").unwrap() else { panic!("a seed") };
        assert_eq!(seed, Some(9));
    }

    #[test]
    fn off_ends_one_edge_or_all() {
        assert_eq!(parse("a->b off"), Ok(Order::End { edges: Edges::parse("a->b").unwrap() }));
        assert_eq!(parse("off"), Ok(Order::End { edges: Edges::parse("*->*").unwrap() }));
    }

    #[test]
    fn what_cannot_be_read_is_shown_with_its_place_and_a_remedy() {
        for (text, wrong, message, remedy) in [
            ("", "", "the edge is missing", "write 'orders->finance'"),
            ("orders loss=1%", "orders", "`orders` is no edge", "write `CALLER->CALLEE`"),
            ("orders- loss=1%", "orders-", "`orders-` is no edge", "quote the edge"),
            ("a-> loss=1%", "a->", "`a->` is no edge", "write `CALLER->CALLEE`"),
            ("a->b->c loss=1%", "a->b->c", "`a->b->c` is no edge", "write `CALLER->CALLEE`"),
            ("a->b", "a->b", "it does not say what to pretend", "latency=5ms"),
            ("a->b seed=1", "seed=1", "it does not say what to pretend", "latency=5ms"),
            ("a->b latency=5", "latency=5", "`5` is no time for `latency`", "with its unit"),
            ("a->b latency=-5ms", "latency=-5ms", "`-5ms` is no time for `latency`", "with its unit"),
            ("a->b latency=61s", "latency=61s", "`61s` is no time for `latency`", "up to 60 s"),
            ("a->b latency=99999999999999999999s", "latency=99999999999999999999s", "is no time", "up to 60 s"),
            ("a->b loss=1", "loss=1", "`1` is no share of the calls for `loss`", "`loss=1%`"),
            ("a->b loss=101%", "loss=101%", "`101%` is no share", "from 0 to 100"),
            ("a->b loss=0.00001%", "loss=0.00001%", "is no share", "4 decimals"),
            ("a->b lost=1%", "lost=1%", "`lost` cannot be pretended", "did you mean `loss`?"),
            ("a->b colour=1%", "colour=1%", "`colour` cannot be pretended", "there are: latency"),
            ("a->b loss=1% loss=2%", "loss=2%", "`loss` stands there twice", "keep one"),
            ("a->b seed=x loss=1%", "seed=x", "`x` is no seed", "whole number"),
            ("a->b latency=1ms jitter=2ms", "jitter=2ms", "the jitter is longer", "at least as long"),
            ("a->b off now", "now", "`now` follows `off`", "`off` alone"),
            ("off a->b", "a->b", "`a->b` follows `off`", "`off` alone"),
        ] {
            let error = parse(text).expect_err(text);
            assert_eq!(error.text.get(error.at.clone()), Some(wrong), "{text}");
            assert!(error.message.contains(message) && error.remedy.contains(remedy), "{text}: {error:?}");
        }
        assert_eq!(parse("é->b lost=1%").unwrap_err().excerpt(), "é->b lost=1%\n     ^^^^^^^");
    }
}
