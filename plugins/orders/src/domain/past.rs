//! Orders made elsewhere, as a seed puts them: every problem names its row.

use std::collections::BTreeSet;

use super::{check, invalid, states};
use crate::archive::PastOrder;
use crate::wit::{Error, State};

/// Orders in one call.
pub const ORDERS_MAX: usize = 1_000;
/// Copies in a line; the shop may have sold in larger numbers once.
const COPIES_MAX: u32 = 1_000;
/// Rows of one order's history.
const EVENTS_MAX: usize = 20;
/// The last second of the year 9999.
const TIME_MAX: u64 = 253_402_300_799;
/// Numbers that the shop gives itself begin with it.
pub const OWN_NUMBERS: &str = "MC-";

pub fn check(orders: &[PastOrder]) -> Result<(), Error> {
    if orders.len() > ORDERS_MAX {
        return Err(invalid("orders", format_args!("{} in one call; {ORDERS_MAX} are allowed", orders.len())));
    }
    let mut seen = BTreeSet::new();
    for (i, order) in orders.iter().enumerate() {
        let twice = !seen.insert(&order.number);
        let checked = if twice { Err(invalid("number", "it stands there already")) } else { check_one(order) };
        checked.map_err(|error| match error {
            Error::Invalid(why) => Error::Invalid(format!("order {}, {why}", i + 1)),
            // Of an address only the field is named: messages reach logs.
            Error::Fields(problems) => {
                let fields: Vec<_> = problems.into_iter().map(|p| p.field).collect();
                Error::Invalid(format!("order {}, address: {}", i + 1, fields.join(", ")))
            }
            other => other,
        })?;
    }
    Ok(())
}

fn check_one(order: &PastOrder) -> Result<(), Error> {
    check::number(&order.number)?;
    if order.number.starts_with(OWN_NUMBERS) {
        return Err(invalid("number", format_args!("the shop itself gives those that begin with `{OWN_NUMBERS}`")));
    }
    check::customer(&order.customer)?;
    check::every_line(order.lines.iter().map(|line| (line.sku.as_str(), line.copies)), COPIES_MAX)?;
    // Countries that the shop shipped to once may have left its list.
    check::address(&order.address, None)?;
    let currency = order.currency.as_bytes();
    if currency.len() != 3 || !currency.iter().all(u8::is_ascii_uppercase) {
        return Err(invalid("currency", "it is not three capital letters, as GBP"));
    }
    if order.state == State::Placing {
        return Err(invalid("state", "an order in process is not a past one"));
    }
    let returning = matches!(order.state, State::ReturnRequested | State::Returned);
    if order.lines.iter().any(|line| line.returned > line.copies || (line.returned > 0 && !returning)) {
        return Err(invalid("lines", "more copies are returned than can be"));
    }
    if order.history.is_empty() || order.history.len() > EVENTS_MAX {
        return Err(invalid("history", format_args!("it needs 1 to {EVENTS_MAX} rows")));
    }
    for event in &order.history {
        check::note("history, note", &event.note)?;
    }
    if order.history.last().map(|event| event.state) != Some(order.state) {
        let state = states::name(order.state);
        return Err(invalid("history", format_args!("it does not end with the order's state `{state}`")));
    }
    if (returning || order.state == State::Shipped) && shipped_at(order).is_none() {
        return Err(invalid("history", "it does not say when the order was shipped"));
    }
    if std::iter::once(order.at).chain(order.history.iter().map(|event| event.at)).any(|at| at > TIME_MAX) {
        return Err(invalid("at", "after the year 9999"));
    }
    Ok(())
}

pub fn shipped_at(order: &PastOrder) -> Option<u64> {
    order.history.iter().find(|event| event.state == State::Shipped).map(|event| event.at)
}

/// Whether it counts as a purchase.
pub fn sold(order: &PastOrder) -> bool {
    !matches!(order.state, State::Placing | State::Rejected | State::Cancelled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wit::{Address, Event, PlacedLine};

    fn order(number: &str) -> PastOrder {
        let event = |at, state| Event { at, state, note: String::new() };
        PastOrder {
            number: number.into(),
            customer: "C-1".into(),
            state: State::Shipped,
            lines: vec![PlacedLine { sku: "A".into(), copies: 2, price: 999, returned: 0 }],
            shipping: 395,
            currency: "GBP".into(),
            address: Address {
                name: "Ann Lee".into(),
                street: "1 High Street".into(),
                extra: String::new(),
                city: "Leeds".into(),
                postcode: "LS1 1AA".into(),
                country: "GB".into(),
            },
            at: 10,
            history: vec![event(10, State::Placing), event(10, State::Placed), event(20, State::Shipped)],
        }
    }

    #[test]
    fn a_bad_order_is_named_with_its_row() {
        assert_eq!(check(&[order("D-1"), order("D-2")]), Ok(()));
        let wrong = |change: &dyn Fn(&mut PastOrder), expect: &str| {
            let mut orders = [order("D-1"), order("D-2")];
            change(&mut orders[1]);
            let Err(Error::Invalid(why)) = check(&orders) else { panic!("{expect} passed") };
            assert!(why.starts_with(&format!("order 2, {expect}")), "{why}");
        };
        wrong(&|o| o.number = "D-1".into(), "number: it stands there already");
        wrong(&|o| o.number = "MC-100001".into(), "number: the shop itself");
        wrong(&|o| o.number.clear(), "number: ");
        wrong(&|o| o.customer.clear(), "customer: ");
        wrong(&|o| o.lines.clear(), "lines: there are none");
        wrong(&|o| o.lines[0].sku = "a".into(), "row 1, sku: ");
        wrong(&|o| o.lines[0].returned = 1, "lines: more copies");
        wrong(&|o| o.currency = "gbp".into(), "currency: ");
        wrong(&|o| o.address.city.clear(), "address: city");
        wrong(&|o| o.state = State::Placing, "state: ");
        wrong(&|o| o.state = State::Returned, "history: it does not end");
        wrong(&|o| drop(o.history.remove(2)), "history: it does not end");
        wrong(&|o| o.history.clear(), "history: it needs");
        wrong(&|o| o.at = TIME_MAX + 1, "at: ");
        let many: Vec<_> = (0..=ORDERS_MAX).map(|i| order(&format!("D-{i}"))).collect();
        assert!(check(&many).is_err() && check(&many[1..]).is_ok());
    }
}
