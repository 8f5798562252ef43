"""Which node of a new image is which of an old one, so that ids and places of definition survive.

A shared object is written once and referred to elsewhere. Where a file has it, it shall stay:
not where the graph happens to meet it first. Old and new graph are walked together from their
roots, along the attributes, keys and members that both have and along which the old file has
the definitions. What is met on both sides is taken for the same thing.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

from tapkit.image.naming import shared
from tapkit.image.nodes import (
    AGAIN,
    ATOMS,
    EFFECT,
    STATE,
    VALUES,
    Dict,
    FrozenSet,
    Global,
    Image,
    Node,
    Object,
    Set,
)
from tapkit.image.tax.alignment import aligned
from tapkit.image.tax.builder import Builder
from tapkit.image.tax.parts import Away

_FLAT = frozenset({list, tuple, Set, FrozenSet})


class Edge(NamedTuple):
    """A way from one node to another.

    Attributes:
        holder: the list, Dict or tuple the node is in, and its place there; None for the parts
            of an object that are in none.
    """

    node: Node
    holder: Any
    place: int


def homes(
    old: Image, builder: Builder, new: Image
) -> tuple[dict[int, str], dict[int, dict[int, Away]]]:
    """(ids, away) for the writer of the new image, from the reading of the old."""
    labels = {id(node): label for label, node in builder.ids.items()}
    ids: dict[int, str] = {}
    home: dict[int, tuple[int, int]] = {}
    taken: set[int] = set()
    met: set[int] = set()
    todo = [(Edge(old.root, None, 0), Edge(new.root, None, 0))]
    while todo:
        one, other = todo.pop()
        if id(one.node) in met or _is_reference(one, builder):
            continue
        met.add(id(one.node))
        if id(other.node) in taken:
            continue
        taken.add(id(other.node))
        if id(one.node) in labels:
            ids[id(other.node)] = labels[id(one.node)]
        home[id(other.node)] = (id(other.holder), other.place)
        todo += reversed(list(_common(one.node, other.node)))
    return ids, _away(new, home)


def _is_reference(edge: Edge, builder: Builder) -> bool:
    holder = builder.aliases.get(id(edge.holder), edge.holder)
    return (id(holder), edge.place) in (builder.references or ())


def _away(new: Image, home: dict[int, tuple[int, int]]) -> dict[int, dict[int, Away]]:
    """The places in the new graph that hold a node whose home is another place."""
    many = shared(new)
    away: dict[int, dict[int, Away]] = {}
    seen: set[int] = set()
    todo = [new.root, *new.discarded]
    while todo:
        node = todo.pop()
        if type(node) in VALUES or node == () or id(node) in seen:
            continue
        seen.add(id(node))
        for edge in _edges(node):
            kid = edge.node
            if type(kid) in VALUES:
                continue
            if id(kid) in home and id(kid) in many and edge.holder is not None:
                place = (id(edge.holder), edge.place)
                if home[id(kid)] != place and home[id(kid)][0] != id(None):
                    away.setdefault(place[0], {})[place[1]] = Away(kid)
            todo.append(kid)
    return away


def _edges(node: Node) -> Iterator[Edge]:
    kind = type(node)
    if kind in _FLAT or kind is Dict:
        for place, kid in enumerate(node):
            yield Edge(kid, node, place)
    elif kind is Object:
        yield Edge(node.call, None, 0)
        yield from (Edge(kid, None, 0) for kid in (node.args, node.kwargs) if kid is not None)
        for verb, value in node.each_step():
            if verb in (STATE, EFFECT, AGAIN):
                yield Edge(value, None, 0)
            else:
                yield from (Edge(kid, value, place) for place, kid in enumerate(value))


def _common(old: Node, new: Node) -> Iterator[tuple[Edge, Edge]]:
    """The ways from two nodes that go the same way, to nodes that have an identity."""
    if type(old) is not type(new):
        return
    for one, other in _all_common(old, new):
        if type(one.node) not in VALUES and type(one.node) is type(other.node):
            yield one, other


def _all_common(old: Node, new: Node) -> Iterator[tuple[Edge, Edge]]:
    kind = type(old)
    if kind is Dict:
        yield from _entries(old, new)
    elif kind in _FLAT:
        yield from _members(old, new)
    elif kind is Object:
        for name in ("call", "args", "kwargs"):
            yield Edge(getattr(old, name), None, 0), Edge(getattr(new, name), None, 0)
        for (verb, one), (other_verb, other) in zip(old.each_step(), new.each_step(), strict=False):
            if verb != other_verb:
                return
            if verb in (STATE, EFFECT, AGAIN):
                yield Edge(one, None, 0), Edge(other, None, 0)
            elif type(one) is Dict:
                yield from _entries(one, other)
            else:
                yield from _members(one, other)


def _entries(old: list[Node], new: list[Node]) -> Iterator[tuple[Edge, Edge]]:
    places = {_print(old[place]): place for place in range(0, len(old), 2)}
    for place in range(0, len(new), 2):
        there = places.get(_print(new[place]))
        if there is not None and type(new[place]) in ATOMS:
            yield Edge(old[there + 1], old, there + 1), Edge(new[place + 1], new, place + 1)


def _members(old: Any, new: Any) -> Iterator[tuple[Edge, Edge]]:
    pairs = aligned([_prints(node) for node in old], [_prints(node) for node in new])
    for there, place in pairs:
        yield Edge(old[there], old, there), Edge(new[place], new, place)


def _prints(node: Node) -> tuple[Hashable, Hashable]:
    """(all that is seen of a node without looking deep, what kind of thing it is)"""
    kind = type(node)
    if kind is not Object:
        return _print(node), kind.__name__
    weak = _print(node.call)
    state = node.steps[1] if node.steps[:1] == [STATE] else None
    parts = state if type(state) is Dict else node.args if type(node.args) is tuple else ()
    return (weak, *(_print(part) for part in parts)), weak


def _print(node: Node) -> Hashable:
    kind = type(node)
    if kind in ATOMS:
        return (kind.__name__, repr(node) if kind is float else node)
    if kind is Global:
        return (node.module, node.name)
    return kind.__name__
