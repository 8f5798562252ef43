"""One table of what a .tax can say and the nodes it says: for the writer and the reader alike."""

from __future__ import annotations

import struct
from typing import Any

from tapkit.image.nodes import (
    AGAIN,
    EFFECT,
    ENTRIES,
    INSTANCE,
    ITEMS,
    MEMBERS,
    NEWOBJ,
    NEWOBJ_EX,
    REDUCE,
    STATE,
    Dict,
    FrozenSet,
    Global,
    Object,
    Set,
)

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'


def made(how: str, call: Any, *args: Any, kwargs: Any = None, steps: Any = ()) -> Object:
    """An object node."""
    node = Object(how, Global(*call.rsplit(".", 1)) if type(call) is str else call, args, kwargs)
    node.steps = list(steps)
    return node


def thing(*pairs: Any) -> Object:
    """An ordinary object."""
    return made(NEWOBJ, "app.Thing", steps=(STATE, Dict(pairs)) if pairs else ())


def call(name: str, *args: Any) -> Object:
    return made(REDUCE, name, *args)


def method(function: tuple[str, str], owner: Any) -> Object:
    builtin = call("cloudpickle.cloudpickle._builtin_type", "MethodType")
    return made(REDUCE, builtin, Global(*function), owner)


NAN = struct.unpack(">d", bytes.fromhex("7ff8000000000001"))[0]
QUIET = float("nan")

ATOMS: list[tuple[str, Any]] = [
    (' type="none"/>', None),
    (' type="bool">true</a>', True),
    (' type="bool">false</a>', False),
    (' type="int">-8007</a>', -8007),
    (f' type="int">{hex(1 << 20_000)}</a>', 1 << 20_000),
    (' type="float">0.1</a>', 0.1),
    (' type="float">-0.0</a>', -0.0),
    (' type="float">inf</a>', float("inf")),
    (' type="float">nan</a>', QUIET),
    (' type="float" bits="7ff8000000000001"></a>', NAN),
    ("></a>", ""),
    (">  </a>", "  "),
    (">\n</a>", "\n"),
    (">8007</a>", "8007"),
    (">a &lt; b &amp;&amp; c]]&gt;</a>", "a < b && c]]>"),
    (">größe \U0001f600\t\n</a>", "größe \U0001f600\t\n"),
    (">line&#13;\nend</a>", "line\r\nend"),
    (' escape="backslash">\\x00\\\\\n&#13;&lt;</a>', "\0\\\n\r<"),
    (' escape="backslash">\\ud800\\ufffe</a>', "\ud800\ufffe"),
    (' type="bytes"></a>', b""),
    (' type="bytes">a &lt; b\\</a>', b"a < b\\"),
    (' type="bytes" encoding="base64">AP8=</a>', b"\0\xff"),
    (' type="bytearray">x</a>', bytearray(b"x")),
    (' type="global">app.mod.Class</a>', Global("app.mod", "Class")),
    (' type="global">app.mod:Class.method</a>', Global("app.mod", "Class.method")),
    (' type="tuple"/>', ()),
]
"""What follows `<a`, and the value."""

