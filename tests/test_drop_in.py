"""plugins.tml: parsed, never run."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapkit.errors import PluginError
from tapkit.finding import drop_in

TUTORIAL = b"""register("Quote of the Day TAP Builder",
         "TwistedQuotes.quotetap",
         description="Example of a TAP builder module.",
         type="tap",
         tapname="qotd")
"""


def read(text: str | bytes) -> list[drop_in.PlugIn]:
    data = text if isinstance(text, bytes) else text.encode()
    return drop_in.read(data, "pkg/plugins.tml", "pkg")


def fault(text: str | bytes) -> str:
    with pytest.raises(PluginError) as caught:
        read(text)
    return str(caught.value)


def test_the_tutorials() -> None:
    """The tutorial's plugins.tml registers what it says."""
    [plugin] = read(TUTORIAL)
    assert plugin.name == "Quote of the Day TAP Builder"
    assert plugin.module == "TwistedQuotes.quotetap"
    assert plugin.description == "Example of a TAP builder module."
    assert (plugin.type, plugin.tapname, plugin.data) == ("tap", "qotd", {})
    assert (plugin.where, plugin.drop_in) == ("pkg/plugins.tml:1", "pkg")
    assert repr(plugin) == "<PlugIn qotd (TwistedQuotes.quotetap), pkg/plugins.tml:1>"


def test_any_type_and_data() -> None:
    """Any type may be registered; other literal keywords are kept as data."""
    [plugin] = read(
        "register('Select', 'reactors.select', type='reactor', author='me', price=-1.5,"
        "ports=[80, (1, +2j)], table={'a': {1, 2}, None: b'x'}, flag=True)"
    )
    assert (plugin.type, plugin.tapname, plugin.called) == ("reactor", "", "Select")
    assert plugin.data == {
        "author": "me",
        "price": -1.5,
        "ports": [80, (1, 2j)],
        "table": {"a": {1, 2}, None: b"x"},
        "flag": True,
    }


def test_several() -> None:
    """Registrations keep their order and lines; comments and docstrings are allowed."""
    found = read(
        '"""Ours."""\n# two\nregister("A", "a.b", type="tap")\n\nregister("B", module="c")'
    )
    assert [(p.called, p.where) for p in found] == [
        ("b", "pkg/plugins.tml:3"),
        ("B", "pkg/plugins.tml:5"),
    ]
    assert read("") == read("# nothing\n") == []


@pytest.mark.parametrize(
    "source",
    [
        "\ufeffregister('Zitat', 'q', description='täglich')".encode(),
        "# -*- coding: latin-1 -*-\nregister('Zitat', 'q', description='täglich')".encode(
            "latin-1"
        ),
        "register('Zitat', 'q', description='täglich')\r\n".encode(),
        b"register('Zitat', 'q',\r\ndescription='t\\xe4glich')",
    ],
)
def test_encodings(source: bytes) -> None:
    """UTF-8 with and without a mark, a declared encoding and any line ends are read."""
    assert read(source)[0].description == "täglich"


def test_description_is_one_line() -> None:
    """A description cannot break the list it is shown in."""
    [plugin] = read(r"register('a', 'b', description='two\n  lines \x1b[31m red')")
    assert plugin.description == "two lines ?[31m red"


NAME_AND = 'register("n", "m", '
LITERAL = "this is not a literal (text, number, list, dict ...)"

