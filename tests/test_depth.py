"""Depth: the flat pickler saves what plain pickle dies of."""

from __future__ import annotations

import collections
import dataclasses
import gc
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tapkit.errors import ImageError
from tapkit.image import dumping, live
from tests.random_graphs import flat_dumps

MILLION = 1_000_000
FEW = 10_000  # far beyond any recursion limit


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """The collector looks at a million objects again and again: these tests are about depth."""
    gc.disable()
    yield
    gc.enable()


class Link:
    """A link of a chain."""

    next: Any = None
    back: Any = None


class SlotLink:
    """A link without `__dict__`."""

    __slots__ = ("back", "next")

    def __init__(self) -> None:
        self.next = self.back = None


@dataclasses.dataclass
class DataLink:
    """A link that compares by value, and so has no hash."""

    next: Any = None
    back: Any = None


@dataclasses.dataclass(frozen=True)
class FrozenLink:
    """A link whose hash is its state's."""

    next: Any = None


class HashedLink(Link):
    """A link whose hash is its own matter."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return self is other


class TupleLink(collections.namedtuple("TupleLink", "next")):
    """A link made by a call with the next as its argument."""


class ListLink(list):  # type: ignore[type-arg]
    """A link that holds the next as a list item."""


def chain(kind: Any, length: int, double: bool = False, wrap: Callable[[Any], Any] = lambda x: x):
    """A chain of `length` links, made from the last to the first."""
    link = None
    for _ in range(length):
        before = kind()
        before.next = wrap(link)
        if double and link is not None:
            link.back = before
        link = before
    return link


def length_of(link: Any, unwrap: Callable[[Any], Any] = lambda x: x) -> int:
    count = 0
    while link is not None:
        link, count = unwrap(link.next), count + 1
    return count


@pytest.mark.slow
def test_a_million_links() -> None:
    """A chain of a million objects saves and loads."""
    loaded = pickle.loads(flat_dumps(chain(Link, MILLION)))
    assert length_of(loaded) == MILLION


@pytest.mark.parametrize("double", [False, True], ids=["single", "double"])
@pytest.mark.parametrize("kind", [Link, SlotLink, DataLink, HashedLink])
def test_long_chains(kind: Any, double: bool) -> None:
    """Chains of every kind of instance save and load, linked one way and both ways."""
    loaded = pickle.loads(flat_dumps(chain(kind, FEW, double)))
    assert length_of(loaded) == FEW
    if double:
        link, count = loaded, 0
        while link.next is not None:
            assert link.next.back is link
            link, count = link.next, count + 1
        assert count == FEW - 1


@pytest.mark.parametrize(
    ("wrap", "unwrap"),
    [
        (lambda x: [x], lambda x: x[0]),
        (lambda x: (x,), lambda x: x[0]),
        (lambda x: {"to": [x]}, lambda x: x["to"][0]),
        (lambda x: collections.deque([x]), lambda x: x[0]),
    ],
    ids=["list", "tuple", "dict", "deque"],
)
def test_long_chains_through_containers(wrap: Any, unwrap: Any) -> None:
    """Containers between the links make no difference."""
    loaded = pickle.loads(flat_dumps(chain(Link, FEW, wrap=wrap)))
    assert length_of(loaded, unwrap) == FEW


def test_long_chains_of_calls() -> None:
    """Where the next link is an argument of a call, or hashed by its value."""
    link, frozen, items = None, None, ListLink()
    for _ in range(FEW):
        link, frozen, items = TupleLink(link), FrozenLink(frozen), ListLink([items])
    link, frozen, items = pickle.loads(flat_dumps([link, frozen, items]))
    assert length_of(link) == FEW
    assert length_of(frozen) == FEW
    depth = 0
    while items:
        items, depth = items[0], depth + 1
    assert depth == FEW


@pytest.mark.parametrize("shared", [list, dict], ids=["list", "dict"])
def test_long_chains_with_a_shared_container(shared: Any) -> None:
    """Every link knows the container that holds all of them: dumping.dumps finds a way."""
    first = chain(Link, FEW, double=True)
    everything = shared()
    link = first
    while link is not None:
        link.all = everything
        everything.append(link) if shared is list else everything.setdefault(link, 1)
        link = link.next
    for root in (first, everything):
        loaded = live.loads(dumping.dumps(root).payload)
        head = loaded if root is first else next(iter(loaded))
        assert length_of(head) == FEW == len(head.all)


@pytest.mark.parametrize("kind", [list, tuple, dict], ids=["list", "tuple", "dict"])
def test_deep_containers(kind: Any) -> None:
    """Containers in containers, 50,000 deep."""
    root: Any = kind()
    for _ in range(50_000):
        root = {"in": root} if kind is dict else kind([root, 1])
    loaded = pickle.loads(flat_dumps(root))
    depth = 0
    while loaded:
        loaded, depth = loaded["in" if kind is dict else 0], depth + 1
    assert depth == 50_000


def _back(length: int) -> Any:
    """Lists that hold their neighbours on both sides."""
    first: list[Any] = []
    last = first
    for _ in range(length):
        added = [last]
        last.append(added)
        last = added
    return first


def _keyed(length: int) -> Any:
    """Objects hashed by their value that know the dict they are keys of."""
    table: dict[Any, Any] = {}
    link = chain(HashedLink, length, double=True)
    link.all = table
    table[link] = 1
    return table


@pytest.mark.parametrize("make", [_back, _keyed], ids=["lists", "keys"])
def test_what_is_left_to_recursion(make: Callable[[int], Any]) -> None:
    """Cycles of containers alone: saved where plain pickle could, refused in words beyond it.

    Also where the stack is small: never a crash.
    """
    assert len(pickle.loads(flat_dumps(make(60)))) == 1
    said: list[str] = []

    def dump() -> None:
        try:
            dumping.dumps(make(FEW), "application")
        except ImageError as error:
            said.append(str(error))

    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=dump)
        thread.start()
        thread.join(60)
    finally:
        threading.stack_size(before)
    assert len(said) == 1
    assert "nested too deep: application" in said[0]
    assert len(said[0]) < 500
