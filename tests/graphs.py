"""A corpus of object graphs, and whether two graphs are the same but for their addresses.

`PLAIN` are graphs that pickle takes, `BY_VALUE` need cloudpickle. Each is a function that makes
a new graph, so that a test may spoil it. Tests of every form of image run over both.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import ipaddress
import itertools
import math
import operator
import pathlib
import random
import struct
import types
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

# -- isomorphism


def isomorphic(left: Any, right: Any) -> bool:
    """Whether two graphs of live objects have the same types, values, sharing and order."""
    return difference(left, right) is None


def difference(left: Any, right: Any) -> str | None:
    """How two graphs of live objects differ, as a path and two things; None if they do not.

    Two objects are alike if they have the same type and the same parts, and each object of one
    graph stands for exactly one of the other. Values without identity are compared by value,
    floats by their bits. Never recursive, so chains of any length will do.
    """
    partner: dict[int, Any] = {}
    taken: set[int] = set()
    kept = []  # parts made for the comparison: their addresses must not be used twice
    todo: list[tuple[Any, Any, Any]] = [(None, left, right)]
    while todo:
        place, one, other = todo.pop()
        if one is other and not isinstance(one, (list, dict, set, bytearray)):
            continue
        if type(one) is not type(other) and not _alike_classes(type(one), type(other)):
            return f"{_path(place)}: {type(one)} is not {type(other)}"
        if type(one) in VALUES:
            if not _same_value(one, other):
                return f"{_path(place)}: {one!r} is not {other!r}"
            continue
        if id(one) in partner or id(other) in taken:
            if partner.get(id(one)) is not other:
                return f"{_path(place)}: shared differently"
            continue
        partner[id(one)] = other
        taken.add(id(other))
        mine, theirs = _parts(one, other)
        kept.append((one, other, mine, theirs))
        if len(mine) != len(theirs):
            return f"{_path(place)}: {len(mine)} parts are not {len(theirs)}: {mine!r}, {theirs!r}"
        pairs = enumerate(zip(mine, theirs, strict=True))
        todo += [((place, number), a, b) for number, (a, b) in pairs]
    return None


def _path(place: Any) -> str:
    numbers = []
    while place is not None:
        place, number = place
        numbers.append(str(number))
    return ".".join(["root", *reversed(numbers[:50])])


VALUES = {type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented)}
_SKIPPED = {"__dict__", "__weakref__", "__module__", "_abc_impl", "__doc__", "__slotnames__"}
_SKIPPED |= {"__static_attributes__", "__firstlineno__"}


def _same_value(one: Any, other: Any) -> bool:
    if isinstance(one, float):
        return struct.pack(">d", one) == struct.pack(">d", other)
    if isinstance(one, complex):
        return _same_value(one.real, other.real) and _same_value(one.imag, other.imag)
    return bool(one == other)


def _alike_classes(one: type, other: type) -> bool:
    """Whether two classes that went by value may be the same; their parts are compared later."""
    return one.__qualname__ == other.__qualname__ and one.__module__ == other.__module__


def _parts(one: Any, other: Any) -> tuple[list[Any], list[Any]]:
    if type(one) in (set, frozenset):
        return _pair_members(one, other)
    return _parts_of(one), _parts_of(other)


def _parts_of(thing: Any) -> list[Any]:
    kind = type(thing)
    if kind in (list, tuple):
        return list(thing)
    if kind is dict:
        return [part for entry in thing.items() for part in entry]
    if kind is bytearray:
        return [bytes(thing)]
    if isinstance(thing, type):
        names = sorted(set(vars(thing)) - _SKIPPED)
        values = [
            v for n in names if not isinstance(v := vars(thing)[n], types.MemberDescriptorType)
        ]
        return [thing.__qualname__, thing.__bases__, names, values]
    if kind is types.FunctionType:
        cells = [_content(cell) for cell in thing.__closure__ or ()]
        return [thing.__qualname__, thing.__code__, thing.__defaults__, cells, vars(thing)]
    if kind is types.CodeType:
        return [thing.co_code, thing.co_names, repr(thing.co_consts) if not thing.co_consts else 0]
    if kind is types.MethodType:
        return [thing.__func__, thing.__self__]
    if kind in (classmethod, staticmethod):
        return [thing.__func__]
    if kind is property:
        return [thing.fget, thing.fset, thing.fdel]
    return _reduced(thing)


def _reduced(thing: Any) -> list[Any]:
    if isinstance(thing, types.ModuleType):
        return [thing.__name__]
    reduction = thing.__reduce_ex__(4)
    if isinstance(reduction, str):
        return [reduction]
    call, args, state, items, entries = (*reduction, None, None, None)[:5]
    if entries is not None:
        entries = [part for entry in entries for part in entry]
    return [call, list(args), state, None if items is None else list(items), entries]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "an empty cell"


def _pair_members(one: Any, other: Any) -> tuple[list[Any], list[Any]]:
    """Members of two sets side by side: equal ones, then the rest by what they look like."""
    mine, theirs = [], []
    rest = list(other)
    odd = []
    for member in one:
        for place, candidate in enumerate(rest):
            if type(candidate) is type(member) and candidate == member:
                mine.append(member)
                theirs.append(rest.pop(place))
                break
        else:
            odd.append(member)
    return mine + sorted(odd, key=_look), theirs + sorted(rest, key=_look)


def _look(thing: Any) -> str:
    state = getattr(thing, "__dict__", thing)
    shallow = (
        {k: v for k, v in state.items() if type(v) in VALUES} if type(state) is dict else state
    )
    return f"{type(thing).__qualname__} {shallow!r}"


# -- classes of the corpus


class Thing:
    """An ordinary class."""

    def __init__(self, **state: Any) -> None:
        vars(self).update(state)

    def method(self) -> Any:
        return self

    @classmethod
    def of_class(cls) -> type:
        return cls

    class Nested:
        """A class inside a class."""


class Slotted:
    __slots__ = ("left", "right", "unset")

    def __init__(self, left: Any, right: Any) -> None:
        self.left = left
        self.right = right


class SlottedAndMore(Slotted):
    """Slots below, a dict above: the state is a pair."""


class WithState:
    """Any state at all. (A state of None is not saved.)"""

    state: Any = None

    def __init__(self, state: Any) -> None:
        self.state = state

    def __getstate__(self) -> Any:
        return self.state

    def __setstate__(self, state: Any) -> None:
        self.state = state


class ByArgs:
    """Saved as a call with arguments."""

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __reduce__(self) -> Any:
        return ByArgs, self.args


class ByArgsAndState(ByArgs):
    """Saved as a call, and its state as well; counts how often it is given one."""

    def __reduce__(self) -> Any:
        return ByArgsAndState, self.args, {"note": getattr(self, "note", None)}


class ByKeywords:
    """`__getnewargs_ex__`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> ByKeywords:
        self = super().__new__(cls)
        self.args, self.kwargs = args, kwargs
        return self

    def __getnewargs_ex__(self) -> tuple[Any, Any]:
        return self.args, self.kwargs