STANDARD: list[tuple[str, Any]] = [
    (' type="complex">1.5-2j</a>', call("builtins.complex", 1.5, -2.0)),
    (' type="range" start="0" stop="9" step="2"/>', call("builtins.range", 0, 9, 2)),
    (' type="Decimal">1.50</a>', call("decimal.Decimal", "1.50")),
    (' type="Decimal">sNaN5</a>', call("decimal.Decimal", "sNaN5")),
    (' type="Fraction">1/3</a>', call("fractions.Fraction", 1, 3)),
    (' type="Fraction" given="str">1/3</a>', call("fractions.Fraction", "1/3")),
    (' type="PosixPath">/var/lib</a>', call("pathlib.PosixPath", "/", "var", "lib")),
    (' type="PosixPath">.</a>', call("pathlib.PosixPath")),
    (' type="PosixPath" module="pathlib._local">a</a>', call("pathlib._local.PosixPath", "a")),
    (' type="PurePosixPath" escape="backslash">\\udcff</a>',
     call("pathlib.PurePosixPath", "\udcff")),
    (' type="PureWindowsPath">c:\\x</a>', call("pathlib.PureWindowsPath", "c:\\", "x")),
    (' type="date">2004-05-01</a>', call("datetime.date", bytes([7, 212, 5, 1]))),
    (' type="time">12:00:00</a>', call("datetime.time", bytes([12, 0, 0, 0, 0, 0]))),
    (' type="datetime">2004-05-01T12:00:00.000007</a>',
     call("datetime.datetime", bytes([7, 212, 5, 1, 12, 0, 0, 0, 0, 7]))),
    (' type="datetime">2004-05-01T12:00:00-05:30</a>',
     call("datetime.datetime", bytes([7, 212, 5, 1, 12, 0, 0, 0, 0, 0]),
          call("datetime.timezone", call("datetime.timedelta", -1, 66600, 0)))),
    (' type="timedelta">-1 day, 0:00:01.500000</a>', call("datetime.timedelta", -1, 1, 500_000)),
    (' type="UUID">00000000-0000-0000-0000-0000000000ff</a>',
     made(NEWOBJ, "uuid.UUID", steps=(STATE, Dict(["int", 255])))),
    (' type="deque"/>', call("collections.deque")),
    (' type="deque" maxlen="2"><item>x</item></a>',
     made(REDUCE, "collections.deque", (), 2, steps=(ITEMS, ["x"]))),
    (' type="OrderedDict"><b>1</b></a>',
     made(REDUCE, "collections.OrderedDict", steps=(ENTRIES, Dict(["b", "1"])))),
    (' type="defaultdict" factory="builtins.list"/>',
     call("collections.defaultdict", Global("builtins", "list"))),
    (' type="member" class="app.Colour" name="RED"/>',
     call("builtins.getattr", Global("app", "Colour"), "RED")),
]  # fmt: skip

OBJECTS: list[tuple[str, Any]] = [
    (' type="tuple"><item>1</item><item>2</item></a>', ("1", "2")),
    (' class="app.Thing"/>', thing()),
    (' class="app.Thing" state="empty"/>', made(NEWOBJ, "app.Thing", steps=(STATE, Dict()))),
    (' class="app.Thing" state="slots"><x type="int">1</x></a>',
     made(NEWOBJ, "app.Thing", steps=(STATE, (None, Dict(["x", 1]))))),
    (' class="app:Outer.Inner"/>', made(NEWOBJ, Global("app", "Outer.Inner"))),
    (' new="app.Point"><item type="int">1</item><item type="int">2</item></a>',
     made(NEWOBJ, "app.Point", 1, 2)),
    (' call="app.f"/>', call("app.f")),
    (' call="app.Old" how="instance"><item>x</item></a>', made(INSTANCE, "app.Old", "x")),
    (' type="dict"><entry><key type="int">1</key><value>one</value></entry></a>', Dict([1, "one"])),
    (' type="dict"><attr name="a &quot;b&quot;&#10;">1</attr></a>', Dict(['a "b"\n', "1"])),
    (' type="dict"><attr name="attr">1</attr><attr name="xmlns">2</attr></a>',
     Dict(["attr", "1", "xmlns", "2"])),
    (' type="dict"><k>1</k><entry><key>k</key><value>2</value></entry></a>',
     Dict(["k", "1", "k", "2"])),
    (' type="set"><item type="int">9</item><item type="int">10</item></a>', Set([9, 10])),
    (' type="frozenset"><item type="none"/></a>', FrozenSet([None])),
]  # fmt: skip

