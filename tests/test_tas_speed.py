"""What makes `.tas` quick must not change what it says; see test_form_speed for both text forms."""

from __future__ import annotations

import ast
import gc
import pickle

import pytest

from tapkit import image
from tapkit.image import nodes, tas
from tapkit.image.nodes import NEWOBJ, STATE, Dict, Global, Image, Object, difference
from tapkit.image.pickled import decompile
from tapkit.image.tas import shapes
from tests import graphs
from tests.tas_round import image_of

THING = ("tests.graphs", "Thing")
KNOWN = tas.Known(assignable={THING})


def ring(*sizes: int) -> list[graphs.Thing]:
    """Things that refer back to a hub, in ways that differ."""
    made = []
    for size in sizes:
        hub = graphs.Thing(name=f"hub {size}", things=[])
        for number in range(size):
            thing = graphs.Thing(a=number, hub=hub, days={"monday": number, "friday": -1})
            if number % 2:
                vars(thing)["again"] = hub
            hub.things.append(thing)
        made.append(hub)
    return made


def instances() -> int:
    """How many nodes of objects there are."""
    return sum(type(each) is Object for each in gc.get_objects())


@pytest.mark.parametrize("known", [tas.NOTHING, KNOWN], ids=["shells", "links"])
@pytest.mark.parametrize("is_searched", [False, True])
def test_what_was_let_go_is_gone_at_once(known: tas.Known, is_searched: bool) -> None:
    """Written or read nodes with cycles are freed when they are dropped, by no collector."""
    gc.collect()
    gc.disable()
    try:
        before = instances()
        found = image_of(ring(3, 4))
        if is_searched:
            found.shared = None
        source = tas.write(found, known)
        nodes.let_go(found)
        del found
        assert instances() == before
        found = tas.read(source, "x.tas")
        assert instances() > before
        nodes.let_go(found)
        del found
        assert instances() == before
    finally:
        gc.enable()


def test_the_image_is_whole_after_it_is_written() -> None:
    """Only who lets an image go loses it."""
    found = image_of(ring(3))
    tas.write(found, KNOWN)
    assert difference(found.root, image_of(ring(3)).root) is None


@pytest.mark.parametrize("most", [0, 1, 2_000])
def test_links_of_any_shape(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links come last whether instances have a shape without them or there are too many."""
    expected = tas.write(image_of(ring(5, 6)), KNOWN)
    monkeypatch.setattr(shapes.Shapes, "without", _within(most))
    assert tas.write(image_of(ring(5, 6)), KNOWN) == expected
    assert b"# Links back" in expected
    assert difference(image_of(ring(5, 6)).root, tas.read(expected, "x.tas").root) is None


def _within(most: int):
    """`Shapes.without` with another limit."""
    without, made = shapes.Shapes.without, []

    def limited(self, shape, places):
        made.append(places)
        return without(self, shape, places) if len(made) <= most else None

    return limited


def test_quotes_dicts_and_numbers_need_no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """What our writer writes is read without Python's parser, once a shape is known."""
    things = [
        graphs.Thing(
            quotes=['say "hi"', "it's"], days={"a%s": at, "b": -at}, of={"k": kid, "l": kid}
        )
        for at, kid in ((at, graphs.Thing(n=at)) for at in range(50))
    ]
    source = tas.write(image_of(things))
    parsed = []
    parse = ast.parse
    monkeypatch.setattr(ast, "parse", lambda text: parsed.append(text) or parse(text))
    assert difference(image_of(things).root, tas.read(source, "x.tas").root) is None
    assert len(parsed) < 10


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "b": 007}',
        '{"a": 1, "a": 2}',
        '{"a": True}',
        "{'a': 1}",
        '{"a": 1, }',
        '{"a": 1.5}',
    ]
    + ['{\n        "a": kid,\n        "b" "c": kid,\n    }', "'''x'''", "{'k': 'it\\'s'}", "b'x'"],
)
def test_what_only_looks_like_ours_is_read_as_python_does(text: str) -> None:
    """A dict or string that is nearly what the writer writes means what it means, or is refused."""
    few = [f'kid = instance(Thing, v={{"a": {at}, "b": {at}}})' for at in range(4)]
    few[1:] = [f"{line[:3]}{at}{line[3:]}" for at, line in enumerate(few[1:])]
    head = "from tapkit.source import instance\nfrom tests.graphs import Thing"
    source = "\n\n".join([head, *few, f"last = instance(Thing, v={text})", "root = [kid, last]\n"])
    try:
        tree = ast.parse(source)
    except SyntaxError:
        with pytest.raises(tas.SourceError):
            tas.read(source.encode(), "x.tas")
        return
    assert tree
    loaded = tas.run(source.encode(), "x.tas")[1]
    found = image.loads(source.encode(), "source")[1]
    assert graphs.difference(found, loaded) is None


def test_names_that_numbers_could_make() -> None:
    """A key like `thing2` and a second `thing` are two variables."""
    kids = [Object(NEWOBJ, Global(*THING)) for _ in range(6)]
    for at, kid in enumerate(kids):
        kid.add_step(STATE, Dict(["n", at]))
    keys = ["thing", "thing2", "thing", "thing 2", "thing22", "class"]
    holders = []
    for key, kid in zip(keys, kids, strict=True):
        holder = Object(NEWOBJ, Global(*THING))
        holder.add_step(STATE, Dict(["inner", Dict([key, kid, "x", (kid,)])]))
        holders.append(holder)
    source = tas.write(Image(holders))
    assert difference(tas.read(source, "x.tas").root, holders) is None
    names = [line.split(" =")[0] for line in source.decode().splitlines() if " = instance(" in line]
    assert len(names) == len(set(names)) == 12
    assert {"thing", "thing2", "thing3", "thing22", "class_"} <= set(names)


def test_a_long_chain_is_let_go() -> None:
    """Nodes that each hold the next are freed without an overflow."""
    first = at = graphs.Thing()
    for number in range(20_000):
        kid = graphs.Thing(back=at, number=number)
        vars(at)["next"] = kid
        at = kid
    source = image.dumps(first, "source")
    found = tas.read(source, "x.tas")
    assert decompile(pickle.dumps([1])).knots == []
    assert found.knots
    nodes.let_go(found)
    assert found.knots == []
