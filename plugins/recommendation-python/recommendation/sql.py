"""The SQL of the engine. A comment in the migrations names each query's index."""

from seam_sdk import store

from recommendation import rules
from recommendation.purchases import Basket, Question


def answer(question: Question) -> list[rules.Suggestion]:
    """The suggestions, from the present weights."""
    if not question.seeds:
        return store.query("SELECT sku, weight FROM albums ORDER BY weight DESC, sku LIMIT ?1", [question.count])
    wanted = rules.neighbours_wanted(question)
    neighbours = []
    for seed in question.seeds:
        neighbours += store.query(
            """SELECT near.other, near.weight, near.purchases, album.weight, (SELECT weight FROM albums WHERE sku = ?1)
               FROM (SELECT other, weight, purchases FROM pairs WHERE sku = ?1
                     ORDER BY weight DESC, other LIMIT ?2) AS near
               CROSS JOIN albums AS album ON album.sku = near.other""",
            [seed, wanted],
        )
    total = store.query("SELECT weight FROM totals")[0][0] if neighbours else 0.0
    return rules.ranked(question, neighbours, total)


def learn(baskets: list[Basket]) -> int:
    """Learns from purchases that are new; all or none. Returns how many were new."""
    with store.transaction():
        seen = store.query(
            "SELECT asked.value FROM json_each(?1) AS asked CROSS JOIN learned ON learned.purchase = asked.value",
            [store.texts(basket.id for basket in baskets)],
        )
        known = {id for (id,) in seen}
        added = [basket for basket in baskets if basket.id not in known]
        weights = rules.weigh(added)
        store.execute_many("INSERT INTO learned (purchase) VALUES (?1)", [(basket.id,) for basket in added])
        store.execute_many(
            """INSERT INTO albums (sku, weight) VALUES (?1, ?2)
               ON CONFLICT (sku) DO UPDATE SET weight = weight + excluded.weight""",
            weights.albums.items(),
        )
        store.execute_many(
            """INSERT INTO pairs (sku, other, weight, purchases) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (sku, other) DO UPDATE
               SET weight = weight + excluded.weight, purchases = purchases + excluded.purchases""",
            ((*pair, own, purchases) for pair, (own, purchases) in weights.pairs.items()),
        )
        store.execute("UPDATE totals SET weight = weight + ?1", [weights.total])
        return len(added)