ODD: list[Any] = [
    made(NEWOBJ_EX, "app.Point", 1, kwargs=Dict(["y", 2])),
    made(NEWOBJ_EX, "app.Point", kwargs=Dict()),
    made(REDUCE, "app.f", 1, steps=(STATE, None)),
    made(REDUCE, "app.f", steps=(STATE, Dict(["x", 1]), ITEMS, [1], ENTRIES, Dict([1, 2]))),
    made(REDUCE, "app.S", ["a"], steps=(MEMBERS, [1, ()])),
    made(REDUCE, "app.f", steps=(EFFECT, call("app.g", 1), STATE, 5, STATE, [])),
    made(REDUCE, "app.f", steps=(STATE, 1, AGAIN, None, STATE, 2)),
    made(REDUCE, "app.f", steps=(STATE, 1, AGAIN, call("app.f", 5), STATE, 2)),
    made(REDUCE, call("app.make", 1), 2),
    made(NEWOBJ, call("app.make", 1), steps=(STATE, Dict(["x", 1]))),
    made(INSTANCE, call("app.make", 1)),
    made(NEWOBJ, "app.Thing", steps=(STATE, Dict(["x", 1, "x", 2]))),
    made(NEWOBJ, "app.Thing", steps=(STATE, Dict(["a\0", 1, 5, 2]))),
    made(NEWOBJ, Global("app", "we ird\0"), steps=(STATE, Dict(["x", 1]))),
    Global("a:b", ""),
    Global("app", "\ud800"),
    call("builtins.getattr", Global("app", "C"), "\0"),
    call("builtins.getattr", thing("x", 1), "name"),
    Dict(["odd key", call("builtins.getattr", thing("x", 1), "name")]),
    Dict(["odd key", method(("app", "Thing.run"), thing())]),
    method(("app", "Thing.run"), thing()),
    method(("app", "Base.run"), thing()),
    method(("app", "run"), [1]),
    call("cloudpickle.cloudpickle._builtin_type", "CodeType"),
    call("datetime.datetime", b"not ten"),
    call("datetime.datetime", bytes([7, 212, 133, 1, 12, 0, 0, 0, 0, 7])),
    call("datetime.datetime", bytes([7, 212, 5, 1, 12, 0, 0, 0, 0, 7]), call("app.Zone", 1)),
    call("datetime.time", bytes([12, 0, 0, 0, 0, 0]), None),
    call("datetime.timedelta", 1 << 70, 0, 0),
    call("datetime.timedelta", 0, 100_000, 0),
    call("decimal.Decimal", "not a number"),
    call("fractions.Fraction", 1 << 50_000, 3),
    call("builtins.range", 0, 1 << 200, 1),
    call("builtins.complex", NAN, 1.0),
    call("pathlib.PosixPath", "a//b", ""),
    call("collections.deque", [1], 2),
    made(REDUCE, "collections.deque", steps=(ITEMS, [])),
    made(REDUCE, "collections.OrderedDict", [["a", 1]], steps=(STATE, Dict(["x", 1]))),
    made(NEWOBJ, "uuid.UUID", steps=(STATE, Dict(["int", 1 << 128]))),
    made(NEWOBJ, "uuid.UUID", steps=(STATE, Dict(["int", 1, "is_safe", None]))),
    Set([("b", 1), ("a", 2), "z", 3, None, thing()]),
    FrozenSet([FrozenSet([1]), (FrozenSet(),)]),
]
"""Nodes with no spelling that is easy on the eye: they only must come back as they were."""


def shared() -> list[Any]:
    """Graphs with nodes that are met more than once, and cycles."""
    inner: list[Any] = []
    pair = (inner, 1)
    ring: list[Any] = []
    ring.append((ring, "x"))
    knot = thing("me", None)
    knot.steps[1][1] = knot
    args = (1, 2)
    state = Dict(["x", 1])
    own = made(REDUCE, "app.f", [])
    own.args[0].append(own)
    tuples: list[Any] = []
    cycle = ((tuples,), "y")
    tuples.append(cycle)
    zone = call("datetime.timezone", call("datetime.timedelta", 0, 0, 0))
    moment = bytes([7, 212, 5, 1, 12, 0, 0, 0, 0, 7])
    owner = thing("x", 1)
    maker = call("app.make", 1)
    methods = call("cloudpickle.cloudpickle._builtin_type", "MethodType")
    run = Global("app", "Thing.run")
    frozen = FrozenSet([1])
    return [
        [inner, inner, pair, pair, Dict(["a", inner, pair, inner])],
        ring,
        [ring, ring[0]],
        knot,
        [made(REDUCE, "app.f", 1, 2), args],
        [_with_args(args), _with_args(args), args],
        [made(NEWOBJ, "app.Thing", steps=(STATE, state)), state],
        own,
        [own, own.args],
        cycle,
        [tuples, cycle],
        [call("datetime.datetime", moment, zone), call("datetime.datetime", moment, zone), zone],
        [made(REDUCE, methods, run, owner), owner, made(REDUCE, methods, run, owner), methods],
        [methods, call("cloudpickle.cloudpickle._builtin_type", "MethodType")],
        [made(NEWOBJ, maker, steps=(STATE, Dict(["x", 1]))), made(REDUCE, maker), maker],
        [frozen, Set([frozen]), frozen],
        [call("builtins.getattr", owner, "x"), call("builtins.getattr", owner, "x")],
        Dict([frozen, frozen]),
    ]


def _with_args(args: tuple[Any, ...]) -> Object:
    node = Object(REDUCE, Global("app", "f"))
    node.args = args
    return node
