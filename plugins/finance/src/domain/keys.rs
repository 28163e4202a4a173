//! The fingerprint of a request under a key: enough to recognise the same request, useless to learn what it was.

use sha2::{Digest, Sha256};

use super::card::Typed;
use crate::wit::{Line, Sale};

pub fn authorise(sale: &Sale, card: &Typed) -> String {
    let [number, holder, expiry] = card.marks();
    Print::of("authorise").sale(sale).text(&number).text(&holder).text(&expiry).done()
}

pub fn authorise_kept(sale: &Sale, token: &str) -> String {
    Print::of("authorise-kept").sale(sale).text(token).done()
}

pub fn void(order: &str) -> String {
    Print::of("void").text(order).done()
}

pub fn capture(order: &str) -> String {
    Print::of("capture").text(order).done()
}

/// Without `by`, the fingerprint is that of the versions which did not know it.
pub fn refund(order: &str, amount: u64, reason: &str, by: Option<&str>) -> String {
    let print = Print::of("refund").text(order).number(amount).text(reason);
    by.into_iter().fold(print, Print::text).done()
}

/// SHA-256 of a function and its arguments, each text with its length, so that no two lists of arguments are the same
/// bytes.
struct Print(Sha256);

impl Print {
    fn of(function: &str) -> Self {
        Self(Sha256::new()).text(function)
    }

    fn sale(self, sale: &Sale) -> Self {
        let print = self.text(&sale.order).text(&sale.customer).text(&sale.currency);
        let print = print.number(sale.shipping.into()).number(sale.lines.len() as u64);
        let line =
            |print: Self, line: &Line| print.text(&line.sku).number(line.quantity.into()).number(line.price.into());
        sale.lines.iter().fold(print, line)
    }

    fn text(self, text: &str) -> Self {
        Self(self.number(text.len() as u64).0.chain_update(text))
    }

    fn number(self, number: u64) -> Self {
        Self(self.0.chain_update(number.to_le_bytes()))
    }

    fn done(self) -> String {
        hex::encode(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::wit::Card;

    fn sale() -> Sale {
        let line = |sku: &str| Line { sku: sku.into(), quantity: 1, price: 1_299 };
        Sale {
            order: "1".into(),
            customer: "C-1".into(),
            lines: vec![line("A"), line("B")],
            shipping: 395,
            currency: "GBP".into(),
        }
    }

    fn card() -> Typed {
        changed(|_| {})
    }

    fn changed(change: impl FnOnce(&mut Card)) -> Typed {
        let [number, holder, expiry, code] = ["4242 4242 4242 4242", "Anna", "11/23", "123"].map(String::from);
        let mut card = Card { number, holder, expiry, code };
        change(&mut card);
        Typed(card)
    }

    #[test]
    fn every_argument_is_in_the_fingerprint() {
        let mut prints = vec![authorise(&sale(), &card())];
        let changes: [&dyn Fn(&mut Sale); 9] = [
            &|s| s.order = "2".into(),
            &|s| s.customer = "C-2".into(),
            &|s| (s.order, s.customer) = ("1C".into(), "-1".into()),
            &|s| s.lines[0].sku = "C".into(),
            &|s| s.lines[1].quantity = 2,
            &|s| s.lines[1].price = 1,
            &|s| s.lines.truncate(1),
            &|s| s.shipping = 0,
            &|s| s.currency = "USD".into(),
        ];
        for change in changes {
            let mut changed = sale();
            change(&mut changed);
            prints.push(authorise(&changed, &card()));
        }
        prints.push(authorise(&sale(), &changed(|card| card.number = "4000000000000002".into())));
        prints.push(authorise(&sale(), &changed(|card| card.number = "5555555555554242".into())));
        prints.push(authorise(&sale(), &changed(|card| card.holder = "Bo".into())));
        prints.push(authorise(&sale(), &changed(|card| card.expiry = "12/23".into())));
        prints.extend([
            authorise_kept(&sale(), "t-1"),
            authorise_kept(&sale(), "t-2"),
            authorise_kept(&Sale { shipping: 0, ..sale() }, "t-1"),
            void("1"),
            void("2"),
            capture("1"),
            refund("1", 5, "x", None),
            refund("1", 6, "x", None),
            refund("1", 5, "y", None),
            refund("1", 5, "y", Some("C-1")),
        ]);
        assert_eq!(prints.iter().collect::<BTreeSet<_>>().len(), prints.len());
        assert!(prints.iter().all(|print| print.len() == 64));
    }

    #[test]
    fn the_same_card_typed_differently_is_the_same_and_its_code_is_not_kept() {
        let again = changed(|card| {
            card.number = "4242424242424242".into();
            card.holder = " Anna ".into();
            card.code = "9999".into();
        });
        assert_eq!(authorise(&sale(), &again), authorise(&sale(), &card()));
    }
}
