"""What an object holds, in the order the C pickler writes it; leaves are left out."""

from __future__ import annotations

import datetime
import pickle
import types
from collections.abc import Callable, Collection
from typing import Any

LEAVES = frozenset(
    {type(None), bool, int, float, complex, str, bytes, bytearray, type, range, slice}
    | {type(Ellipsis), type(NotImplemented), pickle.PickleBuffer}
    | {datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone}
)
"""Types that hold nothing: what the C pickler writes in a step or two."""

only_leaves = LEAVES.issuperset


def items(values: Collection[Any]) -> list[Any]:
    """What a list, tuple or set holds."""
    if only_leaves(map(type, values)):
        return []
    return [value for value in values if type(value) not in LEAVES]


def entries(mapping: dict[Any, Any]) -> list[Any]:
    """What a dict holds: its keys and values."""
    values = mapping.values()
    if only_leaves(map(type, mapping)):
        if only_leaves(map(type, values)):
            return []
        return [value for value in values if type(value) not in LEAVES]
    return [part for entry in mapping.items() for part in entry if type(part) not in LEAVES]


SCANS: dict[type, Callable[[Any], list[Any]]] = {
    list: items,
    tuple: items,
    dict: entries,
    set: items,
    frozenset: items,
}
"""The containers that the C pickler takes apart without asking anybody."""


def state(reduction: Any) -> tuple[list[Any], Any]:
    """What an instance holds but for its arguments, and its reduction.

    The iterators of items and entries can be looked at only once: in the reduction that is
    returned they are new ones.
    """
    kids: list[Any] = []
    length = len(reduction)
    if length < 3:
        return kids, reduction
    if length > 3 and not (reduction[3] is None and (length == 4 or reduction[4] is None)):
        appended = list(reduction[3] or ())
        set_later = list(reduction[4] or () if length > 4 else ())
        reduction = (*reduction[:3], iter(appended), iter(set_later), *reduction[5:])
        kids += items(appended)
        for entry in set_later:
            kids += items(entry)
    found = reduction[2]
    if type(found) is dict:
        return kids + entries(found), reduction
    if type(found) not in LEAVES:
        kids.append(found)
    return kids, reduction


def hashes_by_value(container: Any) -> bool:
    """Whether a dict's or set's layout may depend on the state of its members."""
    if only_leaves(map(type, container)):
        return False
    kinds = set(map(type, container)) - LEAVES - {types.MethodType, types.BuiltinFunctionType}
    return any(kind in SCANS or hashed_by_value(kind) for kind in kinds)


def hashed_by_value(kind: Any) -> bool:
    """Whether the hash of an instance may depend on its state."""
    return kind.__hash__ is not object.__hash__
