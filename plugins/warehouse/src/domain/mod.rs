//! What the warehouse accepts. Pure: no store, no host.

pub mod orders;

use std::collections::BTreeMap;

use seam_sdk::Invalid;

use crate::stock::Level;

/// SKUs in one call. A page shows 50; an order desk asks for a basket.
pub const ASKED_MAX: usize = 500;
/// Levels in one stocktake.
pub const STOCKTAKE_MAX: usize = 1_000;
/// Copies of one album. A higher number is a typing mistake.
pub const ON_HAND_MAX: u32 = 10_000_000;
/// Length of a SKU.
pub const SKU_CHARS_MAX: usize = 32;

/// Length of the id of an account.
pub const BY_CHARS_MAX: usize = 64;

/// Checks the account of the operator who changes the stock.
pub fn check_by(by: &str) -> Result<(), Invalid> {
    if !(1..=BY_CHARS_MAX).contains(&by.chars().count()) || by.chars().any(char::is_control) {
        return Err(Invalid(format!("by: it needs 1 to {BY_CHARS_MAX} characters, none of them a control character")));
    }
    Ok(())
}

/// Checks SKUs, row by row.
pub fn check_skus(skus: &[String]) -> Result<(), Invalid> {
    at_most(ASKED_MAX, skus.len(), "SKUs")?;
    skus.iter().enumerate().try_for_each(|(i, sku)| check_sku(i, sku))
}

/// Checks a stocktake: every level, and that no SKU was counted twice.
pub fn check_stocktake(levels: &[Level]) -> Result<(), Invalid> {
    at_most(STOCKTAKE_MAX, levels.len(), "levels")?;
    let mut first = BTreeMap::new();
    for (i, level) in levels.iter().enumerate() {
        check_sku(i, &level.sku)?;
        if level.on_hand > ON_HAND_MAX {
            return Err(wrong(i, "on-hand", format_args!("{} is over {ON_HAND_MAX}", level.on_hand)));
        }
        if let Some(other) = first.insert(&level.sku, i) {
            return Err(wrong(i, "sku", format_args!("`{}` stands in row {} already", level.sku, other + 1)));
        }
    }
    Ok(())
}

pub(crate) fn at_most(max: usize, count: usize, what: &str) -> Result<(), Invalid> {
    if count > max {
        return Err(Invalid(format!("{count} {what} in one call; {max} are allowed")));
    }
    Ok(())
}

pub(crate) fn check_sku(i: usize, sku: &str) -> Result<(), Invalid> {
    let good = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
    if sku.is_empty() || sku.len() > SKU_CHARS_MAX || !sku.bytes().all(good) {
        let shown: String = sku.chars().take(SKU_CHARS_MAX).collect();
        let why = format_args!("{shown:?} is not 1 to {SKU_CHARS_MAX} capital letters, digits and hyphens");
        return Err(wrong(i, "sku", why));
    }
    Ok(())
}

pub(crate) fn wrong(i: usize, field: &str, why: std::fmt::Arguments<'_>) -> Invalid {
    Invalid(format!("row {}, {field}: {why}", i + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(sku: &str, on_hand: u32) -> Level {
        Level { sku: sku.into(), on_hand }
    }

    #[test]
    fn good_skus_pass() {
        assert_eq!(check_skus(&[]), Ok(()));
        assert_eq!(check_skus(&["A".into(), "KOB-1959".into(), "X".repeat(SKU_CHARS_MAX)]), Ok(()));
    }

    #[test]
    fn a_bad_sku_is_named_with_its_row() {
        for bad in ["", "kob-1", "A 1", "A_1", "É", "A\n", "'; DROP TABLE levels", &"X".repeat(SKU_CHARS_MAX + 1)] {
            let Err(Invalid(why)) = check_skus(&["A-1".into(), bad.into()]) else { panic!("{bad:?} passed") };
            assert!(why.starts_with("row 2, sku: "), "{why}");
            assert!(why.len() < 200, "{why}");
        }
    }

    #[test]
    fn a_list_over_its_bound_is_refused() {
        let skus = vec!["A".to_string(); ASKED_MAX + 1];
        assert_eq!(check_skus(&skus), Err(Invalid("501 SKUs in one call; 500 are allowed".into())));
        assert_eq!(check_skus(&skus[1..]), Ok(()));
        let levels: Vec<_> = (0..=STOCKTAKE_MAX).map(|i| level(&format!("A{i}"), 1)).collect();
        assert_eq!(check_stocktake(&levels), Err(Invalid("1001 levels in one call; 1000 are allowed".into())));
        assert_eq!(check_stocktake(&levels[1..]), Ok(()));
    }

    #[test]
    fn a_level_is_bounded_and_counted_once() {
        assert_eq!(check_stocktake(&[level("A", ON_HAND_MAX), level("B", 0)]), Ok(()));
        assert_eq!(
            check_stocktake(&[level("A", ON_HAND_MAX + 1)]),
            Err(Invalid("row 1, on-hand: 10000001 is over 10000000".into()))
        );
        assert_eq!(
            check_stocktake(&[level("A", 1), level("B", 1), level("A", 1)]),
            Err(Invalid("row 3, sku: `A` stands in row 1 already".into()))
        );
    }
}
