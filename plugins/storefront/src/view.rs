//! What the templates show of an album: its card, its cover's version, its stock.

use std::fmt::{self, Write};

use askama::filters::HtmlSafe;
use askama::{FastWritable, Values};

use crate::cover::{self, Version};
use crate::href::Encoded;
use crate::money::Price;
use crate::reference::Currencies;
use crate::seams::{Album, Level};

/// Up to this number, the page says how many copies are left.
const FEW: u32 = 3;

/// Whether an album can be bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    Plenty,
    Few(u32),
    None,
    /// The warehouse did not answer.
    Unknown,
    /// Discontinued.
    Gone,
}

impl Stock {
    pub fn of(on_hand: u32) -> Stock {
        match on_hand {
            0 => Stock::None,
            few if few <= FEW => Stock::Few(few),
            _ => Stock::Plenty,
        }
    }

    /// The CSS class of its dot.
    pub fn class(&self) -> &'static str {
        match self {
            Stock::Plenty => "in",
            Stock::Few(_) => "few",
            Stock::None => "out",
            Stock::Unknown => "unknown",
            Stock::Gone => "gone",
        }
    }

    /// Whether a card mentions it. Cards do not mention "in stock".
    pub fn notable(&self) -> bool {
        matches!(self, Stock::Few(_) | Stock::None | Stock::Gone)
    }

    fn write(&self, out: &mut dyn Write) -> fmt::Result {
        match self {
            Stock::Plenty => out.write_str("In stock"),
            Stock::Few(few) => {
                out.write_str("Only ")?;
                out.write_char(char::from(b'0' + (*few).min(9) as u8))?;
                out.write_str(" left")
            }
            Stock::None => out.write_str("Sold out"),
            Stock::Unknown => out.write_str("Availability unknown"),
            Stock::Gone => out.write_str("No longer sold"),
        }
    }
}

impl fmt::Display for Stock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(formatter)
    }
}

impl FastWritable for Stock {
    fn write_into(&self, out: &mut dyn Write, _: &dyn Values) -> askama::Result<()> {
        Ok(self.write(out)?)
    }
}

/// Fixed texts and a digit.
impl HtmlSafe for Stock {}

/// An album with its stock and price.
#[derive(Debug, Clone, Copy)]
pub struct Card<'a> {
    pub album: &'a Album,
    pub stock: Stock,
    pub price: Price<'a>,
}

impl<'a> Card<'a> {
    /// The SKU as part of an address.
    pub fn sku(&self) -> Encoded<'a> {
        Encoded(&self.album.sku)
    }

    /// Whether it can go into the cart. While the warehouse is away, it can.
    pub fn for_sale(&self) -> bool {
        !matches!(self.stock, Stock::None | Stock::Gone)
    }

    pub fn cover(&self) -> Version {
        cover::version(self.album)
    }
}

/// The cards of albums; `levels` is the warehouse's answer for the same SKUs, if it answered.
pub fn cards<'a>(albums: &'a [Album], levels: Option<&[Level]>, currencies: &'a Currencies) -> Vec<Card<'a>> {
    let card = |(at, album): (usize, &'a Album)| Card {
        album,
        stock: stock(album, at, levels),
        price: currencies.of_album(&album.price),
    };
    albums.iter().enumerate().map(card).collect()
}

fn stock(album: &Album, at: usize, levels: Option<&[Level]>) -> Stock {
    if album.discontinued {
        return Stock::Gone;
    }
    let Some(levels) = levels else { return Stock::Unknown };
    // The warehouse answers in the order asked; other orders are read correctly, too.
    let level = levels.get(at).filter(|level| level.sku == album.sku);
    match level.or_else(|| levels.iter().find(|level| level.sku == album.sku)) {
        Some(level) => Stock::of(level.on_hand),
        None => Stock::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::album;

    #[test]
    fn stock_says_how_many_only_when_few() {
        for (on_hand, text) in
            [(0, "Sold out"), (1, "Only 1 left"), (3, "Only 3 left"), (4, "In stock"), (u32::MAX, "In stock")]
        {
            assert_eq!(Stock::of(on_hand).to_string(), text);
        }
    }

    #[test]
    fn levels_are_matched_by_sku_whatever_their_order() {
        let albums = [album("A"), album("B"), album("C")];
        let levels = [Level { sku: "B".into(), on_hand: 9 }, Level { sku: "A".into(), on_hand: 0 }];
        let none = Currencies::default();
        let stocks: Vec<Stock> = cards(&albums, Some(&levels), &none).iter().map(|card| card.stock).collect();
        assert_eq!(stocks, [Stock::None, Stock::Plenty, Stock::Unknown]);
        assert!(cards(&albums, None, &none).iter().all(|card| card.stock == Stock::Unknown));
    }

    #[test]
    fn a_discontinued_album_is_not_sold_even_if_copies_are_left() {
        let albums = [Album { discontinued: true, ..album("A") }];
        let levels = [Level { sku: "A".into(), on_hand: 9 }];
        assert_eq!(cards(&albums, Some(&levels), &Currencies::default())[0].stock, Stock::Gone);
    }
}
