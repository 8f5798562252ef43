"""Every kind of graph, through .tas and back: read it is the same nodes, run the same objects."""

from __future__ import annotations

import importlib
import itertools
import pickle
import pkgutil
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tapkit
from tapkit import styles
from tapkit.errors import ImageError
from tapkit.image import dumping, nodes, tas
from tapkit.image.nodes import NEWOBJ, REDUCE, STATE, Dict, Global, Image, Object
from tapkit.image.pickled import assemble, decompile
from tests import graphs
from tests.random_graphs import a_graph, shape
from tests.tas_round import WHERE, difference, image_of, loaded, round_trip

PROTOCOLS = (2, 3, 4, 5)
Graph = Callable[[], Any]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("graph", graphs.PLAIN, ids=lambda graph: graph.__name__)
def test_read_gives_the_nodes_that_were_written(graph: Graph, protocol: int) -> None:
    """Whatever was pickled: types, values, order, sharing and cycles survive the text."""
    assert difference(decompile(pickle.dumps(graph(), protocol))) is None


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("graph", graphs.PLAIN, ids=lambda graph: graph.__name__)
def test_run_makes_what_unpickling_makes(graph: Graph, protocol: int) -> None:
    """The source, run as ordinary Python, makes a graph isomorphic to the unpickled one."""
    image = decompile(pickle.dumps(graph(), protocol))
    made = tas.run(tas.write(image), WHERE)
    assert graphs.difference(loaded(image), made) is None


@pytest.mark.parametrize("graph", graphs.PLAIN, ids=lambda graph: graph.__name__)
def test_the_flat_pickler_s_streams(graph: Graph) -> None:
    """What tapkit itself saves makes the same round trip."""
    assert difference(decompile(dumping.dumps(graph(), out_of_band=False).payload)) is None


@pytest.mark.parametrize("graph", graphs.BY_VALUE, ids=lambda graph: graph.__name__)
def test_code_by_value(graph: Graph) -> None:
    """Lambdas, closures and local classes load from the text as from their pickle."""
    data = cloudpickle.dumps(graph())
    source, back = round_trip(decompile(data))
    assert nodes.difference(decompile(data).root, back.root) is None
    assert graphs.difference(pickle.loads(data), loaded(back)) is None
    assert graphs.difference(pickle.loads(data), tas.run(source, WHERE)) is None
    assert b"# Code by value: " in source


def test_code_by_value_is_opaque() -> None:
    """A lambda's code is one helper call with base64, under a comment that says what it is."""
    source = tas.write(decompile(cloudpickle.dumps(lambda: 1))).decode()
    assert "# Code by value: <lambda> of " in source
    assert " = pickled(" in source
    assert "co_consts" not in source


@pytest.mark.parametrize("start", range(0, 200, 25))
def test_random_graphs(start: int) -> None:
    """Graphs of all kinds at random: read the same nodes, run the same shape, in any case."""
    ran = 0
    for seed in range(start, start + 25):
        image = decompile(dumping.dumps(a_graph(seed, 3 + seed % 20)).payload)
        try:
            expected = loaded(image)
        except Exception:  # half-made keys: pickle's own order fails on these graphs
            assert difference(image) is None
            continue
        source, back = round_trip(image)
        assert nodes.difference(image.root, back.root) is None, seed
        assert shape(tas.run(source, WHERE)) == shape(expected), seed
        ran += 1
    assert ran > 10


def test_random_graphs_of_known_classes() -> None:
    """What is known of the classes changes the words - calls, links - and nothing else."""
    links = calls = 0
    for seed in range(150):
        image = decompile(dumping.dumps(a_graph(seed, 3 + seed % 20)).payload)
        known = tas.learn(image.names)
        source, back = round_trip(image, known)
        assert nodes.difference(image.root, back.root) is None, seed
        links += b"# Links back" in source
        calls += b"dataclass_fields(Record" in source
        try:
            expected = loaded(image)
        except Exception:  # as above
            continue
        assert shape(tas.run(source, WHERE)) == shape(expected), seed
    assert links > 20
    assert calls > 5


