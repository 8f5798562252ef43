"""Random graphs of every kind of object that a pickler treats differently, and their shape."""

from __future__ import annotations

import collections
import dataclasses
import io
import random
from collections.abc import Iterator
from typing import Any

from tapkit.image import flat, modes

EVENTS: list[Any] = []
"""What loading did, in order: tests compare it with plain pickle's."""


class Plain:
    """State by `__dict__`."""

    def __init__(self, label: int):
        self.label = label


class Watched(Plain):
    """Says when its state arrives."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        EVENTS.append(("state", self.label))


class Hashed(Plain):
    """Its hash and equality read its state: incomplete, it can't be a key."""

    def __hash__(self) -> int:
        return hash(self.label)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hashed) and other.label == self.label


class Slotted:
    """State by slots."""

    __slots__ = ("__weakref__", "a", "b", "c", "label")

    def __init__(self, label: int):
        self.label = label


@dataclasses.dataclass(eq=False)
class Record:
    """A dataclass."""

    label: int
    a: Any = None
    b: Any = None
    c: Any = None


class Listed(list):  # type: ignore[type-arg]
    """State by list items, and a `__dict__`."""

    def __init__(self, label: int = -1):
        super().__init__()
        self.label = label


class Mapped(collections.OrderedDict):  # type: ignore[type-arg]
    """State by dict entries, and a `__dict__`."""

    def __init__(self, label: int = -1):
        super().__init__()
        self.label = label

    def __reduce__(self) -> Any:
        return Mapped, (), vars(self), None, iter(self.items())


class Made:
    """Made by a call whose argument must be complete by then."""

    def __init__(self, label: int, of: Any):
        self.label = label
        self.of = of
        EVENTS.append(("made", label, seen_of(of)))

    def __reduce__(self) -> Any:
        return Made, (self.label, self.of), {k: v for k, v in vars(self).items() if k in "abc"}


KINDS = (Plain, Watched, Hashed, Slotted, Record, Listed, Mapped)


def seen_of(obj: Any, levels: int = 2) -> Any:
    """What a constructor can see of its argument: the attributes that are there by then."""
    if type(obj) in (list, tuple):
        return [seen_of(each, levels - 1) for each in obj[:3]] if levels else len(obj)
    return [name for name in ("a", "b", "c", "label") if hasattr(obj, name)]


def a_graph(seed: int, size: int) -> Any:
    """A random graph: objects of all kinds in containers in objects, with cycles and sharing."""
    chance = random.Random(seed)
    nodes: list[Any] = [chance.choice(KINDS)(label) for label in range(size)]
    pool: list[Any] = list(nodes)
    for number in range(size // 2):
        pool.append(_container(chance, pool))
        if chance.random() < 0.3:
            nodes.append(Made(size + number, chance.choice(pool)))
            pool.append(nodes[-1])
    for node in nodes:
        for name in chance.sample("abc", chance.randint(0, 3)):
            setattr(node, name, chance.choice(pool) if chance.random() < 0.8 else name)
        if isinstance(node, Listed):
            node.extend(chance.choices(pool, k=2))
        if isinstance(node, Mapped):
            node[chance.randint(0, 9)] = chance.choice(pool)
    _tie_containers(chance, nodes, pool)
    root = chance.choice(nodes[:1] + pool)
    return [root, *nodes] if chance.random() < 0.5 else root


def _container(chance: random.Random, pool: list[Any]) -> Any:
    some = chance.choices(pool, k=chance.randint(0, 3))
    kind = chance.choice((list, tuple, dict, dict, set, frozenset, collections.deque))
    if kind is dict:
        keyed = chance.random() < 0.4
        return {each if keyed and _hashable(each) else i: each for i, each in enumerate(some)}
    if kind in (set, frozenset):
        return kind(each for each in some if hasattr(each, "label") and _hashable(each))
    return kind(some)


def _tie_containers(chance: random.Random, nodes: list[Any], pool: list[Any]) -> None:
    """Put something into containers that may hold them themselves."""
    for each in pool:
        if type(each) is list and chance.random() < 0.3:
            each.append(chance.choice(pool))
        if type(each) is dict and chance.random() < 0.3:
            key = chance.choice(nodes)
            each[key if _hashable(key) else "late"] = chance.choice(pool)


def _hashable(obj: Any) -> bool:
    try:
        hash(obj)
    except TypeError:
        return False
    return True


def shape(root: Any) -> list[Any]:
    """A graph as a list that is equal for isomorphic graphs, identities included."""
    return [_told(obj, number, again) for obj, number, again in _walk(root)]


def made_of(root: Any) -> list[Any]:
    """The events that making every `Made` would be, had each argument been complete by then."""
    return [
        ("made", obj.label, seen_of(obj.of))
        for obj, _, again in _walk(root)
        if isinstance(obj, Made) and not again
    ]


def _told(obj: Any, number: int, again: bool) -> Any:
    if number < 0:
        return obj
    return ("again", number) if again else (type(obj).__qualname__, len(list(_kids(obj))))


def _walk(root: Any) -> Iterator[tuple[Any, int, bool]]:
    """Each reference in the graph: (object, its number or -1 for an atom, met before)."""
    numbers: dict[int, int] = {}
    todo = [root]
    keep = []
    while todo:
        obj = todo.pop()
        if obj is None or isinstance(obj, (int, str)):
            yield obj, -1, False
        elif id(obj) in numbers:
            yield obj, numbers[id(obj)], True
        else:
            numbers[id(obj)] = len(numbers)
            keep.append(obj)
            yield obj, numbers[id(obj)], False
            todo += reversed(list(_kids(obj)))


def _kids(obj: Any) -> Iterator[Any]:
    if isinstance(obj, (set, frozenset)):
        yield from sorted(obj, key=lambda member: (type(member).__qualname__, member.label))
    elif isinstance(obj, dict):
        for key, value in obj.items():
            yield key
            yield value
    elif isinstance(obj, (list, tuple, collections.deque)):
        yield from obj
    for name in ("label", "a", "b", "c", "of"):
        if hasattr(obj, name):
            yield name
            yield getattr(obj, name)


def flat_dumps(obj: Any, buffer_callback: Any = None, mode: Any = None) -> bytes:
    def dump(mode: Any) -> bytes:
        file = io.BytesIO()
        flat.FlatPickler(file, buffer_callback=buffer_callback, mode=mode).dump(obj)
        return file.getvalue()

    return dump(mode) if mode else modes.in_first_mode(dump)