FAULTS: list[tuple[str | bytes, str, str]] = [
    ("register('a', 'b'", "1:9", "a drop-in can't be read: '(' was never closed"),
    ("import os", "1:1", "a drop-in can't be read: this is no register(...)"),
    ("\n  \nx = 1", "3:1", "a drop-in can't be read: this is no register(...)"),
    ("1", "1:1", "a drop-in can't be read: this is no register(...)"),
    ("register", "1:1", "a drop-in can't be read: this is no register(...)"),
    ("os.register('a', 'b')", "1:1", "a drop-in can't be read: this is no register(...)"),
    ("Register('a', 'b')", "1:1", "a drop-in can't be read: this is no register(...)"),
    ("register('a', 'b');exit()", "1:20", "a drop-in can't be read: this is no register(...)"),
    ("register()", "1:1", "register() needs its name, a string"),
    ("register('a')", "1:1", "register() needs its module, a string"),
    ("register('a', '')", "1:1", "register() needs its module, a string"),
    ("register('a', 7)", "1:1", "register() needs its module, a string"),
    ("register('a', 'b', 'c')", "1:1", "register() takes a name and a module"),
    ("register('a', 'b c')", "1:1", "'b c' is not the name of a module"),
    ("register('a', '.b')", "1:1", "'.b' is not the name of a module"),
    ("register('a', 'b', name='c')", "1:25", "register() is told its name twice"),
    (NAME_AND + "x=1, x=2)", "1:27", "register() is told its x twice"),
    (NAME_AND + "type=1)", "1:1", "register(): type must be a string"),
    (NAME_AND + "description=None)", "1:1", "register(): description must be a string"),
    (NAME_AND + "type='tap', tapname='../x')", "1:1", "'../x' can't be a command's name"),
    (NAME_AND + "type='tap', tapname='-x')", "1:1", "'-x' can't be a command's name"),
    (NAME_AND + "type='tap', tapname='a b')", "1:1", "'a b' can't be a command's name"),
    (NAME_AND + "**{})", "1:22", "register(**...) is not a literal"),
    ("register(*[])", "1:10", LITERAL),
    (NAME_AND + "x=open('f'))", "1:22", LITERAL),
    (NAME_AND + "x=f'{1}')", "1:22", LITERAL),
    (NAME_AND + "x=1+1)", "1:22", LITERAL),
    (NAME_AND + "x=[1, y])", "1:26", LITERAL),
    (NAME_AND + "x={**{}})", "1:22", LITERAL),
    (NAME_AND + "x=...)", "1:22", LITERAL),
    (NAME_AND + "x=-'a')", "1:22", LITERAL),
    (NAME_AND + "x=-True)", "1:22", LITERAL),
    (NAME_AND + "x=not 1)", "1:22", LITERAL),
    (NAME_AND + "x={[]})", "1:22", "unhashable type: 'list'"),
    (NAME_AND + "x={(1, []): 1})", "1:22", "unhashable type: 'list'"),
    (b"register('a', '\xff')", "1:", "a drop-in can't be read: "),
    (b"# coding: martian\nregister('a', 'b')", "1:", "a drop-in can't be read: "),
    (b"register('a', 'b\0')", "1:", "a drop-in can't be read: source code"),
]


@pytest.mark.parametrize(("text", "place", "message"), FAULTS)
def test_faults(text: str | bytes, place: str, message: str) -> None:
    """Anything but register(literals) is refused, with its file, line and column."""
    told = fault(text)
    assert told.startswith(message)
    assert f": pkg/plugins.tml:{place}" in told
    assert told.endswith('a plugins.tml holds only register("name", "module", key="value", ...)')


@pytest.mark.parametrize(
    "nested",
    [
        "(" * 10_000,
        "[" * 150 + "]" * 150,
        "-" * 30_000 + "1",
        "1" + "+1" * 15_000,
        "a" + ".a" * 15_000,
    ],
    ids=["open", "brackets", "minus", "plus", "dots"],
)
def test_deep_nesting(nested: str) -> None:
    """Deeply nested source is an error or read, never a crash."""
    try:
        [plugin] = read(NAME_AND + f"x={nested})")
    except PluginError as error:
        assert "pkg/plugins.tml:1" in str(error)
    else:
        assert nested.startswith("[")
        assert len(repr(plugin.data["x"])) == 300


def test_nothing_runs() -> None:
    """What a drop-in names is neither imported nor called."""
    read("register('a', 'antigravity')")
    fault("__import__('antigravity')")
    assert "antigravity" not in sys.modules


def test_no_warnings() -> None:
    """An odd escape is no warning on a user's terminal (warnings are errors in these tests)."""
    [plugin] = read(r"register('a', 'b', description='\d')")
    assert plugin.description == r"\d"


@given(st.text() | st.binary())
def test_any_file(source: str | bytes) -> None:
    """Whatever a file holds, it is read or it is a PluginError."""
    try:
        found = read(source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source)
    except PluginError as error:
        assert "pkg/plugins.tml:" in (error.where or "")
    else:
        assert found == []


literals = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(literals)
def test_any_literal(value: Any) -> None:
    """What repr writes is read as the same value."""
    if "inf" in repr(value):  # a name, not a literal
        return
    [plugin] = read(f"register('a', 'b', x={value!r})".encode("utf-8", "surrogatepass"))
    assert plugin.data == {"x": value}
