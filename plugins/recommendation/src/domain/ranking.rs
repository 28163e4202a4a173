//! From counts to suggestions.
//!
//! Two albums score `together / sqrt(purchases of one * purchases of the other)`, the cosine of the two sets of
//! purchases: 1 when they are always bought together, near 0 when each sells well for its own reasons. (Linden, Smith,
//! York: "Amazon.com Recommendations: Item-to-Item Collaborative Filtering", 2003.) Several seeds add up.
//!
//! A pair needs two purchases to count; pairs with a single one come after all of these. An album that was never bought
//! together with a seed is not suggested, however popular it is.

use std::collections::BTreeMap;

use seam_sdk::Invalid;
use serde::Deserialize;

use super::{at_most, check_sku};
use crate::engine::Suggestion;

/// Suggestions in one answer.
const COUNT_MAX: u32 = 50;
/// Albums that one question may start from: a basket.
const SEEDS_MAX: usize = 50;
/// One purchase in common may be chance: fewer come last.
const TOGETHER_MIN: u32 = 2;
/// Neighbours read for each suggestion wanted: those with the highest counts are not always those with the highest
/// scores.
const NEIGHBOURS_PER_SUGGESTION: u32 = 4;
const NEIGHBOURS_MIN: u32 = 24;

/// A question that may be asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// Sorted, each once.
    seeds: Vec<String>,
    count: usize,
}

/// An album that was bought together with a seed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Neighbour {
    pub sku: String,
    /// Purchases with both.
    pub together: u32,
    /// Purchases with this album.
    pub purchases: u32,
    /// Purchases with the seed.
    pub seed_purchases: u32,
}

/// An album by its number of purchases.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Popular {
    pub sku: String,
    pub purchases: u32,
}

impl Question {
    pub fn new(mut seeds: Vec<String>, count: u32) -> Result<Self, Invalid> {
        at_most(SEEDS_MAX, seeds.len(), "SKUs in one question")?;
        for (i, sku) in seeds.iter().enumerate() {
            check_sku(|| format!("SKU number {}", i + 1), sku)?;
        }
        if !(1..=COUNT_MAX).contains(&count) {
            return Err(Invalid(format!("{count} suggestions; 1 to {COUNT_MAX} may be asked for")));
        }
        seeds.sort_unstable();
        seeds.dedup();
        Ok(Self { seeds, count: count as usize })
    }

    pub fn seeds(&self) -> &[String] {
        &self.seeds
    }

    /// How many neighbours of each seed to read, those with the highest counts first.
    pub fn neighbours_wanted(&self) -> u32 {
        (self.count as u32 * NEIGHBOURS_PER_SUGGESTION).max(NEIGHBOURS_MIN)
    }

    /// How many popular albums to read: none, unless the question starts from no album.
    pub fn popular_wanted(&self) -> Option<u32> {
        self.seeds.is_empty().then_some(self.count as u32)
    }

    /// The best of the neighbours, best first. The same question and counts always give the same answer.
    pub fn rank(&self, neighbours: impl IntoIterator<Item = Neighbour>) -> Vec<Suggestion> {
        let (mut known, mut chance) = (BTreeMap::<String, f64>::new(), BTreeMap::<String, f64>::new());
        for near in neighbours {
            if self.seeds.binary_search(&near.sku).is_err() {
                let score =
                    f64::from(near.together) / (f64::from(near.purchases) * f64::from(near.seed_purchases)).sqrt();
                let scores = if near.together >= TOGETHER_MIN { &mut known } else { &mut chance };
                *scores.entry(near.sku).or_default() += score;
            }
        }
        chance.retain(|sku, _| !known.contains_key(sku));
        let mut ranked = best(known);
        let below = ranked.last().map_or(1.0, |last| last.score);
        let chance = best(chance);
        let most = chance.first().map_or(0.0, |first| first.score);
        ranked.extend(chance.into_iter().map(|s| Suggestion { score: below * s.score / (most + 1.0), ..s }));
        ranked.truncate(self.count);
        ranked
    }

    /// Popular albums as suggestions, in their order.
    pub fn popular(&self, popular: Vec<Popular>) -> Vec<Suggestion> {
        popular.into_iter().map(|p| Suggestion { sku: p.sku, score: f64::from(p.purchases) }).collect()
    }
}

