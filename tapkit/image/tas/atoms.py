"""How values without identity are written."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

from tapkit.image.tas.layout import Expr, Group, flat_of, text

_USUAL_NAN = 0x7FF8000000000000
_DECIMAL_BITS = 2000  # a longer int is hexadecimal: Python may refuse 640 decimal digits
CONSTANTS = {None: "None", True: "True", False: "False"}


def write_int(number: int) -> str:
    """An int: decimal, or hexadecimal where Python might refuse to read so many digits."""
    if number.bit_length() < _DECIMAL_BITS:
        return repr(number)
    return f"{'-' if number < 0 else ''}0x{abs(number):X}"


def write_float(number: float) -> Expr:
    """A float, to the bit: a NaN keeps its payload."""
    if math.isinf(number):
        return Group("float(", [("", '"inf"' if number > 0 else '"-inf"')], ")")
    if math.isnan(number):
        bits = nan_bits(number)
        if bits == _USUAL_NAN:
            return Group("float(", [("", '"nan"')], ")")
        return Group("nan(", [("", f"0x{bits:016X}")], ")")
    return repr(number).replace("e+", "e")  # as black has it


def nan_bits(number: float) -> int:
    """The 64 bits of a float."""
    return int.from_bytes(struct.pack(">d", number), "big")


def write_constant(value: Any) -> str:
    """None, True or False."""
    return CONSTANTS[value]


ATOM_WRITERS: dict[type, Any] = {
    type(None): write_constant,
    bool: write_constant,
    int: write_int,
    float: write_float,
    str: text,
    bytes: text,
}


def stable_order(nodes: Sequence[Any], written: Sequence[tuple[str, Expr]]) -> list[int]:
    """Positions of values, numbers first and by size, the rest by how they are written."""

    def key(at: int) -> tuple[int, Any, str]:
        node, expr = nodes[at], written[at][1]
        number = node if type(node) in (int, float) and node == node else None
        shown = flat_of(expr) or ""
        if number is not None:
            return (0, number, shown)
        return (1, 0, shown or repr(node))

    return sorted(range(len(nodes)), key=key)
