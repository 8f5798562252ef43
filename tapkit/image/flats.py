"""The nodes that are flat lists: dict, set and frozenset. What they mean is told in `nodes`.

They stand apart because `nodes` can be compiled (see setup.py), and a compiled class can't be a
list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class Dict(list[Any]):
    """Keys and values by turns. A key that comes twice counts as unpickling has it: last wins."""

    __slots__ = ()

    def items(self) -> Iterator[tuple[Any, Any]]:
        """(key, value) pairs."""
        entries = iter(self)
        return zip(entries, entries, strict=True)

    @classmethod
    def of(cls, pairs: Iterable[tuple[Any, Any]]) -> Dict:
        """The node with these (key, value) pairs."""
        return cls(part for pair in pairs for part in pair)


class Set(list[Any]):
    """Members, in the order of the stream, which means nothing."""

    __slots__ = ()


class FrozenSet(list[Any]):
    """Members. Complete before anything can refer to it, as a tuple is."""

    __slots__ = ()
