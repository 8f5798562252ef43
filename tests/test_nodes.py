"""The node kinds, and what can be asked of a graph of them."""

from __future__ import annotations

import ast
import math
import struct
from pathlib import Path
from typing import Any

import pytest

from tapkit.image import nodes
from tapkit.image.nodes import (
    AGAIN,
    EFFECT,
    ENTRIES,
    ITEMS,
    KINDS,
    NEWOBJ,
    NEWOBJ_EX,
    REDUCE,
    STATE,
    Buffer,
    Dict,
    FrozenSet,
    Global,
    Image,
    Object,
    Set,
    children,
    difference,
    walk,
)


def instance(**state: Any) -> Object:
    """A plain instance with this state."""
    made = Object(NEWOBJ, Global("m", "C"))
    made.add_step(STATE, Dict.of(state.items()))
    return made


def test_the_table_names_every_kind_the_theory_does() -> None:
    """The table of kinds in the module's theory and the one in the code are the same."""
    source = Path(nodes.__file__).with_name("nodes.py").read_text()  # compiled, it has no __doc__
    table = (ast.get_docstring(ast.parse(source)) or "").split("  " + "=" * 75)[2]
    told = [line.split()[0] for line in table.splitlines() if line and not line.startswith(" ")]
    told = [word for word in told if word.isalpha()]
    assert sorted(told) == sorted(set(KINDS.values()))


def test_dict_items_are_pairs_in_order() -> None:
    """A Dict is flat, and gives its entries by pairs; a key may come twice."""
    entries = Dict.of([("b", 1), ("a", 2), ("b", 3)])
    assert list(entries) == ["b", 1, "a", 2, "b", 3]
    assert list(entries.items()) == [("b", 1), ("a", 2), ("b", 3)]


def test_half_an_entry_is_an_error() -> None:
    """A key without a value is not passed over in silence."""
    with pytest.raises(ValueError):
        list(Dict(["a", 1, "b"]).items())


def test_globals_are_equal_by_value() -> None:
    """Two nodes for one class are one value, whatever else they are compared with."""
    assert Global("m", "C") == Global("m", "C") != Global("m", "D")
    assert len({Global("m", "C"), Global("m", "C")}) == 1
    assert Global("m", "C") != "m.C"
    assert repr(Global("m", "C")) == "Global('m', 'C')"


def test_steps_keep_their_order() -> None:
    """What is done to an object is kept in the order it is done."""
    made = Object(REDUCE, Global("m", "f"), (1,))
    made.add_step(ITEMS, [1])
    made.add_step(STATE, None)
    assert list(made.each_step()) == [(ITEMS, [1]), (STATE, None)]
    assert "items, state" in repr(made)
    assert "no steps" in repr(Object(REDUCE, Global("m", "f")))


def test_children_are_all_a_node_refers_to() -> None:
    """Every node a node refers to is among its children, in the order of a pickle."""
    made = Object(NEWOBJ_EX, "call", ("arg",), Dict(["key", "word"]))
    made.add_step(ITEMS, ["item"])
    made.add_step(ENTRIES, Dict(["k", "v"]))
    made.add_step(EFFECT, "effect")
    made.add_step(AGAIN, None)
    made.add_step(STATE, "state")
    expected = ["call", ("arg",), ["key", "word"], "item", "k", "v", "effect", None, "state"]
    assert list(children(made)) == expected
    for container in ((1, 2), [1, 2], Dict([1, 2]), Set([1, 2]), FrozenSet([1, 2])):
        assert list(children(container)) == [1, 2]
    for leaf in (None, 1, "s", b"b", bytearray(b"x"), Global("m", "C"), Buffer(0)):
        assert list(children(leaf)) == []


def test_walk_meets_each_node_once() -> None:
    """A walk meets shared nodes once, cycles end it, atoms are passed over."""
    part = ["shared", 1, None]
    root = instance(a=part, b=(part, [2]))
    root.steps[1].append(root)
    root.steps[1].append(root)
    kinds = [KINDS[type(node)] for node in walk(root)]
    assert kinds == ["object", "global", "tuple", "dict", "list", "tuple", "list"]


def test_walk_and_difference_do_not_recurse() -> None:
    """Graphs 100,000 levels deep are walked and compared."""
    left: Any = []
    right: Any = []
    for _ in range(100_000):
        left, right = [left], [right]
    assert sum(1 for _ in walk(left)) == 100_001
    assert difference(left, right) is None


def pairs() -> list[Any]:
    """(a node, an equal one, one that differs) of each kind, and of each way to differ."""
    payload = struct.unpack(">d", b"\x7f\xf8\0\0\0\0\0\1")[0]
    shared = [1]
    return [
        (1, 1, True),
        (0, 0, 1 << 20_000),
        (0.0, 0.0, -0.0),
        (math.nan, math.nan, payload),
        ("a", "a", b"a"),
        ((1, 2), (1, 2), (1, 3)),
        ((), (), (1,)),
        ([1], [1], (1,)),
        ([1], [1], [1, 1]),
        (Dict([1, 2]), Dict([1, 2]), Dict([2, 1])),
        (Dict([1, 2]), Dict([1, 2]), [1, 2]),
        (Set([1]), Set([1]), FrozenSet([1])),
        (bytearray(b"a"), bytearray(b"a"), bytearray(b"b")),
        (Global("m", "C"), Global("m", "C"), Global("m", "D")),
        (Buffer(0), Buffer(0), Buffer(0, readonly=True)),
        (instance(a=1), instance(a=1), instance(a=2)),
        (Object(REDUCE, "c"), Object(REDUCE, "c"), Object(NEWOBJ, "c")),
        (instance(), instance(), Object(NEWOBJ, Global("m", "C"))),
        ([shared, shared], [shared, shared], [[1], [1]]),
        ([[1], [1]], [[1], [1]], [shared, shared]),
    ]


@pytest.mark.parametrize("case", pairs(), ids=range(len(pairs())))
def test_difference(case: tuple[Any, Any, Any]) -> None:
    """Kinds, values to the bit, order and sharing count; nothing else does."""
    node, equal, other = case
    assert difference(node, equal) is None
    assert difference(node, other)
    assert difference([0, node], [0, other])


def test_cycles_compare() -> None:
    """Two cycles of one shape are the same, of different lengths they are not."""
    one, two, three = instance(), instance(), instance()
    for node, other in ((one, one), (two, three), (three, two)):
        node.steps[1].extend(["next", other])
    twin = instance()
    twin.steps[1].extend(["next", twin])
    assert difference(one, twin) is None
    assert difference(one, two)


def test_steps_of_another_division_differ() -> None:
    """Where one step ends and the next begins is part of an object."""
    one, other = Object(REDUCE, "c"), Object(REDUCE, "c")
    one.steps = [ITEMS, [1, 2], ITEMS, [3]]
    other.steps = [ITEMS, [1], ITEMS, [2, 3]]
    assert difference(one, other)


def test_an_image_is_its_root_and_what_is_known_of_it() -> None:
    """An image may be made of a root alone."""
    image = Image([1])
    assert (image.root, image.names, image.discarded) == ([1], [], [])
