//! The cart: which albums and how many of each, kept in a cookie until the visitor checks out.
//!
//! As text it is `VERSION~SKU.copies~SKU.copies`: letters, digits and `-.~`, which need no encoding in HTTP. Invariant:
//! at most [`LINES_MAX`] lines of 1 to [`COPIES_MAX`] copies, each SKU once. `parse` drops everything else silently.
//!
//! The version is a random key that is new after each change of the cart and after each attempt to order it. It ties a
//! checkout form to the cart that the form was made from, and it is the key of the order. So two forms of one cart, in
//! two tabs, place one order.

use std::fmt::{self, Write};

use crate::key::is_key;
use crate::seams::ordering::Line;

/// The bounds of an order.
pub const LINES_MAX: usize = 50;
pub const COPIES_MAX: u32 = 20;
/// Bytes of a SKU, as in the contexts' interfaces.
pub const SKU_BYTES_MAX: usize = 32;

/// Whether a text can be a SKU: 1 to 32 capital letters, digits and hyphens. Other texts need no question to a context.
pub fn is_sku(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=SKU_BYTES_MAX).contains(&text.len()) && text.bytes().all(known)
}

/// The lines, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Cart {
    lines: Vec<Line>,
    version: Option<String>,
}

/// Which bound of the cart was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CartLimit {
    /// The cart takes no other album.
    Lines,
    /// No more copies of this album. Those that fit were added.
    Copies,
}

impl Cart {
    pub fn parse(text: &str) -> Cart {
        let mut cart = Cart::default();
        let first = text.split('~').next().filter(|first| is_key(first));
        cart.version = first.map(Into::into);
        // The host bounds the size of headers; lines beyond `LINES_MAX` are ignored.
        for part in text.split('~').skip(usize::from(first.is_some())).take(LINES_MAX) {
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

    /// None of a cart that was kept before carts had versions.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
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

    /// Adds copies to those that are there already. A text that is no SKU changes nothing.
    pub fn add(&mut self, sku: &str, copies: u32) -> Result<(), CartLimit> {
        let wanted = self.copies_of(sku).saturating_add(copies);
        self.set(sku, wanted)?;
        if wanted > COPIES_MAX { Err(CartLimit::Copies) } else { Ok(()) }
    }

    /// Sets the number of copies, at most `COPIES_MAX`. 0 removes the album.
    pub fn set(&mut self, sku: &str, copies: u32) -> Result<(), CartLimit> {
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
            return Err(CartLimit::Lines);
        }
        Ok(())
    }

    /// Removes what was ordered. Copies that were added meanwhile stay.
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
    fn parse_keeps_only_valid_lines_of_a_cookie() {
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
    fn a_cart_has_the_version_that_stands_before_its_lines() {
        let version = "0123456789abcdef".repeat(2);
        let cart = Cart::parse(&format!("{version}~A.1~B.2"));
        assert_eq!((cart.version(), cart.to_string()), (Some(&*version), "A.1~B.2".into()));
        let full: Vec<String> = (0..LINES_MAX).map(|number| format!("S-{number}.1")).collect();
        assert_eq!(Cart::parse(&format!("{version}~{}", full.join("~"))).lines().len(), LINES_MAX);
        for text in ["A.1", "~A.1", "0123~A.1", &format!("A.1~{version}")] {
            let cart = Cart::parse(text);
            assert_eq!((cart.version(), cart.to_string()), (None, "A.1".into()), "{text}");
        }
    }

    #[test]
    fn copies_are_added_changed_and_taken() {
        let mut cart = Cart::parse("A.1");
        assert_eq!(cart.add("B", 2), Ok(()));
        assert_eq!(cart.add("A", 3), Ok(()));
        assert_eq!((cart.to_string(), cart.copies()), ("A.4~B.2".into(), 6));
        assert_eq!(cart.add("A", u32::MAX), Err(CartLimit::Copies));
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
        assert_eq!(cart.add("ONE-MORE", 1), Err(CartLimit::Lines));
        assert_eq!(cart.add("S-0", 1), Ok(()));
    }
}
