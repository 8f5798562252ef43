"""Reading .tas that people edited: what is read, what goes beyond, what is wrong, and where."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from tapkit.errors import ImageError
from tapkit.image import nodes, tas
from tapkit.image.nodes import NEWOBJ, REDUCE, STATE, Dict, Global, Object, Set
from tapkit.image.pickled import assemble
from tests.place import ROOT
from tests.tas_round import WHERE

DATA = ROOT / "tests" / "data"
SMALL = ["qotd.tas", "closure.tas", "recursive_objects.tas"]
HEAD = "from tapkit.source import complete, instance, nan, new\nfrom m import C\n\n"


def root_of(text: str) -> Any:
    """What a file's text stands for."""
    return tas.read((HEAD + textwrap.dedent(text)).encode(), WHERE).root


def instance(**state: Any) -> Object:
    made = Object(NEWOBJ, Global("m", "C"))
    made.steps += (STATE, Dict.of(state.items()))
    return made


def calling(module: str, name: str, *args: Any) -> Object:
    return Object(REDUCE, Global(module, name), args)


EDITS = {
    "single quotes": ("root = 'it''s'", "its"),
    "other layout": ("root = [ 1,2 ,\n 3]", [1, 2, 3]),
    "a comment within": ("root = [\n    1,  # one\n    # two\n    2,\n]", [1, 2]),
    "triple quotes": ('root = """a\n\nb"""', "a\n\nb"),
    "a string of statements": ('root = """\n\nroot = C\n\n"""', "\n\nroot = C\n\n"),
    "a variable for a value": ("port = 8007\n\nroot = instance(C, port=port)", instance(port=8007)),
    "a second name": ("a = [1]\nb = a\nroot = b", [1]),
    "underscores": ("root = 1_000", 1000),
    "hexadecimal": ("root = 0x1F", 31),
    "negative": ("root = -5", -5),
    "a raw string": (r"root = r'\d'", r"\d"),
    "escapes": (r'root = "\x00\ud800\N{BULLET}"', "\0\ud800\u2022"),
    "an unknown escape": (r'root = "\d"', r"\d"),
    "implicit concatenation": ('root = ("a" "b"\n  "c")', "abc"),
    "an attribute": ("root = instance(C, a=1)\nroot.b = 2", instance(a=1, b=2)),
    "an attribute changed": ("root = instance(C, a=1, b=3)\nroot.a = 2", instance(a=2, b=3)),
    "an attribute alone": ("root = instance(C)\nroot.a = 2", instance(a=2)),
    "append": ("root = []\nroot.append(1)\nroot.extend([2])", [1, 2]),
    "an entry": ("root = {'a': 1}\nroot['a'] = 2\nroot['b'] = 3", Dict(["a", 2, "b", 3])),
    "an entry in one line": ("root = {'a': 1}\nroot.update({'a': 2})", Dict(["a", 2])),
    "add": ("root = set()\nroot.add(1)\nroot.update([2])", Set([1, 2])),
    "a class in a module": ("import m\nroot = m.C", Global("m", "C")),
    "a class in a package": (
        "import a.b\nroot = [a.b.C, a.c]",
        [Global("a.b", "C"), Global("a", "c")],
    ),
    "a module's other name": ("import a.b as x\nroot = x.C(1)", calling("a.b", "C", 1)),
    "a helper of a module": ("import tapkit.source as s\nroot = s.instance(C, a=1)", instance(a=1)),
    "builtins": ("root = [len, Ellipsis, ...]", [
        Global("builtins", "len"), Global("builtins", "Ellipsis"), Global("builtins", "Ellipsis"),
    ]),
    "an enum's member": ("root = C.RED", calling("builtins", "getattr", Global("m", "C"), "RED")),
    "a complex": ("root = 2j", calling("builtins", "complex", 0.0, 2.0)),
    "a date": ("from datetime import date\nroot = date(2004, 5, 1)", calling(
        "datetime", "date", b"\x07\xd4\x05\x01")),
    "hours": ("from datetime import timedelta\nroot = timedelta(hours=25)", calling(
        "datetime", "timedelta", 1, 3600, 0)),
    "a path": ("from pathlib import PosixPath\nroot = PosixPath('/a/b')", calling(
        "pathlib", "PosixPath", "/", "a", "b")),
    "carriage returns": ("root = [\r\n 1,\r 2]", [1, 2]),
    "the root is the application": ("root = 1\napplication = 2", 2),
    "no newline at the end": ("root = [1]", [1]),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_edits_that_are_read(name: str) -> None:
    """Whatever a person may write in the generated subset is read, in any layout."""
    text, expected = EDITS[name]
    assert nodes.difference(root_of(text), expected) is None


BEYOND = {
    "a `for` loop": ("for n in [1]:\n    root = n", 1),
    "an `if`": ("if 1:\n    root = 1\n\nelse:\n    root = 2", 1),
    "a function": ("def f():\n\n    pass\n\nroot = f()", 1),
    "a class": ("class D:\n    pass", 1),
    "arithmetic": ("root = 1 + 2", 8),
    "a comprehension": ("root = [n for n in ()]", 8),
    "an f-string": ('root = f"{1}"', 8),
    "a lambda": ("root = instance(C, f=lambda: 1)", 22),
    "an index": ("a = [1]\n\nroot = a[0]", 8),
    "`*`": ("root = [*[1]]", 9),
    "`**`": ("root = instance(C, **{'a': 1})", 22),
    "a call with keywords": ("root = C(a=1)", 8),
    "a call whose result is not used": ("C(1)", 1),
    "an augmented assignment": ("root = 1\n\nroot += 1", 1),
    "a `try`": ("try:\n    root = 1\nexcept ValueError:\n    root = 2", 1),
    "an import of everything": ("from os import *", 16),
    "a relative import": ("from . import x", 1),
    "this call of .sort()": ("root = []\n\nroot.sort()", 1),
}


@pytest.mark.parametrize("what", BEYOND)
def test_beyond_the_subset(what: str) -> None:
    """More Python than is read is told by the place where it begins, and who would run it."""
    text, column = BEYOND[what]
    with pytest.raises(tas.SourceBeyondError) as caught:
        root_of(text)
    error = caught.value
    assert what in error.what
    assert "`twistd -s` or `--run` would run it" in str(error)
    line = 3 + text.count("\n\n") * 2 + 1 if column != 1 or "\n\nroot" in text else 4
    place = error.where or ""
    assert place.startswith(f"{WHERE}:") and place.endswith(f":{column}"), (place, line)
    shown, caret = error.excerpt.split("\n")
    assert caret.index("^") == 4 + column - 1
    assert shown.strip() in [line.strip() for line in (HEAD + text).split("\n")]


WRONG = {
    "a name": ("quoter = instance(C)\n\nroot = [quotr]", "6:9", "did you mean quoter?"),
    "a helper": ("root = set_state(1)", "4:8", "import it from tapkit.source"),
    "a helper's arguments": ("root = instance()", "4:8", "not the arguments of instance()"),
    "a helper for its effect": ("root = [complete(C)]", "4:9", "line of its own"),
    "a date": (
        "from datetime import date\nroot = date(2004, 13, 1)",
        "5:8",
        "no way to write a date",
    ),
    "a half-open bracket": ("root = [1,\n\nother = 2", "4:8", "never closed"),
    "a half-open string": ('root = "abc', "4:8", "unterminated"),
    "an indent": ("  root = 1", "4:", "not Python"),
    "a NaN": ("root = nan(5)", "4:8", "not the 64 bits of a NaN"),
    "a call of a number": ("x = 1\nroot = x(2)", "5:8", "can be called"),
    "a module": ("import m\nroot = [m]", "5:9", "a module can't be in an image"),
    "an attribute of a number": ("x = 1\nx.y = 2", "5:1", "only an object made before"),
    "nothing": ("x = 1", "", "makes nothing"),
}


@pytest.mark.parametrize("what", WRONG)
def test_mistakes(what: str) -> None:
    """A mistake is told by its place, its line and a hint, and is not said to be more Python."""
    text, place, words = WRONG[what]
    with pytest.raises(tas.SourceError) as caught:
        tas.read((HEAD + text).encode(), WHERE)
    assert not isinstance(caught.value, tas.SourceBeyondError)
    assert str(caught.value).startswith(f"{WHERE}:{place}" if place else WHERE)
    assert words in str(caught.value)


def test_errors_survive_pickling() -> None:
    """An error can cross a process boundary."""
    with pytest.raises(tas.SourceError) as caught:
        root_of("root = x")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert again.excerpt == caught.value.excerpt


@pytest.mark.parametrize(
    "text",
    [
        "root = " + "[" * 5000 + "]" * 5000,
        "root = " + "-" * 100_000 + "1",
        "root = a" + ".b" * 100_000,
        "root = " + "1+" * 50_000 + "1",
        "root = " + "f(" * 150 + ")" * 150,
        "root = '''" + "\n\n" * 50_000,
        "root = \0",
    ],
    ids=["brackets", "minus", "dots", "plus", "calls", "open string", "null"],
)
def test_hostile_sources(text: str) -> None:
    """What would exhaust a parser is an error, said in words."""
    with pytest.raises(ImageError) as caught:
        root_of(text)
    assert WHERE in str(caught.value)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"# coding: nonsense\n", b"# coding: utf-8\n\xff"])
