"""Classes that are gone: their objects stay in the image, and come back when the code does."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tapkit import image
from tapkit.errors import ImageError
from tapkit.image import dumping, live, placeholders
from tapkit.image.lenient import placeholders_allowed
from tests.place import Place

CODE = """
import collections

class Plain:
    pass

class Slotted:
    __slots__ = ("one", "two")

class Items(list):
    pass

class Entries(dict):
    pass

Point = collections.namedtuple("Point", "x y")

class Keyword:
    def __new__(cls, *, size):
        self = object.__new__(cls)
        self.size = size
        return self
    def __getnewargs_ex__(self):
        return (), {"size": self.size}

class Made:
    def __init__(self, text):
        self.text = text
    def __reduce__(self):
        return make, (self.text,), None, None, None

def make(text):
    return Made(text)

class Outer:
    class Inner:
        def hook(self):
            return "inner"

class Tuple:
    def __getstate__(self):
        return ("any", "state")
    def __setstate__(self, state):
        self.state = state

class Picky:
    def __setstate__(self, state):
        if "bad" in state:
            raise ValueError("I don't take that")
        vars(self).update(state)
"""


@pytest.fixture
def gone() -> Iterator[types.ModuleType]:
    """A module `gone.things` that a test may take away and bring back."""
    yield bring_back()
    take_away()


def bring_back() -> types.ModuleType:
    take_away()
    package = types.ModuleType("gone")
    package.__path__ = []  # type: ignore[attr-defined]
    module = types.ModuleType("gone.things")
    sys.modules.update({"gone": package, "gone.things": module})
    exec(CODE, vars(module))
    package.things = module  # type: ignore[attr-defined]
    return module


def take_away() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "gone"]:
        del sys.modules[name]


def leniently(payload: bytes) -> Any:
    with placeholders_allowed():
        return live.loads(payload)


def attributes(obj: Any, **values: Any) -> Any:
    for name, value in values.items():
        setattr(obj, name, value)
    return obj


def cycle(things: Any) -> Any:
    one, other = things.Plain(), things.Plain()
    one.other, other.other, one.items = other, one, [other, other]
    return one


CASES: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], bool]]] = {
    "state": (
        lambda things: attributes(things.Plain(), number=1, text="x"),
        lambda things, it: vars(it) == {"number": 1, "text": "x"},
    ),
    "no state": (lambda things: things.Plain(), lambda things, it: vars(it) == {}),
    "slots": (
        lambda things: attributes(things.Slotted(), one=1),
        lambda things, it: it.one == 1 and not hasattr(it, "two"),
    ),
    "items": (
        lambda things: attributes(things.Items([1, 2]), name="n"),
        lambda things, it: it == [1, 2] and it.name == "n",
    ),
    "entries": (
        lambda things: things.Entries({"a": 1, 2: "b"}),
        lambda things, it: list(it.items()) == [("a", 1), (2, "b")],
    ),
    "arguments": (lambda things: things.Point(3, 4), lambda things, it: it == (3, 4)),
    "keywords": (lambda things: things.Keyword(size=7), lambda things, it: it.size == 7),
    "a call": (lambda things: things.Made("text"), lambda things, it: it.text == "text"),
    "nested class": (lambda things: things.Outer.Inner(), lambda things, it: it.hook() == "inner"),
    "bound method": (lambda things: things.Outer.Inner().hook, lambda things, it: it() == "inner"),
    "function": (lambda things: things.make, lambda things, it: it is things.make),
    "class": (lambda things: things.Outer.Inner, lambda things, it: it is things.Outer.Inner),
    "any state": (
        lambda things: things.Tuple(),
        lambda things, it: it.state == ("any", "state"),
    ),
    "cycle": (
        cycle,
        lambda things, it: it.other.other is it and it.items == [it.other, it.other],
    ),
}


@pytest.mark.parametrize("form", ["pickle", "xml", "source"])
@pytest.mark.parametrize("case", CASES)
def test_kept_without_loss(gone: types.ModuleType, case: str, form: str) -> None:
    """Loaded where the code is gone and saved there, an object is whole where it is back."""
    make, is_right = CASES[case]
    saved = image.dumps({"it": make(gone), "beside": "kept"}, form)
    take_away()
    loaded = image.loads(saved, placeholders=True)
    assert loaded["beside"] == "kept"
    assert placeholders.is_stand_in(loaded["it"]) or case == "bound method"
    again = image.dumps(loaded, form)
    things = bring_back()
    back = image.loads(again)
    assert is_right(things, back["it"])
    assert type(back["it"]).__module__ in ("gone.things", "builtins")


def test_the_class_alone_is_gone(gone: types.ModuleType) -> None:
    """A module that is there without the class is no obstacle."""
    saved = dumping.dumps(attributes(gone.Plain(), kept=True)).payload
    del gone.Plain  # type: ignore[attr-defined]
    again = dumping.dumps(leniently(saved)).payload
    back = live.loads(again, None)  # what was put there is still found
    assert back.stands_for == "gone.things.Plain"
    things = bring_back()
    assert type(live.loads(again)) is things.Plain
    assert live.loads(again).kept is True


def test_a_class_that_refuses_its_state(
    gone: types.ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    """What a class does not take any more is kept, and taken by the class that does."""
    picky = [attributes(gone.Picky(), bad=1), attributes(gone.Picky(), good=2)]
    saved = dumping.dumps(picky).payload
    with pytest.raises(ImageError, match=r"gone\.things\.Picky \(in its __setstate__\)"):
        live.loads(saved)
    with caplog.at_level(logging.WARNING):
        loaded = leniently(saved)
    assert [placeholders.is_stand_in(one) for one in loaded] == [True, True]
    assert "I don't take that" in caplog.text
    again = dumping.dumps(loaded).payload
    gone.Picky.__setstate__ = lambda self, state: vars(self).update(state)  # type: ignore[attr-defined]
    assert [vars(one) for one in live.loads(again)] == [{"bad": 1}, {"good": 2}]
    assert {type(one) for one in live.loads(again)} == {gone.Picky}


def test_never_silent(gone: types.ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    """Without being asked for there are none; each is logged, and says what it stands for."""
    saved = dumping.dumps([attributes(gone.Plain(), name="n"), gone.Outer.Inner().hook]).payload
    take_away()
    with pytest.raises(ImageError, match=r"needs gone\.things\.\w+, and no module is named 'gone'"):
        live.loads(saved)
    with caplog.at_level(logging.WARNING):
        stands, method = leniently(saved)
    assert "the image needs gone.things.Plain, and no module is named 'gone'" in caplog.text
    assert repr(stands) == "<placeholder: gone.things.Plain>"
    assert stands.name == "n"
    with pytest.raises(AttributeError, match=r"this stands for a gone\.things\.Plain"):
        stands.startService()
    with pytest.raises(ImageError, match=r"gone\.things\.Outer\.Inner\.hook can't be called"):
        method()


def test_other_faults_stay_faults(gone: types.ModuleType) -> None:
    """A module that breaks while importing is not missing: its own error is told."""
    saved = pickle.dumps(gone.Plain())
    take_away()
    finder = Broken()
    sys.meta_path.insert(0, finder)
    try:
        with pytest.raises(ImageError, match="RuntimeError: out of order"):
            leniently(saved)
    finally:
        sys.meta_path.remove(finder)


class Broken:
    """Finds `gone`, and breaks it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name == "gone":
            raise RuntimeError("out of order")
        return None


