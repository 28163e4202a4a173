//! The shapes of arguments: every text and every list has a bound, every message names its field.

use crate::wit::{Error, Line, Sale};

/// Orders in one question.
pub const ASKED_MAX: usize = 500;
/// Lines of a sale: an order has 50 at most, and the catalog is asked for all titles of an invoice at once.
pub const LINES_MAX: usize = 100;
/// 1,000,000.00 in most currencies.
pub const AMOUNT_MAX: u64 = 100_000_000;
const KEY_CHARS_MAX: usize = 64;
const ORDER_CHARS_MAX: usize = 32;
const CUSTOMER_CHARS_MAX: usize = 64;
const SKU_CHARS_MAX: usize = 32;
const QUANTITY_MAX: u32 = 1_000;
const REASON_CHARS_MAX: usize = 200;

pub fn key(key: &str) -> Result<(), Error> {
    text("key", key, KEY_CHARS_MAX)
}

pub fn order(order: &str) -> Result<(), Error> {
    text("order", order, ORDER_CHARS_MAX)
}

pub fn orders(orders: &[String]) -> Result<(), Error> {
    if orders.len() > ASKED_MAX {
        return Err(Error::Invalid(format!("{} orders in one call; {ASKED_MAX} are allowed", orders.len())));
    }
    orders.iter().enumerate().try_for_each(|(i, one)| order(one).map_err(|error| in_row(i, error)))
}

pub fn customer(customer: &str) -> Result<(), Error> {
    text("customer", customer, CUSTOMER_CHARS_MAX)
}

/// The account that gives money back.
pub fn giver(by: &str) -> Result<(), Error> {
    text("by", by, CUSTOMER_CHARS_MAX)
}

pub fn refund(amount: u64, reason: &str) -> Result<(), Error> {
    money("amount", amount)?;
    text("reason", reason, REASON_CHARS_MAX)
}

pub fn sale(sale: &Sale) -> Result<(), Error> {
    order(&sale.order)?;
    customer(&sale.customer)?;
    if sale.lines.is_empty() || sale.lines.len() > LINES_MAX {
        return wrong("lines", &format!("1 to {LINES_MAX} are allowed, not {}", sale.lines.len()));
    }
    for (i, Line { sku, quantity, .. }) in sale.lines.iter().enumerate() {
        // As the catalog takes them: it refuses a whole question for one that cannot be a SKU.
        let good = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
        if sku.is_empty() || sku.len() > SKU_CHARS_MAX || !sku.bytes().all(good) {
            let why = format!("not 1 to {SKU_CHARS_MAX} capital letters, digits and hyphens");
            return wrong(&format!("line {}, sku", i + 1), &why);
        }
        if *quantity == 0 || *quantity > QUANTITY_MAX {
            let why = format!("1 to {QUANTITY_MAX} are allowed, not {quantity}");
            return wrong(&format!("line {}, quantity", i + 1), &why);
        }
    }
    if sale.currency.len() != 3 || !sale.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return wrong("currency", "not three capital letters, as GBP");
    }
    money("total", sale.total())
}

/// Names the row of an error; `i` counts from 0, people count from 1.
pub fn in_row(i: usize, error: Error) -> Error {
    match error {
        Error::Invalid(why) => Error::Invalid(format!("row {}, {why}", i + 1)),
        other => other,
    }
}

pub fn wrong(field: &str, why: &str) -> Result<(), Error> {
    Err(Error::Invalid(format!("{field}: {why}")))
}

fn money(field: &str, amount: u64) -> Result<(), Error> {
    if amount == 0 || amount > AMOUNT_MAX {
        return wrong(field, &format!("more than 0 and at most {AMOUNT_MAX} minor units are allowed, not {amount}"));
    }
    Ok(())
}

fn text(field: &str, text: &str, chars_max: usize) -> Result<(), Error> {
    if text.trim().is_empty() {
        return wrong(field, "it is empty");
    }
    let chars = text.chars().count();
    if chars > chars_max {
        return wrong(field, &format!("1 to {chars_max} characters are allowed, not {chars}"));
    }
    match text.chars().position(unprintable) {
        Some(at) => wrong(field, &format!("character {} is a control character", at + 1)),
        None => Ok(()),
    }
}

