"""The fast way to read a .tas: what it takes, it takes as Python's parser would."""

from __future__ import annotations

import functools
import pickle
import random
from collections.abc import Sequence
from typing import Any

import pytest

from tapkit.errors import ImageError
from tapkit.image import dumping, nodes, tas
from tapkit.image.nodes import Global, Image
from tapkit.image.pickled import decompile
from tapkit.image.tas import fast
from tests import graphs
from tests.place import ROOT
from tests.random_graphs import a_graph
from tests.tas_round import WHERE

HEAD = "from tapkit.source import complete, instance, nan, new\nfrom m import C\n\n"
GOLDEN = sorted((ROOT / "tests" / "data").glob("*.tas"))


def slow(data: bytes, monkeypatch: pytest.MonkeyPatch) -> Image:
    """Read by Python's parser alone."""
    with monkeypatch.context() as patch:
        patch.setattr("tapkit.image.tas.fast.Fast.read", lambda self, blocks, at: at)
        return tas.read(data, WHERE)


@pytest.mark.parametrize("graph", graphs.PLAIN, ids=lambda graph: graph.__name__)
def test_both_ways_to_read_agree(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read without Python's parser is what Python's parser would have read."""
    source = tas.write(decompile(pickle.dumps([graph(), graph()], 4)))
    fast = tas.read(source, WHERE)
    assert nodes.difference(fast.root, slow(source, monkeypatch).root) is None
    assert fast.names == slow(source, monkeypatch).names


VALUES = [
    "1", "-1", "-0", "00", "007", "1_0", "1.5", "1e5", "1e+5", "-1e-05", "1.", ".5", "0x1F", "1j",
    "True", "None", "true", "a", "a.b", "a.b.c", "a.b()", "C", "C(1)",
    '"x"', '"x\\n"', '"\\"', '""',
    '"a" "b"', "'x'", '"""x"""', "[]", "[a]", "[a, 1]", "[a,1]", "[[a]]", "{}", '{"k": a}',
    '{"k": a, "l": "m"}', "{1, 2}", "{1: 2, 3}", "(a,)", "()", "(a)", "a, b", "1  # x", "1)(2",
    "1), (2", "x=1", "a if a else a", "not a", "\u0663", "1\\", 'b"x"', "m", "float", "...",
    '"' + "x" * 300 + '"', "9" * 700, "9" * 5000, "1,", '["a]", "b"]', '["a", b"]',
]  # fmt: skip


@pytest.mark.parametrize("layout", ["root = instance(C, first=1, v={})", "flat", "long", "list"])
@pytest.mark.parametrize("value", VALUES)
def test_any_value_is_read_alike(value: str, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each value, right or wrong, both ways to read give the same nodes, or both refuse."""
    first = "x = instance(C, first=0, v=1)\n\n"
    if layout == "flat":
        text = first + f"root = instance(C, first=1, v={value})\n"
    elif layout == "long":
        text = first + f"root = instance(\n    C,\n    first=1,\n    v={value},\n)\n"
    elif layout == "list":
        text = first + f"root = [\n    1,\n    {value},\n]\n"
    else:
        text = layout.format(value)
    data = (HEAD + "import m\n\na = [1]\n\n" + text).encode()
    results = []
    for read in (lambda: tas.read(data, WHERE), lambda: slow(data, monkeypatch)):
        try:
            results.append(read().root)
        except ImageError as error:
            results.append(str(error))
    if isinstance(results[0], str) or isinstance(results[1], str):
        assert results[0] == results[1]
    else:
        assert nodes.difference(*results) is None


def test_words_that_mean_something_else() -> None:
    """A name bound anew in the middle of a file is not taken for what it was."""
    shapes = "".join(f"a{number} = instance(C, v={number})\n\n" for number in range(4))
    text = f"{HEAD}{shapes}instance = C\n\nroot = instance(C, v=2)\n"
    with pytest.raises(tas.SourceBeyondError):
        tas.read(text.encode(), WHERE)
    text = f"{HEAD}{shapes}from n import C\n\nroot = instance(C, v=2)\n"
    assert tas.read(text.encode(), WHERE).root.call == Global("n", "C")
    text = f"{HEAD}{shapes}C = a1\n\nroot = instance(C, v=2)\n"
    assert tas.read(text.encode(), WHERE).root.call.steps[1] == ["v", 1]


def both(data: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """What both ways to read make of a source: an image, or an error's text."""
    found = []
    for read in (lambda: tas.read(data, WHERE), lambda: slow(data, monkeypatch)):
        try:
            found.append(read())
        except ImageError as error:
            found.append(f"{type(error).__name__} {error}")
    return found[0], found[1]


def check_alike(data: bytes, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways give the same; whether that is an image."""
    one, other = both(data, monkeypatch)
    if isinstance(one, str) or isinstance(other, str):
        assert one == other, data
        return False
    assert nodes.difference(one.root, other.root) is None, data
    assert nodes.difference(one.discarded, other.discarded) is None, data
    assert one.names == other.names, data
    return True


NESTED = [
    "[]", "[[]]", "[,]", "[a,]", "[a,\n        b,\n    ]", "[a b]", "[a,,b]",
    '["x", 1, -2.5, None]', "(1)", "(1,)", "(1, 2)", "((1, 2),)", "()", "{}", "{1}", "{1, }",
    "{1: 2, }", "{1: 2: 3}", "{,}", '{"a": [1, {"b": (2,)}]}', "{a: 1}", "{1: 2, 3}", "{1, 2: 3}",
    "date(2004, 5, 1)", "date(2004, 13, 1)", "date(year=2004)", "timedelta(days=1, days=2)",
    "timedelta(days=1,)", "timedelta(days=1, 2)", "date(2004, 5, 1).year", "a.append", "a.class",
    "a.if.b", "C.x.y", "C.x(1)", "C(1)(2)", "C()()", "[1][0]", "(a).b", "instance(C)",
    "instance(C, a=1)", "instance(C, x=[a, a])", "complete(a)", "instance", "new(C, 1)",
    "new(C, b=2)", "m.x", "m", "m.x(1)", "nan(5)", "nan(0x7FF8000000000001)", "lambda: 1", "not a",
    "a if b else c", 'b"x"', 'b"\\x00"', 'b"\xe4"', 'r"x"', 'f"{a}"', '"a" "b"',
    '"\\x41\\u00e4\\ud800\\N{BULLET}\\d\\0"', '"\\xZ"', '"\\', '"\xe4\\n"', "frozenset({1, 2})",
    'float("inf")', 'float("x")', "1e999", "-0.0", "0.0e0", "01.5", "1.5.6", "-a", "--1", "- 1",
    "1 .real", "[1\n]", "[1]\n", "[\t1]", "[1]  ", " [1]", "[\x0c1]", "{**a}", "[*a]", "True",
    "true", "None", "False", "undefined", "len", "__debug__", "[undefined]", "set()", "set([1])",
    "[" * 40 + "]" * 40, "(" * 9 + "1" + ")" * 9, '{"k": "v", "l": ["w"]}', "C(*a)", "C(**a)",
    "C(a=1)",
]  # fmt: skip


@pytest.mark.parametrize("value", NESTED)
def test_any_nested_value_is_read_alike(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers, calls and what only looks like them: the same nodes, or the same error."""
    before = "import m\nfrom datetime import date, timedelta\n\na = [1]\n\nb = [2]\n\nc = 3\n\n"
    shapes = "".join(f"x{n} = instance(C, v={n}, w=[a], x={{1: a}})\n\n" for n in range(3))
    for statement in (
        f"root = {value}\n",
        f"y = instance(C, v={value}, w=[a], x={{1: a}})\n\nroot = [y]\n",
        f"y = instance(C, v=1, w={value}, x={{1: a}})\n\nroot = [y]\n",
        f"y = instance(\n    C,\n    v=1,\n    w=[a],\n    x={value},\n)\n\nroot = [y]\n",
        f"root = [\n    a,\n    {value},\n]\n",
    ):
        check_alike((HEAD + before + shapes + statement).encode(), monkeypatch)


@functools.cache
def sources() -> list[bytes]:
    """Sources of all kinds, as they are written."""
    found = [path.read_bytes() for path in GOLDEN]
    found += [tas.write(decompile(pickle.dumps([graph(), graph()], 4))) for graph in graphs.PLAIN]
    for seed in range(25):
        image = decompile(dumping.dumps(a_graph(seed, 3 + seed % 20)).payload)
        found += [tas.write(image), tas.write(image, tas.learn(image.names))]
    return found


SLOW_SEEDS = [pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4)]
PIECES = [
    *[
        "\n",
        "\n\n",
        " ",
        ",",
        ", ",
        "=",
        " = ",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ":",
        ".",
        "#",
        '"',
        "'",
    ],
    *[
        "\\",
        "-",
        "0",
        "1",
        "a",
        "b",
        "instance",
        "complete",
        "None",
        "class",
        "root",
        "x=",
        "\u00e4",
    ],
]


@pytest.mark.parametrize("seed", [0, 1, *SLOW_SEEDS])
def test_mutations_are_read_alike(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With anything changed anywhere, both ways read the same nodes, or tell the same mistakes."""
    chance = random.Random(seed)
    texts = [data.decode() for data in sources()]
    read = 0
    for _ in range(70):
        text = chance.choice(texts)
        for _ in range(chance.randrange(1, 3)):
            start = chance.randrange(len(text))
            end = start + chance.choice((0, 0, 1, 1, 2, 5))
            text = text[:start] + chance.choice([*PIECES, ""]) + text[end:]
        read += check_alike(text.encode(), monkeypatch)
    assert 5 < read < 65


@pytest.mark.parametrize("seed", [0, *SLOW_SEEDS])
def test_lines_in_other_places_are_read_alike(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With statements or lines moved, doubled or left out, both ways read the same."""
    chance = random.Random(seed)
    texts = [data.decode() for data in sources()]
    read = 0
    for _ in range(70):
        between = chance.choice(("\n", "\n\n"))
        parts = chance.choice(texts).split(between)
        first = chance.randrange(len(parts))
        part = parts[first] if chance.random() < 0.5 else parts.pop(first)
        parts.insert(chance.randrange(len(parts) + 1), part)
        read += check_alike(between.join(parts).encode(), monkeypatch)
    assert 5 < read < 65


@pytest.mark.parametrize(
    "text",
    [
        "class = instance(C, v={0})",
        "None = instance(C, v={0})",
        "instance = instance(C, v={0})",
        "m = instance(C, v={0})",
        "C = instance(C, v={0})",
        "x = instance(C, v={0}, v=2)",
        "x = instance(C, {0}, v=1)",
        "x = instance(x, v={0})",
        "x = instance(C, v=instance)",
        "complete(x, v={0})",
        "complete(C, v={0})",
        "complete(undefined, v={0})",
        "x.v = {0}",
        "x = y = instance(C, v={0})",
    ],
)
def test_statements_are_read_alike(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements that nearly look like those that are read fast, again and again."""
    lines = "\n\n".join(text.format(number) for number in range(4))
    shapes = "".join(f"x = instance(C, v={number})\n\n" for number in range(3))
    data = f"{HEAD}import m\n\n{shapes}{lines}\n\nroot = instance(C, v=9)\n"
    check_alike(data.encode(), monkeypatch)


def test_what_is_written_is_read_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an ordinary image Python's parser sees the imports and little else."""
    items = [
        graphs.Thing(
            n=n, s=f"a {n}", f=n / 8, o=None if n % 2 else [n], t="x\n", d={"k": [n, (n,)]}
        )
        for n in range(200)
    ]
    for item in items:
        item.next = items[item.n - 1] if item.n else None
        item.all = [items[item.n // 2], items[item.n // 3]]
    source = tas.write(decompile(pickle.dumps(items, 5)))
    missed: list[str] = []
    read = fast.Fast.read

    def noting(self: fast.Fast, blocks: Sequence[str], at: int) -> int:
        found = read(self, blocks, at)
        missed.extend(blocks[found : found + 1])
        return found

    monkeypatch.setattr(fast.Fast, "read", noting)
    tas.read(source, WHERE)
    assert len(missed) < 12, missed[3:]
