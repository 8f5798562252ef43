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

if TYPE_CHECKING:
    from tapkit.image.tax.simple import Shape, Simple

DEEPEST: Final = 20
PADS = ["  " * depth for depth in range(DEEPEST + 1)]
"""Indentation, which stops growing: a chain's text would grow with the square of its length."""

WIDEST: Final = 100
MOST_ON_A_LINE: Final = 8
_LONGEST: Final = 4000
_CREDIT: Final = 100
_MOST_STRIKES: Final = 8
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
        pattern: of all the elements, with the plain objects in them; empty until it is made.
        credit: how often the pattern may fail yet, till it is not tried any more.
    """

    __slots__ = (
        *("_boxes", "_heads", "_inner", "_looks", "_names", "_pieces", "_strikes", "_whole"),
        *("credit", "depth", "is_flat", "kinds", "pattern", "size"),
    )

    def __init__(
        self,
        heads: Sequence[str],
        names: Sequence[str],
        kinds: Sequence[type],
        depth: int,
    ):
        pad = PADS[depth]
        self.depth: int = depth
        self.kinds: list[type] = list(kinds)
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
        self._inner: list[Inner | None] = [None] * self.size
        self._boxes: list[Box | None] = [None] * self.size
        self._strikes: list[int] = [0] * self.size
        self.pattern = ""
        self.credit: int = _CREDIT

    def expect(self, inner: list[Inner | None]) -> None:
        """Make the pattern.

        Parameters:
            inner: by place, what a plain object there looks like; None: its text is filled in.
        """
        self._inner = inner
        pad = PADS[self.depth]
        pieces = self._elements()
        for place, found in enumerate(inner):
            if found is not None:
                start = f"{pad}<{self._heads[place]} {found.shape.spelling}>\n".replace("%", "%%")
                end = f"{pad}</{self._names[place]}>\n"
                pieces[place] = f"{start}{found.row.pattern}{end}"
        self.pattern = "".join(pieces)

    def on_one_line(self) -> str:
        """The pattern of all elements, without layout."""
        pad = len(PADS[self.depth])
        return "".join(piece[pad:-1] for piece in self._elements())

    def in_lines(self) -> str:
        """The pattern of all elements, each on a line."""
        return "".join(self._elements())

    def _elements(self) -> list[str]:
        """The pattern of each element. `collect` leaves out what is None."""
        return [piece.replace("%.0s\n", "\n") for piece in self._pieces]

    def collect(self, values: list[Any], simple: Simple, out: list[Any]) -> bool:
        """Add what is to be filled in to `out`; False if these values are of another kind."""
        kinds, search = self.kinds, simple.search
        for place, value in enumerate(values):
            kind = type(value)
            if kind is not kinds[place]:
                return False
            if kind is str:
                if search(value) is not None:
                    return False
                out.append(value)
            elif kind is int:
                out.append(value)
            elif kind is bool:
                out.append("true" if value else "false")
            elif kind is float:
                if value != value:  # a nan has bits to be seen to
                    return False
                out.append(value)
            elif value is not None and not self._collect_inner(place, value, simple, out):
                return False
        return True

    def _collect_inner(self, place: int, node: Any, simple: Simple, out: list[Any]) -> bool:
        inner = self._inner[place]
        if inner is not None:
            state = simple.state_of(node, inner.shape)
            if state is not None and inner.row.collect(state[1::2], simple, out):
                return True
            self._strikes[place] += 1
            if self._strikes[place] == _MOST_STRIKES:
                simple.expect_any(inner)
            return False
        head, name = self._heads[place], self._names[place]
        box = self._boxes[place]
        text = None if box is None else box.filled(node, simple)
        if text is None:
            text = simple.inline(self.depth, head, name, node)
            if text is None:
                return False
            if self._strikes[place] < _MOST_STRIKES and self.kinds[place] is not Object:
                self._strikes[place] += 1
                self._boxes[place] = simple.box(self.depth, head, name, node)
        out.append(text)
        return True

    def filled(self, values: list[Any], simple: Simple) -> tuple[str, int]:
        """The elements of these values, and how many of them there are.

        Parameters:
            values: this list is changed.
            simple: its `inline` writes what is no atom.
        """
        stop = self.size
        search = simple.search
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
                text = simple.inline(self.depth, self._heads[place], self._names[place], value)
                if text is None:
                    stop = place
                    break
                values[place] = text
        pattern = self._whole
        if stop < len(values):
            values = values[:stop]
            if stop < self.size:
                pattern = "".join(self._pieces[:stop])
        text = formatted(pattern, values)
        return ("", 0) if text is None else (text, stop)


class Inner:
    """What a plain object looks like that is in another one.

    Attributes:
        shape, row: its own.
        owner, place: the shape of the other, and which of its attributes it is.
    """

    __slots__ = ("owner", "place", "row", "shape")

    def __init__(self, shape: Shape, row: Row, owner: Shape, place: int):
        self.shape = shape
        self.row = row
        self.owner = owner
        self.place: int = place


class Box:
    """What a small dict or list of atoms looks like: on one line where it fits.

    Parameters:
        start: its start tag, without `>`; name: its own.
        depth: its own.
        keys: of a dict; None: it is a list.
        row: the elements in it.
    """

    __slots__ = ("_is_tall", "_keys", "_line", "_lines", "_most", "_row")

    def __init__(self, start: str, name: str, depth: int, keys: list[Any] | None, row: Row):
        pad, size = PADS[depth], row.size
        start = f"{pad}<{start}".replace("%", "%%")
        self._keys = keys
        self._row = row
        self._line = f"{start}>{row.on_one_line()}</{name}>\n" if size else f"{start}/>\n"
        self._lines = f"{start}>\n{row.in_lines()}{pad}</{name}>\n"
        self._is_tall = size > MOST_ON_A_LINE
        # So long is the text in lines of what fits on one line
        self._most: int = WIDEST + 2 + len(pad) + size * (len(PADS[row.depth]) + 1)
        if self._is_tall:
            self._most = 0

    def filled(self, node: Any, simple: Simple) -> str | None:
        """The text for such a dict or list; None if this one is different."""
        if simple.is_apart(node):
            return None
        if self._keys is None:
            values: list[Any] = node[:]
        elif node[::2] != self._keys:
            return None
        else:
            values = node[1::2]
        out: list[Any] = []
        size = self._row.size
        if len(values) != size or not self._row.collect(values, simple, out):
            return None
        if self._is_tall:
            text = formatted(self._lines, out)
            if text is None or len(text) > self._most or text.count("\n") != size + 2:
                return text
        text = formatted(self._line, out)
        self._is_tall = text is None or len(text) > WIDEST + 1 or text.count("\n") != 1
        return formatted(self._lines, out) if self._is_tall else text


def formatted(pattern: str, values: list[Any]) -> str | None:
    """A pattern filled in; None if it may hold an int that must be hexadecimal."""
    try:
        text = pattern % tuple(values)
    except ValueError:
        return None
    return text if len(text) <= _LONGEST else None
