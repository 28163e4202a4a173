//! Whether each order that a buyer was given is there exactly once, as it was given, and no other one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

use crate::books::Books;

/// What was there before the first order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    orders: BTreeSet<String>,
    reserved: u64,
    /// In the ledger. Money of an order is held, and booked only when it is sent.
    entries: u64,
}

impl Before {
    /// What is in these books.
    pub fn of(books: &Books) -> Self {
        let orders = books.orders.keys().cloned().collect();
        Self { orders, reserved: books.tally.reserved, entries: books.entries }
    }
}

/// Compares `books` with the orders that buyers were given since, each of one copy, and with whether the page said that
/// it was placed. An order that was rejected because a context was away is another one when its form is sent again.
///
/// # Errors
/// With an order that is lost, that no buyer was given, or that was charged or reserved more or less than once.
pub fn check(before: &Before, books: &Books, answered: &BTreeMap<String, bool>) -> Result<()> {
    let (mut copies, mut of_none) = (0, Vec::new());
    for (number, order) in &books.orders {
        if before.orders.contains(number) {
            continue;
        }
        if order.state == "rejected" {
            let held = books.payments.get(number).filter(|payment| payment.stage == "authorised");
            ensure!(held.is_none(), "the order {number} is rejected, and {held:?}");
            continue;
        }
        ensure!(order.copies == 1, "the order {number} has {} copies", order.copies);
        copies += order.copies;
        if !answered.contains_key(number) {
            of_none.push(format!("{number} ({})", order.state));
        }
    }
    ensure!(of_none.is_empty(), "orders that no buyer was given, so a form was taken twice: {of_none:?}");
    for (number, placed) in answered {
        let order = books.orders.get(number).with_context(|| format!("the order {number} is lost"))?;
        ensure!(!placed || order.state == "placed", "the order {number}, which was placed, is {}", order.state);
        if order.state == "placed" {
            let payment = books.payments.get(number).with_context(|| format!("nothing is held for {number}"))?;
            ensure!(
                payment.amount == order.total && payment.refunded == 0,
                "{number} costs {} and {payment:?} is held",
                order.total
            );
        }
    }
    let reserved = books.tally.reserved.checked_sub(before.reserved).context("fewer copies are reserved")?;
    ensure!(reserved == copies, "{reserved} copies are reserved for {copies} that were ordered");
    let booked = books.entries.checked_sub(before.entries).context("entries are gone")?;
    ensure!(booked == 0, "{booked} entries were booked, and nothing was sent");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::books::{Order, Payment, Tally};

    fn books(orders: &[(&str, &str)]) -> Books {
        let order = |state: &str| Order {
            customer: "C".into(),
            state: state.into(),
            copies: 1,
            total: 1_995,
            returned_copies: 0,
            returned_price: 0,
        };
        let payment = Payment { stage: "authorised".into(), amount: 1_995, refunded: 0 };
        let held = orders.iter().filter(|(_, state)| *state != "rejected");
        let payments = held.map(|(number, _)| ((*number).to_owned(), payment.clone())).collect();
        let reserved = orders.iter().filter(|(_, state)| *state != "rejected").count() as u64;
        Books {
            orders: orders.iter().map(|(number, state)| ((*number).to_owned(), order(state))).collect(),
            payments,
            tally: Tally { on_hand: 100, reserved, shipped: 0, received: 100 },
            accounts: BTreeMap::new(),
            entries: 7,
        }
    }

    fn says(now: &Books, answered: &[(&str, bool)]) -> String {
        let answered = answered.iter().map(|(number, placed)| ((*number).to_owned(), *placed)).collect();
        check(&Before::of(&books(&[("1", "placed")])), now, &answered).err().map_or(String::new(), |e| e.to_string())
    }

    #[test]
    fn an_order_that_is_lost_doubled_or_charged_otherwise_is_noticed() {
        let good = books(&[("1", "placed"), ("2", "placed"), ("3", "rejected")]);
        assert_eq!(says(&good, &[("2", true), ("3", false)]), "");
        assert!(says(&good, &[("2", true), ("3", true)]).contains("which was placed, is rejected"));
        assert!(says(&good, &[("2", true), ("3", false), ("4", true)]).contains("4 is lost"));
        assert!(says(&good, &[("3", false)]).contains("[\"2 (placed)\"]"), "a form that was taken twice");
        let mut wrong = good.clone();
        wrong.tally.reserved += 1;
        assert!(says(&wrong, &[("2", true), ("3", false)]).contains("2 copies are reserved for 1"));
        let mut wrong = good.clone();
        wrong.payments.remove("2");
        assert!(says(&wrong, &[("2", true), ("3", false)]).contains("nothing is held for 2"));
        let mut wrong = good.clone();
        wrong.payments.insert("3".into(), wrong.payments["2"].clone());
        assert!(says(&wrong, &[("2", true)]).contains("3 is rejected, and"));
        let mut wrong = good.clone();
        wrong.entries += 1;
        assert!(says(&wrong, &[("2", true), ("3", false)]).contains("1 entries were booked"));
    }
}