class ByNewArgs(int):
    """`__getnewargs__`, and a state."""

    def __new__(cls, number: int) -> ByNewArgs:
        return super().__new__(cls, number)

    def __getnewargs__(self) -> tuple[int]:
        return (int(self),)


def set_state(thing: Any, state: Any) -> None:
    """The state setter of `BySetter`."""
    thing.state = state


class BySetter:
    """The sixth part of a reduction: a function that sets the state."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def __reduce__(self) -> Any:
        return object.__new__, (BySetter,), self.state, None, None, set_state


class MyList(list[Any]):
    """A list with attributes."""


class MyDict(dict[Any, Any]):
    """A dict with attributes."""


class MySet(set[Any]):
    """A set with attributes."""


class MyTuple(tuple[Any, ...]):
    """A tuple with attributes."""


class MyStr(str):
    """A string with attributes."""


class MyError(Exception):
    """An exception with a state."""


class Colour(enum.Enum):
    RED = 1
    GREEN = "green"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Record:
    name: str
    tags: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Frozen:
    name: str
    more: Any = None


class Hashed:
    """Equal and hashed by a name that is in its state."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hashed) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


def with_attributes(thing: Any, **attributes: Any) -> Any:
    """The thing, with attributes."""
    vars(thing).update(attributes)
    return thing


