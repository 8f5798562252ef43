"""Objects whose attributes are all atoms or references, written at one stroke.

Most objects of any image are of few classes, and those of a class look alike. For attributes of
the same names and types there is one pattern (`<port type="int">%d</port>`...), made when it is
first needed; filling it in costs a third of writing attribute by attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tapkit.image.nodes import Object
from tapkit.image.tax import escapes

_LONGEST = 4000
_MOST = 32
_PATTERNS: dict[type, str] = {
    str: "<{0}>%s</{1}>",
    int: '<{0} type="int">%d</{1}>',
    float: '<{0} type="float">%r</{1}>',
    bool: '<{0} type="bool">%s</{1}>',
    type(None): '<{0} type="none"/>%.0s',
    Object: '<{0} ref="%s"/>',
}


class Row:
    """A pattern for the attributes of objects.

    Parameters:
        heads, names: the start tags and names of the elements.
        kinds: the types of the values.
        pad: the indentation.
    """

    __slots__ = ("_bools", "_floats", "_objects", "_pattern", "_texts")

    def __init__(self, heads: Sequence[str], names: Sequence[str], kinds: Sequence[type], pad: str):
        self._texts = _places(kinds, str)
        self._floats = _places(kinds, float)
        self._bools = _places(kinds, bool)
        self._objects = _places(kinds, Object)
        lines = [
            f"{pad}{_PATTERNS[kind].format(head.replace('%', '%%'), name)}\n"
            for head, name, kind in zip(heads, names, kinds, strict=True)
        ]
        self._pattern = "".join(lines)

    def filled(self, values: list[Any], written: Mapping[int, str]) -> str | None:
        """The elements of these values; None if one of them needs more than the pattern says."""
        for place in self._texts:
            if escapes.SPECIAL.search(values[place]):
                return None
        for place in self._objects:
            label = written.get(id(values[place]))
            if label is None:
                return None
            values[place] = label
        for place in self._bools:
            values[place] = "true" if values[place] else "false"
        try:
            text = self._pattern % tuple(values)
        except ValueError:
            return None
        # What is long may hold an int that must be hexadecimal, and a nan has bits to be seen to
        return None if len(text) > _LONGEST or (self._floats and "nan" in text) else text


def row(heads: Sequence[str], names: Sequence[str], kinds: Sequence[type], pad: str) -> Row | None:
    """The pattern for attributes; None if there is none for their types."""
    if len(heads) > _MOST or not all(kind in _PATTERNS for kind in kinds):
        return None
    return Row(heads, names, kinds, pad)


def _places(kinds: Sequence[type], kind: type) -> list[int]:
    return [place for place, each in enumerate(kinds) if each is kind]
