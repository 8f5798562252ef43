"""The table of classes in a `.tap`'s header: who is in it, what it says, what it costs to lie."""

from __future__ import annotations

import datetime
import functools
import pickle
import subprocess
import sys
import threading
from typing import Any

import msgpack
import pytest

from tapkit import aliases, application, image, styles
from tapkit.errors import ImageError
from tapkit.image import classes, decompile, dumping, header, live, schema, tap
from tapkit.image.classes import ClassSummary
from tests.place import Place


class Account(styles.Versioned):
    """Saved at version 3; forgets and leaves out."""

    persistenceVersion = 3
    persistenceForgets = ("cache",)
    volatile = ("socket",)

    def __init__(self, owner: str):
        self.owner = owner
        self.cache = self.socket = 1


class Slotted:
    """No `__dict__`."""

    __slots__ = ("left", "right")


class Secretive:
    """What it saves, its own code says."""

    def __init__(self) -> None:
        self.plain = 1

    def __getstate__(self) -> Any:
        return {"other": 2}


class LateError(Exception):
    """Its `__dict__` is made when it is first looked at."""


def slotted() -> Slotted:
    made = Slotted()
    made.left = made.right = 0
    return made


GRAPH = {
    "accounts": [Account("a"), Account("b")],
    "slotted": slotted(),
    "secretive": Secretive(),
    "when": datetime.date(2000, 1, 1),
    "code": [len, Account, lambda: 1, print, Account.__init__],
    "left": styles.Ephemeral(),
}

TABLE = {
    f"{__name__}.Account": ClassSummary(2, 3, ("owner",)),
    f"{__name__}.Slotted": ClassSummary(1, None, ("left", "right")),
    f"{__name__}.Secretive": ClassSummary(1),
    "datetime.date": ClassSummary(1),
}


def in_thread(call: Any) -> Any:
    """What the flat pickler makes of it: it serves all threads but the main one."""
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(call()))
    thread.start()
    thread.join()
    return made[0]


@pytest.mark.parametrize("run", [lambda call: call(), in_thread], ids=["plain", "flat"])
def test_the_table(run: Any) -> None:
    """Counts, versions, attributes that are saved; no types, functions, or what is left out."""
    found = image.inspect(run(functools.partial(image.dumps, GRAPH))).classes
    assert dict(found) == TABLE


def test_it_agrees_with_the_nodes() -> None:
    """The same classes and counts as a reading of the whole image finds."""
    made = application.new("qotd", application.Application("inner"))
    pickled = dumping.dumps(made)
    rows = schema.table(decompile.decompile(pickled.payload, pickled.buffers))
    assert {row.name: row.count for row in rows} == {
        name: row.count for name, row in pickled.classes.items()
    }


def test_the_first_are_looked_at() -> None:
    """All are counted; attributes that only a late instance has are not told."""
    accounts = [Account(str(n)) for n in range(classes.LOOKED_AT + 1)]
    accounts[classes.LOOKED_AT - 1].early = 1  # type: ignore[attr-defined]
    accounts[-1].late = 1  # type: ignore[attr-defined]
    (row,) = dumping.dumps(accounts).classes.values()
    assert row == ClassSummary(len(accounts), 3, ("early", "owner"))


def test_limits() -> None:
    """Thousands of classes, long names and odd characters stay within a header."""
    kinds = [type(f"Kind{n}" + "x" * 300, (), {"__module__": "m"}) for n in range(3000)]
    met = [classes.Met(kind, None, looks=False) for kind in kinds]
    met[5].count = 7
    met[5].attributes = dict.fromkeys(f"name{n}\udcff" for n in range(1000))
    table = classes.of_types(met)
    assert len(table) < classes.MOST_CLASSES
    first, row = next(iter(table.items()))
    assert (first, row.count, len(row.attributes)) == (
        "m.Kind5" + "x" * 300, 7, classes.MOST_ATTRIBUTES,
    )  # fmt: skip
    packed = msgpack.packb(classes.packed(table))
    assert len(packed) < header.MAX_HEADER // 2
    assert len(classes.unpacked(msgpack.unpackb(packed))) == len(table)


def test_an_image_without() -> None:
    """What an older tapkit made has none, and loads; nor has a text."""
    info = header.made_here([])
    made = b"".join(tap.write(dumping.dumps([1]).payload, [], info))
    assert image.loads(made) == [1]
    assert dict(image.inspect(made).classes) == {}
    assert dict(image.inspect(image.dumps(GRAPH["accounts"], "xml")).classes) == {}


def test_a_conversion_has_it_too() -> None:
    """Of what is in the nodes: a text that was edited has the table of the edited graph."""
    text = image.dumps(GRAPH["accounts"], "xml")
    made = image.convert(text.replace(b"</image>", b'<item new="shop.New"/></image>'), "pickle")
    assert image.inspect(made).classes == {
        f"{__name__}.Account": ClassSummary(2, 3, ("owner",)),
        "shop.New": ClassSummary(1),
    }


@pytest.mark.parametrize(
    "lie",
    [
        [],
        {"a.B": 1},
        {"a.B": [1, None]},
        {"a.B": [-1, None, []]},
        {"a.B": [True, None, []]},
        {"a.B": [1, "x", []]},
        {"a.B": [1, None, [1]]},
        {"a.B": [1, None, "xy"]},
    ],
)
def test_damaged(lie: Any) -> None:
    """A table that is none is damage like any other."""
    info = header.made_here([])
    plain = msgpack.unpackb(header.pack(info)) | {"classes": lie}
    with pytest.raises(ImageError, match="the header is damaged"):
        header.unpack(msgpack.packb(plain), "x.tap")


def test_all_missing_classes_at_once(place: Place) -> None:
    """A module that lost several classes: one message names them all."""
    place.add_module("shop.py", "class A: pass\nclass B: pass\nclass C: pass\n")
    save = (
        "import shop; from tapkit import application, image\n"
        "made = application.Application('shop'); made.kept = [shop.A(), shop.B(), shop.C()]\n"
        "image.save(made, 'shop.tap', name='shop')"
    )
    subprocess.run([sys.executable, "-c", save], cwd=place.path, env=place.env, check=True)
    place.add_module("shop.py", "class B: pass\n")
    done = place.run("twistd", "--check", "shop.tap")
    assert done.returncode == 1
    assert (
        "the image needs shop.A, and shop has no 'A'; nor is there shop.C: shop.tap" in done.stderr
    )


def test_one_that_moved_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An alias says where it is now."""
    moved = {"gone.Account": f"{__name__}.Account"}
    monkeypatch.setattr(aliases, "resolve", moved.get)
    error = live.MissingNameError("the image needs a.B")
    told = live.with_others(error, ["gone.Account", "gone.Other", f"{__name__}.Slotted"])
    assert str(told) == "the image needs a.B; nor is there gone.Other"
    assert live.with_others(error, ["gone.Account"]) is error


def test_a_name_that_is_part_of_another() -> None:
    """The class that was told first hides none whose name it begins with."""
    error = live.MissingNameError("the image needs a.BC, and a has no 'BC'")
    told = live.with_others(error, ["a.BC", "a.B"])
    assert str(told) == "the image needs a.BC, and a has no 'BC'; nor is there a.B"


def test_looking_changes_nothing() -> None:
    """An exception has no `__dict__` before somebody looks: it has none afterwards."""
    error = LateError("x")
    first, second = dumping.dumps([error]), dumping.dumps([error])
    assert first.payload == second.payload == pickle.dumps([error], 5)
    assert dict(first.classes) == {f"{__name__}.LateError": ClassSummary(1)}
