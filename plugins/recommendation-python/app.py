"""The recommendation context in Python: association rules over purchases, in which the latest weigh most.

`recommendation` is the engine: `purchases` and `rules` are plain Python, `sql` is the SQL; this file exports the
component's interfaces.
"""

from pathlib import Path

from componentize_py_types import Err
from seam_sdk.context import answering, steps
from wit_world import exports
from wit_world.exports import engine, events
from wit_world.exports.migrations import Migration

from recommendation import purchases, sql

STEPS = steps(Path(__file__).parent / "migrations")


class Migrations(exports.Migrations):
    def all(self) -> list[Migration]:
        return STEPS


class Engine(exports.Engine):
    @answering(engine.Error_Unavailable)
    def suggest(self, skus: list[str], count: int) -> list[engine.Suggestion]:
        question = _checked(purchases.question, skus, count)
        return [engine.Suggestion(sku, score) for sku, score in sql.answer(question)]

    @answering(engine.Error_Unavailable)
    def learn(self, purchases_: list[engine.Purchase]) -> int:
        return sql.learn(_checked(purchases.checked, purchases_))


class Events(exports.Events):
    @answering(events.Error_Unavailable)
    def order_placed(self, order: events.PlacedOrder) -> None:
        purchase = engine.Purchase(order.number, order.customer, order.skus, order.at)
        sql.learn(_checked(purchases.checked, [purchase], invalid=events.Error_Invalid))


def _checked(check, *args, invalid=engine.Error_Invalid):
    try:
        return check(*args)
    except purchases.Invalid as why:
        raise Err(invalid(str(why))) from None
