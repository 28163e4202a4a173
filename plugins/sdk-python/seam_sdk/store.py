"""The context's own SQLite file. A statement outside a transaction commits before it returns.

Parameters and columns are None, int, float, str and bytes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from componentize_py_types import Err
from wit_world.imports import store as host

from seam_sdk.packed import Value, decode, encode
from seam_sdk.text import well_formed

_TEMPORARY = (host.Error_Busy, host.Error_Full, host.Error_Interrupted, host.Error_Unavailable)


class StoreError(Exception):
    """Why a statement failed; `error` is the value of `seam:host/store.error`."""

    def __init__(self, error: host.Error) -> None:
        super().__init__(f"the store says {type(error).__name__.removeprefix('Error_').lower()}: {error.value}")
        self.error = error

    def is_temporary(self) -> bool:
        """Whether the store cannot work now. Otherwise it is a bug of this context."""
        return isinstance(self.error, _TEMPORARY)


def _call[T](work: Callable[..., T], *args: Any) -> T:
    try:
        return work(*args)
    except Err as error:
        raise StoreError(error.value) from None


def _parameter(value: Value) -> host.Value:
    match value:
        case None:
            return host.Value_Null()
        case int():
            return host.Value_Integer(int(value))
        case float():
            return host.Value_Real(value)
        case str():
            return host.Value_Text(well_formed(value))
        case bytes():
            return host.Value_Blob(value)
    raise TypeError(f"a parameter cannot be a {type(value).__name__}")


def query(sql: str, params: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
    """Runs a SELECT, or a writing statement with RETURNING. Returns the rows, each a tuple of its columns."""
    return decode(_call(host.query, sql, [_parameter(value) for value in params]))


def optional(sql: str, params: Sequence[Value] = ()) -> tuple[Any, ...] | None:
    """The first row of a SELECT, or None."""
    rows = query(sql, params)
    return rows[0] if rows else None


def execute(sql: str, params: Sequence[Value] = ()) -> int:
    """Runs one writing statement. Returns how many rows it changed."""
    return _call(host.execute, sql, [_parameter(value) for value in params])


def execute_many(sql: str, rows: Iterable[Sequence[Value]]) -> int:
    """Runs one writing statement for each of `rows`, tuples of parameters; all or none. Returns how many rows
    changed."""
    packed = encode(rows)
    return 0 if packed is None else _call(host.execute_many, sql, packed)


@contextmanager
def transaction() -> Iterator[None]:
    """Commits when the block ends, and rolls back when it raises (after a trap the host rolls back). In between, every
    query of this call reads through the transaction. Transactions do not nest."""
    _call(host.begin)
    try:
        yield
    except BaseException:
        # Where rows that it read were undone too, the block failed for a reason that is none, and this raises instead.
        _call(host.rollback)
        raise
    _call(host.commit)


def texts(values: Iterable[Any]) -> str:
    """Values as one parameter, for `json_each(?1)`: one statement for any number of values; `key` is their order."""
    return json.dumps(well_formed(list(values)))
