"""What makes the text forms quick must not change what they say."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapkit import image
from tapkit.image import decompile, dumping, naming, tas, tax
from tapkit.image.nodes import NEWOBJ, STATE, Dict, Global, Image, Object, difference
from tests.place import PATIENCE, ROOT

PLAIN = Global("shop", "Thing")


class Thing:
    """Something with attributes."""


def graphs() -> st.SearchStrategy[object]:
    """Objects, lists, dicts, tuples and atoms, a part of them shared and some in cycles."""
    atoms = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(width=16)
    return st.recursive(
        atoms,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
            | st.tuples(inner, inner)
            | st.builds(_thing, st.lists(inner, max_size=3), st.booleans())
        ),
        max_leaves=30,
    )


def _thing(values: list[object], is_cyclic: bool) -> Thing:
    made = Thing()
    vars(made).update({f"value{number}": value for number, value in enumerate(values)})
    if is_cyclic:
        vars(made).update(itself=made, again=values, more=(values, made))
    return made


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_what_is_shared_is_known_from_the_pickle(graph):
    """Nodes that the stream fetches from its memo are exactly those that are met twice."""
    found = decompile.decompile(pickle.dumps(graph, 5))
    if found.shared is not None:
        assert found.shared == naming.shared(Image(found.root, found.names, found.discarded))


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_what_is_known_to_be_shared_changes_no_text(graph):
    """A text is the same, whether the pickle told what is shared or the graph was searched."""
    stream = dumping.dumps(graph, out_of_band=False).payload
    known, searched = decompile.decompile(stream), decompile.decompile(stream)
    searched.shared = None
    assert tax.write(known) == tax.write(searched)
    assert tas.write(known) == tas.write(searched)


def test_a_tuple_in_itself_says_nothing_of_what_is_shared():
    """Where pickle makes something twice and drops one, the graph must be searched."""
    inner: list[object] = []
    outer = (inner,)
    inner.append(outer)
    assert decompile.decompile(pickle.dumps(outer, 5)).shared is None


def test_opcodes_are_those_of_pickle():
    """The numbers that the reader of pickles compares with have pickle's names."""
    numbers = {name: value for name, value in vars(decompile).items() if type(value) is int}
    assert len(numbers) > 10
    assert numbers == {name: getattr(pickle, name)[0] for name in numbers}


@pytest.mark.parametrize("width", range(60, 130))
def test_a_small_dict_is_on_one_line_wherever_it_fits(width):
    """The pattern for dicts breaks the line where writing piece by piece does."""
    nodes = [Object(NEWOBJ, PLAIN) for _ in range(3)]
    for node in nodes:
        node.steps = [STATE, Dict(["days", Dict(["first", "x" * (width - 56), "last", 7])])]
    text = tax.write(Image(nodes)).decode()
    days = re.findall(r"(?:  )+<days.*?</days>\n", text, re.DOTALL)
    assert len(days) == 3
    assert len(set(days)) == 1  # the first was written piece by piece
    assert difference(tax.read(text.encode()).root, nodes) is None
    one_line = days[0].count("\n") == 1
    assert one_line == (len(days[0].replace("\n", "").replace("  ", "")) + 4 <= 100)


ODD = ["a\nb", "<&>", "\x00", float("nan"), 1 << 20_000, "%s %d %%"]


@pytest.mark.parametrize("value", ODD, ids=["lines", "xml", "null", "nan", "huge", "percent"])
def test_odd_values_of_many_alike_objects(value):
    """What a pattern can't spell is spelt as it is elsewhere, and what is around it too."""
    nodes = []
    for number in range(4):
        node = Object(NEWOBJ, PLAIN)
        inner = Dict(["odd 100%", value if number == 2 else 1, "plain", "text"])
        node.steps = [STATE, Dict(["a", number, "b", value if number == 3 else 1, "c", inner])]
        nodes.append(node)
    assert difference(tax.read(tax.write(Image(nodes))).root, nodes) is None
    assert difference(tas.read(tas.write(Image(nodes)), "x.tas").root, nodes) is None


@pytest.mark.parametrize(
    "tag",
    ['<a ref="_"/>', '<attr name="_">1</attr>', '<attr name="" id="x" class="a.B"></attr>']
    + ['<a class="a.B" id="_"><b ref="_"/></a>', '<attr name="a&amp;b">1</attr>']
    + ['<attr name="x" type="list"/>', '<a type="dict" id="x"/>', '<a ref="a&lt;"/>']
    + ["<attr name='q'>1</attr>", '<attr name="a" name="b">1</attr>', '<a id="x" ref="y"/>'],
)
def test_tags_that_are_nearly_like_others(tag):
    """The plan of a tag that is like another one says what the careful reader says."""
    from tapkit.image.tax.careful import Reader
    from tapkit.image.tax.quick import quick

    text = f'<image tapkit="1" type="dict" id="top"><z type="list" id="y"/>{tag}</image>'.encode()
    found = quick(text)
    if found is not None:
        assert difference(found.root, Reader(text, "x.tax").image().root) is None


@pytest.mark.parametrize("form", ["xml", "source"])
def test_numpy_arrays_are_in_the_text(form):
    """Data that a .tap keeps beside the pickle is part of a text."""
    numpy = pytest.importorskip("numpy")
    graph = {"array": numpy.arange(300.0), "matrix": numpy.eye(3, dtype="int8"), "empty": []}
    for data in (image.dumps(graph, form), image.convert(image.dumps(graph, "pickle"), form)):
        loaded = image.loads(data)
        assert loaded["array"].tolist() == graph["array"].tolist()
        assert loaded["matrix"].tolist() == graph["matrix"].tolist()
        assert loaded["matrix"].dtype == graph["matrix"].dtype


def test_compiling_without_mypy_says_what_is_missing():
    """TAPKIT_MYPYC=1 is never passed over in silence."""
    code = "import sys, types; sys.modules.update(mypyc=None, setuptools=types.SimpleNamespace())\n"
    code += "sys.modules['setuptools'].setup = print\n"
    code += "exec(compile(open('setup.py').read(), 'setup.py', 'exec'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "TAPKIT_MYPYC": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("setup.py: TAPKIT_MYPYC=1: ")
    assert "pip install mypy" in done.stderr


def test_what_is_compiled_is_there():
    """Each module that setup.py names is a file."""
    text = (ROOT / "setup.py").read_text()
    names = re.search(r'IMAGE = """(.*?)"""', text, re.DOTALL)[1].split()
    assert len(names) > 20
    folder = Path(image.__file__).parent
    missing = [name for name in names if not (folder / f"{name}.py").is_file()]
    assert not missing
