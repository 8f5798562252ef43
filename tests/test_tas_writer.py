"""How .tas looks: the words for each kind of thing, the layout, and what black and isort say."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import pathlib
import pickle
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle
import pytest

from tapkit.image import dumping, nodes, tas
from tapkit.image.nodes import NEWOBJ, STATE, Dict, Global, Image, Object
from tapkit.image.pickled import decompile
from tapkit.image.tas.layout import quoted, quoted_bytes
from tests import graphs
from tests.place import ROOT
from tests.random_graphs import a_graph
from tests.tas_round import WHERE, difference, image_of, loaded, round_trip, source_of

GOLDEN = sorted((ROOT / "tests" / "data").glob("*.tas"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_golden_files(path: Path) -> None:
    """Each file of any version is read and written again byte for byte."""
    data = path.read_bytes()
    assert tas.write(tas.read(data, str(path))) == data


def test_there_are_golden_files() -> None:
    """The glob above finds them."""
    assert {"qotd.tas", "closure.tas", "recursive_objects.tas"} <= {path.name for path in GOLDEN}


class Color(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Point:
    x: Any
    y: Any


@dataclasses.dataclass
class Checked:
    x: Any

    def __post_init__(self) -> None:
        self.x += 1


KNOWN = tas.learn([(__name__, name) for name in ("Pair", "Point", "Checked", "Color")])

SPELT: dict[str, tuple[Any, str]] = {
    "None": (None, "None"),
    "an int": (-5, "-5"),
    "a long int": (1 << 3000, f"0x1{'0' * 750}"),
    "a float": (1.5, "1.5"),
    "a large float": (1e300, "1e300"),
    "infinity": (float("-inf"), 'float("-inf")'),
    "a str": ('say "hi"', "'say \"hi\"'"),
    "both quotes": ("it's \"", '"it\'s \\""'),
    "a surrogate": ("\ud800\r", '"\\ud800\\r"'),
    "bytes": (b"a\0'", 'b"a\\x00\'"'),
    "a tuple of one": ((1,), "(1,)"),
    "an empty set": (set(), "set()"),
    "a set": ({2, 1}, "{1, 2}"),
    "a frozenset": (frozenset("ba"), 'frozenset({"a", "b"})'),
    "a bytearray": (bytearray(b"x"), 'bytearray(b"x")'),
    "a dict": ({"a": [1], (1, 2): None}, '{"a": [1], (1, 2): None}'),
    "a datetime": (datetime.datetime(2004, 5, 1, 12, 30), "datetime(2004, 5, 1, 12, 30)"),
    "midnight": (datetime.datetime(2004, 5, 1, fold=1), "datetime(2004, 5, 1, fold=1)"),
    "a date": (datetime.date(2004, 5, 1), "date(2004, 5, 1)"),
    "a time": (datetime.time(0, 0, 0, 7), "time(0, 0, 0, 7)"),
    "a timedelta": (datetime.timedelta(1, 0, 3), "timedelta(days=1, microseconds=3)"),
    "a Decimal": (decimal.Decimal("1.5"), 'Decimal("1.5")'),
    "a UUID": (uuid.UUID(int=5), 'UUID("00000000-0000-0000-0000-000000000005")'),
    "a deque": (collections.deque([1], 3), "deque([1], maxlen=3)"),
    "an empty deque": (collections.deque(), "deque()"),
    "an OrderedDict": (collections.OrderedDict(a=1), 'OrderedDict({"a": 1})'),
    "a defaultdict": (collections.defaultdict(int, {1: 2}), "defaultdict(int, {1: 2})"),
    "a Counter": (collections.Counter("aa"), 'Counter({"a": 2})'),
    "a complex": (1 + 2j, "complex(1.0, 2.0)"),
    "a range": (range(3), "range(0, 3, 1)"),
    "an enum's member": (Color.RED, "Color(1)"),
    "a namedtuple": (Pair(1, [2]), "Pair(1, [2])"),
    "a class": (int, "int"),
    "a method": ("x".upper, 'getattr("x", "upper")'),
    "a type": (type(None), "type(None)"),
}


@pytest.mark.parametrize("kind", SPELT)
def test_spellings(kind: str) -> None:
    """Each kind of value is written as a person would, read back, and means the same when run."""
    thing, expected = SPELT[kind]
    image = image_of([thing])
    source, back = round_trip(image, KNOWN)
    assert source.decode().endswith(f"root = [{expected}]\n") or f"    {expected},\n" in (
        source.decode()
    )
    assert nodes.difference(image.root, back.root) is None
    assert graphs.difference(loaded(image), tas.run(source, WHERE)) is None


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="as of 3.13 a path is plain")
def test_paths() -> None:
    """A path is written as one string, whatever parts pickle has."""
    assert source_of([pathlib.PurePosixPath("/a/b")]).endswith('[PurePosixPath("/a/b")]\n')
    assert difference(image_of([pathlib.PurePosixPath(p) for p in ("a", "/", "a/b", ".")])) is None


def test_the_example_of_the_design() -> None:
    """An application reads like a program: leaves first, real imports, links back last."""
    source = (ROOT / "tests" / "data" / "qotd.tas").read_text()
    assert source.startswith('"""qotd: application image, Python source. Run it with `twistd -s')
    assert "from tapkit.source import instance  # instance(cls, **state) does not" in source
    blocks = source.split("\n\n")
    names = [block.partition(" = ")[0] for block in blocks[2:-1]]
    assert names == ["quoter", "factory", "tcp_server", "application"]
    assert blocks[-1] == (
        "# Links back: these objects refer to each other.\ntcp_server.parent = application\n"
    )


def test_bound_methods() -> None:
    """A bound method is an attribute of the object's variable."""
    thing = graphs.Thing(a=1)
    assert source_of([thing, thing.method]).endswith("root = [thing, thing.method]\n")


# -- classes that are called, and only if that makes the same


def test_dataclasses_that_are_known() -> None:
    """A plain dataclass is written by its call, and the file says, and checks, that it may be."""
    image = image_of([Point(1, [2])])
    source, back = round_trip(image, KNOWN)
    assert b'dataclass_fields(Point, "x", "y")\n\npoint = Point(x=1, y=[2])\n' in source
    assert nodes.difference(image.root, back.root) is None
    assert tas.run(source, WHERE) == [Point(1, [2])]


def test_dataclasses_that_are_not() -> None:
    """Without that knowledge, or where a call would do more, it is an instance."""
    assert "instance(Point, x=1, y=2)" in source_of([Point(1, 2)])
    assert "instance(Checked, x=2)" in source_of([Checked(1)], known=KNOWN)
    point = Point(1, 2)
    point.z = 3  # type: ignore[attr-defined]
    assert "instance(Point, x=1, y=2, z=3)" in source_of([point], known=KNOWN)


def test_a_dataclass_in_a_cycle() -> None:
    """What is not complete when it is made is never made by its call."""
    point = Point(1, None)
    point.y = [point]
    image = image_of(point)
    source, back = round_trip(image, KNOWN)
    assert b"Point(x" not in source
    assert nodes.difference(image.root, back.root) is None


# -- cycles


def cycle(module: str) -> Image:
    """A parent with a child that knows it, of classes of a module."""
    parent, child = (Object(NEWOBJ, Global(module, name)) for name in ("Parent", "Child"))
    parent.steps += (STATE, Dict(["children", [child], "name", "p"]))
    child.steps += (STATE, Dict(["up", parent, "number", 1, "top", parent]))
    return Image(parent)


def test_unknown_classes_in_a_cycle() -> None:
    """A `__setstate__` nobody knows gets its whole state at once, after what is in it."""
    source, back = round_trip(cycle("m"))
    assert source.decode().split("\n\n")[3:] == [
        "root = instance(Parent)",
        "child = instance(Child, up=root, number=1, top=root)",
        'complete(root, children=[child], name="p")\n',
    ]
    assert nodes.difference(cycle("m").root, back.root) is None


def test_known_classes_in_a_cycle() -> None:
    """Where attributes may come later, they are links; their places in the state are kept."""
    source, back = round_trip(cycle("m"), tas.Known(assignable={("m", "Child")}))
    assert source.decode().split("\n\n")[2:] == [
        "child = instance(Child, up=None, number=1)",
        'root = instance(Parent, children=[child], name="p")',
        "# Links back: these objects refer to each other.\nchild.up = root\nchild.top = root\n",
    ]
    assert nodes.difference(cycle("m").root, back.root) is None


def test_a_shared_state_in_a_cycle() -> None:
    """A state that is met elsewhere is a variable, and is given when it is complete."""
    image = cycle("tapkit.nowhere")
    child = image.root.steps[1][1][0]
    image.root.steps[1].extend(["state", child.steps[1]])
    assert difference(image) is None


# -- layout


@pytest.mark.parametrize("text", ["", "a", "'", '"', "'\"", '""\'', "\\", "\n\0", "\\'", "ü\u0301"])
def test_quotes(text: str) -> None:
    """Literals say what they stand for."""
    assert eval(quoted(text)) == text
    assert eval(quoted_bytes(text.encode())) == text.encode()


def test_long_strings_are_wrapped() -> None:
    """A long text is broken at its spaces and after its line ends; Python joins it again."""
    quote = "An apple a day keeps the doctor away. " * 5 + "\nYes."
    source = source_of([graphs.Thing(quote=quote)])
    assert max(map(len, source.split("\n"))) <= 88
    assert tas.run(source.encode(), WHERE)[0].quote == quote
    assert 'doctor away. "' in source
    assert '\n        "Yes."\n' in source


def _samples() -> Iterator[tuple[str, bytes]]:
    for graph in graphs.PLAIN:
        yield graph.__name__, pickle.dumps([graph()], 4)
    for graph in graphs.BY_VALUE:
        yield graph.__name__, cloudpickle.dumps(graph())
    for seed in range(25):
        yield f"random{seed}", dumping.dumps(a_graph(seed, 5 + seed % 20)).payload


Tool = Callable[..., str]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all kinds of .tas."""
    folder = tmp_path_factory.mktemp("tas")
    for name, data in _samples():
        (folder / f"{name}.py").write_bytes(tas.write(decompile(data), KNOWN))
    for path in GOLDEN:
        shutil.copy(path, folder / f"golden_{path.stem}.py")
    return folder


@pytest.mark.parametrize("width", [88, 100])
@pytest.mark.slow
def test_black_changes_nothing(width: int, files: Path) -> None:
    """What is written is as black would have it, at its own line length and at ours."""
    black = pytest.importorskip("black")
    mode = black.Mode(line_length=width)
    checked = 0
    for path in sorted(files.glob("*.py")):
        with pytest.raises(black.NothingChanged):
            black.format_file_contents(path.read_text(), fast=True, mode=mode)
        checked += 1
    assert checked > 60


def test_isort_changes_nothing(files: Path) -> None:
    """Imports are sorted as isort with black's profile does (our own package's is third party)."""
    isort = pytest.importorskip("isort")
    for path in sorted(files.glob("*.py")):
        config = isort.Config(profile="black", default_section="THIRDPARTY", src_paths=(files,))
        assert isort.check_code(path.read_text(), config=config, show_diff=True), path.name


def test_ruff_finds_nothing_unused(files: Path) -> None:
    """No import is left over, no name is unknown."""
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff is None:
        pytest.skip("ruff is not installed")
    words = [ruff, "check", "--isolated", "--select", "F", "--no-cache", str(files)]
    told = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stdout[-2000:]


# -- what templates write, and what they leave to others


def slowly(image: Image, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Written as if no two instances looked alike."""
    with monkeypatch.context() as patch:
        patch.setattr("tapkit.image.tas.shapes.Shapes.of", lambda self, call, state: None)
        return tas.write(image)


TAILS = ("", "'", '"', "\\", "\n", "\u00e9", "\u65e5\u672c", "\u0301", "'\"")
TEXTS = [
    "x" * size + tail for size in (0, 1, 40, 48, 50, 80, 88, 90, 91, 93, 100) for tail in TAILS
]
VALUES = [1e15, 1e16, -1e300, float("inf"), float("nan"), 10**100, 10**700, -(10**5000), b"x", len]
VALUES += [None, True, (), [], {}, ["x" * 30] * 4, {"k": ["v" * 70]}, ("x" * 60, 1), [[["x" * 70]]]]


@pytest.mark.parametrize("value", [*TEXTS, *VALUES], ids=lambda value: type(value).__name__)
def test_templates_write_what_the_layout_says(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instances that look alike are written byte for byte as they would be one by one."""
    things = [graphs.Thing(a=value, b=1.5, c=text) for text in ("", "x" * 30, "x" * 49)]
    things += [graphs.Thing(a_longer_name=value, n=[value, value], m=number) for number in (1, 2)]
    things[0].me = things[1].me = things[0]
    image = image_of(things)
    assert tas.write(image) == slowly(image, monkeypatch)


def test_bytes_for_an_attribute_s_name() -> None:
    """Keys that only look like those of other instances are no mistake for `python -bb` either."""
    states = (["a", 1], [b"a", 1], ["a", 2])
    made = [Object(NEWOBJ, Global("m", "C")) for _ in states]
    for each, state in zip(made, states, strict=True):
        each.add_step(STATE, Dict(state))
    assert difference(Image(made)) is None