/// Highest score first. Stable: equal scores stay in the order of their SKUs.
fn best(scores: BTreeMap<String, f64>) -> Vec<Suggestion> {
    let mut ranked: Vec<_> = scores.into_iter().map(|(sku, score)| Suggestion { sku, score }).collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(seeds: &[&str], count: u32) -> Question {
        let seeds = seeds.iter().map(|sku| sku.to_string()).collect();
        Question::new(seeds, count).unwrap_or_else(|Invalid(why)| panic!("{why}"))
    }

    fn near(sku: &str, together: u32, purchases: u32, seed_purchases: u32) -> Neighbour {
        Neighbour { sku: sku.into(), together, purchases, seed_purchases }
    }

    fn popular(list: &[(&str, u32)]) -> Vec<Popular> {
        list.iter().map(|(sku, purchases)| Popular { sku: sku.to_string(), purchases: *purchases }).collect()
    }

    fn names(suggestions: &[Suggestion]) -> Vec<&str> {
        suggestions.iter().map(|s| s.sku.as_str()).collect()
    }

    #[test]
    fn what_is_bought_together_beats_what_is_bought_by_everybody() {
        let ranked = question(&["S"], 5).rank([near("EVERYBODYS", 20, 2_000, 25), near("FITTING", 15, 20, 25)]);
        assert_eq!(names(&ranked), ["FITTING", "EVERYBODYS"]);
        assert!((ranked[0].score - 15.0 / 500f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn pairs_with_one_purchase_come_after_those_with_more() {
        let ranked = question(&["S"], 5).rank([near("ONCE", 1, 1, 9), near("B", 2, 9, 9), near("RARE", 1, 4, 9)]);
        assert_eq!(names(&ranked), ["B", "ONCE", "RARE"]);
        assert!(ranked.is_sorted_by(|a, b| a.score > b.score), "{ranked:?}");
        let of_two = question(&["S", "T"], 5).rank([near("A", 1, 1, 1), near("A", 2, 9, 9), near("B", 2, 4, 9)]);
        assert_eq!(names(&of_two), ["B", "A"], "the single purchase of A with one seed does not count");
    }

    #[test]
    fn nothing_is_suggested_that_was_not_bought_together() {
        let question = question(&["S"], 5);
        assert_eq!((question.rank([]), question.popular_wanted()), (vec![], None));
    }

    #[test]
    fn several_seeds_add_up_and_are_never_suggested() {
        let ranked = question(&["S", "T"], 5).rank([
            near("A", 4, 4, 4),
            near("T", 4, 4, 4),
            near("B", 3, 4, 4),
            near("B", 3, 4, 4),
            near("S", 4, 4, 4),
        ]);
        assert_eq!(ranked, [("B", 1.5), ("A", 1.0)].map(|(sku, score)| Suggestion { sku: sku.into(), score }));
    }

    #[test]
    fn equal_scores_come_in_the_order_of_their_skus() {
        let ranked = question(&["S"], 2).rank([near("C", 2, 4, 4), near("A", 2, 4, 4), near("B", 2, 4, 4)]);
        assert_eq!(names(&ranked), ["A", "B"]);
    }

    #[test]
    fn without_seeds_it_is_the_popular_ones() {
        let question = question(&[], 2);
        assert_eq!(question.popular_wanted(), Some(2));
        assert_eq!(names(&question.popular(popular(&[("A", 3), ("B", 2)]))), ["A", "B"]);
    }

    #[test]
    fn a_question_is_checked() {
        let error = |seeds: Vec<&str>, count| {
            let seeds = seeds.into_iter().map(String::from).collect();
            Question::new(seeds, count).err().map_or(String::new(), |Invalid(why)| why)
        };
        assert_eq!(error(vec!["A"], 0), "0 suggestions; 1 to 50 may be asked for");
        assert_eq!(error(vec!["A"], 51), "51 suggestions; 1 to 50 may be asked for");
        assert_eq!(error(vec!["A"; 51], 1), "51 SKUs in one question; 50 are allowed");
        assert_eq!(error(vec!["A", "é"], 1), "SKU number 2: \"é\" is not 1 to 32 capital letters, digits and hyphens");
        assert_eq!(question(&["B", "A", "B"], 3).seeds(), ["A", "B"]);
    }
}
