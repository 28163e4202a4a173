//! What source and target of a move send each other. Pages are bytes, everything else is JSON.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::forecast::{Forecast, Way};

/// The steps, in their order. Each may be taken again.
pub mod step {
    /// `Begin` -> `Ready`.
    pub const BEGIN: &str = "begin";
    /// The next bytes of the component.
    pub const COMPONENT: &str = "component";
    /// `Pages` -> the SHA-256 of the pages as the copy has them now, 32 bytes.
    pub const PAGES: &str = "pages";
    /// Nothing -> `Vec<Sum>`.
    pub const COMPARE: &str = "compare";
    /// `Token`: what was sent is on the disk, and from now on the target asks what became of the move.
    pub const EXPECT: &str = "expect";
    /// `Pages`, the last ones, or none -> as `PAGES`. With them the copy is whole, and on the disk.
    pub const ARRIVE: &str = "arrive";
    /// `Token`: the file was handed over. The target serves the context when this returns.
    pub const ACTIVATE: &str = "activate";
    /// `Token`: the file was not and will not be handed over.
    pub const UNDO: &str = "undo";
    /// `Rehearse`: a file of its own, made for the rehearsal, is ready to be handed over. The steps of a rehearsal
    /// change nothing else; `REHEARSED` before the name of another one takes it with that file.
    pub const REHEARSE: &str = "rehearse";
    pub const REHEARSED: &str = "rehearsed-";
    /// `Probe` -> `Probed`. Changes nothing.
    pub const PROBE: &str = "probe";
    /// The bytes of a page, 4 bytes, and `Pages` -> `ProbedPages`. Changes nothing.
    pub const PROBE_PAGES: &str = "probe-pages";
    /// `Token` -> `Fate`. From the target to the source.
    pub const ASK: &str = "ask";
    /// Nothing -> `report::Moved`. From the target to the source: move it to the one that asks.
    pub const FETCH: &str = "fetch";
    /// `Token`: an operator has taken the context to the target, because the source was thought to be lost.
    pub const TAKEN: &str = "taken";
    /// Nothing -> `Prediction`. From the target to the source: of a move to the one that asks.
    pub const PREDICT: &str = "predict";
    /// Nothing -> what a standby needs in advance. From the standby to the owner.
    pub const OUTFIT: &str = "outfit";
    /// The next bytes of the component. From the standby to the owner.
    pub const PART: &str = "part";
    /// `Token`: the context lives on the host that says it.
    pub const HOME: &str = "home";
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begin {
    /// Of the owner that the target is to be.
    pub token: u64,
    /// See `Token`.
    #[serde(default)]
    pub attempt: u64,
    pub page_bytes: u32,
    /// Of the file and its log now: the target must have room for as many.
    #[serde(default)]
    pub file_bytes: u64,
    /// SHA-256 of the component that serves.
    pub component: String,
    pub component_bytes: u64,
    pub tolerated_schema: Option<u32>,
    /// Keys that the host has made for the file: `CONTEXT.seal`, `CONTEXT.key`. They travel over TLS alone.
    pub keys: Vec<Key>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub file: String,
    pub text: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.file)
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// Whether the target lacks the component.
    pub wants_component: bool,
}

/// Which move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Of the owner that the target is to be. A move that was undone leaves it to the next one.
    pub token: u64,
    /// Of this move alone, by chance: a message of an earlier one may still be under way.
    #[serde(default)]
    pub attempt: u64,
}

/// What a prediction asks the target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub file_bytes: u64,
    pub way: Way,
}

/// What the target knows for a prediction.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probed {
    /// The calls of its contexts that would not cross hosts any more.
    pub saved: Option<Forecast>,
    /// Why it would not take the context.
    pub refused: Vec<String>,
}

/// A pause that is rehearsed once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearse {
    /// Of all passes of this rehearsal, by chance.
    pub attempt: u64,
    pub page_bytes: u32,
}

