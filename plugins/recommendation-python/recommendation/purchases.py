"""Checks that the arguments follow the rules of the interface `engine`. Pure: no store, no host."""

import re
import unicodedata
from dataclasses import dataclass

SUGGESTIONS_MAX = 50
SEEDS_MAX = 50
PURCHASES_MAX = 1_000
SKUS_MAX = 50
PAIRS_MAX = 50_000
ID_CHARS_MAX = 64

SKU = re.compile(r"[A-Z0-9-]{1,32}")


class Invalid(Exception):
    """An argument is wrong: where, and why."""


@dataclass(frozen=True)
class Question:
    seeds: list[str]
    """Sorted, each once."""
    count: int


@dataclass(frozen=True)
class Basket:
    """A purchase with each SKU once."""

    id: str
    skus: list[str]
    at: int


def question(skus: list[str], count: int) -> Question:
    _at_most(SEEDS_MAX, len(skus), "SKUs in one question")
    _check_skus("SKU number ", skus)
    if not 1 <= count <= SUGGESTIONS_MAX:
        raise Invalid(f"{count} suggestions; 1 to {SUGGESTIONS_MAX} may be asked for")
    return Question(sorted(set(skus)), count)


def checked(purchases) -> list[Basket]:
    """The checked purchases as baskets: of purchases with the same id the first."""
    _at_most(PURCHASES_MAX, len(purchases), "purchases in one call")
    baskets: dict[str, Basket] = {}
    pairs = 0
    for row, purchase in enumerate(purchases, 1):
        id, skus = purchase.id, purchase.skus
        if not 1 <= len(id) <= ID_CHARS_MAX or any(unicodedata.category(c) == "Cc" for c in id):
            raise Invalid(f"row {row}, id: it does not have 1 to {ID_CHARS_MAX} characters without control characters")
        if not skus:
            raise Invalid(f"row {row}, skus: nothing was bought")
        if len(skus) > SKUS_MAX:
            raise Invalid(f"row {row}, skus: {len(skus)} of them; {SKUS_MAX} are allowed")
        _check_skus(f"row {row}, skus, number ", skus)
        if id not in baskets:
            basket = Basket(id, sorted(set(skus)), purchase.at)
            pairs += len(basket.skus) * (len(basket.skus) - 1) // 2
            baskets[id] = basket
    _at_most(PAIRS_MAX, pairs, "pairs of albums in one call")
    return list(baskets.values())


def _at_most(limit: int, count: int, what: str) -> None:
    if count > limit:
        raise Invalid(f"{count} {what}; {limit} are allowed")


def _check_skus(place: str, skus: list[str]) -> None:
    for number, sku in enumerate(skus, 1):
        if not SKU.fullmatch(sku):
            raise Invalid(f"{place}{number}: {sku[:32]!r} is not 1 to 32 capital letters, digits and hyphens")
