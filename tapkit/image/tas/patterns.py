"""How a statement that makes or completes an instance looks, as regular expressions.

A pattern has a group for each value, and takes it for the kind of value that was there so far:
so the text needs no second look. Where kinds differ, the group takes any value. All of it is
inside of brackets, so that spaces and line ends mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tapkit.image.nodes import Global
from tapkit.image.tas.tokens import FLOAT, INT, SHORT_INT, STRING, WORD

NAME = WORD
ANY = "any"
TEXT = "str"  # without escapes: the group is the string
_GAP = "[ \n]*"
_OTHER = r"""[^"'\\#()\[\]{}]*"""  # what is neither a string nor a bracket


def _brackets(inner: str) -> str:
    # Unrolled: `(a+|b)*` would take exponential time to fail.
    return rf"[\[({{]{_OTHER}(?:(?:{inner}){_OTHER})*[\])}}]"


_NESTED = _brackets(rf"{STRING}|{_brackets(STRING)}")
_PATTERNS = {
    TEXT: r'"([^"\\\n]*)"',
    "int": f"({INT})",
    "float": f"({FLOAT})",
    "word": f"({WORD})",
    "list": rf"\[{_GAP}(?:({WORD}(?:,[ \n]+{WORD})*),?{_GAP})?\]",
    ANY: rf"({STRING}|b{STRING}|{FLOAT}|{INT}|{WORD}(?:\.{WORD})*(?:{_NESTED})?|{_NESTED})",
}
_ENTRY = rf'"[^"\\\n]*": {SHORT_INT}'
_LEAF = re.compile(rf"\{{{_ENTRY}(?:, {_ENTRY}){{0,15}}\}}")
_NUMBER = re.compile(rf'(?<=": ){SHORT_INT}')
_HOLE = "\n"  # which is in no string
Converter = Callable[[Any], Any]
"""Makes a node of the text of a group, which is None where a list is empty."""


class Kinds:
    """Tells which kind a text is of."""

    def __init__(self) -> None:
        self._each = [
            (kind, re.compile(pattern).fullmatch)
            for kind, pattern in _PATTERNS.items()
            if kind != ANY
        ]

    def kind_of(self, text: str) -> str:
        """The kind of a value. Of a dict of numbers, it is its text without them."""
        if _LEAF.fullmatch(text):
            return _NUMBER.sub(_HOLE, text)
        return next((kind for kind, match in self._each if match(text)), ANY)


KINDS = Kinds()


class Shape:
    """How instances of one class with the same attributes are written.

    The same for what completes a shell; the class does not show there, and is None.

    Attributes:
        state: names, and a None behind each.
        match: matches such a statement, with values of the kinds met so far.
        match_any: with any values.
        follower: the shape that came behind one of this last time: likely so again.
        leaves: positions of dicts of numbers, their keys with a None behind each, how many.
        words, ints, floats: positions of values of these kinds.
        converters: of others that are more than text, and what makes nodes of them.
    """

    __slots__ = (
        *("_first", "_kinds", "_names", "cls", "converters", "floats", "follower", "ints"),
        *("leaves", "match", "match_any", "state", "words"),
    )

    def __init__(self, cls: Global | None, local: str | None, names: list[str]):
        self.cls = cls
        self.follower: Shape | None = None
        self.state = [part for name in names for part in (name, None)]
        self._names = names
        opening = rf"complete\({_GAP}({WORD})"
        self._first = opening if local is None else rf"({WORD}) = instance\({_GAP}{local}"
        self._kinds: list[str] | None = None
        self.match_any = self._pattern([ANY] * len(names))
        self.match: Callable[[str], Any] = lambda block: None
        self.leaves: list[tuple[int, list[Any], int]] = []
        self.words: list[int] = []
        self.ints: list[int] = []
        self.floats: list[int] = []
        self.converters: list[tuple[int, Converter]] = []

    def widen(self, kinds: Sequence[str], converters: Mapping[str, Converter]) -> None:
        """Take values of these kinds as well as those so far."""
        before = self._kinds or kinds
        self._kinds = [
            kind if kind == other else ANY for kind, other in zip(before, kinds, strict=True)
        ]
        self.match = self._pattern(self._kinds)
        places = list(enumerate(self._kinds))
        self.leaves = [(at, *_keys(kind)) for at, kind in places if _HOLE in kind]
        self.words = [at for at, kind in places if kind == "word"]
        self.ints = [at for at, kind in places if kind == "int"]
        self.floats = [at for at, kind in places if kind == "float"]
        self.converters = [(at, converters[kind]) for at, kind in places if kind in converters]

    def _pattern(self, kinds: Sequence[str]) -> Callable[[str], Any]:
        values = zip(self._names, kinds, strict=True)
        words = "".join(f",[ \n]+{name}={_pattern(kind)}" for name, kind in values)
        return re.compile(rf"{self._first}{words},?{_GAP}\)\n*").fullmatch


def _pattern(kind: str) -> str:
    """The pattern of a value: of a dict of numbers, with a group for each."""
    if _HOLE not in kind:
        return _PATTERNS[kind]
    return f"({SHORT_INT})".join(map(re.escape, kind.split(_HOLE)))


def _keys(kind: str) -> tuple[list[Any], int]:
    """The keys of a dict of numbers with a None behind each, and how many there are."""
    keys = [part.split('"')[1] for part in kind.split(_HOLE)[:-1]]
    return [part for key in keys for part in (key, None)], len(keys)
