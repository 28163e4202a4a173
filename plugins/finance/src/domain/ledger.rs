//! The journal's entries: who owes whom after an invoice, a payment, a refund.
//!
//! Invariant: the lines of an entry sum to zero. The schema refuses an entry that does not.

use serde::Serialize;

use super::signed;
use crate::wit::Sale;

/// The order of the fields is that of the parameters in `store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub at: u64,
    pub order: String,
    pub text: String,
    pub currency: String,
    pub lines: Vec<Booking>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Account {
    /// What the processor owes us.
    CardClearing,
    /// What customers owe us; always with the customer.
    Receivable,
    Sales,
    Shipping,
    Refunds,
}

/// Account, customer, and the amount: a debit is positive, a credit negative. In JSON a list, as the schema's trigger
/// reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Booking(pub Account, pub Option<String>, pub i64);

/// The customer owes what was sold.
pub fn invoice(sale: &Sale, number: u32, at: u64) -> Entry {
    let (goods, shipping) = (signed(sale.goods()), i64::from(sale.shipping));
    let mut lines = vec![receivable(&sale.customer, goods + shipping)];
    for (account, amount) in [(Account::Sales, goods), (Account::Shipping, shipping)] {
        if amount != 0 {
            lines.push(Booking(account, None, -amount));
        }
    }
    entry(at, &sale.order, &sale.currency, format!("Invoice {number}"), lines)
}

/// The card has paid it.
pub fn payment(sale: &Sale, card: &str, at: u64) -> Entry {
    let total = signed(sale.total());
    let lines = vec![Booking(Account::CardClearing, None, total), receivable(&sale.customer, -total)];
    entry(at, &sale.order, &sale.currency, format!("Paid by card ending {card}"), lines)
}

/// The text of a refund's entry starts with this; the reason follows.
pub const REFUND: &str = "Refund: ";

/// Whose money goes back, and on which card.
#[derive(Debug, Clone, Copy)]
pub struct Refund<'a> {
    pub order: &'a str,
    pub customer: &'a str,
    pub currency: &'a str,
    pub card: &'a str,
    pub amount: u64,
    pub reason: &'a str,
    pub at: u64,
}

impl Refund<'_> {
    /// We owe the customer, and the card is given it.
    pub fn entries(&self) -> [Entry; 2] {
        let amount = signed(self.amount);
        let owed = vec![Booking(Account::Refunds, None, amount), receivable(self.customer, -amount)];
        let given = vec![receivable(self.customer, amount), Booking(Account::CardClearing, None, -amount)];
        [(format!("{REFUND}{}", self.reason), owed), (format!("Paid back to card ending {}", self.card), given)]
            .map(|(text, lines)| entry(self.at, self.order, self.currency, text, lines))
    }
}

fn receivable(customer: &str, amount: i64) -> Booking {
    Booking(Account::Receivable, Some(customer.into()), amount)
}

fn entry(at: u64, order: &str, currency: &str, text: String, lines: Vec<Booking>) -> Entry {
    Entry { at, order: order.into(), text, currency: currency.into(), lines }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wit::Line;

    fn sale(price: u32, shipping: u32) -> Sale {
        Sale {
            order: "7".into(),
            customer: "C-1".into(),
            lines: vec![Line { sku: "A".into(), quantity: 2, price }],
            shipping,
            currency: "GBP".into(),
        }
    }

    /// `account[:customer] amount`, joined.
    fn shown(entry: &Entry) -> String {
        assert_eq!(entry.lines.iter().map(|line| line.2).sum::<i64>(), 0, "{entry:?}");
        assert_eq!((entry.at, entry.order.as_str(), entry.currency.as_str()), (9, "7", "GBP"));
        let line = |Booking(account, customer, amount): &Booking| match customer {
            Some(customer) => format!("{account:?}:{customer} {amount}"),
            None => format!("{account:?} {amount}"),
        };
        format!("{} | {}", entry.text, entry.lines.iter().map(line).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn a_sale_is_invoiced_and_paid() {
        let invoiced = |price, shipping| shown(&invoice(&sale(price, shipping), 1_000_001, 9));
        assert_eq!(invoiced(100, 50), "Invoice 1000001 | Receivable:C-1 250, Sales -200, Shipping -50");
        assert_eq!(invoiced(100, 0), "Invoice 1000001 | Receivable:C-1 200, Sales -200");
        assert_eq!(invoiced(0, 50), "Invoice 1000001 | Receivable:C-1 50, Shipping -50");
        let paid = payment(&sale(100, 50), "4242", 9);
        assert_eq!(shown(&paid), "Paid by card ending 4242 | CardClearing 250, Receivable:C-1 -250");
    }

    #[test]
    fn a_refund_is_owed_and_given() {
        let refund = Refund {
            order: "7",
            customer: "C-1",
            currency: "GBP",
            card: "4242",
            amount: 80,
            reason: "Scratched",
            at: 9,
        };
        let [owed, given] = refund.entries();
        assert_eq!(shown(&owed), "Refund: Scratched | Refunds 80, Receivable:C-1 -80");
        assert_eq!(shown(&given), "Paid back to card ending 4242 | Receivable:C-1 80, CardClearing -80");
    }

    #[test]
    fn lines_are_json_as_the_schema_reads_them() {
        let json = serde_json::to_string(&payment(&sale(100, 50), "4242", 9).lines).unwrap_or_default();
        assert_eq!(json, r#"[["card-clearing",null,250],["receivable","C-1",-250]]"#);
    }
}
