"""Text that leaves the context. A text of Python can hold half of a surrogate pair (`json.loads` makes one of the escape
`"\\ud83d"`), which UTF-8 cannot say. It becomes U+FFFD, so that the rest of the text is kept."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

# Two halves that belong together are one character.
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_HALF = re.compile("[\ud800-\udfff]")


def well_formed(value: Any) -> Any:
    """The value with U+FFFD for each half of a surrogate pair, in texts, in lists, in records and in cases of variants.
    What needs no change is returned as it is."""
    match value:
        case str():
            return _text(value)
        case list() | tuple():
            parts = [well_formed(part) for part in value]
            return value if all(a is b for a, b in zip(parts, value)) else type(value)(parts)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    parts = {name: well_formed(part) for name, part in fields.items()}
    if all(parts[name] is part for name, part in fields.items()):
        return value
    return type(value)(**parts)


def speaking(interface: ModuleType) -> None:
    """Makes the functions of an imported interface give well-formed texts. What they answer comes from the host, which
    knows no other text."""
    for name, part in list(vars(interface).items()):
        if inspect.isfunction(part) and part.__module__ == interface.__name__:
            setattr(interface, name, _giving(part))


def _giving(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def give(*args: Any) -> Any:
        return function(*map(well_formed, args))

    return give


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        # Not by a codec: Python loads that when it is first used, and a component loads no modules when it runs.
        return _HALF.sub("\ufffd", _PAIR.sub(_joined, text))
    return text


def _joined(pair: re.Match[str]) -> str:
    high, low = map(ord, pair[0])
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
