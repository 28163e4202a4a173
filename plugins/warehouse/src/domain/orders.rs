//! What may happen to an order's copies, and what is accepted as an order.

use std::collections::BTreeSet;

use seam_sdk::Invalid;

use super::{at_most, check_sku, wrong};
use crate::archive::PastOrder;
use crate::fulfilment::{Line, Stage};

/// Lines of one order.
pub const LINES_MAX: usize = 50;
/// Copies of one album in one order.
pub const COPIES_MAX: u32 = 1_000;
/// Length of an order's number.
pub const NUMBER_CHARS_MAX: usize = 32;
/// Length of a key.
pub const KEY_CHARS_MAX: usize = 64;
/// Length of the note of a restock.
pub const NOTE_CHARS_MAX: usize = 200;
/// Copies that come in at once.
pub const RESTOCK_MAX: u32 = 100_000;
/// Rows of a history or of a pick list.
pub const SHOWN_MAX: u32 = 200;
/// Past orders in one call.
pub const ARCHIVED_MAX: usize = 1_000;

/// The stage with this number in the file; `stage as u8` is the other way round.
pub fn stage(number: u8) -> Option<Stage> {
    let all = [Stage::Reserved, Stage::Cleared, Stage::Shipped, Stage::Released];
    all.into_iter().find(|stage| *stage as u8 == number)
}

/// What a caller asks for an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Reserve,
    Release,
    Clear,
    Ship,
    TakeBack,
}

/// What becomes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Do,
    /// It has happened before.
    Done,
    Unknown,
    Refuse(&'static str),
}

/// The table of all steps from all stages; `None`: the order is not known.
pub fn verdict(stage: Option<Stage>, step: Step) -> Verdict {
    use Stage::{Cleared, Released, Reserved, Shipped};
    use Verdict::{Do, Done, Refuse, Unknown};
    match (step, stage) {
        (Step::Reserve, None) => Do,
        (Step::Reserve, Some(Reserved | Cleared | Shipped)) => Done,
        (Step::Reserve, Some(Released)) => Refuse("it was released before"),
        // Releasing an unknown order leaves a mark: a reservation that is still on its way comes too late.
        (Step::Release, None | Some(Reserved | Cleared)) => Do,
        (Step::Release, Some(Released)) => Done,
        (Step::Release, Some(Shipped)) => Refuse("it has been shipped"),
        (Step::Clear | Step::Ship | Step::TakeBack, None) => Unknown,
        (Step::Clear, Some(Reserved)) => Do,
        (Step::Clear, Some(Cleared | Shipped)) => Done,
        (Step::Ship, Some(Cleared)) => Do,
        (Step::Ship, Some(Shipped)) => Done,
        (Step::Ship, Some(Reserved)) => Refuse("it has not been cleared"),
        (Step::Clear | Step::Ship | Step::TakeBack, Some(Released)) => Refuse("it has been released"),
        (Step::TakeBack, Some(Shipped)) => Do,
        (Step::TakeBack, Some(Reserved | Cleared)) => Refuse("it has not been shipped"),
    }
}

impl PastOrder {
    pub fn stage(&self) -> Stage {
        match (self.shipped, self.released) {
            (Some(_), _) => Stage::Shipped,
            (None, Some(_)) => Stage::Released,
            (None, None) => Stage::Cleared,
        }
    }

    /// How many copies of `sku` came back.
    pub fn returned_of(&self, sku: &str) -> u32 {
        self.returned.iter().find(|line| line.sku == sku).map_or(0, |line| line.copies)
    }
}

/// The number of an order.
pub fn check_order(order: &str) -> Result<(), Invalid> {
    check_name("order", order, NUMBER_CHARS_MAX)
}

/// The key of a change.
pub fn check_key(key: &str) -> Result<(), Invalid> {
    check_name("key", key, KEY_CHARS_MAX)
}

fn check_name(what: &str, name: &str, chars_max: usize) -> Result<(), Invalid> {
    let chars = name.chars().count();
    if chars == 0 || chars > chars_max || name.chars().any(char::is_control) {
        return Err(Invalid(format!("{what}: it needs 1 to {chars_max} characters without control characters")));
    }
    Ok(())
}

/// The lines of an order.
pub fn check_lines(lines: &[Line]) -> Result<(), Invalid> {
    if lines.is_empty() {
        return Err(Invalid("an order needs a line".into()));
    }
    at_most(LINES_MAX, lines.len(), "lines")?;
    let mut seen = BTreeSet::new();
    for (i, line) in lines.iter().enumerate() {
        check_sku(i, &line.sku)?;
        if line.copies == 0 || line.copies > COPIES_MAX {
            return Err(wrong(i, "copies", format_args!("{} does not lie between 1 and {COPIES_MAX}", line.copies)));
        }
        if !seen.insert(&line.sku) {
            return Err(wrong(i, "sku", format_args!("`{}` stands in the order already", line.sku)));
        }
    }
    Ok(())
}

/// Copies that come in.
pub fn check_restock(key: &str, sku: &str, copies: u32, note: &str) -> Result<(), Invalid> {
    check_key(key)?;
    check_sku(0, sku)?;
    if copies == 0 || copies > RESTOCK_MAX {
        return Err(Invalid(format!("copies: {copies} does not lie between 1 and {RESTOCK_MAX}")));
    }
    if note.chars().count() > NOTE_CHARS_MAX || note.chars().any(char::is_control) {
        return Err(Invalid(format!("note: it may have {NOTE_CHARS_MAX} characters, no control characters")));
    }
    Ok(())
}

