//! Decides how far an order has come: most have the status that fits their age, a few are rejected, cancelled or
//! returned.

use crate::calendar::{DAY, END};
use crate::dice::Dice;
use crate::order::{Line, Status};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
/// Parcels leave between 9 and 17 o'clock.
const PARCELS: (u32, u32) = (9 * 3600, 17 * 3600);

/// Decides the status, and sets the returned copies in `lines`.
pub fn decide(dice: &mut Dice, ordered: u64, lines: &mut [Line]) -> Status {
    // Always the same number of random choices, so that one order's status does not change all later ones.
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
        0..2 if all_plenty && ordered + soon <= END => return Status::Rejected { at: ordered + soon },
        // Before the next morning's first parcels, because no order comes in after 23 o'clock.
        2..8 if all_plenty && ordered + while_open <= END => {
            return Status::Cancelled { at: ordered + while_open, by_shop };
        }
        _ => {}
    }
    if shipped > END {
        return Status::Placed;
    }
    if !(8..16).contains(&roll) || requested > END || !lines.iter().any(|line| line.plenty) {
        return Status::Shipped { at: shipped };
    }
    for line in lines.iter_mut().filter(|line| line.plenty).take(if some { 1 } else { usize::MAX }) {
        line.returned = line.copies;
    }
    if back > END {
        return Status::ReturnRequested { shipped, at: requested };
    }
    Status::Returned { shipped, requested, at: back.max(requested + HOUR) }
}

/// A moment in that day's working hours, or on Monday if the day is a Sunday.
fn parcel(day: u64, dice: &mut Dice) -> u64 {
    // The first day of 1970 was a Thursday.
    let sunday = (day + 4).is_multiple_of(7);
    (day + u64::from(sunday)) * DAY + u64::from(dice.between(PARCELS.0, PARCELS.1))
}
