//! From purchases to counts.

use std::collections::{BTreeMap, BTreeSet};

use seam_sdk::Invalid;

use super::{at_most, check_sku};
use crate::engine::Purchase;

/// Purchases in one call.
const PURCHASES_MAX: usize = 1_000;
/// Albums in one purchase: pairs grow with its square.
const SKUS_MAX: usize = 50;
/// Pairs in one call, each counted once. 1,000 purchases of ten albums have 45,000; storing this many takes about a
/// second and 8 MB.
const PAIRS_MAX: usize = 50_000;
/// Length of a purchase's id.
const ID_CHARS_MAX: usize = 64;

/// How often albums and pairs of them occur in a number of purchases.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts<'a> {
    pub items: BTreeMap<&'a str, u32>,
    /// Both ways round: (a, b) and (b, a).
    pub pairs: BTreeMap<(&'a str, &'a str), u32>,
}

/// Checks purchases and returns them with each SKU once, and each purchase once, the first time it stands in the list.
pub fn check_purchases(purchases: Vec<Purchase>) -> Result<Vec<Purchase>, Invalid> {
    at_most(PURCHASES_MAX, purchases.len(), "purchases in one call")?;
    let mut ids = BTreeSet::new();
    let mut pairs = 0;
    let mut checked = Vec::with_capacity(purchases.len());
    for (i, mut purchase) in purchases.into_iter().enumerate() {
        let row = i + 1;
        let id = &purchase.id;
        if id.is_empty() || id.chars().count() > ID_CHARS_MAX || id.chars().any(char::is_control) {
            let wanted = format!("1 to {ID_CHARS_MAX} characters without control characters");
            return Err(Invalid(format!("row {row}, id: it does not have {wanted}")));
        }
        match purchase.skus.len() {
            0 => return Err(Invalid(format!("row {row}, skus: nothing was bought"))),
            count if count > SKUS_MAX => {
                return Err(Invalid(format!("row {row}, skus: {count} of them; {SKUS_MAX} are allowed")));
            }
            _ => {}
        }
        for (i, sku) in purchase.skus.iter().enumerate() {
            check_sku(|| format!("row {row}, skus, number {}", i + 1), sku)?;
        }
        purchase.skus.sort_unstable();
        purchase.skus.dedup();
        if ids.insert(purchase.id.clone()) {
            pairs += purchase.skus.len() * (purchase.skus.len() - 1) / 2;
            checked.push(purchase);
        }
    }
    at_most(PAIRS_MAX, pairs, "pairs of albums in one call")?;
    Ok(checked)
}

impl<'a> Counts<'a> {
    /// Counts checked purchases.
    pub fn of(purchases: impl IntoIterator<Item = &'a Purchase>) -> Self {
        let mut counts = Self::default();
        for purchase in purchases {
            for sku in &purchase.skus {
                *counts.items.entry(sku).or_default() += 1;
                for other in purchase.skus.iter().filter(|other| *other != sku) {
                    *counts.pairs.entry((sku, other)).or_default() += 1;
                }
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purchase(id: &str, skus: &[&str]) -> Purchase {
        Purchase {
            id: id.into(),
            customer: "C-1".into(),
            skus: skus.iter().map(|sku| sku.to_string()).collect(),
            at: 0,
        }
    }

    #[test]
    fn each_purchase_counts_once_and_each_album_in_it_once() {
        let bought = [purchase("1", &["B", "A", "B"]), purchase("2", &["A"]), purchase("1", &["C"])];
        let checked = check_purchases(bought.to_vec());
        assert_eq!(checked, Ok(vec![purchase("1", &["A", "B"]), purchase("2", &["A"])]));
    }

    #[test]
    fn pairs_are_counted_both_ways() {
        let bought = [purchase("1", &["A", "B", "C"]), purchase("2", &["A", "B"]), purchase("3", &["C"])];
        let counts = Counts::of(&bought);
        assert_eq!(counts.items, [("A", 2), ("B", 2), ("C", 2)].into());
        let pairs = [("A", "B", 2), ("B", "A", 2), ("A", "C", 1), ("C", "A", 1), ("B", "C", 1), ("C", "B", 1)];
        assert_eq!(counts.pairs, pairs.map(|(a, b, n)| ((a, b), n)).into());
    }

    #[test]
    fn a_bad_purchase_is_named_with_its_row_and_field() {
        let check = |bad: Purchase, expect: &str| {
            assert_eq!(check_purchases(vec![purchase("0", &["A"]), bad]), Err(Invalid(expect.into())));
        };
        let id = "row 2, id: it does not have 1 to 64 characters without control characters";
        check(purchase("", &["A"]), id);
        check(purchase(&"x".repeat(65), &["A"]), id);
        check(purchase("a\nb", &["A"]), id);
        check(purchase("1", &[]), "row 2, skus: nothing was bought");
        check(purchase("1", &["A"; 51]), "row 2, skus: 51 of them; 50 are allowed");
        let sku = "row 2, skus, number 2: \"a\" is not 1 to 32 capital letters, digits and hyphens";
        check(purchase("1", &["A", "a"]), sku);
    }

    #[test]
    fn the_work_of_one_call_is_bounded() {
        let skus: Vec<_> = (0..50).map(|i| format!("A{i}")).collect();
        let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
        let large = |count: usize| (0..count).map(|i| purchase(&i.to_string(), &skus)).collect();
        assert!(check_purchases(large(40)).is_ok());
        let expect = "50225 pairs of albums in one call; 50000 are allowed";
        assert_eq!(check_purchases(large(41)), Err(Invalid(expect.into())));
        let many = (0..1_001).map(|i| purchase(&i.to_string(), &["A"])).collect();
        assert_eq!(check_purchases(many), Err(Invalid("1001 purchases in one call; 1000 are allowed".into())));
    }
}
