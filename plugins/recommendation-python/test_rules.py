"""The engine without its store: `python3 -m unittest discover plugins/recommendation-python`."""

import unittest
from math import isclose, log2

from recommendation.purchases import Basket, question
from recommendation.rules import HALF_LIFE_S, LANDMARK_S, ranked, weigh, weight


class Rules(unittest.TestCase):
    def test_a_purchase_weighs_twice_as_much_as_one_half_a_year_earlier(self) -> None:
        self.assertEqual(weight(LANDMARK_S), 1.0)
        self.assertEqual(weight(LANDMARK_S + HALF_LIFE_S), 2.0)
        self.assertEqual(weight(LANDMARK_S - 2 * HALF_LIFE_S), 0.25)

    def test_weights_of_all_times_are_finite_and_positive(self) -> None:
        self.assertTrue(0 < weight(0) < 1 < weight(2**64 - 1) < float("inf"))
        # The sum of a billion of the heaviest is finite, too.
        self.assertLess(weight(2**64 - 1) * 1e9, float("inf"))

    def test_a_rule_scores_its_confidence_times_the_logarithm_of_its_lift(self) -> None:
        # Of 10 purchases, 4 have the seed, 3 of these have the other, and 5 have the other in all.
        [(sku, score)] = ranked(question(["S"], 5), [("A", 3.0, 3, 5.0, 4.0)], 10.0)
        self.assertEqual(sku, "A")
        self.assertTrue(isclose(score, 0.75 * log2(0.75 / 0.5)))

    def test_a_lift_of_one_is_no_rule(self) -> None:
        self.assertEqual(ranked(question(["S"], 5), [("HIT", 2.0, 2, 5.0, 4.0)], 10.0), [])

    def test_rules_from_a_single_purchase_come_last(self) -> None:
        near = [("ONCE", 1.0, 1, 1.0, 4.0), ("A", 2.0, 2, 4.0, 4.0)]
        (first, most), (last, least) = ranked(question(["S"], 5), near, 10.0)
        self.assertEqual((first, last), ("A", "ONCE"))
        self.assertTrue(most > least > 0)

    def test_the_latest_purchases_decide(self) -> None:
        half_a_year = HALF_LIFE_S
        old = [Basket(f"o{i}", ["OLD", "S"], LANDMARK_S) for i in range(3)]
        new = [Basket(f"n{i}", ["NEW", "S"], LANDMARK_S + 2 * half_a_year) for i in range(2)]
        rest = [Basket(f"r{i}", ["R"], LANDMARK_S) for i in range(9)]
        weights = weigh([*old, *new, *rest])
        near = [
            (sku, *weights.pairs[("S", sku)], weights.albums[sku], weights.albums["S"]) for sku in ("OLD", "NEW")
        ]
        self.assertEqual([sku for sku, _ in ranked(question(["S"], 2), near, weights.total)], ["NEW", "OLD"])

    def test_pairs_count_both_ways(self) -> None:
        weights = weigh([Basket("1", ["A", "B"], LANDMARK_S), Basket("2", ["A"], LANDMARK_S)])
        self.assertEqual(weights.albums, {"A": 2.0, "B": 1.0})
        self.assertEqual(weights.pairs, {("A", "B"): (1.0, 1), ("B", "A"): (1.0, 1)})
        self.assertEqual(weights.total, 2.0)


if __name__ == "__main__":
    unittest.main()
