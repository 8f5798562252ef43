"""What differs between two images, told by path: nothing missed, nothing made up, no blow-up."""

from __future__ import annotations

import collections
import copy
import datetime
import pickle
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from tapkit import application, image
from tapkit.image.collector import no_collector
from tapkit.image.compare import ADDED, CHANGED, REMOVED, SHARED, Difference, differences
from tapkit.image.nodes import NEWOBJ, STATE, Dict, Global, Image, Object
from tapkit.image.pickled import decompile
from tapkit.internet import TCPServer, UDPServer
from tapkit.service import MultiService
from tests import graphs


def nodes(obj: Any) -> Image:
    return decompile(pickle.dumps(obj, 5))


def told(one: Any, other: Any) -> list[str]:
    """The differences between two objects, as lines."""
    return [str(found) for found in differences(nodes(one), nodes(other))]


class Thing:
    def __init__(self, **attributes: Any):
        vars(self).update(attributes)


class Other(Thing):
    pass


class Slotted:
    __slots__ = ("left", "right")


def application_with(port: int) -> application.Application:
    made = application.new("qotd", MultiService())
    first = next(iter(made))
    first.addService(TCPServer(port, Thing()))
    first.addService(UDPServer(port, Thing()))
    return made


@pytest.mark.parametrize("make", graphs.PLAIN, ids=lambda make: make.__name__)
def test_nothing_differs_from_itself(make: Callable[[], Any]) -> None:
    """Of every graph of the corpus, two images are the same."""
    made = make()
    assert list(differences(nodes(made), nodes(made))) == []


def test_an_attribute_is_told_by_its_path() -> None:
    """The line an administrator expects."""
    assert told(application_with(8007), application_with(8017)) == [
        "application.services[0].services[0].port: 8007 -> 8017",
        "application.services[0].services[1].port: 8007 -> 8017",
    ]


