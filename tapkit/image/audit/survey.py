"""How often an image imports, calls and builds what: one walk over its nodes, made to be fast.

The walk is a dozen lines of one function because it is what an audit's time goes into: a call
for each object would double it. What is commonest - an instance of a class with its state in a
dict - is only counted; all else is kept for `judgement` to look at.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from itertools import compress

from tapkit.image.audit.called import called
from tapkit.image.nodes import (
    ATOMS,
    KINDS,
    NEWOBJ,
    STATE,
    Buffer,
    Dict,
    FrozenSet,
    Global,
    Image,
    Node,
    Object,
    Set,
    children,
)

Name = tuple[str, str]
"""A module and a qualified name."""

LARGE = 400
"""Keys and values: containers with more are listed by themselves."""

SMALL = 40
"""Keys and values: see `_walk`."""

_HASHED = frozenset({Dict, Set, FrozenSet})
_has_parts = (frozenset(KINDS) - ATOMS - {bytearray, Buffer}).__contains__


@dataclasses.dataclass
class Use:
    """What an image does with a name.

    Attributes:
        referred: how often it is a value: an argument, an attribute.
        called: how often it is called.
        built: how often instances are made of it by its `__new__`.
        states: how many of the objects it makes are given a state: `__setstate__`, if it has one.
        filled: how many of them are given items, entries or members.
    """

    referred: int = 0
    called: int = 0
    built: int = 0
    states: int = 0
    filled: int = 0


class Survey:
    """What a walk over an image found.

    Attributes:
        uses: by name; names that the image imports and does nothing with have a Use of zeros.
        others: every object that is not just a class, built without arguments, and a dict of
            attributes; in about the reverse of the order in which they are written.
        large: dicts and sets with more than LARGE parts.
        objects: how many there are.
    """

    def __init__(self, image: Image):
        self.uses: dict[Name, Use] = {}
        self.large: list[list[Node]] = []
        plain: list[Global] = []
        referred: list[Global] = []
        self.others: list[Object] = []
        _walk([image.root, *image.discarded], plain, referred, self.others, self.large)
        self.objects = len(plain) + len(self.others)
        for name in image.names:
            self.use(Global(*name))
        for made, count in _counted(plain):
            use = self.use(made)
            use.built += count
            use.states += count
        for named, count in _counted(referred):
            self.use(named).referred += count
        for node in self.others:
            self._count(node)

    def use(self, named: Global) -> Use:
        """The Use of a name, a new one if there is none."""
        return self.uses.setdefault((named.module, named.name), Use())

    def _count(self, node: Object) -> None:
        named = called(node)
        if named is None:
            return
        use = self.use(named)
        if node.how.startswith(NEWOBJ):
            use.built += 1
        else:
            use.called += 1
        verbs = set(node.steps[::2])
        use.states += STATE in verbs
        use.filled += bool(verbs & {"items", "entries", "members"})


def _walk(  # see above
    todo: list[Node],
    plain: list[Global],
    referred: list[Global],
    others: list[Object],
    large: list[list[Node]],
) -> None:
    """Every node once, in no order that means anything.

    A small dict that is the state of many is looked into with each of them: cheaper than to
    remember them all.
    """
    seen: set[int] = set()
    see, is_plain, take = seen.add, plain.append, todo.pop
    while todo:
        node = take()
        key = id(node)
        if key in seen:
            continue
        kind = type(node)
        if kind is Object:
            see(key)
            steps = node.steps
            if (
                len(steps) == 2
                and not node.args
                and type(steps[1]) is Dict
                and steps[0] == STATE
                and node.how == NEWOBJ
                and type(node.call) is Global
            ):
                is_plain(node.call)
                node = steps[1]
                if len(node) > SMALL:
                    todo.append(node)
                    continue
            else:
                others.append(node)
                kids = list(children(node))
                if type(node.call) is Global:
                    del kids[0]  # it is counted with the object
                node = kids
        elif kind is Global:
            referred.append(node)
            continue
        elif not _has_parts(kind):
            continue
        else:
            see(key)
            if kind in _HASHED and len(node) > LARGE:
                large.append(node)
        todo += compress(node, map(_has_parts, map(type, node)))


def _counted(found: list[Global]) -> list[tuple[Global, int]]:
    """Each name with how often it was found. By identity first: hashing a Global is slow."""
    by_id = dict(zip(map(id, found), found, strict=True))
    return [(by_id[key], count) for key, count in Counter(map(id, found)).items()]
