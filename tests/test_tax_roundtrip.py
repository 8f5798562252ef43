"""Live objects -> pickle -> XML -> pickle -> live objects: the same, and nothing imported."""

from __future__ import annotations

import pickle
import subprocess
import sys

import cloudpickle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapkit.image import tax
from tapkit.image.nodes import FrozenSet, Image, Set, difference, walk
from tapkit.image.pickled import assemble, decompile
from tapkit.image.tax.careful import Reader
from tapkit.image.tax.quick import quick
from tapkit.image.tax.tags import settled
from tests import graphs


def through(data: bytes) -> bytes:
    """A pickle of the same, through XML. Both readers are asked."""
    image = decompile(data)
    text = tax.write(image)
    careful = Reader(text, "x.tax").image()
    fast = quick(text)
    assert fast is not None
    for node in walk(image.root, *image.discarded):
        if type(node) in (Set, FrozenSet):
            node[:] = settled(node)
    for read in (careful, fast):
        assert difference([read.root, *read.discarded], [image.root, *image.discarded]) is None
    assert tax.write(fast) == text
    return assemble(fast)


PLAIN = {make.__name__: make for make in graphs.PLAIN}
BY_VALUE = {make.__name__: make for make in graphs.BY_VALUE}


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
@pytest.mark.parametrize("name", PLAIN)
def test_every_graph_of_the_corpus_comes_back_the_same(name, protocol):
    """What pickle saves, XML saves: types, values, identity, order."""
    try:
        data = pickle.dumps(PLAIN[name](), protocol)
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError):
        pytest.skip("plain pickle does not take it in this protocol")
    try:
        direct = pickle.loads(data)
    except Exception:
        pytest.skip("plain pickle cannot load it either")
    assert graphs.difference(pickle.loads(through(data)), direct) is None


@pytest.mark.parametrize("name", BY_VALUE)
def test_code_by_value_comes_back_and_is_opaque(name):
    """Lambdas, closures, local classes: one element each, without bytecode in sight."""
    data = cloudpickle.dumps(BY_VALUE[name]())
    assert b"co_" not in tax.write(decompile(data))
    assert b'type="code"' in tax.write(decompile(data)) or name == "dynamic_classes"
    pickle.loads(through(data))


def test_a_closure_shares_what_it_holds_with_the_rest():
    """The list in a closure's cell is the list outside, and an administrator can see it."""
    words = ["visible"]
    text = tax.write(decompile(cloudpickle.dumps([lambda: words, words])))
    assert b"<item>visible</item>" in text
    function, again = pickle.loads(assemble(tax.read(text)))
    assert function() is again


atoms = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
    st.characters(codec=None), st.complex_numbers(), st.decimals(), st.datetimes(),
    st.timedeltas(), st.dates(), st.times(), st.uuids(), st.fractions(),
    st.sampled_from([int, len, graphs.Colour.RED if hasattr(graphs.Colour, "RED") else None]),
)  # fmt: skip


def grown(children):
    """Containers of what there is."""
    return st.one_of(
        st.lists(children, max_size=4),
        st.lists(children, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=5), children, max_size=4),
        st.dictionaries(st.integers(), children, max_size=2),
        st.builds(lambda value: [value, value], children),
        st.builds(lambda value: graphs.with_attributes(graphs.Thing(), value=value), children),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.recursive(atoms, grown, max_leaves=20), st.integers(2, 5))
def test_any_graph_comes_back_the_same(obj, protocol):
    """Whatever hypothesis makes of atoms, containers and objects."""
    data = pickle.dumps(obj, protocol)
    assert graphs.difference(pickle.loads(through(data)), pickle.loads(data)) is None


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 3)), max_size=20))
def test_any_tangle_of_shared_containers_comes_back_the_same(links):
    """Cycles and shared parts through lists, tuples, dicts and objects."""
    nodes = [[], {}, [], {}, graphs.Thing(), graphs.Thing(), [], {}]
    for one, other, how in links:
        holder = nodes[one]
        value = (nodes[other], (nodes[one],)) if how == 1 else nodes[other]
        if type(holder) is list:
            holder.append(value)
        elif type(holder) is dict:
            holder[f"k{how}" if how else how] = value
        else:
            setattr(holder, f"a{how}", value)
    data = pickle.dumps(nodes, 5)
    assert graphs.difference(pickle.loads(through(data)), pickle.loads(data)) is None


def test_the_same_image_is_the_same_text_in_every_process():
    """Hashes differ from process to process; the text does not."""
    script = (
        "import pickle; from tapkit.image import tax; from tapkit.image.pickled import decompile;"
        "obj = {'s': {'a', 'b', 'c', 'd', 'e'}, 'f': frozenset('xyz'), 't': {(1, 'p'), (2, 'q')}};"
        "import sys; sys.stdout.buffer.write(tax.write(decompile(pickle.dumps(obj))))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": str(seed), "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, check=True, timeout=60,
        ).stdout
        for seed in range(1, 5)
    }  # fmt: skip
    assert len(texts) == 1


def test_nothing_an_image_names_is_imported():
    """Modules that do not exist are written and read like any other."""
    from tapkit.image.nodes import NEWOBJ, Global, Object

    image = Image(Object(NEWOBJ, Global("no.such.module", "Class")))
    before = set(sys.modules)
    assert difference(tax.read(tax.write(image)).root, image.root) is None
    assert not {name for name in set(sys.modules) - before if not name.startswith("tapkit")}
