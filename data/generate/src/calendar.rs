//! The two years in which the demo shop has been open; fixed, so that a seed always gives the same files.

pub const DAY: u64 = 86_400;
/// 2024-11-21, the shop's first day.
pub const FIRST_DAY: u64 = 20_048 * DAY;
pub const DAYS: u64 = 730;
/// 2026-11-20 at 18:00 UTC, the present of the demo shop: nothing happens later.
pub const END: u64 = FIRST_DAY + (DAYS - 1) * DAY + 18 * 3600;