def test_a_daemon_with_placeholders(place: Place) -> None:
    """twistd refuses what is missing; with --placeholders it runs, says so, and saves it whole."""
    place.add_module("stats/__init__.py", "class Counters:\n    pass\n")
    tac = place.path / "app.py"
    tac.write_text(
        "import stats\n"
        "from tapkit import application, service\n"
        "made = application.new('app', service.Service())\n"
        "made.services[0].counters = stats.Counters()\n"
        "made.services[0].counters.seen = 42\n"
        "application.save(made, 'app.tap')\n"
    )
    run_python(place, str(tac))
    (place.path / "lib" / "stats").rename(place.path / "kept")
    refused = place.twistd("-f", "app.tap")
    assert refused.returncode == 1
    assert "it needs 'stats', which can't be found here" in refused.stderr
    assert not (place.path / "twistd.pid").exists()
    started = place.twistd("--placeholders", "-f", "app.tap")
    assert started.returncode == 0
    place.kill()
    (place.path / "kept").rename(place.path / "lib" / "stats")
    shown = run_python(
        place,
        "-c",
        "from tapkit import application\n"
        "print(application.load('app-shutdown.tap').services[0].counters.seen)",
    )
    assert shown == "42\n"


def run_python(place: Place, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=place.path, env=place.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