def test_tapkit_s_own_classes_take_links() -> None:
    """Instances of every class here that is saved may get an attribute after their state."""
    checked = 0
    for info in pkgutil.walk_packages(tapkit.__path__, "tapkit."):
        for thing in vars(importlib.import_module(info.name)).values():
            if isinstance(thing, type) and issubclass(thing, styles.Persistent):
                allowed = (styles.Persistent.__setstate__, styles.Versioned.__setstate__)
                assert getattr(thing, "__setstate__", None) in allowed
                assert thing.__setattr__ is object.__setattr__
                checked += 1
    assert checked > 10


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=150),
    st.text(st.characters(categories=["Cs", "Cc", "Zs", "Ll"]), max_size=20),
    st.binary(max_size=120),
    st.datetimes(),
    st.timedeltas(),
    st.decimals(),
    st.fractions(),
    st.uuids(),
    st.complex_numbers(),
)
TUPLES = st.tuples(st.integers(), st.text(max_size=3))
KEYS = st.one_of(st.text(max_size=12), st.integers(), TUPLES)


def _containers(kids: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(kids, max_size=6),
        st.lists(kids, max_size=3).map(tuple),
        st.dictionaries(KEYS, kids, max_size=5),
        st.frozensets(KEYS, max_size=4),
        _common_containers(kids),
    )


