"""The plain pickler: cloudpickle's stream to the byte, and what happens where recursion ends."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import io
import pickle
import random
import resource
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapkit import styles
from tapkit.image import dumping, flat, live, plain
from tests import graphs, random_graphs
from tests.test_depth import Link, chain, length_of


def plain_dumps(root: Any) -> bytes:
    return pickled(root)[0]


def pickled(root: Any) -> tuple[bytes, plain.PlainPickler]:
    file = io.BytesIO()
    pickler = plain.PlainPickler(file)
    pickler.dump(root)
    return file.getvalue(), pickler


# -- the same stream


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from([3, 12, 60]))
def test_random_graphs(seed: int, size: int) -> None:
    """The stream is cloudpickle's, to the byte."""
    root = random_graphs.a_graph(seed, size)
    assert plain_dumps(root) == cloudpickle.dumps(root, protocol=5)


@pytest.mark.parametrize(
    "make",
    # The function of a bound classmethod goes by value, as cloudpickle has it.
    [make for make in graphs.PLAIN if make is not graphs.references],
    ids=lambda make: make.__name__,
)
def test_corpus(make: Callable[[], Any]) -> None:
    """Everything that pickles in its own way is written as cloudpickle writes it."""
    root = make()
    assert plain_dumps(root) == cloudpickle.dumps(root, protocol=5)


@pytest.mark.parametrize("make", graphs.BY_VALUE, ids=lambda make: make.__name__)
def test_code_by_value(make: Callable[[], Any]) -> None:
    """Functions and classes by value load again, and it is known that there are some."""
    root = make()
    payload, pickler = pickled(root)
    assert pickler.by_value
    assert graphs.isomorphic(root, pickle.loads(payload))


def test_large_graphs_are_plain() -> None:
    """However many objects: as long as it is not deep, no walk, and nothing of tapkit's in it."""
    root = [random_graphs.Plain(n) for n in range(1000)]
    payload = dumping.dumps(root).payload
    assert payload == cloudpickle.dumps(root, protocol=5)
    assert b"tapkit" not in payload


# -- what the pickler comes to know


class Named:
    """Saved by name, as its own code says."""

    def __reduce__(self) -> str:
        return "NAMED"


NAMED = Named()
NAMED.__module__ = __name__


class Day(enum.Enum):
    FIRST = 1


@pytest.mark.parametrize(
    "root",
    [
        random_graphs.Plain(1),
        NAMED,
        Day.FIRST,
        len,
        collections.OrderedDict,
        collections.Counter("ab"),
        datetime.date.today(),
        decimal.Decimal(1),
        sys,
        Path("x"),
        random.Random(1),
        random_graphs.Plain(1).__init__,  # type: ignore[misc]
        [plain_dumps, st.integers],
        lambda: 1,
    ],
    ids=lambda root: type(root).__name__,
)
def test_modules(root: Any) -> None:
    """It knows the top-level modules that the stream names, as the flat pickler does."""
    walker = flat.FlatPickler(io.BytesIO())
    walker.dump([root])
    _, pickler = pickled([root])
    mine, theirs = pickler.modules - {"builtins"}, walker.modules - {"builtins"}
    assert mine == theirs
    assert pickler.by_value == walker.by_value


def test_by_name_is_not_by_value() -> None:
    """A graph that names its code carries none."""
    _, pickler = pickled([random_graphs.Plain(1), NAMED, len, plain_dumps])
    assert pickler.modules == {"tests", "builtins"}
    assert not pickler.by_value


def test_types_are_looked_up_once() -> None:
    """What replaces a type's reduction is asked for once for the type, and called each time."""
    asked: list[type] = []
    reduced: list[int] = []

    def reducer_for(kind: type) -> Callable[[Any], Any] | None:
        asked.append(kind)
        if kind is not Link:
            return None
        return lambda obj: reduced.append(id(obj)) or (styles.left_out, ("a link",))

    links: list[Any] = [Link() for _ in range(10)]
    others = [random_graphs.Plain(n) for n in range(10)]
    file = io.BytesIO()
    plain.CountingPickler(file, reducer_for).dump(links + others)
    loaded = pickle.loads(file.getvalue())
    assert reduced == [id(link) for link in links]
    assert [type(each) for each in loaded[:10]] == [styles.LeftOut] * 10
    assert asked.count(Link) == 1
    assert asked.count(random_graphs.Plain) == 1


def test_registered_reducers_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `copyreg` knows goes before the object's own methods, as in plain pickle."""
    import copyreg

    monkeypatch.setitem(copyreg.dispatch_table, Link, lambda link: (complex, (link.next, 0)))
    link = Link()
    link.next = 7
    assert live.loads(dumping.dumps([link]).payload) == [7 + 0j]


# -- where recursion ends


