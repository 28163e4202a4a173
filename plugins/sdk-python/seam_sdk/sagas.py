"""Sagas: undertakings in several steps, which the host has performed until they are done or undone. The world of the
context imports `seam:host/sagas` and exports `seam:host/saga-steps`.

`start`, `resume` and `give_up` are a part of the transaction that is open.
Not here: when a step is performed, and again: the host.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from componentize_py_types import Err
from wit_world.exports import saga_steps as wit
from wit_world.imports import sagas as host

from seam_sdk.store import StoreError
from seam_sdk.text import well_formed

DONE = wit.Outcome_Done()
_UNDOS = {"own": wit.UndoKind_Own, "nothing": wit.UndoKind_Nothing, "never": wit.UndoKind_Never}


class SagaError(Exception):
    """Why something cannot be done with a saga; `error` is the value of `seam:host/sagas.error`."""

    def __init__(self, error: host.Error) -> None:
        super().__init__(f"the saga is {type(error).__name__.removeprefix('Error_').lower()}: {error.value}")
        self.error = error


def _call[T](work: Callable[..., T], *args: Any) -> T:
    try:
        return work(*(well_formed(arg) if isinstance(arg, str) else arg for arg in args))
    except Err as error:
        raise SagaError(error.value) from None


def start(kind: str, id: str) -> None:
    """Starts a saga; one that has been started is not started again."""
    _call(host.start, kind, id)


def resume(kind: str, id: str, step: str) -> None:
    """What the saga waits for at this step has come."""
    _call(host.resume, kind, id, step)


def give_up(kind: str, id: str, cause: str) -> None:
    """Has its steps undone."""
    _call(host.give_up, kind, id, cause)


def get_status(kind: str, id: str) -> host.Status:
    """Where it stands."""
    return _call(host.get_status, kind, id)


def settle(kind: str, id: str, most_ms: int) -> host.Status:
    """As `get_status`, once it neither runs nor is undone, or after so many milliseconds."""
    return _call(host.settle, kind, id, most_ms)


def later(why: str) -> wit.Outcome:
    return wit.Outcome_Later(well_formed(why))


def refused(why: str) -> wit.Outcome:
    return wit.Outcome_Refused(well_formed(why))


def unknown(why: str) -> wit.Outcome:
    return wit.Outcome_Unknown(well_formed(why))


def waiting(until: int | None = None) -> wit.Outcome:
    """Until `resume`, or until this time in seconds since 1970."""
    return wit.Outcome_Waiting(until)


def step(name: str, call: str | None = None, undo: str = "nothing", tries: int = 10, patience_s: int = 60) -> wit.Step:
    """One step of a saga. `call`: the function of another context that it calls. `undo`: `own`, `nothing`, `never`, or
    the function of another context that undoes it. `tries` and `patience_s` bound how often and how long it is
    tried."""
    kind = _UNDOS[undo]() if undo in _UNDOS else wit.UndoKind_Call(undo)
    return wit.Step(name, call, kind, tries, patience_s)


def definition(kind: str, steps: Sequence[wit.Step]) -> wit.Definition:
    """The steps of one kind of sagas, in their order."""
    return wit.Definition(kind, list(steps))


def stepping[**P](work: Callable[P, wit.Outcome]) -> Callable[P, wit.Outcome]:
    """Wraps `perform` and `undo`: while the store cannot work, the step is tried again later."""

    @wraps(work)
    def steps(*args: P.args, **kwargs: P.kwargs) -> wit.Outcome:
        try:
            return work(*args, **kwargs)
        except StoreError as error:
            if error.is_temporary():
                return later(str(error))
            raise

    return steps
