//! What several templates of the office show: times, states of orders, titles.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use askama::filters::HtmlSafe;
use askama::{FastWritable, Values};

use crate::seams::ordering::State;
use crate::seams::{Album, CallError, Seams};
use crate::time::{Machine, Moment};

/// A moment as a `<time>` element.
#[derive(Debug, Clone, Copy)]
pub struct When(pub u64);

impl FastWritable for When {
    fn write_into(&self, out: &mut dyn fmt::Write, _: &dyn Values) -> askama::Result<()> {
        Ok(write!(out, "<time datetime=\"{}\">{}</time>", Machine(self.0), Moment(self.0))?)
    }
}

impl fmt::Display for When {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "<time datetime=\"{}\">{}</time>", Machine(self.0), Moment(self.0))
    }
}

/// Digits, names of months and our own markup.
impl HtmlSafe for When {}

/// The states, most important first, each with its name in an address and its label.
pub const STATES: [(State, &str, &str); 7] = [
    (State::Placed, "placed", "To be shipped"),
    (State::ReturnRequested, "return-requested", "Coming back"),
    (State::Shipped, "shipped", "Shipped"),
    (State::Returned, "returned", "Returned"),
    (State::Cancelled, "cancelled", "Cancelled"),
    (State::Rejected, "rejected", "Rejected"),
    (State::Placing, "placing", "Being placed"),
];

pub fn state_named(name: &str) -> Option<State> {
    STATES.iter().find(|(_, known, _)| *known == name).map(|(state, _, _)| *state)
}

pub fn state_name(state: State) -> &'static str {
    STATES.iter().find(|(known, _, _)| *known == state).map_or("", |(_, name, _)| name)
}

pub fn state_label(state: State) -> &'static str {
    STATES.iter().find(|(known, _, _)| *known == state).map_or("", |(_, _, label)| label)
}

/// The catalog's bound on SKUs in one call.
const TITLES_MAX: usize = 500;

/// Albums by SKU; `None` while the catalog is away.
#[derive(Debug)]
pub struct Titles(Option<Vec<Album>>);

impl Titles {
    /// Calls the catalog once. Albums beyond its bound have no title.
    pub fn of<'s>(skus: impl Iterator<Item = &'s str>, seams: &impl Seams) -> Titles {
        let skus: BTreeSet<&str> = skus.collect();
        let skus: Vec<&str> = skus.into_iter().take(TITLES_MAX).collect();
        if skus.is_empty() {
            return Titles(Some(Vec::new()));
        }
        match seams.albums(&skus) {
            Ok(albums) => Titles(Some(albums)),
            Err(CallError::Unavailable | CallError::Invalid) => Titles(None),
        }
    }

    /// Artist and title, or the reason why they are missing.
    pub fn artist_and_title(&self, sku: &str) -> (&str, &str) {
        match &self.0 {
            None => ("", "The catalogue does not answer"),
            Some(albums) => match albums.iter().find(|album| album.sku == sku) {
                Some(album) => (&album.artist, &album.title),
                None => ("", "Not in the catalogue"),
            },
        }
    }
}

/// Names that one call brings.
const NAMES_MAX: usize = 500;

/// The names of accounts, without those that are unknown, or that cannot be asked for now.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// Calls `customer` once for every 500 ids. Empty ids have no name.
    pub fn of<'s>(ids: impl Iterator<Item = &'s str>, seams: &impl Seams) -> Names {
        let ids: BTreeSet<&str> = ids.filter(|id| !id.is_empty()).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut known = BTreeMap::new();
        for ids in ids.chunks(NAMES_MAX) {
            let Ok(names) = seams.names(ids) else { break };
            known.extend(ids.iter().zip(names).filter_map(|(id, name)| Some(((*id).to_owned(), name?))));
        }
        Names(known)
    }

    pub fn one(id: &str, name: &str) -> Names {
        Names(BTreeMap::from([(id.to_owned(), name.to_owned())]))
    }

    /// The name of an account, or none.
    pub fn known(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }

    /// The name of an account, or its id.
    pub fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.known(id).unwrap_or(id)
    }
}

/// Whether a text can be a number such as `D-000123` or `MC-100001`: 1 to 32 letters, digits and hyphens. Other texts
/// need no call.
pub fn is_number(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_name_and_a_label() {
        for (state, name, label) in STATES {
            assert_eq!((state_named(name), state_name(state), state_label(state)), (Some(state), name, label));
        }
        assert_eq!(state_named("nonsense"), None);
    }

    #[test]
    fn numbers_of_orders_are_letters_digits_and_hyphens() {
        for (text, is) in
            [("D-000001", true), ("MC-100001", true), ("", false), ("a/b", false), ("a b", false), ("\u{e9}", false)]
        {
            assert_eq!(is_number(text), is, "{text}");
        }
        assert!(!is_number(&"1".repeat(33)));
    }
}