/// What the target made of pages that were sent to measure how long that takes, in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbedPages {
    /// SHA-256 of the pages as they were read back.
    pub sum: [u8; 32],
    /// Writing them and reading them back.
    pub took_us: u64,
    /// Until they were on the disk.
    pub sync_us: u64,
}

/// One table of the copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    pub table: String,
    pub rows: u64,
    /// SHA-256 of all rows.
    pub sum: String,
}

/// What became of a move, as its source knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    HandedOver,
    Undone,
    /// It is under way.
    Open,
}

/// A page, with its number before it.
pub type Numbered<'m> = (u32, &'m [u8]);

/// Pages of the file: the attempt (8 bytes); the file's size in pages after them, or 0 if they say nothing of it; then
/// each page, with its number before it. Numbers are big-endian, 4 bytes; the first page is 1.
pub struct Pages(Vec<u8>);

/// The pages of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadPages<'m> {
    pub attempt: u64,
    pub file_pages: u32,
    pub pages: Vec<Numbered<'m>>,
}

impl Pages {
    pub fn new(attempt: u64, file_pages: u32) -> Self {
        let mut bytes = attempt.to_be_bytes().to_vec();
        bytes.extend_from_slice(&file_pages.to_be_bytes());
        Self(bytes)
    }

    pub fn push(&mut self, number: u32, page: &[u8]) {
        self.0.extend_from_slice(&number.to_be_bytes());
        self.0.extend_from_slice(page);
    }

    pub fn bytes(self) -> Vec<u8> {
        self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.len() <= 12
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// # Errors
    /// When the message has another length than its pages.
    pub fn read(page_bytes: usize, message: &[u8]) -> Result<ReadPages<'_>, String> {
        let unfit = || "the pages do not have the size that was said at the beginning".to_owned();
        let (attempt, rest) = message.split_first_chunk::<8>().ok_or_else(unfit)?;
        let (file_pages, rest) = rest.split_first_chunk::<4>().ok_or_else(unfit)?;
        let mut pages = Vec::new();
        let each = rest.chunks_exact(4 + page_bytes);
        if !each.remainder().is_empty() {
            return Err(unfit());
        }
        for page in each {
            let (number, page) = page.split_first_chunk::<4>().ok_or_else(unfit)?;
            match u32::from_be_bytes(*number) {
                0 => return Err("there is no page 0".to_owned()),
                number => pages.push((number, page)),
            }
        }
        let (attempt, file_pages) = (u64::from_be_bytes(*attempt), u32::from_be_bytes(*file_pages));
        Ok(ReadPages { attempt, file_pages, pages })
    }

    /// The SHA-256 of the pages of a message, without their numbers.
    pub fn digest(page_bytes: usize, message: &[u8]) -> Result<[u8; 32], String> {
        use sha2::{Digest as _, Sha256};
        let ReadPages { pages, .. } = Self::read(page_bytes, message)?;
        let mut sum = Sha256::new();
        pages.iter().for_each(|(_, page)| sum.update(page));
        Ok(sum.finalize().into())
    }
}

pub fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let unread = |error| format!("the message cannot be read: {error}: run the same version of `seam` on both hosts");
    serde_json::from_slice(bytes).map_err(unread)
}

pub fn json(value: &impl Serialize) -> Result<Bytes, String> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| error.to_string())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_as_they_were_written_and_a_cut_message_is_refused() {
        let mut pages = Pages::new(7, 9);
        pages.push(3, b"abcd");
        pages.push(1, b"efgh");
        let message = pages.bytes();
        let read = ReadPages { attempt: 7, file_pages: 9, pages: vec![(3, b"abcd"), (1, b"efgh")] };
        assert_eq!(Pages::read(4, &message).unwrap(), read);
        assert!(Pages::read(4, &message[..message.len() - 1]).is_err());
        assert!(Pages::read(8, &message).is_err() && Pages::read(4, &message[..11]).is_err());
        let mut none = Pages::new(7, 0);
        none.push(0, &[1, 2, 3, 4]);
        assert_eq!(Pages::read(4, &none.bytes()).unwrap_err(), "there is no page 0");
    }
}
