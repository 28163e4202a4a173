"""Text that leaves the context. A text of Python can hold half of a surrogate pair (`json.loads` makes one of the escape
`"\\ud83d"`), which UTF-8 cannot say. It becomes U+FFFD, so that the rest of the text is kept."""

import dataclasses
from typing import Any


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


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        # Two halves that belong together are one character.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
