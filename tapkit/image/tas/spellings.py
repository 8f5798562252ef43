"""Standard types that are written as a person would, and read back as pickle has them.

A row a class: `write` gives the arguments of its call, or None where the natural call would be
read as something else than is there (then it is spelt in full); `read` gives the node that
natural arguments stand for, or None. The two are each other's inverse: whatever `write` gives,
`read` makes the same node of; the writer asks it before it believes `write`.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tapkit.image.nodes import ENTRIES, ITEMS, NEWOBJ, REDUCE, STATE, Dict, Global, Node, Object

Arguments = tuple[list[Node], dict[str, Node]]
"""Positional arguments and keywords."""


class Spelling(NamedTuple):
    """How calls of one class are written and read."""

    write: Callable[[Object], Arguments | None]
    read: Callable[[Global, list[Node], Mapping[str, Node]], Object | None]


def ints(args: list[Node]) -> bool:
    """Whether all are ints."""
    return all(type(arg) is int for arg in args)


# -- dates and times: their bytes are their fields


def _write_datetime(node: Object) -> Arguments | None:
    data = _first_bytes(node, 10)
    if data is None:
        return None
    fold, month = divmod(data[2], 128)
    found = datetime.datetime(data[0] * 256 + data[1], month, *data[3:7])
    fields = [found.year, found.month, found.day]
    fields += _time_fields(data[4:], 0)
    return fields, _zone(node, fold)


def _write_time(node: Object) -> Arguments | None:
    data = _first_bytes(node, 6)
    if data is None:
        return None
    fold, hour = divmod(data[0], 128)
    return _time_fields(bytes([hour]) + data[1:], 1), _zone(node, fold)


def _write_date(node: Object) -> Arguments | None:
    data = _first_bytes(node, 4)
    return None if data is None else ([data[0] * 256 + data[1], data[2], data[3]], {})


def _time_fields(data: bytes, least: int) -> list[Node]:
    """Hour, minute, second, microsecond, without what is zero at their end."""
    fields: list[Node] = [*data[:3], int.from_bytes(data[3:], "big")]
    while len(fields) > 2 and not fields[-1]:
        fields.pop()
    return fields if any(fields) or least else []


def _first_bytes(node: Object, size: int) -> bytes | None:
    args = node.args
    if node.how != REDUCE or node.steps or type(args) is not tuple or len(args) not in (1, 2):
        return None
    return args[0] if type(args[0]) is bytes and len(args[0]) == size else None


def _zone(node: Object, fold: int) -> dict[str, Node]:
    keywords: dict[str, Node] = {"tzinfo": node.args[1]} if len(node.args) == 2 else {}
    return {**keywords, "fold": 1} if fold else keywords


def _read_moment(call: Global, args: list[Node], keywords: Mapping[str, Node]) -> Object | None:
    """A date, time or datetime: checked by making one."""
    kind: Any = getattr(datetime, call.name)
    options = {"tzinfo", "fold"} if kind is not datetime.date else set()
    fold = keywords.get("fold", 0)
    if not ints([*args, fold]) or fold not in (0, 1) or not options.issuperset(keywords):
        return None
    made = kind(*args, fold=fold) if fold else kind(*args)
    data = made.__reduce_ex__(5)[1][0]
    zone = (keywords["tzinfo"],) if "tzinfo" in keywords else ()
    return Object(REDUCE, call, (data, *zone))


def _write_timedelta(node: Object) -> Arguments | None:
    args = node.args
    if node.how != REDUCE or node.steps or type(args) is not tuple or len(args) != 3:
        return None
    names = ("days", "seconds", "microseconds")
    return [], {name: arg for name, arg in zip(names, args, strict=True) if arg != 0}


def _read_timedelta(call: Global, args: list[Node], keywords: Mapping[str, Node]) -> Object | None:
    units = {"days", "seconds", "microseconds", "milliseconds", "minutes", "hours", "weeks"}
    if not units.issuperset(keywords) or not ints([*args, *keywords.values()]):
        return None
    made = datetime.timedelta(*args, **keywords)
    return Object(REDUCE, call, (made.days, made.seconds, made.microseconds))


# -- containers


def _write_filled(least: int) -> Callable[[Object], Arguments | None]:
    """A container whose one step, if any, becomes its last argument."""

    def write(node: Object) -> Arguments | None:
        if node.how != REDUCE or type(node.args) is not tuple or len(node.args) != least:
            return None
        if node.steps and type(node.steps[1]) not in (list, Dict):
            return None
        return [*node.args, *node.steps[1::2]], {}

    return write


def _read_filled(least: int) -> Callable[..., Object | None]:
    def read(call: Global, args: list[Node], keywords: Mapping[str, Node]) -> Object | None:
        if keywords or len(args) not in (least, least + 1):
            return None
        made = Object(REDUCE, call, tuple(args[:least]))
        if len(args) > least:
            if type(args[-1]) is not Dict:
                return None
            if args[-1]:
                made.add_step(ENTRIES, args[-1])
        return made

    return read


def _write_deque(node: Object) -> Arguments | None:
    items = list(node.steps[1::2])
    if node.how != REDUCE or type(node.args) is not tuple:
        return None
    if node.args == ():
        return items, {}
    if len(node.args) == 2 and node.args[0] == () and type(node.args[1]) is int:
        return items, {"maxlen": node.args[1]}
    return None


def _read_deque(call: Global, args: list[Node], keywords: Mapping[str, Node]) -> Object | None:
    if len(args) > 1 or not {"maxlen"}.issuperset(keywords) or not ints([*keywords.values()]):
        return None
    made = Object(REDUCE, call, ((), keywords["maxlen"]) if keywords else ())
    if args:
        if type(args[0]) is not list:
            return None
        if args[0]:
            made.add_step(ITEMS, args[0])
    return made


# -- the rest


def _write_uuid(node: Object) -> Arguments | None:
    if node.how != NEWOBJ or node.args != () or len(node.steps) != 2 or node.steps[0] != STATE:
        return None
    state = node.steps[1]
    if type(state) is not Dict or len(state) != 2 or state[0] != "int" or type(state[1]) is not int:
        return None
    return [str(uuid.UUID(int=state[1]))], {}


def _read_uuid(call: Global, args: list[Node], keywords: Mapping[str, Node]) -> Object | None:
    if keywords or len(args) != 1 or type(args[0]) is not str:
        return None
    made = Object(NEWOBJ, call)
    made.add_step(STATE, Dict(("int", uuid.UUID(args[0]).int)))
    return made


def _write_path(node: Object) -> Arguments | None:
    parts = node.args
    if node.how != REDUCE or node.steps or type(parts) is not tuple:
        return None
    if not all(type(part) is str and part for part in parts):
        return None
    if parts and parts[0] == "/":
        return ["/" + "/".join(parts[1:])], {}
    return (["/".join(parts)], {}) if parts else None


def _read_path(call: Global, args: list[Node], keywords: Mapping[str, Node]) -> Object | None:
    if keywords or len(args) != 1 or type(args[0]) is not str:
        return None
    path = args[0]
    parts = [part for part in path.split("/") if part]
    return Object(REDUCE, call, ("/", *parts) if path.startswith("/") else tuple(parts))


_MOMENT = {"datetime": _write_datetime, "date": _write_date, "time": _write_time}

SPELLINGS: dict[tuple[str, str], Spelling] = {
    **{("datetime", name): Spelling(write, _read_moment) for name, write in _MOMENT.items()},
    ("datetime", "timedelta"): Spelling(_write_timedelta, _read_timedelta),
    ("collections", "OrderedDict"): Spelling(_write_filled(0), _read_filled(0)),
    ("collections", "defaultdict"): Spelling(_write_filled(1), _read_filled(1)),
    ("collections", "deque"): Spelling(_write_deque, _read_deque),
    ("uuid", "UUID"): Spelling(_write_uuid, _read_uuid),
    ("pathlib", "PosixPath"): Spelling(_write_path, _read_path),
    ("pathlib", "PurePosixPath"): Spelling(_write_path, _read_path),
}
"""Every class with a spelling of its own."""

LITERAL = frozenset(
    {("builtins", "float"), ("builtins", "set"), ("builtins", "frozenset"), ("builtins", "dict")}
    | {("builtins", "list"), ("builtins", "tuple"), ("builtins", "bytearray")}
)
"""Classes whose call means a node of its own kind (`set()`), or would to a reader."""


def written(node: Object) -> Arguments | None:
    """The natural arguments of an object, if they say just what the object is."""
    spelling = SPELLINGS.get((node.call.module, node.call.name))
    if spelling is None:
        return None
    try:
        found = spelling.write(node)
        if found is None or not _same(spelling.read(node.call, *found), node):
            return None
    except (ValueError, TypeError, OverflowError):
        return None
    return found


def read(call: Global, args: list[Node], keywords: Mapping[str, Node]) -> Object | None:
    """The node that a natural call stands for, or None."""
    try:
        return SPELLINGS[call.module, call.name].read(call, args, keywords)
    except (ValueError, TypeError, OverflowError):
        return None


def _same(one: Object | None, other: Object) -> bool:
    """Whether two objects are made alike: the same call, of the very same parts."""
    if one is None or one.how != other.how or one.steps[::2] != other.steps[::2]:
        return False
    if not _alike(one.args, other.args) or type(other.args) is not tuple:
        return False
    return all(map(_alike, one.steps[1::2], other.steps[1::2]))


def _alike(one: Node, other: Node) -> bool:
    if type(one) is not type(other) or len(one) != len(other):
        return False
    return all(
        a is b
        or (type(a) is type(b) and type(a) in (int, str, bytes, float) and repr(a) == repr(b))
        or (a == () == b)
        for a, b in zip(one, other, strict=True)
    )