class Swallowing:
    """An object that saves less when its code meets a RecursionError."""

    next: Any = None
    _deep: Any = None

    def __getstate__(self) -> Any:
        try:
            repr(_lists(plain.HEADROOM // 2 - 10))  # two levels each
        except RecursionError:
            return {"next": None}
        return vars(self)


class SwallowingReduce(Swallowing):
    """The same in `__reduce__`."""

    def __reduce__(self) -> Any:
        return SwallowingReduce, (), self.__getstate__()


class Honest(Link):
    """Taken apart as `SwallowingReduce` is."""

    def __reduce__(self) -> Any:
        return Honest, (), vars(self)


def _lists(depth: int) -> Any:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


def saves_all(root: Any, length: int) -> bool:
    return length_of(live.loads(dumping.dumps(root).payload)) == length


def lengths_at_the_limit(kind: Any) -> range:
    """Lengths of chains about the one that C's recursion just manages."""
    low, high = 1, 20_000
    while high - low > 1:
        middle = (low + high) // 2
        try:
            plain_dumps(chain(kind, middle))
            low = middle
        except (pickle.PicklingError, RecursionError):
            high = middle
    return range(low - plain.HEADROOM // 3, low + plain.HEADROOM // 2, 8)


@pytest.mark.parametrize(("kind", "alike"), [(Swallowing, Link), (SwallowingReduce, Honest)])
@pytest.mark.slow
def test_code_that_swallows_recursion_errors(
    kind: Any, alike: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It always has room to run: no state is lost, however near the limit a chain ends."""
    lengths = lengths_at_the_limit(alike)
    roots = {length: chain(kind, length) for length in lengths}
    assert [length for length in lengths if not saves_all(roots[length], length)] == []
    monkeypatch.setattr(plain, "_NESTED", int)
    lost = [length for length in lengths if not saves_all(roots[length], length)]
    assert lost  # so the chains do end where it matters


class Wrapping(Link):
    """Makes another error of a RecursionError."""

    def __getstate__(self) -> Any:
        try:
            repr(_lists(plain.HEADROOM))
        except RecursionError:
            raise ValueError("this can't be") from None
        return vars(self)


def test_recursion_errors_in_disguise() -> None:
    """A failure that comes from a RecursionError is none of the graph's: the flat pickler tries."""
    for length in lengths_at_the_limit(Link)[::4]:
        assert saves_all(chain(Wrapping, length), length)


def test_what_ran_out() -> None:
    """Causes and contexts are followed, also in a ring; other failures are no such thing."""
    error: Exception = ValueError("a")
    assert not plain.ran_out(error)
    error.__context__ = other = KeyError("b")
    other.__cause__ = error
    assert not plain.ran_out(error)
    other.__cause__ = RecursionError("c")
    assert plain.ran_out(error)
    assert not plain.ran_out(None)


def test_failures_are_not_tried_again() -> None:
    """What an object's own method raises fails at once: it is called once, then for its path."""
    asked: list[int] = []

    class Failing:
        def __getstate__(self) -> Any:
            asked.append(1)
            raise ValueError("never")

    with pytest.raises(live.ImageError, match="never"):
        dumping.dumps([Failing()])
    assert len(asked) == 2


def test_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """C recurses in a main thread with a usual stack; else only the flat pickler is used."""
    assert plain.has_room()
    told: list[bool] = []
    thread = threading.Thread(target=lambda: told.append(plain.has_room()))
    thread.start()
    thread.join(10)
    assert told == [False]
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256 * 1024, 256 * 1024))
    assert not plain.has_room()
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY,) * 2)
    assert plain.has_room()


def test_without_room_the_flat_pickler_serves() -> None:
    """In a thread with a small stack a deep chain is saved, and nothing crashes."""
    done: list[Any] = []
    root = chain(Link, 5000)
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: done.append(dumping.dumps(root)))
        thread.start()
        thread.join(60)
    finally:
        threading.stack_size(before)
    (saved,) = done
    assert b"tapkit.styles" in saved.payload
    assert length_of(live.loads(saved.payload)) == 5000


@pytest.mark.parametrize(
    "wrap", ["link", *(pytest.param(w, marks=pytest.mark.slow) for w in ("[link]", "(link,)"))]
)
def test_a_raised_limit_does_not_crash(wrap: str) -> None:
    """A program that has raised Python's recursion limit saves deep chains all the same."""
    code = f"""
import sys
sys.setrecursionlimit(1_000_000)
from tapkit.image import dumping, live
from tests.test_depth import Link
link = None
for _ in range(50_000):
    before = Link()
    before.next = {wrap}
    link = before
print(len(dumping.dumps(link).payload) > 500_000, flush=True)
import os
os._exit(0)  # freeing the chain recurses, too
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True\n", "")


# -- whose code runs


class Asking:
    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class Iterating(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return super().__iter__()


@pytest.mark.parametrize("kind", [Swallowing, SwallowingReduce, Wrapping, Asking, Iterating])
def test_code_of_applications(kind: type) -> None:
    """Wherever code of an application takes part, it is made sure that it has room."""
    hook = plain.PlainPickler(io.BytesIO())._hook(kind)
    assert hook is not None
    assert _asks_for_room(hook, kind())


@pytest.mark.parametrize(
    "kind", [Link, random_graphs.Slotted, random_graphs.Record, ValueError, collections.deque]
)
def test_ordinary_types(kind: type) -> None:
    """What C takes apart by itself is left to it."""
    assert plain.PlainPickler(io.BytesIO())._hook(kind) is None


@pytest.mark.parametrize("kind", [datetime.datetime, Day, styles.Versioned, types.MethodType])
def test_known_code(kind: type) -> None:
    """The standard library and we ourselves swallow nothing: there the check is saved."""
    hook = plain.PlainPickler(io.BytesIO())._hook(kind)
    assert hook is None or hook.__name__ == "reduce"


def _asks_for_room(hook: Callable[[Any], Any], obj: Any) -> bool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plain, "_NESTED", plain._nested(100_000))
        try:
            hook(obj)
        except RecursionError:
            return True
    return False
