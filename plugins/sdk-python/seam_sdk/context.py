"""A context's migrations, and the error `unavailable` of its functions."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from componentize_py_types import Err
from wit_world.exports.migrations import Migration

from seam_sdk.store import StoreError
from seam_sdk.text import well_formed


def steps(folder: Path) -> list[Migration]:
    """The migrations `NNNN-name.sql` in `folder`. Call it at the top of a module: the toolchain loads modules and keeps
    their data, and the component has no files."""
    found = []
    for at, path in enumerate(sorted(folder.glob("*.sql")), 1):
        name = re.fullmatch(r"(\d{4})-([a-z0-9-]+)", path.stem)
        if name is None or int(name[1]) != at:
            raise ValueError(f"migration {at} is named {path.name}, not NNNN-name.sql in order")
        found.append(Migration(at, name[2], path.read_text("utf-8")))
    return found


def answering(unavailable: Callable[[str], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wraps a function of a seam: while the store cannot work, the caller gets the case `unavailable` of the
    interface's `error`. Any exception other than `Err` is a bug of the context: it traps, and the host discards the
    instance. What it answers is well-formed text."""

    def decorate(work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def answer(*args: Any) -> Any:
            try:
                return well_formed(work(*args))
            except Err as error:
                error.value = well_formed(error.value)
                raise
            except StoreError as error:
                if error.is_temporary():
                    raise Err(unavailable(str(error))) from None
                raise

        return answer

    return decorate
