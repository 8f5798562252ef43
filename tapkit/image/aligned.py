"""Which item of one list is which of another: so that an insertion is one difference.

Items are compared by fingerprints, which are cheap and say little: their class, and the values
they hold themselves. First what has the same fingerprint is matched, then, in the gaps between,
what is of the same class and name, and then by position. Nothing here takes more than
n log n steps in the length of the lists, but for short ones.
"""

from __future__ import annotations

import difflib
import itertools
import struct
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from tapkit.image.facets import Facets
from tapkit.image.nodes import ATOMS, KINDS, Global, Node, Object, children

Pair = tuple[int | None, int | None]
"""Two positions; None where there is nothing to match."""

SHORT = 256
"""Items: longer lists are matched by what comes once alone, in n log n instead of n * n steps."""

_LOOKED_AT = 64  # parts of an item that its fingerprint knows


def fingerprint(node: Node) -> Hashable:
    """What is cheaply known of a node: equal for equal nodes."""
    if type(node) in ATOMS:
        return _value(node)
    if type(node) is Object:
        facets = Facets(node)
        parts = itertools.chain(
            sorted(_pairs(facets.attributes), key=lambda pair: pair[0]),
            facets.args if type(facets.args) is tuple else (),
            facets.items,
            facets.entries,
        )
        return (Object, _value(facets.maker), *map(_part, itertools.islice(parts, _LOOKED_AT)))
    return (type(node), *map(_part, itertools.islice(children(node), _LOOKED_AT)))


def kindred(node: Node) -> Hashable:
    """What two nodes have in common that are the same thing, changed: class and name."""
    if type(node) is not Object:
        return KINDS[type(node)]
    facets = Facets(node)
    names = [value for key, value in _pairs(facets.attributes) if key == "name"]
    return (_value(facets.maker), names[-1] if names and type(names[-1]) is str else None)


def align(mine: Sequence[Node], theirs: Sequence[Node]) -> Iterator[Pair]:
    """Each position of two lists, matched with one of the other as far as possible, in order."""
    start = _common(mine, theirs)
    yield from ((at, at) for at in range(start))
    end = _common(
        mine[: start - 1 if start else None : -1], theirs[: start - 1 if start else None : -1]
    )
    left, right = range(start, len(mine) - end), range(start, len(theirs) - end)
    for gap, other_gap, same in _matched(left, right, mine, theirs, fingerprint):
        for one, other, akin in _matched(gap, other_gap, mine, theirs, kindred):
            yield from itertools.zip_longest(one, other)
            yield from akin
        yield from same
    yield from zip(
        range(len(mine) - end, len(mine)), range(len(theirs) - end, len(theirs)), strict=True
    )


def match_members(mine: Sequence[Node], theirs: Sequence[Node]) -> list[Pair]:
    """Each position of two sets' members, matched whatever their order."""
    waiting: defaultdict[Hashable, list[int]] = defaultdict(list)
    for at in range(len(theirs) - 1, -1, -1):
        waiting[fingerprint(theirs[at])].append(at)
    found: list[Pair] = []
    alone = []
    for at, node in enumerate(mine):
        same = waiting.get(fingerprint(node))
        if same:
            found.append((at, same.pop()))
        else:
            alone.append(at)
    left = sorted(at for places in waiting.values() for at in places)
    return found + _match_kindred(mine, theirs, alone, left)


def _match_kindred(
    mine: Sequence[Node], theirs: Sequence[Node], alone: list[int], left: list[int]
) -> list[Pair]:
    """Objects of the same class and name are one, changed; values are different ones."""
    waiting: defaultdict[Hashable, list[int]] = defaultdict(list)
    for to in reversed(left):
        if type(theirs[to]) is Object:
            waiting[kindred(theirs[to])].append(to)
    found: list[Pair] = []
    for at in alone:
        same = waiting.get(kindred(mine[at])) if type(mine[at]) is Object else None
        found.append((at, same.pop() if same else None))
    taken = {to for _, to in found}
    return found + [(None, to) for to in left if to not in taken]


def _common(mine: Sequence[Node], theirs: Sequence[Node]) -> int:
    """How many items at the beginning are alike."""
    count = 0
    for one, other in zip(mine, theirs, strict=False):
        if type(one) is not type(other) or fingerprint(one) != fingerprint(other):
            break
        count += 1
    return count


def _matched(
    left: range, right: range, mine: Sequence[Node], theirs: Sequence[Node], key: Any
) -> Iterator[tuple[range, range, list[Pair]]]:
    """By turns: what is not matched on either side, and the pair that is after it."""
    if not left or not right:
        yield left, right, []
        return
    matches = _in_order([key(mine[at]) for at in left], [key(theirs[at]) for at in right])
    at, to = left.start, right.start
    for offset, other in matches:
        one, two = left.start + offset, right.start + other
        yield range(at, one), range(to, two), [(one, two)]
        at, to = one + 1, two + 1
    yield range(at, left.stop), range(to, right.stop), []


def _in_order(mine: list[Hashable], theirs: list[Hashable]) -> Iterator[tuple[int, int]]:
    """Positions of what is equal, ascending on both sides."""
    if max(len(mine), len(theirs)) > SHORT:
        yield from _of_unique(mine, theirs)
        return
    matcher = difflib.SequenceMatcher(None, mine, theirs, autojunk=False)
    for at, to, length in matcher.get_matching_blocks():
        yield from zip(range(at, at + length), range(to, to + length), strict=True)


def _of_unique(mine: list[Hashable], theirs: list[Hashable]) -> list[tuple[int, int]]:
    """As `_in_order`, for what comes once on each side: the longest ascending sequence."""
    places = _once(theirs)
    pairs = [(at, places[key]) for key, at in _once(mine).items() if key in places]
    ends: list[int] = []
    last: list[int] = []  # of the pair that ends the best sequence of each length
    before: list[int | None] = []
    for number, (_, to) in enumerate(pairs):
        length = bisect_left(ends, to)
        ends[length : length + 1] = [to]
        last[length : length + 1] = [number]
        before.append(last[length - 1] if length else None)
    found = []
    number_or_none = last[-1] if last else None
    while number_or_none is not None:
        found.append(pairs[number_or_none])
        number_or_none = before[number_or_none]
    return found[::-1]


def _once(keys: list[Hashable]) -> dict[Hashable, int]:
    places: dict[Hashable, int] = {}
    for at, key in enumerate(keys):
        places[key] = -1 if key in places else at
    return {key: at for key, at in places.items() if at >= 0}


def _pairs(entries: list[Node]) -> list[tuple[Node, Node]]:
    return list(zip(entries[::2], entries[1::2], strict=False))


def _part(part: Node) -> Hashable:
    """A part of a node, from afar. What is below does not count: it may lead anywhere."""
    if type(part) is tuple and len(part) == 2 and type(part[0]) is str:
        return (part[0], _value(part[1]))  # an attribute
    return _value(part)


def _value(node: Node) -> Hashable:
    kind = type(node)
    if kind is float:
        return (float, struct.pack(">d", node))
    if kind in ATOMS:
        return (kind, node)
    if kind is Global:
        return node  # type: ignore[no-any-return]
    if kind is Object and type(node.call) is Global:
        return (Object, node.call)
    return KINDS[kind]