def _common_containers(kids: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Without tuples of constants: Python makes one of equal ones in a file it runs."""
    names = st.sampled_from(["a", "b", "class", "x y"])
    return st.one_of(
        st.lists(kids, max_size=6),
        st.lists(kids, max_size=3).map(lambda items: (items, *items)),
        st.dictionaries(st.text(max_size=5), kids, max_size=5),
        st.frozensets(st.integers(), max_size=4),
        st.dictionaries(names, kids).map(lambda state: graphs.Thing(**state)),
        st.lists(kids, min_size=1, max_size=3).map(lambda items: [items[0], items, items[0]]),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(VALUES, _containers, max_leaves=25))
def test_any_values_are_read(thing: Any) -> None:
    """Any value in any container is read back to the bit."""
    assert difference(image_of(thing)) is None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(VALUES, _common_containers, max_leaves=25))
def test_any_values_are_made(thing: Any) -> None:
    """Any value in any container is made by running the source."""
    image = image_of(thing)
    assert graphs.difference(loaded(image), tas.run(tas.write(image), WHERE)) is None


# -- depth


def chain(length: int) -> Object:
    """Instances, each in the next."""
    cls = Global("collections", "UserList")
    link: Any = None
    for number in range(length):
        inner, link = link, Object(NEWOBJ, cls)
        link.steps += (STATE, Dict(["number", number, "after", inner]))
    return link


@pytest.mark.slow
def test_a_deep_chain_of_objects() -> None:
    """Objects in objects: flat statements, however deep."""
    image = Image(chain(50_000))
    back = tas.read(tas.write(image), WHERE)
    assert nodes.difference(image.root, back.root) is None


@pytest.mark.parametrize("kind", [list, tuple, lambda parts: Dict(["k", parts[0]])])
def test_deep_containers(kind: Any) -> None:
    """Lists, tuples and dicts 10,000 deep are read, and run."""
    nest: Any = kind([1])
    for _ in range(10_000):
        nest = kind([nest])
    source = tas.write(Image(nest))
    assert nodes.difference(nest, tas.read(source, WHERE).root) is None
    made, depth = tas.run(source, WHERE), 0
    while made != 1:
        made, depth = made["k" if type(made) is dict else 0], depth + 1
    assert depth == 10_001


def test_brackets_never_nest_deep() -> None:
    """No line of source nests more brackets than any Python takes."""
    deepest = 0
    nest: Any = []
    for _ in range(500):
        nest = [nest]
    for block in tas.write(Image(nest)).decode().split("\n\n"):
        deepest = max(deepest, block.count("["))
    assert 1 < deepest <= 20


# -- what only nodes made by hand have


def made_by(how: str, *args: Any, steps: tuple[Any, ...] = (), kwargs: Any = None) -> Object:
    """An object of a class that need not exist."""
    made = Object(how, Global("nowhere.at.all", "Thing"), args, kwargs)
    made.steps += steps
    return made


SHARED = (1, "two")
ODD = {
    "instance without state": made_by(NEWOBJ),
    "empty state": made_by(NEWOBJ, steps=(STATE, Dict())),
    "no attributes": made_by(NEWOBJ, steps=(STATE, Dict([1, 2, "odd name", 3]))),
    "the same name twice": made_by(NEWOBJ, steps=(STATE, Dict(["a", 1, "a", 2]))),
    "keywords as names": made_by(NEWOBJ, steps=(STATE, Dict(["class", 1, "None", 2]))),
    "names of parameters": made_by(NEWOBJ, steps=(STATE, Dict(["cls", 1, "self", 2, "obj", 3]))),
    "not in normal form": made_by(NEWOBJ, steps=(STATE, Dict(["\ufb01x", 1]))),
    "protocol 0 instance": made_by("instance", 1, "x"),
    "protocol 0 without": made_by("instance"),
    "keyword arguments": made_by("newobj_ex", 1, kwargs=Dict(["a", 2])),
    "no keyword arguments": made_by("newobj_ex", 1, kwargs=Dict()),
    "odd keyword arguments": made_by("newobj_ex", 1, kwargs=Dict(["a b", 2])),
    "all steps": made_by(
        REDUCE, 1, steps=("items", [1], "entries", Dict([2, 3]), "members", [4], STATE, None)
    ),
    "state of a pair": made_by(NEWOBJ, steps=(STATE, (None, Dict(["a", 1])))),
    "arguments twice": [Object(REDUCE, Global("m", "f"), SHARED), SHARED],
    "arguments from a call": Object(REDUCE, Global("m", "f"), made_by(REDUCE, 1)),
    "a call of a result": Object(REDUCE, made_by(REDUCE, 1), (2,)),
    "a global as a helper": [Global("tapkit.source", "instance"), Global("m", "instance")],
    "a helper called": Object(REDUCE, Global("tapkit.source", "nan"), (5,)),
    "names that clash": [Global(m, n) for m in ("a.b", "c.b") for n in ("x", "list", "root")],
    "nested names": [Global("m", "A.b.C"), Object(NEWOBJ, Global("m", "A.b")), Global("m", "b")],
    "no names": [Global("m-1", "a"), Global("m", "a<b>"), Global("if", "x"), Global("m", "else")],
    "an attribute of a class": Object(
        REDUCE, Global("builtins", "getattr"), (Global("m", "A"), "b")
    ),
    "an odd attribute": Object(REDUCE, Global("builtins", "getattr"), (Global("m", "A"), "b c")),
    "a set called": Object(REDUCE, Global("builtins", "set"), ([1],)),
    "a float called": Object(REDUCE, Global("builtins", "float"), ("nan",)),
    "a bad date": Object(REDUCE, Global("datetime", "date"), (b"\0\0\0\0",)),
    "a date of text": Object(REDUCE, Global("datetime", "date"), ("text",)),
    "an odd path": Object(REDUCE, Global("pathlib", "PosixPath"), ("a//b", "/")),
    "an odd UUID": Object(NEWOBJ, Global("uuid", "UUID"), ("x",)),
    "a wide UUID": made_by(NEWOBJ),
    "a buffer": [nodes.Buffer(0), nodes.Buffer(1, readonly=True)],
    "a bool for a number": Object(REDUCE, Global("datetime", "timedelta"), (True, 0, 0)),
    "unnormal delta": Object(REDUCE, Global("datetime", "timedelta"), (0, 100_000, 0)),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_nodes(name: str) -> None:
    """What no ordinary program pickles is spelt in full, and read as it was."""
    assert difference(Image(ODD[name])) is None


def test_discarded_calls() -> None:
    """Calls that a pickle makes and drops are made, and dropped, by the text too."""
    gone = made_by(REDUCE, 5)
    back = tas.read(tas.write(Image([gone, 1], discarded=[made_by(REDUCE, gone)])), WHERE)
    assert nodes.difference([made_by(REDUCE, gone)], back.discarded) is None
    assert back.discarded[0].args[0] is back.root[0]


def test_what_needs_itself_is_refused() -> None:
    """A tuple in itself can't be written, nor pickled."""
    knot = made_by(REDUCE)
    knot.args = (knot,)
    with pytest.raises(ImageError, match="must be there before it can be made"):
        tas.write(Image(knot))


def test_names_are_told() -> None:
    """What is read says every name the file refers to, for an audit."""
    _, back = round_trip(image_of([graphs.Thing(a=graphs.Colour.RED), len]))
    assert ("tests.graphs", "Thing") in back.names
    assert ("tests.graphs", "Colour") in back.names
    assert not [name for name in back.names if name[0] == "tapkit.source"]


def test_the_same_text_each_time() -> None:
    """Sets are written in a stable order, whatever order a process has them in."""
    words = ["b", "a", "ä", 3, -1, 2.5]
    texts = {tas.write(Image(nodes.Set(order))) for order in itertools.permutations(words)}
    assert len(texts) == 1
    assert b'{-1, 2.5, 3, "a", "b", "\xc3\xa4"}' in texts.pop()


def test_assembled_from_text() -> None:
    """From the text, pickle bytes are made that load."""
    image = decompile(pickle.dumps(graphs.application(), 5))
    back = tas.read(tas.write(image), WHERE)
    assert graphs.difference(graphs.application(), pickle.loads(assemble(back))) is None
