"""A context's migrations, and the error `unavailable` of its functions.

With the first import of this module, all texts that the context gives to others are well-formed.
"""

import functools
import importlib
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wit_world.imports
from componentize_py_types import Err
from wit_world.exports.migrations import Migration

from seam_sdk.store import StoreError
from seam_sdk.text import speaking, well_formed

for _interface in pkgutil.iter_modules(wit_world.imports.__path__):
    speaking(importlib.import_module(f"wit_world.imports.{_interface.name}"))


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
                raise Err(well_formed(error.value)) from None
            except StoreError as error:
                if error.is_temporary():
                    raise Err(unavailable(str(error))) from None
                raise

        return answer

    return decorate