/// Control characters, line breaks, and those that turn the direction of the text around them.
pub(super) fn unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn good() -> Sale {
        let line = |sku: &str, quantity, price| Line { sku: sku.into(), quantity, price };
        Sale {
            order: "1000123".into(),
            customer: "C-1".into(),
            lines: vec![line("A-1", 2, 1_299), line("B-2", 1, 0)],
            shipping: 395,
            currency: "GBP".into(),
        }
    }

    #[test]
    fn a_sale_is_as_much_as_its_lines_and_shipping() {
        assert_eq!(sale(&good()), Ok(()));
        assert_eq!((good().goods(), good().total()), (2_598, 2_993));
    }

    #[test]
    fn a_problem_of_a_sale_names_its_field() {
        let check = |change: &dyn Fn(&mut Sale), expect: &str| {
            let mut changed = good();
            change(&mut changed);
            assert_eq!(sale(&changed), Err(Error::Invalid(expect.into())));
        };
        check(&|s| s.order.clear(), "order: it is empty");
        check(&|s| s.order = "1".repeat(33), "order: 1 to 32 characters are allowed, not 33");
        check(&|s| s.order = "1\n2".into(), "order: character 2 is a control character");
        check(&|s| s.customer = " ".into(), "customer: it is empty");
        check(&|s| s.lines.clear(), "lines: 1 to 100 are allowed, not 0");
        check(&|s| s.lines = vec![good().lines[0].clone(); 101], "lines: 1 to 100 are allowed, not 101");
        let sku = "line 2, sku: not 1 to 32 capital letters, digits and hyphens";
        for bad in ["", "a-1", "A 1", "Ä"] {
            check(&|s| s.lines[1].sku = bad.into(), sku);
        }
        check(&|s| s.lines[1].sku = "A".repeat(33), sku);
        check(&|s| s.lines[1].quantity = 0, "line 2, quantity: 1 to 1000 are allowed, not 0");
        check(&|s| s.lines[0].quantity = 1_001, "line 1, quantity: 1 to 1000 are allowed, not 1001");
        for bad in ["", "gbp", "GBPX", "£"] {
            check(&|s| s.currency = bad.into(), "currency: not three capital letters, as GBP");
        }
        let total = |sum| format!("total: more than 0 and at most 100000000 minor units are allowed, not {sum}");
        check(&|s| s.shipping = 100_000_001 - 2_598, &total(100_000_001_u64));
        check(&|s| s.lines[0].price = u32::MAX, &total(2 * u64::from(u32::MAX) + 395));
        check(&|s| (s.lines, s.shipping) = (vec![good().lines[1].clone()], 0), &total(0));
    }

    #[test]
    fn keys_refunds_and_questions_are_bounded() {
        assert_eq!(key(&"é".repeat(64)), Ok(()));
        assert_eq!(key(""), Err(Error::Invalid("key: it is empty".into())));
        assert!(key(&"k".repeat(65)).is_err() && key("a\0").is_err() && key("\u{202e}x").is_err());
        assert_eq!(refund(1, "Scratched"), Ok(()));
        assert_eq!(refund(AMOUNT_MAX, &"x".repeat(200)), Ok(()));
        for (amount, reason) in [(0, "x"), (AMOUNT_MAX + 1, "x"), (1, ""), (1, "a\nb"), (1, &*"x".repeat(201))] {
            assert!(matches!(refund(amount, reason), Err(Error::Invalid(_))), "{amount} {reason}");
        }
        assert_eq!(orders(&vec!["1".into(); ASKED_MAX]), Ok(()));
        assert!(orders(&vec!["1".into(); ASKED_MAX + 1]).is_err());
        let why = "row 2, order: it is empty";
        assert_eq!(orders(&["1".into(), String::new()]), Err(Error::Invalid(why.into())));
    }
}
