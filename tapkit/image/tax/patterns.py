"""Elements that are alike, as regular expressions: read at one stroke, for `quick`.

Most elements of a large text are of few kinds: the class, the names of the attributes and the
types of their values are the same, and so are the tags. A pattern has a group for each value, and
matches the element from its `<` to the `<` behind it. To match it and convert the groups takes a
quarter of the time of reading tag by tag.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from tapkit.image.nodes import Global

_MOST: Final = 4  # patterns of a family
_MET: Final = 20  # making a pattern costs as much as reading 100 elements
_LESSONS: Final = 8
_MISSES: Final = 1000  # that are forgiven, beside three for each hit


class Part:
    """An object, dict or list within a pattern.

    Attributes:
        start: the position of its first value among all values, when the parts that begin behind
            it are made and each of them is one value.
        size: how many values it has. An id is a value before the first.
        keys: of an object or dict, its keys, with None behind each; None: it is a list.
        call: the class of an object; None: it is none.
        is_labelled: whether it has an id.
    """

    __slots__ = ("call", "is_labelled", "keys", "size", "start")

    def __init__(self, start: int, keys: list[Any] | None, call: Global | None, is_labelled: bool):
        self.start: int = start
        self.size: int = 0
        self.keys = keys
        self.call = call
        self.is_labelled = is_labelled


class Pattern:
    """What elements look like that are alike.

    Parameters:
        regex: of an element, and the layout behind it.
        key: what it stands for in an object or dict; None: the first group says it.
        changes: positions of values that are more than text, and what makes them of it.
        nones, references: positions of the values that are None, or an id.
        parts: itself, and what it holds, in the order of the text.

    Attributes:
        parts: the other way round.
        labelled: those with an id, in the order of the text.
    """

    __slots__ = ("changes", "key", "labelled", "match", "nones", "parts", "references")

    def __init__(
        self,
        regex: str,
        key: str | None,
        changes: list[tuple[int, Callable[[str], Any]]],
        nones: list[int],
        references: list[int],
        parts: list[Part],
    ):
        self.match: Callable[[str, int], Any] = re.compile(regex).match
        self.key = key
        self.changes = changes
        self.nones = nones
        self.references = references
        self.parts = parts[::-1]
        self.labelled = [part for part in parts if part.is_labelled]


class Family:
    """The patterns of elements whose start tags are alike, but for a key and an id."""

    __slots__ = ("_hits", "_lessons", "_met", "_misses", "patterns")

    def __init__(self) -> None:
        self.patterns: list[Pattern] = []
        self._met = 0
        self._lessons = 0
        self._hits = 0
        self._misses = 0

    def find(self, text: str, position: int) -> Pattern | None:
        """The pattern that matches a text there: tried first the next time."""
        for pattern in self.patterns:
            if pattern.match(text, position) is not None:
                self._hits += 1
                if pattern is not self.patterns[0]:
                    self.patterns.remove(pattern)
                    self.patterns.insert(0, pattern)
                return pattern
        self._misses += 1
        if self._misses > _MISSES + 3 * self._hits:
            self.patterns = []
            self._lessons = _LESSONS
        return None

    def wants(self) -> bool:
        """Whether an element that was read without a pattern should become one."""
        self._met += 1
        if self._met < _MET or self._lessons >= _LESSONS:
            return False
        self._met = 0
        self._lessons += 1
        return True

    def learn(self, pattern: Pattern | None) -> None:
        """Add the pattern of such an element, if it can have one."""
        if pattern is not None:
            self.patterns.insert(0, pattern)
            del self.patterns[_MOST:]