# -- the graphs


def numbers() -> Any:
    edges = [1 << n for n in (7, 8, 15, 16, 31, 32, 63, 64, 255 * 8 - 1, 255 * 8)]
    near = [e + d for e in edges for d in (-1, 0, 1)]
    return [0, True, False, None, *near, *(-n for n in near), 10**4400, -(7**9000)]


def floats() -> Any:
    quiet, payload = (
        struct.unpack(">d", b)[0] for b in (b"\x7f\xf8" + b"\0" * 6, b"\xff\xf8abcdef")
    )
    tiny = [5e-324, 2.2250738585072014e-308, 1.7976931348623157e308]
    return [
        0.0,
        -0.0,
        1.5,
        0.1,
        math.inf,
        -math.inf,
        quiet,
        payload,
        *tiny,
        complex(-0.0, math.nan),
    ]


def strings() -> Any:
    odd = [
        "",
        " ",
        "\n",
        "\r\n",
        "\t x \t",
        "\0\x01\x1f\x7f\x80\x9f",
        "\ud800",
        "a\udfffb",
        "\ufffe",
    ]
    more = ["]]>", "<&>\"'", "ü€😀", "\ufeff", "\u2028\\n\\u0041", "%%{}", "x" * 255]
    return [*odd, *more, "y" * 256, "z" * 70_000, "\U0010ffff", MyStr("sub"), "é" * 200]


def byte_strings() -> Any:
    every = bytes(range(256))
    return [
        b"",
        every,
        every[:255],
        b"x" * 70_000,
        bytearray(),
        bytearray(every),
        bytearray(70_000),
    ]


def shared() -> Any:
    part, pair, text, raw = [1], (1, [2]), "word", bytearray(b"raw")
    return [part, part, pair, pair, text, text, raw, raw, {"a": part, "b": (pair, part)}, (), ()]


def containers() -> Any:
    keys = {
        1: "i",
        "s": 2,
        (1, (2,)): [],
        None: {},
        b"b": 1.5,
        frozenset({1, 2}): (),
        Colour.RED: 0,
    }
    sets = [set(), {1, "a", None}, frozenset(), frozenset({(1, 2), "b"})]
    tuples = [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), ((), ((),))]
    return [keys, sets, tuples, {}, [], [[]], {"": {}}]


def big_containers() -> Any:
    numbers = list(range(2501))
    return [numbers, dict.fromkeys(map(str, numbers), 0), set(numbers), collections.deque(numbers)]


def recursive_list() -> Any:
    root: list[Any] = []
    root.append(root)
    root.append({"root": root})
    return root


def recursive_dict() -> Any:
    root: dict[Any, Any] = {}
    root[1] = root
    root[2] = [root]
    return root


def recursive_tuples() -> Any:
    inner: list[Any] = []
    small = (inner,)
    inner.append(small)
    other: list[Any] = []
    big = (1, "two", other, 4.0, small)
    other += [big, big]
    return [big, small, ({},)]


def recursive_tuple_root() -> Any:
    inner: dict[str, Any] = {}
    root = (inner, [inner], 3, 4)
    inner["root"] = root
    return root


def recursive_frozenset() -> Any:
    thing = Thing()
    thing.sets = frozenset([thing, 1])
    return thing.sets


def recursive_set() -> Any:
    thing = Thing(name="in a set")
    thing.sets = {thing, Thing(name="other")}
    return thing.sets


