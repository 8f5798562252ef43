"""Instances that look alike: most of any image, and most of the time it takes.

What instances of one class, with the same attributes and values of the same types, have in
common is worked out once: which values the survey has to look at, and how the statement looks
but for its variable and values, on a line and exploded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tapkit.image.nodes import ATOMS, Dict, Global, Node
from tapkit.image.tas.attributes import attributes_only
from tapkit.image.tas.variables import Stem

_MOST = 2_000  # shapes of one image; more would take memory for nothing
_NONE = type(None)
SMALL: Final = 10_000_000_000_000_000
"""What is below is written as a decimal without an exponent, whether int or float."""
_PLAIN = frozenset({str, int, float, bool, _NONE})  # how they are written is soon told
_HOLE = "\0"
NAMES: Final = slice(0, None, 2)
VALUES: Final = slice(1, None, 2)
part_of: Final[Callable[[list[Node], slice], list[Node]]] = list.__getitem__
"""A slice of a state. In brackets it would cost twice that: a subclass is asked for its method."""


class Template:
    """A statement about an instance, to be filled with its variable and its values.

    Parameters:
        opening: up to the bracket; words: what is in the brackets. A `\0` stands for the variable
            and each value.

    Attributes:
        flat: on a line, in pieces: every other one is to be filled.
        exploded: a word a line.
        more: by how much `exploded` is longer.
        wide: whether the last one was exploded; likely the next one is, too.
    """

    __slots__ = ("exploded", "flat", "more", "wide")

    def __init__(self, opening: str, words: list[str]):
        lines = ",\n    ".join(words)
        flat, exploded = f"{opening}({', '.join(words)})", f"{opening}(\n    {lines},\n)"
        self.flat = pieces(flat)
        self.exploded = pieces(exploded)
        self.more = len(exploded) - len(flat)
        self.wide = False


def pieces(text: str) -> list[str]:
    """A text cut at each hole, with something in the holes. To join is quicker than to format."""
    return [part for each in text.split(_HOLE) for part in (each, _HOLE)][:-1]


class Leaf:
    """A dict of small numbers under strings, on a line: most that is so has the same keys.

    Parameters:
        keys: the strings.
        written: how they are written.
    """

    __slots__ = ("_keys", "_pieces")

    def __init__(self, keys: list[str], written: list[str]):
        self._keys = keys
        entries = ", ".join([f"{key}: {_HOLE}" for key in written])
        self._pieces = pieces(f"{{{entries}}}")

    def fill(self, node: list[Node]) -> str | None:
        """A dict that looks like this; None if it does not."""
        keys = self._keys
        if len(node) != 2 * len(keys):
            return None
        found = self._pieces  # what was filled in before is filled in anew
        at = 0
        for known in keys:
            key, number = node[at], node[at + 1]
            if type(key) is not str or key != known or type(number) is not int:
                return None
            if not -SMALL < number < SMALL:
                return None
            found[at + 1] = str(number)
            at += 2
        return "".join(found)


class Shape:
    """What instances that look alike have in common.

    Parameters:
        links: the attributes that are assigned when all is made, by number: None in their places.

    Attributes:
        kinds: the types of the values.
        names: the attributes.
        referring: the positions in a state of the values that the survey looks at.
        values: where in a state the values are.
        strings, ints, bools, nones, floats, others: numbers of the values that are that.
        odd: those of `others` and `strings`.
        leaves: by the number of a value, what a dict there looked like.
        stem: what the variables are called whose objects have no other name; None at first.
        takes_links: whether its instances may get attributes later, None at first.
        special: whether its class may have a spelling of its own.
        unlinked: by the places of links, as bits, how instances look without those.
        templates: by twice whether it completes a shell, and whether strings have quotes there.
    """

    __slots__ = (
        *("bools", "call", "floats", "ints", "kinds", "leaves", "links", "names", "nones", "odd"),
        *("others", "referring", "special", "stem", "strings", "takes_links", "templates"),
        *("unlinked", "values"),
    )

    def __init__(
        self, call: Global, names: list[str], kinds: list[type], links: Sequence[int] = ()
    ):
        self.call = call
        self.names = names
        self.kinds = kinds
        self.links = links
        self.values = slice(1, 2 * len(names), 2)
        numbered = list(enumerate(kinds))
        self.strings = [number for number, kind in numbered if kind is str]
        self.ints = [number for number, kind in numbered if kind is int]
        self.bools = [number for number, kind in numbered if kind is bool]
        self.nones = [number for number, kind in numbered if kind is _NONE]
        self.floats = [number for number, kind in numbered if kind is float]
        self.others = [number for number, kind in numbered if kind not in _PLAIN]
        self.odd = sorted([*self.strings, *self.others])
        self.leaves: list[Leaf | None] = [None] * len(names)
        self.referring = [2 * at + 1 for at, kind in enumerate(kinds) if kind not in ATOMS]
        self.stem: Stem | None = None
        self.takes_links: bool | None = None
        self.special = False
        self.unlinked: dict[int, Shape] = {}
        self.templates: list[Template | None] = [None] * 4

    def name_in(self, state: list[Node], value: Node) -> str:
        """The attribute that a value is of."""
        for at in self.referring:
            if state[at] is value:
                break
        return self.names[at >> 1]

    def places_of(self, state: list[Node], value: Node) -> int:
        """The numbers of the attributes that are a value, as bits."""
        found = 0
        for at in self.referring:
            if state[at] is value:
                found |= 1 << (at >> 1)
        return found

    def template(self, local: str, shell: bool, quotes: bool) -> Template:
        """The statement that makes such an instance, or completes one that was begun.

        Parameters:
            local: what its class is called.
            quotes: whether strings come without quotes and escapes, which they then do not need.
        """
        opening, first = ("complete", _HOLE) if shell else (f"{_HOLE} = instance", local)
        words = [first]
        for name, kind in zip(self.names, self.kinds, strict=True):
            quote = '"' if quotes and kind is str else ""
            words.append(f"{name}={quote}{_HOLE}{quote}")
        made = self.templates[2 * shell + quotes] = Template(opening, words)
        return made


def places_in(bits: int) -> list[int]:
    """The numbers whose bits are set."""
    return [at for at in range(bits.bit_length()) if bits >> at & 1]


class Shapes:
    """The shapes of an image.

    Parameters:
        globals_: the classes are added to it.

    Attributes:
        last: by id of a class, its shape met last: likely that of the next one.
    """

    def __init__(self, globals_: dict[int, Global]):
        self._globals = globals_
        self.last: dict[int, Shape] = {}
        self._all: dict[tuple[Any, ...], Shape | None] = {}
        self._unlinked = 0

    def of(self, call: Global, state: Dict) -> Shape | None:
        """The shape of an instance with this state; None if it can't be written as keywords."""
        names, kinds = part_of(state, NAMES), [type(value) for value in part_of(state, VALUES)]
        if {type(name) for name in names} != {str}:
            return None
        key = (id(call), *kinds, *names)
        shape = self._all.get(key)
        if shape is None:
            if key in self._all or len(self._all) >= _MOST:
                return None
            shape = Shape(call, names, kinds) if attributes_only(state) else None
            self._all[key] = shape
            if shape is None:
                return None
            self._globals[id(call)] = call
        self.last[id(call)] = shape
        return shape

    def without(self, shape: Shape, places: int) -> Shape | None:
        """How instances look when attributes come later; None: there are too many such shapes.

        What is last of its attributes comes last again; others get a None.
        """
        if self._unlinked >= _MOST:
            return None
        self._unlinked += 1
        links = places_in(places)
        last = len(shape.names)
        while last and last - 1 in links:
            last -= 1
        kinds = [_NONE if at in links else kind for at, kind in enumerate(shape.kinds[:last])]
        made = Shape(shape.call, shape.names[:last], kinds, links)
        shape.unlinked[places] = made
        return made