/// How many rows a caller asks for.
pub fn check_count(count: u32) -> Result<(), Invalid> {
    match count {
        1..=SHOWN_MAX => Ok(()),
        _ => Err(Invalid(format!("count: {count} does not lie between 1 and {SHOWN_MAX}"))),
    }
}

/// Past orders: each sound in itself, and none twice.
pub fn check_past(orders: &[PastOrder]) -> Result<(), Invalid> {
    at_most(ARCHIVED_MAX, orders.len(), "orders")?;
    let mut seen = BTreeSet::new();
    for (i, order) in orders.iter().enumerate() {
        let row = |Invalid(why): Invalid| Invalid(format!("order {}: {why}", i + 1));
        check_order(&order.order).map_err(row)?;
        check_lines(&order.lines).map_err(row)?;
        if !seen.insert(&order.order) {
            return Err(row(Invalid(format!("`{}` stands in the list already", order.order))));
        }
        if order.shipped.is_some() && order.released.is_some() {
            return Err(row(Invalid("it is both shipped and released".into())));
        }
        if order.returned.is_empty() {
            continue;
        }
        check_lines(&order.returned).map_err(row)?;
        if order.shipped.is_none() {
            return Err(row(Invalid("it is returned and was never shipped".into())));
        }
        let sent = |line: &Line| order.lines.iter().any(|own| own.sku == line.sku && own.copies >= line.copies);
        if let Some(line) = order.returned.iter().find(|line| !sent(line)) {
            return Err(row(Invalid(format!("more copies of `{}` are returned than were shipped", line.sku))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_the_numbers_of_the_file() {
        for (number, expect) in
            [Stage::Reserved, Stage::Cleared, Stage::Shipped, Stage::Released].into_iter().enumerate()
        {
            assert_eq!((expect as usize, stage(number as u8)), (number, Some(expect)));
        }
        assert_eq!(stage(4), None);
    }

    #[test]
    fn every_step_from_every_stage() {
        use Stage::{Cleared, Released, Reserved, Shipped};
        use Verdict::{Do, Done, Unknown};
        let stages = [None, Some(Reserved), Some(Cleared), Some(Shipped), Some(Released)];
        let no = |verdict: Verdict| matches!(verdict, Verdict::Refuse(_));
        for (step, expect) in [
            (Step::Reserve, [Some(Do), Some(Done), Some(Done), Some(Done), None]),
            (Step::Release, [Some(Do), Some(Do), Some(Do), None, Some(Done)]),
            (Step::Clear, [Some(Unknown), Some(Do), Some(Done), Some(Done), None]),
            (Step::Ship, [Some(Unknown), None, Some(Do), Some(Done), None]),
            (Step::TakeBack, [Some(Unknown), None, None, Some(Do), None]),
        ] {
            for (stage, expect) in stages.into_iter().zip(expect) {
                let verdict = verdict(stage, step);
                match expect {
                    Some(expect) => assert_eq!(verdict, expect, "{step:?} from {stage:?}"),
                    None => assert!(no(verdict), "{step:?} from {stage:?}"),
                }
            }
        }
    }

    #[test]
    fn lines_are_bounded_and_named_by_their_row() {
        let line = |sku: &str, copies| Line { sku: sku.into(), copies };
        assert_eq!(check_lines(&[line("A", 1), line("B", COPIES_MAX)]), Ok(()));
        for (lines, why) in [
            (vec![], "an order needs a line"),
            (vec![line("A", 1), line("b", 1)], "row 2, sku: \"b\" is not 1 to 32 capital letters, digits and hyphens"),
            (vec![line("A", 0)], "row 1, copies: 0 does not lie between 1 and 1000"),
            (vec![line("A", 1), line("A", 1)], "row 2, sku: `A` stands in the order already"),
            ((0..51).map(|i| line(&format!("A{i}"), 1)).collect(), "51 lines in one call; 50 are allowed"),
        ] {
            assert_eq!(check_lines(&lines), Err(Invalid(why.into())));
        }
    }

    #[test]
    fn past_orders_are_sound_in_themselves() {
        let line = |copies| Line { sku: "A".into(), copies };
        let order = || PastOrder {
            order: "O-1".into(),
            at: 1,
            lines: vec![line(2)],
            shipped: Some(2),
            released: None,
            returned: vec![line(1)],
            returned_at: 3,
        };
        assert_eq!(check_past(&[order()]), Ok(()));
        for (broken, why) in [
            (PastOrder { returned: vec![line(3)], ..order() }, "more copies"),
            (PastOrder { shipped: None, ..order() }, "never shipped"),
            (PastOrder { released: Some(1), ..order() }, "both"),
            (PastOrder { order: String::new(), ..order() }, "order 1: order: "),
            (PastOrder { lines: vec![], ..order() }, "needs a line"),
        ] {
            let Err(Invalid(said)) = check_past(&[broken]) else { panic!("{why}") };
            assert!(said.contains(why), "{said}");
        }
        assert!(check_past(&[order(), order()]).is_err());
    }
}
