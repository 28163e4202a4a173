"""From weighted purchases to suggestions. Pure: no store, no host.

A rule "customers who buy A buy B" has a *confidence*, the share of the purchases with A that also have B, and a *lift*,
that share divided by B's share of all purchases. Rules with a lift of 1 or less are left out. The others score
confidence times the binary logarithm of the lift. (Agrawal, Imielinski, Swami: "Mining Association Rules between Sets
of Items in Large Databases", 1993.) The scores of several seeds are added. Rules from a single purchase come after all
others; an album that was never bought with a seed is not suggested.

Taste changes: a purchase weighs twice as much as one half a year earlier. Weights grow from a fixed day instead of
decaying from today, so stored sums stay valid; only ratios of weights are used. (Cormode, Shkapenyuk, Srivastava, Xu:
"Forward Decay", 2009.)
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import permutations
from math import log2

from recommendation.purchases import Basket, Question

HALF_LIFE_S = 182 * 24 * 3600
LANDMARK_S = 1_735_689_600
"""1 January 2025: a purchase at that moment weighs 1."""
DOUBLINGS_MAX = 400
"""Two centuries: later and earlier purchases weigh no more and no less. A float reaches more than twice as far."""
TOGETHER_MIN = 2
"""A single common purchase may be chance: fewer come last."""
NEIGHBOURS_PER_SUGGESTION = 4
"""Neighbours read for each suggestion: those that weigh most do not always have the highest scores."""
NEIGHBOURS_MIN = 24

Suggestion = tuple[str, float]
Neighbour = tuple[str, float, int, float, float]
"""The SKU, the weight and number of purchases with both albums, the weight of the SKU, and that of the seed."""


@dataclass
class Weights:
    """What purchases add to the stored weights."""

    total: float = 0.0
    albums: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    pairs: dict[tuple[str, str], tuple[float, int]] = field(default_factory=lambda: defaultdict(lambda: (0.0, 0)))
    """For both orders of a pair: weight and number of purchases."""


def weight(at: int) -> float:
    doublings = (at - LANDMARK_S) / HALF_LIFE_S
    return 2.0 ** max(-DOUBLINGS_MAX, min(DOUBLINGS_MAX, doublings))


def weigh(baskets: Iterable[Basket]) -> Weights:
    weights = Weights()
    for basket in baskets:
        own = weight(basket.at)
        weights.total += own
        for sku in basket.skus:
            weights.albums[sku] += own
        for pair in permutations(basket.skus, 2):
            together, purchases = weights.pairs[pair]
            weights.pairs[pair] = (together + own, purchases + 1)
    return weights


def neighbours_wanted(question: Question) -> int:
    """How many neighbours of each seed to read, those that weigh most first."""
    return max(question.count * NEIGHBOURS_PER_SUGGESTION, NEIGHBOURS_MIN)


def ranked(question: Question, neighbours: Iterable[Neighbour], total: float) -> list[Suggestion]:
    """The best neighbours, best first."""
    known: dict[str, float] = defaultdict(float)
    chance: dict[str, float] = defaultdict(float)
    for sku, both, purchases, own, seed in neighbours:
        if sku in question.seeds:
            continue
        confidence = both / seed
        lift = confidence * (total / own)
        if lift > 1:
            scores = chance if purchases < TOGETHER_MIN else known
            scores[sku] += confidence * log2(lift)
    first, last = _best(known), _best({sku: score for sku, score in chance.items() if sku not in known})
    below = first[-1][1] if first else 1.0
    most = last[0][1] if last else 0.0
    return [*first, *((sku, below * score / (most + 1)) for sku, score in last)][: question.count]


def _best(scores: dict[str, float]) -> list[Suggestion]:
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))
