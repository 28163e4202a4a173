"""Rows as one list of bytes, in the encoding of `seam:host/store`.

u32 column count, then the rows, each value as a tag byte and its bytes, little endian:
0 null | 1 integer s64 | 2 real f64 | 3 text u32 length + UTF-8 | 4 blob u32 length + bytes.

In Python: None, int, float, str, bytes. A bool is an int.
"""

from collections.abc import Iterable, Sequence
from struct import Struct

from seam_sdk.text import well_formed

NULL, INTEGER, REAL, TEXT, BLOB = range(5)

Value = None | int | float | str | bytes

_u32 = Struct("<I")
_s64 = Struct("<q")
_f64 = Struct("<d")
_tagged_u32 = Struct("<BI")
_tagged_s64 = Struct("<Bq")
_tagged_f64 = Struct("<Bd")


def decode(data: bytes) -> list[tuple[Value, ...]]:
    """The rows, each a tuple of its columns."""
    (columns,) = _u32.unpack_from(data, 0)
    rows: list[tuple[Value, ...]] = []
    at, end = 4, len(data)
    while at < end:
        row: list[Value] = []
        for _ in range(columns):
            tag = data[at]
            at += 1
            if tag == INTEGER:
                row.append(_s64.unpack_from(data, at)[0])
                at += 8
            elif tag == TEXT or tag == BLOB:
                (length,) = _u32.unpack_from(data, at)
                value = data[at + 4 : at + 4 + length]
                if len(value) != length:
                    raise ValueError("the rows end in the middle of a value")
                row.append(value.decode() if tag == TEXT else bytes(value))
                at += 4 + length
            elif tag == REAL:
                row.append(_f64.unpack_from(data, at)[0])
                at += 8
            elif tag == NULL:
                row.append(None)
            else:
                raise ValueError(f"the rows hold a value of unknown kind {tag}")
        rows.append(tuple(row))
    return rows


def encode(rows: Iterable[Sequence[Value]]) -> bytes | None:
    """The bytes of rows that all have the same number of columns; None if there is no row."""
    out = bytearray()
    columns = None
    for row in rows:
        if columns is None:
            columns = len(row)
            out += _u32.pack(columns)
        if len(row) != columns:
            raise ValueError(f"a row has {len(row)} columns, the first one {columns}")
        for value in row:
            _append(out, value)
    return None if columns is None else bytes(out)


def _append(out: bytearray, value: Value) -> None:
    match value:
        case None:
            out.append(NULL)
        case int():
            out += _tagged_s64.pack(INTEGER, value)
        case float():
            if value != value:
                raise ValueError("a row cannot hold NaN")
            out += _tagged_f64.pack(REAL, value)
        case str():
            text = well_formed(value).encode()
            out += _tagged_u32.pack(TEXT, len(text))
            out += text
        case bytes() | bytearray():
            out += _tagged_u32.pack(BLOB, len(value))
            out += value
        case _:
            raise TypeError(f"a row cannot hold a {type(value).__name__}")
