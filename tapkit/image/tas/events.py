"""What a survey says is to be written, beside nodes, and what it writes of which nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tapkit.image.nodes import (
    AGAIN,
    ATOMS,
    ENTRIES,
    ITEMS,
    NEWOBJ,
    REDUCE,
    Dict,
    Global,
    Node,
    Object,
)

BEGIN = "begin"  # a shell
MAKE = "make"  # an object, none of its steps
STEP = "step"  # one step of an object
DISCARD = "discard"  # a call whose result nobody wants

_FEW = 10  # insertions that cost less than a copy of the list

FILLED = {  # what its call can be given along: the one step that is spelt in it
    ("collections", "deque"): ITEMS,
    ("collections", "OrderedDict"): ENTRIES,
    ("collections", "defaultdict"): ENTRIES,
}


class Event(NamedTuple):
    """Something other than making a node whole."""

    what: str
    node: Node
    number: int = 0


DICT: Final = Dict
"""The type, for the hot loops: a compiler looks up neither this nor `ATOM_KINDS` in a dict."""
ATOM_KINDS: Final = ATOMS


def is_leaf(node: Node) -> bool:
    """Whether a node is a dict or list of nothing but atoms."""
    if type(node) is not DICT and type(node) is not list:
        return False
    parts: list[Node] = node
    for part in parts:  # noqa: SIM110  # a generator would cost more than all of this
        if type(part) not in ATOM_KINDS:
            return False
    return True


def is_whole(node: Object) -> bool:
    """Whether an object that is not plain is made by one expression."""
    steps = node.steps
    if not steps:
        return True
    call = node.call
    if node.how != REDUCE or len(steps) != 2 or type(call) is not Global or not steps[1]:
        return False
    return bool(FILLED.get((call.module, call.name)) == steps[0])


def is_bare(node: Node) -> bool:
    """Whether a node is an instance without anything: named all the same, as all instances."""
    return type(node) is Object and node.how == NEWOBJ and node.args == ()


def dropped_in(node: Object, depth: int) -> Object | None:
    """What is made in this place and dropped, because the object was made inside of it."""
    outer = [value for verb, value in node.each_step() if verb == AGAIN]
    return outer[-1 - depth] if depth < len(outer) else None


def inserted(items: list[Any], positions: list[int], new: Sequence[Any]) -> list[Any]:
    """A list with each new item before what was at its position; it may be the same list."""
    if len(positions) <= _FEW:
        for position, item in zip(reversed(positions), reversed(new), strict=True):
            items.insert(position, item)
        return items
    found: list[Any] = []
    done = 0
    for position, item in zip(positions, new, strict=True):
        found += items[done:position]
        found.append(item)
        done = position
    return found + items[done:]
