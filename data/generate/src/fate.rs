//! What became of an order: how far its age lets it have come, and which few went another way.

use crate::calendar::{DAY, END};
use crate::dice::Dice;
use crate::order::{Fate, Line};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
/// The parcels leave between 9 and 17 o'clock.
const PARCELS: (u32, u32) = (9 * 3600, 17 * 3600);

/// Decides, and marks the copies that go back in `lines`.
pub fn decide(dice: &mut Dice, ordered: u64, lines: &mut [Line]) -> Fate {
    // The same number of throws whatever comes out, so that one order's fate does not shift all others.
    let roll = dice.below(100);
    let soon = u64::from(dice.between(2, 5));
    let while_open = MINUTE * u64::from(dice.between(4, 8 * 60));
    let by_shop = dice.percent(15);
    let shipped = parcel(ordered / DAY + u64::from(dice.between(1, 3)), dice);
    let requested = shipped + DAY * u64::from(dice.between(3, 35)) + u64::from(dice.between(0, 12 * 3600));
    let back = parcel(requested / DAY + u64::from(dice.between(3, 12)), dice);
    let some = dice.percent(40);

    let all_plenty = lines.iter().all(|line| line.plenty);
    match roll {
        0..2 if all_plenty && ordered + soon <= END => return Fate::Rejected { at: ordered + soon },
        // Before the first parcels of the next morning, as nobody orders after 23 o'clock.
        2..8 if all_plenty && ordered + while_open <= END => {
            return Fate::Cancelled { at: ordered + while_open, by_shop };
        }
        _ => {}
    }
    if shipped > END {
        return Fate::Placed;
    }
    if !(8..16).contains(&roll) || requested > END || !lines.iter().any(|line| line.plenty) {
        return Fate::Shipped { at: shipped };
    }
    for line in lines.iter_mut().filter(|line| line.plenty).take(if some { 1 } else { usize::MAX }) {
        line.returned = line.copies;
    }
    if back > END {
        return Fate::ReturnRequested { shipped, at: requested };
    }
    Fate::Returned { shipped, requested, at: back.max(requested + HOUR) }
}

/// A working hour of that day; on Sundays nobody packs.
fn parcel(day: u64, dice: &mut Dice) -> u64 {
    // The first day of 1970 was a Thursday.
    let sunday = (day + 4).is_multiple_of(7);
    (day + u64::from(sunday)) * DAY + u64::from(dice.between(PARCELS.0, PARCELS.1))
}
