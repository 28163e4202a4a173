"""Calls of other contexts that do not depend on each other, made side by side: where those contexts live on other
hosts, together they take the time of the slowest. The world of the context imports `seam:host/together`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from componentize_py_types import Err
from wit_world.imports import together as host


def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each function returned, or the `Err` that it raised. Each function makes one call of another context and
    does nothing else but put its answer into shape: it may run twice, and the first time its call raises `unavailable`,
    before it is made. At most 8 are made side by side, the others afterwards."""
    kept = host.collect()
    if kept:
        for at, call in enumerate(calls):
            if at > 0:
                host.collect()
            _settled(call)
        host.perform()
    answers = [_settled(call) for call in calls]
    if kept:
        host.finish()
    return answers


def _settled(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Err as error:
        return error
