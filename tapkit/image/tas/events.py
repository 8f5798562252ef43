"""What a survey says is to be written, beside nodes, and what it writes of which nodes."""

from __future__ import annotations

from typing import NamedTuple

from tapkit.image.nodes import ATOMS, ENTRIES, ITEMS, REDUCE, Dict, Global, Node, Object

BEGIN = "begin"  # a shell
MAKE = "make"  # an object, none of its steps
STEP = "step"  # one step of an object
DISCARD = "discard"  # a call whose result nobody wants

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


def is_leaf(node: Node) -> bool:
    """Whether a node is a dict or list of nothing but atoms."""
    return (type(node) is Dict or type(node) is list) and ATOMS.issuperset(map(type, node))


def is_whole(node: Object) -> bool:
    """Whether an object that is not plain is made by one expression."""
    steps = node.steps
    if not steps:
        return True
    call = node.call
    if node.how != REDUCE or len(steps) != 2 or type(call) is not Global or not steps[1]:
        return False
    return bool(FILLED.get((call.module, call.name)) == steps[0])
