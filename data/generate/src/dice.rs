//! Random choices that are the same on every machine: a named generator, with only integer and basic float arithmetic.
//!
//! `rand`'s own range and weight functions may change their algorithm between versions, so this file does not use them.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

pub struct Dice(ChaCha8Rng);

impl Dice {
    /// `stream` makes the parts of the data independent: more customers must not change the stock.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(seed.to_le_bytes().into_iter().chain(stream.to_le_bytes())) {
            *to = from;
        }
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// From 0 to `end`, excluding `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.0.next_u64()) * end as u128) >> 64) as usize
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below((high.saturating_sub(low) + 1) as usize) as u32
    }

    /// From 0.0 to 1.0, excluding 1.0.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance as usize
    }

    /// One of `items`; `None` if there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// One of a fixed list.
    pub fn one_of<T: Copy, const N: usize>(&mut self, items: &[T; N]) -> T {
        const { assert!(N > 0) };
        items[self.below(N)]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Picks positions in proportion to their weights.
pub struct Weights(Vec<f64>);

impl Weights {
    pub fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        Self(
            weights
                .into_iter()
                .map(|weight| {
                    sum += weight;
                    sum
                })
                .collect(),
        )
    }

    /// `None` if no weight is positive.
    pub fn pick(&self, dice: &mut Dice) -> Option<usize> {
        let total = *self.0.last()?;
        let at = dice.unit() * total;
        let position = self.0.partition_point(|sum| *sum <= at);
        (position < self.0.len()).then_some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_numbers() {
        let mut dice = Dice::new(7, 1);
        let rolled: Vec<usize> = (0..8).map(|_| dice.below(1000)).collect();
        let mut again = Dice::new(7, 1);
        assert_eq!(rolled, (0..8).map(|_| again.below(1000)).collect::<Vec<_>>());
        let mut other = Dice::new(7, 2);
        assert_ne!(rolled, (0..8).map(|_| other.below(1000)).collect::<Vec<_>>());
    }

    #[test]
    fn picks_follow_the_weights_and_zero_is_never_picked() {
        let mut dice = Dice::new(1, 0);
        let weights = Weights::new([1.0, 0.0, 3.0]);
        let mut counts = [0; 3];
        for _ in 0..4000 {
            if let Some(at) = weights.pick(&mut dice) {
                counts[at] += 1;
            }
        }
        assert_eq!(counts[1], 0);
        assert!((850..1150).contains(&counts[0]), "{counts:?}");
        assert_eq!(Weights::new([]).pick(&mut dice), None);
    }
}
