"""The words of a generated `.tas`: which names mean what, for its writer and its reader."""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from tapkit import source

HELPERS = frozenset(
    {"instance", "new", "make", "complete", "set_state", "set_items", "set_entries"}
    | {"set_members", "effect", "again", "discard", "pickled", "nan", "buffer", "lookup"}
    | {"nested", "dataclass_fields", "namedtuple_fields"}
)
"""What `tapkit.source` has for generated files."""

_TYPES = "bool bytearray bytes complex dict float frozenset int list memoryview object range"
_TYPES += " set slice str tuple type Ellipsis NotImplemented getattr print len sorted"
_NEW = {"BaseExceptionGroup", "ExceptionGroup", "PythonFinalizationError"}
BUILTINS = frozenset(_TYPES.split()) | {
    name
    for name, thing in vars(builtins).items()
    if isinstance(thing, type) and issubclass(thing, BaseException) and name not in _NEW
    if thing.__name__ == name  # not IOError, which is OSError
}
"""Builtins that need no import, on any supported Python."""

LINKS = "# Links back: these objects refer to each other."
"""Above the assignments that come last."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")

ClassName = tuple[str, str]
"""A module and a qualified name."""


class Known(NamedTuple):
    """What a writer may know of the application's classes, which it does not import.

    Attributes:
        dataclasses: the fields of each whose call makes what `instance` would.
        namedtuples: the fields of each.
        assignable: those whose instances may get an attribute by assignment, after their
            `__setstate__` was called without it. (tapkit's own are known to.)
    """

    dataclasses: Mapping[ClassName, tuple[str, ...]] = {}
    namedtuples: Mapping[ClassName, tuple[str, ...]] = {}
    assignable: Collection[ClassName] = frozenset()


NOTHING = Known()


def learn(names: Iterable[ClassName]) -> Known:
    """What is known of the classes of these names that are imported already. Imports nothing."""
    dataclasses: dict[ClassName, tuple[str, ...]] = {}
    namedtuples: dict[ClassName, tuple[str, ...]] = {}
    assignable: set[ClassName] = set()
    for module, name in names:
        thing = vars(sys.modules[module]).get(name) if module in sys.modules else None
        if not isinstance(thing, type):
            continue
        fields = source.plain_dataclass(thing)
        if fields is not None:
            dataclasses[module, name] = fields
        fields = source.plain_namedtuple(thing)
        if fields is not None:
            namedtuples[module, name] = fields
        if source.assignable(thing):
            assignable.add((module, name))
    return Known(dataclasses, namedtuples, assignable)


def docstring(name: str, variable: str) -> str:
    """What a file begins with: what it is, and how it is run.

    Parameters:
        name: the application's, or nothing.
        variable: what stands for all of the image.
    """
    file = name if _PLAIN_NAME.fullmatch(name) else variable
    what = f"{file}: application image" if name else "The image of an object"
    return f'"""{what}, Python source. Run it with `twistd -s {file}.tas`."""'
