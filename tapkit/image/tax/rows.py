"""Objects and small dicts whose content is simple, written at one stroke.

Most objects of any image are of few classes, and those of a class look alike. For attributes of
the same names and types there is one pattern (`<port type="int">%d</port>`...), made when it is
first needed; filling it in costs a third of writing attribute by attribute. It goes as far as the
attributes are atoms, references, or again objects and containers that are simple: what begins at
the first that is not, the writer does element by element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tapkit.image.nodes import Dict, Object
from tapkit.image.tax import escapes

if TYPE_CHECKING:
    from tapkit.image.tax.simple import Simple

DEEPEST: Final = 20
PADS = ["  " * depth for depth in range(DEEPEST + 1)]
"""Indentation, which stops growing: a chain's text would grow with the square of its length."""

_LONGEST: Final = 4000
_MOST: Final = 32
_PATTERNS: dict[type, str] = {
    str: "<{0}>%s</{1}>",
    int: '<{0} type="int">%d</{1}>',
    float: '<{0} type="float">%r</{1}>',
    bool: '<{0} type="bool">%s</{1}>',
    type(None): '<{0} type="none"/>%.0s',
}
_HOLDERS = frozenset({Object, Dict, list})


class Row:
    """A pattern for the attributes of objects, or for what a small container holds.

    Parameters:
        heads, names: the start tags and names of the elements.
        kinds: the types of the values.
        depth: of the elements.

    Attributes:
        size: how many elements it is for, from the first one on.
        is_flat: whether there are only atoms in it.
    """

    __slots__ = ("_depth", "_heads", "_looks", "_names", "_pieces", "_whole", "is_flat", "size")

    def __init__(
        self,
        heads: Sequence[str],
        names: Sequence[str],
        kinds: Sequence[type],
        depth: int,
    ):
        pad = PADS[depth]
        self._depth = depth
        self._heads = list(heads)
        self._names = list(names)
        self._looks: list[tuple[int, type]] = []
        self._pieces: list[str] = []
        for place, kind in enumerate(kinds[:_MOST]):
            pattern = _PATTERNS.get(kind)
            if pattern is not None:
                head = heads[place].replace("%", "%%")
                self._pieces.append(f"{pad}{pattern.format(head, names[place])}\n")
            elif kind in _HOLDERS:
                self._pieces.append("%s")
            else:
                break
            if kind is not int and kind is not type(None):
                self._looks.append((place, kind))
        self.size: int = len(self._pieces)
        self.is_flat = _HOLDERS.isdisjoint(kinds)
        self._whole = "".join(self._pieces)

    def filled(self, values: list[Any], simple: Simple) -> tuple[str, int]:  # noqa: C901
        """The elements of these values, and how many of them there are.

        Parameters:
            values: this list is changed.
            simple: its `inline` writes what is no atom.
        """
        stop = self.size
        search = escapes.SPECIAL.search
        for place, kind in self._looks:
            value = values[place]
            if kind is str:
                if search(value) is not None:
                    stop = place
                    break
            elif kind is bool:
                values[place] = "true" if value else "false"
            elif kind is float:
                if value != value:  # a nan has bits to be seen to
                    stop = place
                    break
            else:
                text = simple.inline(self._depth, self._heads[place], self._names[place], value)
                if text is None:
                    stop = place
                    break
                values[place] = text
        pattern = self._whole
        if stop < len(values):
            values = values[:stop]
            if stop < self.size:
                pattern = "".join(self._pieces[:stop])
        try:
            text = pattern % tuple(values)
        except ValueError:
            return "", 0
        # What is long may hold an int that must be hexadecimal
        return (text, stop) if len(text) <= _LONGEST else ("", 0)
