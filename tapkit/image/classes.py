"""The classes of a graph, met while it is pickled: what a `.tap`'s header tells of them.

Counting costs a pickler one addition an object. The names of attributes are taken from the first
`LOOKED_AT` instances of each class alone: from all of them they would make a save half as long
again. `schema.table` has all, and takes as long as reading the whole image.
"""

from __future__ import annotations

import copyreg
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tapkit import styles
from tapkit.names import qualified_name
from tapkit.records import Record

LOOKED_AT = 100
MOST_CLASSES = 2000
MOST_ATTRIBUTES = 200
_LONGEST_NAME = 500  # characters; with the limits above a table stays far below a header's 1 MiB
_MOST_CHARACTERS = 200_000

_UNSAID = (type, types.FunctionType, types.ModuleType, types.CodeType)
"""What is saved by name, or as code: no class's instances to those who read the table."""


class ClassSummary(Record):
    """What is known of a class without reading the image.

    Attributes:
        count: its instances.
        version: its own `persistenceVersion` when it was saved; None: it has none.
        attributes: names of its instances' attributes, as far as they were looked at.
    """

    count: int
    version: int | None = None
    attributes: tuple[str, ...] = ()


class Met:
    """A type that a pickler has met.

    Attributes:
        hook: what the pickler has to call for each object of it, if anything.
        count: how many it has met.
    """

    __slots__ = ("_hook", "attributes", "count", "hook", "kind")

    def __init__(self, kind: type, hook: Callable[[Any], Any] | None, looks: bool):
        self.kind = kind
        self.count = 0
        self.attributes: dict[str, None] = {}
        self._hook = self.hook = hook
        if looks:
            self.hook = self._look

    def _look(self, obj: Any) -> Any:
        self.attributes.update(dict.fromkeys(_names(obj)))
        if self.count >= LOOKED_AT:
            self.hook = self._hook
        return NotImplemented if self._hook is None else self._hook(obj)


def is_told(kind: type) -> bool:
    """Whether instances of a type are somebody's objects, and not a part of the language."""
    return not issubclass(kind, _UNSAID) and kind.__module__ != "builtins"


def of_types(met: Iterable[Met]) -> dict[str, ClassSummary]:
    """The table of the types that a pickler has met."""
    return told(
        (qualified_name(each.kind), each.count, _version(each.kind), each.attributes)
        for each in met
    )


def told(rows: Iterable[tuple[str, int, int | None, Iterable[str]]]) -> dict[str, ClassSummary]:
    """The table of names, counts, versions and attributes: the most frequent first, within the
    limits of a header."""
    table: dict[str, ClassSummary] = {}
    left = _MOST_CHARACTERS
    for name, count, version, attributes in sorted(rows, key=lambda row: -row[1]):
        names = sorted(attributes)[:MOST_ATTRIBUTES]
        left -= len(name) + sum(map(len, names))
        if len(table) == MOST_CLASSES or left < 0:
            break
        table[name] = ClassSummary(count, version, tuple(names))
    return table


def packed(rows: Mapping[str, ClassSummary]) -> dict[str, list[Any]]:
    """The table as msgpack can hold it."""
    return {_text(n): [r.count, r.version, [*map(_text, r.attributes)]] for n, r in rows.items()}


def unpacked(found: Any) -> dict[str, ClassSummary]:
    """The table that `packed` made.

    Raises:
        ValueError: it did not.
    """
    rows = {}
    for name, (count, version, attributes) in found.items():
        if type(count) is not int or count < 0 or type(version) not in (int, type(None)):
            raise ValueError("a class's numbers make no sense")
        if type(attributes) is not list or not all(type(each) is str for each in attributes):
            raise ValueError("a class's attributes make no sense")
        rows[name] = ClassSummary(count, version, tuple(attributes))
    return rows


def _names(obj: Any) -> Iterable[str]:
    """The attributes of an object that are saved; its own `__getstate__` is not asked."""
    kind = type(obj)
    slots = copyreg._slotnames(kind)  # type: ignore[attr-defined]
    names = [*getattr(obj, "__dict__", ()), *slots]
    forgotten = styles.forgotten(kind) if isinstance(obj, styles.Persistent) else ()
    return [name for name in names if type(name) is str and name not in forgotten]


def _version(kind: type) -> int | None:
    return kind.persistenceVersion if issubclass(kind, styles.Versioned) else None


def _text(name: str) -> str:
    return name[:_LONGEST_NAME].encode("utf-8", "backslashreplace").decode()