CASES: dict[str, tuple[Any, Any, list[str]]] = {
    "added": (Thing(a=1), Thing(a=1, b=2), ["object.b: added 2"]),
    "removed": (Thing(a=1, b=2), Thing(a=1), ["object.b: removed 2"]),
    "type": (Thing(a=1), Thing(a="1"), ["object.a: 1 -> '1'"]),
    "bool is no int": ([1], [True], ["object[0]: 1 -> True"]),
    "zeros": ([0.0], [-0.0], ["object[0]: 0.0 -> -0.0"]),
    "class": (
        [Thing(a=1)],
        [Other(a=2)],
        [
            "object[0].__class__: tests.test_compare.Thing -> tests.test_compare.Other",
            "object[0].a: 1 -> 2",
        ],
    ),
    "object to none": ([Thing()], [None], ["object[0]: tests.test_compare.Thing -> None"]),
    "key": ({"a": 1, 2: 3}, {"a": 1, 2: 4}, ["object[2]: 3 -> 4"]),
    "keys": ({"a": 1}, {"b": 1}, ["object['a']: removed 1", "object['b']: added 1"]),
    "key order": (
        {"a": 1, "b": 2},
        {"b": 2, "a": 1},
        ["object: 'a' as key 1 -> 'b' as key 1"],
    ),
    "attribute order": (Thing(a=1, b=2), Thing(b=2, a=1), []),
    "odd keys": ({(1, 2): 3}, {(1, 2): 4}, ["object[a tuple of 2]: 3 -> 4"]),
    "member": ({1, 2}, {2, 3}, ["object{}: removed 1", "object{}: added 3"]),
    "frozen": (
        [frozenset("a")],
        [frozenset("b")],
        [
            "object[0]{}: removed 'a'",
            "object[0]{}: added 'b'",
        ],
    ),
    "inserted": ([1, 2, 3], [1, 9, 2, 3], ["object[1]: added 9"]),
    "deleted": ([1, 2, 3], [1, 3], ["object[1]: removed 2"]),
    "replaced": ([1, 2, 3], [1, 9, 3], ["object[1]: 2 -> 9"]),
    "moved and changed": (
        [Thing(name="b", port=1)],
        [Thing(name="a", port=1), Thing(name="b", port=2)],
        ["object[0]: added tests.test_compare.Thing", "object[0->1].port: 1 -> 2"],
    ),
    "tuple": ((1, (2, 3)), (1, (2, 4)), ["object[1][1]: 3 -> 4"]),
    "time": (
        [datetime.datetime(2004, 5, 1)],
        [datetime.datetime(2005, 5, 1)],
        ["object[0]: datetime 2004-05-01T00:00:00 -> datetime 2005-05-01T00:00:00"],
    ),
    "bytearray": (
        [bytearray(b"a")],
        [bytearray(b"b")],
        ["object[0]: bytearray(b'a') -> bytearray(b'b')"],
    ),
    "global": (
        [Thing],
        [Other],
        ["object[0]: tests.test_compare.Thing -> tests.test_compare.Other"],
    ),
    "items of a subclass": (
        collections.deque([1, 2]),
        collections.deque([1, 3]),
        ["object[1]: 2 -> 3"],
    ),
    "entries of a subclass": (
        collections.OrderedDict(a=1),
        collections.OrderedDict(a=2),
        ["object['a']: 1 -> 2"],
    ),
    "arguments": (
        [collections.Counter(a=1)],
        [collections.Counter(a=2)],
        ["object[0].__args__[0]['a']: 1 -> 2"],
    ),
    "odd name": (
        Thing(**{"odd name": 1}),
        Thing(**{"odd name": 2}),
        ["object.__dict__['odd name']: 1 -> 2"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_differs(name: str) -> None:
    """One line for each thing, and no other; and back, as many."""
    one, other, lines = CASES[name]
    assert told(one, other) == lines
    assert len(told(other, one)) == len(lines)


def test_slots_are_attributes() -> None:
    """A class with slots is told as any other."""
    one, other = Slotted(), Slotted()
    one.left, other.left, other.right = 1, 2, 3
    assert told(one, other) == ["object.left: 1 -> 2", "object.right: added 3"]


def test_sharing() -> None:
    """Two servers on one factory are not two servers on two equal ones; said once, with places."""
    factory = Thing(quoter=Thing(text="x"))
    one = [Thing(f=factory), Thing(f=factory)]
    other = [Thing(f=factory), Thing(f=copy.deepcopy(factory))]
    assert told(one, other) == [
        "object[1].f: the same as object[0].f -> a thing of its own",
    ]
    assert told(other, one) == [
        "object[1].f: a thing of its own -> the same as object[0].f",
    ]


def test_values_below_what_is_shared_differently() -> None:
    """They are told besides, and the sharing is not told again for each."""
    factory = Thing(quoter=Thing(text="x"))
    changed = copy.deepcopy(factory)
    changed.quoter.text = "y"
    found = list(differences(nodes([factory, factory]), nodes([factory, changed])))
    assert [(d.path, d.kind) for d in found] == [
        ("object[1]", SHARED),
        ("object[1].quoter.text", CHANGED),
    ]


def test_which_of_two_is_shared() -> None:
    """The same types and values, but another one of two is referred to again."""
    a, b = Thing(n=1), Thing(n=1)
    assert told([a, b, a], [a, b, b]) == [
        "object[2]: the same as object[0] -> the same as object[1]"
    ]


def test_shared_values_are_values() -> None:
    """Whether two datetimes or tuples are one makes no difference to anybody."""
    moment, pair = datetime.datetime(2004, 5, 1), (1, 2)
    assert told([moment, moment, pair, pair], copy.deepcopy([moment] * 2 + [pair] * 2)) == []
    apart = [moment, datetime.datetime(2004, 5, 1), pair, tuple(iter(pair))]
    assert told([moment, moment, pair, pair], apart) == []


def test_cycles_end() -> None:
    """Through every kind of container, and back to the root."""
    one: list[Any] = [Thing()]
    one[0].back = {"list": one}
    other = copy.deepcopy(one)
    assert told(one, other) == []
    other[0].back = {"list": [other[0]]}
    assert told(one, other) == ["object[0].back['list']: the same as object -> a thing of its own"]


def test_a_long_text_is_cut_where_it_differs() -> None:
    """The difference is seen, however far in the text it is."""
    (line,) = told(["x" * 1000 + "a" + "y" * 1000], ["x" * 1000 + "b" + "y" * 1000])
    old, new = line.removeprefix("object[0]: ").split(" -> ")
    assert "a" in old
    assert "b" in new
    assert max(len(old), len(new)) <= 60


def test_nothing_plays_tricks_on_a_terminal() -> None:
    """Escape sequences and line breaks in names and values come out as escapes."""
    nasty = "\x1b[2J\n\u202e"
    lines = told(Thing(**{nasty: nasty}), [{nasty: nasty}])
    lines += told(Thing(**{nasty: 1}), Thing(**{nasty: 2})) + told({nasty: 1}, {nasty: 2})
    hostile = Image(Object(NEWOBJ, Global(nasty, nasty)))
    lines += map(str, differences(hostile, Image(None)))
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines), lines


def test_big_integers() -> None:
    """One that Python refuses to write in digits is told all the same."""
    (line,) = told([1 << 100_000], [1 << 100_001])
    assert "0x1000" in line


def test_discarded_calls_count() -> None:
    """A call whose result nobody sees is told: loading makes it."""
    one = Image(None)
    other = Image(None, discarded=[Object("reduce", Global("os", "system"), ("id",))])
    assert [d.kind for d in differences(one, other)] == [ADDED]
    assert [d.kind for d in differences(other, one)] == [REMOVED]


def chain(length: int, kind: Callable[[Any, int], Any]) -> Any:
    made = None
    for number in range(length):
        made = kind(made, number)
    return made


def link(inner: Any, number: int) -> Object:
    made = Object(NEWOBJ, Global("app", "Link"))
    made.add_step(STATE, Dict(["number", number, "next", inner]))
    return made


KINDS: dict[str, Callable[[Any, int], Any]] = {
    "objects": link,
    "lists": lambda inner, number: [inner, number],
    "tuples": lambda inner, number: (inner, number),
    "dicts": lambda inner, number: Dict(["next", inner, "number", number]),
    "keys": lambda inner, number: Dict([(inner, number), 0]),
    "calls": lambda inner, number: Object("reduce", Global("app", "f"), (inner, number)),
    "makers": lambda inner, number: Object("reduce", inner or Global("app", "f"), ()),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_depth(kind: str) -> None:
    """A chain of 20,000 is compared, and a difference at its very end is found."""
    with no_collector():
        make = KINDS[kind]
        one = chain(20_000, make)
        other = chain(20_000, make)
        assert list(differences(Image(one), Image(other))) == []
        other = make(chain(19_999, make), -1) if kind != "makers" else chain(19_999, make)
        found = list(differences(Image(one), Image(other)))
        assert 1 <= len(found) <= 2
        assert all(len(str(difference)) < 3000 for difference in found)


def test_a_deep_chain_that_differs_everywhere() -> None:
    """A difference on each of 20,000 levels takes no time that grows with their square."""
    with no_collector():
        one, other = chain(20_000, link), chain(20_000, lambda i, n: link(i, -n - 1))
        found = list(differences(Image(one), Image(other)))
    assert len(found) == 20_000
    assert found[0].path == "object.number"
    assert found[-1].path.startswith("....next")
    assert found[-1].path.endswith(".next.number")


@pytest.mark.parametrize("length", [100, 10_000])
def test_insertions_in_a_long_list(length: int) -> None:
    """One insertion, one deletion and one change are three differences, at any length."""
    one = [Thing(number=n) for n in range(length)]
    other = list(one)
    del other[length // 4]
    other.insert(length // 2, Thing(number=-1))
    other[-10] = Thing(number=-2)
    found = list(differences(nodes(one), nodes(other)))
    assert sorted(d.kind for d in found) == [ADDED, CHANGED, REMOVED]


@pytest.mark.parametrize("values", [[0], [0, 1], list(range(300))])
def test_lists_without_landmarks(values: list[int]) -> None:
    """Lists of a few values again and again take no time that grows with their square."""
    chance = random.Random(7)
    one = [chance.choice(values) for _ in range(20_000)]
    other = [chance.choice(values) for _ in range(20_000)]
    before = time.process_time()
    found = list(differences(nodes(one), nodes(other)))
    assert time.process_time() - before < 10
    assert bool(found) == (one != other)


def test_random_edits_are_found() -> None:
    """Whatever is changed in a random graph, something is told; nothing where nothing is."""
    chance = random.Random(3)
    for _ in range(100):
        things = [Thing(name=str(n), refs=[], value=n) for n in range(10)]
        for thing in things:
            thing.refs = chance.sample(things, 3)
        other = copy.deepcopy(things)
        assert told(things, other) == []
        victim = chance.choice(other)
        if chance.random() < 0.5:
            victim.value = -1
            expected = CHANGED
        else:
            victim.refs.append(chance.choice([t for t in other if t not in victim.refs]))
            expected = ADDED
        found = list(differences(nodes(things), nodes(other)))
        assert [d.kind for d in found] == [expected]


def test_any_two_forms(tmp_path: Any) -> None:
    """The same application in its three forms has no differences."""
    made = application_with(8007)
    forms = [image.dumps(made, form) for form in ("pickle", "xml", "source")]
    from tapkit.image.forms import sniff

    images = [sniff(data, "x").decode(data, "x")[0] for data in forms]
    for one in images:
        for other in images:
            assert list(differences(one, other)) == []


def test_a_difference_is_a_line() -> None:
    """Its text is the line that is printed."""
    assert str(Difference("a.b", CHANGED, "1", "2")) == "a.b: 1 -> 2"
    assert str(Difference("a.b", ADDED, "", "2")) == "a.b: added 2"
    assert str(Difference("a.b", REMOVED, "1", "")) == "a.b: removed 1"