def test_what_is_no_text(data: bytes) -> None:
    """Bytes that are no source are refused by name."""
    with pytest.raises(tas.SourceError, match=r"x\.tas: this is no text"):
        tas.read(data, WHERE)


def test_a_declared_encoding() -> None:
    """Python's own declaration of the encoding is heeded."""
    assert tas.read(b"# coding: latin-1\nroot = '\xe4'\n", WHERE).root == "ä"


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", SMALL)
def test_truncated_anywhere(name: str, step: int) -> None:
    """A file cut off after any byte (or each seventh) is read, or refused in words."""
    whole = (DATA / name).read_bytes()
    refused = 0
    for end in range(0, len(whole), step):
        try:
            tas.read(whole[:end], WHERE)
        except ImageError as error:
            assert WHERE in str(error)
            refused += 1
    assert refused > len(whole) // step // 2


@pytest.mark.parametrize("name", SMALL)
def test_mutated_anywhere(name: str) -> None:
    """A file with any byte changed is read, or refused in words: nothing else."""
    chance = random.Random(5)
    refused = 0
    whole = (DATA / name).read_bytes()
    for _ in range(350):
        data = bytearray(whole)
        data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            assemble(tas.read(bytes(data), WHERE))
        except ImageError:
            refused += 1
    assert refused > 50


HOSTILE = b"""
from os import system
from evil import Class
from tapkit.source import effect, instance, pickled

class_ = instance(Class, cmd=system("echo x"))

function = system("touch pwned")

effect(function, system(function))

code = pickled("gASVHQAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAJsc5SFlFKULg==")

root = [class_, function, code, system.anything]
"""

AUDIT = """
import sys
from tapkit.image import tas
import ast, collections, datetime, pathlib, uuid, warnings, tokenize, encodings.latin_1
tas.read(b"root = [x", "x") if 0 else None
data = sys.stdin.buffer.read()
seen = []
banned = ("import", "exec", "os.system", "subprocess.Popen", "open", "pickle.find_class")
sys.addaudithook(lambda event, args: event in banned and seen.append((event, args[0])))
image = tas.read(data, "x.tas")
tas.write(image)
print([event for event in seen], ("os", "system") in image.names, "evil" in sys.modules)
"""


def test_nothing_is_imported_or_run() -> None:
    """Reading and writing import nothing, call nothing, open nothing, whatever the file says."""
    told = subprocess.run(
        [sys.executable, "-c", AUDIT],
        input=HOSTILE,
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert told.stderr.decode() == ""
    assert told.stdout.decode().split() == ["[]", "True", "False"]
