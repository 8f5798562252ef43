"""Instances that look alike: most of any image, and most of the time it takes.

What instances of one class, with the same attributes and values of the same types, have in
common is worked out once: which values the survey has to look at, and how the statement looks
but for its variable and values, on a line and exploded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from tapkit.image.nodes import ATOMS, Dict, Global, Node
from tapkit.image.tas.attributes import attributes_only

_MOST = 2_000  # shapes of one image; more would take memory for nothing
_BY_FORMAT = frozenset({str, int, float, bool, type(None)})  # "%s" says what they are
Getter = Callable[[Sequence[Node]], tuple[Node, ...]]


class Template:
    """A statement about an instance, to be filled with its variable and its values.

    Parameters:
        opening: up to the bracket, with a `%s` for the variable.
        words: what is in the brackets, with a `%s` for each value.

    Attributes:
        flat: on a line.
        exploded: a word a line.
        more: by how much `exploded` is longer.
        wide: whether the last one was exploded; likely the next one is, too.
    """

    __slots__ = ("exploded", "flat", "more", "wide")

    def __init__(self, opening: str, words: list[str]):
        lines = ",\n    ".join(words)
        self.flat = f"{opening}({', '.join(words)})"
        self.exploded = f"{opening}(\n    {lines},\n)"
        self.more = len(self.exploded) - len(self.flat)
        self.wide = False


class Shape:
    """What instances that look alike have in common.

    Attributes:
        kinds: the types of the values.
        names: the attributes.
        walked: gets, from a state, the keys and values that the survey looks at; None: there
            are none.
        referring: the positions of these values in the state.
        strings: gets the strings from the values; None: there are none.
        floats, others: positions of the floats, and of what no template can format.
        odd: those of `others`, and of the strings.
        used: its class's record in the writer's variables, None at first.
        takes_links: whether its instances may get attributes later, None at first.
        special: whether its class may have a spelling of its own.
        unlinked: by the positions of links, the shape of what is left.
        templates: by twice whether it completes a shell, and whether strings have quotes there.
    """

    __slots__ = (
        *("call", "floats", "kinds", "names", "odd", "others", "referring", "special", "strings"),
        *("takes_links", "templates", "unlinked", "used", "walked"),
    )

    def __init__(self, call: Global, names: list[str], kinds: list[type]):
        self.call = call
        self.names = names
        self.kinds = kinds
        self.strings = _getter([at for at, kind in enumerate(kinds) if kind is str])
        self.floats = [at for at, kind in enumerate(kinds) if kind is float]
        self.others = [at for at, kind in enumerate(kinds) if kind not in _BY_FORMAT]
        self.odd = [at for at, kind in enumerate(kinds) if kind is str or kind not in _BY_FORMAT]
        walked = [at for at, kind in enumerate(kinds) if kind not in ATOMS]
        self.referring = [2 * at + 1 for at in walked]
        self.walked = _getter([place for at in walked for place in (2 * at, 2 * at + 1)])
        self.used: list[Any] | None = None
        self.takes_links: bool | None = None
        self.special = False
        self.unlinked: dict[tuple[int, ...], Shape] = {}
        self.templates: list[Template | None] = [None] * 4

    def template(self, local: str, shell: bool, quotes: bool) -> Template:
        """The statement that makes such an instance, or completes one that was begun.

        Parameters:
            local: what its class is called.
            quotes: whether strings come without quotes and escapes, which they then do not need.
        """
        words = [
            f'{name}="%s"' if quotes and kind is str else f"{name}=%s"
            for name, kind in zip(self.names, self.kinds, strict=True)
        ]
        opening, first = ("complete", "%s") if shell else ("%s = instance", local)
        made = self.templates[2 * shell + quotes] = Template(opening, [first, *words])
        return made


def _getter(places: list[int]) -> Getter | None:
    """Gets what is in these places; what it gets of one place alone, it gets twice."""
    if len(places) == 1:
        places = [*places, *places]  # itemgetter would not make a tuple
    return itemgetter(*places) if places else None


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

    def of(self, call: Global, state: Dict) -> Shape | None:
        """The shape of an instance with this state; None if it can't be written as keywords."""
        names, kinds = state[::2], [type(value) for value in state[1::2]]
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
