//! What an order would cost.

use crate::domain::invalid;
use crate::musiccorp::catalog::albums::Album;
use crate::wit::{Error, Line, PricedLine, Quote, Shipping};

/// What finance takes in one payment, in minor units.
const TOTAL_MAX: u64 = 100_000_000;
/// Of a quote in which nothing is left that has a price.
const CURRENCY: &str = "GBP";

/// Where the manifest does not say otherwise.
pub const SHIPPING: Shipping = Shipping { fee: 395, free_from: 7_500 };

/// Prices checked lines with what the catalog knows of them.
pub fn quote(lines: &[Line], albums: Vec<Album>, post: Shipping) -> Result<Quote, Error> {
    let mut quote = Quote {
        lines: Vec::with_capacity(lines.len()),
        gone: Vec::new(),
        shipping: 0,
        total: 0,
        currency: albums.first().map_or_else(|| CURRENCY.into(), |album| album.price.currency.clone()),
    };
    for line in lines {
        let Some(album) = albums.iter().find(|album| album.sku == line.sku && !album.discontinued) else {
            quote.gone.push(line.sku.clone());
            continue;
        };
        if quote.lines.is_empty() {
            quote.currency.clone_from(&album.price.currency);
        } else if album.price.currency != quote.currency {
            let why = format!("`{}` costs {}, others {}", line.sku, album.price.currency, quote.currency);
            return Err(invalid("lines", why));
        }
        let price = album.price.minor_units;
        quote.total += u64::from(price) * u64::from(line.copies);
        quote.lines.push(PricedLine {
            sku: line.sku.clone(),
            artist: album.artist.clone(),
            title: album.title.clone(),
            copies: line.copies,
            price,
        });
    }
    if !quote.lines.is_empty() && quote.total < post.free_from {
        quote.shipping = post.fee;
        quote.total += u64::from(post.fee);
    }
    if quote.total > TOTAL_MAX {
        return Err(Error::Refused(
            "This is too much for one card payment. Please split it into several orders.".into(),
        ));
    }
    Ok(quote)
}

/// Whether the customer gets what they agreed to, and whether there is something to pay.
pub fn agreed(quote: Quote, total: u64) -> Result<Quote, Error> {
    if !quote.gone.is_empty() || quote.total != total {
        return Err(Error::Changed(quote));
    }
    match quote.total {
        0 => Err(Error::Refused("There is nothing to pay for in this order.".into())),
        _ => Ok(quote),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::musiccorp::catalog::albums::Money;

    fn album(sku: &str, price: u32, currency: &str) -> Album {
        Album {
            sku: sku.into(),
            artist: "Artist".into(),
            title: "Title".into(),
            year: 1999,
            genre: "Jazz".into(),
            label: "Label".into(),
            price: Money { minor_units: price, currency: currency.into() },
            notes: String::new(),
            discontinued: false,
        }
    }

    fn lines(lines: &[(&str, u32)]) -> Vec<Line> {
        lines.iter().map(|(sku, copies)| Line { sku: (*sku).into(), copies: *copies }).collect()
    }

    #[test]
    fn small_orders_pay_the_post() -> Result<(), Error> {
        let albums = || vec![album("A", 2_500, "GBP"), album("B", 2_499, "GBP")];
        for (asked, shipping, total) in [
            (lines(&[("A", 1), ("B", 2)]), 395, 7_498 + 395),
            (lines(&[("A", 3)]), 0, 7_500),
            (lines(&[("B", 1)]), 395, 2_499 + 395),
        ] {
            let quote = quote(&asked, albums(), SHIPPING)?;
            assert_eq!((quote.shipping, quote.total, quote.currency.as_str()), (shipping, total, "GBP"));
            assert_eq!(quote.lines.len(), asked.len());
            assert_eq!(agreed(quote.clone(), total), Ok(quote.clone()));
            assert_eq!(agreed(quote.clone(), total - 1), Err(Error::Changed(quote)));
        }
        Ok(())
    }

    #[test]
    fn what_is_not_sold_is_gone_and_not_paid() -> Result<(), Error> {
        let mut old = album("OLD", 900, "EUR");
        old.discontinued = true;
        let quote =
            quote(&lines(&[("OLD", 1), ("A", 1), ("NEVER", 1)]), vec![old.clone(), album("A", 100, "GBP")], SHIPPING)?;
        assert_eq!(quote.gone, ["OLD", "NEVER"]);
        assert_eq!((quote.total, quote.currency.as_str()), (495, "GBP"));
        assert!(matches!(agreed(quote, 495), Err(Error::Changed(_))));
        let nothing = super::quote(&lines(&[("OLD", 1)]), vec![old], SHIPPING)?;
        assert_eq!((nothing.shipping, nothing.total, nothing.currency.as_str()), (0, 0, "EUR"));
        Ok(())
    }

    #[test]
    fn one_order_has_one_currency_and_an_amount_that_a_card_can_pay() -> Result<(), Error> {
        let mixed = quote(&lines(&[("A", 1), ("B", 1)]), vec![album("A", 1, "GBP"), album("B", 1, "EUR")], SHIPPING);
        assert_eq!(mixed, Err(Error::Invalid("lines: `B` costs EUR, others GBP".into())));
        let free = Shipping { fee: 0, free_from: 0 };
        let asked = lines(&[("A", 20)]);
        assert!(matches!(agreed(quote(&asked, vec![album("A", 0, "GBP")], free)?, 0), Err(Error::Refused(_))));
        let most = || quote(&asked, vec![album("A", 5_000_000, "GBP")], free);
        assert_eq!(agreed(most()?, 100_000_000), most(), "the most that a card pays at once");
        let dear = quote(&asked, vec![album("A", 5_000_001, "GBP")], free);
        assert!(matches!(dear, Err(Error::Refused(_))), "the cart says so, before anything is typed: {dear:?}");
        Ok(())
    }
}
