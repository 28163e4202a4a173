//! What source and target of a move send each other. Pages are bytes, everything else is JSON.

use serde::{Deserialize, Serialize};

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
    /// `Token`: the copy is whole, on the disk, and waits for its owner.
    pub const ARRIVE: &str = "arrive";
    /// `Token`: the file was handed over. The target serves the context when this returns.
    pub const ACTIVATE: &str = "activate";
    /// `Token`: the file was not and will not be handed over.
    pub const UNDO: &str = "undo";
    /// `Token` -> `Fate`. From the target to the source.
    pub const ASK: &str = "ask";
    /// Nothing -> `report::Moved`. From the target to the source: move it to the one that asks.
    pub const FETCH: &str = "fetch";
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
    pub page_bytes: u32,
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

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub token: u64,
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

/// Pages of the file: its size in pages after them, or 0 if they say nothing of it; then each page, with its number
/// before it. Numbers are big-endian, 4 bytes; the first page is 1.
pub struct Pages(Vec<u8>);

impl Pages {
    pub fn new(file_pages: u32) -> Self {
        Self(file_pages.to_be_bytes().to_vec())
    }

    pub fn push(&mut self, number: u32, page: &[u8]) {
        self.0.extend_from_slice(&number.to_be_bytes());
        self.0.extend_from_slice(page);
    }

    pub fn bytes(self) -> Vec<u8> {
        self.0
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The size of the file, and each page with its number.
    ///
    /// # Errors
    /// When the message has another length than its pages.
    pub fn read(page_bytes: usize, message: &[u8]) -> Result<(u32, Vec<Numbered<'_>>), String> {
        let unfit = || "the pages do not have the size that was said at the beginning".to_owned();
        let (file_pages, rest) = message.split_first_chunk::<4>().ok_or_else(unfit)?;
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
        Ok((u32::from_be_bytes(*file_pages), pages))
    }

    /// The SHA-256 of the pages of a message, without their numbers.
    pub fn digest(page_bytes: usize, message: &[u8]) -> Result<[u8; 32], String> {
        use sha2::{Digest as _, Sha256};
        let (_, pages) = Self::read(page_bytes, message)?;
        let mut sum = Sha256::new();
        pages.iter().for_each(|(_, page)| sum.update(page));
        Ok(sum.finalize().into())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_as_they_were_written_and_a_cut_message_is_refused() {
        let mut pages = Pages::new(9);
        pages.push(3, b"abcd");
        pages.push(1, b"efgh");
        let message = pages.bytes();
        assert_eq!(Pages::read(4, &message).unwrap(), (9, vec![(3, b"abcd".as_slice()), (1, b"efgh".as_slice())]));
        assert!(Pages::read(4, &message[..message.len() - 1]).is_err());
        assert!(Pages::read(8, &message).is_err() && Pages::read(4, &message[..3]).is_err());
        assert_eq!(Pages::read(4, &[0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]).unwrap_err(), "there is no page 0");
    }
}
