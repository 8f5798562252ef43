"""The flat pickler against plain pickle: same graphs, same order, any depth."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import io
import itertools
import pickle
import sys
import unittest
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest

from tapkit.image import flat, modes
from tests import random_graphs
from tests.random_graphs import EVENTS, a_graph, flat_dumps, shape


@pytest.fixture
def parts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every node is a part, however small the graph."""
    monkeypatch.setattr(flat, "LOOSE", 0)


# -- the same as plain pickle


def events_of(payload: bytes) -> tuple[Any, list[Any]]:
    EVENTS.clear()
    return pickle.loads(payload), list(EVENTS)


@pytest.mark.parametrize("size", [3, 6, 12, 25])
@pytest.mark.parametrize("loose", [0, 2, 50])
def test_random_graphs(size: int, loose: int) -> None:
    """What plain cloudpickle loads, the flat pickler loads with the same shape.

    These graphs, and not always others: two in 10,000 are too tangled, see `flat`.
    """
    for seed in range(120):
        check_graph(seed, size, loose)


def check_graph(seed: int, size: int, loose: int) -> None:
    root = a_graph(seed, size)
    try:
        loaded, events = events_of(cloudpickle.dumps(root, protocol=5))
    except AttributeError:
        return  # plain pickle can't: a key's hash needs the key's own dict
    if shape(loaded) != shape(root):
        return  # plain pickle doubles objects: a cycle through the arguments of a call
    made, wanted = (
        sorted(events_made(events), key=str),
        sorted(random_graphs.made_of(loaded), key=str),
    )
    before, flat.LOOSE = flat.LOOSE, loose
    try:
        payload = flat_dumps(root, mode="shells")
    except modes.TangledError:
        payload = flat_dumps(root)
        made = None  # which calls see what is not promised: see `flat`
    finally:
        flat.LOOSE = before
    try:
        loaded, flat_events = events_of(payload)
    except AttributeError:
        assert made is None
        return
    assert shape(loaded) == shape(root)
    if made == wanted:  # every call saw its argument complete
        assert sorted(events_made(flat_events), key=str) == wanted


def events_made(events: list[Any]) -> list[Any]:
    return [event for event in events if event[0] == "made"]


def test_small_graphs_are_plain() -> None:
    """Up to LOOSE instances the stream is cloudpickle's, to the byte."""
    root = [random_graphs.Plain(n) for n in range(flat.LOOSE)]
    root[0].a = root[1].a = root
    root[2].a = root[3]
    assert flat_dumps(root) == cloudpickle.dumps(root, protocol=5)
    more = flat_dumps([random_graphs.Plain(n) for n in range(flat.LOOSE + 1)])
    assert b"tapkit.styles" in more
    assert [each.label for each in pickle.loads(more)] == list(range(flat.LOOSE + 1))


@pytest.mark.usefixtures("parts_at_once")
def test_states_arrive_in_plain_order() -> None:
    """Children before their parent, siblings in their order, also in a cycle."""
    parent = random_graphs.Watched(0)
    kids = [random_graphs.Watched(n) for n in range(1, 5)]
    for kid in kids:
        kid.a = parent
        kid.b = random_graphs.Watched(kid.label * 10)
        kid.c = kids
    parent.a = kids
    _, plain = events_of(pickle.dumps(parent, 5))
    _, ours = events_of(flat_dumps(parent))
    assert ours == plain
    assert [label for _, label in ours] == [10, 1, 20, 2, 30, 3, 40, 4, 0]


@pytest.mark.usefixtures("parts_at_once")
def test_arguments_are_complete() -> None:
    """A call sees its arguments whole, though another object refers to them first."""
    shared = random_graphs.Plain(1)
    shared.a = random_graphs.Plain(2)
    root = random_graphs.Plain(0)
    root.a = shared
    shared.b = root
    root.b = random_graphs.Made(3, [shared])
    _, events = events_of(flat_dumps(root))
    assert events == [("made", 3, [["a", "b", "label"]])]


@pytest.mark.usefixtures("parts_at_once")
@pytest.mark.parametrize("container", [set, dict.fromkeys, lambda keys: {tuple(keys): 1}])
def test_keys_are_complete(container: Any) -> None:
    """What hashes by its state has its state before it is hashed, also if it knows the dict."""
    user, friend = random_graphs.Hashed(1), random_graphs.Hashed(2)
    user.a, friend.a = friend, user
    user.c = random_graphs.Plain(3)
    user.c.a = user
    registry = container([user, friend])
    user.b = friend.b = registry
    root = random_graphs.Plain(0)
    root.a = registry
    loaded = pickle.loads(flat_dumps(root)).a
    keys = next(iter(loaded)) if isinstance(next(iter(loaded)), tuple) else loaded
    assert {each.label for each in keys} == {1, 2}
    assert all(each.b is loaded and each.a.a is each for each in keys)


