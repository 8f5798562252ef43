"""`tapkit.source`: each helper does what unpickling does, no more and no less."""

from __future__ import annotations

import dataclasses
import math
import pickle
from collections import deque, namedtuple
from typing import Any, NamedTuple

import pytest

from tapkit import source, styles
from tapkit.errors import ImageError
from tapkit.image.tas.calls import EXPRESSIONS, STATEMENTS
from tapkit.image.tas.words import HELPERS


class Plain:
    def __init__(self) -> None:
        raise AssertionError("__init__ is not for unpickling")


class Told(Plain):
    def __setstate__(self, state: Any) -> None:
        self.told = state


class Slotted:
    __slots__ = ("a",)


class Keeper(styles.Persistent):
    volatile = ("running",)


def test_instance_does_not_call_init() -> None:
    """An instance gets its state as unpickling gives it."""
    made = source.instance(Plain, cls=1, self=2)
    assert type(made) is Plain
    assert vars(made) == {"cls": 1, "self": 2}


def test_instance_without_state_is_given_none() -> None:
    """No state is not an empty one."""
    assert not hasattr(source.instance(Told), "told")
    assert source.instance(Told, a=1).told == {"a": 1}
    made = source.instance(Told)
    source.complete(made)
    assert made.told == {}


def test_volatile_attributes_are_dropped() -> None:
    """A class's own `__setstate__` has its say."""
    assert vars(source.instance(Keeper, port=1, running=True)) == {"port": 1}


def test_states_of_slots() -> None:
    """A pair is the dict and the slots."""
    made = Slotted()
    source.set_state(made, (None, {"a": 1}))
    assert made.a == 1


@pytest.mark.parametrize(
    ("how", "call", "args", "kwargs", "expected"),
    [
        ("reduce", int, ("12",), None, 12),
        ("newobj", tuple, ([1],), None, (1,)),
        ("newobj_ex", complex, (), {"real": 1.0}, 1 + 0j),
        ("instance", list, ([1],), None, [1]),
    ],
)
def test_make(how: str, call: Any, args: Any, kwargs: Any, expected: Any) -> None:
    """Every kind of call of a pickle."""
    assert source.make(how, call, args, kwargs) == expected


def test_make_an_old_instance() -> None:
    """Without arguments protocol 0 does not call the class."""
    assert type(source.make("instance", Plain)) is Plain


def test_make_refuses_what_is_no_way() -> None:
    """An unknown way is said in words."""
    with pytest.raises(ImageError, match="can't be made by 'eval'"):
        source.make("eval", int)


def test_contents() -> None:
    """Items, entries and members are put in as unpickling does."""
    items: deque[int] = deque([1])
    source.set_items(items, [2])
    entries: dict[str, int] = {}
    source.set_entries(entries, {"a": 1})
    members = {1}
    source.set_members(members, [2])
    assert (items, entries, members) == (deque([1, 2]), {"a": 1}, {1, 2})


class Appending:
    def __init__(self) -> None:
        self.got: list[int] = []
        self.append = self.add = self.got.append


def test_contents_one_by_one() -> None:
    """What has no `extend`, and is no set, is filled one by one."""
    made = Appending()
    source.set_items(made, [1, 2])
    source.set_members(made, [3])
    assert made.got == [1, 2, 3]


def test_small_words() -> None:
    """The rest of the words."""
    assert math.isnan(source.nan(0x7FF8000000000001))
    assert source.pickled("gAVLBS4=") == pickle.loads(b"\x80\x05K\x05.") == 5
    assert source.lookup("collections", "OrderedDict.fromkeys")
    assert source.nested(Plain) is Plain
    for nothing in (source.effect(1, 2), source.again(1), source.discard(1)):
        assert nothing is None
    with pytest.raises(ImageError, match="buffer 3 is not in this file"):
        source.buffer(3)


def test_every_word_is_there_and_is_read() -> None:
    """The table of words, this module and the reader know the same ones."""
    assert {word for word in HELPERS if callable(getattr(source, word))} == HELPERS
    assert EXPRESSIONS | STATEMENTS | {"nested"} == HELPERS


# -- classes whose call makes the same


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: int


@dataclasses.dataclass(kw_only=True)
class Keyword:
    x: int


@dataclasses.dataclass
class Late(Point):
    z: int = dataclasses.field(default=0, init=False)


@dataclasses.dataclass
class After:
    x: int

    def __post_init__(self) -> None:
        pass


@dataclasses.dataclass
class OwnInit:
    x: int

    def __init__(self, x: int) -> None:
        self.x = x + 1


@dataclasses.dataclass
class OwnState:
    x: int

    def __setstate__(self, state: Any) -> None:
        pass


@dataclasses.dataclass
class OwnSetting:
    x: int

    def __setattr__(self, name: str, value: Any) -> None:
        pass


@dataclasses.dataclass
class OwnSlots:
    __slots__ = ("x",)
    x: int


class Inherits(Point):
    pass


@dataclasses.dataclass
class Init:
    x: dataclasses.InitVar[int]


class Meta(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return None


@dataclasses.dataclass
class Odd(metaclass=Meta):
    x: int


def test_plain_dataclasses() -> None:
    """Those whose generated `__init__` sets all their fields and nothing else."""
    assert source.plain_dataclass(Point) == ("x", "y")
    assert source.plain_dataclass(Frozen) == ("x",)
    assert source.plain_dataclass(Keyword) == ("x",)


@pytest.mark.parametrize(
    "cls", [Late, After, OwnInit, OwnState, OwnSetting, OwnSlots, Inherits, Init, Odd, Plain, int]
)
def test_what_is_no_plain_dataclass(cls: type) -> None:
    """Anything that could make something else is not trusted."""
    assert source.plain_dataclass(cls) is None


class Pair(NamedTuple):
    x: int
    y: int = 0


class Sum(namedtuple("Sum", "x")):
    def __new__(cls, x: int) -> Sum:
        return super().__new__(cls, x + 1)


def test_plain_namedtuples() -> None:
    """Those that `namedtuple` made, and not what was made of them with another `__new__`."""
    assert source.plain_namedtuple(Pair) == ("x", "y")
    assert source.plain_namedtuple(Sum) is None
    assert source.plain_namedtuple(tuple) is None


def test_declarations_are_checked() -> None:
    """A file that says more of a class than is true now does not run."""
    source.dataclass_fields(Point, "x", "y")
    source.namedtuple_fields(Pair, "x", "y")
    with pytest.raises(ImageError, match="has the fields"):
        source.dataclass_fields(Point, "x")
    with pytest.raises(ImageError, match="can't be made by its call alone"):
        source.dataclass_fields(After, "x")
    with pytest.raises(ImageError, match="can't be made by its call alone"):
        source.namedtuple_fields(Plain, "x")


class Described:
    @property
    def port(self) -> int:
        return 1


def test_assignable() -> None:
    """Attributes may come late where neither state nor setting is the class's own."""
    assert source.assignable(Plain)
    assert source.assignable(Keeper)
    for cls in (Told, OwnSetting, Described, Slotted):
        assert not source.assignable(cls)