def recursive_objects() -> Any:
    left, right = Thing(name="left"), Thing(name="right")
    left.other, right.other, left.me = right, left, left
    left.slots = Slotted(left, right)
    return [left, right.other.slots]


def recursive_reduce() -> Any:
    items: list[Any] = []
    root = ByArgs(items, "arg")
    items.append(root)
    return root


def recursive_reduce_with_state() -> Any:
    items: list[Any] = []
    root = ByArgsAndState(items, 1.5, None)
    root.note = items
    items += [root, root]
    return [root]


def recursive_reduce_twice() -> Any:
    one: list[Any] = []
    two: list[Any] = []
    root = ByArgs(one, two)
    one.append(root)
    two += [root, one]
    return root


def recursive_subclasses() -> Any:
    items = with_attributes(MyList(), name="list")
    entries = with_attributes(MyDict(), list=items)
    items += [items, entries]
    entries["self"] = entries
    entries[3] = items
    return [items, entries, MyTuple((items,))]


def recursive_by_keywords() -> Any:
    root = ByKeywords(1, key=[2])
    root.me = root
    return root


def states() -> Any:
    word = {"shared": 1}
    odd = [
        None,
        False,
        0,
        "",
        [],
        {},
        (),
        (None, {}),
        ({"a": 1}, {"b": 2}),
        {1: 2},
        {"a b": 1},
        word,
    ]
    return [*map(WithState, odd), WithState(word), Thing(), Thing(**{"odd name": 1, "\n": 2}), word]


def slots() -> Any:
    more = SlottedAndMore(1, [2])
    more.extra = more  # type: ignore[attr-defined]
    empty = Slotted.__new__(Slotted)
    return [Slotted("l", {}), more, empty]


def calls() -> Any:
    made = [ByArgs(), ByArgs(1, [2]), ByKeywords(), ByKeywords(1, a=2), ByNewArgs(5), BySetter({})]
    return [*made, with_attributes(ByNewArgs(6), a=1), BySetter([made]), BySetter(Thing())]


def subclasses() -> Any:
    parts = [MyList([1, 2]), MyDict(a=1), MySet({1}), MyTuple((1, 2))]
    return [*parts, *(with_attributes(type(p)(p), note=p) for p in parts), MyError("a", 2)]


def exceptions() -> Any:
    error = MyError("what", 1)
    error.where = error  # type: ignore[attr-defined]
    return [error, ValueError(), OSError(2, "gone", "file"), KeyError("k"), StopIteration(3)]


def references() -> Any:
    functions = [len, set_state, math.sqrt, dict.fromkeys, [].append, "x".upper, Thing.of_class]
    return [Thing, Thing.Nested, int, type(None), *functions, Thing(a=1).method, Thing.Nested()]


def standard() -> Any:
    zone = datetime.timezone(datetime.timedelta(hours=2), "here")
    when = datetime.datetime(2004, 5, 1, 12, 0, 0, 5, tzinfo=zone, fold=1)
    times = [when, when.date(), when.timetz(), datetime.timedelta(-1, 2, 3), zone]
    exact = [decimal.Decimal("-1.50"), decimal.Decimal("sNaN123"), fractions.Fraction(-1, 3)]
    named = [uuid.UUID(int=5), pathlib.PurePosixPath("/a/b"), ipaddress.ip_address("::1")]
    counters = [collections.Counter("abca"), range(1, 10, 2), slice(1, None)]
    return [*times, *exact, *named, *counters, random.Random(7), Ellipsis, NotImplemented]


def collection_types() -> Any:
    groups = collections.defaultdict(list, {"a": [1]})
    groups["self"].append(groups)
    ring = collections.deque([1, 2], maxlen=5)
    ring.append(ring)
    order = collections.OrderedDict([("z", 1), ("a", [ring])])
    chain = collections.ChainMap({"a": 1}, order)
    return [groups, ring, order, chain, collections.UserDict(a=1), types.SimpleNamespace(a=ring)]