def test_state_is_asked_for_once() -> None:
    """`__getstate__` runs once for each object, part or not."""
    asked = collections.Counter[int]()

    class Counting(random_graphs.Plain):
        def __getstate__(self) -> Any:
            asked[self.label] += 1
            return dict(vars(self))

    nodes = [Counting(n) for n in range(200)]
    for one, other in itertools.pairwise(nodes):
        one.a, other.b = other, one
    flat_dumps(nodes)
    assert set(asked.values()) == {1}
    assert len(asked) == 200


class Oddities:
    """One of each thing that pickles in its own way."""

    def __init__(self) -> None:
        self.method = self.greet
        self.partial = functools.partial(self.greet, 1)
        self.error = ValueError("no", {"why": self})
        self.ordered = collections.OrderedDict(a=self)
        self.default = collections.defaultdict(list, a=[self])
        self.queue = collections.deque([self], 3)
        self.counter = collections.Counter("aab")
        self.types = [int, type(None), Oddities, collections.OrderedDict, len, [].append]
        self.buffer = bytearray(b"x")
        self.view = {1: 2}.keys()

    def greet(self, *args: Any) -> Any:
        return (self, *args)


@pytest.mark.usefixtures("parts_at_once")
def test_oddities() -> None:
    """Methods, partials, exceptions, defaultdicts and their like come back as themselves."""
    loaded = pickle.loads(flat_dumps(Oddities()))
    assert loaded.method() == (loaded,)
    assert loaded.partial() == (loaded, 1)
    assert loaded.error.args[1]["why"] is loaded
    assert loaded.ordered["a"] is loaded.default["a"][0] is loaded.queue[0] is loaded
    assert loaded.default["new"] == []
    assert loaded.queue.maxlen == 3
    assert loaded.counter["a"] == 2
    assert loaded.types[:5] == [int, type(None), Oddities, collections.OrderedDict, len]
    assert list(loaded.view) == [1]


@pytest.mark.usefixtures("parts_at_once")
def test_code_by_value() -> None:
    """Closures, local classes and their cycles are cloudpickle's affair, and work."""
    keep: list[Any] = []

    class Local:
        def me(self) -> Any:
            return self, keep

    one = Local()
    keep += [one, lambda: one, Local]
    file = io.BytesIO()
    pickler = flat.FlatPickler(file)
    pickler.dump(keep)
    loaded = pickle.loads(file.getvalue())
    assert type(loaded[0]) is loaded[2]
    assert loaded[1]() is loaded[0]
    assert loaded[0].me() == (loaded[0], loaded)
    assert pickler.by_value
    assert "cloudpickle" in pickler.modules


def test_modules_are_noted() -> None:
    """The pickler knows which top-level modules the stream names; by name is not by value."""
    pickler = flat.FlatPickler(io.BytesIO())
    pickler.dump([random_graphs.Plain(1), collections.OrderedDict(), len, sys, dataclasses.field])
    assert {"tests", "collections", "builtins", "sys", "dataclasses"} <= pickler.modules
    assert not pickler.by_value


@pytest.mark.parametrize("root", [None, 1, "text", b"bytes", [], (), int, len, 1.5, Oddities])
def test_roots_without_kids(root: Any) -> None:
    """The smallest graphs there are."""
    assert pickle.loads(flat_dumps(root)) == root


def test_failures_come_through() -> None:
    """What a reducer raises is raised, from however deep."""

    class Failing:
        def __reduce__(self) -> Any:
            raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        flat_dumps(functools.reduce(lambda inner, _: [inner], range(1000), Failing()))


# -- CPython's own tests


def _cpython_suite(dumps: Callable[..., bytes]) -> set[str]:
    """The tests of CPython's pickle suite that fail with `dumps`, at protocol 5."""
    pickletester = pytest.importorskip("test.pickletester")

    class Suite(pickletester.AbstractPickleTests, unittest.TestCase):  # type: ignore[misc]
        optimized = True

        def dumps(self, arg: Any, proto: Any = None, **kwargs: Any) -> bytes:
            return dumps(arg, buffer_callback=kwargs.get("buffer_callback"))

        def loads(self, buf: bytes, **kwargs: Any) -> Any:
            return pickle.loads(buf, **kwargs)

    quiet = io.StringIO()
    tests = unittest.TestLoader().loadTestsFromTestCase(Suite)
    with contextlib.redirect_stdout(quiet), pytest.MonkeyPatch.context() as patch:
        patch.setattr(pickletester, "protocols", range(5, 6))
        result = unittest.TextTestRunner(stream=quiet).run(tests)
    assert result.testsRun > 80
    return {str(test).split()[0] for test, _ in result.failures + result.errors}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("parts_at_once")
def test_cpython_suite() -> None:
    """What of CPython's suite passes with plain cloudpickle passes with every node a part."""
    plain = _cpython_suite(functools.partial(cloudpickle.dumps, protocol=5))
    assert _cpython_suite(flat_dumps) - plain == set()
