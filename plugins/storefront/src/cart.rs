//! The cart: which albums and how many of each, kept in a cookie until somebody checks out.
//!
//! As text it is `SKU.copies~SKU.copies`: letters, digits and `-.~`, which every part of HTTP leaves alone. Invariant: at most
//! [`LINES_MAX`] lines, 1 to [`COPIES_MAX`] copies each, a SKU stands once. What a visitor made of the cookie by hand is dropped silently.

use std::fmt::{self, Write};

use crate::seams::ordering::Line;

/// As an order takes them.
pub const LINES_MAX: usize = 50;
pub const COPIES_MAX: u32 = 20;
/// Bytes of a SKU, as the contexts take them.
pub const SKU_BYTES_MAX: usize = 32;

/// Whether a SKU is possible: 1 to 32 capital letters, digits and hyphens. Of anything else nobody needs to be asked.
pub fn is_sku(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=SKU_BYTES_MAX).contains(&text.len()) && text.bytes().all(known)
}

/// What lies in it, in the order in which it was put there.
#[derive(Debug, Clone, Default)]
pub struct Cart {
    lines: Vec<Line>,
}

/// Why not all of it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// No more albums.
    Lines,
    /// No more copies of this album; those that fit were put in.
    Copies,
}

impl Cart {
    pub fn parse(text: &str) -> Cart {
        let mut cart = Cart::default();
        // A cookie is bounded by the host's limit on headers; lines beyond ours are not even looked at.
        for part in text.split('~').take(LINES_MAX) {
            let Some((sku, copies)) = part.split_once('.') else { continue };
            if let Ok(copies @ 1..=COPIES_MAX) = copies.parse()
                && cart.copies_of(sku) == 0
                && is_sku(sku)
            {
                cart.lines.push(Line { sku: sku.into(), copies });
            }
        }
        cart
    }

    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Of all albums together.
    pub fn copies(&self) -> u32 {
        self.lines.iter().map(|line| line.copies).sum()
    }

    pub fn copies_of(&self, sku: &str) -> u32 {
        self.lines.iter().find(|line| line.sku == sku).map_or(0, |line| line.copies)
    }

    /// Puts copies beside those that are there already. Nothing happens to a SKU that is none.
    pub fn add(&mut self, sku: &str, copies: u32) -> Result<(), Full> {
        let wanted = self.copies_of(sku).saturating_add(copies);
        self.set(sku, wanted)?;
        if wanted > COPIES_MAX { Err(Full::Copies) } else { Ok(()) }
    }

    /// From now on so many, as far as they fit; 0 takes the album out.
    pub fn set(&mut self, sku: &str, copies: u32) -> Result<(), Full> {
        if copies == 0 || !is_sku(sku) {
            self.lines.retain(|line| line.sku != sku);
            return Ok(());
        }
        let copies = copies.min(COPIES_MAX);
        if let Some(line) = self.lines.iter_mut().find(|line| line.sku == sku) {
            line.copies = copies;
        } else if self.lines.len() < LINES_MAX {
            self.lines.push(Line { sku: sku.into(), copies });
        } else {
            return Err(Full::Lines);
        }
        Ok(())
    }

    /// Takes out what was ordered; what somebody put in meanwhile stays.
    pub fn take(&mut self, ordered: &[Line]) {
        for line in ordered {
            let _ = self.set(&line.sku, self.copies_of(&line.sku).saturating_sub(line.copies));
        }
    }
}

impl fmt::Display for Cart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.lines.iter().enumerate() {
            if at > 0 {
                formatter.write_char('~')?;
            }
            write!(formatter, "{}.{}", line.sku, line.copies)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_makes_sense_is_taken_from_a_cookie() {
        let many: Vec<String> = (0..200).map(|number| format!("S-{number}.1")).collect();
        for (text, expected) in [
            ("", ""),
            ("A.1", "A.1"),
            ("MC-0001.2~MC-0002.20", "MC-0001.2~MC-0002.20"),
            ("A.1~A.2", "A.1"),
            ("A.0~B.21~C.-1~D.1.5~E.~F~.1~G.1", "G.1"),
            ("a.1~<b>.1~A B.1~A%20.1~\u{e9}.1", ""),
            ("A.99999999999999999999", ""),
            ("~~~~", ""),
            (&*"X".repeat(33), ""),
        ] {
            assert_eq!(Cart::parse(text).to_string(), expected, "{text}");
        }
        assert_eq!(Cart::parse(&many.join("~")).lines().len(), LINES_MAX);
    }

    #[test]
    fn copies_are_added_changed_and_taken() {
        let mut cart = Cart::parse("A.1");
        assert_eq!(cart.add("B", 2), Ok(()));
        assert_eq!(cart.add("A", 3), Ok(()));
        assert_eq!((cart.to_string(), cart.copies()), ("A.4~B.2".into(), 6));
        assert_eq!(cart.add("A", u32::MAX), Err(Full::Copies));
        assert_eq!(cart.copies_of("A"), COPIES_MAX);
        assert_eq!(cart.set("B", 0), Ok(()));
        assert_eq!(cart.add("not a sku", 1), Ok(()));
        cart.take(&Cart::parse("A.19~Z.1").lines);
        assert_eq!(cart.to_string(), "A.1");
        cart.take(&Cart::parse("A.20").lines);
        assert!(cart.is_empty());
    }

    #[test]
    fn a_full_cart_takes_no_other_album() {
        let mut cart = Cart::default();
        for number in 0..LINES_MAX {
            assert_eq!(cart.add(&format!("S-{number}"), 1), Ok(()));
        }
        assert_eq!(cart.add("ONE-MORE", 1), Err(Full::Lines));
        assert_eq!(cart.add("S-0", 1), Ok(()));
    }
}