def enums() -> Any:
    return [Colour.RED, Colour.GREEN, Rights.READ | Rights.WRITE, {Colour.RED: 1}, Colour]


def records() -> Any:
    point = Point(1, [2])
    return [point, point, Record("a", ["b"]), Frozen("c", Point(3, point)), Point(None, ())]


def callables() -> Any:
    return [functools.partial(set_state, 1, state=[2]), operator.itemgetter(1, 2), functools.reduce]


def hashed() -> Any:
    key = Hashed("a")
    return [{key: 1, Hashed("b"): key}, {key}, frozenset({Hashed("c"), key})]


def twins() -> Any:
    """Equal things that are not one."""
    return [[1], [1], Thing(a=1), Thing(a=1), Point(1, 2), Point(1, 2), {"a": []}, {"a": []}]


def application() -> Any:
    """Something like an image: services, factories, links back."""
    root = Thing(name="qotd", uid=1000, services=[])
    for number in range(3):
        factory = Thing(quotes=["An apple a day"], count=number, allow={"::1", "127.0.0.1"})
        service = Thing(port=8000 + number, factory=factory, parent=root, name=None)
        factory.log = service.method
        root.services.append(service)
    return root


PLAIN: list[Callable[[], Any]] = [
    numbers,
    floats,
    strings,
    byte_strings,
    shared,
    containers,
    big_containers,
    recursive_list,
    recursive_dict,
    recursive_tuples,
    recursive_tuple_root,
    recursive_frozenset,
    recursive_set,
    recursive_objects,
    recursive_reduce,
    recursive_reduce_with_state,
    recursive_reduce_twice,
    recursive_subclasses,
    recursive_by_keywords,
    states,
    slots,
    calls,
    subclasses,
    exceptions,
    references,
    standard,
    collection_types,
    enums,
    records,
    callables,
    hashed,
    twins,
    application,
]

MODERN = {numbers, recursive_objects, recursive_subclasses, slots}
"""Graphs that protocols 0 and 1 cannot save."""


# -- graphs with code in them


def lambdas() -> Any:
    return [lambda: 1, lambda a, b=2, *c, d=[3], **e: (a, b, c, d, e)]


def closures() -> Any:
    shared: list[Any] = []

    def add(item: Any) -> Any:
        shared.append(item)
        return shared

    def count() -> int:
        return len(shared)

    return [add, count, shared]


def recursive_closure() -> Any:
    def even(number: int) -> bool:
        return number == 0 or odd(number - 1)

    def odd(number: int) -> bool:
        return number != 0 and even(number - 1)

    even.partner = odd  # type: ignore[attr-defined]
    return [even, odd]


def local_classes() -> Any:
    class Base:
        members: list[Any] = []

        def hello(self) -> Any:
            return self

    class Derived(Base):
        def hello(self) -> Any:
            return super().hello()

        @property
        def name(self) -> str:
            return "derived"

        @staticmethod
        def still() -> int:
            return 1

    Base.members.append(Derived)
    derived = Derived()
    derived.me = derived  # type: ignore[attr-defined]
    return [derived, Base(), Derived, derived.hello]


def dynamic_classes() -> Any:
    made = type("Made", (Thing,), {"size": 3, "double": lambda self: self.size * 2})
    things = [made(a=1), made(), made]
    made.things = things  # type: ignore[attr-defined]
    local = enum.Enum("local", "A B")  # type: ignore[misc]
    return [things, local.A]


BY_VALUE: list[Callable[[], Any]] = [
    lambdas,
    closures,
    recursive_closure,
    local_classes,
    dynamic_classes,
]


# -- deep graphs, made and compared without recursion


def chain(length: int) -> Any:
    """Objects that each hold the next."""
    head: Any = None
    for number in range(length):
        link = Thing.__new__(Thing)
        link.number, link.next = number, head
        head = link
    return head


def nest(depth: int) -> Any:
    """Lists in lists."""
    return functools.reduce(lambda inner, _: [inner], itertools.repeat(None, depth), [])
